package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/mixsync/mixsync/connectors/mixpanel/emulator"
)

func TestEveryRowArrivesOnce(t *testing.T) {
	t.Parallel()
	const n = manyRows
	w := newWorld(t, emulator.Options{KeysOnly: true})
	w.usage(n, "now() - interval '2 hours'", "interval '1 millisecond'")
	w.configure(usageSync("lookback: 10m"))

	if r := w.sends("usage", n); r.Rows != n || r.Accepted != n || r.Mark.Before != nil || r.Mark.After == nil {
		t.Errorf("first run: %+v", r)
	}
	w.holds(usageKeys)

	w.addUsage(n+1, n+1000, "now() - interval '1 hour'", "interval '1 millisecond'")
	w.sends("usage", 1000)
	w.holds(usageKeys)

	w.exec(`INSERT INTO app.usage SELECT max(id) + 1, 'Late', now() - interval '1 day', 'acme', 'late', NULL, 'x', max(loaded_at) - interval '5 minutes' FROM app.usage`)
	w.sends("usage", 1)
	w.holds(usageKeys)

	before := w.mp.Counters().Requests["/import"]
	if r := w.sends("usage", 0); r.Requests != 0 || r.Status != "succeeded" {
		t.Errorf("nothing new: %+v", r)
	}
	if after := w.mp.Counters().Requests["/import"]; after != before {
		t.Errorf("a run with nothing new made %d requests", after-before)
	}
	if got := w.received(); got != n+1001 {
		t.Errorf("%d events were received for %d rows", got, n+1001)
	}
}

// A transaction is open while the run reads. Its rows carry the time it began
// and appear behind rows that others have committed since.
func TestLateCommitIsNotLost(t *testing.T) {
	t.Parallel()
	for name, cursor := range map[string]string{
		"held behind the transaction": "lookback: 0s, settle: 0s",
		"caught by the lookback":      "lookback: 10m, settle: 0s, max_hold: 0s",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, emulator.Options{})
			w.usage(10, "now() - interval '1 minute'", "interval '1 second'")
			w.configure(usageSync(cursor))

			late, err := w.connect().Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := late.Exec(t.Context(), `INSERT INTO app.usage VALUES (11, 'Late', now() - interval '1 day', 'acme', 'late', NULL, 'x', now())`); err != nil {
				t.Fatal(err)
			}
			w.addUsage(12, 20, "clock_timestamp()", "interval '0'")

			w.sync("usage")
			if err := late.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.sync("usage")
			w.holds(usageKeys)
			w.sends("usage", 0)
			if got := w.received(); got != 20 {
				t.Errorf("%d events were received for 20 rows", got)
			}
		})
	}
}

const accountsSync = `
accounts:
  type: group
  group_key: $company_id
  table: crm.accounts
  mode: upsert
  cursor: {column: updated_at, lookback: 10m, settle: 0s}
  mapping: {company_id: account_id}
`

func (w *world) accounts(n int) {
	w.t.Helper()
	w.exec(`CREATE SCHEMA crm;
		CREATE TABLE crm.accounts (account_id text PRIMARY KEY, plan text, updated_at timestamptz NOT NULL)`)
	w.exec(fmt.Sprintf(`INSERT INTO crm.accounts SELECT 'c' || i, 'A', now() - interval '1 hour' FROM generate_series(1, %d) AS i`, n))
}

