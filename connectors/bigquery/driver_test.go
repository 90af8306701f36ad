//go:build cgo

package bigquery_test

import (
	"context"
	"errors"
	"maps"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/mixsync/mixsync/connectors/bigquery"
	"github.com/mixsync/mixsync/connectors/bigquery/bigquerytest"
	"github.com/mixsync/mixsync/connectors/warehouse"
)

const numbers = "SELECT a * 1000 + b AS n FROM UNNEST(GENERATE_ARRAY(0, 99)) AS a, UNNEST(GENERATE_ARRAY(1, 1000)) AS b"

// The sum of the numbers 1 to 100,000.
const total = 100_000 * 100_001 / 2

// TestLimits looks at what a job brings along.
func TestLimits(t *testing.T) {
	t.Parallel()
	s := bigquerytest.Start(t, bigquerytest.Options{Location: "EU"})
	labels := map[string]string{"team": "growth", "tool": "mixsync"}
	d := open(t, s, bigquery.Options{Location: "EU", Labels: labels, MaxBytesBilled: 50 << 30, JobTimeout: 90 * time.Second, Priority: bigquery.Batch})
	if _, _, err := sum(t, d, "SELECT 1 AS n"); err != nil {
		t.Fatal(err)
	}
	j := last(s)
	if !strings.HasPrefix(j.ID, "mixsync_") || !maps.Equal(j.Labels, labels) || j.MaxBytesBilled != 50<<30 || j.TimeoutMs != 90_000 || j.Priority != "BATCH" || j.Location != "EU" {
		t.Errorf("the job has %+v", j)
	}
	d = open(t, s, bigquery.Options{})
	if _, _, err := sum(t, d, "SELECT 1 AS n"); err != nil {
		t.Fatal(err)
	}
	if j := last(s); j.Priority != "INTERACTIVE" || j.MaxBytesBilled != 0 || j.TimeoutMs != 0 || j.Labels != nil {
		t.Errorf("the job of no options has %+v", j)
	}
}

// TestParameters binds every type that a column can be compared in.
func TestParameters(t *testing.T) {
	t.Parallel()
	s := bigquerytest.Start(t, bigquerytest.Options{})
	d := open(t, s, bigquery.Options{})
	for _, test := range []struct {
		kind             warehouse.Kind
		name, text, want string
		literal          string
	}{
		{warehouse.Int, "INT64", "-9007199254740993", "-9007199254740993", "CAST('-9007199254740993' AS INT64)"},
		{warehouse.TimestampTZ, "TIMESTAMP", "2026-01-31T12:00:00.000001Z", "2026-01-31 12:00:00.000001+00:00", "TIMESTAMP '2026-01-31 12:00:00.000001+00'"},
		{warehouse.TimestampTZ, "TIMESTAMP", "2026-01-31T12:00:00.000001999Z", "2026-01-31 12:00:00.000001+00:00", "TIMESTAMP '2026-01-31 12:00:00.000001+00'"},
		{warehouse.Timestamp, "DATETIME", "0001-01-01T00:00:00", "0001-01-01 00:00:00", "DATETIME '0001-01-01 00:00:00'"},
		{warehouse.Date, "DATE", "9999-12-31", "9999-12-31", "DATE '9999-12-31'"},
		{warehouse.Text, "STRING", "it's", "it's", `"it's"`},
		{warehouse.Bytes, "BYTES", "00ff", "AP8=", `b'\x00\xff'`},
		{warehouse.Float, "FLOAT64", "0.1", "0.1", "CAST('0.1' AS FLOAT64)"},
		{warehouse.Bool, "BOOL", "true", "true", "true"},
		{warehouse.Decimal, "NUMERIC", "12.5", "12.5", "NUMERIC '12.5'"},
		{warehouse.Decimal, "BIGNUMERIC", "12.5", "12.5", "BIGNUMERIC '12.5'"},
		{warehouse.Time, "TIME", "12:00:00.5", "12:00:00.5", "TIME '12:00:00.5'"},
	} {
		rows, err := d.Query(t.Context(), "SELECT 1 AS n FROM (SELECT "+test.literal+" AS v) WHERE v = @p1", warehouse.Arg{Text: test.text, Field: warehouse.Field{Name: "v", Kind: test.kind, Type: test.name}})
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		b := warehouse.NewBatch(rows.Schema())
		if err := rows.Fill(t.Context(), b); err != nil || b.Len() != 1 {
			t.Errorf("%s: read %d rows, %v, want 1", test.name, b.Len(), err)
		}
		b.Reset()
		if err := rows.Close(); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff([]bigquerytest.Param{{Name: "p1", Type: test.name, Value: test.want}}, last(s).Params); diff != "" {
			t.Errorf("%s arrives as another (-want +got):\n%s", test.text, diff)
		}
	}
	for _, bad := range []warehouse.Arg{
		{Text: "infinity", Field: warehouse.Field{Name: "v", Kind: warehouse.TimestampTZ, Type: "TIMESTAMP"}},
		{Text: "10000-01-01", Field: warehouse.Field{Name: "v", Kind: warehouse.Date, Type: "DATE"}},
		{Text: "0044-03-15 BC", Field: warehouse.Field{Name: "v", Kind: warehouse.Date, Type: "DATE"}},
		{Text: "yesterday", Field: warehouse.Field{Name: "v", Kind: warehouse.Date, Type: "DATE"}},
		{Text: "0g", Field: warehouse.Field{Name: "v", Kind: warehouse.Bytes, Type: "BYTES"}},
		{Text: "{}", Field: warehouse.Field{Name: "v", Kind: warehouse.JSON, Type: "JSON"}},
	} {
		_, err := d.Query(t.Context(), "SELECT 1 AS n FROM t WHERE v = @p1", bad)
		wantError(t, err, warehouse.ClassConfig, `column "v"`, "check the value")
	}
}

