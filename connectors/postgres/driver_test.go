package postgres_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/goleak"

	"github.com/mixsync/mixsync/connectors/postgres"
	"github.com/mixsync/mixsync/connectors/postgres/postgrestest"
	"github.com/mixsync/mixsync/connectors/warehouse"
)

func TestDescribeTable(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Start(t)
	exec(t, dsn, `
CREATE SCHEMA app;
CREATE TABLE app.usage (b int, a text, at timestamptz NOT NULL, gone int, v int, PRIMARY KEY (a, b));
ALTER TABLE app.usage DROP COLUMN gone;
CREATE INDEX ON app.usage (at, v);
CREATE INDEX ON app.usage (v) WHERE v > 0;
CREATE INDEX ON app.usage (lower(a));
CREATE VIEW app.seen AS SELECT * FROM app.usage;
CREATE TABLE "Odd.Name" (id int NOT NULL);`)
	d := open(t, dsn)
	for name, want := range map[string]*warehouse.Table{
		"app.usage":   {NotNull: map[string]bool{"a": true, "b": true, "at": true}, PrimaryKey: []string{"a", "b"}, Indexed: []string{"a", "at"}},
		"app.seen":    {NotNull: map[string]bool{}},
		`"Odd.Name"`:  {NotNull: map[string]bool{"id": true}},
		"app.missing": {NotNull: map[string]bool{}},
	} {
		got, err := warehouse.DescribeTable(t.Context(), d, warehouse.Source{Table: name})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("DescribeTable(%q) (-want +got):\n%s", name, diff)
		}
	}
	if got, err := warehouse.DescribeTable(t.Context(), d, warehouse.Source{Query: "SELECT 1"}); got != nil || err != nil {
		t.Errorf("DescribeTable(query) = %v, %v, want nil, nil", got, err)
	}
	schema, err := warehouse.Describe(t.Context(), d, warehouse.Source{Table: "app.usage"})
	if err != nil {
		t.Fatal(err)
	}
	if !schema.Fields[0].NotNull || schema.Fields[3].NotNull {
		t.Errorf("Describe = %+v, want NOT NULL as the catalogue has it", schema.Fields)
	}
}

