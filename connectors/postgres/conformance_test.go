package postgres_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mixsync/mixsync/connectors/postgres"
	"github.com/mixsync/mixsync/connectors/postgres/postgrestest"
	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/connectors/warehouse/warehousetest"
)

func TestMain(m *testing.M) { postgrestest.Main(m) }

func TestConformance(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Start(t)
	exec(t, dsn, typesSetup)
	d := open(t, dsn)
	var tables atomic.Int64
	warehousetest.RunConformance(t, warehousetest.Harness{
		Driver: d,
		Types:  types,
		Create: func(t testing.TB, columns []warehousetest.Column, rows [][]*string) warehouse.Source {
			name := fmt.Sprintf("conformance_%d", tables.Add(1))
			exec(t, dsn, createTable(name, columns, rows))
			return warehouse.Source{Table: "public." + name}
		},
		Series: func(count int) string {
			return fmt.Sprintf("SELECT n::bigint AS n FROM generate_series(1, %d) AS n", count)
		},
		Wide: func(count, size int) string {
			return fmt.Sprintf("SELECT repeat('x', %d) AS v FROM generate_series(1, %d)", size, count)
		},
		Slow: func(marker string) string { return "SELECT pg_sleep(300)::text AS v /* " + marker + " */" },
		Running: func(t testing.TB, marker string) bool {
			return ask(t, dsn, `SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() AND query LIKE '%`+marker+`%'`) != "0"
		},
	})
}

var typeNames = map[warehouse.Kind]string{
	warehouse.Int: "bigint", warehouse.Text: "text", warehouse.Date: "date",
	warehouse.Timestamp: "timestamp", warehouse.TimestampTZ: "timestamptz",
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

func open(t testing.TB, dsn string) *postgres.Driver {
	t.Helper()
	d, err := postgres.Open(t.Context(), postgres.Options{DSN: dsn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return d
}

func exec(t testing.TB, dsn, sql string) {
	t.Helper()
	if err := postgrestest.Exec(t.Context(), dsn, sql); err != nil {
		t.Fatalf("%v\n%.500s", err, sql)
	}
}

// ask returns the first column of a query, a line each.
func ask(t testing.TB, dsn, sql string) string {
	t.Helper()
	conn, err := pgconn.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	result := conn.ExecParams(t.Context(), sql, nil, nil, nil, nil).Read()
	if result.Err != nil || len(result.Rows) == 0 {
		t.Fatalf("%s: %d rows, %v", sql, len(result.Rows), result.Err)
	}
	lines := make([]string, len(result.Rows))
	for i, row := range result.Rows {
		lines[i] = string(row[0])
	}
	return strings.Join(lines, "\n")
}
