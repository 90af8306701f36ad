package pipeline

import (
	"context"
	"runtime"

	"github.com/mixsync/mixsync/connectors/mixpanel"
	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/sync/pace"
)

// pass is the plumbing of one Do.
type pass struct {
	*Run
	free   chan *warehouse.Batch // as many as there are batches: giving one back never blocks
	read   chan *warehouse.Batch // one: the next fetch overlaps with encoding
	window chan *ticket          // in read order; its capacity is the backpressure
	any    chan *payload         // unbuffered: a payload waits in encode's hands, not in a queue
	lanes  []chan *payload       // one each of the first senders, unbuffered
	spare  chan *payload         // payload memory for reuse; what does not fit is left to the collector
	budget *pace.Bytes           // bytes of sealed payloads
	raw    chan struct{}         // one entry for each sealed payload that is not packed yet
	quiet  chan struct{}         // closed when every sender has returned
	end    error                 // why read ended; written before read is closed

	largest int // bytes of the largest payload so far; encode's alone
}

func newPass(r *Run) *pass {
	p := &pass{
		Run:    r,
		free:   make(chan *warehouse.Batch, batches),
		read:   make(chan *warehouse.Batch, 1),
		window: make(chan *ticket, window),
		any:    make(chan *payload),
		lanes:  make([]chan *payload, min(r.Senders, maxLanes)),
		spare:  make(chan *payload, r.Senders+1), // and the one in encode's hands
		budget: pace.NewBytes(inFlightBytes),
		raw:    make(chan struct{}, runtime.GOMAXPROCS(0)+1),
		quiet:  make(chan struct{}),
	}
	for i := range p.lanes {
		p.lanes[i] = make(chan *payload)
	}
	r.Memory.lend(p)
	return p
}

// readLoop fetches batches and returns why it fetches no more: io.EOF after the
// last row, ErrStopped, or the source's error.
func (p *pass) readLoop(ctx context.Context) error {
	for {
		var b *warehouse.Batch
		select {
		case <-p.Stop:
			return ErrStopped
		case <-ctx.Done():
			return context.Cause(ctx)
		case b = <-p.free:
		}
		select { // Stop goes first when a batch is free as well
		case <-p.Stop:
			return ErrStopped
		default:
		}
		b.Reset()
		if err := p.Source.Next(ctx, b); err != nil {
			p.free <- b
			return err
		}
		if p.Hooks.Read != nil {
			p.Hooks.Read(b.Len())
		}
		select {
		case p.read <- b:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// closeLanes tells the senders that no payload will follow.
func (p *pass) closeLanes() {
	close(p.any)
	for _, l := range p.lanes {
		close(l)
	}
}

// fresh returns an empty payload.
func (p *pass) fresh(lane int) *payload {
	var x *payload
	select {
	case x = <-p.spare:
	default:
		// As large as the largest so far: growing there step by step would cost
		// more than filling it.
		x = &payload{Payload: mixpanel.Payload{Body: make([]byte, 0, p.largest)}, keys: map[uint64]struct{}{}}
	}
	x.Endpoint, x.lane = p.Endpoint, lane
	return x
}

func (p *pass) recycle(x *payload) {
	x.reset()
	select {
	case p.spare <- x:
	default:
	}
}
