package snowflake_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mixsync/mixsync/connectors/snowflake"
	"github.com/mixsync/mixsync/connectors/warehouse"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestSQL compares the statements that reads send with testdata/*.sql.
func TestSQL(t *testing.T) {
	t.Parallel()
	schema := &warehouse.Schema{Fields: []warehouse.Field{
		{Name: "ID", Kind: warehouse.Int, Type: "NUMBER(38,0)", Sortable: true},
		{Name: "REGION", Kind: warehouse.Text, Type: "VARCHAR", Sortable: true},
		{Name: "AT", Kind: warehouse.TimestampTZ, Type: "TIMESTAMP_LTZ(9)", Sortable: true},
		{Name: "DAY", Kind: warehouse.Date, Type: "DATE", Sortable: true},
		{Name: "PRICE", Kind: warehouse.Decimal, Type: "NUMBER(12,2)", Sortable: true},
		{Name: `Odd "one"`, Kind: warehouse.JSON, Type: "VARIANT"},
	}}
	table := warehouse.Source{Table: "marts.fct_usage"}
	p := func(s string) *string { return &s }
	for name, spec := range map[string]warehouse.ReadSpec{
		"table":     {Source: table, Cursor: "at", Keys: []string{"id"}, From: p("2026-01-01T00:00:00Z"), To: p("2026-01-31T12:00:00Z")},
		"exact":     {Source: warehouse.Source{Table: `analytics."Marts"."fct usage"`}, Cursor: "id", Before: p("42")},
		"query":     {Source: warehouse.Source{Query: "SELECT * FROM marts.fct_usage -- all of it;\n"}, Cursor: "day", Keys: []string{"id"}, From: p("2026-01-01"), To: p("2026-01-31"), Before: p("2026-01-15")},
		"no_bounds": {Source: table, Cursor: "at", Keys: []string{"id"}},
		"nothing":   {Source: table, Limit: 5},
		"in_order":  {Source: table, Cursor: "at", Keys: []string{"id"}, InOrder: true, Limit: 10},
		"where":     {Source: table, Where: map[string]string{"id": "42", "price": "12.50", "region": "it's"}, Limit: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reader, err := warehouse.NewReader(new(snowflake.Driver), schema, spec)
			if err != nil {
				t.Fatal(err)
			}
			sql, args := reader.SQL()
			got := sql + "\n"
			for i, a := range args {
				got += fmt.Sprintf("-- %d = %s of %s\n", i+1, a.Text, a.Field.Type)
			}
			file := filepath.Join("testdata", name+".sql")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", file, diff)
			}
		})
	}
}

// Names are folded as Snowflake folds them.
func TestQuoteTable(t *testing.T) {
	t.Parallel()
	quote := new(snowflake.Driver).Dialect().QuoteTable
	for name, want := range map[string]string{
		"fct_sessions":            `"FCT_SESSIONS"`,
		"marts.fct_sessions":      `"MARTS"."FCT_SESSIONS"`,
		"Analytics.Marts.Fct$1":   `"ANALYTICS"."MARTS"."FCT$1"`,
		`marts."fct_sessions"`:    `"MARTS"."fct_sessions"`,
		`"a.b"."c""d"`:            `"a.b"."c""d"`,
		"marts.my-table":          `"MARTS"."my-table"`,
		`marts.x"; DROP TABLE "y`: `"MARTS"."x""; DROP TABLE ""y"`,
	} {
		if got := quote(name); got != want {
			t.Errorf("QuoteTable(%s) = %s, want %s", name, got, want)
		}
	}
}
