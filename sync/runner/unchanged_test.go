package runner_test

import (
	"context"
	"errors"
	"testing"

	"github.com/mixsync/mixsync/connectors/mixpanel"
	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/mapping"
	"github.com/mixsync/mixsync/sync/checkpoint"
	"github.com/mixsync/mixsync/sync/runner"
)

// teller knows the state of its table, and counts what it is woken up for.
type teller struct {
	warehouse.Driver
	*telling
}

type telling struct {
	state   string
	err     error
	queries int
}

func (t *teller) LastChange(context.Context, string) (string, error) { return t.state, t.err }

func (t *teller) Query(ctx context.Context, sql string, args ...warehouse.Arg) (warehouse.Rows, error) {
	t.queries++
	return t.Driver.Query(ctx, sql, args...)
}

func tellingWorld(t *testing.T, s runner.Sync) (*world, *telling) {
	t.Helper()
	s.SkipUnchanged = true
	w, x := newWorld(t, s, 1), &telling{state: "one"}
	w.wrap = func(d warehouse.Driver) warehouse.Driver { return &teller{d, x} }
	t.Cleanup(w.close)
	w.exec(`INSERT INTO t VALUES (1, 1, 1700000000, 'acme', 'al', 'v'), (2, 2, 1700000000, 'acme', 'bo', 'v')`)
	return w, x
}

func TestUnchangedTableIsNotRead(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]runner.Sync{"append": eventSync(), "full": fullSync()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, x := tellingWorld(t, s)
			w.good(runner.Options{})
			x.queries = 0
			rep := w.good(runner.Options{})
			if rep.Status != runner.Skipped || rep.Reason == "" || rep.RunID == "" || x.queries != 0 || rep.Queries != 0 {
				t.Errorf("the table is as it was: %+v, %d queries", rep, x.queries)
			}
			run, err := w.store.Run(t.Context(), rep.RunID)
			if err != nil || run == nil || run.Status != checkpoint.Skipped || run.Reason != rep.Reason || run.FinishedAt == nil {
				t.Errorf("the history has %+v, %v", run, err)
			}
			w.exec(`INSERT INTO t VALUES (3, 3, 1700000000, 'acme', 'cy', 'v')`)
			x.state = "two"
			if rep := w.good(runner.Options{}); rep.Accepted != 1 || rep.Status != runner.Succeeded {
				t.Errorf("a row was added: %+v", rep)
			}
			if rep := w.good(runner.Options{}); rep.Status != runner.Skipped {
				t.Errorf("and nothing after it: %+v", rep)
			}
		})
	}
}

// What is asked for is done, whatever the table says; and what could be missed
// otherwise.
func TestUnchangedTableIsReadAllTheSame(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change  func(w *world, x *telling)
		options runner.Options
	}{
		"resync":             {options: runner.Options{Resync: true}},
		"range":              {options: runner.Options{Start: "1"}},
		"dry run":            {options: runner.Options{DryRun: true}},
		"limit":              {options: runner.Options{Limit: 1}},
		"switched off":       {change: func(w *world, _ *telling) { w.sync.SkipUnchanged = false }},
		"cannot tell":        {change: func(_ *world, x *telling) { x.state = "" }},
		"cannot be asked":    {change: func(_ *world, x *telling) { x.err = errors.New("no such function") }},
		"another mapping":    {change: func(w *world, _ *telling) { w.sync.Spec.Properties.Include = []string{"id"} }},
		"another lookback":   {change: func(w *world, _ *telling) { c := *w.sync.Cursor; c.LookbackCount++; w.sync.Cursor = &c }},
		"a mark set by hand": {change: func(w *world, _ *telling) { w.setMark("1") }},
		"an interrupted run": {change: func(w *world, x *telling) { w.interrupt(x) }},
		"an unfinished resync": {change: func(w *world, x *telling) {
			w.send = func(context.Context, *mixpanel.Payload) (mixpanel.Outcome, bool) {
				return mixpanel.Outcome{Verdict: mixpanel.Halt, Err: errors.New("down")}, true
			}
			if rep := w.run(w.t.Context(), runner.Options{Resync: true}); rep.Status != runner.Failed {
				w.t.Errorf("the resync ended as %s", rep.Status)
			}
			w.send = nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, x := tellingWorld(t, eventSync())
			w.good(runner.Options{})
			if test.change != nil {
				test.change(w, x)
			}
			x.queries = 0
			if rep := w.good(test.options); rep.Status == runner.Skipped || x.queries == 0 {
				t.Errorf("%+v after %d queries, want a run", rep, x.queries)
			}
		})
	}
}

