package runner

import (
	"context"
	"time"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/mapping"
	"github.com/mixsync/mixsync/sync/checkpoint"
)

// What Mixpanel takes of a project: so many records a second, or so many bytes of
// JSON, whichever is reached first.
// Source: developer.mixpanel.com, "Import Events", rate limits.
const (
	recordsPerSecond = 30_000
	bytesPerSecond   = 2 << 30 / 60.0
)

// Forecast is what a run would do. Rows whose fate is decided by what was sent
// before are read and encoded to tell; the others are only counted, so that a few
// of their records may turn out as rejects.
type Forecast struct {
	Sync    string `json:"sync"`
	Project string `json:"project"`
	Mode    string `json:"mode"`
	Resync  bool   `json:"resync"`
	Status  string `json:"status"` // planned, skipped (nothing new) or failed
	// Window is the part of the cursor that would be read; null: everything, or,
	// with no rows, nothing.
	Window *checkpoint.Window `json:"window"`
	Mark   *string            `json:"mark"`
	Rows   int64              `json:"rows"`
	Slices int                `json:"slices"`
	// Records that would be sent, at most.
	Records int64 `json:"records"`
	// BytesToScan is by the warehouse's own estimate; null where it makes none.
	BytesToScan *int64 `json:"bytes_to_scan"`
	// Seconds is the least time that Mixpanel's rate limit leaves for the records.
	Seconds      float64  `json:"seconds_at_rate_limit"`
	BilledEvents int64    `json:"billed_events"`
	Unfinished   string   `json:"unfinished_run,omitempty"` // the run that would be finished first
	Reason       string   `json:"reason,omitempty"`
	Notes        []string `json:"notes,omitempty"`
	Error        *Error   `json:"error"`
}

// Planned is the status of a forecast that there is.
const Planned = "planned"

// Forecast says what a run with these options would do. It changes nothing and
// sends nothing. It never returns nil; what went wrong is in the forecast.
func (r *Runner) Forecast(ctx context.Context, s Sync, o Options) *Forecast {
	f := &Forecast{Sync: s.Name, Project: s.Project, Mode: s.Mode, Resync: o.kind() != checkpoint.Incremental, Status: Planned}
	w := &work{Runner: r, sync: &s, opts: o, cursor: -1, report: &Report{Sync: s.Name, Project: s.Project, Mode: s.Mode}, stop: r.Stop}
	w.report.RejectCounts = map[string]int64{}
	if err := w.forecast(ctx, f); err != nil {
		f.Status, f.Error = Failed, Classify(err)
	}
	f.Notes = w.report.Notes
	f.Seconds = max(float64(f.Records)/recordsPerSecond, float64(f.Records)*w.averageSize(ctx)/bytesPerSecond)
	if s.Spec.Type == mapping.Event {
		f.BilledEvents = f.Records
	}
	return f
}

func (w *work) forecast(ctx context.Context, f *Forecast) error {
	if err := w.allowed(); err != nil {
		return err
	}
	same, err := w.unchanged(ctx)
	if err != nil {
		return err
	}
	if same {
		f.Status, f.Reason, f.Mark = Skipped, unchangedReason, w.markText()
		return nil
	}
	if err := w.prepare(ctx); err != nil {
		return err
	}
	w.target = &checkpoint.Target{Sync: w.sync.Name, Project: w.sync.Project}
	if w.Store != nil {
		if w.target, err = w.Store.Target(ctx, w.sync.Name, w.sync.Project); err != nil {
			return err
		}
	}
	f.Mark = w.markText()
	if err := w.mappingChanged(ctx); err != nil {
		return err
	}
	if w.cursor < 0 {
		return w.forecastAll(ctx, f)
	}
	return w.forecastWindow(ctx, f)
}

// forecastAll is for modes that read everything: what has changed is told by
// reading it.
func (w *work) forecastAll(ctx context.Context, f *Forecast) (err error) {
	f.Slices = 1
	if f.Resync {
		if f.Rows, err = warehouse.Count(ctx, w.Driver, w.sync.Source, nil, warehouse.Range{}, 0); err != nil {
			return err
		}
		f.Records = f.Rows
	} else if f.Rows, f.Records, err = w.rehearse(ctx, checkpoint.Window{}); err != nil {
		return err
	}
	if w.sync.DeleteGone {
		w.note("profiles whose rows are gone would be deleted; they are not counted here")
	}
	return w.forecastScan(ctx, f, w.readSpec())
}

