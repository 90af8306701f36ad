package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mixsync/mixsync/connectors/mixpanel/emulator"
)

// slowly makes the emulator take its time, so that a run can be met midway.
func (w *world) slowly(delay time.Duration) {
	w.t.Helper()
	err := w.mp.SetFaults(emulator.Faults{Rules: []emulator.Rule{{Kind: emulator.FaultSlow, DelayMS: int(delay.Milliseconds())}}})
	if err != nil {
		w.t.Fatal(err)
	}
}

// quickly ends all delays and faults.
func (w *world) quickly() {
	w.t.Helper()
	if err := w.mp.SetFaults(emulator.Faults{}); err != nil {
		w.t.Fatal(err)
	}
}

func TestCrashAmongTies(t *testing.T) {
	t.Parallel()
	for _, lookback := range []string{"10m", "0s"} {
		t.Run("lookback "+lookback, func(t *testing.T) {
			t.Parallel()
			const n = 50_000
			w := newWorld(t, emulator.Options{KeysOnly: true})
			w.tuning = "    concurrency: 4\n"
			w.usage(n, "timestamptz '2026-11-01 12:00Z'", "interval '0'")
			w.configure(usageSync("lookback: " + lookback))

			w.slowly(200 * time.Millisecond)
			kill := 2000 + rand.IntN(n-4000)
			p := w.begin("usage")
			if !p.await(func() bool { return w.received() >= kill }) {
				t.Fatalf("the run ended before row %d: %+v", kill, p.end())
			}
			p.signal(syscall.SIGKILL)
			p.end()
			w.quickly()

			r := w.sync("usage")
			if !r.Resumed || r.Rejected != 0 {
				t.Errorf("killed at %d events, the second run: %+v", kill, r)
			}
			w.holds(usageKeys)
			w.sends("usage", 0)

			// Ties at the mark that come now are new, and only they are.
			w.addUsage(n+1, n+5, "timestamptz '2026-11-01 12:00Z'", "interval '0'")
			w.sends("usage", 5)
			w.holds(usageKeys)
		})
	}
}

// Killed again and again, a run goes on each time at the last saved position: it
// repeats what was sent since then, and nothing from before.
func TestRestartsAfterKills(t *testing.T) {
	t.Parallel()
	const (
		n       = killedRows
		request = 2000
	)
	w := newWorld(t, emulator.Options{KeysOnly: true})
	w.tuning = "    concurrency: 1\n" // requests arrive in the order of rows
	w.usage(n, "now() - interval '2 hours'", "interval '1 millisecond'")
	w.configure(usageSync("lookback: 10m"))
	w.slowly(100 * time.Millisecond)

	run, rows := "", 0 // what the state knows
	for kill := range kills {
		before, seen := w.received(), w.mp.Count()
		p := w.begin("usage")
		after := rand.IntN(24 * request) // some runs live to save their place, others do not
		if !p.await(func() bool { return w.received() > before+after }) {
			t.Fatalf("kill %d: the run ended by itself: %s", kill, p.err.String())
		}
		p.signal(syscall.SIGKILL)
		p.end()

		sent := w.received() - before
		if got, want := w.mp.Count(), max(seen, rows+sent); got < want-request {
			t.Errorf("kill %d: sent %d events from row %d on, and Mixpanel has %d rows: the run did not go on at the saved position", kill, sent, rows, got)
		}
		runs := w.saved("usage")
		if len(runs) == 0 {
			continue
		}
		saved := runs[0]
		if run != "" && saved.ID != run {
			t.Errorf("kill %d: run %s was begun although %s is unfinished", kill, saved.ID, run)
		}
		if int(saved.Counts.Rows) < rows {
			t.Errorf("kill %d: the state went back from row %d to %d", kill, rows, saved.Counts.Rows)
		}
		run, rows = saved.ID, int(saved.Counts.Rows)
	}
	if rows == 0 {
		t.Fatal("no run lived long enough to save anything")
	}

	w.quickly()
	before := w.received()
	if r := w.sync("usage"); !r.Resumed || r.Accepted != n-rows || w.received() != before+n-rows {
		t.Errorf("the last run began at row %d of %d: %+v", rows, n, r)
	}
	w.holds(usageKeys)
	w.sends("usage", 0)
}

