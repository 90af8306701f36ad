package runner

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/sync/checkpoint"
	"github.com/mixsync/mixsync/sync/pipeline"
)

// end writes down how a run ends, here or in whichever process came first. err
// is what ended the work of this process; nil: no slice is left to be done. It
// returns what the run came to.
func (w *work) end(ctx context.Context, run *checkpoint.Run, err error) error {
	if errors.Is(err, checkpoint.ErrFenced) {
		return err // it is no longer ours to write down
	}
	// Also a run that was cancelled is written down.
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), finishTime)
	defer stop()
	var parts []checkpoint.Slice
	if err == nil {
		if parts, err = w.Store.Slices(last, run.ID); err == nil {
			err = w.judgeAll(parts)
		}
	}
	outcome := w.outcome(run, parts, err)
	switch e := w.lease.Finish(last, run, outcome); {
	case errors.Is(e, checkpoint.ErrOver):
		if err == nil {
			return w.outcomeOf(ctx, run)
		}
	case e != nil:
		err = errors.Join(err, e) // the first cause is the one that is told
	}
	return err
}

// judgeAll is the last word on a run all of whose slices have ended.
func (w *work) judgeAll(parts []checkpoint.Slice) error {
	whole := &checkpoint.Slice{}
	for _, s := range parts {
		if s.Status == checkpoint.SliceFailed {
			e := &Error{}
			if json.Unmarshal(s.Error, e) != nil || e.Code == "" {
				e = errorf(CodeInternal, "", "slice %s failed", sliceName(s.Window))
			}
			e.Err = errors.New(e.Message)
			return e
		}
		whole.Judged.Rows += s.Judged.Rows
		whole.Judged.Rejected += s.Judged.Rejected
		whole.Judged.Restated += s.Judged.Restated
		whole.Counts.Add(s.Counts)
	}
	j := newJudge(w.sync, whole, w.opts.AcceptMappingChange)
	j.codes = whole.Counts.RejectCounts
	return j.verdict(true)
}

// outcome is what the state is to know of a run's end.
func (w *work) outcome(run *checkpoint.Run, parts []checkpoint.Slice, err error) checkpoint.Outcome {
	o := checkpoint.Outcome{Columns: w.schema.Names(), MarkAfter: w.markText()}
	switch {
	case err == nil:
		o.Status = checkpoint.Succeeded
		for _, s := range parts {
			if s.Counts.Rejected > 0 {
				o.Status = checkpoint.Partial
			}
		}
		w.moveMark(run, parts, &o)
		o.Source = w.readToTheEnd(run, parts)
		return o
	case errors.Is(err, pipeline.ErrStopped) || errors.Is(err, context.Canceled):
		o.Status = checkpoint.Interrupted
	default:
		o.Status = checkpoint.Failed
	}
	c := Classify(err)
	if o.Status == checkpoint.Interrupted {
		c = errorf(CodeInterrupted, "run again to go on where it stopped", "interrupted")
	}
	o.Error = errorJSON(c)
	o.Rewind = c.Code == CodeTooManyRejects
	return o
}

// moveMark says where the mark goes when the window is done: to its upper
// bound, which is the cursor of a row; not back; and not past a row that is held.
func (w *work) moveMark(run *checkpoint.Run, parts []checkpoint.Slice, o *checkpoint.Outcome) {
	if w.cursor < 0 || run.Kind == checkpoint.Range || run.Window.To == nil {
		return
	}
	kind := w.kind()
	to, err := warehouse.ParseCursor(kind, *run.Window.To)
	if err != nil {
		return
	}
	var held *warehouse.Position
	for _, s := range parts {
		if s.Held != nil && (held == nil || below(kind, s.Held, held)) {
			held = s.Held
		}
	}
	if held != nil {
		if held.Cursor == nil {
			return
		}
		if to, err = warehouse.ParseCursor(kind, *held.Cursor); err != nil {
			return
		}
	}
	if m := w.target.Mark; m != nil {
		if old, err := warehouse.ParseCursor(kind, m.Text); err == nil && to.Before(old) {
			to = old
		}
	}
	text := to.Text(kind)
	o.Mark = &checkpoint.Mark{Kind: kind, Text: text}
	o.MarkAfter = &text
	from := w.lookback(to).Ticks
	if run.Window.From != nil {
		if start, err := warehouse.ParseCursor(kind, *run.Window.From); err == nil {
			from = max(from, start.Ticks)
		}
	}
	o.LedgerFrom = &from
}
