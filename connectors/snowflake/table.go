package snowflake

import (
	"context"
	"strings"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// quoteTable quotes each part of a qualified name. One that stands without quotes
// in the YAML is folded to upper case first, as Snowflake would do.
func quoteTable(name string) string {
	parts := partsOf(name)
	for i := range parts {
		parts[i] = quote(parts[i])
	}
	return strings.Join(parts, ".")
}

// partsOf are the parts of a name as the catalogue has them.
func partsOf(name string) []string {
	var parts []string
	for _, p := range warehouse.SplitQuoted(name) {
		if !p.Quoted && isPlain(p.Text) {
			p.Text = strings.ToUpper(p.Text)
		}
		parts = append(parts, p.Text)
	}
	return parts
}

// isPlain reports whether Snowflake takes an identifier without quotes. What it
// does not take is exact with or without them.
func isPlain(name string) bool {
	for i := range len(name) {
		switch c := name[i]; {
		case c == '_', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
		case i > 0 && (c == '$' || c >= '0' && c <= '9'):
		default:
			return false
		}
	}
	return name != ""
}

// LastChange identifies the last commit to a table. Snowflake's metadata tell it,
// without a virtual warehouse. Of a view nothing is told: its rows can change where
// no table does. Where the catalogue does not answer, nothing is told either.
func (d *Driver) LastChange(ctx context.Context, table string) (string, error) {
	parts := partsOf(table)
	if len(parts) > 3 {
		return "", nil // the first query tells what is wrong with it
	}
	known, err := d.isTable(ctx, parts)
	if err != nil || !known {
		return "", ctx.Err()
	}
	token := ""
	err = d.each(ctx, "SELECT SYSTEM$LAST_CHANGE_COMMIT_TIME("+quoteText(quoteTable(table))+") AS token", func(b *warehouse.Batch, row int) error {
		if c := &b.Cols[0]; !c.IsNull(row) {
			switch c.Kind {
			case warehouse.Int:
				token = warehouse.CursorAt(c, row).Text(c.Kind)
			case warehouse.Text, warehouse.Decimal:
				token = string(c.Text(row))
			}
		}
		return nil
	})
	if err != nil {
		return "", ctx.Err()
	}
	return token, nil
}

// isTable looks a name up among the tables that hold their rows themselves.
func (d *Driver) isTable(ctx context.Context, parts []string) (bool, error) {
	name := parts[len(parts)-1]
	// Without a scope the whole database is searched: a table elsewhere would vouch
	// for a view of its name here.
	sql := "SHOW TABLES LIKE " + quoteText(name) + " IN SCHEMA"
	if len(parts) > 1 {
		within := make([]string, len(parts)-1)
		for i := range within {
			within[i] = quote(parts[i])
		}
		sql += " " + strings.Join(within, ".")
	}
	found := false
	err := d.each(ctx, sql, func(b *warehouse.Batch, row int) error {
		at := func(column string) string {
			i := b.Schema.Index(column)
			if i < 0 || b.Cols[i].Kind != warehouse.Text || b.Cols[i].IsNull(row) {
				return ""
			}
			return string(b.Cols[i].Text(row))
		}
		// LIKE takes a pattern and any case.
		if at("name") == name && at("is_external") != "Y" && at("is_hybrid") != "Y" {
			found = true
		}
		return nil
	})
	return found, err
}
