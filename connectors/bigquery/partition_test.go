//go:build cgo

package bigquery_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/mixsync/mixsync/connectors/bigquery"
	"github.com/mixsync/mixsync/connectors/bigquery/bigquerytest"
	"github.com/mixsync/mixsync/connectors/warehouse"
)

// TestPartitionFilter asks everything that mixsync asks of a table that demands a
// condition on its partitions, and sees what each question reads of it.
func TestPartitionFilter(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"TIMESTAMPTZ", "TIMESTAMP", "DATE"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := bigquerytest.Start(t, bigquerytest.Options{})
			s.Exec(t, fmt.Sprintf(`CREATE SCHEMA app;
				CREATE TABLE app.events AS SELECT n AS id, CAST(TIMESTAMP '2026-01-01 12:00:00' + n // 10 * INTERVAL '1 day' AS %s) AS at FROM range(300) AS r(n)`, kind))
			s.Partition(t, "app.events", "at", true)
			d := open(t, s, bigquery.Options{})
			src := warehouse.Source{Table: "app.events", Cursor: "at"}

			_, err := warehouse.Describe(t.Context(), d, warehouse.Source{Table: "app.events"})
			if !errors.Is(err, warehouse.ErrNeedsFilter) {
				t.Errorf("Describe without a cursor = %v, want that a condition is needed", err)
			}
			wantError(t, err, warehouse.ClassSchema, "partition elimination", "make that the cursor")

			schema, err := warehouse.Describe(t.Context(), d, src)
			if err != nil {
				t.Fatal(err)
			}
			at := schema.Fields[1]
			if null, err := warehouse.HasNullCursor(t.Context(), d, src, "at"); err != nil || null {
				t.Errorf("HasNullCursor = %t, %v", null, err)
			}
			if j := last(s); j.RowsRead != 0 {
				t.Errorf("the search for NULL cursors reads %d rows", j.RowsRead)
			}
			top, err := warehouse.MaxCursor(t.Context(), d, src, at, nil, nil)
			if err != nil || !strings.HasPrefix(*top, "2026-01-30") {
				t.Fatalf("MaxCursor = %v, %v", top, err)
			}
			if _, err := warehouse.MaxCursor(t.Context(), d, src, at, top, nil); err != nil {
				t.Fatal(err)
			}
			if j := last(s); j.Partitions != 1 || j.RowsRead != 10 {
				t.Errorf("the bound above %s reads %d rows of %d partitions, want 10 of 1", *top, j.RowsRead, j.Partitions)
			}
			if n, err := warehouse.Count(t.Context(), d, src, &at, warehouse.Range{From: top}, 100); err != nil || n != 10 {
				t.Errorf("Count = %d, %v, want 10", n, err)
			}
			from := strings.Replace(*top, "01-30", "01-29", 1)
			rows := readAll(t, d, schema, warehouse.ReadSpec{Source: src, Cursor: "at", From: &from, To: top})
			if len(rows) != 20 {
				t.Errorf("read %d rows, want 20", len(rows))
			}
			if j := last(s); j.Partitions != 2 || j.RowsRead != 20 {
				t.Errorf("the read reads %d rows of %d partitions, want 20 of 2:\n%s", j.RowsRead, j.Partitions, j.SQL)
			}
			if rows := readAll(t, d, schema, warehouse.ReadSpec{Source: src, Cursor: "at"}); len(rows) != 300 {
				t.Errorf("read %d rows without bounds, want 300", len(rows))
			}
			query := warehouse.Source{Query: "SELECT id, `at` FROM my-project.app.events -- all of it", Cursor: "at"}
			if schema, err = warehouse.Describe(t.Context(), d, query); err != nil {
				t.Fatal(err)
			}
			if rows := readAll(t, d, schema, warehouse.ReadSpec{Source: query, Cursor: "at", From: top}); len(rows) != 10 || last(s).RowsRead != 10 {
				t.Errorf("the query reads %d rows for %d, want 10 for 10", last(s).RowsRead, len(rows))
			}
			estimate, err := d.Estimate(t.Context(), "SELECT * FROM `app.events` WHERE `at` >= @p1", warehouse.Arg{Text: *top, Field: at})
			if err != nil || estimate != 1000 {
				t.Errorf("Estimate = %d, %v, want the bytes of one partition, 1000", estimate, err)
			}
		})
	}
}

// TestPseudoColumn reads a table that is partitioned by the time of loading by its
// hidden column.
func TestPseudoColumn(t *testing.T) {
	t.Parallel()
	for column, kind := range map[string]string{"_PARTITIONTIME": "TIMESTAMPTZ", "_PARTITIONDATE": "DATE"} {
		t.Run(column, func(t *testing.T) {
			t.Parallel()
			s := bigquerytest.Start(t, bigquerytest.Options{})
			s.Exec(t, fmt.Sprintf(`CREATE SCHEMA app;
				CREATE TABLE app.loads AS SELECT n AS id, CAST(TIMESTAMP '2026-01-01' + n // 10 * INTERVAL '1 day' AS %s) AS "%s" FROM range(30) AS r(n)`, kind, column))
			s.Partition(t, "app.loads", column, true)
			d := open(t, s, bigquery.Options{})
			name := strings.ToLower(column) // columns have no case
			src := warehouse.Source{Table: "app.loads", Cursor: name}
			schema, err := warehouse.Describe(t.Context(), d, src)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(schema.Names(), " "); got != "id "+name {
				t.Errorf("columns = %s, want id %s", got, name)
			}
			if null, err := warehouse.HasNullCursor(t.Context(), d, src, name); err != nil || null {
				t.Errorf("HasNullCursor = %t, %v, want false: rows in the streaming buffer get a value", null, err)
			}
			top, err := warehouse.MaxCursor(t.Context(), d, src, schema.Fields[1], nil, nil)
			if err != nil || !strings.HasPrefix(*top, "2026-01-03") {
				t.Fatalf("MaxCursor = %v, %v", top, err)
			}
			rows := readAll(t, d, schema, warehouse.ReadSpec{Source: src, Cursor: name, From: top, To: top})
			if len(rows) != 10 || rows[0][1] != *top {
				t.Errorf("read %d rows, the first %v, want 10 of %s", len(rows), rows[:1], *top)
			}
			if j := last(s); j.Partitions != 1 {
				t.Errorf("the read reads %d partitions, want 1", j.Partitions)
			}
		})
	}
}
