package runner

import (
	"context"
	"math"

	"github.com/mixsync/mixsync/connectors/mixpanel"
	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/mapping"
	"github.com/mixsync/mixsync/sync/checkpoint"
	"github.com/mixsync/mixsync/sync/pipeline"
)

// attempt is one pass over what is left of a slice.
type attempt struct {
	*work
	run     *checkpoint.Run
	part    *checkpoint.Slice
	encoder *encoder
	journal *journal
	meter   *meter
}

func (w *work) attempt(ctx context.Context, run *checkpoint.Run, s *checkpoint.Slice, own *mapping.Plan) (*attempt, error) {
	if s.Position == nil { // from its start, whatever was counted before
		s.Counts, s.Judged = checkpoint.Counts{}, checkpoint.Tally{}
	}
	free, open := make(chan *note, 64), &unsaved{}
	m := &meter{live: w.live}
	j := newJudge(w.sync, s, w.opts.AcceptMappingChange || w.opts.DryRun)
	e := &encoder{
		plan: own, sync: w.sync, target: w.target, run: run, memory: w.Store, judge: j, cursor: w.cursor,
		zone: math.MaxInt64, high: math.MinInt64, skip: run.Kind == checkpoint.Incremental,
		known: map[uint64]checkpoint.Entry{}, sent: map[uint64]uint64{}, overtaken: map[uint64]struct{}{}, free: free, unsaved: open, live: w.live, last: s.Position,
		final: s.Last, furthest: warehouse.Cursor{Ticks: math.MinInt64},
	}
	a := &attempt{work: w, run: run, part: s, encoder: e, meter: m,
		journal: &journal{lease: w.lease, run: run, part: s, base: s.Counts, judge: j, meter: m, free: free, unsaved: open, kind: w.kind(), floor: s.Floor, held: s.Held}}
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
	if a.opts.Keys != nil {
		return a.doKeys(ctx)
	}
	spec := a.readSpec()
	spec.From, spec.To, spec.Before = a.part.Window.From, a.part.Window.To, a.part.Window.Before
	spec.After, spec.Limit = a.part.Position, int(a.opts.Limit)
	reader, err := warehouse.NewReader(a.Driver, a.schema, spec)
	if err != nil {
		return err
	}
	defer reader.Close()
	a.live.open(a.run, a.part)
	if a.Watch != nil {
		a.Watch(a.live)
	}
	if err := a.pipe(ctx, reader, a.schema, a.encoder, a.journal); err != nil {
		return err
	}
	// Refusals of the last requests count as well.
	if err := a.encoder.judge.verdict(a.part.Last); err != nil {
		return err
	}
	if a.sync.DeleteGone && a.cursor < 0 && !a.opts.passing() {
		return a.deleteGone(ctx)
	}
	return nil
}

// doKeys takes the rows of certain keys to Mixpanel.
func (a *attempt) doKeys(ctx context.Context) error {
	source := &byKeys{driver: a.Driver, schema: a.schema, spec: a.readSpec(), keys: a.opts.Keys}
	defer source.close()
	a.live.open(a.run, a.part)
	if a.Watch != nil {
		a.Watch(a.live)
	}
	err := a.pipe(ctx, source, a.schema, a.encoder, a.journal)
	if source.gone > 0 {
		a.note("%d of the rows are not in the warehouse any more, or have no key to find them by: `mixsync rejects drop` forgets them", source.gone)
	}
	return err
}

func (a *attempt) pipe(ctx context.Context, source pipeline.Source, schema *warehouse.Schema, e pipeline.Encoder, j pipeline.Journal) error {
	run := &pipeline.Run{
		Source: source, Schema: schema, Encoder: e, Journal: j, Pacer: a.Pacer, Senders: a.senders(), Stop: a.stop,
		Endpoint: endpoint(a.sync.Spec.Type),
		Judge:    func() error { return a.encoder.judge.verdict(false) },
		Hooks:    pipeline.Hooks{Read: a.live.read, Attempt: a.meter.attempt, Saved: a.live.saved},
	}
	if a.Backfill != nil && a.run.Kind != checkpoint.Incremental {
		run.Pacer = a.Backfill
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
	_, err := a.lease.Save(ctx, a.run, a.part, checkpoint.Progress{Rejects: list, Counts: a.journal.total(), Judged: a.journal.judged()})
	return err
}

// done is what the state is to know of a finished slice.
func (a *attempt) done() checkpoint.Done {
	return checkpoint.Done{
		Counts: a.journal.total(), Judged: a.journal.judged(), Reached: a.journal.reached,
		Lookback: func(mark string) *int64 {
			at, err := warehouse.ParseCursor(a.kind(), mark)
			if err != nil {
				return nil
			}
			from := a.lookback(at).Ticks
			return &from
		},
	}
}

// senders is this slice's share of the project's senders.
func (w *work) senders() int {
	if w.sync.Parallel <= 1 || w.sync.ordered() {
		return w.Senders
	}
	return max(2, (w.Senders+w.sync.Parallel-1)/w.sync.Parallel)
}
