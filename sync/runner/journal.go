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
	base    checkpoint.Counts // of earlier attempts at the run
	tally   checkpoint.Counts // of this one
	live    *Live
	free    chan *note
	unsaved *unsaved
	floor   *warehouse.Position // before the first reject of the run; nil: none yet
	held    *warehouse.Position // as checkpoint.Run.Held
	kind    warehouse.Kind      // of the cursor

	pending checkpoint.Progress // settled and not saved
}

// Settle takes over what a note has gathered, and gives its memory back.
func (j *journal) Settle(x pipeline.Note) {
	n := x.(*note)
	n.settle()
	addCounts(&j.tally, n.counts())
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
		if err := j.lease.Save(ctx, j.run, j.pending); err != nil {
			return err
		}
		if position != nil {
			j.run.Position = position
		}
		j.run.Counts = j.pending.Counts
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
	j.live.into(&c)
	return c
}

// total is the figures of all attempts at the run.
func (j *journal) total() checkpoint.Counts {
	c := checkpoint.Counts{}
	addCounts(&c, j.base)
	addCounts(&c, j.attempt())
	return c
}