// TestNames quotes tables as BigQuery has them: with dashes, exact in case.
func TestNames(t *testing.T) {
	t.Parallel()
	s := bigquerytest.Start(t, bigquerytest.Options{})
	s.Exec(t, `CREATE SCHEMA app; CREATE TABLE app.Usage AS SELECT 1 AS "Id"`)
	d := open(t, s, bigquery.Options{})
	for _, name := range []string{"app.Usage", "my-project.app.Usage", "example.com:my-project.app.Usage", "`my-project`.app.Usage", "`my-project.app.Usage`"} {
		schema, err := warehouse.Describe(t.Context(), d, warehouse.Source{Table: name})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if schema.Index("id") != 0 {
			t.Errorf("%s has columns %v, want Id", name, schema.Names())
		}
	}
	_, err := warehouse.Describe(t.Context(), d, warehouse.Source{Table: "app.usage"})
	wantError(t, err, warehouse.ClassSchema, "app.usage was not found in location US", "set location")
	if got, want := d.Dialect().QuoteTable("a.b`; DROP TABLE x"), "`a.b; DROP TABLE x`"; got != want {
		t.Errorf("QuoteTable = %s, want %s", got, want)
	}
	if got, want := d.Dialect().Quote("a`b\\"), "`a\\`b\\\\`"; got != want {
		t.Errorf("Quote = %s, want %s", got, want)
	}
}