func (w *work) forecastWindow(ctx context.Context, f *Forecast) error {
	left, err := w.leftOver(ctx)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return w.forecastRest(ctx, f, left)
	}
	window, err := w.window(ctx)
	if err != nil || window == nil {
		return err
	}
	f.Window = window
	parts, err := w.cut(ctx, w.opts.kind(), window)
	if err != nil {
		return err
	}
	f.Slices = len(parts)
	fresh := warehouse.Range{From: window.From, To: window.To, Before: window.Before}
	mark := w.target.Mark
	if w.opts.kind() != checkpoint.Incremental || mark != nil && !notAfter(mark.Kind, window.From, &mark.Text) {
		mark = nil // nothing is read again: not asked for, or cursor.start is beyond it
	}
	if mark != nil {
		// Up to the mark rows are read again, for late ones among them.
		again := *window
		again.To = &mark.Text
		if f.Rows, f.Records, err = w.rehearse(ctx, again); err != nil {
			return err
		}
		fresh.From = &mark.Text
	}
	rows, err := w.count(ctx, fresh)
	if err != nil {
		return err
	}
	if mark != nil {
		ties, err := w.count(ctx, warehouse.Range{From: &mark.Text, To: &mark.Text})
		if err != nil {
			return err
		}
		rows -= ties // they were read again
	}
	f.Rows, f.Records = f.Rows+rows, f.Records+rows
	spec := w.readSpec()
	spec.From, spec.To, spec.Before = window.From, window.To, window.Before
	return w.forecastScan(ctx, f, spec)
}

func (w *work) count(ctx context.Context, r warehouse.Range) (int64, error) {
	return warehouse.Count(ctx, w.Driver, w.sync.Source, &w.schema.Fields[w.cursor], r, 0)
}

// rehearse reads and encodes a window as a run would, and counts its rows and
// what would be sent of them. Nothing is sent and nothing saved.
func (w *work) rehearse(ctx context.Context, window checkpoint.Window) (rows, records int64, err error) {
	lenient := *w.sync
	lenient.MaxRejects = Threshold{Percent: 100, IsPercent: true}
	own := &work{
		Runner: w.Runner, sync: &lenient, opts: Options{DryRun: true}, schema: w.schema, plan: w.plan, cursor: w.cursor,
		target: w.target, stop: w.stop, now: w.now, live: w.live, report: &Report{},
	}
	run := &checkpoint.Run{TargetID: w.target.ID, Kind: checkpoint.Incremental, Window: window, CursorKind: w.kind()}
	err = own.slice(ctx, run, &checkpoint.Slice{N: 1, Total: 1, Last: true, Window: window}, &tools{plan: w.plan})
	return own.report.Rows, own.report.Accepted, err
}

// forecastScan adds what a read would scan.
func (w *work) forecastScan(ctx context.Context, f *Forecast, spec warehouse.ReadSpec) error {
	bytes, known, err := w.estimate(ctx, spec)
	if err != nil || !known {
		return err
	}
	if w.rescans {
		bytes *= int64(f.Slices)
	}
	if f.BytesToScan != nil {
		bytes += *f.BytesToScan
	}
	f.BytesToScan = &bytes
	return nil
}

// averageSize is how many bytes of JSON a record of the target had, by its last
// runs; 0 where that is not known.
func (w *work) averageSize(ctx context.Context) float64 {
	if w.Store == nil || w.target == nil || w.target.ID == 0 {
		return 0
	}
	runs, err := w.Store.Runs(ctx, checkpoint.RunFilter{TargetID: w.target.ID, Limit: 20})
	if err != nil {
		return 0
	}
	for _, r := range runs {
		if r.Counts.Sent > 0 {
			return float64(r.Counts.BytesJSON) / float64(r.Counts.Sent)
		}
	}
	return 0
}

// Took is the least time for the records.
func (f *Forecast) Took() time.Duration { return time.Duration(f.Seconds * float64(time.Second)) }
