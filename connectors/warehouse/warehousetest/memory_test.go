package warehousetest_test

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/connectors/warehouse/warehousetest"
)

func TestRowsAndRender(t *testing.T) {
	t.Parallel()
	kinds := []warehouse.Kind{warehouse.Bool, warehouse.Int, warehouse.Float, warehouse.Decimal, warehouse.Text, warehouse.Bytes,
		warehouse.JSON, warehouse.Date, warehouse.Time, warehouse.Timestamp, warehouse.TimestampTZ}
	schema := &warehouse.Schema{}
	nulls := warehousetest.Row{}
	for _, k := range kinds {
		schema.Fields = append(schema.Fields, warehouse.Field{Name: k.String(), Kind: k})
		nulls = append(nulls, nil)
	}
	at := time.Date(2026, 1, 31, 12, 0, 0, 500_000_000, time.UTC)
	rows := warehousetest.NewRows(schema,
		warehousetest.Row{true, 7, 1.5, "1.50", "a", []byte{0, 255}, `{"a": 1}`, at, 1_000_000, at, at},
		nulls)
	b := warehouse.NewBatch(schema)
	if err := rows.Fill(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	want := []string{"true", "7", "1.5", "1.50", "a", "00ff", `{"a":1}`, "2026-01-31", "1000000", "2026-01-31T12:00:00.5", "2026-01-31T12:00:00.5Z"}
	if diff := cmp.Diff(want, warehousetest.RenderRow(b, 0)); diff != "" {
		t.Errorf("row (-want +got):\n%s", diff)
	}
	for i, got := range warehousetest.RenderRow(b, 1) {
		if got != "NULL" {
			t.Errorf("%s = %s, want NULL", kinds[i], got)
		}
	}
	b.Reset()
	if err := rows.Fill(t.Context(), b); err != io.EOF {
		t.Errorf("Fill after the end = %v, want io.EOF", err)
	}
}

func TestRowsFail(t *testing.T) {
	t.Parallel()
	schema := &warehouse.Schema{Fields: []warehouse.Field{{Name: "n", Kind: warehouse.Int}}}
	rows := warehousetest.NewRows(schema, warehousetest.Row{1}, warehousetest.Row{2}, warehousetest.Row{3})
	rows.BatchRows, rows.FailAfter, rows.Fail = 2, 3, errors.New("lost")
	b := warehouse.NewBatch(schema)
	if err := rows.Fill(t.Context(), b); err != nil || b.Len() != 2 {
		t.Fatalf("Fill = %v with %d rows, want 2 rows", err, b.Len())
	}
	b.Reset()
	if err := rows.Fill(t.Context(), b); !errors.Is(err, rows.Fail) {
		t.Errorf("Fill = %v, want the fault", err)
	}
}
