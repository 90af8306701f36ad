package main

import (
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mixsync/mixsync/connectors/mixpanel/emulator"
)

func TestResyncSendsEverythingAgain(t *testing.T) {
	t.Parallel()
	const n = 5000
	w := newWorld(t, emulator.Options{})
	w.usage(n, "now() - interval '2 hours'", "interval '1 millisecond'")
	w.configure(usageSync("lookback: 10m"))
	w.sends("usage", n)
	mark := w.mark("usage")
	r := w.sends("usage", n, "--resync")
	if r.Restated != 0 || *r.Mark.Before != mark || *r.Mark.After != mark {
		t.Errorf("mark %s, report %+v", mark, r)
	}
	w.addUsage(n+1, n+10, "now() - interval '1 hour'", "interval '1 millisecond'")
	if r := w.sends("usage", n+10, "--full-refresh"); *r.Mark.After <= mark {
		t.Errorf("the mark was %s and is %s", mark, *r.Mark.After)
	}
	w.sends("usage", 0)
	w.holds(usageKeys)
	if got := w.received(); got != 3*n+10 {
		t.Errorf("%d events were received", got)
	}

	w.configure(usageSync("lookback: 10m") + "  resync: forbid\n")
	w.fails(2, "usage", "usage", "--resync")
	w.fails(2, "usage", "usage", "--start", "2026-01-01")
}

func TestInterruptedResyncGoesOn(t *testing.T) {
	t.Parallel()
	for _, cut := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		t.Run(cut.String(), func(t *testing.T) {
			t.Parallel()
			const n = 100_000
			w := newWorld(t, emulator.Options{KeysOnly: true})
			w.tuning = "    concurrency: 2\n"
			w.usage(n, "now() - interval '2 hours'", "interval '1 millisecond'")
			w.configure(usageSync("lookback: 10m"))
			w.sends("usage", n)
			mark := w.mark("usage")

			w.slowly(100 * time.Millisecond)
			p := w.begin("usage", "--resync")
			if !p.await(func() bool {
				r := w.saved("usage")[0]
				return r.Kind == "resync" && r.Counts.Rows > 0
			}) {
				t.Fatalf("the resync ended too early: %s", p.err.String())
			}
			p.signal(cut)
			p.end()
			w.quickly()
			if got := w.mark("usage"); got != mark {
				t.Errorf("the mark was %s and is %s", mark, got)
			}
			done := int(w.saved("usage")[0].Counts.Rows)
			r := w.sync("usage", "--resync")
			if !r.Resumed || r.Accepted != n-done || r.Rows != n-done || *r.Mark.After != mark {
				t.Errorf("%d of %d rows were done, then: %+v", done, n, r)
			}
			w.holds(usageKeys)
			w.sends("usage", 0)
		})
	}
}

// A range goes again, half open; the mark stays.
func TestRangeLeavesTheMark(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emulator.Options{})
	w.usage(100, "timestamptz '2026-11-01 00:00Z'", "interval '1 hour'") // row 1 at 00:00, row 25 a day later
	w.configure(usageSync("lookback: 10m"))
	w.sends("usage", 100)
	mark := w.mark("usage")
	w.sends("usage", 24, "--start", "2026-11-02", "--end", "2026-11-03")
	w.sends("usage", 1, "--start", "2026-11-02T00:00:00Z", "--end", "2026-11-02T01:00:00Z")
	w.sends("usage", 0, "--start", "2026-11-20", "--end", "2026-11-21")
	w.sends("usage", 100-72, "--start", "2026-11-04")
	w.sends("usage", 24, "--end", "2026-11-02")
	if got := w.mark("usage"); got != mark {
		t.Errorf("the mark was %s and is %s", mark, got)
	}
	w.sends("usage", 0)
	w.holds(usageKeys)

	// A range before the first run ever: the mark is not set by it.
	x := newWorld(t, emulator.Options{})
	x.usage(100, "timestamptz '2026-11-01 00:00Z'", "interval '1 hour'")
	x.configure(usageSync("lookback: 10m"))
	x.sends("usage", 24, "--start", "2026-11-02", "--end", "2026-11-03")
	if got := x.mark("usage"); got != "" {
		t.Errorf("a range set the mark to %s", got)
	}
	x.sync("usage")
	x.holds(usageKeys)
}

func TestDryRunLeavesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emulator.Options{})
	w.usage(100, "now() - interval '2 hours'", "interval '1 millisecond'")
	w.configure(usageSync("lookback: 10m"))
	if r := w.sync("usage", "--dry-run"); r.Rows != 100 {
		t.Errorf("report: %+v", r)
	}
	if len(w.mp.Requests()) != 0 {
		t.Error("a dry run sent something")
	}
	if found, err := os.ReadDir(w.dir); err != nil || len(found) != 1 {
		t.Errorf("a dry run left files: %v, %v", found, err)
	}
	w.sends("usage", 100)
	before, mark := len(w.saved("usage")), w.mark("usage")
	w.addUsage(101, 110, "now() - interval '1 hour'", "interval '1 millisecond'")
	if r := w.sync("usage", "--dry-run"); r.Rows-r.Unchanged != 10 {
		t.Errorf("report: %+v", r)
	}
	w.sync("usage", "--dry-run", "--resync")
	if got := w.mark("usage"); got != mark || len(w.saved("usage")) != before || w.received() != 100 {
		t.Errorf("a dry run left its traces: mark %s, was %s; %d events", got, mark, w.received())
	}
	w.sends("usage", 10)
}

func TestLimitMovesNoMark(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emulator.Options{})
	w.usage(100, "now() - interval '2 hours'", "interval '1 millisecond'")
	w.configure(usageSync("lookback: 10m"))
	w.sends("usage", 7, "--limit", "7")
	if got := w.mark("usage"); got != "" || w.received() != 7 {
		t.Errorf("mark %q, %d events", got, w.received())
	}
	w.sends("usage", 100)
	w.holds(usageKeys)
}

// What Mixpanel deduplicates by has changed: nothing is sent until somebody
// says that it is meant so.
func TestChangedMappingStops(t *testing.T) {
	t.Parallel()
	base := usageSync("lookback: 10m")
	tests := map[string]string{
		"insert id": strings.Replace(base, ", insert_id: id", "", 1),
		"event":     strings.Replace(base, "event: event_name", "event: {value: Renamed}", 1),
		"time":      strings.Replace(base, "time: occurred_at", "time: loaded_at", 1),
		"company":   strings.Replace(base, "company_id: account_id", "company_id: {value: acme}", 1),
	}
	for name, changed := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const n = 200
			w := newWorld(t, emulator.Options{})
			w.usage(n, "now() - interval '2 hours'", "interval '1 millisecond'")
			w.configure(base)
			w.sends("usage", n)
			mark, requests := w.mark("usage"), len(w.mp.Requests())
			w.configure(changed)
			for _, more := range [][]string{nil, {"--resync"}} {
				if r := w.fails(1, "mapping_changed", "usage", more...); r.Error.Hint == "" {
					t.Errorf("%v: no hint: %+v", more, r.Error)
				}
			}
			if got := w.mark("usage"); got != mark || len(w.mp.Requests()) != requests {
				t.Errorf("%d requests were sent, the mark was %s and is %s", len(w.mp.Requests())-requests, mark, got)
			}
			w.configure(base)
			w.sends("usage", 0) // undone: as before
			w.configure(changed)
			w.sends("usage", n, "--accept-mapping-change")
			w.sends("usage", 0)
		})
	}
	t.Run("properties", func(t *testing.T) { // not what Mixpanel deduplicates by
		t.Parallel()
		w := newWorld(t, emulator.Options{})
		w.usage(10, "now() - interval '2 hours'", "interval '1 millisecond'")
		w.configure(base)
		w.sends("usage", 10)
		w.configure(base + "  properties: {rename: {feature: Feature}}\n")
		w.sends("usage", 0)
	})
}

