package runner

import (
	"context"
	"errors"
	"sync"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/mapping"
	"github.com/mixsync/mixsync/sync/checkpoint"
	"github.com/mixsync/mixsync/sync/pipeline"
	"github.com/mixsync/mixsync/sync/plan"
)

// cut divides a run's window into slices. What an incremental run reads again
// behind the mark is never cut: there a profile's late row and the newer one that
// was sent before must meet in one slice.
func (w *work) cut(ctx context.Context, kind string, window *checkpoint.Window) ([]checkpoint.Window, error) {
	whole := []checkpoint.Window{*window}
	if w.cursor < 0 || window.To == nil {
		return whole, nil
	}
	field := w.schema.Fields[w.cursor]
	from, to := window.From, window.To
	if from == nil {
		least, err := warehouse.MinCursor(ctx, w.Driver, w.sync.Source, field, nil, to)
		if err != nil {
			return nil, err
		}
		if from = least; from == nil {
			return whole, nil
		}
	}
	first, err1 := warehouse.ParseCursor(field.Kind, *from)
	last, err2 := warehouse.ParseCursor(field.Kind, *to)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	asked := w.sync.Cursor.slice()
	bounds, unit, err := plan.Bounds(field.Kind, first, last, asked, w.sync.Spec.Location, plan.AutoSlices)
	if err != nil {
		return nil, err
	}
	if unit != asked && asked != plan.Auto {
		w.note("cut by %s, since by %s the window would be too many slices", unit, asked)
	}
	if len(bounds) > 0 {
		again, err := w.scansAgain(ctx, window, bounds, field.Kind)
		if err != nil {
			return nil, err
		}
		if again && asked == plan.Auto {
			return whole, nil
		}
		if w.rescans = again; again {
			w.note("the warehouse scans the same data for every one of the %d slices: partition the table by the cursor, or leave it to slice: auto, which reads it once", len(bounds)+1)
		}
	}
	if len(bounds) > 0 && asked == plan.Auto {
		rows, err := warehouse.Count(ctx, w.Driver, w.sync.Source, &field, warehouse.Range{From: from, To: to}, plan.AutoSlices*sliceRows)
		if err != nil {
			return nil, err
		}
		if bounds, _, err = plan.Bounds(field.Kind, first, last, asked, w.sync.Spec.Location, int(rows/sliceRows)); err != nil {
			return nil, err
		}
	}
	var behind *warehouse.Cursor
	if kind == checkpoint.Incremental {
		behind = w.behind(field.Kind)
	}
	var list []checkpoint.Window
	next := checkpoint.Window{From: window.From, Writer: window.Writer}
	for _, b := range bounds {
		if behind != nil && !behind.Before(b) {
			continue
		}
		text := b.Text(field.Kind)
		if window.Before != nil {
			if end, err := warehouse.ParseCursor(field.Kind, *window.Before); err == nil && !b.Before(end) {
				break
			}
		}
		next.Before = &text
		list = append(list, next)
		next = checkpoint.Window{From: &text, Writer: window.Writer}
	}
	next.To, next.Before = window.To, window.Before
	return append(list, next), nil
}

// scansAgain reports whether a slice would scan nearly as much as the whole
// window, so that cutting multiplies what a warehouse bills by the bytes it
// scans. One that cannot tell beforehand does not bill so.
func (w *work) scansAgain(ctx context.Context, window *checkpoint.Window, bounds []warehouse.Cursor, kind warehouse.Kind) (bool, error) {
	spec := w.readSpec()
	spec.From, spec.To, spec.Before = window.From, window.To, window.Before
	all, known, err := w.estimate(ctx, spec)
	if err != nil || !known {
		return false, err
	}
	middle := len(bounds) / 2
	if middle > 0 {
		text := bounds[middle-1].Text(kind)
		spec.From = &text
	}
	text := bounds[middle].Text(kind)
	spec.To, spec.Before = nil, &text
	part, _, err := w.estimate(ctx, spec)
	return part >= all-all/10, err
}

