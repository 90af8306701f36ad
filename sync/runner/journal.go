package runner

import (
	"context"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/sync/checkpoint"
	"github.com/mixsync/mixsync/sync/pipeline"
)

// journal makes settled notes durable and keeps the tally of this attempt.
type journal struct {
	lease   *checkpoint.Lease // nil: count only (dry runs, --limit)
	run     *checkpoint.Run
	part    *checkpoint.Slice
	base    checkpoint.Counts // of earlier attempts at the slice
	tally   checkpoint.Counts // of this one
	judge   *judge
	meter   *meter
	free    chan *note
	unsaved *unsaved
	floor   *warehouse.Position // before the first reject of the slice; nil: none yet
	held    *warehouse.Position // as checkpoint.Slice.Held
	reached *string             // the greatest cursor settled
	kind    warehouse.Kind      // of the cursor

	pending checkpoint.Progress // settled and not saved
}

// Settle takes over what a note has gathered, and gives its memory back.
func (j *journal) Settle(x pipeline.Note) {
	n := x.(*note)
	n.settle()
	j.tally.Add(n.counts())
	p := &j.pending
	p.Ledger = append(p.Ledger, n.ledger...)
	p.Hashes = append(p.Hashes, n.hashes...)
	p.Rejects = append(p.Rejects, n.rejects...)
	p.Resolved = append(p.Resolved, n.resolved...)
	p.Seen = append(p.Seen, n.seen...)
	if len(n.rejects) > 0 && j.floor == nil {
		if j.floor = n.before; j.floor == nil {
			j.floor = &warehouse.Position{}
		}
		p.Floor = j.floor
	}
	if n.hold != nil && (j.held == nil || below(j.kind, n.hold, j.held)) {
		j.held, p.Held = n.hold, n.hold
	}
	if n.reached != nil {
		j.reached = n.reached
		p.Reached = n.reached
	}
	j.unsaved.remove(n)
	select {
	case j.free <- n:
	default:
	}
}

// Save keeps what was settled since the last time, in one transaction.
func (j *journal) Save(ctx context.Context, position *warehouse.Position) error {
	if j.lease != nil {
		j.pending.Position, j.pending.Counts = position, j.total()
		j.pending.Judged = j.judged()
		elsewhere, err := j.lease.Save(ctx, j.run, j.part, j.pending)
		if err != nil {
			return err
		}
		j.judge.hear(elsewhere)
		if position != nil {
			j.part.Position = position
		}
		j.part.Counts = j.pending.Counts
	}
	p := &j.pending
	clear(p.Rejects) // their payloads
	*p = checkpoint.Progress{Ledger: p.Ledger[:0], Hashes: p.Hashes[:0], Seen: p.Seen[:0], Rejects: p.Rejects[:0], Resolved: p.Resolved[:0]}
	return nil
}

// below reports whether a is before b by the cursor; empty is before all.
func below(kind warehouse.Kind, a, b *warehouse.Position) bool {
	if a.Cursor == nil || b.Cursor == nil {
		return a.Cursor == nil && b.Cursor != nil
	}
	x, err1 := warehouse.ParseCursor(kind, *a.Cursor)
	y, err2 := warehouse.ParseCursor(kind, *b.Cursor)
	return err1 == nil && err2 == nil && x.Before(y)
}

// attempt is the figures of this attempt so far.
func (j *journal) attempt() checkpoint.Counts {
	c := j.tally
	j.meter.into(&c)
	return c
}

// judged is what is settled of the slice since it was begun or put back. What the
// judge has seen beyond that is read again by the next attempt.
func (j *journal) judged() checkpoint.Tally {
	t := j.part.Judged
	t.Rows += j.tally.Rows
	t.Rejected += j.tally.Rejected
	t.Restated += j.tally.Restated
	return t
}

// total is the figures of all attempts at the slice.
func (j *journal) total() checkpoint.Counts {
	c := checkpoint.Counts{}
	c.Add(j.base)
	c.Add(j.attempt())
	return c
}
