package runner

import (
	"context"
	"time"

	"github.com/mixsync/mixsync/sync/checkpoint"
	"github.com/mixsync/mixsync/sync/pace"
)

const (
	// How often the processes that send to one project hear of each other, and
	// how soon a pause of ours is told.
	hearEvery = time.Second
	tellEvery = 100 * time.Millisecond
)

// Share keeps a project's limiter in step with those of the other processes
// that send to it, through the state, until ctx ends: all stand still when one
// was told to, and backfills stand behind the incremental runs of all. Faults of
// the state are left to the runs, which have more to lose by them.
func Share(ctx context.Context, store *checkpoint.Store, project string, l *pace.Limiter) {
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	var told, heard time.Time // the end of the newest pause that is in the state; the last look
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now()
		// Pauses of others come back to us from the limiter: only a later end is news.
		if paused := l.State().Paused; paused > 0 && now.Add(paused).Sub(told) > tellEvery {
			if store.Pause(ctx, project, paused) == nil {
				told = now.Add(paused)
			}
		}
		if now.Sub(heard) < hearEvery {
			continue
		}
		heard = now
		traffic, err := store.Traffic(ctx, project)
		if err != nil {
			continue
		}
		if traffic.Paused > 0 {
			until := time.Now().Add(traffic.Paused)
			told = later(told, until)
			l.Pause(until)
		}
		if traffic.Incremental > 0 {
			l.GiveWay(now.Add(3 * hearEvery))
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
