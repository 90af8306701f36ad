package runner

import (
	"context"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/sync/checkpoint"
)

// leftOver lists the unfinished runs that a run with these options would finish.
func (w *work) leftOver(ctx context.Context) ([]*checkpoint.Run, error) {
	kinds := []string{w.opts.kind()}
	switch {
	case w.Store == nil || w.opts.ranged():
		return nil, nil
	case !w.opts.Resync:
		kinds = append(kinds, checkpoint.Resync)
	}
	var left []*checkpoint.Run
	for _, kind := range kinds {
		run, err := w.Store.LeftOver(ctx, w.target.ID, kind)
		if err != nil {
			return nil, err
		}
		if run != nil && run.Shape == w.shape(kind) { // another one would be given up
			left = append(left, run)
		}
	}
	return left, nil
}

// forecastRest is for runs that were left unfinished: what is left of them, and
// what an incremental run then reads: the lookback again, and what has come since.
func (w *work) forecastRest(ctx context.Context, f *Forecast, left []*checkpoint.Run) error {
	var last *string // the mark when they are finished
	if w.target.Mark != nil {
		last = &w.target.Mark.Text
	}
	for _, run := range left {
		f.Unfinished, f.Window = run.ID, &run.Window
		if err := w.forecastSlices(ctx, f, run); err != nil {
			return err
		}
		if to := run.Window.To; to != nil && (last == nil || !notAfter(w.kind(), to, last)) {
			last = to
		}
	}
	f.Records = f.Rows
	if last == nil || w.opts.Resync {
		return nil
	}
	at, err := warehouse.ParseCursor(w.kind(), *last)
	if err != nil {
		return err
	}
	bound, _, err := w.bound(ctx, last)
	if err != nil {
		return err
	}
	if bound == nil {
		bound = last
	}
	back := w.lookback(at).Text(w.kind())
	again, err := w.count(ctx, warehouse.Range{From: &back, To: last})
	if err != nil {
		return err
	}
	all, err := w.count(ctx, warehouse.Range{From: &back, To: bound})
	if err != nil {
		return err
	}
	f.Slices++
	f.Rows += all
	f.Records += all - again
	spec := w.readSpec()
	spec.From, spec.To = &back, bound
	return w.forecastScan(ctx, f, spec)
}

// forecastSlices adds what is left of a run.
func (w *work) forecastSlices(ctx context.Context, f *Forecast, run *checkpoint.Run) error {
	parts, err := w.Store.Slices(ctx, run.ID)
	if err != nil {
		return err
	}
	for _, s := range parts {
		if s.Status == checkpoint.SliceDone {
			continue
		}
		spec := w.readSpec()
		spec.From, spec.To, spec.Before = s.Window.From, s.Window.To, s.Window.Before
		if s.Position != nil && s.Position.Cursor != nil {
			spec.From = s.Position.Cursor
		}
		n, err := w.count(ctx, warehouse.Range{From: spec.From, To: spec.To, Before: spec.Before})
		if err != nil {
			return err
		}
		f.Slices++
		f.Rows += n
		if err := w.forecastScan(ctx, f, spec); err != nil {
			return err
		}
	}
	return nil
}
