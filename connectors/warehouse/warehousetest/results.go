package warehousetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// types reads a value and a NULL of every type, and resumes at it where it sorts.
func (h *Harness) types(t *testing.T) {
	for _, ty := range h.Types {
		t.Run(ty.Name, func(t *testing.T) {
			src := warehouse.Source{Query: "SELECT " + ty.Literal + " AS v"}
			schema := h.schema(t, src)
			f := schema.Fields[0]
			if f.Kind != ty.Kind || f.Sortable == ty.Unsortable {
				t.Errorf("column of %s = %+v, want kind %s, sortable %t", ty.Literal, f, ty.Kind, !ty.Unsortable)
			}
			if got := h.query(t, src.Query); len(got) != 1 || got[0][0] != ty.Want {
				t.Errorf("%s = %q, want %q", ty.Literal, got, ty.Want)
			}
			null := "SELECT CASE WHEN 1 = 0 THEN " + ty.Literal + " END AS v"
			if got, want := h.query(t, null), cmp.Or(ty.Null, "NULL"); len(got) != 1 || got[0][0] != want {
				t.Errorf("NULL of %s = %q, want %s", ty.Name, got, want)
			}
			if !f.Sortable || !h.Driver.Dialect().Ordered {
				return
			}
			got := h.read(t, schema, warehouse.ReadSpec{Source: src, Keys: []string{"v"}})
			after := h.read(t, schema, warehouse.ReadSpec{Source: src, Keys: []string{"v"}, After: got.last})
			if len(got.rows) != 1 || len(after.rows) != 0 {
				t.Errorf("read %d rows, and %d after the position %s, want 1 and 0", len(got.rows), len(after.rows), place(got.last))
			}
			unseen := &warehouse.Position{Keys: got.last.Keys}
			if again := h.read(t, schema, warehouse.ReadSpec{Source: src, Keys: []string{"v"}, After: unseen}); len(again.rows) != 1 {
				t.Errorf("read %d rows from the unseen position %s, want 1", len(again.rows), place(unseen))
			}
		})
	}
}

// together reads a value of every type in one row.
func (h *Harness) together(t *testing.T) {
	if len(h.Types) == 0 {
		return
	}
	var list, want []string
	for i, ty := range h.Types {
		list = append(list, fmt.Sprintf("%s AS v%d", ty.Literal, i))
		want = append(want, ty.Want)
	}
	if diff := gocmp.Diff([][]string{want}, h.query(t, "SELECT "+strings.Join(list, ", "))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func (h *Harness) describe(t *testing.T) {
	src := h.Create(t, []Column{{Name: "id", Kind: warehouse.Int, NotNull: true}, {Name: cmp.Or(h.OddName, "Odd \"name\""), Kind: warehouse.Text},
		{Name: "at", Kind: warehouse.TimestampTZ}}, nil)
	described := h.schema(t, src)
	rows, err := h.Driver.Query(t.Context(), "SELECT * FROM "+h.Driver.Dialect().QuoteTable(src.Table))
	if err != nil {
		t.Fatal(err)
	}
	defer closeRows(t, rows)
	for i, f := range rows.Schema().Fields {
		f.NotNull = described.Fields[i].NotNull // a result need not know
		if diff := gocmp.Diff(f, described.Fields[i]); diff != "" {
			t.Errorf("Describe differs from the result (-result +described):\n%s", diff)
		}
	}
	if described.Fields[1].NotNull {
		t.Error("a column that may be NULL is described as NOT NULL")
	}
	// The same through a query, whose last line is a comment.
	query := warehouse.Source{Query: "SELECT * FROM " + h.Driver.Dialect().QuoteTable(src.Table) + " -- all of it"}
	if diff := gocmp.Diff(described.Names(), h.schema(t, query).Names()); diff != "" {
		t.Errorf("columns of the query differ:\n%s", diff)
	}
}

func (h *Harness) results(t *testing.T) {
	t.Run("empty", func(t *testing.T) {
		if got := h.query(t, "SELECT n FROM ("+h.Series(3)+") AS s WHERE n > 5"); len(got) != 0 {
			t.Errorf("got %d rows, want none", len(got))
		}
	})
	t.Run("many batches", func(t *testing.T) {
		const count = 3*warehouse.MaxBatchRows + 17
		seen := make([]bool, count+1)
		rows, err := h.Driver.Query(t.Context(), h.Series(count))
		if err != nil {
			t.Fatal(err)
		}
		defer closeRows(t, rows)
		b := warehouse.NewBatch(rows.Schema())
		for fill(t, rows, b) {
			for i := range b.Len() {
				n := b.Cols[0].Int[i]
				if n < 1 || n > count || seen[n] {
					t.Fatalf("row %d is out of range or came twice", n)
				}
				seen[n] = true
			}
			b.Reset()
		}
		for n := 1; n <= count; n++ {
			if !seen[n] {
				t.Fatalf("row %d is missing", n)
			}
		}
		if err := rows.Fill(t.Context(), b); err != io.EOF {
			t.Errorf("Fill after the end = %v, want io.EOF", err)
		}
	})
	t.Run("wide rows", func(t *testing.T) {
		const count, size = 30, 1 << 19
		got := h.query(t, h.Wide(count, size))
		if len(got) != count {
			t.Fatalf("got %d rows, want %d", len(got), count)
		}
		for i, row := range got {
			if len(row[0]) != size {
				t.Fatalf("row %d has %d bytes, want %d", i, len(row[0]), size)
			}
		}
	})
	t.Run("closed early", func(t *testing.T) {
		rows, err := h.Driver.Query(t.Context(), h.Series(1_000_000))
		if err != nil {
			t.Fatal(err)
		}
		b := warehouse.NewBatch(rows.Schema())
		if !fill(t, rows, b) {
			t.Error("no rows")
		}
		b.Reset()
		closeRows(t, rows)
		closeRows(t, rows) // twice is once
	})
	t.Run("side by side", func(t *testing.T) {
		open := make([]warehouse.Rows, 3)
		for i := range open {
			rows, err := h.Driver.Query(t.Context(), h.Series(10))
			if err != nil {
				t.Fatal(err)
			}
			defer closeRows(t, rows)
			open[i] = rows
		}
		for _, rows := range open {
			b := warehouse.NewBatch(rows.Schema())
			if !fill(t, rows, b) || b.Len() == 0 {
				t.Error("no rows")
			}
			b.Reset()
		}
	})
}

func (h *Harness) errors(t *testing.T) {
	src := h.Create(t, []Column{{Name: "id", Kind: warehouse.Int}, {Name: "name", Kind: warehouse.Text}}, nil)
	for _, test := range []struct {
		name string
		src  warehouse.Source
	}{
		{"missing table", warehouse.Source{Table: "no_such_table"}},
		{"missing table in a query", warehouse.Source{Query: "SELECT * FROM no_such_table"}},
		{"missing column", warehouse.Source{Query: "SELECT no_such_column FROM " + h.Driver.Dialect().QuoteTable(src.Table)}},
		{"no statement", warehouse.Source{Query: "SELEC 1"}},
		{"two columns of one name", warehouse.Source{Query: "SELECT 1 AS a, 2 AS a"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			schema, err := warehouse.Describe(t.Context(), h.Driver, test.src)
			if test.name == "two columns of one name" && h.TellsApart {
				if err != nil || len(schema.Fields) != 2 || schema.Fields[0].Name != "a" || schema.Fields[1].Name == "a" {
					t.Errorf("Describe = %+v, %v, want a and another name", schema, err)
				}
				return
			}
			wantClass(t, err, warehouse.ClassSchema)
		})
	}
	schema := h.schema(t, src)
	_, err := warehouse.NewReader(h.Driver, schema, warehouse.ReadSpec{Source: src, Cursor: "nam"})
	wantClass(t, err, warehouse.ClassSchema)
	var e *warehouse.Error
	if errors.As(err, &e) && !strings.Contains(e.Hint, "name") {
		t.Errorf("hint for column nam = %q, want name suggested", e.Hint)
	}
	_, err = warehouse.NewReader(h.Driver, schema, warehouse.ReadSpec{Source: src, Cursor: "name"})
	wantClass(t, err, warehouse.ClassSchema)
}

// cancel checks that a query that nobody waits for any more is stopped on the
// server, before its first row and amid its rows.
func (h *Harness) cancel(t *testing.T) {
	t.Run("before the first row", func(t *testing.T) {
		marker := fmt.Sprintf("mixsync_marker_%d", time.Now().UnixNano())
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			rows, err := h.Driver.Query(ctx, h.Slow(marker))
			if err == nil {
				err = rows.Fill(ctx, warehouse.NewBatch(rows.Schema()))
				err = errors.Join(err, rows.Close())
			}
			done <- err
		}()
		h.until(t, marker, true)
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("error of a cancelled query = %v, want context.Canceled", err)
		}
		h.until(t, marker, false)
	})
	t.Run("amid the rows", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		rows, err := h.Driver.Query(t.Context(), h.Series(5_000_000))
		if err != nil {
			t.Fatal(err)
		}
		defer closeRows(t, rows)
		b := warehouse.NewBatch(rows.Schema())
		err = rows.Fill(ctx, b)
		cancel()
		for err == nil {
			b.Reset()
			err = rows.Fill(ctx, b)
		}
		b.Reset()
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error of a cancelled read = %v, want context.Canceled", err)
		}
	})
}

