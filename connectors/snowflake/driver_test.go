//go:build cgo

package snowflake_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/youmark/pkcs8"
	"go.uber.org/goleak"

	"github.com/mixsync/mixsync/connectors/snowflake"
	"github.com/mixsync/mixsync/connectors/snowflake/snowflaketest"
	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/connectors/warehouse/warehousetest"
)

func TestMain(m *testing.M) {
	if snowflaketest.Main() {
		return
	}
	os.Exit(m.Run())
}

// query runs a statement and renders its rows.
func query(t testing.TB, d warehouse.Driver, sql string, args ...warehouse.Arg) ([][]string, error) {
	t.Helper()
	rows, err := d.Query(t.Context(), sql, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all [][]string
	b := warehouse.NewBatch(rows.Schema())
	defer b.Reset()
	for {
		if err := rows.Fill(t.Context(), b); err == io.EOF {
			return all, nil
		} else if err != nil {
			return all, err
		}
		for i := range b.Len() {
			all = append(all, warehousetest.RenderRow(b, i))
		}
		b.Reset()
	}
}

func must(t testing.TB, d warehouse.Driver, sql string, args ...warehouse.Arg) [][]string {
	t.Helper()
	rows, err := query(t, d, sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func wantError(t *testing.T, err error, class warehouse.Class, text, hint string) {
	t.Helper()
	var e *warehouse.Error
	if !errors.As(err, &e) || e.Class != class || !strings.Contains(e.Error(), text) || !strings.Contains(e.Hint, hint) {
		t.Errorf("error = %v (%+v), want class %d, %q and the hint %q", err, e, class, text, hint)
	}
}

// keys are a key pair in the forms that a private key is given in.
func keys(t *testing.T) (public *rsa.PublicKey, plain, encrypted string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	locked, err := pkcs8.MarshalPrivateKey(key, []byte("open sesame"), nil)
	if err != nil {
		t.Fatal(err)
	}
	return &key.PublicKey, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: locked}))
}

func TestLogin(t *testing.T) {
	t.Parallel()
	public, plain, encrypted := keys(t)
	_, other, _ := keys(t)
	server := snowflaketest.Start(t, snowflaketest.Options{PublicKey: public, Token: "t0ken-value", Roles: []string{"REPORTER"}})
	for name, test := range map[string]struct {
		change func(o *snowflake.Options)
		class  warehouse.Class
		text   string // empty: it succeeds
		hint   string
	}{
		"password": {change: func(o *snowflake.Options) { o.Role = "REPORTER" }},
		"key":      {change: func(o *snowflake.Options) { o.Password, o.PrivateKey = "", plain }},
		"encrypted key": {change: func(o *snowflake.Options) {
			o.Password, o.PrivateKey, o.PrivateKeyPassphrase = "", encrypted, "open sesame"
		}},
		"OAuth": {change: func(o *snowflake.Options) { o.Password, o.Token = "", "t0ken-value" }},
		"access token": {change: func(o *snowflake.Options) {
			o.Password, o.Token, o.Authenticator = "", "t0ken-value", "programmatic_access_token"
		}},
		"bad password":  {func(o *snowflake.Options) { o.Password = "wr0ng-value" }, warehouse.ClassCredentials, "390100", "user and password"},
		"another key":   {func(o *snowflake.Options) { o.Password, o.PrivateKey = "", other }, warehouse.ClassCredentials, "390144", "RSA_PUBLIC_KEY"},
		"bad token":     {func(o *snowflake.Options) { o.Password, o.Token = "", "wr0ng-value" }, warehouse.ClassCredentials, "390303", "get a new one"},
		"unknown role":  {func(o *snowflake.Options) { o.Role = "NOBODY" }, warehouse.ClassCredentials, "NOBODY", "GRANT ROLE"},
		"no passphrase": {func(o *snowflake.Options) { o.Password, o.PrivateKey = "", encrypted }, warehouse.ClassConfig, "private_key_passphrase is missing", "openssl"},
		"bad passphrase": {func(o *snowflake.Options) {
			o.Password, o.PrivateKey, o.PrivateKeyPassphrase = "", encrypted, "wr0ng-value"
		}, warehouse.ClassConfig, "cannot be decrypted", "openssl"},
		"no PEM":       {func(o *snowflake.Options) { o.Password, o.PrivateKey = "", "wr0ng-value" }, warehouse.ClassConfig, "not PEM", "openssl"},
		"browser":      {func(o *snowflake.Options) { o.Authenticator = "externalbrowser" }, warehouse.ClassConfig, "externalbrowser", "no browser"},
		"unknown way":  {func(o *snowflake.Options) { o.Authenticator = "kerberos" }, warehouse.ClassConfig, "kerberos", "snowflake_jwt"},
		"nothing":      {func(o *snowflake.Options) { o.Password = "" }, warehouse.ClassConfig, "credentials of the snowflake warehouse: none", "password"},
		"too much":     {func(o *snowflake.Options) { o.Token = "t0ken-value" }, warehouse.ClassConfig, "password and token", "authenticator"},
		"no account":   {func(o *snowflake.Options) { o.Account = "" }, warehouse.ClassConfig, "account", "snowflakecomputing.com"},
		"no user":      {func(o *snowflake.Options) { o.User = "" }, warehouse.ClassConfig, "user", "user"},
		"nobody there": {func(o *snowflake.Options) { o.Port = 1 }, warehouse.ClassUnreachable, "refused", "firewall"},
		"no such host": {func(o *snowflake.Options) { o.Host = "nowhere.invalid" }, warehouse.ClassUnreachable, "nowhere.invalid", "account"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := optionsOf(server)
			test.change(&o)
			begun := time.Now()
			d, err := snowflake.Open(t.Context(), o)
			if took := time.Since(begun); took > 20*time.Second {
				t.Errorf("it took %v", took)
			}
			if test.text == "" {
				if err != nil {
					t.Fatal(err)
				}
				defer d.Close()
				if diff := cmp.Diff([][]string{{"1"}}, must(t, d, "SELECT 1 AS one")); diff != "" {
					t.Error(diff)
				}
				return
			}
			wantError(t, err, test.class, test.text, test.hint)
			for _, secret := range []string{"wr0ng-value", "t0ken-value", "sesame", strings.Split(other, "\n")[1]} {
				var e *warehouse.Error
				if errors.As(err, &e) && strings.Contains(e.Error()+e.Hint, secret) {
					t.Errorf("the error holds a secret: %v", err)
				}
			}
		})
	}
}

