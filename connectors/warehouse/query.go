package warehouse

import (
	"slices"
	"strconv"
	"strings"
)

// query is an SQL text being written from left to right with its arguments:
// some dialects number placeholders, others count on their order.
type query struct {
	strings.Builder
	dialect *Dialect
	args    []Arg
	where   bool
}

func (q *query) write(parts ...string) {
	for _, p := range parts {
		q.WriteString(p)
	}
}

// bind adds an argument and returns its placeholder in the field's own type.
// The placeholder must be written before the next argument is bound.
func (q *query) bind(f Field, text string) string {
	q.args = append(q.args, Arg{Text: text, Field: f})
	return q.dialect.Bind(len(q.args), f)
}

// and adds a condition.
func (q *query) and(parts ...string) {
	if q.where {
		q.write("\n  AND ")
	} else {
		q.write("\nWHERE ")
	}
	q.where = true
	q.write(parts...)
}

// build writes the statement that reads a spec from pos on; nil: from the start.
// limit 0 is none.
func (r *Reader) build(pos *Position, limit int) *query {
	q := &query{dialect: r.driver.Dialect()}
	q.write("SELECT ")
	for i, f := range r.schema.Fields {
		if i > 0 {
			q.write(", ")
		}
		q.write(q.dialect.Quote(f.Name))
		if alias, ok := q.dialect.hidden(f.Name); ok && r.spec.Source.Query == "" {
			q.write(" AS ", q.dialect.Quote(alias))
		}
	}
	q.write("\nFROM ", r.spec.Source.from(q.dialect))
	r.bounds(q)
	r.filters(q)
	if pos != nil {
		r.resume(q, pos)
	}
	r.order(q)
	if limit > 0 {
		q.write("\nLIMIT ", strconv.Itoa(limit))
	}
	return q
}

func (r *Reader) bounds(q *query) {
	if r.cursor < 0 {
		return
	}
	f := r.schema.Fields[r.cursor]
	column := q.dialect.Quote(f.Name)
	s := &r.spec
	if s.From != nil {
		q.and(column, " >= ", q.bind(f, *s.From))
	}
	if s.To != nil {
		q.and(column, " <= ", q.bind(f, *s.To))
	}
	if s.Before != nil {
		q.and(column, " < ", q.bind(f, *s.Before))
	}
	if s.From == nil && s.To == nil && s.Before == nil && !f.NotNull {
		// A bound leaves rows without a cursor out; so does a read without one.
		q.and(column, " IS NOT NULL")
	}
}

func (r *Reader) filters(q *query) {
	for _, where := range r.where {
		q.and()
		r.equals(q, where)
	}
	for i, set := range r.anyOf {
		if i == 0 {
			q.and("(")
		} else {
			q.write("\n  OR ")
		}
		for k, where := range set {
			if k > 0 {
				q.write(" AND ")
			}
			r.equals(q, where)
		}
		if i == len(r.anyOf)-1 {
			q.write(")")
		}
	}
}

func (r *Reader) equals(q *query, where filter) {
	f := r.schema.Fields[where.column]
	q.write(q.dialect.Quote(f.Name), " = ", q.bind(f, where.text))
}

// resume limits the read to the position and what follows it.
//
// The leading column gets a plain bound of its own, which an index can be
// searched by; the nested condition after it is exact. It spells out the order
// instead of comparing rows, which not every dialect can and which loses NULLs.
func (r *Reader) resume(q *query, pos *Position) {
	if r.cursor < 0 {
		lead := r.sorted[0]
		f := r.schema.Fields[lead.column]
		if value := pos.Keys[lead.key]; value != nil && f.NotNull && len(r.sorted) > 1 {
			q.and(q.dialect.Quote(f.Name), " >= ", q.bind(f, *value))
		}
		q.and()
		r.from(q, pos, 0)
		return
	}
	f := r.schema.Fields[r.cursor]
	q.and(q.dialect.Quote(f.Name), " >= ", q.bind(f, *pos.Cursor))
	if len(r.sorted) > 1 {
		q.and()
		r.from(q, pos, 0)
	}
}

// from writes the condition that columns i and on of the order are at the
// position or after it. NULLs come last, so nothing but NULL follows NULL.
func (r *Reader) from(q *query, pos *Position, i int) {
	o := r.sorted[i]
	f := r.schema.Fields[o.column]
	column := q.dialect.Quote(f.Name)
	last := i == len(r.sorted)-1
	value := pos.Cursor
	if o.key >= 0 {
		value = pos.Keys[o.key]
	}
	if value == nil {
		q.write("(", column, " IS NULL")
		if !last {
			q.write(" AND ")
			r.from(q, pos, i+1)
		}
		q.write(")")
		return
	}
	q.write("(")
	if last {
		q.write(column, " >= ", q.bind(f, *value))
	} else {
		q.write(column, " > ", q.bind(f, *value))
	}
	if o.key >= 0 && !f.NotNull {
		q.write(" OR ", column, " IS NULL")
	}
	if !last {
		q.write(" OR (", column, " = ", q.bind(f, *value), " AND ")
		r.from(q, pos, i+1)
		q.write(")")
	}
	q.write(")")
}

func (r *Reader) order(q *query) {
	for i, o := range r.sorted {
		if i == 0 {
			q.write("\nORDER BY ")
		} else {
			q.write(", ")
		}
		f := r.schema.Fields[o.column]
		q.write(q.dialect.Quote(f.Name))
		if o.key >= 0 && !f.NotNull && !q.dialect.NullsLast {
			q.write(" NULLS LAST")
		}
	}
}

// ordering is one column of ORDER BY: the cursor (key -1) or key number key.
type ordering struct{ column, key int }

// sortOrder lists the columns that rows are read in order of, each once.
func (r *Reader) sortOrder() []ordering {
	if !r.driver.Dialect().Ordered {
		if r.spec.InOrder && r.cursor >= 0 {
			return []ordering{{r.cursor, -1}}
		}
		return nil
	}
	var list []ordering
	if r.cursor >= 0 {
		list = append(list, ordering{r.cursor, -1})
	}
	for k, column := range r.keys {
		if !slices.ContainsFunc(list, func(o ordering) bool { return o.column == column }) {
			list = append(list, ordering{column, k})
		}
	}
	return list
}
