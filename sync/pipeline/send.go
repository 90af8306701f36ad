package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mixsync/mixsync/connectors/mixpanel"
)

// sendLoop delivers the payloads of its own lane and, between them, shared ones.
// One payload at a time: that is what keeps the records of a lane in order.
func (p *pass) sendLoop(ctx context.Context, i int) error {
	var lane chan *payload // nil never yields
	if i < len(p.lanes) {
		lane = p.lanes[i]
	}
	anyone := p.any
	for lane != nil || anyone != nil {
		var x *payload
		var ok bool
		select {
		case x, ok = <-lane:
			if !ok {
				lane = nil
				continue
			}
		case x, ok = <-anyone:
			if !ok {
				anyone = nil
				continue
			}
		}
		if err := p.deliver(ctx, x, 0, x.Len()); err != nil {
			return err // the ticket is never released: commit stops before it
		}
		p.packed(x)
		x.ticket.release()
		p.budget.Release(x.weight)
		p.recycle(x)
	}
	return nil
}

// packed makes room for another payload to be compressed.
func (p *pass) packed(x *payload) {
	if x.raw {
		x.raw = false
		<-p.raw
	}
}

// ErrUnclear says that Mixpanel's answers to a payload do not add up, twice.
var ErrUnclear = errors.New("the counts in mixpanel's answer do not add up, also when asked again")

// deliver brings records [i, j) of x to a known fate: stored, or refused and noted.
func (p *pass) deliver(ctx context.Context, x *payload, i, j int) error {
	part := x.Slice(i, j)
	part.Packed = func() { p.packed(x) }
	begun, unclear := time.Now(), 0
	for attempt := 1; ; attempt++ {
		o, err := p.attempt(ctx, part)
		if err != nil {
			return err
		}
		switch o.Verdict {
		case mixpanel.Settled:
			for _, f := range o.Refused {
				of := x.rows[i+f.Index]
				of.note.Refuse(of.row, x.Record(i+f.Index), f)
			}
			return nil
		case mixpanel.Split:
			if j-i == 1 {
				of := x.rows[i]
				of.note.Refuse(of.row, x.Record(i), mixpanel.Refusal{TooLarge: true, Message: o.Err.Error()})
				return nil
			}
			return p.deliverParts(ctx, x, i, j, o.Limit)
		case mixpanel.Bisect:
			if j-i == 1 {
				of := x.rows[i]
				of.note.Refuse(of.row, x.Record(i), mixpanel.Refusal{Message: o.Err.Error()})
				return nil
			}
			return p.deliverParts(ctx, x, i, j, 0)
		case mixpanel.Unclear:
			if unclear++; unclear > 1 {
				return fmt.Errorf("%w: %w", ErrUnclear, o.Err)
			}
		case mixpanel.Retry:
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err := p.Pacer.Wait(ctx, attempt, begun, &o); err != nil {
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				return err
			}
		case mixpanel.Halt:
			return o.Err
		}
	}
}

// attempt sends once, when the pacer gives leave.
func (p *pass) attempt(ctx context.Context, part *mixpanel.Payload) (mixpanel.Outcome, error) {
	if err := p.Pacer.Acquire(ctx); err != nil {
		if ctx.Err() != nil {
			return mixpanel.Outcome{}, context.Cause(ctx)
		}
		return mixpanel.Outcome{}, err
	}
	o := p.Sink.Send(ctx, part)
	p.Pacer.Release(&o)
	if p.Hooks.Attempt != nil {
		p.Hooks.Attempt(part, &o)
	}
	return o, nil
}

// deliverParts delivers records [i, j) in parts, in order: two halves, or as
// many as a known limit in bytes asks for.
func (p *pass) deliverParts(ctx context.Context, x *payload, i, j, limit int) error {
	if size := len(x.Slice(i, j).Body); limit <= 0 || limit >= size {
		limit = 0 // unknown, or it did not refuse by what we count: halve
	}
	for i < j {
		end := i + 1
		if limit > 0 {
			for end < j && len(x.Slice(i, end+1).Body) < limit {
				end++
			}
		} else {
			end = i + (j-i+1)/2
		}
		if err := p.deliver(ctx, x, i, end); err != nil {
			return err
		}
		if i = end; p.Judge != nil {
			if err := p.Judge(); err != nil {
				return err
			}
		}
	}
	return nil
}