func TestAccountNobodyKnows(t *testing.T) {
	t.Parallel()
	server := snowflaketest.Start(t, snowflaketest.Options{})
	for _, status := range []int{403, 404} {
		server.FailLogins(status)
		_, err := snowflake.Open(t.Context(), optionsOf(server))
		wantError(t, err, warehouse.ClassUnreachable, strconv.Itoa(status), "snowflakecomputing.com")
	}
}

func TestConnectTimeout(t *testing.T) {
	t.Parallel()
	server := snowflaketest.Start(t, snowflaketest.Options{})
	server.FailLogins(503) // which the vendor's driver repeats for minutes
	o := optionsOf(server)
	o.ConnectTimeout = time.Second
	_, err := snowflake.Open(t.Context(), o)
	wantError(t, err, warehouse.ClassUnreachable, "no login within 1s; the last answer was 503 Service Unavailable", "firewall")
}

// Settings are parameters of the login; no statement is sent for them.
func TestSettings(t *testing.T) {
	t.Parallel()
	server := snowflaketest.Start(t, snowflaketest.Options{})
	open(t, server, func(o *snowflake.Options) {
		o.QueryTag, o.StatementTimeout, o.Role, o.Warehouse = "mixsync", 90*time.Second, "REPORTER", "XS"
	})
	got := server.Logins()[0]
	for name, want := range map[string]string{"TIMEZONE": "UTC", "QUERY_TAG": "mixsync", "STATEMENT_TIMEOUT_IN_SECONDS": "90", "CLIENT_TELEMETRY_ENABLED": "false"} {
		if got.Parameters[name] != want {
			t.Errorf("parameter %s = %v, want %q", name, got.Parameters[name], want)
		}
	}
	if got.Role != "REPORTER" || got.Warehouse != "XS" || got.Database != "ANALYTICS" || got.Schema != "MARTS" {
		t.Errorf("login = %+v", got)
	}
	if n := len(server.Queries()); n != 0 {
		t.Errorf("%d statements were sent, want none", n)
	}
}