func TestQuoteTable(t *testing.T) {
	t.Parallel()
	var d postgres.Driver
	for in, want := range map[string]string{
		"usage":            `"usage"`,
		"app.usage":        `"app"."usage"`,
		`App.Usage`:        `"App"."Usage"`,
		`"a.b".c`:          `"a.b"."c"`,
		`app."say ""hi"""`: `"app"."say ""hi"""`,
		`un"even`:          `"un""even"`,
		`"open.end`:        `"""open"."end"`,
		`x"; DROP TABLE y`: `"x""; DROP TABLE y"`,
		``:                 `""`,
	} {
		if got := d.Dialect().QuoteTable(in); got != want {
			t.Errorf("QuoteTable(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestClockSeesWriters(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Start(t)
	exec(t, dsn, "CREATE TABLE a (id int)")
	d := open(t, dsn)
	clock := func() warehouse.Clock {
		t.Helper()
		c, err := d.Clock(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if c := clock(); !c.OldestWrite.IsZero() || c.Writer != "" || c.Blind != "" {
		t.Errorf("Clock = %+v, want nobody writing", c)
	}

	reader := begin(t, dsn, "SELECT 1") // holds no transaction id
	writer := begin(t, dsn, "INSERT INTO a VALUES (1)")
	c := clock()
	if want := fmt.Sprint(writer.PID()); c.Writer != want {
		t.Errorf("Clock().Writer = %q, want %s (the reader is %d)", c.Writer, want, reader.PID())
	}
	if age := c.Now.Sub(c.OldestWrite); age < 0 || age > time.Minute {
		t.Errorf("the writer began %v before now", age)
	}
	run(t, writer, "COMMIT")

	run(t, writer, "BEGIN; INSERT INTO a VALUES (2); PREPARE TRANSACTION 'late'")
	if c := clock(); c.Writer != "prepared transaction late" || c.OldestWrite.IsZero() {
		t.Errorf("Clock = %+v, want the prepared transaction", c)
	}
	run(t, writer, "ROLLBACK PREPARED 'late'")

	exec(t, dsn, "CREATE ROLE clock_reader LOGIN")
	t.Cleanup(func() {
		if err := postgrestest.Exec(context.Background(), dsn, "DROP ROLE clock_reader"); err != nil {
			t.Error(err)
		}
	})
	d = open(t, as(dsn, "clock_reader"))
	if c := clock(); !strings.Contains(c.Blind, "pg_read_all_stats") {
		t.Errorf("Clock().Blind for a plain role = %q, want the missing grant", c.Blind)
	}
}

// as is the DSN of another user.
func as(dsn, user string) string { return strings.Replace(dsn, "postgres@", user+"@", 1) }

func begin(t *testing.T, dsn, sql string) *pgconn.PgConn {
	t.Helper()
	conn, err := pgconn.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	run(t, conn, "BEGIN; "+sql)
	return conn
}

func run(t *testing.T, conn *pgconn.PgConn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql).ReadAll(); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func TestStatementErrors(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Start(t)
	exec(t, dsn, `CREATE ROLE outsider LOGIN; CREATE TABLE a (id int, "Name" text); CREATE FUNCTION grow() RETURNS int LANGUAGE sql AS 'INSERT INTO a VALUES (1) RETURNING 1'`)
	t.Cleanup(func() {
		if err := postgrestest.Exec(context.Background(), dsn, "DROP ROLE outsider"); err != nil {
			t.Error(err)
		}
	})
	d := open(t, dsn)
	outsider := open(t, as(dsn, "outsider"))
	for _, test := range []struct {
		sql    string
		driver *postgres.Driver
		class  warehouse.Class
		code   string
		hint   string
	}{
		{"SELECT * FROM b", d, warehouse.ClassSchema, "42P01", "schema.table"},
		{"SELECT * FROM b.a", d, warehouse.ClassSchema, "42P01", "schema.table"},
		{`SELECT name FROM a`, d, warehouse.ClassSchema, "42703", "a.Name"},
		{"SELEC 1", d, warehouse.ClassSchema, "42601", "SELECT"},
		{"SELECT 1; SELECT 2", d, warehouse.ClassSchema, "42601", "SELECT"},
		{"SELECT grow()", d, warehouse.ClassSchema, "25006", "changes nothing"},
		{"SELECT * FROM a", outsider, warehouse.ClassCredentials, "42501", "GRANT SELECT"},
		{"SELECT 1/(id - id) FROM generate_series(1,2) id", d, warehouse.ClassQuery, "22012", ""},
	} {
		rows, err := test.driver.Query(t.Context(), test.sql)
		if err == nil {
			err = rows.Fill(t.Context(), warehouse.NewBatch(rows.Schema()))
		}
		var e *warehouse.Error
		if !errors.As(err, &e) || e.Class != test.class || e.Code != test.code || !strings.Contains(e.Hint, test.hint) {
			t.Errorf("%s: error %v, class %d, %+v; want class %d, code %s, hint with %q", test.sql, err, warehouse.ClassOf(err), e, test.class, test.code, test.hint)
		}
	}
	// A failed statement leaves nothing behind: the driver goes on.
	if _, err := d.Clock(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestConnectErrors(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Start(t)
	config, err := pgconn.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	const password = "s3cr3t-Passw0rd"
	refused := refusing(t, "28P01", "password authentication failed for user \"reader\"")
	for _, test := range []struct {
		name, dsn string
		class     warehouse.Class
		hint      string
	}{
		{"empty", " ", warehouse.ClassConfig, "postgres://"},
		{"no form", "reader " + password, warehouse.ClassConfig, "postgres://"},
		{"bad port", "postgres://reader:" + password + "@localhost:abc/db", warehouse.ClassConfig, "percent-encoded"},
		{"bad escape", "postgres://reader:" + password + "%zz@localhost/db", warehouse.ClassConfig, "percent-encoded"},
		{"@ in the password", "postgres://reader:x@" + password + "@localhost/db", warehouse.ClassConfig, "%40"},
		{"/ in the password", "postgres://reader:5/" + password + "@localhost/db", warehouse.ClassConfig, "%2F"},
		{"? in the password", "postgres://reader:x?" + password + "@localhost:1/db", warehouse.ClassUnreachable, "port 1"},
		{"unclosed quote", "host=localhost password='" + password, warehouse.ClassConfig, ""},
		{"bad sslmode", "postgres://reader:" + password + "@localhost/db?sslmode=maybe", warehouse.ClassConfig, ""},
		{"missing CA", "postgres://reader:" + password + "@localhost/db?sslmode=verify-full&sslrootcert=/no/such/file", warehouse.ClassConfig, ""},
		{"unknown host", "postgres://reader:" + password + "@no-such-host.invalid/db", warehouse.ClassUnreachable, "no-such-host.invalid"},
		{"refused", "postgres://reader:" + password + "@127.0.0.1:1/db?sslmode=disable", warehouse.ClassUnreachable, "port 1"},
		{"no TLS", fmt.Sprintf("postgres://postgres:%s@%s:%d/db?sslmode=require", password, config.Host, config.Port), warehouse.ClassUnreachable, "sslmode"},
		{"wrong password", "postgres://reader:" + password + "@" + refused + "/db?sslmode=disable", warehouse.ClassCredentials, `"reader"`},
		{"no such role", fmt.Sprintf("postgres://nobody_here:%s@%s:%d/postgres?sslmode=disable", password, config.Host, config.Port), warehouse.ClassCredentials, "nobody_here"},
		{"no such database", fmt.Sprintf("postgres://postgres:%s@%s:%d/nowhere?sslmode=disable", password, config.Host, config.Port), warehouse.ClassUnreachable, "nowhere"},
		{"starting up", "postgres://reader:" + password + "@" + refusing(t, "57P03", "the database system is starting up") + "/db?sslmode=disable", warehouse.ClassTransient, ""},
		{"too many", "postgres://reader:" + password + "@" + refusing(t, "53300", "too many clients already") + "/db?sslmode=disable", warehouse.ClassTransient, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d, err := postgres.Open(t.Context(), postgres.Options{DSN: test.dsn, ConnectTimeout: 5 * time.Second})
			if err == nil {
				_ = d.Close()
				t.Fatal("Open succeeded")
			}
			var e *warehouse.Error
			if !errors.As(err, &e) || e.Class != test.class || !strings.Contains(e.Hint, test.hint) {
				t.Errorf("error %v, class %d, want class %d and a hint with %q: %+v", err, warehouse.ClassOf(err), test.class, test.hint, e)
			}
			for unwrapped := err; unwrapped != nil; unwrapped = errors.Unwrap(unwrapped) {
				if said := fmt.Sprintf("%v %+v %#v", unwrapped, unwrapped, unwrapped) + e.Hint; strings.Contains(said, password) {
					t.Errorf("the password shows in %T: %s", unwrapped, said)
				}
			}
		})
	}
}

// refusing is a server that answers every connection with one error.
func refusing(t *testing.T, code, message string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = bufio.NewReader(conn).Peek(8)
			body := "SFATAL\x00VFATAL\x00C" + code + "\x00M" + message + "\x00\x00"
			size := len(body) + 4
			_, _ = conn.Write(append([]byte{'E', 0, 0, byte(size >> 8), byte(size)}, body...))
			_ = conn.Close()
		}
	}()
	return l.Addr().String()
}

// A statement timeout that strikes before the first row is the query's fault;
// amid the rows it is the reader's pace, and the read goes on.
func TestStatementTimeout(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Start(t)
	const count = 300_000
	exec(t, dsn, fmt.Sprintf("CREATE TABLE a AS SELECT n AS id, repeat('x', 100) AS v FROM generate_series(1, %d) n; CREATE INDEX ON a (id)", count))
	d, err := postgres.Open(t.Context(), postgres.Options{DSN: dsn, StatementTimeout: 3 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()

	rows, err := d.Query(t.Context(), "SELECT pg_sleep(60)::text")
	if err != nil {
		t.Fatal(err)
	}
	err = rows.Fill(t.Context(), warehouse.NewBatch(rows.Schema()))
	var e *warehouse.Error
	if !errors.As(err, &e) || e.Class != warehouse.ClassQuery || e.Code != "57014" || e.Hint == "" {
		t.Errorf("error of a slow query = %v (%+v), want a statement timeout with a hint", err, e)
	}

	src := warehouse.Source{Table: "a"}
	n := 0
	reader := newReader(t, d, warehouse.ReadSpec{Source: src, Cursor: "id", Keys: []string{"id"}})
	readAll(t, reader, func(b *warehouse.Batch) {
		if n == 0 { // outlast the timeout, with most rows still to come; on a busy machine it may be over already
			until(t, dsn, "SELECT coalesce(bool_and(now() - query_start > '4 s'), true) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'mixsync' AND state = 'active'")
		}
		for i := range b.Len() {
			n++
			if got := b.Cols[0].Int[i]; got != int64(n) {
				t.Fatalf("row %d has id %d", n, got)
			}
		}
	})
	if n != count {
		t.Errorf("read %d rows, want %d", n, count)
	}
}

// until waits for a condition on the server.
func until(t *testing.T, dsn, sql string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ask(t, dsn, sql) != "t"; {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", sql)
		}
	}
}

func newReader(t testing.TB, d *postgres.Driver, spec warehouse.ReadSpec) *warehouse.Reader {
	t.Helper()
	schema, err := warehouse.Describe(t.Context(), d, spec.Source)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := warehouse.NewReader(d, schema, spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = reader.Close() })
	return reader
}

func readAll(t testing.TB, reader *warehouse.Reader, use func(*warehouse.Batch)) {
	t.Helper()
	var b *warehouse.Batch
	for b = warehouse.NewBatch(reader.Schema()); ; {
		err := reader.Next(t.Context(), b)
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		use(b)
	}
}

// The server goes down and comes back amid a read, and the backend is killed
// once more: every row comes once.
func TestServerRestart(t *testing.T) {
	t.Parallel()
	server, err := postgrestest.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	const count = 200_000
	// Five rows share each cursor value; some keys are NULL.
	exec(t, server.DSN, fmt.Sprintf(`CREATE TABLE a AS SELECT n/5 AS at, nullif(n%%5, 3) AS k, n AS id FROM generate_series(0, %d) n ORDER BY random()`, count-1))
	d := open(t, server.DSN)
	reader := newReader(t, d, warehouse.ReadSpec{Source: warehouse.Source{Table: "a"}, Cursor: "at", Keys: []string{"k"}})
	seen := make([]bool, count)
	batches := 0
	readAll(t, reader, func(b *warehouse.Batch) {
		switch batches++; batches {
		case 2:
			if err := server.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
		case 5:
			exec(t, server.DSN, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mixsync'")
		}
		for i := range b.Len() {
			id := b.Cols[2].Int[i]
			if seen[id] {
				t.Fatalf("row %d came twice", id)
			}
			seen[id] = true
		}
	})
	for id, ok := range seen {
		if !ok {
			t.Fatalf("row %d is missing", id)
		}
	}
	// A connection kept over another restart is replaced without a word.
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Clock(t.Context()); err != nil {
		t.Errorf("Clock after a restart: %v", err)
	}
}

// Reads by an indexed cursor cost by their rows, also where they resume.
func TestReadsUseTheIndex(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Start(t)
	exec(t, dsn, `CREATE TABLE a AS SELECT n AS id, timestamptz '2026-01-01 00:00+00' + n * interval '1 s' AS at, repeat('x', 200) AS v FROM generate_series(1, 50000) n;
ALTER TABLE a ADD PRIMARY KEY (id); CREATE INDEX by_cursor ON a (at); ANALYZE a`)
	d := open(t, dsn)
	from, to, id := "2026-01-01T13:00:00Z", "2026-01-01T13:10:00Z", "46900"
	for _, test := range []struct {
		name, want string
		spec       warehouse.ReadSpec
	}{
		{"window", "by_cursor", warehouse.ReadSpec{Cursor: "at", Keys: []string{"id"}, From: &from, To: &to}},
		{"resumed", "by_cursor", warehouse.ReadSpec{Cursor: "at", Keys: []string{"id"}, After: &warehouse.Position{Cursor: &from, Keys: []*string{&id}, Seen: 1}}},
		{"resumed by key", "a_pkey", warehouse.ReadSpec{Keys: []string{"id", "at"}, After: &warehouse.Position{Keys: []*string{&id, &from}, Seen: 1}}},
		{"one row", "a_pkey", warehouse.ReadSpec{Where: map[string]string{"id": id}}},
	} {
		test.spec.Source = warehouse.Source{Table: "a"}
		sql, args := newReader(t, d, test.spec).SQL()
		for i := len(args); i > 0; i-- {
			sql = strings.ReplaceAll(sql, "$"+strconv.Itoa(i), "'"+args[i-1].Text+"'")
		}
		plan := ask(t, dsn, "EXPLAIN "+sql)
		if !strings.Contains(plan, "Index Scan using "+test.want) && !strings.Contains(plan, "Bitmap Index Scan on "+test.want) || strings.Contains(plan, "Seq Scan") {
			t.Errorf("%s: want a scan of %s:\n%s\n%s", test.name, test.want, sql, plan)
		}
	}
}

func TestSessionIsReadOnlyAndNamed(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Start(t)
	d, err := postgres.Open(t.Context(), postgres.Options{DSN: dsn, ApplicationName: "nightly", StatementTimeout: 90 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for setting, want := range map[string]string{
		"transaction_read_only": "on", "timezone": "UTC", "application_name": "nightly", "statement_timeout": "90s", "client_encoding": "UTF8",
	} {
		rows, err := d.Query(t.Context(), "SELECT CAST(current_setting($1) AS text)", warehouse.Arg{Text: setting})
		if err != nil {
			t.Fatal(err)
		}
		b := warehouse.NewBatch(rows.Schema())
		if err := rows.Fill(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		if got := string(b.Cols[0].Text(0)); got != want && !(setting == "statement_timeout" && got == "90s") {
			t.Errorf("%s = %q, want %q", setting, got, want)
		}
		if err := rows.Close(); err != nil {
			t.Error(err)
		}
	}
	if got := ask(t, dsn, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'nightly'"); got > "2" {
		t.Errorf("%s connections are kept, want 2 at most", got)
	}
}

func TestCloseLeavesNothingBehind(t *testing.T) {
	dsn := postgrestest.Start(t)
	before := goleak.IgnoreCurrent()
	d, err := postgres.Open(t.Context(), postgres.Options{DSN: dsn, ApplicationName: "leak"})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		rows, err := d.Query(t.Context(), "SELECT n, repeat('x', 1000) AS v FROM generate_series(1, 1000000) n")
		if err != nil {
			t.Fatal(err)
		}
		b := warehouse.NewBatch(rows.Schema())
		if err := rows.Fill(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		if err := rows.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	goleak.VerifyNone(t, before)
	until(t, dsn, "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'leak'")
}