// TestUsage is the job's id and bytes, on either way.
func TestUsage(t *testing.T) {
	t.Parallel()
	s := bigquerytest.Start(t, bigquerytest.Options{})
	s.Exec(t, "CREATE SCHEMA app; CREATE TABLE app.t AS SELECT n FROM range(50) AS r(n)")
	for _, session := range []bool{false, true} {
		d := open(t, s, bigquery.Options{SessionForAll: session})
		rows, err := d.Query(t.Context(), "SELECT n FROM `app.t`")
		if err != nil {
			t.Fatal(err)
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
		want := warehouse.Usage{QueryID: last(s).ID, BytesScanned: 5000}
		if got := rows.(warehouse.Accountable).Usage(); got != want {
			t.Errorf("Usage = %+v, want %+v", got, want)
		}
	}
}

// TestLastChange follows a table's rows, and keeps silent where it cannot know.
func TestLastChange(t *testing.T) {
	t.Parallel()
	s := bigquerytest.Start(t, bigquerytest.Options{})
	s.Exec(t, "CREATE SCHEMA app; CREATE TABLE app.t AS SELECT 1 AS n; CREATE VIEW app.v AS SELECT * FROM app.t")
	d := open(t, s, bigquery.Options{})
	ask := func(table string) string {
		t.Helper()
		token, err := d.LastChange(t.Context(), table)
		if err != nil {
			t.Errorf("LastChange(%s): %v", table, err)
		}
		return token
	}
	first := ask("test-project.app.t")
	if first == "" || ask("app.t") != first {
		t.Errorf("tokens of a table that rests: %q, then %q", first, ask("app.t"))
	}
	s.Exec(t, "UPDATE app.t SET n = 2")
	if ask("app.t") == first {
		t.Error("the token of a table that has changed is what it was")
	}
	s.Stream("app.t", true)
	for _, table := range []string{"app.t", "app.v", "app.gone", "t", "app.events_*", "app.INFORMATION_SCHEMA.TABLES"} {
		if token := ask(table); token != "" {
			t.Errorf("LastChange(%s) = %q, want none", table, token)
		}
	}
	s.FailCalls(1, 403, "accessDenied", "Access Denied: bigquery.tables.get")
	if token := ask("app.t"); token != "" {
		t.Errorf("LastChange without the grant = %q, want none", token)
	}
}

// TestCancel stops the job of a query that nobody waits for, and leaves nothing behind.
func TestCancel(t *testing.T) {
	s := bigquerytest.Start(t, bigquerytest.Options{ChunkRows: 100})
	d := open(t, s, bigquery.Options{PageRows: 10})
	if _, _, err := sum(t, d, numbers); err != nil { // so that connections are there
		t.Fatal(err)
	}
	quiet := goleak.IgnoreCurrent()

	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(200*time.Millisecond, cancel)
	slow := "SELECT SUM(MOD(a * b, 7)) AS n FROM UNNEST(GENERATE_ARRAY(1, 1000000)) AS a, UNNEST(GENERATE_ARRAY(1, 1000000)) AS b"
	if _, err := d.Query(ctx, slow); !errors.Is(err, context.Canceled) {
		t.Errorf("error of a cancelled query = %v", err)
	}
	if j := last(s); !j.Cancelled {
		t.Errorf("the job was not cancelled: %+v", j)
	}

	rows, err := d.Query(t.Context(), numbers)
	if err != nil {
		t.Fatal(err)
	}
	b := warehouse.NewBatch(rows.Schema())
	if err := rows.Fill(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	b.Reset()
	if err := rows.Close(); err != nil { // amid the rows, with all streams under way
		t.Fatal(err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	rows, err = d.Query(ctx, numbers)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := rows.Fill(t.Context(), b); !errors.Is(err, context.Canceled) {
		t.Errorf("Fill after the query was cancelled = %v", err)
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	goleak.VerifyNone(t, quiet, goleak.IgnoreAnyFunction("net/http.(*conn).serve"), goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

// TestUnreachable gives a server up that is not there, in a bounded time.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	begun := time.Now()
	_, err = bigquery.Open(t.Context(), bigquery.Options{Project: "p", Endpoint: "http://" + address, Insecure: true, Patience: time.Second})
	wantError(t, err, warehouse.ClassUnreachable, "could not be reached", address)
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}

	// The REST API is there, the Storage Read API is not.
	s := bigquerytest.Start(t, bigquerytest.Options{})
	d := open(t, s, bigquery.Options{Endpoint: s.Endpoint, GRPCEndpoint: address, SessionForAll: true, Patience: time.Second})
	_, err = d.Query(t.Context(), "SELECT 1 AS n")
	wantError(t, err, warehouse.ClassUnreachable, "storage read", address)
}
