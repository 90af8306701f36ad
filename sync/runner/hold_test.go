package runner_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mixsync/mixsync/connectors/mixpanel"
	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/mapping"
	"github.com/mixsync/mixsync/sync/checkpoint"
	"github.com/mixsync/mixsync/sync/runner"
)

// The mark stays before a row that is not due yet, also when the run that saw it
// ended early and another finished its window. Once due the row goes, alone.
func TestHeldRowIsNotPassed(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*world, context.CancelFunc){
		"finished": nil,
		"killed":   func(w *world, _ context.CancelFunc) { w.die() },
		"canceled": func(_ *world, cancel context.CancelFunc) { cancel() },
		"stopped":  func(w *world, _ context.CancelFunc) { close(w.stop) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := eventSync()
				s.Spec.Future = mapping.HoldRow
				w := newWorld(t, s, 1)
				defer w.close()
				w.rows = 1 // a batch each, so that the window is full many times and all is not one request
				for id := range int64(80) {
					at := time.Now()
					if id == 10 || id == 70 {
						at = at.Add(3 * time.Hour)
					}
					w.exec(`INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)`, id, id/2*10, at.Unix(), "c", "p", "A")
				}
				if end != nil {
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					w.endAfter(2, func() { end(w, cancel) })
					w.run(ctx, runner.Options{})
					w.send = nil
					w.store.Close() // again, where it died
					w.open()
					w.passed(10)
				}
				rep := w.good(runner.Options{})
				if got := *rep.Mark.After; got != "40" || rep.Resumed != (end != nil) {
					t.Errorf("mark = %s, resumed = %t, want 40, the cursor before that of row 10", got, rep.Resumed)
				}
				if rep = w.good(runner.Options{}); rep.Held != 2 || rep.Accepted != 0 || *rep.Mark.After != "40" {
					t.Errorf("held %d and sent %d rows, with the mark at %s; want 2, 0 and 40", rep.Held, rep.Accepted, *rep.Mark.After)
				}

				time.Sleep(3 * time.Hour)
				w.delivered = map[int64]int{}
				rep = w.good(runner.Options{})
				if rep.Accepted != 2 || w.delivered[10] != 1 || w.delivered[70] != 1 {
					t.Errorf("sent %v, want rows 10 and 70 alone", w.delivered)
				}
				if got := *rep.Mark.After; got != "390" {
					t.Errorf("mark = %s, want 390, that of the last row", got)
				}
			})
		})
	}
}

// endAfter answers n requests, each after progress is due to be saved, and ends
// the run with the next.
func (w *world) endAfter(n int64, end func()) {
	var requests atomic.Int64
	w.send = func(_ context.Context, p *mixpanel.Payload) (mixpanel.Outcome, bool) {
		switch i := requests.Add(1); {
		case i == n+1:
			end()
			return mixpanel.Outcome{Verdict: mixpanel.Halt, Err: errHalt}, true
		case i > n:
			return mixpanel.Outcome{Verdict: mixpanel.Halt, Err: errHalt}, true
		}
		time.Sleep(2 * time.Second)
		return mixpanel.Outcome{}, false
	}
}

// passed checks that an unfinished run has saved a position behind a row.
func (w *world) passed(id int64) {
	w.t.Helper()
	runs, err := w.store.Runs(w.t.Context(), checkpoint.RunFilter{Limit: 1})
	if err != nil || len(runs) != 1 {
		w.t.Fatalf("no run: %v, %v", runs, err)
	}
	slices, err := w.store.Slices(w.t.Context(), runs[0].ID)
	if err != nil || len(slices) != 1 || slices[0].Position == nil {
		w.t.Fatalf("no slice with a position: %v, %v", slices, err)
	}
	cursor, err := warehouse.ParseCursor(warehouse.Int, *slices[0].Position.Cursor)
	if err != nil || cursor.Ticks <= id/2*10 {
		w.t.Fatalf("the run got to %v, %v, not behind row %d", cursor.Ticks, err, id)
	}
}
