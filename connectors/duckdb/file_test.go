//go:build cgo

package duckdb_test

import (
	"bufio"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mixsync/mixsync/connectors/duckdb"
	"github.com/mixsync/mixsync/connectors/warehouse"
)

// writerEnv names the database that a copy of the test binary opens for writing
// and holds until its standard input ends.
const writerEnv = "MIXSYNC_TEST_DUCKDB_WRITER"

func TestMain(m *testing.M) {
	if path := os.Getenv(writerEnv); path != "" {
		if err := hold(path); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func hold(path string) error {
	db, err := sql.Open("duckdb", path)
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.Exec("INSERT INTO a VALUES (-1)"); err != nil {
		return err
	}
	fmt.Println("held")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// holdFor runs a writer in another process; release ends it. What it says first
// is returned: held, or why it could not.
func holdFor(t *testing.T, path string) (said string, release func()) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := osexec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), writerEnv+"="+path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said, _ = bufio.NewReader(out).ReadString('\n')
	return strings.TrimSpace(said), func() {
		in.Close()
		_ = cmd.Wait()
	}
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := filepath.Join(dir, "notes.duckdb")
	if err := os.WriteFile(text, []byte(strings.Repeat("not a database ", 1000)), 0o644); err != nil {
		t.Fatal(err)
	}
	whole := filepath.Join(dir, "whole.duckdb")
	exec(t, whole, "CREATE TABLE a AS SELECT n AS id FROM range(100000) AS r(n)")
	raw, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	raw[100] ^= 1
	broken := filepath.Join(dir, "broken.duckdb")
	if err := os.WriteFile(broken, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]struct {
		text, hint string
		class      warehouse.Class
	}{
		filepath.Join(dir, "missing.duckdb"): {"missing.duckdb does not exist", "Parquet", warehouse.ClassUnreachable},
		"missing.duckdb":                     {string(filepath.Separator) + "missing.duckdb does not exist", "check path", warehouse.ClassUnreachable},
		dir:                                  {"is a folder", "/*.parquet", warehouse.ClassConfig},
		text:                                 {"is no DuckDB database", "SQLite", warehouse.ClassConfig},
		broken:                               {"broken.duckdb", "copy it again", warehouse.ClassUnreachable},
		filepath.Join(text, "below"):         {"not a directory", "check path", warehouse.ClassUnreachable},
	} {
		_, err := duckdb.Open(t.Context(), duckdb.Options{Path: path})
		wantError(t, err, want.class, want.text, want.hint)
	}
}

func wantError(t *testing.T, err error, class warehouse.Class, text, hint string) {
	t.Helper()
	var e *warehouse.Error
	if !errors.As(err, &e) || e.Class != class || !strings.Contains(e.Error(), text) || !strings.Contains(e.Hint, hint) {
		t.Errorf("error = %+v, want class %d, …%s…, hint …%s…", err, class, text, hint)
	}
}

// TestLocked names the process that writes to the file, and reads when it is done.
func TestLocked(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.duckdb")
	exec(t, path, "CREATE TABLE a (id INTEGER)")
	d := open(t, duckdb.Options{Path: path, Linger: -1})
	said, release := holdFor(t, path)
	defer release()
	if said != "held" {
		t.Fatalf("the writer says %q", said)
	}
	_, err := duckdb.Open(t.Context(), duckdb.Options{Path: path})
	wantError(t, err, warehouse.ClassUnreachable, "(PID ", "let the writer close")
	_, err = d.Query(t.Context(), "FROM a")
	wantError(t, err, warehouse.ClassUnreachable, "has it open for writing", "copy")
	release()
	if got := query(t, d, "FROM a"); len(got) != 1 {
		t.Errorf("read %d rows after the writer closed, want 1", len(got))
	}

	db, err := sql.Open("duckdb", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.PingContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = d.Query(t.Context(), "FROM a")
	wantError(t, err, warehouse.ClassUnreachable, "this very process", "close it")
}

// TestTwoReaders share a file, in one process and with another, and keep writers
// out for as long as one of them reads.
func TestTwoReaders(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a.duckdb")
	exec(t, path, "CREATE TABLE a AS SELECT n AS id FROM range(50000) AS r(n)")
	link := filepath.Join(dir, "link.duckdb")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	first, second := open(t, duckdb.Options{Path: path, Linger: -1}), open(t, duckdb.Options{Path: link, Linger: -1})
	rows, err := first.Query(t.Context(), "FROM a ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	if got := query(t, second, "SELECT count(*) AS n FROM a"); got[0][0] != "50000" {
		t.Errorf("the second reader counts %v", got)
	}
	// The second has closed; the first still holds its lock.
	said, release := holdFor(t, path)
	release()
	if !strings.Contains(said, "lock") {
		t.Errorf("a writer beside a reader says %q, want that the file is locked", said)
	}
	b := warehouse.NewBatch(rows.Schema())
	n := 0
	for {
		if err := rows.Fill(t.Context(), b); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		n += b.Len()
		b.Reset()
	}
	if n != 50000 {
		t.Errorf("the first reader read %d rows", n)
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	said, release = holdFor(t, path)
	release()
	if said != "held" {
		t.Errorf("a writer after the readers says %q", said)
	}
}

// TestGrowth reads what was added since, and nothing else, from a database file
// and from Parquet files.
func TestGrowth(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a.duckdb")
	const rows = "SELECT n AS id, TIMESTAMPTZ '2026-01-01 00:00:00+00' + n * INTERVAL '1 second' AS loaded_at FROM range(%d, %d) AS r(n)"
	table := warehouse.Source{Table: "a"}
	file := warehouse.Source{Table: filepath.Join(dir, "*.parquet")}
	add := func(from, to int, create string) {
		t.Helper()
		exec(t, path, create+fmt.Sprintf(rows, from, to))
		exec(t, "", fmt.Sprintf("COPY ("+rows+") TO '%s/%d.parquet'", from, to, dir, from))
	}
	add(0, 1000, "CREATE TABLE a AS ")
	lake, files := open(t, duckdb.Options{Path: path, Linger: -1}), open(t, duckdb.Options{})
	for _, test := range []struct {
		d   *duckdb.Driver
		src warehouse.Source
	}{{lake, table}, {files, file}} {
		schema, err := warehouse.Describe(t.Context(), test.d, test.src)
		if err != nil {
			t.Fatal(err)
		}
		cursor := schema.Fields[1]
		before, err := warehouse.MaxCursor(t.Context(), test.d, test.src, cursor, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if test.d == lake {
			add(1000, 1007, "INSERT INTO a ")
		} else {
			exec(t, "", fmt.Sprintf("COPY ("+rows+") TO '%s/late.parquet'", 1007, 1010, dir))
		}
		after, err := warehouse.MaxCursor(t.Context(), test.d, test.src, cursor, nil, nil)
		if err != nil || *after <= *before {
			t.Fatalf("%s: the bound went from %s to %s, %v", test.src, *before, *after, err)
		}
		key := strconv.Itoa(map[bool]int{true: 999, false: 1006}[test.d == lake])
		spec := warehouse.ReadSpec{Source: test.src, Cursor: "loaded_at", Keys: []string{"id"}, From: before, To: after,
			After: &warehouse.Position{Cursor: before, Keys: []*string{&key}, Seen: 1}}
		var got []string
		for _, row := range read(t, test.d, schema, spec) {
			got = append(got, row[0])
		}
		want := []string{"1000", "1001", "1002", "1003", "1004", "1005", "1006"}
		if test.d == files {
			want = []string{"1007", "1008", "1009"}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.src, diff)
		}
	}
}

// TestMillion reads 1,000,000 rows of Parquet files that are out of order, in
// cursor order, exactly; and a bound near the end reads little of them.
func TestMillion(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const count = 1_000_000
	// 999,983 is a prime: every number below it comes once, all over the place.
	exec(t, "", fmt.Sprintf(`
COPY (SELECT * FROM (SELECT n * 7919 %% 999983 AS id FROM range(999983) AS r(n) UNION ALL SELECT n FROM range(999983, %d) AS r(n)) AS i,
  LATERAL (SELECT TIMESTAMPTZ '2026-01-01 00:00:00+00' + (id // 3) * INTERVAL '1 second' AS loaded_at, CASE WHEN id %% 5 > 0 THEN 'name of ' || id END AS name,
    CAST(id / 8 AS DECIMAL(18,3)) AS amount, [id] AS tags) AS row)
TO '%s' (FORMAT parquet, PER_THREAD_OUTPUT, ROW_GROUP_SIZE 20000)`, count, dir+"/lake"))
	d := open(t, duckdb.Options{})
	src := warehouse.Source{Query: "SELECT * FROM '" + dir + "/lake/*.parquet'"}
	schema, err := warehouse.Describe(t.Context(), d, src)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := warehouse.NewReader(d, schema, warehouse.ReadSpec{Source: src, Cursor: "loaded_at", Keys: []string{"id"}})
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	b := warehouse.NewBatch(schema)
	const start = 1767225600_000000 // 2026-01-01
	next := int64(0)
	var want []byte
	for {
		err := reader.Next(t.Context(), b)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for row := range b.Len() {
			id := b.Cols[0].Int[row]
			if id != next || b.Cols[1].Int[row] != start+id/3*1_000_000 {
				t.Fatalf("row %d came where %d was to, at %d", id, next, b.Cols[1].Int[row])
			}
			next++
			want = strconv.AppendInt(append(want[:0], "name of "...), id, 10)
			if null := b.Cols[2].IsNull(row); null != (id%5 == 0) || !null && string(b.Cols[2].Text(row)) != string(want) {
				t.Fatalf("row %d: name %q, NULL %t", id, b.Cols[2].Text(row), null)
			}
			want = strconv.AppendInt(want[:0], id/8, 10)
			want = append(append(want, '.'), fmt.Sprintf("%03d", id%8*125)...)
			if string(b.Cols[3].Text(row)) != string(want) {
				t.Fatalf("row %d: amount %s, want %s", id, b.Cols[3].Text(row), want)
			}
			want = append(strconv.AppendInt(append(want[:0], '['), id, 10), ']')
			if string(b.Cols[4].Text(row)) != string(want) {
				t.Fatalf("row %d: tags %s, want %s", id, b.Cols[4].Text(row), want)
			}
		}
	}
	if next != count {
		t.Errorf("read %d rows, want %d", next, count)
	}
}
