package warehouse

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"time"
)

// ReadSpec says which rows a Reader reads. Bounds are cursor text.
type ReadSpec struct {
	Source Source
	Cursor string   // the cursor column; empty: read without one
	Keys   []string // the primary key; without one a read cannot be resumed

	From   *string // inclusive
	To     *string // inclusive
	Before *string // exclusive

	// InOrder asks for the cursor's order also where it is not cheap.
	InOrder bool
	// After is the position of the last row of an earlier read of the same
	// source, cursor and keys: the read goes on behind it. An empty one is the start.
	After *Position
	// Limit is the most rows to return; 0 is no limit.
	Limit int
	// Where are further conditions, column = value as text.
	Where map[string]string
	// AnyOf leaves the rows that fulfil one of these sets of conditions: the rows of
	// certain keys, in one read of the source.
	AnyOf []map[string]string
}

// A lost connection is tried again this many times in a row, in all about a
// minute: a server that restarts or fails over is back by then.
const (
	maxTries   = 12
	firstDelay = 100 * time.Millisecond
	maxDelay   = 10 * time.Second
)

// Reader reads the rows of a source in (cursor, key) order, batch by batch, and
// says after each batch where it is. When the warehouse is lost for a moment it
// goes on at the last row it returned, so its caller sees every row once.
//
// Where the warehouse does not sort cheaply, or without keys, rows come in any
// order, batches have no Position, and a fault is only mended before the first
// batch has been returned.
//
// A Reader holds one batch at most, its caller's; it is not safe for concurrent use.
type Reader struct {
	driver Driver
	schema *Schema
	spec   ReadSpec

	cursor int   // column, or -1
	keys   []int // columns
	where  []filter
	anyOf  [][]filter
	sorted []ordering
	// places says that rows come in a total order, so that one has a Position.
	places bool

	rows     Rows
	pos      *Position // last row returned, or where to begin; nil: at the start
	drop     int       // rows that may still equal pos because they were read before
	returned int       // rows
	opened   bool      // ever
	done     bool
	scratch  []byte
}

type filter struct {
	column int
	text   string
}

