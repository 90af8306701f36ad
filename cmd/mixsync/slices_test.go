package main

import (
	"strings"
	"syscall"
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

// A process that helps with a run may stop at any time: what it gives back the
// others do, and the run is not the worse for it.
func TestOneOfTwoStops(t *testing.T) {
	w := newWorld(t, emulator.Options{KeysOnly: true, Latency: 150 * time.Millisecond})
	w.share()
	w.tuning = "    concurrency: 2\n"
	const n = 300_000
	w.usage(n, "timestamptz '2026-01-01 00:00Z'", "interval '20 seconds'")
	w.configure(strings.ReplaceAll(usageSync("slice: month"), ", device_id: anonymous_id", ""))
	first := w.begin("usage", "--resync")
	if !first.await(func() bool { return w.mp.Count() > 2000 }) {
		t.Fatalf("the resync ended: %+v", first.end())
	}
	second := w.begin("usage", "--resync")
	sent := w.mp.Count()
	if !second.await(func() bool { return w.mp.Count() > sent+8000 }) {
		t.Fatalf("the helper ended: %+v", second.end())
	}
	second.signal(syscall.SIGTERM)
	if o := second.end(); o.code != exitTerminated {
		t.Errorf("the process that was stopped ended with %d: %s", o.code, o.stderr)
	}
	if o := first.end(); o.code != 0 || o.syncs["usage"].Status != "succeeded" {
		t.Errorf("the other ended with %d: %+v %s", o.code, o.syncs["usage"], o.stderr)
	}
	w.holds(usageKeys)
}

// A resync that gives way to incremental runs goes on after each.
func TestResyncGivesWayAndGoesOn(t *testing.T) {
	w := newWorld(t, emulator.Options{KeysOnly: true, Latency: 100 * time.Millisecond})
	w.share()
	w.tuning = "    concurrency: 1\n"
	const n = 20_000
	w.usage(n, "timestamptz '2026-01-01 00:00Z'", "interval '5 minutes'")
	w.configure(strings.ReplaceAll(usageSync("slice: day, settle: 0s, lookback: 0s"), ", device_id: anonymous_id", "") + "\n  schedule: \"@every 1s\"\n")
	w.sync("usage")
	resync := w.begin("usage", "--resync")
	if !resync.await(func() bool { return w.received() > n+2000 }) {
		t.Fatalf("the resync ended: %+v", resync.end())
	}
	daemon := w.serve()
	incremental := func() (k int) {
		for _, r := range w.saved("usage") {
			if r.Kind == checkpoint.Incremental {
				k++
			}
		}
		return k
	}
	for i := 1; i <= 3; i++ {
		w.exec(`INSERT INTO app.usage SELECT $1, event_name, now() - interval '1 hour', account_id, user_id, anonymous_id, feature, now() FROM app.usage WHERE id = 1`, n+i)
		before := incremental()
		if !daemon.within(30*time.Second, func() bool { return incremental() > before }) {
			t.Fatalf("no incremental run beside the resync")
		}
	}
	o := resync.end()
	if r := o.syncs["usage"]; o.code != 0 || r.Status != "succeeded" || r.Accepted < n || r.Slices.Done != 70 || r.Slices.Total != 70 {
		t.Errorf("the resync ended with %d: %+v %s", o.code, r, o.stderr)
	}
	daemon.signal(syscall.SIGTERM)
	if o := daemon.end(); o.code != 0 {
		t.Errorf("serve ended with %d: %s", o.code, o.stderr)
	}
	w.holds(usageKeys)
}

// A process whose mapping tells rows apart in another way may not help.
func TestHelperWithAnotherMapping(t *testing.T) {
	w := newWorld(t, emulator.Options{KeysOnly: true, Latency: 150 * time.Millisecond})
	w.share()
	w.tuning = "    concurrency: 1\n"
	const n = 40_000
	w.usage(n, "timestamptz '2026-01-01 00:00Z'", "interval '1 minute'")
	sync := strings.ReplaceAll(usageSync("slice: day"), ", device_id: anonymous_id, insert_id: id", "")
	w.configure(sync)
	first := w.begin("usage")
	if !first.await(func() bool { return w.mp.Count() > 2000 }) {
		t.Fatalf("the run ended: %+v", first.end())
	}
	w.configure(sync + "\n  namespace: other\n")
	w.fails(1, "mapping_changed", "usage")
	if o := first.end(); o.code != 0 {
		t.Errorf("the first ended with %d: %s", o.code, o.stderr)
	}
	if w.mp.Count() != n || w.received() != n {
		t.Errorf("%d events of %d were received, want %d", w.mp.Count(), w.received(), n)
	}
}

// A range that was interrupted is finished before another one.
func TestAnotherRangeWaits(t *testing.T) {
	w := newWorld(t, emulator.Options{KeysOnly: true, Latency: 200 * time.Millisecond})
	w.tuning = "    concurrency: 1\n"
	const n = 80_000
	w.usage(n, "timestamptz '2026-01-01 00:00Z'", "interval '1 minute'") // to the end of February
	w.configure(usageSync("slice: month"))
	january := w.begin("usage", "--start", "2026-01-01", "--end", "2026-02-01")
	if !january.await(func() bool { return w.mp.Count() > 3000 }) {
		t.Fatalf("the run ended: %+v", january.end())
	}
	january.signal(syscall.SIGKILL)
	january.end()
	w.run(0, "usage", "--start", "2026-02-01", "--end", "2026-02-02")
	w.holds(`SELECT id::text FROM app.usage WHERE loaded_at < timestamptz '2026-02-02 00:00Z'`)
}

// A resync that was asked for over HTTP is gone on with after the process died.
func TestResyncOutlivesTheServer(t *testing.T) {
	w := newWorld(t, emulator.Options{KeysOnly: true, Latency: 100 * time.Millisecond})
	w.tuning = "    concurrency: 1\n"
	const n = 60_000
	w.usage(n, "timestamptz '2026-01-01 00:00Z'", "interval '5 minutes'")
	w.configure(usageSync("slice: day"))
	s := w.serve()
	id := s.ask(`{"syncs":["usage"],"resync":true}`)
	if !s.within(30*time.Second, func() bool { return w.mp.Count() > 5000 }) {
		t.Fatalf("the resync has sent %d events", w.mp.Count())
	}
	s.signal(syscall.SIGKILL)
	s.end()
	if sent := w.mp.Count(); sent == n {
		t.Fatal("it was too quick to be killed")
	}
	time.Sleep(3 * time.Second) // until its lease has expired
	s = w.serve()
	if r := s.ended(id); r.Status != "succeeded" {
		t.Errorf("the resync is %+v", r)
	}
	w.holds(usageKeys)
}
