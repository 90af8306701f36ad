//go:build cgo

package bigquery_test

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mixsync/mixsync/connectors/bigquery"
	"github.com/mixsync/mixsync/connectors/bigquery/bigquerytest"
	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/connectors/warehouse/warehousetest"
)

// TestConformance runs the suite on both ways that results come.
func TestConformance(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]bigquery.Options{
		"storage read": {SessionForAll: true},
		"pages":        {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := bigquerytest.Start(t, bigquerytest.Options{})
			s.Exec(t, "CREATE SCHEMA app")
			o := o
			o.Endpoint = s.Endpoint
			if name == "storage read" {
				o.GRPCEndpoint = s.GRPCEndpoint
			}
			d := open(t, s, o)
			var tables atomic.Int64
			h := harness(d, func(t testing.TB, columns []warehousetest.Column, rows [][]*string) warehouse.Source {
				table := fmt.Sprintf("app.conformance_%d", tables.Add(1))
				s.Exec(t, createTable(table, duckTypes, columns, rows))
				return warehouse.Source{Table: "test-project." + table}
			})
			h.Running = func(_ testing.TB, marker string) bool {
				for _, j := range s.Jobs() {
					if j.Running && strings.Contains(j.SQL, marker) {
						return true
					}
				}
				return false
			}
			warehousetest.RunConformance(t, h)
		})
	}
}

// TestConformanceOfGoogle runs the suite in a dataset of a real project, by
// Application Default Credentials. It costs some cents.
func TestConformanceOfGoogle(t *testing.T) {
	t.Parallel()
	target := os.Getenv("MIXSYNC_TEST_BIGQUERY")
	if target == "" {
		t.Skip("set MIXSYNC_TEST_BIGQUERY to project.dataset, in which tables may be made, to run the suite against BigQuery itself")
	}
	project, _, ok := strings.Cut(target, ".")
	if !ok {
		t.Fatalf("MIXSYNC_TEST_BIGQUERY = %q, want project.dataset", target)
	}
	for _, session := range []bool{true, false} {
		t.Run(fmt.Sprintf("session %t", session), func(t *testing.T) {
			d, err := bigquery.Open(t.Context(), bigquery.Options{Project: project, SessionForAll: session, PageRows: 100_000_000, Labels: map[string]string{"mixsync": "test"}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = d.Close() })
			client := googleClient(t, project)
			h := harness(d, googleTables(t, client, target))
			h.Running = googleRunning(client)
			warehousetest.RunConformance(t, h)
		})
	}
}

func harness(d *bigquery.Driver, create func(testing.TB, []warehousetest.Column, [][]*string) warehouse.Source) warehousetest.Harness {
	return warehousetest.Harness{
		Driver: d,
		Types:  types,
		Create: create,
		Series: func(count int) string {
			// An array has a million elements at most.
			return fmt.Sprintf("SELECT a * 1000 + b AS n FROM UNNEST(GENERATE_ARRAY(0, %d)) AS a, UNNEST(GENERATE_ARRAY(1, 1000)) AS b WHERE a * 1000 + b <= %d", count/1000, count)
		},
		Wide: func(count, size int) string {
			return fmt.Sprintf("SELECT REPEAT('x', %d) AS v FROM UNNEST(GENERATE_ARRAY(1, %d)) AS n", size, count)
		},
		Slow: func(marker string) string {
			return "SELECT CAST(SUM(MOD(a * b, 7)) AS STRING) AS v FROM UNNEST(GENERATE_ARRAY(1, 1000000)) AS a, UNNEST(GENERATE_ARRAY(1, 1000000)) AS b /* " + marker + " */"
		},
		OddName: "Odd 'name'",
	}
}

var duckTypes = map[warehouse.Kind]string{
	warehouse.Int: "BIGINT", warehouse.Text: "VARCHAR", warehouse.Date: "DATE", warehouse.Timestamp: "TIMESTAMP", warehouse.TimestampTZ: "TIMESTAMPTZ",
}

func createTable(name string, types map[warehouse.Kind]string, columns []warehousetest.Column, rows [][]*string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE TABLE %s (", name)
	for i, c := range columns {
		fmt.Fprintf(&b, `%s"%s" %s`, cmp.Or(map[bool]string{true: ", "}[i > 0], ""), c.Name, types[c.Kind])
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

func open(t testing.TB, s *bigquerytest.Server, o bigquery.Options) *bigquery.Driver {
	t.Helper()
	o.Project, o.Insecure = "test-project", true
	if o.Endpoint == "" {
		o.Endpoint, o.GRPCEndpoint = s.Endpoint, s.GRPCEndpoint
	}
	d, err := bigquery.Open(t.Context(), o)
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
