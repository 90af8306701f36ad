package runner

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/mixsync/mixsync/mapping"
	"github.com/mixsync/mixsync/sync/checkpoint"
)

// incremental finishes what earlier runs left, then opens a new window.
func (w *work) incremental(ctx context.Context) error {
	if err := w.mappingChanged(ctx); err != nil {
		return err
	}
	kinds := []string{checkpoint.Incremental, checkpoint.Resync}
	if w.opts.Turn {
		kinds = kinds[:1] // the resync goes on after us
	}
	left, err := w.unfinished(ctx, kinds...)
	if err != nil {
		return err
	}
	for _, run := range left {
		w.note("finishing the window of run %s first", run.ID)
		if err := w.resume(ctx, run); err != nil || run.ID == w.opts.RunID {
			return err
		}
		if err := w.alone(ctx); err != nil {
			return err
		}
	}
	window := &checkpoint.Window{}
	if w.cursor >= 0 {
		if window, err = w.nextWindow(ctx); err != nil {
			return err
		}
	}
	return w.begin(ctx, checkpoint.Incremental, window)
}

// resync reads everything again; an interrupted one is gone on with.
func (w *work) resync(ctx context.Context) error {
	if err := w.mappingChanged(ctx); err != nil {
		return err
	}
	left, err := w.unfinished(ctx, checkpoint.Resync)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		w.note("going on with the resync of run %s", left[0].ID)
		return w.resume(ctx, left[0])
	}
	// The window of an unfinished incremental run lies within this one.
	if run, err := w.lease.Unfinished(ctx, checkpoint.Incremental); err != nil {
		return err
	} else if run != nil {
		if err := w.lease.Abandon(ctx, run.ID, because("a resync reads its window")); err != nil {
			return err
		}
	}
	window := &checkpoint.Window{}
	if w.cursor >= 0 {
		if window, err = w.resyncWindow(ctx); err != nil {
			return err
		}
	} else if err := w.lease.ClearHashes(ctx); err != nil {
		return err
	}
	return w.begin(ctx, checkpoint.Resync, window)
}

// ranged sends a range again; the mark stays.
func (w *work) ranged(ctx context.Context) error {
	if err := w.mappingChanged(ctx); err != nil {
		return err
	}
	window, err := w.rangeWindow(ctx)
	if err != nil {
		return err
	}
	left, err := w.unfinished(ctx, checkpoint.Range)
	if err != nil {
		return err
	}
	for _, run := range left {
		if window != nil && same(run.Window.From, window.From) && same(run.Window.Before, window.Before) {
			return w.resume(ctx, run)
		}
		if err := w.clear(ctx, run, "another range was asked for"); err != nil {
			return err
		}
	}
	return w.begin(ctx, checkpoint.Range, window)
}

// clear makes room for another range: one that only waits to be gone on with is
// finished first, one that has failed, or that was a few rejects, is given up.
func (w *work) clear(ctx context.Context, run *checkpoint.Run, reason string) error {
	rows := run.Window.From != nil || run.Window.To != nil || run.Window.Before != nil
	if !rows || run.Status == checkpoint.Failed {
		return w.lease.Abandon(ctx, run.ID, because(reason))
	}
	w.note("finishing the range of run %s first", run.ID)
	keys := w.opts.Keys
	w.opts.Keys = nil // they are not of its rows
	defer func() { w.opts.Keys = keys }()
	if err := w.resume(ctx, run); err != nil {
		return err
	}
	return w.alone(ctx)
}

// pass does a dry run, or sends the first few rows: no trace is left.
func (w *work) pass(ctx context.Context) error {
	if err := w.mappingChanged(ctx); err != nil && !w.opts.DryRun {
		return err
	} else if err != nil {
		w.note("%s", err)
	}
	window, err := w.window(ctx)
	if err != nil || window == nil {
		return err
	}
	if w.opts.Limit > 0 && !w.opts.DryRun {
		w.note("--limit sends rows without moving the mark: they will go again with the next run")
	}
	kind := checkpoint.Incremental
	if w.opts.Resync || w.opts.ranged() {
		kind = checkpoint.Resync
	}
	return w.execute(ctx, &checkpoint.Run{TargetID: w.target.ID, Kind: kind, Window: *window})
}

// window is what a new run with these options reads; nil: there is no row to read.
func (w *work) window(ctx context.Context) (*checkpoint.Window, error) {
	switch {
	case w.cursor < 0:
		return &checkpoint.Window{}, nil
	case w.opts.ranged():
		return w.rangeWindow(ctx)
	case w.opts.Resync:
		return w.resyncWindow(ctx)
	}
	return w.nextWindow(ctx)
}

// begin opens a run over the window; nil means that there is no row to read.
func (w *work) begin(ctx context.Context, kind string, window *checkpoint.Window) error {
	empty := window == nil
	if empty {
		window = &checkpoint.Window{}
	}
	run := &checkpoint.Run{
		ID: w.opts.RunID, TargetID: w.target.ID, Kind: kind, Window: *window,
		Shape: w.shape(kind), Fingerprint: w.plan.Fingerprint(), MarkBefore: w.markText(),
	}
	var slices []checkpoint.Window
	if !empty {
		var err error
		if slices, err = w.cut(ctx, kind, window); err != nil {
			return err
		}
	}
	if err := w.lease.Begin(ctx, run, slices); err != nil {
		return err
	}
	w.opened = run.ID
	if empty {
		w.report.RunID = run.ID
		return w.lease.Finish(ctx, run, checkpoint.Outcome{Status: checkpoint.Succeeded, Columns: w.schema.Names(), MarkAfter: w.markText(),
			Source: w.readToTheEnd(run, nil)})
	}
	return w.execute(ctx, run)
}

