//go:build cgo

package bigquery_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/mixsync/mixsync/connectors/bigquery"
	"github.com/mixsync/mixsync/connectors/bigquery/bigquerytest"
	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/connectors/warehouse/warehousetest"
)

// last is the job that came last.
func last(s *bigquerytest.Server) bigquerytest.Job {
	jobs := s.Jobs()
	return jobs[len(jobs)-1]
}

func readAll(t *testing.T, d warehouse.Driver, schema *warehouse.Schema, spec warehouse.ReadSpec) [][]string {
	t.Helper()
	reader, err := warehouse.NewReader(d, schema, spec)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	b := warehouse.NewBatch(schema)
	defer b.Reset()
	var rows [][]string
	for {
		switch err := reader.Next(t.Context(), b); {
		case errors.Is(err, io.EOF):
			return rows
		case err != nil:
			t.Fatalf("Next: %v", err)
		}
		for i := range b.Len() {
			rows = append(rows, warehousetest.RenderRow(b, i))
		}
	}
}

// sum reads one column of integers to its end, or to an error.
func sum(t *testing.T, d *bigquery.Driver, sql string) (count, total int64, err error) {
	t.Helper()
	rows, err := d.Query(t.Context(), sql)
	if err != nil {
		return 0, 0, err
	}
	defer rows.Close()
	b := warehouse.NewBatch(rows.Schema())
	defer b.Reset()
	for {
		b.Reset()
		if err := rows.Fill(t.Context(), b); errors.Is(err, io.EOF) {
			return count, total, nil
		} else if err != nil {
			return count, total, err
		}
		count += int64(b.Len())
		for _, v := range b.Cols[0].Int[:b.Len()] {
			total += v
		}
	}
}

func wantError(t *testing.T, err error, class warehouse.Class, text, hint string) {
	t.Helper()
	var e *warehouse.Error
	if !errors.As(err, &e) || e.Class != class || !strings.Contains(e.Error(), text) || !strings.Contains(e.Hint, hint) {
		t.Errorf("error = %v (%+v), want class %d, …%s…, hint …%s…", err, e, class, text, hint)
	}
}
