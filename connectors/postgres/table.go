package postgres

import (
	"context"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// tableSQL lists, one a row: columns that are NOT NULL, columns of the primary
// key in its order, and columns that lead an index of all rows.
const tableSQL = `
SELECT 'not null', a.attname, a.attnum
FROM pg_catalog.pg_attribute a
WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND a.attnotnull AND NOT a.attisdropped
UNION ALL
SELECT 'key', a.attname, k.place
FROM pg_catalog.pg_index i
CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(attnum, place)
JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE i.indrelid = to_regclass($1) AND i.indisprimary AND k.place <= i.indnkeyatts
UNION ALL
SELECT 'index', a.attname, min(a.attnum)
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
WHERE i.indrelid = to_regclass($1) AND i.indisvalid AND i.indpred IS NULL
GROUP BY a.attname
ORDER BY 1, 3`

// DescribeTable returns what the catalogue declares of a table; of a view or a
// table that is not there it declares nothing.
func (d *Driver) DescribeTable(ctx context.Context, table string) (*warehouse.Table, error) {
	found, err := d.ask(ctx, tableSQL, quoteTable(table))
	if err != nil {
		return nil, err
	}
	t := &warehouse.Table{NotNull: make(map[string]bool)}
	for _, row := range found {
		column := string(row[1])
		switch string(row[0]) {
		case "not null":
			t.NotNull[column] = true
		case "key":
			t.PrimaryKey = append(t.PrimaryKey, column)
		case "index":
			t.Indexed = append(t.Indexed, column)
		}
	}
	return t, nil
}
