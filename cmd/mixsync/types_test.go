//go:build cgo

package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mixsync/mixsync/connectors/bigquery/bigquerytest"
	"github.com/mixsync/mixsync/connectors/postgres/postgrestest"
	"github.com/mixsync/mixsync/connectors/snowflake/snowflaketest"
)

var updateReadme = flag.Bool("update-readme", false, "rewrite the type tables of the README")

// sample is a type of a warehouse, as its users write it, and a value.
type sample struct{ name, literal string }

var postgresTypes = []sample{
	{"boolean", "true"},
	{"smallint, integer, bigint, oid", "42::bigint"},
	{"bigint beyond ±2⁵³", "9007199254740993::bigint"},
	{"numeric", "12.50::numeric(12,2)"},
	{"numeric that a float64 cannot hold", "0.1234567890123456789::numeric"},
	{"real", "0.1::real"},
	{"double precision", "0.1::float8"},
	{"NaN, Infinity", "'NaN'::float8"},
	{"money", "'12.34'::money"},
	{"text, varchar, char, citext, name", "'Grüße'::text"},
	{"bytea", `'\x00ff'::bytea`},
	{"date", "'2026-01-31'::date"},
	{"time, timetz", "'12:34:56.5'::time"},
	{"timestamptz", "'2026-01-31 13:00:00.25+01'::timestamptz"},
	{"timestamp (read in timezone)", "'2026-01-31 12:00:00'::timestamp"},
	{"infinity", "'infinity'::timestamptz"},
	{"interval", "'1 day 02:00:00'::interval"},
	{"uuid", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid"},
	{"json, jsonb", `'{"a": [1, null]}'::jsonb`},
	{"arrays", "ARRAY[1,2,NULL]::int[]"},
	{"composites", "ROW(1,'x')::demo_pair"},
	{"enums", "'pro'::demo_plan"},
	{"domains", "7::demo_seats"},
	{"ranges, multiranges", "'[1,5)'::int4range"},
	{"inet, cidr, macaddr", "'10.0.0.1/8'::inet"},
	{"bit, varbit", "B'101'"},
	{"xml", "'<a/>'::xml"},
	{"point and other geometry", "point(1,2)"},
	{"tsvector, tsquery", "'a b'::tsvector"},
	{"NULL", "NULL::text"},
}

var duckdbTypes = []sample{
	{"BOOLEAN", "true"},
	{"TINYINT … BIGINT, UTINYINT … UBIGINT", "42::BIGINT"},
	{"BIGINT beyond ±2⁵³", "9007199254740993::BIGINT"},
	{"HUGEINT, UHUGEINT", "170141183460469231731687303715884105727::HUGEINT"},
	{"DECIMAL", "12.50::DECIMAL(12,2)"},
	{"FLOAT", "0.1::FLOAT"},
	{"DOUBLE", "0.1::DOUBLE"},
	{"NaN, Infinity", "'nan'::DOUBLE"},
	{"VARCHAR", "'Grüße'"},
	{"BLOB", `'\x00\xFF'::BLOB`},
	{"DATE", "DATE '2026-01-31'"},
	{"TIME", "TIME '12:34:56.5'"},
	{"TIMESTAMPTZ", "TIMESTAMPTZ '2026-01-31 13:00:00.25+01'"},
	{"TIMESTAMP, TIMESTAMP_S, _MS, _NS (read in timezone)", "TIMESTAMP '2026-01-31 12:00:00'"},
	{"INTERVAL", "INTERVAL '1 day 2 hours'"},
	{"UUID", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::UUID"},
	{"JSON", `'{"a": [1, null]}'::JSON`},
	{"LIST, ARRAY", "[1, 2, NULL]"},
	{"STRUCT", "{'a': 1, 'b': 'x'}"},
	{"MAP", "MAP {'k': 1}"},
	{"UNION", "union_value(n := 1)"},
	{"ENUM", "'pro'::ENUM ('free', 'pro')"},
	{"BIT", "'101'::BIT"},
	{"NULL", "NULL::VARCHAR"},
}

var snowflakeTypes = []sample{
	{"NUMBER without scale", "CAST(42 AS NUMBER(38,0))"},
	{"NUMBER beyond ±2⁵³", "CAST(9007199254740993 AS NUMBER(38,0))"},
	{"NUMBER with scale", "CAST(12.50 AS NUMBER(12,2))"},
	{"DECFLOAT", "TO_DECFLOAT('-12.5')"},
	{"FLOAT", "CAST(0.1 AS FLOAT)"},
	{"BOOLEAN", "CAST(1 AS BOOLEAN)"},
	{"VARCHAR", "CAST('Grüße' AS VARCHAR)"},
	{"BINARY", "TO_BINARY('00FF')"},
	{"DATE", "CAST('2026-01-31' AS DATE)"},
	{"TIME", "CAST('12:34:56.5' AS TIME)"},
	{"TIMESTAMP_NTZ (read in timezone)", "TO_TIMESTAMP_NTZ('2026-01-31 12:00:00.25')"},
	{"TIMESTAMP_LTZ", "TO_TIMESTAMP_LTZ('2026-01-31T12:00:00.25Z')"},
	{"TIMESTAMP_TZ", "TO_TIMESTAMP_TZ('2026-01-31T14:00:00.25+02:00')"},
	{"VARIANT", `PARSE_JSON('{"a": [1, null]}')`},
	{"OBJECT", `TO_OBJECT(PARSE_JSON('{"a": 1}'))`},
	{"ARRAY", "TO_ARRAY(PARSE_JSON('[1, null]'))"},
	{"GEOGRAPHY (as GeoJSON)", `TO_GEOGRAPHY('{"coordinates": [13.4, 52.5], "type": "Point"}')`},
	{"VECTOR", "TO_VECTOR('[1, 0.5, -2]')"},
	{"NULL", "CAST(NULL AS VARCHAR)"},
}

var bigqueryTypes = []sample{
	{"BOOL", "true"},
	{"INT64", "42"},
	{"INT64 beyond ±2⁵³", "9007199254740993"},
	{"NUMERIC", "NUMERIC '12.50'"},
	{"BIGNUMERIC that a float64 cannot hold", "BIGNUMERIC '0.1234567890123456789'"},
	{"FLOAT64", "CAST('0.1' AS FLOAT64)"},
	{"NaN, Infinity", "CAST('NaN' AS FLOAT64)"},
	{"STRING", "'Grüße'"},
	{"BYTES", `b'\x00\xff'`},
	{"DATE", "DATE '2026-01-31'"},
	{"TIME", "TIME '12:34:56.5'"},
	{"TIMESTAMP", "TIMESTAMP '2026-01-31 13:00:00.25+01'"},
	{"DATETIME (read in timezone)", "DATETIME '2026-01-31 12:00:00'"},
	{"INTERVAL", "INTERVAL '0-0 1 2:0:0' YEAR TO SECOND"},
	{"RANGE", "RANGE<DATE> '[2026-01-31, UNBOUNDED)'"},
	{"GEOGRAPHY (as WKT)", "ST_GEOGFROMTEXT('POINT(1 2)')"},
	{"JSON", `JSON '{"a": [1, null]}'`},
	{"ARRAY (NULL is the empty one)", "[1, 2]"},
	{"STRUCT", "STRUCT(1 AS a, 'x' AS b)"},
	{"NULL", "CAST(NULL AS STRING)"},
}

// Where the stand-in has a function of its own, this is what Snowflake's users write.
var asWritten = strings.NewReplacer("TO_VECTOR('[1, 0.5, -2]')", "[1, 0.5, -2]::VECTOR(FLOAT, 3)")

// The README's type tables are what preview prints for a value of each type.
func TestReadmeTypes(t *testing.T) {
	dsn := postgrestest.Start(t)
	err := postgrestest.Exec(t.Context(), dsn, `CREATE TYPE demo_pair AS (n int, s text); CREATE TYPE demo_plan AS ENUM ('free', 'pro'); CREATE DOMAIN demo_seats AS int`)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("..", "..", "README.md")
	readme, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(readme)
	for _, w := range []struct {
		name, block string
		types       []sample
	}{
		{"postgres", fmt.Sprintf("{type: postgres, dsn: %q}", dsn), postgresTypes},
		{"duckdb", "{type: duckdb}", duckdbTypes},
		{"snowflake", snowflaketest.Start(t, snowflaketest.Options{}).Block(), snowflakeTypes},
		{"bigquery", bigquerytest.Start(t, bigquerytest.Options{}).Block(), bigqueryTypes},
	} {
		begin, end := fmt.Sprintf("<!-- types: %s -->\n", w.name), fmt.Sprintf("<!-- end of types: %s -->", w.name)
		before, rest, ok1 := strings.Cut(text, begin)
		table, after, ok2 := strings.Cut(rest, end)
		if !ok1 || !ok2 {
			t.Fatalf("the README has no table between %q and %q", begin, end)
		}
		want := typeTable(t, w.block, w.types)
		if diff := cmp.Diff(want, table); diff != "" && !*updateReadme {
			t.Errorf("types of %s (-what preview says +README); rewrite with -update-readme:\n%s", w.name, diff)
		}
		text = before + begin + want + end + after
	}
	if *updateReadme {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// typeTable previews one row that has a value of each type.
func typeTable(t *testing.T, block string, types []sample) string {
	t.Helper()
	var query strings.Builder
	query.WriteString("SELECT 1 AS id, 'acme' AS company, 'alice' AS user_name, CURRENT_TIMESTAMP AS at")
	for i, s := range types {
		fmt.Fprintf(&query, ", %s AS c%d", s.literal, i)
	}
	config := filepath.Join(t.TempDir(), "mixsync.yaml")
	yaml := fmt.Sprintf(`
warehouses: {w: %s}
projects: {p: {project_id: 1, region: us, model: hierarchical, token: t, service_account: {username: u, secret: s}}}
syncs:
  types:
    {type: event, warehouse: w, project: p, mode: full, primary_key: [id], query: %q,
     mapping: {event: {value: E}, time: at, company_id: company, user_id: user_name}}
`, block, query.String())
	if err := os.WriteFile(config, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"preview", "types", "-n", "1", "-o", "json", "-c", config}, strings.NewReader(""), &out, &errs, os.LookupEnv); code != 0 {
		t.Fatalf("preview = %d: %s%s", code, &out, &errs)
	}
	var answer struct {
		Records []struct {
			Record struct {
				Properties map[string]json.RawMessage `json:"properties"`
			} `json:"record"`
			Code, Message string
		} `json:"records"`
	}
	if err := json.Unmarshal(out.Bytes(), &answer); err != nil || len(answer.Records) != 1 || answer.Records[0].Code != "" {
		t.Fatalf("preview = %s: %v", &out, err)
	}
	properties := map[string]json.RawMessage{} // a warehouse may write names in upper case
	for name, value := range answer.Records[0].Record.Properties {
		properties[strings.ToLower(name)] = value
	}
	var table strings.Builder
	table.WriteString("\n| type | for instance | property |\n|---|---|---|\n")
	for i, s := range types {
		value := "left out"
		if v, ok := properties[fmt.Sprintf("c%d", i)]; ok {
			value = "`" + string(v) + "`"
		}
		fmt.Fprintf(&table, "| %s | `%s` | %s |\n", s.name, asWritten.Replace(s.literal), value)
	}
	table.WriteString("\n")
	return table.String()
}