// resume takes up a run that an earlier invocation left unfinished.
func (w *work) resume(ctx context.Context, run *checkpoint.Run) error {
	w.report.Resumed = true
	run.Fingerprint = w.plan.Fingerprint()
	if err := w.lease.Begin(ctx, run, nil); err != nil {
		return err
	}
	return w.execute(ctx, run)
}

func (w *work) markText() *string {
	if w.target.Mark == nil {
		return nil
	}
	return &w.target.Mark.Text
}

// unfinished lists the runs of the kinds that wait to be finished, oldest first.
// One whose positions mean nothing any more is given up: a new window covers it.
func (w *work) unfinished(ctx context.Context, kinds ...string) ([]*checkpoint.Run, error) {
	var left []*checkpoint.Run
	for _, kind := range kinds {
		run, err := w.lease.Unfinished(ctx, kind)
		if err != nil {
			return nil, err
		}
		switch {
		case run == nil:
		case run.Shape != w.shape(kind):
			w.note("the source, cursor, key or mapping of %s changed: run %s is given up and its window read anew", w.sync.Name, run.ID)
			if err := w.lease.Abandon(ctx, run.ID, because("the sync was changed")); err != nil {
				return nil, err
			}
			if kind == checkpoint.Resync && !w.opts.Resync {
				w.note("the unfinished resync was given up with it: run --resync again")
			}
		default:
			left = append(left, run)
		}
	}
	slices.SortFunc(left, func(a, b *checkpoint.Run) int { return a.StartedAt.Compare(b.StartedAt) })
	return left, nil
}

// shape identifies what a run's window and positions depend on. A resync starts
// over when anything of the mapping changed, since what it has sent is outdated.
func (w *work) shape(kind string) string {
	s := struct {
		Source, Cursor any
		Keys           []string
		Plan           any
		Fingerprint    json.RawMessage
	}{Source: w.sync.Source, Keys: w.plan.KeyColumns()}
	if w.cursor >= 0 {
		s.Cursor = w.schema.Fields[w.cursor]
	}
	if kind == checkpoint.Resync {
		s.Plan, s.Fingerprint = w.plan.Properties(), w.plan.Fingerprint()
	}
	text, err := json.Marshal(s)
	if err != nil {
		panic("runner: the shape of a sync is not JSON: " + err.Error())
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// mappingChanged stops a run that would send rows again under another identity.
// It comes before anything is given up: the change may be undone.
func (w *work) mappingChanged(ctx context.Context) error {
	if len(w.target.Fingerprint) == 0 || w.opts.AcceptMappingChange {
		return nil
	}
	changes := mapping.DiffFingerprint(w.target.Fingerprint, w.plan.Fingerprint())
	if len(changes) == 0 {
		return nil
	}
	if sent, err := w.mayHaveSent(ctx); err != nil || !sent {
		return err
	}
	what := "the rows behind the mark"
	switch {
	case w.opts.Resync:
		what = "every row that was sent before"
	case w.opts.ranged():
		what = "the rows of the range that were sent before"
	case w.target.Mark != nil && w.cursor >= 0:
		what = "the rows from the lookback before the mark (" + w.target.Mark.Text + ") on"
	}
	return errorf(CodeMappingChanged,
		"undo the change, or accept the duplicates with --accept-mapping-change",
		"the mapping of %s changed in what Mixpanel tells duplicates by, so %s would be stored a second time: %s", w.sync.Name, what, strings.Join(changes, "; "))
}

// mayHaveSent reports whether records of the target may be at Mixpanel: some are
// known to be, or a run was killed before it could say.
func (w *work) mayHaveSent(ctx context.Context) (bool, error) {
	if w.target.Sent || w.lease == nil {
		return w.target.Sent, nil
	}
	for _, kind := range []string{checkpoint.Incremental, checkpoint.Resync, checkpoint.Range} {
		if run, err := w.lease.Unfinished(ctx, kind); err != nil || run != nil && run.Status == checkpoint.Running {
			return true, err
		}
	}
	return false, nil
}

func because(reason string) json.RawMessage {
	return errorJSON(errorf(CodeInterrupted, "nothing is to be done: its rows are read by a later run", "given up: %s", reason))
}

func errorJSON(e *Error) json.RawMessage {
	b, _ := json.Marshal(e)
	return b
}

// errorOf is the error that a run was left with.
func errorOf(run *checkpoint.Run) *Error {
	e := &Error{}
	if json.Unmarshal(run.Error, e) != nil || e.Code == "" {
		return errorf(CodeInternal, "see `mixsync status --runs`", "run %s ended as %s", run.ID, run.Status)
	}
	e.Err = errors.New(e.Message)
	return e
}

func same(a, b *string) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}
