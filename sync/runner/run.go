package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/mapping"
	"github.com/mixsync/mixsync/sync/checkpoint"
	"github.com/mixsync/mixsync/sync/pipeline"
	"github.com/mixsync/mixsync/sync/plan"
)

// Runner has what runs need. It is safe for concurrent use by runs of different
// targets that share a project's Sink and Pacer.
type Runner struct {
	Store  *checkpoint.Store // nil: no state yet, fit for dry runs only
	Driver warehouse.Driver
	// Sink makes the way to the project. No request of it may start when guard,
	// asked immediately before the first byte, returns an error.
	Sink  func(guard func() error) pipeline.Sink
	Pacer pipeline.Pacer
	// Backfill, if set, is the pacer of resyncs and ranges.
	Backfill pipeline.Pacer
	Senders  int
	// Stop, when closed, ends runs softly: what has been read is delivered and saved.
	Stop <-chan struct{}
	// Poll is how often a run that waits for another process looks again; half a
	// second when zero.
	Poll time.Duration
	// Opened, if set, is told of a run whose slices others may help with, before
	// the first of them is begun.
	Opened func(runID string, slices int)
	// Watch, if set, is given the live figures of each attempt as it begins.
	Watch func(*Live)
	// Note, if set, is told what the user should know while it happens.
	Note func(sync, project, note string)
}

// Finish may take this long after a run was cancelled.
const finishTime = 15 * time.Second

// Run does one run of one sync. It never returns nil; what went wrong is in the
// report.
func (r *Runner) Run(ctx context.Context, s Sync, o Options) *Report {
	if o.MaxRejects != nil {
		s.MaxRejects = *o.MaxRejects
	}
	w := &work{
		sync: &s, opts: o, cursor: -1,
		report: &Report{Sync: s.Name, Project: s.Project, Mode: s.Mode, Resync: o.kind() != checkpoint.Incremental, DryRun: o.DryRun, StartedAt: time.Now().UTC()},
	}
	w.report.RejectCounts = map[string]int64{}
	own := *r
	own.Driver = &warehouse.Metered{Driver: r.Driver, Used: w.used}
	w.Runner = &own
	err := w.do(ctx)
	w.report.FinishedAt = time.Now().UTC()
	w.conclude(err)
	if rep := w.report; rep.Status == Failed && rep.RunID == "" {
		rep.RunID = r.Refused(ctx, rep, o)
	}
	w.account(ctx)
	return w.report
}

// used adds a statement to the report.
func (w *work) used(u warehouse.Usage) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.report.Usage.Add(u)
}

// account adds the statements of this invocation to what the run came to.
func (w *work) account(ctx context.Context) {
	rep := w.report
	if w.Store == nil || rep.RunID == "" || w.opts.passing() {
		return
	}
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), finishTime)
	defer stop()
	if err := w.Store.Account(last, rep.RunID, rep.Usage); err != nil {
		w.note("what the run's queries came to could not be saved: %v", err)
	}
}

// Refused remembers a run that could not begin, for whoever asks later, and
// returns the id it has; "" where none is to be remembered.
func (r *Runner) Refused(ctx context.Context, rep *Report, o Options) string {
	if r.Store == nil || o.passing() || o.Join != "" || ctx.Err() != nil {
		return ""
	}
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), finishTime)
	defer stop()
	t, err := r.Store.Target(last, rep.Sync, rep.Project)
	if err != nil {
		return ""
	}
	run := &checkpoint.Run{ID: o.RunID, Kind: o.kind(), Error: errorJSON(rep.Error)}
	if t.Mark != nil {
		run.MarkBefore = &t.Mark.Text
	}
	if r.Store.Refuse(last, t, run) != nil {
		return ""
	}
	return run.ID
}

// progress counts the slices of a run.
type progress struct{ done, total int }

// work is one invocation of one sync.
type work struct {
	*Runner
	sync   *Sync
	opts   Options
	report *Report

	schema *warehouse.Schema
	plan   *mapping.Plan
	cursor int // of the cursor column; -1 without one

	target *checkpoint.Target
	lease  *checkpoint.Lease
	stop   <-chan struct{} // as Runner.Stop, and when the budget is spent
	now    time.Time       // what future and past are judged by
	// source identifies the configuration and the state of the table at the start of
	// the invocation; empty: not known. settled says that its window ends with the last
	// row there was: none was too young to be read. opened is the run that was begun
	// since: no row of it was read before the state was asked for.
	source  string
	settled bool
	opened  string
	again   bool // something is left that the next run asks for, whatever the table does
	rescans bool // each slice scans what the whole window does
	// yielded says that we have given way to an incremental run, and go on after it.
	yielded bool
	tallied map[string]progress // what the report has of each run

	mu    sync.Mutex // of what the workers of several slices add to: report and stats
	stats map[*mapping.Plan]mapping.Stats
	live  *Live
}

