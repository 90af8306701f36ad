//go:build cgo

package duckdb_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mixsync/mixsync/connectors/duckdb"
	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/connectors/warehouse/warehousetest"
)

func TestQuoteTable(t *testing.T) {
	t.Parallel()
	var d duckdb.Driver
	for in, want := range map[string]string{
		"usage":                `"usage"`,
		"app.usage":            `"app"."usage"`,
		"lake.app.usage":       `"lake"."app"."usage"`,
		`App.Usage`:            `"App"."Usage"`,
		`"a.b".c`:              `"a.b"."c"`,
		`app."say ""hi"""`:     `"app"."say ""hi"""`,
		`x"; DROP TABLE y`:     `"x""; DROP TABLE y"`,
		``:                     `""`,
		"events.parquet":       `'events.parquet'`,
		"Events.CSV.gz":        `'Events.CSV.gz'`,
		"log.ndjson.zst":       `'log.ndjson.zst'`,
		"lake/usage":           `'lake/usage'`,
		"lake/*/it's.json":     `'lake/*/it''s.json'`,
		"day=?.parquet":        `'day=?.parquet'`,
		"s3://bucket/a.json":   `'s3://bucket/a.json'`,
		`C:\lake\a.tsv`:        `'C:\lake\a.tsv'`,
		`"events.parquet"`:     `"events.parquet"`,
		`app."events.parquet"`: `"app"."events.parquet"`,
	} {
		if got := d.Dialect().QuoteTable(in); got != want {
			t.Errorf("QuoteTable(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestDescribeTable(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "shop.duckdb")
	exec(t, path, `
CREATE SCHEMA app;
CREATE TABLE app.usage (b INTEGER, a VARCHAR, "at" TIMESTAMPTZ NOT NULL, v INTEGER, PRIMARY KEY (a, b));
CREATE TABLE usage (id INTEGER NOT NULL);
CREATE VIEW app.seen AS SELECT * FROM app.usage;
CREATE TABLE "Odd.Name" (id INTEGER)`)
	d := open(t, duckdb.Options{Path: path})
	usage := &warehouse.Table{NotNull: map[string]bool{"a": true, "b": true, "at": true}, PrimaryKey: []string{"a", "b"}, Indexed: []string{"b", "a", "at", "v"}}
	for name, want := range map[string]*warehouse.Table{
		"app.usage":      usage,
		"APP.Usage":      usage,
		"shop.app.usage": usage,
		"usage":          {NotNull: map[string]bool{"id": true}, Indexed: []string{"id"}},
		"shop.usage":     {NotNull: map[string]bool{"id": true}, Indexed: []string{"id"}},
		"app.seen":       {NotNull: map[string]bool{}},
		`"Odd.Name"`:     {NotNull: map[string]bool{}, Indexed: []string{"id"}},
		"app.missing":    {NotNull: map[string]bool{}},
		"a.parquet":      nil,
	} {
		got, err := warehouse.DescribeTable(t.Context(), d, warehouse.Source{Table: name})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("DescribeTable(%q) (-want +got):\n%s", name, diff)
		}
	}
	if _, err := d.DescribeTable(t.Context(), "a.b.c.d"); warehouse.ClassOf(err) != warehouse.ClassSchema {
		t.Errorf("DescribeTable of four parts: %v, want a schema error", err)
	}
	schema, err := warehouse.Describe(t.Context(), d, warehouse.Source{Table: "app.usage"})
	if err != nil {
		t.Fatal(err)
	}
	if !schema.Fields[0].NotNull || schema.Fields[3].NotNull {
		t.Errorf("Describe = %+v, want NOT NULL as the catalogue has it", schema.Fields)
	}
}

// TestFiles reads each kind of file by its name, by a pattern, and by a function.
func TestFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.csv":                 "id,at,name\n1,2026-01-31 12:00:00,x\n2,,\n",
		"b.jsonl":               `{"id": 1, "tags": ["x"], "deep": {"n": 9007199254740993}}` + "\n" + `{"id": 2}` + "\n",
		"day=2026-01-31/c.json": `[{"id": 3}]`,
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	exec(t, "", "COPY (SELECT 1 AS id, TIMESTAMPTZ '2026-01-31 12:00:00+00' AS at) TO '"+dir+"/d.parquet'")
	d := open(t, duckdb.Options{})
	for _, test := range []struct {
		src  warehouse.Source
		want [][]string
	}{
		{warehouse.Source{Table: dir + "/a.csv"}, [][]string{{"1", "2026-01-31T12:00:00", "x"}, {"2", "NULL", "NULL"}}},
		{warehouse.Source{Table: dir + "/b.jsonl"}, [][]string{{"1", `["x"]`, `{"n":"9007199254740993"}`}, {"2", "NULL", "NULL"}}},
		{warehouse.Source{Table: dir + "/*/c.json"}, [][]string{{"3", "2026-01-31"}}},
		{warehouse.Source{Table: dir + "/d.parquet"}, [][]string{{"1", "2026-01-31T12:00:00Z"}}},
		{warehouse.Source{Query: "SELECT id FROM read_csv('" + dir + "/a.csv', all_varchar = true)"}, [][]string{{"1"}, {"2"}}},
		{warehouse.Source{Query: "SELECT count(*) AS n FROM '" + dir + "/*.parquet';"}, [][]string{{"1"}}},
	} {
		schema, err := warehouse.Describe(t.Context(), d, test.src)
		if err != nil {
			t.Errorf("%v: %v", test.src, err)
			continue
		}
		if diff := cmp.Diff(test.want, read(t, d, schema, warehouse.ReadSpec{Source: test.src})); diff != "" {
			t.Errorf("%v (-want +got):\n%s", test.src, diff)
		}
	}
}

func TestQueryErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "bad.parquet"), []byte("PAR1 not really"), 0o644); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "shop.duckdb")
	exec(t, path, "CREATE TABLE usage (id INTEGER, account_id INTEGER)")
	d := open(t, duckdb.Options{Path: path, MemoryLimit: 64 << 20, Threads: 1})
	for _, test := range []struct {
		sql, text, hint string
		class           warehouse.Class
	}{
		{"SELECT * FROM usge", `Did you mean "usage"?`, "name", warehouse.ClassSchema},
		{"SELECT acount_id FROM usage", `Candidate bindings: "account_id"`, "columns", warehouse.ClassSchema},
		{"SELECT u.id FROM usage AS u JOIN usage AS v ON id = 1", "mbiguous", "AS", warehouse.ClassSchema},
		{"SELEC 1", "syntax error", "single SELECT", warehouse.ClassSchema},
		{"SELECT 1; SELECT 2", "multiple statements", "single SELECT", warehouse.ClassSchema},
		{"", "No statement", "single SELECT", warehouse.ClassSchema},
		{"SELECT 'a\x00b'", "NUL", "take it out", warehouse.ClassSchema},
		{"CREATE TABLE x (id INTEGER)", "no SELECT", "single SELECT", warehouse.ClassSchema},
		{"DELETE FROM usage", "no SELECT", "single SELECT", warehouse.ClassSchema},
		{"SELECT CAST('x' || id AS INTEGER) FROM range(3) AS r(id)", "Could not convert string 'x0'", "TRY_CAST", warehouse.ClassQuery},
		{"SELECT * FROM 'nowhere/*.parquet'", "No files found", "working directory", warehouse.ClassSchema},
		{"SELECT * FROM '" + dir + "/bad.parquet'", "bad.parquet", "whole", warehouse.ClassQuery},
		{"SELECT * FROM 's3://bucket/a.parquet'", "requires the extension httpfs", "copy remote files", warehouse.ClassConfig},
		{"SELECT * FROM read_xlsx('a.xlsx')", "excel extension", "extensions", warehouse.ClassConfig},
		{"SELECT st_point(1, 2)", "spatial extension", "extensions", warehouse.ClassConfig},
		{"SELECT 1::VARIANT AS v", `column "v" holds VARIANT`, "JSON", warehouse.ClassSchema},
		{"SELECT ['POINT(1 2)'::GEOMETRY] AS v", `column "v" holds GEOMETRY`, "VARCHAR", warehouse.ClassSchema},
		{"SELECT list(n) FROM range(100000000) AS r(n)", "out of memory", "memory_limit", warehouse.ClassQuery},
	} {
		err := run(t, d, test.sql)
		var e *warehouse.Error
		if !errors.As(err, &e) {
			t.Errorf("%s: error = %v, want a classified one", test.sql, err)
			continue
		}
		if e.Class != test.class || !strings.Contains(e.Error(), test.text) || !strings.Contains(e.Hint, test.hint) || strings.Contains(e.Error(), "\n") {
			t.Errorf("%s: class %d, %q, hint %q; want class %d, …%s…, hint …%s…", test.sql, e.Class, e, e.Hint, test.class, test.text, test.hint)
		}
	}
	// VARIANT as the hint says.
	schema, err := d.Describe(t.Context(), "SELECT CAST({'a': [1]}::VARIANT AS JSON) AS v")
	if err != nil || schema.Fields[0].Kind != warehouse.JSON {
		t.Errorf("Describe = %v, %v, want JSON", schema, err)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	d := open(t, duckdb.Options{MemoryLimit: 256 << 20, Threads: 2})
	got := query(t, d, `SELECT current_setting('memory_limit') AS memory, current_setting('threads') AS threads, current_setting('TimeZone') AS zone,
  current_setting('autoload_known_extensions') AS autoload, CAST(TIMESTAMPTZ '2026-01-31 23:30:00+00' AS DATE) AS day, current_setting('temp_directory') AS temp`)
	if diff := cmp.Diff([]string{"256.0 MiB", "2", "UTC", "false", "2026-01-31"}, got[0][:5]); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	temp := got[0][5]
	if info, err := os.Stat(temp); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("temporary files go to %q: %v, %v, want a folder of our own", temp, info, err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(temp); !os.IsNotExist(err) {
		t.Errorf("the temporary folder is there after Close: %v", err)
	}
	if _, err := duckdb.Open(t.Context(), duckdb.Options{Threads: -1}); warehouse.ClassOf(err) != warehouse.ClassConfig {
		t.Errorf("Open with -1 threads = %v, want a config error", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := duckdb.Open(ctx, duckdb.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Open with a cancelled context = %v", err)
	}
}

// TestLinger keeps a file open between queries and for a moment after the last.
func TestLinger(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.duckdb")
	exec(t, path, "CREATE TABLE a AS SELECT 1 AS id")
	eager := open(t, duckdb.Options{Path: path, Linger: -1})
	query(t, eager, "FROM a")
	if eager.IsOpen() {
		t.Error("a file with no time to linger is open after the query")
	}
	d := open(t, duckdb.Options{Path: path, Linger: 50 * time.Millisecond})
	query(t, d, "FROM a")
	for deadline := time.Now().Add(20 * time.Second); d.IsOpen(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("the file stays open")
		}
	}
	query(t, d, "FROM a") // and opens again
}

// TestValidity copies NULLs from chunks of odd sizes to batches that begin anywhere.
func TestValidity(t *testing.T) {
	t.Parallel()
	d := open(t, duckdb.Options{Threads: 1})
	for _, every := range []int{1, 2, 3, 7, 64, 2047, 100000} {
		const count = 30_000
		sql := fmt.Sprintf(`SELECT n, CASE WHEN n %% %[1]d <> 0 THEN n END AS i, CASE WHEN n %% %[1]d <> 0 THEN CAST(n AS VARCHAR) END AS s,
  CASE WHEN n %% %[1]d <> 0 THEN [n] END AS l, CASE WHEN n %% %[1]d <> 0 THEN CAST(n AS HUGEINT) END AS h, [CASE WHEN n %% %[1]d <> 0 THEN n END] AS e
FROM range(%d) AS r(n) WHERE n %% 11 <> 5 AND n // 1000 <> 3`, every, count)
		seen := 0
		each(t, d, sql, func(b *warehouse.Batch, row int) {
			n := b.Cols[0].Int[row]
			want := []string{fmt.Sprint(n), fmt.Sprint(n), fmt.Sprint(n), fmt.Sprintf("[%d]", n), fmt.Sprint(n), fmt.Sprintf("[%d]", n)}
			if n%int64(every) == 0 {
				want = []string{fmt.Sprint(n), "NULL", "NULL", "NULL", "NULL", "[null]"}
			}
			if diff := cmp.Diff(want, warehousetest.RenderRow(b, row)); diff != "" {
				t.Fatalf("every %d, row of %d (-want +got):\n%s", every, n, diff)
			}
			seen++
		})
		want := 0
		for n := range count {
			if n%11 != 5 && n/1000 != 3 {
				want++
			}
		}
		if seen != want {
			t.Errorf("every %d: %d rows, want %d", every, seen, want)
		}
	}
}

// TestBatchBytes reads rows of which some are so wide that a chunk has to be
// shared out to many batches.
func TestBatchBytes(t *testing.T) {
	t.Parallel()
	d := open(t, duckdb.Options{Threads: 1})
	const count, size = 3000, 100_000
	for name, value := range map[string]string{
		"text":   "repeat('x', %d)",
		"list":   "[repeat('x', %d)]",
		"struct": "{'a': [{'b': repeat('x', %d)}]}",
	} {
		t.Run(name, func(t *testing.T) {
			sql := fmt.Sprintf("SELECT n, CASE WHEN n %% 3 = 0 THEN "+value+" END AS v, CASE WHEN n %% 2 = 0 THEN [n] END AS l, repeat('y', CAST(n %% 5 AS INTEGER)) AS s FROM range(%d) AS r(n)", size, count)
			rows, err := d.Query(t.Context(), sql)
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			b := warehouse.NewBatch(rows.Schema())
			next := int64(0)
			for {
				err := rows.Fill(t.Context(), b)
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if held := len(b.Cols[1].Data); held > 2*warehouse.MaxBatchBytes {
					t.Errorf("a batch holds %d bytes, want at most about %d", held, warehouse.MaxBatchBytes)
				}
				for row := range b.Len() {
					n := b.Cols[0].Int[row]
					if n != next {
						t.Fatalf("row %d came where %d was to", n, next)
					}
					next++
					if wide := !b.Cols[1].IsNull(row); wide != (n%3 == 0) || wide && len(b.Cols[1].Text(row)) < size {
						t.Fatalf("row %d: the wide value is wrong", n)
					}
					if list := warehousetest.Render(b.Schema.Fields[2], &b.Cols[2], row); n%2 == 0 && list != fmt.Sprintf("[%d]", n) || n%2 != 0 && list != "NULL" {
						t.Fatalf("row %d: list %s", n, list)
					}
					if len(b.Cols[3].Text(row)) != int(n%5) {
						t.Fatalf("row %d: %q", n, b.Cols[3].Text(row))
					}
				}
				b.Reset()
			}
			if next != count {
				t.Errorf("%d rows, want %d", next, count)
			}
		})
	}
}

// TestDictionaries reads nested values whose parts the engine holds in
// compressed vectors: constants and dictionaries.
func TestDictionaries(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.parquet")
	exec(t, "", `COPY (SELECT n, {'kind': 'kind ' || n % 3, 'same': 'the same for every row', 'n': n} AS s, ['tag number ' || n % 5] AS l, MAP {'key ' || n % 2: n} AS m
FROM range(10000) AS r(n)) TO '`+path+`'`)
	d := open(t, duckdb.Options{})
	want := func(n int64) []string {
		return []string{fmt.Sprint(n), fmt.Sprintf(`{"kind":"kind %d","same":"the same for every row","n":%d}`, n%3, n),
			fmt.Sprintf(`["tag number %d"]`, n%5), fmt.Sprintf(`{"key %d":%d}`, n%2, n), fmt.Sprintf(`{"c":"constant","k":"kind %d"}`, n%3)}
	}
	for _, tail := range []string{"", " WHERE n % 7 = 3", " WHERE s.kind = 'kind 1'", " ORDER BY l, n DESC"} {
		each(t, d, "SELECT n, s, l, m, {'c': 'constant', 'k': s.kind} AS x FROM '"+path+"'"+tail, func(b *warehouse.Batch, row int) {
			if diff := cmp.Diff(want(b.Cols[0].Int[row]), warehousetest.RenderRow(b, row)); diff != "" {
				t.Fatalf("%s (-want +got):\n%s", tail, diff)
			}
		})
	}
	// The same value again and again, and values that a join repeats.
	each(t, d, "SELECT a.n, a.s, b.l, a.m, {'c': 'constant', 'k': b.s.kind} AS x FROM '"+path+"' AS a JOIN '"+path+"' AS b USING (n)", func(b *warehouse.Batch, row int) {
		if diff := cmp.Diff(want(b.Cols[0].Int[row]), warehousetest.RenderRow(b, row)); diff != "" {
			t.Fatalf("join (-want +got):\n%s", diff)
		}
	})
}

func run(t testing.TB, d *duckdb.Driver, sql string) error {
	t.Helper()
	rows, err := d.Query(t.Context(), sql)
	if err != nil {
		return err
	}
	defer rows.Close()
	b := warehouse.NewBatch(rows.Schema())
	for {
		if err := rows.Fill(t.Context(), b); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		b.Reset()
	}
}

func each(t testing.TB, d *duckdb.Driver, sql string, use func(b *warehouse.Batch, row int)) {
	t.Helper()
	rows, err := d.Query(t.Context(), sql)
	if err != nil {
		t.Fatalf("%v\n%s", err, sql)
	}
	defer rows.Close()
	b := warehouse.NewBatch(rows.Schema())
	for {
		if err := rows.Fill(t.Context(), b); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("%v\n%s", err, sql)
		}
		for row := range b.Len() {
			use(b, row)
		}
		b.Reset()
	}
}

func query(t testing.TB, d *duckdb.Driver, sql string) (rows [][]string) {
	t.Helper()
	each(t, d, sql, func(b *warehouse.Batch, row int) { rows = append(rows, warehousetest.RenderRow(b, row)) })
	return rows
}

func read(t testing.TB, d *duckdb.Driver, schema *warehouse.Schema, spec warehouse.ReadSpec) (rows [][]string) {
	t.Helper()
	reader, err := warehouse.NewReader(d, schema, spec)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	b := warehouse.NewBatch(schema)
	for {
		if err := reader.Next(t.Context(), b); errors.Is(err, io.EOF) {
			return rows
		} else if err != nil {
			t.Fatal(err)
		}
		for row := range b.Len() {
			rows = append(rows, warehousetest.RenderRow(b, row))
		}
	}
}
