//go:build cgo

package bigquery_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	google "cloud.google.com/go/bigquery"
	"google.golang.org/api/iterator"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/connectors/warehouse/warehousetest"
)

// Types of columns in GoogleSQL.
var googleTypes = map[warehouse.Kind]string{
	warehouse.Int: "INT64", warehouse.Text: "STRING", warehouse.Date: "DATE", warehouse.Timestamp: "DATETIME", warehouse.TimestampTZ: "TIMESTAMP",
}

// googleClient is another way to a real project than the driver under test.
func googleClient(t testing.TB, project string) *google.Client {
	t.Helper()
	client, err := google.NewClient(t.Context(), project)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// googleTables makes tables in a dataset and drops them when the test ends.
func googleTables(t testing.TB, client *google.Client, dataset string) func(testing.TB, []warehousetest.Column, [][]*string) warehouse.Source {
	var tables atomic.Int64
	prefix := fmt.Sprintf("%s.mixsync_test_%d", dataset, time.Now().UnixNano())
	return func(inner testing.TB, columns []warehousetest.Column, rows [][]*string) warehouse.Source {
		inner.Helper()
		name := fmt.Sprintf("%s_%d", prefix, tables.Add(1))
		t.Cleanup(func() { _ = ddl(context.Background(), client, "DROP TABLE IF EXISTS `"+name+"`") })
		if err := ddl(inner.Context(), client, googleTable(name, columns, rows)); err != nil {
			inner.Fatal(err)
		}
		return warehouse.Source{Table: name}
	}
}

// googleTable is one statement, since BigQuery takes seconds for each.
func googleTable(name string, columns []warehousetest.Column, rows [][]*string) string {
	selects := make([]string, 0, len(rows)+1)
	for i := range len(rows) + 1 { // the last gives the types of an empty table
		cells := make([]string, len(columns))
		for c, column := range columns {
			value := "NULL"
			if i < len(rows) && rows[i][c] != nil {
				value = "'" + *rows[i][c] + "'"
			}
			cells[c] = fmt.Sprintf("CAST(%s AS %s) AS `%s`", value, googleTypes[column.Kind], column.Name)
		}
		selects = append(selects, "SELECT "+strings.Join(cells, ", "))
	}
	selects[len(rows)] = "SELECT * FROM (" + selects[len(rows)] + ") WHERE false"
	return "CREATE TABLE `" + name + "` AS " + strings.Join(selects, " UNION ALL ")
}

func ddl(ctx context.Context, client *google.Client, statement string) error {
	job, err := client.Query(statement).Run(ctx)
	if err != nil {
		return err
	}
	status, err := job.Wait(ctx)
	return errors.Join(err, status.Err())
}

// googleRunning asks for the jobs of the last minutes.
func googleRunning(client *google.Client) func(testing.TB, string) bool {
	return func(t testing.TB, marker string) bool {
		t.Helper()
		it := client.Jobs(t.Context())
		it.State, it.MinCreationTime = google.Running, time.Now().Add(-10*time.Minute)
		for {
			job, err := it.Next()
			if errors.Is(err, iterator.Done) {
				return false
			}
			if err != nil {
				t.Fatal(err)
			}
			if config, err := job.Config(); err == nil {
				if q, ok := config.(*google.QueryConfig); ok && strings.Contains(q.Q, marker) {
					return true
				}
			}
		}
	}
}