func TestSessions(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*snowflaketest.Server){"expired": (*snowflaketest.Server).ExpireSessions, "ended": (*snowflaketest.Server).EndSessions} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := snowflaketest.Start(t, snowflaketest.Options{})
			d := open(t, server, nil)
			must(t, d, "SELECT 1 AS one")
			end(server)
			must(t, d, "SELECT 1 AS one")
			want := map[string]int{"expired": 1, "ended": 2}[name]
			if got := len(server.Logins()); got != want {
				t.Errorf("%d logins, want %d", got, want)
			}
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			if n := server.Sessions(); n != 0 {
				t.Errorf("%d sessions after Close", n)
			}
		})
	}
}

// A query that takes longer than the server is patient is asked for again.
func TestLongQuery(t *testing.T) {
	t.Parallel()
	server := snowflaketest.Start(t, snowflaketest.Options{Patience: time.Millisecond})
	d := open(t, server, nil)
	got := must(t, d, "SELECT CAST(count(*) AS BIGINT) AS n FROM range(3000000) AS a(n) WHERE hash(n) % 2 >= 0")
	if diff := cmp.Diff([][]string{{"3000000"}}, got); diff != "" {
		t.Error(diff)
	}
}

func TestStatements(t *testing.T) {
	t.Parallel()
	server := snowflaketest.Start(t, snowflaketest.Options{})
	server.FailQueries("slow", "000630", "57014", "Statement reached its statement or warehouse timeout of 90 second(s) and was canceled.")
	server.FailQueries("broke", "090073", "22000", "Warehouse 'XS' cannot be resumed because resource monitor 'M' has exceeded its quota.")
	server.FailQueries("private", "003001", "42501", "SQL access control error:\nInsufficient privileges to operate on table 'PRIVATE'")
	d := open(t, server, nil)
	for sql, want := range map[string]struct {
		class      warehouse.Class
		text, hint string
	}{
		"SELECT * FROM missing":               {warehouse.ClassSchema, "002003", "GRANT SELECT"},
		"SELECT missing FROM (SELECT 1 AS a)": {warehouse.ClassSchema, "000904", "column's name"},
		"SELEC 1":                             {warehouse.ClassSchema, "001003", "single SELECT"},
		"SELECT CAST('x' AS INT) AS v":        {warehouse.ClassQuery, "100038", "TRY_CAST"},
		"SELECT 1 AS slow":                    {warehouse.ClassQuery, "000630", "statement_timeout"},
		"SELECT 1 AS broke":                   {warehouse.ClassQuery, "090073", "quota"},
		"SELECT 1 AS private":                 {warehouse.ClassCredentials, "003001", "GRANT SELECT"},
	} {
		_, err := query(t, d, sql)
		wantError(t, err, want.class, want.text, want.hint)
	}
	server.Suspend(true)
	_, err := query(t, d, "SELECT 1 AS one")
	wantError(t, err, warehouse.ClassCredentials, "000606", "AUTO_RESUME")
	if _, err := d.Describe(t.Context(), "SELECT 1 AS one"); err != nil {
		t.Errorf("Describe without a virtual warehouse: %v", err)
	}
}

// NUMBER(38,0) holds any number. Of what is read as 64 bits, as a cursor is, a value
// that they do not hold is no other value.
func TestNumbersBeyond64Bits(t *testing.T) {
	t.Parallel()
	for _, json := range []bool{false, true} {
		server := snowflaketest.Start(t, snowflaketest.Options{JSON: json})
		d := open(t, server, nil)
		got, err := query(t, d, "SELECT CAST('9223372036854775808' AS NUMBER(38,0)) AS \"ID\"")
		if err != nil || len(got) != 1 || got[0][0] != "9223372036854775808" {
			t.Errorf("a number beyond 64 bits = %v, %v", got, err)
		}
		src := warehouse.Source{Query: "SELECT CAST('9223372036854775808' AS NUMBER(38,0)) AS \"ID\"", Cursor: "id"}
		schema, err := warehouse.Describe(t.Context(), d, src)
		if err != nil || schema.Fields[0].Kind != warehouse.Int {
			t.Fatalf("the cursor is described as %+v, %v, want an integer", schema, err)
		}
		reader, err := warehouse.NewReader(d, schema, warehouse.ReadSpec{Source: src, Cursor: "ID"})
		if err != nil {
			t.Fatal(err)
		}
		err = reader.Next(t.Context(), warehouse.NewBatch(schema))
		wantError(t, err, warehouse.ClassSchema, `column "ID" of type NUMBER(38,0) holds 9223372036854775808`, `CAST("ID" AS VARCHAR)`)
		_, err = warehouse.MaxCursor(t.Context(), d, src, schema.Fields[0], nil, nil)
		wantError(t, err, warehouse.ClassSchema, `cursor column "ID"`, "another cursor")
	}
}