func TestProfileThatChangesBackEndsAsItIs(t *testing.T) {
	t.Parallel()
	for name, last := range map[string]string{
		"forward in time":           `updated_at + interval '1 minute'`,
		"back to its former cursor": `updated_at - interval '1 minute'`,
		"cursor stays":              `updated_at`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, emulator.Options{})
			w.accounts(3)
			w.configure(accountsSync)
			w.sends("accounts", 3)
			w.exec(`UPDATE crm.accounts SET plan = 'B', updated_at = updated_at + interval '1 minute' WHERE account_id = 'c1'`)
			w.sends("accounts", 1)
			if got := w.mp.Profiles()["$company:c1"].Properties["plan"]; got != "B" {
				t.Errorf("after the change the plan is %v", got)
			}
			w.exec(`UPDATE crm.accounts SET plan = 'A', updated_at = ` + last + ` WHERE account_id = 'c1'`)
			w.sends("accounts", 1)
			if got := w.mp.Profiles()["$company:c1"].Properties["plan"]; got != "A" {
				t.Errorf("after the change back the plan is %v", got)
			}
			w.sends("accounts", 0)
		})
	}
}

// A table that keeps every version of a profile has one row of each within the
// lookback: read again, they must leave the newest.
func TestVersionsOfAProfileEndAsTheNewest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emulator.Options{})
	w.accounts(0)
	w.exec(`ALTER TABLE crm.accounts DROP CONSTRAINT accounts_pkey;
		INSERT INTO crm.accounts VALUES ('c1', 'A', now() - interval '3 minutes'), ('c1', 'B', now() - interval '2 minutes'),
			('c1', 'C', now() - interval '1 minute')`)
	w.configure(accountsSync)
	for i := range 4 {
		w.sync("accounts")
		if got := w.mp.Profiles()["$company:c1"].Properties["plan"]; got != "C" {
			t.Errorf("after run %d the plan is %v, not the newest", i+1, got)
		}
	}
}

func TestAddedColumnSendsNothingAgain(t *testing.T) {
	t.Parallel()
	t.Run("events", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, emulator.Options{})
		w.usage(100, "now() - interval '1 hour'", "interval '1 second'")
		w.configure(usageSync("lookback: 10m"))
		w.sends("usage", 100)
		w.exec(`ALTER TABLE app.usage ADD COLUMN note text`)
		w.sends("usage", 0)
		w.exec(`ALTER TABLE app.usage ADD COLUMN tier text DEFAULT 'free'`)
		w.sends("usage", 0)
		w.exec(`INSERT INTO app.usage SELECT 101, 'New', now() - interval '1 day', 'acme', 'u', NULL, 'x', max(loaded_at), 'seen', 'pro' FROM app.usage`)
		w.sends("usage", 1)
		events := w.mp.Events()
		last := events[len(events)-1].Properties
		if last["note"] != "seen" || last["tier"] != "pro" {
			t.Errorf("the new row came without its new columns: %v", last)
		}
	})
	for _, nulls := range []string{"skip", "unset"} {
		t.Run("profiles, nulls "+nulls, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, emulator.Options{})
			w.accounts(100)
			w.configure(accountsSync + "  nulls: " + nulls + "\n")
			if r := w.sends("accounts", 100); r.Requests > 40 {
				t.Errorf("%d requests for 100 profiles", r.Requests)
			}
			w.exec(`ALTER TABLE crm.accounts ADD COLUMN note text`)
			w.sends("accounts", 0)
			w.exec(`UPDATE crm.accounts SET note = 'seen', updated_at = updated_at + interval '1 second' WHERE account_id = 'c7'`)
			w.sends("accounts", 1)
			if got := w.mp.Profiles()["$company:c7"].Properties["note"]; got != "seen" {
				t.Errorf("the new column's value did not arrive: %v", got)
			}
		})
	}
}

