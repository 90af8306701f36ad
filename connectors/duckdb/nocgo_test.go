//go:build !cgo

package duckdb_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/mixsync/mixsync/connectors/duckdb"
	"github.com/mixsync/mixsync/connectors/warehouse"
)

func TestOpenWithoutCgo(t *testing.T) {
	t.Parallel()
	d, err := duckdb.Open(t.Context(), duckdb.Options{Path: "lake.duckdb"})
	var e *warehouse.Error
	if d != nil || !errors.As(err, &e) || e.Class != warehouse.ClassConfig || !strings.Contains(e.Error(), "without cgo") || !strings.Contains(e.Hint, "CGO_ENABLED=1") {
		t.Errorf("Open = %v, %v, want that this build has no DuckDB and how to get one", d, err)
	}
}