// kind is that of the cursor, Invalid without one.
func (w *work) kind() warehouse.Kind {
	if w.cursor < 0 {
		return warehouse.Invalid
	}
	return w.schema.Fields[w.cursor].Kind
}

// readSpec is a read of all rows.
func (w *work) readSpec() warehouse.ReadSpec {
	spec := warehouse.ReadSpec{Source: w.sync.Source, Keys: w.plan.KeyColumns(), InOrder: w.sync.ordered()}
	if w.cursor >= 0 {
		spec.Cursor = w.schema.Fields[w.cursor].Name
	}
	return spec
}

func (w *work) note(format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	w.report.Notes = append(w.report.Notes, s)
	if w.Note != nil {
		w.Note(w.sync.Name, w.sync.Project, s)
	}
}

// conclude turns the outcome into the report's status.
func (w *work) conclude(err error) {
	rep := w.report
	rep.Mark.After = rep.Mark.Before
	if w.target != nil && w.target.Mark != nil {
		rep.Mark.After = &w.target.Mark.Text
	}
	switch {
	case err == nil && rep.Status == Skipped: // it was not needed
	case err == nil && (rep.Rejected > 0 || rep.Status == Partial):
		rep.Status = Partial
	case err == nil:
		rep.Status = Succeeded
	case errors.Is(err, pipeline.ErrStopped) || errors.Is(err, context.Canceled):
		rep.Status = Interrupted
		rep.Error = errorf(CodeInterrupted, "run again to go on where it stopped", "interrupted; what was settled has been saved")
	case errors.Is(err, checkpoint.ErrHeld):
		rep.Status = Skipped
		rep.Error = Classify(err)
	default:
		rep.Status = Failed
		rep.Error = Classify(err)
	}
}

func (w *work) do(ctx context.Context) error {
	if err := w.allowed(); err != nil {
		return err
	}
	if same, err := w.unchanged(ctx); err != nil {
		return err
	} else if same {
		return w.skip(ctx)
	}
	if err := w.prepare(ctx); err != nil {
		return err
	}
	if w.opts.passing() || w.Store == nil {
		return w.peek(ctx)
	}
	var err error
	if w.target, err = w.Store.Target(ctx, w.sync.Name, w.sync.Project); err != nil {
		return err
	}
	stop, release := w.budget()
	defer release()
	w.stop = stop
	return w.hold(ctx, w.held)
}

// peek does what leaves no trace: a dry run, or a few rows.
func (w *work) peek(ctx context.Context) (err error) {
	w.target, w.stop = &checkpoint.Target{Sync: w.sync.Name, Project: w.sync.Project}, w.Stop
	if w.Store != nil {
		if w.target, err = w.Store.Target(ctx, w.sync.Name, w.sync.Project); err != nil {
			return err
		}
	}
	if w.opts.DryRun || w.Store == nil {
		return w.held(ctx)
	}
	return w.hold(ctx, w.held)
}

// held does what was asked for, with the target in hand.
func (w *work) held(ctx context.Context) error {
	if t := w.target; t.Mark != nil && w.report.Mark.Before == nil {
		w.report.Mark.Before = &t.Mark.Text
	}
	if id := cmp.Or(w.opts.RunID, w.opts.Join); id != "" {
		if over, err := w.over(ctx, id); over || err != nil {
			return err
		}
	}
	if w.target.Mark == nil {
		if err := w.noNullCursor(ctx); err != nil {
			return err
		}
	}
	w.newColumns()
	switch {
	case w.opts.Keys != nil:
		return w.retry(ctx)
	case w.opts.passing():
		return w.pass(ctx)
	case w.opts.ranged():
		return w.ranged(ctx)
	case w.opts.Resync:
		return w.resync(ctx)
	}
	return w.incremental(ctx)
}

// over reports whether the run of an id needs nothing more from us: it has ended,
// or it is one to help with and its helpers have all gone. What it came to goes
// into the report.
func (w *work) over(ctx context.Context, id string) (bool, error) {
	run, err := w.Store.Run(ctx, id)
	switch {
	case err != nil:
		return false, err
	case run == nil:
		return w.opts.Join != "", nil
	case run.Status == checkpoint.Running || run.Status == checkpoint.Failed || run.Status == checkpoint.Interrupted:
		return w.opts.Join != "", nil // whoever opened it takes it up
	}
	w.report.RunID = id
	return true, w.outcomeOf(ctx, run)
}

