package bigquery

import (
	"strconv"
	"strings"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// Dialect is GoogleSQL.
func (d *Driver) Dialect() *warehouse.Dialect { return &dialect }

var dialect = warehouse.Dialect{
	Name:       "bigquery",
	Quote:      quote,
	QuoteTable: quoteTable,
	Bind:       func(n int, _ warehouse.Field) string { return "@" + parameter(n) },
	Hidden:     hidden,
}

var escaper = strings.NewReplacer(`\`, `\\`, "`", "\\`")

func quote(name string) string { return "`" + escaper.Replace(name) + "`" }

// quoteTable quotes a path as one: `my-project.dataset.table`. A name that is
// written with backquotes, as in BigQuery's console, means the same.
func quoteTable(name string) string { return quote(strings.ReplaceAll(name, "`", "")) }

func parameter(n int) string { return "p" + strconv.Itoa(n) }

// hidden knows the columns of a table that is partitioned by the time of loading.
// They are no part of *, and a result must not have a column of their name.
func hidden(column string) (alias string, ok bool) {
	switch strings.ToUpper(column) {
	case "_PARTITIONTIME", "_PARTITIONDATE":
		return "mixsync" + strings.ToLower(column), true
	}
	return "", false
}

// isOrdered reports whether a statement puts its rows in order. A Reader writes
// each clause on a line of its own, and what it reads from before them: an order
// that is within that is not the result's.
func isOrdered(sql string) bool {
	i := strings.LastIndex(sql, "\nORDER BY ")
	return i >= 0 && !strings.Contains(sql[i:], "\n) AS q")
}
