//go:build cgo

package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/mixsync/mixsync/connectors/bigquery/bigquerytest"
	"github.com/mixsync/mixsync/connectors/mixpanel/emulator"
	"github.com/mixsync/mixsync/connectors/snowflake/snowflaketest"
)

// cloud is a warehouse that is nobody's machine: its stand-in, which the built
// binary talks to over TCP by the real driver.
type cloud struct {
	name  string
	block string // of the YAML
	exec  func(t testing.TB, statements string)
	// breaks makes the download of results break off twice, loses makes all of them
	// fail for good, and mended ends that.
	breaks, loses, mended func()
}

// clouds starts a stand-in of each, which sends results in chunks of so many rows.
func clouds(t *testing.T, chunkRows int) []cloud {
	t.Helper()
	snow := snowflaketest.Start(t, snowflaketest.Options{InlineRows: 500, ChunkRows: chunkRows})
	bq := bigquerytest.Start(t, bigquerytest.Options{ChunkRows: chunkRows})
	return []cloud{
		{
			name: "snowflake", block: snow.Block(),
			exec: func(t testing.TB, statements string) {
				t.Helper()
				if err := snow.Exec(statements); err != nil {
					t.Fatalf("%v\n%.500s", err, statements)
				}
			},
			breaks: func() { snow.BreakChunks(2) },
			loses:  func() { snow.RefuseChunks(-1, http.StatusForbidden) },
			mended: func() { snow.RefuseChunks(0, 0) },
		},
		{
			name: "bigquery", block: bq.Block(), exec: bq.Exec,
			breaks: func() { bq.BreakStreams(2, codes.Unavailable) },
			loses:  func() { bq.BreakStreams(1000, codes.DataLoss) },
			mended: func() { bq.BreakStreams(0, codes.OK) },
		},
	}
}

// eachCloud runs a test on a world of each.
func eachCloud(t *testing.T, o emulator.Options, test func(t *testing.T, c cloud, w *world)) {
	t.Parallel()
	for _, c := range clouds(t, 5000) {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, o)
			w.block = c.block
			test(t, c, w)
		})
	}
}

// fill makes the event table of rows 1 to n, a millisecond apart from start on.
func (c *cloud) fill(t *testing.T, n int, start string) {
	t.Helper()
	c.exec(t, `CREATE SCHEMA app; CREATE TABLE app.usage (id BIGINT, event_name VARCHAR, occurred_at TIMESTAMPTZ, account_id VARCHAR, user_id VARCHAR,
		feature VARCHAR, loaded_at TIMESTAMPTZ)`)
	c.add(t, 1, n, start, "INTERVAL '1 millisecond'")
}

// add adds the rows from..to.
func (c *cloud) add(t *testing.T, from, to int, start, step string) {
	t.Helper()
	c.exec(t, fmt.Sprintf(`INSERT INTO app.usage SELECT i, 'Feature Used', now() - INTERVAL '1 day' + i * INTERVAL '1 millisecond', 'acme' || i %% 10,
		'user' || i %% 1000, 'feature ' || i %% 7, %s + (i - %d) * %s FROM range(%d, %d) AS r(i)`, start, from, step, from, to+1))
}

func cloudSync(cursor string) string {
	return `
usage:
  type: event
  table: app.usage
  mode: append
  primary_key: [id]
  cursor: {column: loaded_at, ` + cursor + `}
  mapping: {event: event_name, time: occurred_at, company_id: account_id, user_id: user_id, insert_id: id}
`
}

// has checks that Mixpanel holds each of the rows once.
func (w *world) has(rows []string) {
	w.t.Helper()
	slices.Sort(rows)
	sameKeys(w.t, "events", w.mp.InsertIDs(), rows)
	if got := w.mp.Count(); got != len(rows) {
		w.t.Errorf("%d deduplicated events of %d rows", got, len(rows))
	}
}

func TestCloudEveryRowArrivesOnce(t *testing.T) {
	const n = manyRows
	eachCloud(t, emulator.Options{KeysOnly: true}, func(t *testing.T, c cloud, w *world) {
		c.fill(t, n, "now() - INTERVAL '2 hours'")
		w.configure(cloudSync("lookback: 10m"))
		if r := w.sends("usage", n); r.Rows != n || r.Accepted != n || r.Mark.Before != nil || r.Mark.After == nil || len(r.QueryIDs) == 0 {
			t.Errorf("first run: %+v", r)
		}
		w.has(numbers(1, n+1))

		// Nothing new: the warehouse says so without working.
		if r := w.sends("usage", 0); r.Status != "skipped" || r.Reason == "" || r.Queries != 0 {
			t.Errorf("nothing new: %+v", r)
		}

		c.add(t, n+1, n+1000, "now() - INTERVAL '1 hour'", "INTERVAL '1 millisecond'")
		w.sends("usage", 1000)

		// A row that comes late, and one that shares the mark's cursor.
		c.exec(t, fmt.Sprintf(`INSERT INTO app.usage SELECT %d, 'Late', now(), 'acme', 'late', 'x', max(loaded_at) - INTERVAL '5 minutes' FROM app.usage`, n+1001))
		c.exec(t, fmt.Sprintf(`INSERT INTO app.usage SELECT %d, 'Tie', now(), 'acme', 'tie', 'x', max(loaded_at) FROM app.usage`, n+1002))
		w.sends("usage", 2)

		// A row too young to be read is read when it has settled, though the table
		// has not changed since.
		c.exec(t, fmt.Sprintf(`INSERT INTO app.usage SELECT %d, 'Young', now(), 'acme', 'young', 'x', now() - INTERVAL '26 seconds'`, n+1003))
		if r := w.sync("usage"); r.Status == "skipped" {
			t.Errorf("a table with a young row: %+v", r)
		}
		deadline := time.Now().Add(time.Minute)
		for w.mp.Count() < n+1003 && time.Now().Before(deadline) {
			w.sync("usage")
		}
		w.sends("usage", 0)
		w.has(numbers(1, n+1004))
		if got := w.received(); got != n+1003 {
			t.Errorf("%d events were received for %d rows", got, n+1003)
		}
	})
}

