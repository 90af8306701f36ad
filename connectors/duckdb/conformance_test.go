//go:build cgo

package duckdb_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	_ "github.com/duckdb/duckdb-go/v2"

	"github.com/mixsync/mixsync/connectors/duckdb"
	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/connectors/warehouse/warehousetest"
)

// TestConformance runs the suite on tables of a database file.
func TestConformance(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "conformance.duckdb")
	exec(t, path, `CREATE SCHEMA app`)
	d := open(t, duckdb.Options{Path: path})
	var tables atomic.Int64
	warehousetest.RunConformance(t, harness(d, types, func(t testing.TB, columns []warehousetest.Column, rows [][]*string) warehouse.Source {
		if err := d.Close(); err != nil { // or the file could not be written to
			t.Fatal(err)
		}
		name := fmt.Sprintf("app.conformance_%d", tables.Add(1))
		exec(t, path, createTable(name, columns, rows))
		return warehouse.Source{Table: name}
	}))
}

// TestConformanceOfFiles runs the suite on Parquet files. Every type has been
// read by the other.
func TestConformanceOfFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := open(t, duckdb.Options{})
	var tables atomic.Int64
	warehousetest.RunConformance(t, harness(d, nil, func(t testing.TB, columns []warehousetest.Column, rows [][]*string) warehouse.Source {
		path := filepath.Join(dir, fmt.Sprintf("it's %d.parquet", tables.Add(1)))
		exec(t, "", createTable("t", columns, rows)+"COPY t TO '"+strings.ReplaceAll(path, "'", "''")+"'")
		return warehouse.Source{Table: path}
	}))
}

func harness(d *duckdb.Driver, types []warehousetest.Type, create func(testing.TB, []warehousetest.Column, [][]*string) warehouse.Source) warehousetest.Harness {
	return warehousetest.Harness{
		Driver: d,
		Types:  types,
		Create: create,
		Series: func(count int) string {
			return fmt.Sprintf("SELECT CAST(n AS BIGINT) AS n FROM range(1, %d) AS s(n)", count+1)
		},
		Wide: func(count, size int) string {
			return fmt.Sprintf("SELECT repeat('x', %d) AS v FROM range(%d)", size, count)
		},
		Slow: func(marker string) string {
			return "SELECT CAST(sum(a.n * b.n % 7) AS VARCHAR) AS v FROM range(10000000) AS a(n), range(1000000) AS b(n) /* " + marker + " */"
		},
		// The server is this process: a statement runs while its session is in use.
		Running:    func(testing.TB, string) bool { return d.Sessions() > 0 },
		TellsApart: true,
	}
}

var typeNames = map[warehouse.Kind]string{
	warehouse.Int: "BIGINT", warehouse.Text: "VARCHAR", warehouse.Date: "DATE",
	warehouse.Timestamp: "TIMESTAMP", warehouse.TimestampTZ: "TIMESTAMPTZ",
}

func createTable(name string, columns []warehousetest.Column, rows [][]*string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE TABLE %s (", name)
	for i, c := range columns {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, `"%s" %s`, strings.ReplaceAll(c.Name, `"`, `""`), typeNames[c.Kind])
		if c.NotNull {
			b.WriteString(" NOT NULL")
		}
	}
	b.WriteString(");\n")
	for _, row := range rows {
		values := make([]string, len(row))
		for i, v := range row {
			values[i] = "NULL"
			if v != nil {
				values[i] = "'" + strings.ReplaceAll(*v, "'", "''") + "'"
			}
		}
		fmt.Fprintf(&b, "INSERT INTO %s VALUES (%s);\n", name, strings.Join(values, ", "))
	}
	return b.String()
}

func open(t testing.TB, o duckdb.Options) *duckdb.Driver {
	t.Helper()
	d, err := duckdb.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if d.IsOpen() {
			t.Error("the database is open after Close")
		}
	})
	return d
}

// exec writes to a database as other programs do, and closes it; "" is in memory.
func exec(t testing.TB, path, statements string) {
	t.Helper()
	db, err := sql.Open("duckdb", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "SET TimeZone = 'UTC';\n"+statements); err != nil {
		t.Fatalf("%v\n%.500s", err, statements)
	}
}