// An upstream model that restates what was sent stops the run as well.
func TestRestatedRowsStop(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emulator.Options{})
	w.usage(200, "now() - interval '2 hours'", "interval '1 millisecond'")
	w.configure(usageSync("lookback: 10m"))
	w.sends("usage", 200)
	w.exec(`UPDATE app.usage SET event_name = 'Restated' WHERE id = 7`)
	if r := w.sends("usage", 1); r.Restated != 1 {
		t.Errorf("report: %+v", r)
	}
	w.exec(`UPDATE app.usage SET event_name = 'All Restated'`)
	before := w.received()
	w.fails(1, "mapping_changed", "usage")
	if got := w.received(); got != before {
		t.Errorf("%d events were sent", got-before)
	}
	w.sends("usage", 200, "--accept-mapping-change")
}

// Too many rejects: the mark stays before the first of them, so that a mended
// mapping sends those rows.
func TestTooManyRejects(t *testing.T) {
	t.Parallel()
	const n = 20_000
	w := newWorld(t, emulator.Options{KeysOnly: true})
	w.usage(n, "now() - interval '2 hours'", "interval '1 millisecond'")
	w.exec(`ALTER TABLE app.usage ADD COLUMN login text; UPDATE app.usage SET login = user_id; UPDATE app.usage SET user_id = NULL WHERE id > 15000 AND id % 4 = 0`)
	w.configure(usageSync("lookback: 10m"))
	r := w.fails(1, "too_many_rejects", "usage")
	if r.Mark.After != nil || r.Error.Hint == "" || !strings.Contains(r.Error.Message, "missing_user") {
		t.Errorf("report: %+v, %+v", r, r.Error)
	}
	if len(w.rejects()) == 0 {
		t.Error("no reject was filed to see the reason by")
	}
	if r := w.fails(1, "too_many_rejects", "usage"); r.Mark.After != nil {
		t.Errorf("again: %+v", r)
	}

	w.configure(strings.Replace(usageSync("lookback: 10m"), "user_id: user_id", "user_id: login", 1))
	second := w.sync("usage", "--accept-mapping-change")
	if second.Status != "succeeded" || second.Rejected != 0 || second.Accepted < 5000 {
		t.Errorf("mended: %+v", second)
	}
	w.holds(usageKeys)
	if left := w.rejects(); len(left) != 0 {
		t.Errorf("%d rejects are still open after their rows were accepted", len(left))
	}
	w.sends("usage", 0)
}

// Rejects that an earlier attempt at the run filed are sent by the mended
// mapping like those of the attempt that was stopped for them.
func TestTooManyRejectsAfterAnInterruption(t *testing.T) {
	t.Parallel()
	const n = 120_000
	w := newWorld(t, emulator.Options{KeysOnly: true})
	w.tuning = "    concurrency: 2\n"
	w.usage(n, "now() - interval '2 hours'", "interval '1 millisecond'")
	w.exec(`ALTER TABLE app.usage ADD COLUMN login text; UPDATE app.usage SET login = user_id, user_id = CASE WHEN id % 200 = 0 OR id > 100000 AND id % 2 = 0 THEN NULL ELSE user_id END`)
	w.configure(usageSync("lookback: 0s"))
	w.slowly(200 * time.Millisecond)
	p := w.begin("usage")
	if !p.await(func() bool { return w.received() > 0 && w.saved("usage")[0].Counts.Rejected > 0 }) {
		t.Fatalf("the run ended too early: %s", p.err.String())
	}
	p.signal(syscall.SIGTERM)
	if o := p.end(); o.code != 143 || o.syncs["usage"].Rejected == 0 {
		t.Fatalf("exit code %d: %s", o.code, o.stdout)
	}
	w.quickly()
	for range 2 {
		w.fails(1, "too_many_rejects", "usage")
	}
	w.configure(strings.Replace(usageSync("lookback: 0s"), "user_id: user_id", "user_id: login", 1))
	if r := w.sync("usage", "--accept-mapping-change"); r.Status != "succeeded" {
		t.Errorf("mended: %+v", r)
	}
	w.holds(usageKeys)
	if left := w.rejects(); len(left) != 0 {
		t.Errorf("%d rejects are still open after their rows were accepted", len(left))
	}
	w.sends("usage", 0)
}

