package pipeline

import (
	"context"
	"io"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// encodeLoop turns batches into payloads and tickets.
func (p *pass) encodeLoop(ctx context.Context) error {
	e := encoder{pass: p, laned: make([]*payload, len(p.lanes)), second: make([]*payload, len(p.lanes))}
	for b := range p.read {
		if err := e.batch(ctx, b); err != nil {
			return err
		}
		b.Reset() // what a driver lent goes back at once, not when the batch is needed again
		p.free <- b
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if p.end == io.EOF {
		if err := p.Encoder.Close(); err != nil {
			return err
		}
	}
	return e.sealAll(ctx)
}

// encoder holds the payloads that are being filled.
type encoder struct {
	*pass
	open    *payload   // records of no lane
	laned   []*payload // by sender; nil where none is open
	second  []*payload // the same for second records: a key goes once a request
	scratch []byte
	rec     Record // of the row at hand; here because Append would make a local one escape
}

func (e *encoder) batch(ctx context.Context, b *warehouse.Batch) error {
	t := newTicket()
	t.position = b.Position
	if err := e.admit(ctx, t); err != nil {
		return err
	}
	// t.note is written before the release below: commit reads it only once
	// done is closed.
	note, err := e.Encoder.Open(ctx, b)
	if err != nil {
		return err
	}
	t.note = note
	for row := range b.Len() {
		if err := e.row(ctx, t, row); err != nil {
			return err
		}
	}
	t.release()
	return nil
}

// row appends a record where most belong, at the end of the open payload of no
// lane, and moves the one that does not.
func (e *encoder) row(ctx context.Context, t *ticket, row int) error {
	if e.open != nil && len(e.open.Ends) >= e.Limits.Records {
		if err := e.seal(ctx, &e.open); err != nil {
			return err
		}
	}
	if e.open == nil {
		e.open = e.fresh(shared)
	}
	x, start := e.open, len(e.open.Body)
	e.rec = Record{}
	body, err := e.Encoder.Append(x.Body, row, &e.rec)
	rec := e.rec
	x.Body = body[:start]
	switch {
	case err != nil:
		return err
	case !rec.Send:
		return nil
	case rec.Lane == 0 && (start == 0 || len(body)+2 <= e.Limits.Bytes):
		x.Body = body
		x.end(t, recordOf{note: t.note, row: row})
	default:
		e.scratch = append(e.scratch[:0], body[start:]...)
		if err := e.place(ctx, t, rec.Lane, recordOf{note: t.note, row: row}); err != nil {
			return err
		}
	}
	if rec.More {
		e.scratch = e.Encoder.AppendMore(e.scratch[:0], row)
		return e.place(ctx, t, rec.Lane, recordOf{note: t.note, row: row, extra: true})
	}
	return nil
}

// admit puts the ticket in the window. A full window empties only when payloads
// arrive, so the ones held open here are sent off before waiting for it.
func (e *encoder) admit(ctx context.Context, t *ticket) error {
	select {
	case e.window <- t:
		return nil
	default:
	}
	if err := e.sealAll(ctx); err != nil {
		return err
	}
	select {
	case e.window <- t:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// place puts the record in scratch into the open payload of its lane. This is
// all the batching there is: a record that does not fit closes the payload.
func (e *encoder) place(ctx context.Context, t *ticket, lane uint64, of recordOf) error {
	slot, to := &e.open, shared
	if lane != 0 {
		to = int(lane % uint64(len(e.lanes)))
		if slot = &e.laned[to]; of.extra {
			slot = &e.second[to]
		}
	}
	full := e.full(*slot)
	if lane != 0 && (full && of.extra || !of.extra && (e.laned[to].has(lane) || e.second[to].has(lane))) {
		// A row's second record follows its first and comes before the key's next.
		if err := e.sealLane(ctx, to); err != nil {
			return err
		}
	} else if full {
		if err := e.seal(ctx, slot); err != nil {
			return err
		}
	}
	if *slot == nil {
		*slot = e.fresh(to)
	}
	(*slot).add(t, e.scratch, of)
	if lane != 0 {
		(*slot).keys[lane] = struct{}{}
	}
	return nil
}

// full reports whether the record in scratch does not fit into x.
func (e *encoder) full(x *payload) bool {
	return x != nil && (len(x.Ends) >= e.Limits.Records || len(x.Body)+len(e.scratch)+2 > e.Limits.Bytes)
}

// seal hands the payload to a sender; it blocks while all of them are busy.
func (e *encoder) seal(ctx context.Context, slot **payload) error {
	x := *slot
	if x == nil || x.Len() == 0 {
		return nil
	}
	*slot = nil
	e.largest = max(e.largest, len(x.Body)+len(x.Body)/32)
	var err error
	if x.weight, err = e.budget.Acquire(ctx, len(x.Body)); err != nil {
		return err
	}
	// To encode is quicker than to compress: without this every sender would hold a
	// payload in line for a processor.
	select {
	case e.raw <- struct{}{}:
		x.raw = true
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	to := e.any
	if x.lane != shared {
		to = e.lanes[x.lane]
	}
	select {
	case to <- x:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (e *encoder) sealAll(ctx context.Context) error {
	if err := e.seal(ctx, &e.open); err != nil {
		return err
	}
	for i := range e.laned {
		if err := e.sealLane(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// sealLane sends off the payloads of a lane, first records first.
func (e *encoder) sealLane(ctx context.Context, i int) error {
	if err := e.seal(ctx, &e.laned[i]); err != nil {
		return err
	}
	return e.seal(ctx, &e.second[i])
}
