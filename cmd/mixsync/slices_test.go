package main

import (
	"strings"
	"testing"
	"time"

	"github.com/mixsync/mixsync/connectors/mixpanel/emulator"
	"github.com/mixsync/mixsync/sync/checkpoint"
)

// A slice that cannot be read fails the run with its name; the others are done,
// the mark goes as far as all before it, and once it is mended only it is read.
func TestPoisonSlice(t *testing.T) {
	t.Parallel()
	onBothStates(t, func(t *testing.T, w *world) {
		w.usage(1000, "timestamptz '2026-03-01 00:00Z'", "interval '15 minutes'") // 96 a day, ten days and a bit
		w.exec(`CREATE TABLE app.poison AS SELECT 500 AS id`)                     // on 6 March
		w.configure(strings.NewReplacer("table: app.usage", "query: SELECT *, 1 / (CASE WHEN id IN (SELECT id FROM app.poison) THEN 0 ELSE 1 END) AS one FROM app.usage",
			", device_id: anonymous_id", "").Replace(usageSync("lookback: 0s, slice: day")) + "  parallel: 3\n")
		r := w.fails(1, "warehouse_query", "usage")
		if !strings.Contains(r.Error.Message, "slice [2026-03-06T00:00:00Z, 2026-03-07T00:00:00Z)") || !strings.Contains(r.Error.Message, "division by zero") {
			t.Errorf("the error is %+v", r.Error)
		}
		if r.Accepted < 1000-96 || w.mp.Count() < 1000-96 {
			t.Errorf("%d rows were accepted, %d arrived; want all but a day's", r.Accepted, w.mp.Count())
		}
		if mark := w.mark("usage"); !strings.HasPrefix(mark, "2026-03-05T23:45:00") {
			t.Errorf("the mark is %s, want the last row before the poison", mark)
		}
		sent := w.received()
		w.fails(1, "warehouse_query", "usage") // still
		w.exec(`DELETE FROM app.poison`)
		w.sync("usage")
		w.holds(usageKeys)
		if again := w.received() - sent; again > 2*96 {
			t.Errorf("%d events were sent to make up a day of 96", again)
		}
		if mark := w.mark("usage"); !strings.HasPrefix(mark, "2026-03-11T09:45:00") {
			t.Errorf("the mark is %s", mark)
		}
	})
}

// Where latency is what limits a process, a second one that joins doubles the pace.
func TestTwoProcessesShareARun(t *testing.T) {
	w := newWorld(t, emulator.Options{KeysOnly: true, Latency: 200 * time.Millisecond})
	w.share()
	w.tuning = "    concurrency: 4\n"
	const n = sharedRows
	w.usage(n, "timestamptz '2026-01-01 00:00Z'", "interval '10 seconds'")
	w.configure(strings.ReplaceAll(usageSync("slice: day"), ", device_id: anonymous_id", ""))
	begun := time.Now()
	w.sends("usage", n)
	alone := time.Since(begun)

	w.mp.Reset()
	begun = time.Now()
	first := w.begin("usage", "--resync")
	if !first.await(func() bool { return len(w.saved("usage")) == 2 }) {
		t.Fatalf("the resync ended: %+v", first.end())
	}
	second := w.begin("usage", "--resync")
	a, b := first.end(), second.end()
	took := time.Since(begun)
	t.Logf("one process %s, two %s: %.2f times as fast; %d and %d events", alone, took, alone.Seconds()/took.Seconds(), a.syncs["usage"].Sent, b.syncs["usage"].Sent)
	if a.code != 0 || b.code != 0 || a.syncs["usage"].RunID != b.syncs["usage"].RunID {
		t.Errorf("the two ended with %d and %d: %s %s", a.code, b.code, a.stderr, b.stderr)
	}
	if sent := a.syncs["usage"].Sent + b.syncs["usage"].Sent; sent != n || b.syncs["usage"].Sent < n/5 {
		t.Errorf("they sent %d and %d of %d events", a.syncs["usage"].Sent, b.syncs["usage"].Sent, n)
	}
	w.holds(usageKeys)
	if runs := w.saved("usage"); runs[0].Status != checkpoint.Succeeded || runs[0].Counts.Accepted != n {
		t.Errorf("the run is %+v", runs[0])
	}
	if ratio := alone.Seconds() / took.Seconds(); timed && ratio < 1.7 {
		t.Errorf("two processes are %.2f times as fast as one, want 1.7", ratio)
	}
}