// A column that is empty throughout was mapped: every row is a reject. Mended,
// the run is judged by what it finds then.
func TestEveryRowRejectedThenMended(t *testing.T) {
	t.Parallel()
	for _, lookback := range []string{"10m", "0s"} {
		t.Run("lookback "+lookback, func(t *testing.T) {
			t.Parallel()
			const n = 3000
			w := newWorld(t, emulator.Options{})
			w.usage(n, "now() - interval '2 hours'", "interval '1 second'")
			base := usageSync("lookback: " + lookback)
			w.configure(strings.Replace(base, "user_id: user_id", "user_id: anonymous_id", 1))
			w.fails(1, "too_many_rejects", "usage")
			if got := len(w.rejects()); got == 0 {
				t.Error("no reject was filed to see the reason by")
			}
			w.configure(base)
			if r := w.sends("usage", n); r.Status != "succeeded" {
				t.Errorf("mended: %+v", r)
			}
			w.holds(usageKeys)
			if left := w.rejects(); len(left) != 0 {
				t.Errorf("%d rejects are still open after their rows were accepted", len(left))
			}
			w.sends("usage", 0)
		})
	}
}

func TestMaxRejectsOption(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emulator.Options{})
	w.usage(100, "now() - interval '2 hours'", "interval '1 millisecond'")
	w.exec(`UPDATE app.usage SET user_id = '' WHERE id % 10 = 0`)
	w.configure(usageSync("lookback: 10m"))
	w.fails(1, "too_many_rejects", "usage")
	w.fails(1, "too_many_rejects", "usage", "--max-rejects", "9")
	if r := w.sync("usage", "--max-rejects", "10"); r.Status != "partial" || r.Rejected != 10 {
		t.Errorf("report: %+v", r)
	}
	w.holds(usageKeys + ` WHERE id % 10 <> 0`)
}

func TestRejectIsSettledWhenItsRowIsMended(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emulator.Options{})
	w.usage(200, "now() - interval '2 hours'", "interval '1 millisecond'")
	w.exec(`UPDATE app.usage SET user_id = '' WHERE id IN (5, 6)`)
	w.configure(usageSync("lookback: 10m"))
	if r := w.sync("usage"); r.Rejected != 2 || r.Status != "partial" {
		t.Errorf("report: %+v", r)
	}
	w.exec(`UPDATE app.usage SET user_id = 'bob' WHERE id = 5`)
	w.sends("usage", 1)
	diff(t, "rejects", w.rejects(), map[string]string{`{"id":6}`: "blank_id"})
	w.exec(`UPDATE app.usage SET user_id = 'null' WHERE id = 6`) // as bad, in another way
	w.sends("usage", 0)
	diff(t, "rejects", slices.Collect(maps.Values(w.rejects())), []string{"junk_id"})
	w.exec(`UPDATE app.usage SET user_id = 'carol', loaded_at = (SELECT max(loaded_at) FROM app.usage) WHERE id = 6`)
	w.sends("usage", 1)
	diff(t, "rejects", w.rejects(), map[string]string{})
	w.holds(usageKeys)
}