// until waits for the server to run, or to have stopped, a statement.
func (h *Harness) until(t *testing.T, marker string, running bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for h.Running(t, marker) != running {
		if time.Now().After(deadline) {
			t.Fatalf("the server's running of the statement stays %t", !running)
		}
	}
}

func (h *Harness) clock(t *testing.T) {
	clock, err := h.Driver.Clock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if off := time.Since(clock.Now).Abs(); off > time.Hour {
		t.Errorf("Clock().Now is %v away from ours", off)
	}
}

func (h *Harness) schema(t *testing.T, src warehouse.Source) *warehouse.Schema {
	t.Helper()
	schema, err := warehouse.Describe(t.Context(), h.Driver, src)
	if err != nil {
		t.Fatalf("Describe: %v", err)
	}
	return schema
}

// query runs a statement and renders its rows.
func (h *Harness) query(t *testing.T, sql string) [][]string {
	t.Helper()
	rows, err := h.Driver.Query(t.Context(), sql)
	if err != nil {
		t.Fatalf("Query: %v", err)
	}
	defer closeRows(t, rows)
	var all [][]string
	b := warehouse.NewBatch(rows.Schema())
	for fill(t, rows, b) {
		for i := range b.Len() {
			all = append(all, RenderRow(b, i))
		}
		b.Reset()
	}
	return all
}

func fill(t *testing.T, rows warehouse.Rows, b *warehouse.Batch) bool {
	t.Helper()
	err := rows.Fill(t.Context(), b)
	if err != nil && err != io.EOF {
		t.Fatalf("Fill: %v", err)
	}
	return err == nil
}

func closeRows(t *testing.T, rows warehouse.Rows) {
	t.Helper()
	if err := rows.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func wantClass(t *testing.T, err error, want warehouse.Class) {
	t.Helper()
	var e *warehouse.Error
	if !errors.As(err, &e) || e.Class != want {
		t.Errorf("error = %v, want one of class %d", err, want)
		return
	}
	if e.Hint == "" {
		t.Errorf("error %q has no hint", err)
	}
}