// A row that is held back is sent when it is due, although the table stays.
func TestHeldRowsAreNotForgotten(t *testing.T) {
	t.Parallel()
	s := eventSync()
	s.Spec.Future = mapping.HoldRow
	w, _ := tellingWorld(t, s)
	w.exec(`INSERT INTO t VALUES (3, 3, unixepoch() + 90000, 'acme', 'cy', 'v')`)
	if rep := w.good(runner.Options{}); rep.Held != 1 {
		t.Fatalf("first run: %+v", rep)
	}
	if rep := w.good(runner.Options{}); rep.Status == runner.Skipped {
		t.Error("a run is skipped although a row waits")
	}
}

// A run that is gone on with has read some of its rows before the table became what
// it is: it does not say that they have been read as they are.
func TestChangeUnderAnUnfinishedRun(t *testing.T) {
	t.Parallel()
	w, x := tellingWorld(t, fullSync())
	w.exec(`WITH RECURSIVE n(value) AS (SELECT 3 UNION ALL SELECT value + 1 FROM n WHERE value < 12) INSERT INTO t SELECT value, value, 1700000000, 'acme', 'p', 'v' FROM n`)
	requests, o := 0, runner.Options{RunID: checkpoint.NewRunID()}
	w.send = func(context.Context, *mixpanel.Payload) (mixpanel.Outcome, bool) {
		if requests++; requests > 7 { // rows of one company go one by one: the first batch is settled
			return mixpanel.Outcome{Verdict: mixpanel.Halt, Err: errors.New("down")}, true
		}
		return mixpanel.Outcome{}, false
	}
	if rep := w.run(t.Context(), o); rep.Status != runner.Failed || rep.Accepted < 5 {
		t.Fatalf("the run ended as %+v", rep)
	}
	w.send = nil
	w.exec(`UPDATE t SET val = 'w' WHERE id = 1`)
	x.state = "two"
	if rep := w.good(o); !rep.Resumed || rep.RunID != o.RunID {
		t.Fatalf("it was not gone on with: %+v", rep)
	}
	if rep := w.good(runner.Options{}); rep.Accepted != 1 {
		t.Errorf("a row has changed behind the run's back: %+v, want it sent", rep)
	}
}

// fullSync reads everything each time.
func fullSync() runner.Sync {
	s := profileSync()
	s.Mode, s.Cursor, s.Spec.Cursor = runner.Full, nil, ""
	s.Spec.PrimaryKey = []string{"id"}
	return s
}

// setMark moves the mark as `state set` does.
func (w *world) setMark(text string) {
	w.t.Helper()
	target, err := w.store.Target(w.t.Context(), w.sync.Name, w.sync.Project)
	if err != nil {
		w.t.Fatal(err)
	}
	lease, err := w.store.Acquire(w.t.Context(), target)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.store.SetMark(w.t.Context(), lease, &checkpoint.Mark{Kind: warehouse.Int, Text: text}); err != nil {
		w.t.Fatal(err)
	}
	if err := lease.Release(); err != nil {
		w.t.Fatal(err)
	}
}

// interrupt leaves a run behind whose window is not finished, and lets the table
// seem as the run before has left it.
func (w *world) interrupt(x *telling) {
	w.t.Helper()
	w.exec(`INSERT INTO t VALUES (3, 3, 1700000000, 'acme', 'cy', 'v')`)
	x.state = "two"
	w.send = func(context.Context, *mixpanel.Payload) (mixpanel.Outcome, bool) {
		return mixpanel.Outcome{Verdict: mixpanel.Halt, Err: errors.New("down")}, true
	}
	if rep := w.run(w.t.Context(), runner.Options{}); rep.Status != runner.Failed {
		w.t.Errorf("the run ended as %s", rep.Status)
	}
	w.send, x.state = nil, "one"
}

// Every statement of a run is counted with it, in its report and in the history.
func TestUsageOfARun(t *testing.T) {
	t.Parallel()
	w, x := tellingWorld(t, eventSync())
	rep := w.good(runner.Options{})
	if int(rep.Queries) != x.queries || rep.Queries < 3 {
		t.Errorf("the report has %d queries, %d were run", rep.Queries, x.queries)
	}
	run, err := w.store.Run(t.Context(), rep.RunID)
	if err != nil || run.Usage.Queries != rep.Queries {
		t.Errorf("the history has %+v, %v, want %d queries", run, err, rep.Queries)
	}
}

// Nor is an event that was filed because its time had not come.
func TestRejectsBeforeTheirTimeAreLookedAtAgain(t *testing.T) {
	t.Parallel()
	w, _ := tellingWorld(t, eventSync())
	w.exec(`INSERT INTO t VALUES (3, 3, unixepoch() + 90000, 'acme', 'cy', 'v')`)
	if rep := w.good(runner.Options{}); rep.Rejected != 1 {
		t.Fatalf("first run: %+v", rep)
	}
	for range 2 { // also when the reject is no news
		if rep := w.good(runner.Options{}); rep.Status == runner.Skipped {
			t.Error("a run is skipped although a row waits for its time")
		}
	}
}
