//go:build cgo

package duckdb

import (
	"context"
	"path"
	"slices"
	"strings"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// fileTypes are the endings of files that DuckDB reads by their name alone.
var fileTypes = []string{".parquet", ".csv", ".tsv", ".json", ".jsonl", ".ndjson"}

// isFile reports whether the name of a table is that of a file, or a pattern of
// files: it has a file's ending, or the slashes and stars that paths are made of.
func isFile(name string) bool {
	if strings.HasPrefix(name, `"`) {
		return false
	}
	base := strings.ToLower(name)
	for _, packed := range []string{".gz", ".zst"} {
		base = strings.TrimSuffix(base, packed)
	}
	return strings.ContainsAny(name, `/\*?`) || slices.Contains(fileTypes, path.Ext(base))
}

// quoteTable quotes each part of a qualified name; one that holds a dot may be
// quoted as in SQL. The name of a file is taken whole, as text.
func quoteTable(name string) string {
	if isFile(name) {
		return quoteText(name)
	}
	parts := warehouse.SplitName(name)
	for i := range parts {
		parts[i] = quote(parts[i])
	}
	return strings.Join(parts, ".")
}

// tableSQL lists, one a row: every column in order, those that are NOT NULL, and
// those of the primary key in its order. Names match in any case, as DuckDB's do;
// a name of two parts is schema and table, or database and table.
const tableSQL = `
WITH place AS (
  SELECT database_name, schema_name, table_name
  FROM duckdb_tables()
  WHERE lower(table_name) = lower($3)
    AND CASE WHEN $1 <> '' THEN lower(database_name) = lower($1) AND lower(schema_name) = lower($2)
      WHEN $2 <> '' THEN database_name = current_database() AND lower(schema_name) = lower($2)
        OR lower(database_name) = lower($2) AND schema_name = 'main'
      ELSE database_name = current_database() AND schema_name = current_schema() END
)
SELECT 'column' AS fact, c.column_name AS name, c.column_index AS position
FROM duckdb_columns() AS c JOIN place USING (database_name, schema_name, table_name)
UNION ALL
SELECT 'not null', c.column_name, c.column_index
FROM duckdb_columns() AS c JOIN place USING (database_name, schema_name, table_name)
WHERE NOT c.is_nullable
UNION ALL
SELECT 'key', unnest(k.constraint_column_names), generate_subscripts(k.constraint_column_names, 1)
FROM duckdb_constraints() AS k JOIN place USING (database_name, schema_name, table_name)
WHERE k.constraint_type = 'PRIMARY KEY'
ORDER BY 1, 3`

// DescribeTable returns what the catalogue declares of a table; of a view or a
// table that is not there it declares nothing, and of a file nothing is known.
//
// DuckDB keeps the least and the greatest value of every column for each group
// of rows and skips the groups that a bound rules out: every column serves as
// one that leads an index.
func (d *Driver) DescribeTable(ctx context.Context, table string) (*warehouse.Table, error) {
	if isFile(table) {
		return nil, nil
	}
	parts := warehouse.SplitName(table)
	if len(parts) > 3 {
		return nil, warehouse.Errorf(warehouse.ClassSchema, `write database.schema.table, and quote a part that holds a dot: "a.b".c`,
			"table %q has %d parts", table, len(parts))
	}
	args := make([]warehouse.Arg, 3)
	for i, part := range parts {
		args[3-len(parts)+i].Text = part
	}
	t := &warehouse.Table{NotNull: make(map[string]bool)}
	err := d.each(ctx, tableSQL, args, func(b *warehouse.Batch, row int) {
		name := string(b.Cols[1].Text(row))
		switch string(b.Cols[0].Text(row)) {
		case "column":
			t.Indexed = append(t.Indexed, name)
		case "not null":
			t.NotNull[name] = true
		case "key":
			t.PrimaryKey = append(t.PrimaryKey, name)
			t.NotNull[name] = true
		}
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}
