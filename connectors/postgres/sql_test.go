package postgres_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mixsync/mixsync/connectors/postgres"
	"github.com/mixsync/mixsync/connectors/warehouse"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestSQL compares the statements that reads send with testdata/*.sql.
func TestSQL(t *testing.T) {
	t.Parallel()
	schema := &warehouse.Schema{Fields: []warehouse.Field{
		{Name: "id", Kind: warehouse.Int, Type: "bigint", Sortable: true},
		{Name: "region", Kind: warehouse.Text, Type: "text", Sortable: true, NotNull: true},
		{Name: "at", Kind: warehouse.TimestampTZ, Type: "timestamp with time zone", Sortable: true},
		{Name: "day", Kind: warehouse.Date, Type: "date", Sortable: true},
		{Name: "hash", Kind: warehouse.Bytes, Type: "bytea", Sortable: true},
		{Name: `Odd "one"`, Kind: warehouse.Text, Type: `"Odd"."Mood"`, Sortable: true},
	}}
	table := warehouse.Source{Table: "app.usage"}
	p := func(s string) *string { return &s }
	for name, spec := range map[string]warehouse.ReadSpec{
		"table":                {Source: table, Cursor: "at", Keys: []string{"id"}, To: p("2026-01-31T12:00:00Z")},
		"query":                {Source: warehouse.Source{Query: "SELECT * FROM app.usage -- all of it;\n"}, Cursor: "day", Keys: []string{"id"}, From: p("2026-01-01"), To: p("2026-01-31"), Before: p("2026-01-15")},
		"no_bounds":            {Source: table, Cursor: "at", Keys: []string{"id"}},
		"no_keys":              {Source: table, Cursor: "at", From: p("2026-01-31T12:00:00Z")},
		"no_cursor":            {Source: table, Keys: []string{"region", "id"}},
		"nothing":              {Source: table, Limit: 5},
		"resume":               {Source: table, Cursor: "at", Keys: []string{"id"}, From: p("2026-01-01T00:00:00Z"), To: p("2026-01-31T12:00:00Z"), After: &warehouse.Position{Cursor: p("2026-01-15T00:00:00Z"), Keys: []*string{p("42")}, Seen: 1}},
		"resume_three_keys":    {Source: table, Cursor: "at", Keys: []string{"region", "id", "hash"}, After: &warehouse.Position{Cursor: p("2026-01-15T00:00:00Z"), Keys: []*string{p("eu"), p("42"), p("00ff")}, Seen: 2}, Limit: 10},
		"resume_null_key":      {Source: table, Cursor: "at", Keys: []string{"id", "hash"}, After: &warehouse.Position{Cursor: p("2026-01-15T00:00:00Z"), Keys: []*string{nil, p("00ff")}, Seen: 1}},
		"resume_last_null_key": {Source: table, Cursor: "at", Keys: []string{"id", "hash"}, After: &warehouse.Position{Cursor: p("2026-01-15T00:00:00Z"), Keys: []*string{p("1"), nil}, Seen: 1}},
		"resume_cursor_is_key": {Source: table, Cursor: "id", Keys: []string{"id"}, After: &warehouse.Position{Cursor: p("7"), Keys: []*string{p("7")}, Seen: 1}},
		"resume_no_cursor":     {Source: table, Keys: []string{"region", "id"}, After: &warehouse.Position{Keys: []*string{p("eu"), p("42")}, Seen: 1}},
		"where":                {Source: table, Where: map[string]string{"id": "42", `Odd "one"`: "it's"}, Limit: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reader, err := warehouse.NewReader(new(postgres.Driver), schema, spec)
			if err != nil {
				t.Fatal(err)
			}
			sql, args := reader.SQL()
			got := sql + "\n"
			for i, a := range args {
				got += fmt.Sprintf("-- $%d = %s\n", i+1, a.Text)
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