// The namespace is part of made-up insert ids: changing it doubles rows.
func TestNamespaceIsPartOfTheIdentity(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emulator.Options{})
	w.usage(100, "now() - interval '2 hours'", "interval '1 millisecond'")
	base := strings.Replace(usageSync("lookback: 10m"), ", insert_id: id", "", 1)
	w.configure(base)
	w.sends("usage", 100)
	w.configure(base + "  namespace: usage\n") // what it was by default
	w.sends("usage", 0)
	w.configure(base + "  namespace: other\n")
	w.fails(1, "mapping_changed", "usage")
	w.sends("usage", 100, "--accept-mapping-change")
	if got := w.mp.Count(); got != 200 {
		t.Errorf("%d events, want each under both namespaces", got)
	}
}

func TestFullAndMirrorSendOnlyWhatChanged(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"full", "mirror", "mirror, deleting"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			const n = 3000
			w := newWorld(t, emulator.Options{})
			w.exec(`CREATE SCHEMA crm; CREATE TABLE crm.users (company text, id text, name text, PRIMARY KEY (company, id));
				INSERT INTO crm.users SELECT 'acme', 'u' || i, 'Name ' || i FROM generate_series(1, 3000) AS i`)
			name, deleting := strings.CutSuffix(mode, ", deleting")
			syncs := `
users:
  type: group
  group_key: $user_id
  table: crm.users
  mode: ` + name + `
  primary_key: [company, id]
  mapping: {company_id: company, group_id: id}
`
			if deleting {
				syncs += "  on_delete: delete\n"
			}
			w.configure(syncs)
			w.sends("users", n)
			if r := w.sends("users", 0); r.Unchanged != n || r.Deleted != 0 {
				t.Errorf("nothing new: %+v", r)
			}
			w.exec(`UPDATE crm.users SET name = 'Changed' WHERE id IN ('u7', 'u8'); INSERT INTO crm.users VALUES ('globex', 'u7', 'Other');
				DELETE FROM crm.users WHERE id IN ('u1', 'u2', 'u3')`)
			r := w.sends("users", 3)
			want := w.keys(`SELECT '$company:' || company || '|$user:' || id FROM crm.users`)
			if deleting {
				if r.Deleted != 3 {
					t.Errorf("%d profiles were deleted, want 3", r.Deleted)
				}
			} else {
				want = slices.Sorted(slices.Values(append(want, "$company:acme|$user:u1", "$company:acme|$user:u2", "$company:acme|$user:u3")))
			}
			sameKeys(t, "profiles", w.mp.ProfileIDs(), want)
			if r := w.sends("users", 0); r.Deleted != 0 {
				t.Errorf("deleted again: %+v", r)
			}
			// A row that returns is sent again, changed or not.
			w.exec(`INSERT INTO crm.users VALUES ('acme', 'u1', 'Name 1')`)
			back := 0
			if deleting {
				back = 1
			}
			w.sends("users", back)
			w.sends("users", len(w.keys(`SELECT id FROM crm.users`)), "--resync")
			w.sends("users", 0)
			if deleting {
				w.exec(`DELETE FROM crm.users`) // a table that is being rebuilt
				if r := w.sync("users"); r.Deleted != 0 {
					t.Errorf("an empty table deleted %d profiles", r.Deleted)
				}
			}
		})
	}
	t.Run("events", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, emulator.Options{})
		w.usage(5000, "now() - interval '2 hours'", "interval '1 millisecond'")
		w.configure(`
usage:
  type: event
  table: app.usage
  mode: full
  primary_key: [id]
  mapping: {event: event_name, time: occurred_at, company_id: account_id, user_id: user_id, device_id: anonymous_id, insert_id: id}
`)
		w.sends("usage", 5000)
		w.sends("usage", 0)
		w.addUsage(5001, 5010, "now() - interval '9 years'", "interval '0'")
		w.sends("usage", 10)
		w.holds(usageKeys)
	})
}