// estimate asks how many bytes a read would scan; false: the warehouse cannot tell.
func (w *work) estimate(ctx context.Context, spec warehouse.ReadSpec) (int64, bool, error) {
	r, err := warehouse.NewReader(w.Driver, w.schema, spec)
	if err != nil {
		return 0, false, err
	}
	defer r.Close()
	return r.Estimate(ctx)
}

// What auto cuts has so many rows a slice, on the whole: a slice costs some 20 ms
// besides (a query, a drained pipeline), and of a Parquet file it may read more
// than its own rows. They are a few seconds at Mixpanel's rate, after which a
// waiting incremental run gets its turn.
const sliceRows = 100_000

// behind is the mark; nil without one.
func (w *work) behind(kind warehouse.Kind) *warehouse.Cursor {
	if w.target.Mark == nil || w.target.Mark.Kind != kind {
		return nil
	}
	mark, err := warehouse.ParseCursor(kind, w.target.Mark.Text)
	if err != nil {
		return nil
	}
	return &mark
}

// execute works on a run's slices until none is left, helped by whoever joins,
// and ends the run.
func (w *work) execute(ctx context.Context, run *checkpoint.Run) error {
	w.report.RunID, run.CursorKind = run.ID, w.kind()
	if w.opts.passing() {
		return w.slice(ctx, run, &checkpoint.Slice{RunID: run.ID, N: 1, Total: 1, Last: true, Window: run.Window}, &tools{plan: w.plan})
	}
	if err := w.lease.Share(ctx, run); err != nil {
		return err
	}
	if left := run.SlicesTotal - run.SlicesDone; w.Opened != nil && left > 1 && !w.sync.ordered() {
		w.Opened(run.ID, left)
	}
	return w.help(ctx, run)
}

// help works on the slices of a run as one of its members, and ends the run if
// it is there when the last slice is done.
func (w *work) help(ctx context.Context, run *checkpoint.Run) error {
	w.report.RunID = run.ID
	err := w.workers(ctx, run)
	if errors.Is(err, checkpoint.ErrOver) {
		return w.outcomeOf(ctx, run)
	}
	if errors.Is(err, errBudget) || errors.Is(err, checkpoint.ErrTurn) {
		w.tally(ctx, run)
		return err // it stays open for whoever comes next
	}
	if e := w.end(ctx, run, err); e != nil {
		return e
	}
	w.tally(ctx, run)
	return nil
}

// tally puts the run's slices into the report.
func (w *work) tally(ctx context.Context, run *checkpoint.Run) {
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), finishTime)
	defer stop()
	if now, err := w.Store.Run(last, run.ID); err == nil && now != nil {
		before := w.tallied[run.ID] // when it gave way to another run
		w.report.Slices.Done += now.SlicesDone - before.done
		w.report.Slices.Total += now.SlicesTotal - before.total
		if w.tallied == nil {
			w.tallied = map[string]progress{}
		}
		w.tallied[run.ID] = progress{now.SlicesDone, now.SlicesTotal}
	}
}

// outcomeOf reports how a run ended that another process ended.
func (w *work) outcomeOf(ctx context.Context, run *checkpoint.Run) error {
	w.tally(ctx, run)
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), finishTime)
	defer stop()
	ended, err := w.Store.Run(last, run.ID)
	if err != nil {
		return err
	}
	if fresh, err := w.Store.Target(last, w.sync.Name, w.sync.Project); err == nil {
		*w.target = *fresh
	}
	switch {
	case ended == nil || ended.Status == checkpoint.Succeeded:
		return nil
	case ended.Status == checkpoint.Partial:
		w.report.Status = Partial
		return nil
	}
	return errorOf(ended)
}

