//go:build cgo

package snowflake_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/mixsync/mixsync/connectors/snowflake"
	"github.com/mixsync/mixsync/connectors/snowflake/snowflaketest"
	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/connectors/warehouse/warehousetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	conform(t, snowflaketest.Options{ChunkRows: 10_000})
}

// TestConformanceInJSON has a server that knows no Arrow.
func TestConformanceInJSON(t *testing.T) {
	t.Parallel()
	conform(t, snowflaketest.Options{ChunkRows: 10_000, JSON: true})
}

func conform(t *testing.T, o snowflaketest.Options) {
	server := snowflaketest.Start(t, o)
	var tables atomic.Int64
	warehousetest.RunConformance(t, warehousetest.Harness{
		Driver: open(t, server, nil),
		Types:  types,
		Create: func(t testing.TB, columns []warehousetest.Column, rows [][]*string) warehouse.Source {
			name := fmt.Sprintf("marts.conformance_%d", tables.Add(1))
			exec(t, server, createTable(name, columns, rows))
			return warehouse.Source{Table: name}
		},
		Series: func(count int) string {
			return fmt.Sprintf("SELECT CAST(n AS NUMBER(18,0)) AS n FROM range(1, %d) AS s(n)", count+1)
		},
		Wide: func(count, size int) string {
			return fmt.Sprintf("SELECT repeat('x', %d) AS v FROM range(%d)", size, count)
		},
		Slow: func(marker string) string {
			return "SELECT CAST(sum(a.n * b.n % 7) AS VARCHAR) AS v FROM range(10000000) AS a(n), range(1000000) AS b(n) /* " + marker + " */"
		},
		Running:    func(_ testing.TB, marker string) bool { return server.Running(marker) },
		TellsApart: true,
	})
}

// open connects to a server; change may alter the options.
func open(t testing.TB, s *snowflaketest.Server, change func(o *snowflake.Options)) *snowflake.Driver {
	t.Helper()
	o := optionsOf(s)
	if change != nil {
		change(&o)
	}
	d, err := snowflake.Open(t.Context(), o)
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

func optionsOf(s *snowflaketest.Server) snowflake.Options {
	return snowflake.Options{Account: s.Account(), User: s.User(), Password: s.Password(), Database: "ANALYTICS", Schema: "MARTS",
		Protocol: "http", Host: s.Host(), Port: s.Port()}
}

func exec(t testing.TB, s *snowflaketest.Server, sql string) {
	t.Helper()
	if err := s.Exec(sql); err != nil {
		t.Fatalf("%v\n%.500s", err, sql)
	}
}
