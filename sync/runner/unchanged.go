package runner

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/sync/checkpoint"
)

// unchangedReason is why a run was skipped.
const unchangedReason = "the table has not changed since the last complete run"

// unchanged reports whether the last run has read everything that the source
// holds now, by what the warehouse knows without reading it or waking up. It comes
// before any query: a warehouse that sleeps goes on sleeping.
//
// The state of the source is kept by the run that reads it to its end: its
// configuration, and what the warehouse tells states of the table apart by.
func (w *work) unchanged(ctx context.Context) (bool, error) {
	if !w.sync.SkipUnchanged || w.Store == nil || w.opts.passing() || w.opts.ranged() || w.opts.Keys != nil || w.opts.Join != "" {
		return false, nil
	}
	state, err := warehouse.LastChange(ctx, w.Driver, w.sync.Source)
	if err != nil || state == "" {
		return false, ctx.Err() // what is wrong, if anything, the first query tells better
	}
	w.source = w.configured() + ":" + state
	if w.opts.Resync {
		return false, nil
	}
	t, err := w.Store.Target(ctx, w.sync.Name, w.sync.Project)
	if err != nil || t.Source != w.source {
		return false, err
	}
	if left, err := w.Store.HasUnfinished(ctx, t.ID); err != nil || left {
		return false, err
	}
	w.target = t
	return true, nil
}

// skip ends a run that is not needed.
func (w *work) skip(ctx context.Context) error {
	run := &checkpoint.Run{ID: w.opts.RunID, Kind: checkpoint.Incremental, Reason: unchangedReason, MarkBefore: w.markText()}
	w.report.Mark.Before = run.MarkBefore
	if err := w.Store.Skip(ctx, w.target, run); err != nil {
		return err
	}
	w.report.RunID, w.report.Status, w.report.Reason = run.ID, Skipped, run.Reason
	return nil
}

// configured identifies what of the configuration decides which records come of
// a table. The project's token is none of it: a new one sends nothing anew.
func (w *work) configured() string {
	spec := w.sync.Spec
	spec.Token = ""
	zone := ""
	if spec.Location != nil {
		zone = spec.Location.String()
	}
	text, err := json.Marshal(struct {
		Source any
		Mode   string
		Cursor *Cursor
		Spec   any
		Zone   string
		Gone   bool
	}{w.sync.Source, w.sync.Mode, w.sync.Cursor, spec, zone, w.sync.DeleteGone})
	if err != nil {
		panic("runner: a sync's configuration is not JSON: " + err.Error())
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// readToTheEnd is what to remember of a run that is complete: the state of the
// source, if the run has left no row of it for later. What another invocation began,
// and we took up or helped with, may have been read before the state became this one.
func (w *work) readToTheEnd(run *checkpoint.Run, parts []checkpoint.Slice) string {
	if run.ID != w.opened || w.again || w.cursor >= 0 && !w.settled {
		return ""
	}
	for _, s := range parts {
		if s.Counts.Held > 0 || s.Counts.Waiting > 0 {
			return ""
		}
	}
	return w.source
}