// workers claims slices and works on them, several at a time where their order
// does not matter. It returns nil when no slice is left to be done by anybody.
func (w *work) workers(ctx context.Context, run *checkpoint.Run) error {
	n := max(1, w.sync.Parallel)
	if w.sync.ordered() {
		n = 1
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	var mu sync.Mutex
	var first error
	for i := range n {
		group.Go(func() {
			if err := w.worker(ctx, run, i); err != nil {
				mu.Lock()
				defer mu.Unlock()
				if first == nil || errors.Is(first, checkpoint.ErrOver) {
					first = err
				}
				// Slices that others of this process are at would only come to the same end.
				if !errors.Is(err, errBudget) && !errors.Is(err, pipeline.ErrStopped) && !errors.Is(err, checkpoint.ErrTurn) {
					cancel(err)
				}
			}
		})
	}
	group.Wait()
	return first
}

// tools are what a worker takes from slice to slice: one encoder at a time uses a
// plan, one pass a memory.
type tools struct {
	plan   *mapping.Plan
	memory pipeline.Memory
}

func (w *work) worker(ctx context.Context, run *checkpoint.Run, i int) error {
	own := &tools{plan: w.plan}
	if i > 0 {
		var err error
		if own.plan, err = w.another(); err != nil {
			return err
		}
	}
	for {
		select {
		case <-w.stop:
			return w.stopped()
		default:
		}
		slice, err := w.lease.Claim(ctx, run, w.sync.ordered())
		switch {
		case errors.Is(err, checkpoint.ErrDone):
			return nil
		case errors.Is(err, checkpoint.ErrNone):
			if w.opts.Budget > 0 && w.opts.Join != "" {
				return errBudget // nothing to help with now
			}
			if err := w.pause(ctx, w.poll()); err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		}
		if err := w.slice(ctx, run, slice, own); err != nil {
			return err
		}
	}
}

// slice works on one slice. A fault of its own is filed with it, and the others
// go on; any other error ends the work of this process.
func (w *work) slice(ctx context.Context, run *checkpoint.Run, s *checkpoint.Slice, own *tools) error {
	a, err := w.attempt(ctx, run, s, own)
	if err == nil {
		err = a.do(ctx)
		w.sum(a)
	}
	if w.opts.passing() {
		if err == nil {
			w.report.Slices.Done++
		}
		w.report.Slices.Total++
		return err
	}
	// Also what a cancelled run has done is written down.
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), finishTime)
	defer stop()
	switch {
	case err == nil:
		return w.lease.Done(last, run, s, a.done())
	case errors.Is(err, checkpoint.ErrFenced), errors.Is(err, checkpoint.ErrOver):
		return err // it is no longer ours to write down
	case errors.Is(err, pipeline.ErrStopped):
		err = w.stopped()
	case ctx.Err() != nil: // cut off: no fault of the slice's
	case s.Total > 1 && ofSlice(err):
		return w.lease.FailSlice(last, run, s, errorJSON(sliceError(s, err)))
	}
	if stopped := (*Error)(nil); errors.As(err, &stopped) && stopped.Code == CodeTooManyRejects && a != nil {
		err = errors.Join(err, a.showRejects(last))
	}
	return errors.Join(err, w.lease.Yield(last, s))
}

// ofSlice reports whether an error is about the rows of a slice, so that other
// slices may well be done.
func ofSlice(err error) bool {
	switch Classify(err).Code {
	case CodeWarehouseQuery, CodeInternal:
		return true
	}
	return false
}

// sliceError names the slice that an error is about.
func sliceError(s *checkpoint.Slice, err error) *Error {
	e := *Classify(err)
	e.Message = "slice " + sliceName(s.Window) + ": " + e.Message
	return &e
}

// sliceName is a slice's bounds, as interval notation writes them.
func sliceName(w checkpoint.Window) string {
	name := "(-∞"
	if w.From != nil {
		name = "[" + *w.From
	}
	switch {
	case w.Before != nil:
		return name + ", " + *w.Before + ")"
	case w.To != nil:
		return name + ", " + *w.To + "]"
	}
	return name + ", ∞)"
}

// sum adds an attempt's figures to the report.
func (w *work) sum(a *attempt) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.report.Counts.Add(a.journal.attempt())
	stats := a.encoder.plan.Stats()
	if w.stats == nil {
		w.stats = map[*mapping.Plan]mapping.Stats{}
	}
	w.stats[a.encoder.plan] = stats
	w.report.Omitted, w.report.Truncated, w.report.Replaced = 0, 0, 0
	for _, s := range w.stats {
		w.report.Omitted += s.NonFinite + s.Misfits
		w.report.Truncated += s.Truncated
		w.report.Replaced += s.Replaced
	}
}