// Every argument is bound in the type of its column.
func TestBinds(t *testing.T) {
	t.Parallel()
	server := snowflaketest.Start(t, snowflaketest.Options{})
	d := open(t, server, nil)
	field := func(kind warehouse.Kind, typ string) warehouse.Field {
		return warehouse.Field{Name: "v", Kind: kind, Type: typ}
	}
	for _, test := range []struct {
		expr string
		arg  warehouse.Arg
		want snowflaketest.Bind
	}{
		{"CAST(9007199254740993 AS NUMBER(38,0))", warehouse.Arg{Text: "9007199254740993", Field: field(warehouse.Int, "NUMBER(38,0)")}, snowflaketest.Bind{Type: "FIXED", Value: "9007199254740993"}},
		{"CAST(12.5 AS NUMBER(10,2))", warehouse.Arg{Text: "12.50", Field: field(warehouse.Decimal, "NUMBER(10,2)")}, snowflaketest.Bind{Type: "TEXT", Value: "12.50"}},
		{"CAST(0.1 AS FLOAT)", warehouse.Arg{Text: "0.1", Field: field(warehouse.Float, "FLOAT")}, snowflaketest.Bind{Type: "TEXT", Value: "0.1"}},
		{"TRUE", warehouse.Arg{Text: "true", Field: field(warehouse.Bool, "BOOLEAN")}, snowflaketest.Bind{Type: "BOOLEAN", Value: "true"}},
		{"'it''s'", warehouse.Arg{Text: "it's", Field: field(warehouse.Text, "VARCHAR")}, snowflaketest.Bind{Type: "TEXT", Value: "it's"}},
		{"TO_BINARY('00FF')", warehouse.Arg{Text: "00ff", Field: field(warehouse.Bytes, "BINARY")}, snowflaketest.Bind{Type: "BINARY", Value: "00ff"}},
		{"CAST('2026-01-31' AS DATE)", warehouse.Arg{Text: "2026-01-31", Field: field(warehouse.Date, "DATE")}, snowflaketest.Bind{Type: "DATE", Value: "1769817600000"}},
		{"CAST('12:34:56.5' AS TIME)", warehouse.Arg{Text: "12:34:56.5", Field: field(warehouse.Time, "TIME(9)")}, snowflaketest.Bind{Type: "TIME", Value: "45296500000000"}},
		{"TO_TIMESTAMP_NTZ('2026-01-31 12:00:00.123456789')", warehouse.Arg{Text: "2026-01-31T12:00:00.123456789", Field: field(warehouse.Timestamp, "TIMESTAMP_NTZ(9)")}, snowflaketest.Bind{Type: "TIMESTAMP_NTZ", Value: "1769860800123456789"}},
		{"CAST('2026-01-31T12:00:00.000001Z' AS TIMESTAMP_LTZ)", warehouse.Arg{Text: "2026-01-31T12:00:00.000001Z", Field: field(warehouse.TimestampTZ, "TIMESTAMP_LTZ(9)")}, snowflaketest.Bind{Type: "TIMESTAMP_LTZ", Value: "1769860800000001000"}},
		{"TO_TIMESTAMP_TZ('2026-01-31T14:00:00.5+02:00')", warehouse.Arg{Text: "2026-01-31T12:00:00.5Z", Field: field(warehouse.TimestampTZ, "TIMESTAMP_TZ(9)")}, snowflaketest.Bind{Type: "TIMESTAMP_TZ", Value: "1769860800500000000 1440"}},
	} {
		got := must(t, d, "SELECT v FROM (SELECT "+test.expr+" AS v) AS q WHERE v = "+d.Dialect().Bind(1, test.arg.Field), test.arg)
		if len(got) != 1 {
			t.Errorf("%s = %q of %s: %d rows, want 1", test.expr, test.arg.Text, test.arg.Field.Type, len(got))
		}
		queries := server.Queries()
		if diff := cmp.Diff([]snowflaketest.Bind{test.want}, queries[len(queries)-1].Binds); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.arg.Field.Type, diff)
		}
	}
	for _, bad := range []warehouse.Arg{
		{Text: "infinity", Field: field(warehouse.TimestampTZ, "TIMESTAMP_TZ(9)")}, {Text: "12345-12-31T00:00:00", Field: field(warehouse.Timestamp, "TIMESTAMP_NTZ(9)")},
		{Text: "-infinity", Field: field(warehouse.Date, "DATE")}, {Text: "12345-01-01", Field: field(warehouse.Date, "DATE")},
		{Text: "9223372036854775808", Field: field(warehouse.Int, "NUMBER(38,0)")}, {Text: "soon", Field: field(warehouse.TimestampTZ, "TIMESTAMP_TZ(9)")},
	} {
		_, err := query(t, d, "SELECT 1 AS one WHERE 1 = ?", bad)
		wantError(t, err, warehouse.ClassConfig, bad.Text, "")
	}
}

