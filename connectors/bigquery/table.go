package bigquery

import (
	"context"
	"strconv"
	"strings"

	"cloud.google.com/go/bigquery"
)

// LastChange asks the catalogue, which scans nothing. Only of a table of its own
// does BigQuery know when its rows changed: not of what a view or an external
// table reads, nor of rows that are streamed in and not yet stored.
func (d *Driver) LastChange(ctx context.Context, table string) (string, error) {
	t := d.table(table)
	if t == nil {
		return "", nil
	}
	md, err := t.Metadata(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		// Without bigquery.tables.get it cannot be told. Whatever else is wrong, the
		// read that comes next says better.
		return "", nil //nolint:nilerr // as said
	}
	if md.Type != bigquery.RegularTable || md.StreamingBuffer != nil || md.LastModifiedTime.IsZero() {
		return "", nil
	}
	// The time alone may stand still between two changes within a millisecond.
	return strconv.FormatInt(md.LastModifiedTime.UnixMilli(), 10) + " " + strconv.FormatUint(md.NumRows, 10) + " " + md.ETag, nil
}

// table finds the table that a name in the YAML means; nil if it is no single one.
func (d *Driver) table(name string) *bigquery.Table {
	parts := strings.Split(strings.ReplaceAll(name, "`", ""), ".")
	if strings.Contains(name, "*") || len(parts) < 2 {
		return nil
	}
	table, dataset, project := parts[len(parts)-1], parts[len(parts)-2], d.options.Project
	if len(parts) > 2 { // a project of a domain has a dot of its own
		project = strings.Join(parts[:len(parts)-2], ".")
	}
	if strings.EqualFold(dataset, "INFORMATION_SCHEMA") {
		return nil
	}
	return d.client.DatasetInProject(project, dataset).Table(table)
}
