package runner

import (
	"context"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/sync/checkpoint"
	"github.com/mixsync/mixsync/sync/pipeline"
)

// journal makes settled notes durable, in one transaction a save, and keeps the
// tally of this attempt.
type journal struct {
	lease   *checkpoint.Lease // nil: count only (dry runs, --limit)
	run     *checkpoint.Run
	base    checkpoint.Counts // of earlier attempts at the run
	tally   checkpoint.Counts // of this one
	live    *Live
	free    chan *note
	unsaved *unsaved
	floor   *warehouse.Position // before the first reject of the run; nil: none yet
}

func (j *journal) Save(ctx context.Context, notes []pipeline.Note, position *warehouse.Position) error {
	p := checkpoint.Progress{Position: position}
	var seen []uint64
	for _, x := range notes {
		n := x.(*note)
		n.settle()
		addCounts(&j.tally, n.counts())
		p.Ledger = append(p.Ledger, n.ledger...)
		p.Hashes = append(p.Hashes, n.hashes...)
		p.Rejects = append(p.Rejects, n.rejects...)
		p.Resolved = append(p.Resolved, n.resolved...)
		seen = append(seen, n.seen...)
		if len(n.rejects) > 0 && j.floor == nil {
			j.floor = n.before
			if j.floor == nil {
				j.floor = &warehouse.Position{}
			}
			p.Floor = j.floor
		}
	}
	if j.lease != nil {
		p.Counts = j.total()
		if err := j.lease.Save(ctx, j.run, p); err != nil {
			return err
		}
		if len(seen) > 0 {
			if err := j.lease.TouchHashes(ctx, j.run, seen); err != nil {
				return err
			}
		}
		if position != nil {
			j.run.Position = position
		}
		j.run.Counts = p.Counts
	}
	for _, x := range notes {
		j.unsaved.remove(x.(*note))
		select {
		case j.free <- x.(*note):
		default:
		}
	}
	return nil
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
