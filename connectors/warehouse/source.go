package warehouse

import (
	"context"
	"errors"
	"strings"
)

// Source is what is read: a table, or a query that is wrapped, never edited.
// Exactly one of the two is set.
type Source struct {
	Table string // as in the YAML: "app.usage"
	Query string // a single SELECT
	// Cursor is the column that the source will be read by, if there is one. Some
	// tables show it only when it is asked for by name, and some are only read with
	// a condition on it.
	Cursor string
}

// from writes the source as what follows FROM.
func (s Source) from(d *Dialect) string {
	if s.Query == "" {
		return d.QuoteTable(s.Table)
	}
	// The newlines keep a comment on the last line from swallowing the bracket.
	// A closing semicolon is no part of the SELECT.
	return "(\n" + strings.TrimRight(s.Query, "; \t\r\n") + "\n) AS q"
}

// Describe returns the columns of a source without reading rows. For a table
// whose catalogue the driver can read it also knows which are NOT NULL.
func Describe(ctx context.Context, d Driver, src Source) (*Schema, error) {
	schema, err := describeSource(ctx, d, src)
	if err != nil {
		return nil, err
	}
	if len(schema.Fields) == 0 {
		return nil, Errorf(ClassSchema, "name a table or query that returns columns", "%s has no columns", src)
	}
	seen := make(map[string]bool, len(schema.Fields))
	for _, f := range schema.Fields {
		if seen[f.Name] {
			return nil, Errorf(ClassSchema, "give one of them another name with AS", "%s returns two columns called %q", src, f.Name)
		}
		seen[f.Name] = true
	}
	schema = withCursor(schema, src.Cursor)
	table, err := DescribeTable(ctx, d, src)
	if err != nil || table == nil {
		return schema, err
	}
	declared := &Schema{Fields: append([]Field(nil), schema.Fields...)}
	for i := range declared.Fields {
		f := &declared.Fields[i]
		f.NotNull = f.NotNull || table.NotNull[f.Name]
	}
	return declared, nil
}

// withCursor has the cursor be an integer where the warehouse has whole numbers of
// any size: a cursor counts, and 64 bits are enough for that.
func withCursor(schema *Schema, name string) *Schema {
	i := -1
	if name != "" {
		i = schema.Index(name)
	}
	if i < 0 || !schema.Fields[i].Whole {
		return schema
	}
	counted := &Schema{Fields: append([]Field(nil), schema.Fields...)}
	counted.Fields[i].Kind = Int
	return counted
}

// describeSource describes all columns of a source, the cursor among them.
func describeSource(ctx context.Context, d Driver, src Source) (*Schema, error) {
	dialect := d.Dialect()
	alias, hidden := "", false
	if src.Query == "" {
		alias, hidden = dialect.hidden(src.Cursor)
	}
	sql := "SELECT *"
	if hidden {
		sql += ", " + dialect.Quote(src.Cursor) + " AS " + dialect.Quote(alias)
	}
	sql += " FROM " + src.from(dialect)
	schema, err := describe(ctx, d, sql)
	if errors.Is(err, ErrNeedsFilter) && src.Cursor != "" {
		schema, err = describe(ctx, d, sql+"\nWHERE "+dialect.Quote(src.Cursor)+" IS NOT NULL")
	}
	if err != nil || !hidden {
		return schema, err
	}
	named := &Schema{Fields: append([]Field(nil), schema.Fields...)}
	named.Fields[len(named.Fields)-1].Name = src.Cursor
	return named, nil
}

func describe(ctx context.Context, d Driver, sql string) (*Schema, error) {
	if describer, ok := as[Describer](d); ok {
		return describer.Describe(ctx, sql)
	}
	rows, err := d.Query(ctx, sql+"\nLIMIT 0")
	if err != nil {
		return nil, err
	}
	schema := rows.Schema()
	return schema, rows.Close()
}

// DescribeTable returns what the catalogue says of a source's table; nil for a
// query, and for drivers that cannot tell.
func DescribeTable(ctx context.Context, d Driver, src Source) (*Table, error) {
	describer, ok := as[TableDescriber](d)
	if !ok || src.Query != "" {
		return nil, nil
	}
	return describer.DescribeTable(ctx, src.Table)
}

// String names the source in messages.
func (s Source) String() string {
	if s.Query != "" {
		return "the query"
	}
	return "table " + s.Table
}

// SplitName takes a qualified name apart: app.usage is two parts. A part that
// holds a dot is quoted as in SQL: app."odd.name".
func SplitName(name string) []string {
	var parts []string
	for _, p := range SplitQuoted(name) {
		parts = append(parts, p.Text)
	}
	return parts
}

// NamePart is a part of a qualified name, and whether it was written in quotes.
type NamePart struct {
	Text   string
	Quoted bool
}

// SplitQuoted is SplitName for dialects that fold what stands without quotes.
func SplitQuoted(name string) []NamePart {
	var parts []NamePart
	for rest := name; ; {
		part, after, more := cutName(rest)
		parts = append(parts, part)
		if !more {
			return parts
		}
		rest = after
	}
}

// cutName takes the first part off a qualified name.
func cutName(name string) (part NamePart, rest string, more bool) {
	if quoted, ok := strings.CutPrefix(name, `"`); ok {
		for i := 0; i < len(quoted); i++ {
			switch {
			case quoted[i] != '"':
			case strings.HasPrefix(quoted[i+1:], `"`):
				i++
			case i+1 == len(quoted) || quoted[i+1] == '.':
				part = NamePart{strings.ReplaceAll(quoted[:i], `""`, `"`), true}
				rest, more = strings.CutPrefix(quoted[i+1:], ".")
				return part, rest, more
			}
		}
	}
	part.Text, rest, more = strings.Cut(name, ".")
	return part, rest, more
}