// A cursor of each type is bounded in its own; those of a TIMESTAMP_TZ compare as
// instants, whatever their offset.
func TestCursors(t *testing.T) {
	t.Parallel()
	server := snowflaketest.Start(t, snowflaketest.Options{})
	d := open(t, server, nil)
	for typ, test := range map[string]struct {
		values []string // expressions, ascending
		to     string   // between the last two
		want   string   // the last but one
	}{
		"TIMESTAMP_NTZ": {[]string{"'2026-01-31 10:00:00'", "'2026-01-31 12:00:00.000001'", "'2026-01-31 12:00:01'"}, "2026-01-31T12:00:00.5", "2026-01-31T12:00:00.000001"},
		"TIMESTAMP_LTZ": {[]string{"'2026-01-31T10:00:00Z'", "'2026-01-31T14:00:00+02:00'", "'2026-01-31T12:00:01Z'"}, "2026-01-31T12:00:00.5Z", "2026-01-31T12:00:00Z"},
		"TIMESTAMP_TZ": {[]string{"TO_TIMESTAMP_TZ('2026-01-31T16:00:00+06:00')", "TO_TIMESTAMP_TZ('2026-01-31T04:00:00.000000001-08:00')", "TO_TIMESTAMP_TZ('2026-01-31T13:00:01+01:00')"},
			"2026-01-31T12:00:00.5Z", "2026-01-31T12:00:00.000000001Z"},
		"DATE":         {[]string{"'1969-12-31'", "'2026-01-31'", "'2026-02-02'"}, "2026-02-01", "2026-01-31"},
		"NUMBER(38,0)": {[]string{"-1", "9007199254740993", "9223372036854775807"}, "9007199254740994", "9007199254740993"},
	} {
		t.Run(typ, func(t *testing.T) {
			t.Parallel()
			table := "cursor_" + strings.Trim(strings.ReplaceAll(typ, "(38,0)", ""), " ")
			exec(t, server, fmt.Sprintf("CREATE TABLE %s (moved %s); INSERT INTO %s VALUES (%s)", table, typ, table, strings.Join(test.values, "), (")))
			src := warehouse.Source{Table: table, Cursor: "moved"}
			schema, err := warehouse.Describe(t.Context(), d, src)
			if err != nil {
				t.Fatal(err)
			}
			f := schema.Fields[0]
			got, err := warehouse.MaxCursor(t.Context(), d, src, f, nil, &test.to)
			if err != nil || got == nil || *got != test.want {
				t.Fatalf("MaxCursor up to %s = %v, %v, want %s", test.to, got, err, test.want)
			}
			for _, to := range []string{test.to, *got} {
				if n, err := warehouse.Count(t.Context(), d, src, &f, warehouse.Range{From: got, To: &to}, 10); err != nil || n != 1 {
					t.Errorf("Count from %s to %s = %d, %v, want 1", *got, to, n, err)
				}
			}
		})
	}
}

