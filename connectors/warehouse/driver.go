package warehouse

import (
	"context"
	"time"
)

// Driver is a connection to one warehouse. It is safe for concurrent use: each
// Query has a connection of its own until its Rows is closed.
type Driver interface {
	Dialect() *Dialect
	// Clock reads the warehouse's clock, and who is still writing by it.
	Clock(ctx context.Context) (Clock, error)
	// Query runs one SELECT in a read-only transaction. Cancelling ctx stops the
	// query on the server as well.
	Query(ctx context.Context, sql string, args ...Arg) (Rows, error)
	Close() error
}

// Arg is an argument of a query: text as Dialect.Bind says it is written, and the
// column it is compared with, for drivers that bind it in the column's own type.
type Arg struct {
	Text  string
	Field Field
}

// Rows is the result of a query, read once from front to back by one goroutine.
type Rows interface {
	Schema() *Schema
	// Fill appends rows to an empty batch until it is full or the result ends.
	// It returns io.EOF, and no rows, after the last row.
	Fill(ctx context.Context, b *Batch) error
	Close() error
}

// Describer is implemented by drivers that can tell the columns of a query
// without running it. For the others the result of LIMIT 0 is asked.
type Describer interface {
	Describe(ctx context.Context, sql string) (*Schema, error)
}

// TableDescriber is implemented by drivers that know more of a table than a
// query's result tells: NOT NULL, and the primary key.
type TableDescriber interface {
	DescribeTable(ctx context.Context, table string) (*Table, error)
}

// Table is what a catalogue says of a table.
type Table struct {
	NotNull    map[string]bool // columns declared NOT NULL
	PrimaryKey []string        // empty when there is none
	Indexed    []string        // columns that lead an index
}

// Clock is the warehouse's time and the oldest work in progress by it.
type Clock struct {
	Now time.Time
	// OldestWrite is the start of the oldest transaction that has written and
	// not ended: rows that carry its start time may yet appear. Zero: none.
	OldestWrite time.Time
	// Writer names that transaction's session (the pid on Postgres).
	Writer string
	// Blind says why OldestWrite cannot be known here (a missing grant, a
	// standby); empty when it is.
	Blind string
}

// Dialect is how a warehouse writes SQL, as far as mixsync's queries go.
type Dialect struct {
	Name string
	// Quote quotes an identifier that is to be taken exactly.
	Quote func(name string) string
	// QuoteTable quotes a possibly qualified table name from the YAML: "app.usage".
	QuoteTable func(name string) string
	// Bind writes placeholder n (from 1), in the field's type. Arguments are
	// text: times as Cursor.Text has them, numbers in decimal, bytes in lower-case
	// hexadecimal, anything else as the warehouse prints it.
	Bind func(n int, f Field) string
	// Ordered says that reading in (cursor, key) order is cheap, so that a run
	// can resume inside a slice. Without it progress is kept per slice, and rows
	// are put in order of the cursor only where ReadSpec.InOrder asks for it.
	Ordered bool
	// Hidden knows columns that a table has but * leaves out, such as the time that
	// a row's partition stands for, and gives the name that one must have in a
	// result. They are NULL only until the warehouse has put the row where it
	// belongs. Without it there are none.
	Hidden func(column string) (alias string, ok bool)
	// NullsLast says that ORDER BY puts NULLs after all values by default.
	NullsLast bool
}

// hidden is Hidden, of any dialect.
func (d *Dialect) hidden(column string) (alias string, ok bool) {
	if d.Hidden == nil {
		return "", false
	}
	return d.Hidden(column)
}