// Killed amid slices, a run goes on with those that were not done.
func TestCloudKilled(t *testing.T) {
	const n = 60_000
	eachCloud(t, emulator.Options{KeysOnly: true}, func(t *testing.T, c cloud, w *world) {
		w.tuning = "    concurrency: 2\n"
		c.fill(t, 0, "now()")
		c.add(t, 1, n, "TIMESTAMPTZ '2026-11-01 00:00:00+00'", "INTERVAL '1 second'")
		w.configure(cloudSync("lookback: 10m, slice: hour"))
		w.slowly(100 * time.Millisecond)
		kill := n/4 + rand.IntN(n/2)
		p := w.begin("usage")
		if !p.await(func() bool { return w.received() >= kill }) {
			t.Fatalf("the run ended before row %d: %+v", kill, p.end())
		}
		p.signal(syscall.SIGKILL)
		p.end()
		w.quickly()
		if r := w.sync("usage"); !r.Resumed || r.Rejected != 0 {
			t.Errorf("killed at %d events, the second run: %+v", kill, r)
		}
		w.has(numbers(1, n+1))
		// What was done was not read again: all but the slices that were being worked on.
		if again := w.received() - n; again > 3*3600+2000*2 {
			t.Errorf("%d events were sent again after a kill at %d", again, kill)
		}
		w.sends("usage", 0)
	})
}

// Many rows with one cursor value, and a kill among them.
func TestCloudTies(t *testing.T) {
	const n = 30_000
	eachCloud(t, emulator.Options{KeysOnly: true}, func(t *testing.T, c cloud, w *world) {
		w.tuning = "    concurrency: 2\n"
		c.fill(t, 0, "now()")
		c.add(t, 1, n, "TIMESTAMPTZ '2026-11-01 12:00:00+00'", "INTERVAL '0 seconds'")
		w.configure(cloudSync("lookback: 0s"))
		w.slowly(100 * time.Millisecond)
		p := w.begin("usage")
		if !p.await(func() bool { return w.received() >= n/3 }) {
			t.Fatalf("the run ended by itself: %+v", p.end())
		}
		p.signal(syscall.SIGKILL)
		p.end()
		w.quickly()
		w.sync("usage")
		w.has(numbers(1, n+1))
		c.add(t, n+1, n+5, "TIMESTAMPTZ '2026-11-01 12:00:00+00'", "INTERVAL '0 seconds'")
		w.sends("usage", 5)
		w.has(numbers(1, n+6))
	})
}

// A download that breaks and then works loses nothing; one that breaks for good
// fails the run with the mark before it.
func TestCloudDownloadsThatBreak(t *testing.T) {
	const n = 40_000
	eachCloud(t, emulator.Options{KeysOnly: true}, func(t *testing.T, c cloud, w *world) {
		c.fill(t, n, "now() - INTERVAL '2 hours'")
		w.configure(cloudSync("lookback: 10m"))
		c.breaks()
		w.sends("usage", n)
		w.has(numbers(1, n+1))
		mark := w.mark("usage")

		c.add(t, n+1, 2*n, "now() - INTERVAL '1 hour'", "INTERVAL '1 millisecond'")
		c.loses()
		o := w.run(1, "usage")
		if r := o.syncs["usage"]; r.Error == nil || r.Error.Code != "warehouse_query" || r.Error.Hint == "" {
			t.Errorf("a download that breaks for good: %+v", r)
		}
		if got := w.mark("usage"); got != mark {
			t.Errorf("the mark moved from %s to %s past rows that were not read", mark, got)
		}
		c.mended()
		w.sync("usage")
		w.has(numbers(1, 2*n+1))
	})
}

// Of a profile that has several versions the newest stays, in whatever order the
// warehouse likes to answer.
func TestCloudProfilesEndAsTheNewest(t *testing.T) {
	eachCloud(t, emulator.Options{}, func(t *testing.T, c cloud, w *world) {
		c.exec(t, `CREATE SCHEMA crm; CREATE TABLE crm.accounts AS SELECT 'c' || (i % 50) AS account_id, 'version ' || (i // 50) AS plan,
			TIMESTAMPTZ '2026-11-01 00:00:00+00' + (i // 50) * INTERVAL '1 second' AS updated_at FROM range(20000) r(i) ORDER BY hash(i)`)
		w.configure(`
accounts:
  type: group
  group_key: $company_id
  table: crm.accounts
  mode: upsert
  cursor: {column: updated_at, lookback: 10m}
  mapping: {company_id: account_id}
`)
		w.sends("accounts", 20_000)
		profiles := w.mp.Profiles()
		for i := range 50 {
			if got := profiles[fmt.Sprintf("$company:c%d", i)].Properties["plan"]; got != "version 399" {
				t.Fatalf("company c%d ended as %v, not the newest version", i, got)
			}
		}
	})
}
