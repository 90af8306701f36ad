package warehouse

import (
	"context"
	"io"
	"strconv"
)

// MaxCursor asks the warehouse for the greatest value of the cursor column f
// that is at least from and at most to, both cursor text and optional. It
// returns cursor text, nil when no row is within.
//
// A run takes its upper bound from here: the cursor of a row, never a clock's.
func MaxCursor(ctx context.Context, d Driver, src Source, f Field, from, to *string) (*string, error) {
	return extreme(ctx, d, src, f, "max", from, to)
}

// MinCursor is MaxCursor for the least value.
func MinCursor(ctx context.Context, d Driver, src Source, f Field, from, to *string) (*string, error) {
	return extreme(ctx, d, src, f, "min", from, to)
}

func extreme(ctx context.Context, d Driver, src Source, f Field, which string, from, to *string) (*string, error) {
	if err := checkCursor(f); err != nil {
		return nil, err
	}
	q := query{dialect: d.Dialect()}
	q.write("SELECT ", which, "(", q.dialect.Quote(f.Name), ") AS bound\nFROM ", src.from(q.dialect))
	q.within(f, Range{From: from, To: to})
	var bound *string
	err := firstRow(ctx, d, &q, func(b *Batch) error {
		c := &b.Cols[0]
		if c.Kind == Decimal && f.Kind == Int && b.Schema.Fields[0].Whole && !c.IsNull(0) {
			cursor, err := ParseCursor(Int, string(c.Text(0)))
			if err != nil {
				return Errorf(ClassSchema, "choose another cursor", "cursor column %q: %w", f.Name, err)
			}
			text := cursor.Text(Int)
			bound = &text
			return nil
		}
		if !b.Schema.Fields[0].fills(f.Kind) {
			return Errorf(ClassSchema, "run check: the column's type has changed", "cursor column %q is %s, expected %s", f.Name, c.Kind, f.Kind)
		}
		if !c.IsNull(0) {
			text := CursorAt(c, 0).Text(f.Kind)
			bound = &text
		}
		return nil
	})
	return bound, err
}

// Range bounds rows by their cursor, in cursor text; nil is no bound.
type Range struct {
	From   *string // inclusive
	To     *string // inclusive
	Before *string // exclusive
}

// Count counts the rows of a source: those whose cursor is within a range, all of
// them where cursor is nil. It stops at most, unless that is 0.
func Count(ctx context.Context, d Driver, src Source, cursor *Field, r Range, most int) (int64, error) {
	q := query{dialect: d.Dialect()}
	q.write("SELECT count(*) AS n\nFROM ")
	if most > 0 {
		q.write("(SELECT 1 AS one\nFROM ")
	}
	q.write(src.from(q.dialect))
	if cursor != nil {
		if err := checkCursor(*cursor); err != nil {
			return 0, err
		}
		q.within(*cursor, r)
	}
	if most > 0 {
		q.write("\nLIMIT ", strconv.Itoa(most), ") AS part")
	}
	n := int64(0)
	err := firstRow(ctx, d, &q, func(b *Batch) error {
		var ok bool
		if n, ok = wholeNumber(&b.Cols[0]); !ok {
			return Errorf(ClassQuery, "", "a count is %s, expected %s", b.Cols[0].Kind, Int)
		}
		return nil
	})
	return n, err
}

// wholeNumber is the first value of a column of integers, or of decimals: not
// every warehouse counts in a type that is an integer by its name.
func wholeNumber(c *Column) (int64, bool) {
	switch c.Kind {
	case Int:
		return c.Int[0], true
	case Decimal:
		n, err := strconv.ParseInt(string(c.Text(0)), 10, 64)
		return n, err == nil
	}
	return 0, false
}

// within adds the conditions that a cursor lies in a range.
func (q *query) within(f Field, r Range) {
	column := q.dialect.Quote(f.Name)
	if r.From != nil {
		q.and(column, " >= ", q.bind(f, *r.From))
	}
	if r.To != nil {
		q.and(column, " <= ", q.bind(f, *r.To))
	}
	if r.Before != nil {
		q.and(column, " < ", q.bind(f, *r.Before))
	}
	if r == (Range{}) {
		// Which changes nothing, except where a table is only read with a condition.
		q.and(column, " IS NOT NULL")
	}
}

// HasNullCursor reports whether the source has rows whose cursor is NULL: no
// read by cursor ever sees them. Those that are on their way into a partition will
// have a value when they are there.
func HasNullCursor(ctx context.Context, d Driver, src Source, column string) (bool, error) {
	if _, hidden := d.Dialect().hidden(column); hidden && src.Query == "" {
		return false, nil
	}
	q := query{dialect: d.Dialect()}
	q.write("SELECT 1 AS found\nFROM ", src.from(q.dialect))
	q.and(q.dialect.Quote(column), " IS NULL")
	q.write("\nLIMIT 1")
	found := false
	err := firstRow(ctx, d, &q, func(*Batch) error {
		found = true
		return nil
	})
	return found, err
}

// firstRow runs a query and calls use with a batch whose row 0 is the first
// row, not at all when there is none.
func firstRow(ctx context.Context, d Driver, q *query, use func(*Batch) error) (err error) {
	rows, err := d.Query(ctx, q.String(), q.args...)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := rows.Close(); err == nil {
			err = cerr
		}
	}()
	b := NewBatch(rows.Schema())
	defer b.Reset()
	for b.Len() == 0 {
		if err := rows.Fill(ctx, b); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
	return use(b)
}
