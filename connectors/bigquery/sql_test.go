//go:build cgo

package bigquery_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mixsync/mixsync/connectors/bigquery"
	"github.com/mixsync/mixsync/connectors/bigquery/bigquerytest"
	"github.com/mixsync/mixsync/connectors/warehouse"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestSQL compares the statements that reads send with testdata/*.sql.
func TestSQL(t *testing.T) {
	t.Parallel()
	schema := &warehouse.Schema{Fields: []warehouse.Field{
		{Name: "id", Kind: warehouse.Int, Type: "INT64", Sortable: true},
		{Name: "region", Kind: warehouse.Text, Type: "STRING", Sortable: true},
		{Name: "at", Kind: warehouse.TimestampTZ, Type: "TIMESTAMP", Sortable: true},
		{Name: "day", Kind: warehouse.Date, Type: "DATE", Sortable: true},
		{Name: "local", Kind: warehouse.Timestamp, Type: "DATETIME", Sortable: true},
		{Name: "Odd 'one'", Kind: warehouse.Text, Type: "STRING", Sortable: true},
		{Name: "_PARTITIONTIME", Kind: warehouse.TimestampTZ, Type: "TIMESTAMP", Sortable: true},
	}}
	plain := &warehouse.Schema{Fields: schema.Fields[:6]}
	table := warehouse.Source{Table: "my-project.app.usage"}
	p := func(s string) *string { return &s }
	for name, test := range map[string]struct {
		schema *warehouse.Schema
		spec   warehouse.ReadSpec
	}{
		"table":     {plain, warehouse.ReadSpec{Source: table, Cursor: "at", Keys: []string{"id"}, From: p("2026-01-01T00:00:00Z"), To: p("2026-01-31T12:00:00Z")}},
		"query":     {plain, warehouse.ReadSpec{Source: warehouse.Source{Query: "SELECT * FROM app.usage -- all of it;\n"}, Cursor: "day", Keys: []string{"id"}, From: p("2026-01-01"), To: p("2026-01-31"), Before: p("2026-01-15")}},
		"datetime":  {plain, warehouse.ReadSpec{Source: table, Cursor: "local", From: p("2026-01-01T00:00:00")}},
		"integer":   {plain, warehouse.ReadSpec{Source: table, Cursor: "id", From: p("-7"), To: p("9007199254740993")}},
		"no_bounds": {plain, warehouse.ReadSpec{Source: table, Cursor: "at", Keys: []string{"id"}}},
		"no_cursor": {plain, warehouse.ReadSpec{Source: table, Keys: []string{"region", "id"}}},
		"in_order":  {plain, warehouse.ReadSpec{Source: table, Cursor: "at", Keys: []string{"id"}, To: p("2026-01-31T12:00:00Z"), InOrder: true}},
		"where":     {plain, warehouse.ReadSpec{Source: table, Where: map[string]string{"id": "42", "Odd 'one'": "it's"}, Limit: 1}},
		"pseudo":    {schema, warehouse.ReadSpec{Source: table, Cursor: "_PARTITIONTIME", Keys: []string{"id"}, From: p("2026-01-01T00:00:00Z")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reader, err := warehouse.NewReader(new(bigquery.Driver), test.schema, test.spec)
			if err != nil {
				t.Fatal(err)
			}
			sql, args := reader.SQL()
			got := sql + "\n"
			for i, a := range args {
				got += fmt.Sprintf("-- @p%d %s = %s\n", i+1, a.Field.Type, a.Text)
			}
			golden(t, name, got)
		})
	}
}

// TestQuestions compares what is asked beside reads, as it arrives.
func TestQuestions(t *testing.T) {
	t.Parallel()
	s := bigquerytest.Start(t, bigquerytest.Options{})
	s.Exec(t, "CREATE SCHEMA app; CREATE TABLE app.usage (id BIGINT, \"at\" TIMESTAMPTZ)")
	d := open(t, s, bigquery.Options{})
	src := warehouse.Source{Table: "app.usage", Cursor: "at"}
	before := len(s.Jobs())
	schema, err := warehouse.Describe(t.Context(), d, src)
	if err != nil {
		t.Fatal(err)
	}
	at, bound := schema.Fields[1], "2026-01-31T12:00:00.000001Z"
	if _, err := warehouse.HasNullCursor(t.Context(), d, src, "at"); err != nil {
		t.Fatal(err)
	}
	for _, to := range []*string{nil, &bound} {
		if _, err := warehouse.MaxCursor(t.Context(), d, src, at, nil, to); err != nil {
			t.Fatal(err)
		}
		if _, err := warehouse.Count(t.Context(), d, src, &at, warehouse.Range{From: to}, 1000); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.Clock(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, j := range s.Jobs()[before:] {
		got += j.SQL + "\n"
		for _, p := range j.Params {
			got += fmt.Sprintf("-- @%s %s = %s\n", p.Name, p.Type, p.Value)
		}
		got += "\n"
	}
	golden(t, "questions", got)
}

func golden(t *testing.T, name, got string) {
	t.Helper()
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
}
