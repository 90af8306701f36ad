package runner

import (
	"context"
	"encoding/json"
	"errors"
	"math"

	"github.com/mixsync/mixsync/connectors/mixpanel"
	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/mapping"
	"github.com/mixsync/mixsync/sync/checkpoint"
	"github.com/mixsync/mixsync/sync/pipeline"
)

// execute works on one run's window until it is done, or as far as it goes, and
// says so in the state and the report.
func (w *work) execute(ctx context.Context, run *checkpoint.Run) error {
	a, err := w.attempt(ctx, run)
	if err != nil {
		return err
	}
	err = a.do(ctx)
	w.report.RunID = run.ID
	addCounts(&w.report.Counts, a.journal.attempt())
	w.report.Slices.Total++
	if err == nil {
		w.report.Slices.Done++
	}
	stats := w.plan.Stats()
	w.report.Omitted, w.report.Truncated, w.report.Replaced = stats.NonFinite+stats.Misfits, stats.Truncated, stats.Replaced
	if w.opts.passing() {
		return err
	}
	// Also a run that was cancelled is written down.
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), finishTime)
	defer stop()
	if errors.Is(err, checkpoint.ErrFenced) {
		return err // it is no longer ours to write down
	}
	if stopped := (*Error)(nil); errors.As(err, &stopped) && stopped.Code == CodeTooManyRejects {
		err = errors.Join(err, a.showRejects(last))
	}
	if e := w.lease.Finish(last, run, a.outcome(err)); e != nil {
		err = errors.Join(err, e) // the first cause is the one that is told
	}
	return err
}

// attempt is one pass over what is left of a run's window.
type attempt struct {
	*work
	run     *checkpoint.Run
	encoder *encoder
	journal *journal
	live    *Live
}

func (w *work) attempt(ctx context.Context, run *checkpoint.Run) (*attempt, error) {
	free, open := make(chan *note, 64), &unsaved{}
	live := &Live{Sync: w.sync.Name, Project: w.sync.Project, kind: w.kind()}
	j := &judge{rejects: w.sync.MaxRejects, restates: w.sync.MaxRestated, accept: w.opts.AcceptMappingChange || w.opts.DryRun}
	if run.Floor != nil || run.Counts.Rejected == 0 { // not after a rewind: those rejects are to be judged anew
		j.rows.Store(run.Counts.Rows)
		j.rejected.Store(run.Counts.Rejected)
		j.restated.Store(run.Counts.Restated)
	}
	e := &encoder{
		plan: w.plan, sync: w.sync, target: w.target, run: run, memory: w.Store, judge: j, cursor: w.cursor,
		zone: math.MaxInt64, high: math.MinInt64, skip: run.Kind == checkpoint.Incremental,
		known: map[uint64]checkpoint.Entry{}, sent: map[uint64]uint64{}, overtaken: map[uint64]struct{}{}, free: free, unsaved: open, live: live, last: run.Position,
	}
	if run.Window.To != nil {
		if to, err := warehouse.ParseCursor(live.kind, *run.Window.To); err == nil {
			live.last.Store(to.Ticks)
		}
	}
	a := &attempt{work: w, run: run, encoder: e, live: live,
		journal: &journal{lease: w.lease, run: run, base: run.Counts, live: live, free: free, unsaved: open, kind: live.kind, floor: run.Floor, held: run.Held}}
	if w.opts.passing() {
		a.journal.lease = nil
	}
	if w.Store == nil {
		return a, nil
	}
	if err := a.remembering(ctx); err != nil {
		return nil, err
	}
	var err error
	e.open, err = w.Store.OpenRejectKeys(ctx, w.target.ID, maxOpenRejects)
	return a, err
}

// Rejects of so many rows are settled by themselves when the row is accepted
// later; beyond it is for `rejects drop`. Bounds memory, not the ledger.
const maxOpenRejects = 100_000

// remembering says which rows the ledger is to know, and which it knows.
func (a *attempt) remembering(ctx context.Context) error {
	e := a.encoder
	if a.cursor < 0 {
		e.hashes, e.touch = true, a.sync.DeleteGone
		var err error
		if e.touch {
			e.idents, err = a.Store.LacksIdent(ctx, a.target.ID)
		}
		return err
	}
	e.ledger = true
	high, _, ok, err := a.Store.LedgerHigh(ctx, a.target.ID)
	if err != nil {
		return err
	}
	if ok {
		e.high = high
	}
	switch {
	case a.run.Kind == checkpoint.Range:
		// A range is known only where the ledger is complete anyway.
		if a.target.LedgerFrom != nil {
			e.zone = *a.target.LedgerFrom
		}
	case a.sync.Spec.Future == mapping.HoldRow:
		e.zone = math.MinInt64 // the mark may have to stay anywhere
	case a.run.Window.To != nil:
		to, err := warehouse.ParseCursor(a.kind(), *a.run.Window.To)
		if err != nil {
			return err
		}
		e.zone = a.lookback(to).Ticks
	}
	return nil
}