func TestSignalsStopSoftly(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		signal syscall.Signal
		code   int
	}{"SIGINT": {syscall.SIGINT, 130}, "SIGTERM": {syscall.SIGTERM, 143}}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const n = 200_000
			w := newWorld(t, emulator.Options{KeysOnly: true})
			w.tuning = "    concurrency: 4\n"
			w.usage(n, "now() - interval '1 hour'", "interval '1 millisecond'")
			w.configure(usageSync("lookback: 10m"))
			w.slowly(100 * time.Millisecond)
			p := w.begin("usage")
			if !p.await(func() bool { return w.received() > 4000 }) {
				t.Fatalf("the run ended too early: %s", p.err.String())
			}
			p.signal(tt.signal)
			o := p.end()
			first := o.syncs["usage"]
			if o.code != tt.code || o.ok || first.Status != "interrupted" || first.Error == nil || first.Error.Code != "interrupted" {
				t.Errorf("exit code %d, want %d: %s", o.code, tt.code, o.stdout)
			}
			if first.Accepted != w.received() || first.Rows != first.Accepted || first.Mark.After != nil {
				t.Errorf("%d events were received, the report says %+v", w.received(), first)
			}
			w.quickly()
			second := w.sync("usage")
			if !second.Resumed || first.Accepted+second.Accepted != n {
				t.Errorf("%d rows, then %d, of %d", first.Accepted, second.Accepted, n)
			}
			w.holds(usageKeys)
			if got := w.received(); got != n {
				t.Errorf("%d events were received for %d rows, though nobody was killed", got, n)
			}
		})
	}
}

// A run that is stopped while it waits for its warehouse was interrupted: nothing
// is wrong with it.
func TestSignalsWhileConnecting(t *testing.T) {
	t.Parallel()
	for sig, code := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			silent, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it ends with the test
			if err != nil {
				t.Fatal(err)
			}
			defer silent.Close()
			w := newWorld(t, emulator.Options{})
			w.block = fmt.Sprintf("{type: postgres, dsn: \"postgres://u@%s/db?sslmode=disable\", connect_timeout: 1m}", silent.Addr())
			w.configure(usageSync("lookback: 10m"))
			p := w.begin("usage")
			conn, err := silent.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			p.signal(sig)
			time.Sleep(300 * time.Millisecond) // or the two may arrive as one
			p.signal(sig)
			o := p.end()
			if r := o.syncs["usage"]; o.code != code || r.Status != "interrupted" || r.Error == nil || r.Error.Code != "interrupted" {
				t.Errorf("exit code %d, want %d: %s\n%s", o.code, code, o.stdout, o.stderr)
			}
			if runs := w.saved("usage"); len(runs) > 0 {
				t.Errorf("a run was remembered although nothing was begun: %+v", runs[0])
			}
		})
	}
}

// A run that meets another one of its sync leaves at once and touches nothing.
func TestSecondRunIsHeldElsewhere(t *testing.T) {
	t.Parallel()
	const n = 10_000
	w := newWorld(t, emulator.Options{})
	w.tuning = "    concurrency: 1\n"
	w.usage(n, "now() - interval '1 hour'", "interval '1 millisecond'")
	w.configure(usageSync("lookback: 10m"))
	w.slowly(500 * time.Millisecond)
	p := w.begin("usage")
	if !p.await(func() bool { return w.received() > 0 }) {
		t.Fatalf("the run ended too early: %s", p.err.String())
	}
	for _, more := range [][]string{nil, {"--resync"}, {"--limit", "5"}} {
		o := w.run(4, append([]string{"usage"}, more...)...)
		if r := o.syncs["usage"]; r.Status != "skipped" || r.Error == nil || r.Error.Code != "held_elsewhere" || r.Requests != 0 || o.ok {
			t.Errorf("the second run, %v: %s", more, o.stdout)
		}
	}
	w.quickly()
	if o := p.end(); o.code != 0 || o.syncs["usage"].Accepted != n {
		t.Errorf("the first run: %s\n%s", o.stdout, o.stderr)
	}
	w.holds(usageKeys)
	if got := w.received(); got != n {
		t.Errorf("%d events were received for %d rows", got, n)
	}
}

