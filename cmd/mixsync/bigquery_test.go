//go:build cgo

package main

import (
	"strings"
	"testing"

	"github.com/mixsync/mixsync/connectors/bigquery/bigquerytest"
	"github.com/mixsync/mixsync/connectors/mixpanel/emulator"
)

// TestBigQuery syncs tables of BigQuery that demand a condition on their partitions,
// one of which is partitioned by a hidden column.
func TestBigQuery(t *testing.T) {
	t.Parallel()
	for cursor, kind := range map[string]string{"loaded_at": "TIMESTAMPTZ", "_PARTITIONTIME": "TIMESTAMPTZ", "_PARTITIONDATE": "DATE"} {
		t.Run(cursor, func(t *testing.T) {
			t.Parallel()
			s := bigquerytest.Start(t, bigquerytest.Options{ChunkRows: 1000})
			add := func(create, from, to string) {
				s.Exec(t, strings.NewReplacer("CREATE", create, "CURSOR", cursor, "KIND", kind, "FROM_", from, "TO_", to).Replace(
					`CREATE SELECT 'k' || n AS id, 'E' AS event_name, 'acct' || n % 7 AS account_id, 'user' || n AS user_id,
					TIMESTAMPTZ '2026-01-01 00:00:00+00' + n * INTERVAL '1 second' AS occurred_at,
					CAST(TIMESTAMP '2026-01-01 00:00:00' + n // 5000 * INTERVAL '1 day' AS KIND) AS "CURSOR" FROM range(FROM_, TO_) AS r(n)`))
			}
			add("CREATE SCHEMA app; CREATE TABLE app.usage AS", "0", "20000")
			s.Partition(t, "app.usage", cursor, true)
			w := newWorld(t, emulator.Options{KeysOnly: true})
			w.block = s.Block()
			w.configure(strings.ReplaceAll(`
	usage:
	  type: event
	  table: test-project.app.usage
	  mode: append
	  primary_key: [id]
	  cursor: {column: CURSOR, lookback: 1d, settle: 0s}
	  mapping: {event: event_name, time: occurred_at, company_id: account_id, user_id: user_id, insert_id: id}
	  properties: {exclude: ["_*"]}
`, "CURSOR", cursor))
			var checked struct{ OK bool }
			w.json(&checked, "check")
			if !checked.OK {
				t.Error("check finds faults")
			}
			w.sends("usage", 20_000)
			w.sends("usage", 0)
			add("INSERT INTO app.usage", "20000", "25000")
			before := len(s.Jobs())
			w.sends("usage", 5000)
			for _, j := range s.Jobs()[before:] {
				// The day of the mark, that before it for the lookback, and the new one.
				if j.RowsRead > 15_000 && !j.DryRun && !strings.Contains(j.SQL, "min(") && !strings.Contains(j.SQL, "max(") {
					t.Errorf("a job of the second run reads %d rows:\n%s\n%v", j.RowsRead, j.SQL, j.Params)
				}
				if j.Err != "" && !j.DryRun {
					t.Errorf("a job failed: %s\n%s", j.Err, j.SQL)
				}
			}
			if got := w.received(); got != 25_000 {
				t.Errorf("Mixpanel received %d events, want 25000", got)
			}
		})
	}
}