// do reads what is left of the window and takes it to Mixpanel.
func (a *attempt) do(ctx context.Context) error {
	spec := a.readSpec()
	spec.From, spec.To, spec.Before = a.run.Window.From, a.run.Window.To, a.run.Window.Before
	spec.After, spec.Limit = a.run.Position, int(a.opts.Limit)
	reader, err := warehouse.NewReader(a.Driver, a.schema, spec)
	if err != nil {
		return err
	}
	defer reader.Close()
	if a.Watch != nil {
		a.Watch(a.live)
	}
	if err := a.pipe(ctx, reader, a.schema, a.encoder, a.journal); err != nil {
		return err
	}
	// Refusals of the last requests count as well.
	if err := a.encoder.judge.verdict(true); err != nil {
		return err
	}
	if a.sync.DeleteGone && a.cursor < 0 && !a.opts.passing() {
		return a.deleteGone(ctx)
	}
	return nil
}

func (a *attempt) pipe(ctx context.Context, source pipeline.Source, schema *warehouse.Schema, e pipeline.Encoder, j pipeline.Journal) error {
	run := &pipeline.Run{
		Source: source, Schema: schema, Encoder: e, Journal: j, Pacer: a.Pacer, Senders: a.Senders, Stop: a.Stop,
		Endpoint: endpoint(a.sync.Spec.Type),
		Judge:    func() error { return a.encoder.judge.verdict(false) },
		Hooks:    pipeline.Hooks{Read: a.live.read, Attempt: a.live.attempt, Saved: a.live.saved},
	}
	if a.opts.DryRun {
		run.Sink = nowhere{}
	} else {
		run.Sink = a.Sink(a.lease.Valid)
	}
	return run.Do(ctx)
}

func endpoint(t mapping.Type) mixpanel.Endpoint {
	switch t {
	case mapping.Group:
		return mixpanel.Groups
	case mapping.User:
		return mixpanel.Users
	}
	return mixpanel.Events
}

// nowhere is the sink of dry runs: it accepts and sends nothing.
type nowhere struct{}

func (nowhere) Send(_ context.Context, p *mixpanel.Payload) mixpanel.Outcome {
	return mixpanel.Outcome{Verdict: mixpanel.Settled, Accepted: p.Len()}
}

// So many of the rejects that stop a run are filed at most: enough to see why.
const maxShown = 1000

// showRejects files the rejects that a run was stopped for before their batches
// were settled. That moves nothing: the rows are read again, and a reject that
// is accepted then is settled.
func (a *attempt) showRejects(ctx context.Context) error {
	list := a.journal.unsaved.rejects(maxShown)
	if len(list) == 0 {
		return nil
	}
	return a.lease.Save(ctx, a.run, checkpoint.Progress{Rejects: list, Counts: a.journal.total()})
}

// outcome is what the state is to know of the attempt.
func (a *attempt) outcome(err error) checkpoint.Outcome {
	o := checkpoint.Outcome{Counts: a.journal.total(), Columns: a.schema.Names(), MarkAfter: a.markText()}
	switch {
	case err == nil:
		o.Status = checkpoint.Succeeded
		if o.Counts.Rejected > 0 {
			o.Status = checkpoint.Partial
		}
		a.moveMark(&o)
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
	o.Error, _ = json.Marshal(c)
	if c.Code == CodeTooManyRejects && a.journal.floor != nil {
		o.Rewind = a.journal.floor
	}
	return o
}

// moveMark says where the mark goes when the window is done: to its upper
// bound, which is the cursor of a row; not back; and not past a row that is held.
func (a *attempt) moveMark(o *checkpoint.Outcome) {
	if a.cursor < 0 || a.run.Kind == checkpoint.Range || a.run.Window.To == nil {
		return
	}
	kind := a.kind()
	to, err := warehouse.ParseCursor(kind, *a.run.Window.To)
	if err != nil {
		return
	}
	if held := a.journal.held; held != nil {
		if held.Cursor == nil {
			return
		}
		if to, err = warehouse.ParseCursor(kind, *held.Cursor); err != nil {
			return
		}
	}
	if m := a.target.Mark; m != nil {
		if old, err := warehouse.ParseCursor(kind, m.Text); err == nil && to.Before(old) {
			to = old
		}
	}
	text := to.Text(kind)
	o.Mark = &checkpoint.Mark{Kind: kind, Text: text}
	o.MarkAfter = &text
	from := a.lookback(to).Ticks
	if a.run.Window.From != nil {
		if start, err := warehouse.ParseCursor(kind, *a.run.Window.From); err == nil {
			from = max(from, start.Ticks)
		}
	}
	o.LedgerFrom = &from
}