// Rows without a key and rows with another's are filed once, wherever the run
// is cut.
func TestRejectsAreCountedOnceAcrossACrash(t *testing.T) {
	t.Parallel()
	for _, cut := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		t.Run(cut.String(), func(t *testing.T) {
			t.Parallel()
			// Of 50 rows one has no key and one has the key of the row before it.
			const (
				n     = 100_000
				nulls = n / 50
				twins = n / 50
			)
			w := newWorld(t, emulator.Options{KeysOnly: true})
			w.tuning = "    concurrency: 2\n"
			w.exec(`CREATE TABLE raw (id bigint, part int, loaded_at timestamptz NOT NULL)`)
			w.exec(fmt.Sprintf(`INSERT INTO raw SELECT CASE i %% 50 WHEN 7 THEN NULL WHEN 8 THEN i - 2 ELSE i END, i, timestamptz '2026-11-01 12:00Z' + i / 1000 * interval '1 second'
				FROM generate_series(0, %d) AS i`, n-1))
			w.configure(rawSync)
			w.slowly(100 * time.Millisecond)
			p := w.begin("raw")
			// Progress is saved once a second: cut after it was saved once.
			if !p.await(func() bool { return w.received() > 0 && w.saved("raw")[0].Counts.Rows > 0 }) {
				t.Fatalf("the run ended too early: %s", p.err.String())
			}
			p.signal(cut)
			first := p.end().syncs["raw"]
			w.quickly()
			second := w.sync("raw")
			if cut == syscall.SIGTERM && (first.Accepted+second.Accepted != n-nulls-twins || first.Rejected+second.Rejected != nulls+twins) {
				t.Errorf("%d + %d events of %d, %d + %d rejects of %d", first.Accepted, second.Accepted, n-nulls-twins, first.Rejected, second.Rejected, nulls+twins)
			}
			runs := w.saved("raw") // the new window that followed, and the run that was cut
			if len(runs) != 2 {
				t.Fatalf("there were %d runs, want 2", len(runs))
			}
			whole := runs[1].Counts
			diff(t, "rejects of the whole run", whole.RejectCounts, map[string]int64{"missing_id": nulls, "duplicate_key": twins})
			if whole.Rows != n || whole.Accepted != n-nulls-twins || whole.Rejected != nulls+twins {
				t.Errorf("the whole run: %+v", whole)
			}
			if got := w.mp.Count(); got != n-nulls-twins {
				t.Errorf("%d events arrived, want %d", got, n-nulls-twins)
			}
			again := w.sends("raw", 0)
			if again.Rejected != 0 || again.Unchanged != again.Rows {
				t.Errorf("run again: %+v", again)
			}
		})
	}
}

// rawSync reads a table raw(id, part, loaded_at) whose key is none.
const rawSync = `
raw:
  type: event
  table: raw
  mode: append
  primary_key: [id]
  cursor: {column: loaded_at, lookback: 10m}
  mapping: {event: {value: Raw}, time: loaded_at, company_id: {value: acme}, user_id: {value: alice}}
  max_rejects: 50%
`

func TestNullKeysAndTwinsAreRejects(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emulator.Options{})
	w.exec(`CREATE TABLE raw (id bigint, part int, loaded_at timestamptz NOT NULL)`)
	w.exec(`INSERT INTO raw SELECT i, 0, timestamptz '2026-11-01 12:00Z' + i * interval '1 second' FROM generate_series(1, 10) AS i`)
	w.exec(`INSERT INTO raw VALUES (NULL, 1, '2026-11-01 12:00:05Z'), (NULL, 2, '2026-11-01 12:00:05Z'), (NULL, 2, '2026-11-01 12:00:05Z'),
		(3, 3, '2026-11-01 12:00:03Z'), (3, 3, '2026-11-01 12:00:03Z'), (10, 4, '2026-11-01 12:00:10Z')`)
	w.configure(rawSync)
	r := w.sends("raw", 10)
	if r.Status != "partial" || r.Rows != 16 || r.Accepted != 10 {
		t.Errorf("first run: %+v", r)
	}
	diff(t, "rejects by code", r.RejectCounts, map[string]int64{"missing_id": 3, "duplicate_key": 3})
	r = w.sends("raw", 0)
	if r.Rows != 16 || r.Unchanged != 16 || r.Rejected != 0 || r.Status != "succeeded" {
		t.Errorf("second run: %+v", r)
	}
	if o := w.run(5, "raw", "--strict-exit", "--resync"); o.syncs["raw"].Rejected != 6 {
		t.Errorf("resync: %+v", o.syncs["raw"])
	}
}

// Of rows that share cursor and key one is sent, whichever the warehouse returns
// first; another one that comes first later is not that row restated.
func TestTwinsInAnotherOrderAreNoNews(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emulator.Options{})
	w.exec(`CREATE TABLE raw (id bigint, part int, who text, loaded_at timestamptz NOT NULL);
		INSERT INTO raw SELECT 1, i, 'user' || i, '2026-11-01 12:00Z' FROM generate_series(1, 2) AS i`)
	w.configure(strings.Replace(rawSync, "{value: alice}", "who", 1))
	if r := w.sends("raw", 1); r.Rejected != 1 {
		t.Errorf("first run: %+v", r)
	}
	w.exec(`DELETE FROM raw WHERE part = 1; INSERT INTO raw VALUES (1, 1, 'user1', '2026-11-01 12:00Z')`)
	if r := w.sends("raw", 0); r.Unchanged != 2 || r.Restated != 0 {
		t.Errorf("in another order: %+v", r)
	}
}