// newColumns tells once of columns that the last run did not see.
func (w *work) newColumns() {
	if len(w.target.Columns) == 0 {
		return
	}
	for _, name := range w.schema.Names() {
		if !slices.Contains(w.target.Columns, name) {
			w.note("column %q is new since the last run", name)
		}
	}
}

// allowed checks what was asked against what the sync permits.
func (w *work) allowed() error {
	switch o := w.opts; {
	case (o.Resync || o.ranged()) && w.sync.NoResync && !o.DryRun:
		return errorf(CodeUsage, "remove `resync: forbid` from the sync if this is really wanted",
			"%s may not be resynced: the configuration says `resync: forbid`", w.sync.Name)
	case o.ranged() && w.sync.Cursor == nil:
		return errorf(CodeUsage, "use --resync to send everything again",
			"%s has no cursor, so --start and --end bound nothing", w.sync.Name)
	}
	return nil
}

// another compiles the mapping once more, for one more encoder.
func (w *work) another() (*mapping.Plan, error) {
	own, err := mapping.Compile(w.sync.Spec, w.schema)
	if err != nil {
		return nil, err
	}
	own.SetNow(w.now)
	return own, nil
}

// prepare holds the configuration against the live schema. Nothing has been
// sent or saved when it fails.
func (w *work) prepare(ctx context.Context) (err error) {
	w.schema, err = warehouse.Describe(ctx, w.Driver, w.sync.Source)
	if err != nil {
		return err
	}
	var faults mapping.Faults
	w.plan, err = mapping.Compile(w.sync.Spec, w.schema)
	if err != nil && !errors.As(err, &faults) {
		return err
	}
	if c := w.sync.Cursor; c != nil {
		faults = append(faults, w.checkCursor(c)...)
	}
	if len(faults) > 0 {
		return faults
	}
	w.now = time.Now()
	w.plan.SetNow(w.now)
	w.live = &Live{Sync: w.sync.Name, Project: w.sync.Project, kind: w.kind()}
	return nil
}

func (w *work) checkCursor(c *Cursor) mapping.Faults {
	w.cursor = w.schema.Index(c.Column)
	if w.cursor < 0 {
		return mapping.Faults{{Path: "cursor.column", Message: fmt.Sprintf("no column %q in the source", c.Column),
			Hint: warehouse.Suggest(c.Column, w.schema.Names())}}
	}
	f := w.schema.Fields[w.cursor]
	if !f.Kind.IsCursor() {
		return mapping.Faults{{Path: "cursor.column", Message: fmt.Sprintf("column %q is a %s; a cursor is a timestamp, a date or an integer", c.Column, f.Type),
			Hint: "cast it in a query, or name another column"}}
	}
	c.Column = f.Name
	if f.Kind == warehouse.Int {
		if !c.LookbackSet {
			return mapping.Faults{{Path: "cursor.lookback", Message: fmt.Sprintf("the cursor %q is an integer and needs a lookback, as a count", c.Column),
				Hint: "lookback: 1000 reads the last 1000 values again; lookback: 0 only the ties at the mark"}}
		}
		if c.Lookback != 0 {
			return mapping.Faults{{Path: "cursor.lookback", Message: fmt.Sprintf("the cursor %q is an integer; its lookback is a count, not a duration", c.Column),
				Hint: "lookback: 1000"}}
		}
	} else if c.LookbackCount != 0 {
		return mapping.Faults{{Path: "cursor.lookback", Message: fmt.Sprintf("the cursor %q is a %s; its lookback is a duration", c.Column, f.Type),
			Hint: "lookback: 10m"}}
	}
	if f.Kind == warehouse.Date && !c.LookbackSet {
		c.Lookback = 24 * time.Hour
	}
	if err := plan.Check(f.Kind, c.slice()); err != nil {
		return mapping.Faults{{Path: "cursor.slice", Message: fmt.Sprintf("the cursor %q is a %s: %v", c.Column, f.Type, err), Hint: "leave slice out, or write slice: auto"}}
	}
	return nil
}

// noNullCursor refuses a first run over rows that no run would ever read.
func (w *work) noNullCursor(ctx context.Context) error {
	c := w.sync.Cursor
	if c == nil || c.AllowNull || w.schema.Fields[w.cursor].NotNull {
		return nil
	}
	null, err := warehouse.HasNullCursor(ctx, w.Driver, w.sync.Source, c.Column)
	if err != nil || !null {
		return err
	}
	return mapping.Faults{{Path: "cursor.column", Message: fmt.Sprintf("there are rows whose cursor %q is NULL: no run would ever read them", c.Column),
		Hint: "fill the column (COALESCE in a query), or leave them out knowingly with cursor: {null_rows: skip}"}}
}