// TestFarCursors have more nanoseconds than 64 bits hold. Years 1 and 9999 are what
// people write for never and for ever.
func TestFarCursors(t *testing.T) {
	t.Parallel()
	server := snowflaketest.Start(t, snowflaketest.Options{})
	d := open(t, server, nil)
	exec(t, server, `CREATE TABLE far (local TIMESTAMP_NTZ, moved TIMESTAMP_LTZ);
		INSERT INTO far VALUES ('0001-01-01', '0001-01-01T00:00:00Z'), ('2026-01-31', '2026-01-31T00:00:00Z'), ('9999-12-31', '9999-12-31T00:00:00Z')`)
	src := warehouse.Source{Table: "far"}
	schema, err := warehouse.Describe(t.Context(), d, src)
	if err != nil {
		t.Fatal(err)
	}
	for i, bounds := range [][2]string{{"0001-01-01T00:00:00", "9999-12-31T23:59:59"}, {"0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"}} {
		n, err := warehouse.Count(t.Context(), d, src, &schema.Fields[i], warehouse.Range{From: &bounds[0], To: &bounds[1]}, 10)
		if err != nil || n != 3 {
			t.Errorf("%s: Count from %s to %s = %d, %v, want 3", schema.Fields[i].Name, bounds[0], bounds[1], n, err)
		}
	}
}

func TestLastChange(t *testing.T) {
	t.Parallel()
	server := snowflaketest.Start(t, snowflaketest.Options{})
	exec(t, server, "CREATE TABLE fct_usage (id NUMBER); CREATE VIEW v_usage AS SELECT * FROM fct_usage")
	d := open(t, server, nil)
	change := func(table string) string {
		t.Helper()
		token, err := d.LastChange(t.Context(), table)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	before := change("marts.fct_usage")
	if before == "" || change("analytics.marts.fct_usage") != before {
		t.Errorf("the state of a table that did not change: %q, then another", before)
	}
	exec(t, server, "INSERT INTO fct_usage VALUES (1)")
	if after := change("fct_usage"); after == before || after == "" {
		t.Errorf("the state of a table that changed = %q, as before", after)
	}
	if got := change("marts.v_usage"); got != "" {
		t.Errorf("the state of a view = %q, want none", got)
	}
	exec(t, server, "CREATE SCHEMA other; CREATE TABLE other.v_usage (id NUMBER)")
	if got := change("v_usage"); got != "" {
		t.Errorf("the state of a view, of which another schema has a table's namesake = %q, want none", got)
	}
	server.FailQueries("SYSTEM$", "002140", "42601", "Unknown function")
	if got := change("marts.fct_usage"); got != "" {
		t.Errorf("the state where nothing tells it = %q, want none", got)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	server := snowflaketest.Start(t, snowflaketest.Options{})
	rows, err := open(t, server, nil).Query(t.Context(), "SELECT 1 AS one")
	if err != nil {
		t.Fatal(err)
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	if got, want := rows.(warehouse.Accountable).Usage().QueryID, server.Queries()[0].ID; got != want || got == "" {
		t.Errorf("query id = %q, want %q", got, want)
	}
}

// Cancelling aborts the query on the server, and nothing of a driver stays.
func TestNothingStays(t *testing.T) {
	server := snowflaketest.Start(t, snowflaketest.Options{ChunkRows: 2000, InlineRows: 10})
	before := goleak.IgnoreCurrent()
	d, err := snowflake.Open(t.Context(), optionsOf(server))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(300*time.Millisecond, cancel)
	if _, err := d.Query(ctx, "SELECT sum(a.n * b.n % 7) AS v FROM range(10000000) AS a(n), range(1000000) AS b(n)"); !errors.Is(err, context.Canceled) {
		t.Errorf("error of a cancelled query = %v", err)
	}
	if queries := server.Queries(); !slices.ContainsFunc(queries, func(q snowflaketest.Query) bool { return q.Aborted }) {
		t.Errorf("no query was aborted: %+v", queries)
	}
	server.SlowChunks(time.Minute)
	rows, err := d.Query(t.Context(), "SELECT n FROM range(100000) AS s(n)")
	if err != nil {
		t.Fatal(err)
	}
	b := warehouse.NewBatch(rows.Schema())
	if err := rows.Fill(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	b.Reset()
	if err := errors.Join(rows.Close(), d.Close()); err != nil { // amid a download
		t.Fatal(err)
	}
	server.Close() // whose own connections are none of the driver's
	goleak.VerifyNone(t, before)
}
