package pipeline

import (
	"context"
	"errors"
	"time"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// How long a save may take that the end of the run does not interrupt.
const saveTime = 10 * time.Second

// commitLoop takes tickets in read order, waits for each, and saves progress:
// at most once every Every, and once at the end, also after failure or
// cancellation. A failed save cancels the run, but the run's end never makes a
// save fail: what is settled is to be kept, and why the run ended to be told.
func (p *pass) commitLoop(ctx context.Context, cancel context.CancelCauseFunc) error {
	unsaved := false
	var position *warehouse.Position
	saved := time.Now()
	save := func() error {
		if !unsaved {
			return nil
		}
		ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), saveTime)
		defer stop()
		if err := p.Journal.Save(ctx, position); err != nil {
			cancel(err)
			return err
		}
		if p.Hooks.Saved != nil {
			p.Hooks.Saved(position)
		}
		unsaved, saved = false, time.Now()
		return nil
	}
	var failed error
	for t := range p.window {
		if failed != nil {
			continue // drain, so that encode never waits for a loop that is gone
		}
		select {
		case <-t.done:
		case <-p.quiet:
			// Every sender has returned: what is not settled now never will be.
			select {
			case <-t.done:
			default:
				if failed = save(); failed == nil {
					failed = errUnsettled
				}
				continue
			}
		}
		p.Journal.Settle(t.note)
		unsaved = true
		if t.position != nil {
			position = t.position
		}
		if time.Since(saved) >= p.Every && ctx.Err() == nil {
			failed = save()
		}
	}
	if failed == nil {
		failed = save()
	}
	if errors.Is(failed, errUnsettled) {
		return nil // the run's cause tells why
	}
	return failed
}

// errUnsettled marks the end of what can be saved; it never leaves the package.
var errUnsettled = errors.New("a row was left unsettled")
