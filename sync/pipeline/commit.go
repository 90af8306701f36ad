package pipeline

import (
	"context"
	"time"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// How long the last save may take after the run was cancelled.
const lastSave = 10 * time.Second

// commitLoop takes tickets in read order, waits for each, and saves progress:
// at most once every Every, and once at the end, also after failure or
// cancellation (parent's values, not its end, rule the last save). A failed
// save cancels the run.
func (p *pass) commitLoop(parent, ctx context.Context, cancel context.CancelCauseFunc) error {
	unsaved := false
	var position *warehouse.Position
	saved := time.Now()
	save := func(ctx context.Context) error {
		if !unsaved {
			return nil
		}
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
				last, stop := context.WithTimeout(context.WithoutCancel(parent), lastSave)
				failed = save(last)
				stop()
				if failed == nil {
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
			failed = save(ctx)
		}
	}
	if failed == nil {
		last, stop := context.WithTimeout(context.WithoutCancel(parent), lastSave)
		defer stop()
		failed = save(last)
	}
	if failed == errUnsettled {
		return nil // the run's cause tells why
	}
	return failed
}

type unsettled struct{}

func (unsettled) Error() string { return "a row was left unsettled" }

// errUnsettled marks the end of what can be saved; it never leaves the package.
var errUnsettled error = unsettled{}