// NewReader prepares a read of the schema's columns, which may be a selection
// of the source's, in any order, that holds the cursor and the keys. It fails
// with ClassSchema when a named column is missing or its type is unfit.
func NewReader(d Driver, schema *Schema, spec ReadSpec) (*Reader, error) {
	r := &Reader{driver: d, schema: schema, spec: spec, cursor: -1}
	if spec.Cursor != "" {
		i, err := r.column("cursor", spec.Cursor)
		if err != nil {
			return nil, err
		}
		if err := checkCursor(schema.Fields[i]); err != nil {
			return nil, err
		}
		r.cursor = i
	} else if spec.From != nil || spec.To != nil || spec.Before != nil {
		return nil, Errorf(ClassConfig, "name the cursor column", "%s is read without a cursor: it cannot have bounds", spec.Source)
	}
	for _, name := range spec.Keys {
		i, err := r.column("primary key", name)
		if err != nil {
			return nil, err
		}
		if f := schema.Fields[i]; d.Dialect().Ordered && !f.Sortable {
			return nil, Errorf(ClassSchema, "choose key columns of a type that sorts, or cast it in a query",
				"primary key column %q has type %s, which cannot be put in order", f.Name, f.Type)
		}
		r.keys = append(r.keys, i)
	}
	var err error
	if r.where, err = r.conditions(spec.Where); err != nil {
		return nil, err
	}
	for _, set := range spec.AnyOf {
		list, err := r.conditions(set)
		if err != nil {
			return nil, err
		}
		r.anyOf = append(r.anyOf, list)
	}
	r.sorted = r.sortOrder()
	r.places = len(r.keys) > 0 && d.Dialect().Ordered
	if after := spec.After; after != nil && (after.Cursor != nil || after.Keys != nil) {
		if err := r.begin(after); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// conditions finds the columns of conditions, in the order of their names.
func (r *Reader) conditions(set map[string]string) ([]filter, error) {
	var list []filter
	for _, name := range slices.Sorted(maps.Keys(set)) {
		i, err := r.column("filter", name)
		if err != nil {
			return nil, err
		}
		list = append(list, filter{i, set[name]})
	}
	return list, nil
}

func (r *Reader) column(role, name string) (int, error) {
	if i := r.schema.Index(name); i >= 0 {
		return i, nil
	}
	return 0, missingColumn(role, name, r.spec.Source, r.schema)
}

// begin takes the position to resume at, which must be of this very read.
func (r *Reader) begin(pos *Position) error {
	if !r.places {
		return Errorf(ClassConfig, "read from the start", "%s has no order to resume in", r.spec.Source)
	}
	if len(pos.Keys) != len(r.keys) || (pos.Cursor != nil) != (r.cursor >= 0) {
		return Errorf(ClassConfig, "read from the start", "the saved position does not fit the cursor and primary key of %s", r.spec.Source)
	}
	r.pos = pos
	return nil
}

// SQL returns the statement that the next open sends, and its arguments.
func (r *Reader) SQL() (string, []Arg) {
	limit := r.spec.Limit
	if limit > 0 {
		limit -= r.returned
		if r.pos != nil {
			limit += r.pos.Seen // read again, and dropped
		}
	}
	q := r.build(r.pos, limit)
	return q.String(), q.args
}

// Next empties b and fills it with the next rows, and sets Position and Twins.
// It returns io.EOF, and no rows, after the last one. Every call must have the
// context that the read is to live by: cancelling it stops the query as well.
func (r *Reader) Next(ctx context.Context, b *Batch) error {
	for try := 1; ; try++ {
		b.Reset()
		err := r.next(ctx, b)
		if err == nil || err == io.EOF {
			return err
		}
		b.Reset()
		_ = r.Close() // the first error is the one that tells
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !r.mayRetry(err) {
			return err
		}
		if try == maxTries {
			return fmt.Errorf("gave up after %d tries: %w", try, err)
		}
		if err := pause(ctx, try); err != nil {
			return err
		}
	}
}

// mayRetry reports whether reading on after err loses and repeats nothing. A
// server that was there and refuses connections is taken to be restarting.
func (r *Reader) mayRetry(err error) bool {
	class := ClassOf(err)
	if class != ClassTransient && (class != ClassUnreachable || !r.opened) {
		return false
	}
	return r.places || r.returned == 0
}

// pause waits longer from try to try, and not in step with others.
func pause(ctx context.Context, try int) error {
	delay := min(firstDelay<<(try-1), maxDelay)
	timer := time.NewTimer(delay/2 + rand.N(delay/2))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *Reader) next(ctx context.Context, b *Batch) error {
	if r.done {
		return io.EOF
	}
	if r.rows == nil {
		if err := r.open(ctx); err != nil {
			return err
		}
	}
	for {
		err := r.rows.Fill(ctx, b)
		if err == io.EOF {
			r.done = true
			_ = r.Close() // every row has arrived: closing can only tidy up
			return io.EOF
		}
		if err != nil {
			return err
		}
		first := r.dropped(b)
		if first < b.Len() {
			last := b.Len()
			if r.spec.Limit > 0 {
				last = min(last, first+r.spec.Limit-r.returned)
			}
			b.slice(first, last)
			break
		}
		b.Reset()
	}
	r.returned += b.Len()
	if r.spec.Limit > 0 && r.returned >= r.spec.Limit {
		r.done = true
	}
	if r.places {
		r.locate(b)
	}
	return nil
}

func (r *Reader) open(ctx context.Context) error {
	sql, args := r.SQL()
	rows, err := r.driver.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	if err := sameKinds(r.schema, rows.Schema()); err != nil {
		_ = rows.Close()
		return err
	}
	r.rows, r.opened, r.drop = rows, true, 0
	if r.pos != nil {
		r.drop = r.pos.Seen
	}
	return nil
}

// sameKinds checks that the columns are what they were when they were described.
func sameKinds(want, got *Schema) error {
	if len(got.Fields) != len(want.Fields) {
		return Errorf(ClassSchema, "run again", "the read returned %d columns, expected %d", len(got.Fields), len(want.Fields))
	}
	for i, f := range got.Fields {
		if w := want.Fields[i]; !f.fills(w.Kind) {
			return Errorf(ClassSchema, "run again, so that the new type is checked", "column %q has changed its type from %s to %s", w.Name, w.Type, f.Type)
		}
	}
	return nil
}

// Close ends the read and gives its connection back. A closed Reader may go on
// with Next, which opens it again where it was.
func (r *Reader) Close() error {
	if r.rows == nil {
		return nil
	}
	rows := r.rows
	r.rows = nil
	return rows.Close()
}

// Schema is the columns that batches are to have.
func (r *Reader) Schema() *Schema { return r.schema }
