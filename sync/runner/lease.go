package runner

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/mixsync/mixsync/sync/checkpoint"
	"github.com/mixsync/mixsync/sync/pipeline"
)

const (
	// How often a run that waits for others looks again.
	pollEvery = 500 * time.Millisecond
	// So long another process may take to open its run before we give up: it
	// asks its warehouse for the bound meanwhile.
	openingTime = time.Minute
	// A wish for one's turn is renewed at every look, and forgotten so soon after
	// the last one.
	turnTime = 15 * time.Second
)

// errBudget says that the time that was given is spent: the rest is for later.
var errBudget = errors.New("the time given is spent")

// hold gets the right to work on the target, keeps it while fn does, and gives
// it back. Where another process is at the same kind of run, it helps with that
// run instead of calling fn.
func (w *work) hold(ctx context.Context, fn func(context.Context) error) error {
	for {
		run, err := w.take(ctx)
		if err != nil {
			return w.timely(err)
		}
		err = w.keep(ctx, func(ctx context.Context) error {
			if run != nil {
				return w.help(ctx, run)
			}
			return fn(ctx)
		})
		if !errors.Is(err, checkpoint.ErrTurn) || w.opts.Budget > 0 {
			return w.timely(err)
		}
		// An incremental run wants its turn: out of its way, and on afterwards.
		w.yielded = true
		if err := w.pause(ctx, 2*w.poll()); err != nil {
			return err
		}
	}
}

// timely turns the end of the budget, or of one's turn, into a report of what is left.
func (w *work) timely(err error) error {
	if errors.Is(err, errBudget) || errors.Is(err, checkpoint.ErrTurn) {
		w.report.Left = true
		return nil
	}
	return err
}

// keep renews the lease while fn works, and gives it back. A lease that is lost
// cancels fn.
func (w *work) keep(ctx context.Context, fn func(context.Context) error) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	var beat sync.WaitGroup
	beat.Go(func() {
		if err := w.lease.Keep(ctx); err != nil {
			cancel(err)
		}
	})
	defer func() {
		cancel(nil)
		beat.Wait()
		if e := w.lease.Release(); err == nil {
			err = e
		}
	}()
	return fn(ctx)
}

// take gets the lease: alone, or as a member of the run it returns.
func (w *work) take(ctx context.Context) (*checkpoint.Run, error) {
	since, wished := time.Now(), false
	defer func() {
		if wished {
			last, stop := context.WithTimeout(context.WithoutCancel(ctx), finishTime)
			defer stop()
			_ = w.Store.WantTurn(last, w.target, 0) // it is forgotten by itself otherwise
		}
	}()
	for {
		lease, err := w.Store.Acquire(ctx, w.target)
		if err == nil {
			w.lease = lease
			return nil, nil
		}
		var held *checkpoint.HeldError
		if !errors.As(err, &held) {
			return nil, err
		}
		switch {
		case held.RunID != "" && w.joins(held):
			run, err := w.join(ctx, held.RunID)
			if run != nil || err != nil {
				return run, err
			}
		case w.opts.Turn && w.opts.kind() == checkpoint.Incremental:
			wished = true
			if err := w.Store.WantTurn(ctx, w.target, turnTime); err != nil {
				return nil, err
			}
		case held.Alone && time.Since(since) < openingTime:
		case w.yielded: // it is at work
		default:
			return nil, err
		}
		if err := w.pause(ctx, w.poll()); err != nil {
			return nil, err
		}
	}
}

// joins reports whether the run that others are at is ours to help with.
func (w *work) joins(held *checkpoint.HeldError) bool {
	if o := w.opts; o.Join != "" || o.RunID != "" {
		return held.RunID == o.Join || held.RunID == o.RunID
	}
	return held.Kind == w.opts.kind() && !w.opts.passing() && w.opts.Keys == nil
}

// join becomes a member of a run that others are at; nil when it is over.
func (w *work) join(ctx context.Context, id string) (*checkpoint.Run, error) {
	run, err := w.Store.Run(ctx, id)
	if err != nil || run == nil {
		return nil, err
	}
	if run.Shape != w.shape(run.Kind) {
		return nil, errorf(CodeConfig, "give all processes the same configuration, or wait until that run has ended",
			"another process is at run %s of %s with another configuration of the sync", id, w.sync.Name)
	}
	if w.opts.ranged() {
		window, err := w.rangeWindow(ctx)
		if err != nil {
			return nil, err
		}
		if window == nil || !same(run.Window.From, window.From) || !same(run.Window.Before, window.Before) {
			return nil, &checkpoint.HeldError{Holder: "a run of another range", RunID: id, Kind: run.Kind}
		}
	}
	lease, err := w.Store.Join(ctx, w.target, id)
	switch {
	case errors.Is(err, checkpoint.ErrOver), errors.Is(err, checkpoint.ErrHeld):
		return nil, nil
	case err != nil:
		return nil, err
	}
	w.lease, run.CursorKind = lease, w.kind()
	// The others may have begun it with another configuration than ours.
	if err := w.mappingChanged(ctx); err != nil {
		return nil, errors.Join(err, lease.Release())
	}
	if t := w.target; t.Mark != nil && w.report.Mark.Before == nil {
		w.report.Mark.Before = &t.Mark.Text
	}
	return run, nil
}

// alone gets the target back for ourselves after a run that others may have
// shared: the last of them are about to go.
func (w *work) alone(ctx context.Context) error {
	for since := time.Now(); ; {
		err := w.lease.Alone(ctx)
		if !errors.Is(err, checkpoint.ErrHeld) || time.Since(since) > openingTime {
			return err
		}
		if err := w.pause(ctx, w.poll()); err != nil {
			return err
		}
	}
}

func (w *work) poll() time.Duration {
	if w.Poll > 0 {
		return w.Poll
	}
	return pollEvery
}

// pause waits, unless the run is to stop.
func (w *work) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-w.stop:
		return w.stopped()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// stopped says why the run stops softly.
func (w *work) stopped() error {
	select {
	case <-w.Stop:
		return pipeline.ErrStopped
	default:
		return errBudget
	}
}

// budget is the channel that ends the run softly: the runner's own, or when the
// time is spent.
func (w *work) budget() (<-chan struct{}, func()) {
	if w.opts.Budget == 0 {
		return w.Stop, func() {}
	}
	spent, quit := make(chan struct{}), make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		timer := time.NewTimer(w.opts.Budget)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-w.Stop:
		case <-quit:
			return
		}
		close(spent)
	})
	return spent, func() { close(quit); done.Wait() }
}
