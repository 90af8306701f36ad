package runner_test

import (
	"context"
	"errors"
	"testing"

	"github.com/mixsync/mixsync/connectors/mixpanel"
	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/sync/runner"
)

// forecast asks what a run would do, without a way to Mixpanel.
func (w *world) forecast(o runner.Options) *runner.Forecast {
	w.t.Helper()
	r := &runner.Runner{Store: w.store, Driver: w.driver(), Pacer: patience{}, Senders: 1}
	f := r.Forecast(w.t.Context(), w.sync, o)
	if f.Error != nil {
		w.t.Fatalf("the forecast failed: %s: %v", f.Error.Code, f.Error)
	}
	return f
}

// What a forecast says is what the run then does.
func TestForecastComesTrue(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]runner.Sync{"events": eventSync(), "profiles": profileSync(), "full": fullSync()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, s, 7)
			t.Cleanup(w.close)
			check := func(what string) {
				t.Helper()
				f := w.forecast(runner.Options{})
				rep := w.good(runner.Options{})
				if f.Rows != rep.Rows || f.Records != rep.Accepted {
					t.Errorf("%s: %d rows and %d records were forecast; %d were read, %d sent", what, f.Rows, f.Records, rep.Rows, rep.Accepted)
				}
			}
			check("an empty table")
			w.exec(`WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 50) INSERT INTO t SELECT value, 100 + value, 1700000000, 'c' || value, 'p', 'v' FROM n`)
			check("the first rows")
			check("nothing new")
			w.exec(`INSERT INTO t VALUES (51, 149, 1700000000, 'late', 'p', 'v'), (52, 150, 1700000000, 'tie', 'p', 'v'), (53, 151, 1700000000, 'new', 'p', 'v')`)
			w.exec(`UPDATE t SET val = 'w', at = 152 WHERE id = 50`)
			check("a late row, a tie, a new one and a changed one")
			if all := w.forecast(runner.Options{Resync: true}); all.Records != 53 {
				t.Errorf("a resync is forecast to send %d records, want 53", all.Records)
			}
		})
	}
}

// Rows between the mark and a start that has moved beyond it are not read.
func TestForecastFromALaterStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, eventSync(), 7)
	t.Cleanup(w.close)
	w.exec(`INSERT INTO t VALUES (1, 100, 1700000000, 'c', 'p', 'v')`)
	w.good(runner.Options{})
	w.exec(`INSERT INTO t VALUES (2, 200, 1700000000, 'c', 'p', 'v'), (3, 300, 1700000000, 'c', 'p', 'v')`)
	c := *w.sync.Cursor
	c.Start = "250"
	w.sync.Cursor = &c
	f, rep := w.forecast(runner.Options{}), w.good(runner.Options{})
	if f.Rows != rep.Rows || f.Records != rep.Accepted || rep.Accepted != 1 {
		t.Errorf("%d rows and %d records were forecast; %d were read, %d sent", f.Rows, f.Records, rep.Rows, rep.Accepted)
	}
}

// A window that was left unfinished is counted by what is left of it.
func TestForecastOfAnUnfinishedRun(t *testing.T) {
	t.Parallel()
	s := eventSync()
	c := *s.Cursor
	c.Slice = "10"
	s.Cursor = &c
	w := newWorld(t, s, 7)
	t.Cleanup(w.close)
	w.exec(`WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 50) INSERT INTO t SELECT value, value, 1700000000, 'c', 'p', 'v' FROM n`)
	requests := 0
	w.send = func(context.Context, *mixpanel.Payload) (mixpanel.Outcome, bool) {
		if requests++; requests > 2 {
			return mixpanel.Outcome{Verdict: mixpanel.Halt, Err: errors.New("down")}, true
		}
		return mixpanel.Outcome{}, false
	}
	failed := w.run(t.Context(), runner.Options{})
	if failed.Status != runner.Failed || failed.Accepted == 0 {
		t.Fatalf("the run ended as %+v", failed)
	}
	w.exec(`INSERT INTO t VALUES (51, 51, 1700000000, 'c', 'p', 'v')`)
	f := w.forecast(runner.Options{})
	if f.Unfinished != failed.RunID || f.Rows < 1 || f.Rows > 50 || f.Slices < 2 {
		t.Errorf("forecast %+v, want what is left of run %s and the new row", f, failed.RunID)
	}
	w.send = nil
	if rep := w.good(runner.Options{}); rep.Accepted > f.Records {
		t.Errorf("%d records were sent, at most %d were forecast", rep.Accepted, f.Records)
	}
}

// estimator bills by the bytes of its columns, whatever the bounds.
type estimator struct{ warehouse.Driver }

func (e *estimator) Estimate(context.Context, string, ...warehouse.Arg) (int64, error) {
	return 1 << 30, nil
}

// A table that every slice would scan whole is read at once, unless told otherwise.
func TestSlicesThatScanTheWhole(t *testing.T) {
	t.Parallel()
	for slice, want := range map[string]int{"auto": 1, "100000": 30} {
		s := eventSync()
		c := *s.Cursor
		c.Slice = slice
		s.Cursor = &c
		w := newWorld(t, s, 7)
		t.Cleanup(w.close)
		w.wrap = func(d warehouse.Driver) warehouse.Driver { return &estimator{d} }
		w.exec(`WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 30) INSERT INTO t SELECT value, value * 100000, 1700000000, 'c', 'p', 'v' FROM n`)
		f := w.forecast(runner.Options{})
		if f.Slices != want || f.BytesToScan == nil || *f.BytesToScan != int64(want)<<30 || (len(f.Notes) > 0) != (want > 1) {
			t.Errorf("slice %s: %+v, want %d slices", slice, f, want)
		}
	}
}

// An incremental run finishes a resync that was left first, and then reads what has
// come since.
func TestForecastOfAnUnfinishedResync(t *testing.T) {
	t.Parallel()
	w := newWorld(t, eventSync(), 7)
	t.Cleanup(w.close)
	w.exec(`WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 50) INSERT INTO t SELECT value, value, 1700000000, 'c', 'p', 'v' FROM n`)
	w.good(runner.Options{})
	w.send = func(context.Context, *mixpanel.Payload) (mixpanel.Outcome, bool) {
		return mixpanel.Outcome{Verdict: mixpanel.Halt, Err: errors.New("down")}, true
	}
	if rep := w.run(t.Context(), runner.Options{Resync: true}); rep.Status != runner.Failed {
		t.Fatalf("the resync ended as %+v", rep)
	}
	w.send = nil
	w.exec(`INSERT INTO t VALUES (51, 51, 1700000000, 'c', 'p', 'v')`)
	f := w.forecast(runner.Options{})
	rep := w.good(runner.Options{})
	if f.Unfinished == "" || f.Rows != rep.Rows || f.Records != rep.Accepted || rep.Accepted != 51 {
		t.Errorf("forecast %+v, but %d rows were read and %d sent", f, rep.Rows, rep.Accepted)
	}
}
