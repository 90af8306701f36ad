// Package pipeline takes rows to Mixpanel and brings back, in order, the news
// that they are settled.
//
// Four loops, one direction: read fetches batches, encode turns rows into
// payloads, send delivers payloads, commit publishes progress. The only way back
// is the ticket: one per batch, opened in read order, done when every row of the
// batch is stored, filed as a reject or known to need nothing. Commit takes
// tickets in read order and waits for each, so whatever it saves, no row before
// it is unsettled. That is the invariant everything else here serves.
//
// The package knows nothing of marks, ledgers or SQL: an Encoder decides what
// becomes of a row, a Journal remembers it.
package pipeline

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/mixsync/mixsync/connectors/mixpanel"
	"github.com/mixsync/mixsync/connectors/warehouse"
)

// Source yields batches until io.EOF. *warehouse.Reader is one.
type Source interface {
	Next(ctx context.Context, b *warehouse.Batch) error
}

// Encoder decides what becomes of each row. It is used by one goroutine.
type Encoder interface {
	// Open prepares for the rows of b and returns the note in which what is to
	// be remembered of them is gathered.
	Open(ctx context.Context, b *warehouse.Batch) (Note, error)
	// Append appends the record of a row to dst, without separator. A row that
	// needs no sending leaves dst as it is and out.Send false.
	Append(dst []byte, row int, out *Record) ([]byte, error)
	// AppendMore appends a row's second record, asked for by Record.More.
	AppendMore(dst []byte, row int) []byte
	// Close is called after the source's last row and before the last payloads
	// leave: its error keeps them from leaving.
	Close() error
}

// Record is what Append says of a row.
type Record struct {
	Send bool
	Lane uint64 // records of one non-zero lane go in order, and once a request
	More bool
}

// Note gathers what is to be remembered of a batch. Refuse is called by several
// senders at once.
type Note interface {
	// Refuse tells that Mixpanel did not store the record of a row.
	Refuse(row int, record []byte, why mixpanel.Refusal)
}

// Sink makes one attempt to deliver a payload, and calls its Packed once what
// is left is the network's. *mixpanel.Client is one.
type Sink interface {
	Send(ctx context.Context, p *mixpanel.Payload) mixpanel.Outcome
}

// Journal makes progress durable.
type Journal interface {
	// Settle tells that every row of a note is settled. Notes come in read
	// order, each once, and are the journal's from then on.
	Settle(n Note)
	// Save keeps what was settled since the last time. The position is the
	// place of the last row, nil when a read cannot resume there.
	Save(ctx context.Context, position *warehouse.Position) error
}

// Pacer is the patience and the share of the road that a run has.
type Pacer interface {
	// Acquire waits for leave to start a request, Release gives it back.
	Acquire(ctx context.Context) error
	Release(o *mixpanel.Outcome)
	// Wait sleeps before attempt n+1 of a request whose attempt n ended with o.
	// It returns an error when the patience is at an end.
	Wait(ctx context.Context, n int, since time.Time, o *mixpanel.Outcome) error
}

// Hooks report what happens; any may be nil. They must not block.
type Hooks struct {
	Read func(rows int)
	// Attempt is called after each attempt at a request.
	Attempt func(p *mixpanel.Payload, o *mixpanel.Outcome)
	Saved   func(position *warehouse.Position)
}

// Run is one pass of rows through the pipeline.
type Run struct {
	Source   Source
	Schema   *warehouse.Schema
	Encoder  Encoder
	Sink     Sink
	Journal  Journal
	Pacer    Pacer
	Endpoint mixpanel.Endpoint
	Limits   mixpanel.Limits // zero: the endpoint's own
	Senders  int             // goroutines that send, 1 and up
	Every    time.Duration   // how often progress is saved; zero: once a second
	Hooks    Hooks
	Memory   *Memory // of the pass before; nil: none
	// Judge, if set, is asked between the parts of a batch that was refused
	// whole: its error ends the run. Finding the culprits of a batch that is
	// wrong throughout would take as many requests as it has records.
	Judge func() error
	// Stop, when closed, ends the reading; what has been read is still
	// delivered and saved, and Do returns ErrStopped.
	Stop <-chan struct{}
}

// ErrStopped says that Stop ended the run before the rows did.
var ErrStopped = errors.New("stopped before the last row")

const (
	// Batches in circulation: one being filled, one waiting, one being encoded.
	batches = 3
	// Batches whose rows are still in flight. Row memory is not kept for them,
	// only their notes; deep enough that a slow request among many quick ones
	// does not stall the others.
	window = 16
	// Bytes of sealed payloads: bounds memory when records are huge. Three of
	// the largest requests of events are in flight even so.
	inFlightBytes = 32 << 20
	// Every lane fills a payload of its own, so more lanes make for smaller
	// requests; this many already carry more records a second than Mixpanel takes.
	maxLanes = 8
)

// Do runs until the source ends or fails, Stop is closed, or something halts the
// run. It returns nil only if every row is settled and saved. What was read
// before the source failed or Stop was closed is still delivered. All goroutines it starts
// have ended when it returns. Whatever it returns, what was settled in read
// order has been saved, unless saving itself failed.
func (r *Run) Do(ctx context.Context) error {
	if r.Limits == (mixpanel.Limits{}) {
		r.Limits = r.Endpoint.Limits()
	}
	if r.Every == 0 {
		r.Every = time.Second
	}
	if r.Memory == nil {
		r.Memory = &Memory{}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	p := newPass(r)
	var loops, senders sync.WaitGroup
	loops.Go(func() {
		defer close(p.read)
		p.end = p.readLoop(ctx)
	})
	loops.Go(func() {
		defer p.closeLanes()
		defer close(p.window)
		if err := p.encodeLoop(ctx); err != nil {
			cancel(err)
		}
	})
	for i := range r.Senders {
		senders.Go(func() {
			if err := p.sendLoop(ctx, i); err != nil {
				cancel(err)
			}
		})
	}
	loops.Go(func() {
		senders.Wait()
		close(p.quiet)
	})
	// commit runs on the caller's goroutine: it ends last, after every sender.
	err := p.commitLoop(ctx, cancel)
	loops.Wait()
	r.Memory.reclaim(p)
	switch {
	case err != nil: // nothing runs on without memory: this outranks its consequences
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case p.end != io.EOF:
		return p.end
	}
	return nil
}