// Cursors that are no timestamps with zone. After each step exactly the rows
// that it made new are sent.
func TestKindsOfCursor(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		column, cursor, more string
		first                string // of rows 1 to 50, over i
		tie, late            string // the cursor of a new row at the mark, and of one behind it
		future               string // a cursor that is not due yet; empty: there is none
	}{
		"date": {
			column: "date", cursor: "settle: 0s",
			first: "current_date - 5 + i / 10 - 1", tie: "current_date - 1", late: "current_date - 2", future: "current_date + 2",
		},
		"integer": {column: "bigint", cursor: "lookback: 20", first: "1000 + i", tie: "1050", late: "1035"},
		"integer without lookback": {
			column: "integer", cursor: "lookback: 0", first: "-25 + i", tie: "25",
		},
		"timestamp in Berlin": {
			column: "timestamp", cursor: "settle: 10s, lookback: 1h", more: "timezone: Europe/Berlin",
			first:  "(now() AT TIME ZONE 'Europe/Berlin') - interval '2 minutes' + i * interval '1 second'",
			tie:    "(SELECT max(loaded_at) FROM t)",
			late:   "(now() AT TIME ZONE 'Europe/Berlin') - interval '30 minutes'",
			future: "(now() AT TIME ZONE 'Europe/Berlin') + interval '5 minutes'",
		},
		"timestamp west of here": { // a limit by UTC would take rows that are not due
			column: "timestamp(3)", cursor: "settle: 10s, lookback: 1h", more: "timezone: America/New_York",
			first:  "(now() AT TIME ZONE 'America/New_York') - interval '2 minutes' + i * interval '1 second'",
			tie:    "(SELECT max(loaded_at) FROM t)",
			late:   "(now() AT TIME ZONE 'America/New_York') - interval '30 minutes'",
			future: "(now() AT TIME ZONE 'America/New_York') + interval '5 minutes'",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, emulator.Options{})
			w.exec(`CREATE TABLE t (id int PRIMARY KEY, at timestamp NOT NULL DEFAULT ((now() AT TIME ZONE 'Europe/Berlin') - interval '1 day'), loaded_at ` + tt.column + ` NOT NULL)`)
			w.exec(`INSERT INTO t (id, loaded_at) SELECT i, ` + tt.first + ` FROM generate_series(1, 50) AS i`)
			w.configure(`
ticks:
  type: event
  table: t
  mode: append
  primary_key: [id]
  cursor: {column: loaded_at, ` + tt.cursor + `}
  mapping: {event: {value: Tick}, time: at, company_id: {value: acme}, user_id: {value: alice}, insert_id: id}
  ` + tt.more + "\n")
			w.sends("ticks", 50)
			w.sends("ticks", 0)
			w.exec(`INSERT INTO t (id, loaded_at) VALUES (51, ` + tt.tie + `)`)
			w.sends("ticks", 1)
			if tt.late != "" {
				w.exec(`INSERT INTO t (id, loaded_at) VALUES (52, ` + tt.late + `)`)
				w.sends("ticks", 1)
			}
			w.holds(`SELECT id::text FROM t`)
			if tt.future != "" {
				w.exec(`INSERT INTO t (id, loaded_at) VALUES (53, ` + tt.future + `)`)
			}
			w.sends("ticks", 0)
		})
	}
}

// A time column without zone is read in the sync's, summer and winter.
func TestZonelessTimesAreReadInTheSyncsZone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emulator.Options{})
	w.exec(`CREATE TABLE t (id int PRIMARY KEY, at timestamp NOT NULL, loaded_at timestamp NOT NULL)`)
	w.exec(`INSERT INTO t VALUES (1, '2026-01-15 12:00', '2026-01-15 12:00'), (2, '2026-07-15 12:00', '2026-07-15 12:00')`)
	w.configure(`
ticks:
  type: event
  table: t
  mode: append
  primary_key: [id]
  timezone: Europe/Berlin
  cursor: {column: loaded_at, lookback: 1h}
  mapping: {event: {value: Tick}, time: at, company_id: {value: acme}, user_id: {value: alice}, insert_id: id}
`)
	w.sends("ticks", 2)
	got := map[string]string{}
	for _, e := range w.mp.Events() {
		got[e.InsertID] = e.Time.Format(time.RFC3339)
	}
	diff(t, "times", got, map[string]string{"1": "2026-01-15T11:00:00Z", "2": "2026-07-15T10:00:00Z"})
}