// Profiles that were sent before on_delete was set can be deleted as well, from
// the first run on that sees their rows.
func TestDeletionAskedForLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emulator.Options{})
	w.accounts(5)
	mirror := `
accounts:
  type: group
  group_key: $company_id
  table: crm.accounts
  mode: mirror
  mapping: {company_id: account_id}
`
	w.configure(mirror)
	w.sends("accounts", 5)
	w.configure(mirror + "  on_delete: delete\n")
	w.sends("accounts", 0)
	w.exec(`DELETE FROM crm.accounts WHERE account_id IN ('c1', 'c2')`)
	if r := w.sends("accounts", 0); r.Deleted != 2 {
		t.Errorf("%d profiles were deleted, want 2", r.Deleted)
	}
	sameKeys(t, "profiles", w.mp.ProfileIDs(), []string{"$company:c3", "$company:c4", "$company:c5"})
}

// Rejects with large documents fill neither memory nor state.
func TestRejectKeepsNoLargeValuesWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emulator.Options{})
	w.accounts(2)
	w.exec(`ALTER TABLE crm.accounts ADD COLUMN notes text;
		UPDATE crm.accounts SET account_id = ' ', notes = repeat('é', 2000000) WHERE account_id = 'c2'`)
	w.configure(accountsSync + "  max_rejects: 50%\n")
	w.sends("accounts", 1)
	var list struct {
		Rejects []struct{ Payload map[string]string }
	}
	w.json(&list, "rejects", "list")
	if len(list.Rejects) != 1 {
		t.Fatalf("%d rejects, want 1", len(list.Rejects))
	}
	if p := list.Rejects[0].Payload; p["plan"] != "A" || len(p["notes"]) != 16<<10 {
		t.Errorf("the payload has plan %q and %d bytes of notes", p["plan"], len(p["notes"]))
	}
}

// Rejects are retried on request: rows that were mended where no run looks any
// more are sent, those that are still bad stay, and the mark does too.
func TestRetryRejects(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emulator.Options{})
	w.usage(1000, "timestamptz '2026-11-01 00:00Z'", "interval '1 minute'")
	w.exec(`UPDATE app.usage SET account_id = NULL WHERE id IN (3, 5, 7, 9)`)
	w.configure(usageSync("lookback: 0s"))
	w.sync("usage")
	mark := w.mark("usage")
	w.exec(`UPDATE app.usage SET account_id = 'acme' WHERE id IN (3, 5)`)
	w.exec(`DELETE FROM app.usage WHERE id = 9`)
	w.sends("usage", 0) // they lie far behind the mark
	retry := func(code int, args ...string) outcome {
		t.Helper()
		o := w.start(append([]string{"rejects", "retry", "-o", "json"}, args...)...).end()
		if o.code != code {
			t.Fatalf("rejects retry %v = %d %s %s", args, o.code, o.stdout, o.stderr)
		}
		return o
	}
	var list struct {
		Rejects []struct {
			ID  string
			Key struct{ ID int }
		}
	}
	w.json(&list, "rejects", "list")
	for _, r := range list.Rejects {
		if r.Key.ID == 3 {
			if got := retry(0, r.ID).syncs["usage"]; got.Accepted != 1 || got.Rejected != 0 {
				t.Errorf("one mended reject came to %+v", got)
			}
		}
	}
	if got := retry(0, "--sync", "usage").syncs["usage"]; got.Accepted != 1 || got.Rejected != 1 || got.Status != "partial" {
		t.Errorf("the rest came to %+v", got)
	}
	diff(t, "rejects", w.rejects(), map[string]string{`{"id":7}`: "missing_company", `{"id":9}`: "missing_company"})
	if got := w.mark("usage"); got != mark {
		t.Errorf("the mark moved from %s to %s", mark, got)
	}
	w.holds(usageKeys + ` WHERE id <> 7`)
	w.sends("usage", 0)
	retry(2, "nothing")
	retry(2)
}
