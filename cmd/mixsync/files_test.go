//go:build cgo

package main

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mixsync/mixsync/connectors/mixpanel/emulator"
)

// lake runs SQL in a DuckDB of the test's own, to write the files that mixsync reads.
func lake(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("duckdb", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

const fileUsage = `
	usage:
	  type: event
	  query: SELECT * FROM '%s'
	  mode: append
	  primary_key: [id]
	  cursor: {column: loaded_at}
	  mapping: {event: event_name, time: occurred_at, company_id: account_id, user_id: user_id, insert_id: id}
`

// parquet writes a file of rows [from, to). Row 0 is left out: "0" is no legal
// insert id, so it would go as a hash.
func parquet(t *testing.T, dir, name string, from, to int) {
	t.Helper()
	lake(t, "", fmt.Sprintf(`COPY (SELECT i::VARCHAR AS id, ['Login', 'Export'][1 + i %% 2] AS event_name, 'acct' || i %% 500 AS account_id,
		'user' || i %% 5000 AS user_id, TIMESTAMPTZ '2026-01-01 00:00:00+00' + to_seconds(i) AS occurred_at,
		TIMESTAMPTZ '2026-01-01 00:00:30+00' + to_seconds(i) AS loaded_at, i * 0.5 AS amount, md5(i::VARCHAR) AS note
		FROM range(%d, %d) r(i)) TO '%s' (FORMAT parquet)`, from, to, filepath.ToSlash(filepath.Join(dir, name))))
}

func numbers(from, to int) []string {
	var list []string
	for i := from; i < to; i++ {
		list = append(list, fmt.Sprint(i))
	}
	return list
}

// Every row of a folder of Parquet files arrives once; files that are added, and
// a file that is written anew with more rows, send only the new ones.
func TestParquetFilesThatGrow(t *testing.T) {
	w := newWorld(t, emulator.Options{KeysOnly: true})
	w.block = "{type: duckdb}"
	parquet(t, w.dir, "a.parquet", 1, manyRows/2)
	parquet(t, w.dir, "b.parquet", manyRows/2, manyRows)
	w.configure(fmt.Sprintf(fileUsage, filepath.ToSlash(filepath.Join(w.dir, "*.parquet"))))
	if r := w.sync("usage"); r.Rows != manyRows-1 || r.Accepted != manyRows-1 {
		t.Errorf("first run read %d and accepted %d rows, want %d", r.Rows, r.Accepted, manyRows-1)
	}
	w.sends("usage", 0)
	parquet(t, w.dir, "b.parquet", manyRows/2, manyRows+1000)
	w.sends("usage", 1000)
	parquet(t, w.dir, "c.parquet", manyRows+1000, manyRows+1500)
	w.sends("usage", 500)
	want := numbers(1, manyRows+1500)
	slices.Sort(want)
	sameKeys(t, "insert ids", w.mp.InsertIDs(), want)
	if got := w.received(); got != manyRows+1499 {
		t.Errorf("Mixpanel received %d events, want each once: %d", got, manyRows+1499)
	}
}

// CSV and JSON files are read like tables, and the same rows give the same
// records from Postgres and from DuckDB: only the warehouse block differs.
func TestSameRecordsFromEveryWarehouse(t *testing.T) {
	syncs := `
	usage:
	  type: event
	  table: usage
	  mode: append
	  primary_key: [id]
	  cursor: {column: loaded_at}
	  mapping: {event: event_name, time: occurred_at, company_id: account_id, user_id: user_id}
	  properties: {flatten: [attrs]}
	users:
	  type: group
	  group_key: $user_id
	  table: people
	  mode: full
	  mapping: {company_id: account_id, group_id: user_id}
`
	tables := []string{
		`CREATE TABLE usage (id BIGINT PRIMARY KEY, event_name VARCHAR, account_id VARCHAR, user_id VARCHAR, occurred_at TIMESTAMPTZ, loaded_at TIMESTAMPTZ NOT NULL,
			small SMALLINT, amount DECIMAL(12,2), score DOUBLE PRECISION, ratio REAL, active BOOLEAN, day DATE, clock TIME, local TIMESTAMP, uid UUID, attrs JSON, tags INTEGER[], raw %s, big BIGINT)`,
		`INSERT INTO usage SELECT i, 'E' || i, 'acct' || i, 'user' || i, TIMESTAMPTZ '2026-01-01 00:00:00.123456+00' + i * INTERVAL '1 minute', TIMESTAMPTZ '2026-01-02 00:00:00+00' + i * INTERVAL '1 minute',
			i, i * 1.25, i / 7.0, 0.1, i %% 2 = 0, DATE '2026-01-31', TIME '12:34:56.5', TIMESTAMP '2026-06-01 12:00:00', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
			'{"a": {"b": 9007199254740993}, "c": null}', ARRAY[1, 2, NULL], %s, 9007199254740990 + i FROM %s`,
		`INSERT INTO usage (id, event_name, account_id, user_id, occurred_at, loaded_at) VALUES (99, 'Bare', 'acme', 'alice', TIMESTAMPTZ '2026-01-01 00:00:00+00', TIMESTAMPTZ '2026-01-02 12:00:00+00')`,
		`CREATE TABLE people (account_id VARCHAR, user_id VARCHAR, name VARCHAR, PRIMARY KEY (account_id, user_id))`,
		`INSERT INTO people VALUES ('acme', 'alice', 'Alice "A" Ünï'), ('globex', 'alice', 'Other')`,
	}
	preview := func(w *world) string {
		w.configure(syncs)
		var all string
		for _, name := range []string{"usage", "users"} {
			o := w.start("preview", name, "-n", "20", "-o", "json").end()
			if o.code != 0 || !strings.Contains(o.stdout, `"derived_id":"$company:acme|$user:alice"`) {
				t.Fatalf("preview %s = %d: %s%s", name, o.code, o.stdout, o.stderr)
			}
			all += o.stdout
		}
		return all
	}
	pg := newWorld(t, emulator.Options{})
	for i, s := range tables {
		switch i {
		case 0:
			s = fmt.Sprintf(s, "BYTEA")
		case 1:
			s = fmt.Sprintf(s, `'\x00ff'`, "generate_series(1, 9) AS r(i)")
			s = strings.NewReplacer("'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", `null}'`, `null}'::json`, `'\x00ff'`, `'\x00ff'::bytea`).Replace(s)
		}
		pg.exec(s)
	}
	duck := newWorld(t, emulator.Options{})
	path := filepath.Join(duck.dir, "lake.duckdb")
	duckTables := append([]string{}, tables...)
	duckTables[0] = fmt.Sprintf(duckTables[0], "BLOB")
	duckTables[1] = fmt.Sprintf(duckTables[1], `'\x00\xFF'::BLOB`, "range(1, 10) r(i)")
	lake(t, path, duckTables...)
	duck.block = fmt.Sprintf("{type: duckdb, path: %q}", path)
	diff(t, "records from Postgres and DuckDB", preview(duck), preview(pg))

	for _, format := range []string{"csv", "json"} {
		t.Run(format, func(t *testing.T) {
			w := newWorld(t, emulator.Options{KeysOnly: true})
			w.block = "{type: duckdb}"
			file := filepath.ToSlash(filepath.Join(w.dir, "rows."+format))
			lake(t, "", fmt.Sprintf(`COPY (SELECT 'k' || i AS id, 'E' AS event_name, 'acct' || i AS account_id, 'user' || i AS user_id,
				TIMESTAMP '2026-01-01 00:00:00' + to_seconds(i) AS occurred_at, TIMESTAMP '2026-01-02 00:00:00' + to_seconds(i) AS loaded_at
				FROM range(1000) r(i)) TO '%s'`, file))
			w.configure(fmt.Sprintf(fileUsage, file))
			w.sends("usage", 1000)
			w.sends("usage", 0)
		})
	}
}
