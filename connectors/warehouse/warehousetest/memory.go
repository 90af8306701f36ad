package warehousetest

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// Row is one row in Go values. A value is nil for NULL, else what its column's
// kind takes: bool; int or int64 (Int, or days of a Date, or microseconds of a
// Time or timestamp); float64; string or []byte (Decimal, Text, Bytes, JSON);
// time.Time (Date, Timestamp, TimestampTZ).
type Row []any

// Append adds a row to a batch. It panics when a value does not fit its column:
// the test is wrong then.
func Append(b *warehouse.Batch, row Row) {
	if len(row) != len(b.Cols) {
		panic(fmt.Sprintf("warehousetest: a row of %d values for %d columns", len(row), len(b.Cols)))
	}
	for i, v := range row {
		appendValue(&b.Cols[i], v)
	}
	b.EndRow()
}

func appendValue(c *warehouse.Column, v any) {
	switch v := v.(type) {
	case nil:
		c.AppendNull()
	case bool:
		n := int64(0)
		if v {
			n = 1
		}
		c.AppendInt(n)
	case int:
		c.AppendInt(int64(v))
	case int64:
		c.AppendInt(v)
	case float64:
		c.AppendFloat(v)
	case string:
		c.AppendText([]byte(v))
	case []byte:
		c.AppendText(v)
	case time.Time:
		if c.Kind == warehouse.Date {
			c.AppendInt(v.Unix() / 86_400)
		} else {
			c.AppendInt(v.UnixMicro())
		}
	default:
		panic(fmt.Sprintf("warehousetest: %T cannot be a value of a %s column", v, c.Kind))
	}
}

// Rows is a result from Go literals, with a fault where a test wants one.
type Rows struct {
	schema *warehouse.Schema
	rows   []Row

	// BatchRows is how many rows a Fill brings; 0: as many as a batch takes.
	BatchRows int
	// Fail, if set, is returned once FailAfter rows have been filled in.
	Fail      error
	FailAfter int

	read   int
	closed bool
}

// NewRows returns a result of the rows.
func NewRows(schema *warehouse.Schema, rows ...Row) *Rows {
	return &Rows{schema: schema, rows: rows}
}

// Schema is the result's columns.
func (r *Rows) Schema() *warehouse.Schema { return r.schema }

// Closed reports whether Close was called.
func (r *Rows) Closed() bool { return r.closed }

// Fill implements warehouse.Rows. As with a real warehouse, a fault in the
// midst of a batch leaves the rows before it in the batch.
func (r *Rows) Fill(ctx context.Context, b *warehouse.Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for !b.Full() && (r.BatchRows == 0 || b.Len() < r.BatchRows) {
		if r.Fail != nil && r.read == r.FailAfter {
			return r.Fail
		}
		if r.read == len(r.rows) {
			break
		}
		Append(b, r.rows[r.read])
		r.read++
	}
	if b.Len() == 0 {
		return io.EOF
	}
	return nil
}

// Close ends the result.
func (r *Rows) Close() error {
	r.closed = true
	return nil
}

// Memory is a warehouse without a server: a function answers its queries. It is
// for tests of what reads warehouses, which know what is asked.
type Memory struct {
	// Answer runs a query.
	Answer func(sql string, args []warehouse.Arg) (warehouse.Rows, error)
	// Time is what Clock says.
	Time warehouse.Clock
	// SQL is the dialect; nil is an ordered one with numbered placeholders.
	SQL *warehouse.Dialect

	mu      sync.Mutex
	queries []string
}

var _ warehouse.Driver = (*Memory)(nil)

// Query implements warehouse.Driver.
func (m *Memory) Query(ctx context.Context, sql string, args ...warehouse.Arg) (warehouse.Rows, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	m.queries = append(m.queries, sql)
	m.mu.Unlock()
	return m.Answer(sql, args)
}

// Queries lists what was asked, in order.
func (m *Memory) Queries() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]string(nil), m.queries...)
}

// Clock implements warehouse.Driver.
func (m *Memory) Clock(ctx context.Context) (warehouse.Clock, error) { return m.Time, ctx.Err() }

// Close implements warehouse.Driver.
func (m *Memory) Close() error { return nil }

// Dialect implements warehouse.Driver.
func (m *Memory) Dialect() *warehouse.Dialect {
	if m.SQL != nil {
		return m.SQL
	}
	return &memoryDialect
}

var memoryDialect = warehouse.Dialect{
	Name:       "memory",
	Quote:      strconv.Quote,
	QuoteTable: strconv.Quote,
	Bind: func(n int, f warehouse.Field) string {
		return fmt.Sprintf("CAST($%d AS %s)", n, f.Type)
	},
	Ordered:   true,
	NullsLast: true,
}

// Faulty is a driver whose results break: result number i (from 0) fails with
// Err once After(i) rows have come, never when that is negative.
type Faulty struct {
	warehouse.Driver
	After func(result int) int
	Err   error

	mu      sync.Mutex
	results int
}

// Query implements warehouse.Driver.
func (f *Faulty) Query(ctx context.Context, sql string, args ...warehouse.Arg) (warehouse.Rows, error) {
	rows, err := f.Driver.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	after := f.After(f.results)
	f.results++
	if after < 0 {
		return rows, nil
	}
	return &faultyRows{Rows: rows, left: after, err: f.Err}, nil
}

// Results counts the results so far.
func (f *Faulty) Results() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.results
}

type faultyRows struct {
	warehouse.Rows
	left int
	err  error
}

// Fill loses the batch in which the fault lies, as a broken connection does.
func (r *faultyRows) Fill(ctx context.Context, b *warehouse.Batch) error {
	err := r.Rows.Fill(ctx, b)
	if err != nil && err != io.EOF {
		return err
	}
	if r.left -= b.Len(); r.left < 0 || err == io.EOF {
		return r.err
	}
	return nil
}
