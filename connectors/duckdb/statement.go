//go:build cgo

package duckdb

import (
	"context"
	"errors"
	"io"
	"strings"

	bindings "github.com/duckdb/duckdb-go-bindings"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// Query runs one SELECT on a connection of its own and streams its result.
// Cancelling ctx, or the context of a Fill, interrupts it.
func (d *Driver) Query(ctx context.Context, sql string, args ...warehouse.Arg) (warehouse.Rows, error) {
	s, err := d.connect(ctx)
	if err != nil {
		return nil, err
	}
	r := &rows{session: s}
	if err := r.start(ctx, sql, args); err != nil {
		r.free()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	// The result outlives this call and ends with its context.
	running, cancel := context.WithCancel(ctx)
	r.running = func(call func()) error {
		s.during(running, call)
		return running.Err()
	}
	r.cancel = cancel
	return r, nil
}

// Describe returns the columns of a query without running it.
func (d *Driver) Describe(ctx context.Context, sql string) (*warehouse.Schema, error) {
	s, err := d.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer s.close()
	statement, err := s.prepare(ctx, sql)
	if err != nil {
		return nil, err
	}
	defer bindings.DestroyPrepare(&statement)
	_, schema, err := columns(int(bindings.PreparedStatementColumnCount(statement)),
		func(i bindings.IdxT) (string, bindings.LogicalType) {
			return bindings.PreparedStatementColumnName(statement, i), bindings.PreparedStatementColumnLogicalType(statement, i)
		})
	return schema, err
}

// prepare parses one SELECT; the caller destroys the statement.
func (s *session) prepare(ctx context.Context, sql string) (statement bindings.PreparedStatement, err error) {
	if strings.IndexByte(sql, 0) >= 0 {
		return statement, warehouse.Errorf(warehouse.ClassSchema, "take it out", "the query holds a NUL character")
	}
	state := bindings.StateError
	s.during(ctx, func() { state = bindings.Prepare(s.conn, sql, &statement) })
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case state == bindings.StateError:
		err = classify(bindings.PrepareError(statement))
	case bindings.PreparedStatementType(statement) != bindings.StatementTypeSelect:
		err = warehouse.Errorf(warehouse.ClassSchema, "the query must be a single SELECT", "mixsync only reads, and the query is no SELECT")
	default:
		return statement, nil
	}
	bindings.DestroyPrepare(&statement)
	return statement, err
}

// columns describes columns by their names and types, and destroys the types.
func columns(count int, column func(i bindings.IdxT) (string, bindings.LogicalType)) ([]*dtype, *warehouse.Schema, error) {
	types := make([]*dtype, count)
	schema := &warehouse.Schema{Fields: make([]warehouse.Field, count)}
	for i := range types {
		name, lt := column(bindings.IdxT(i))
		t, unknown := compile(lt, maxDepth)
		bindings.DestroyLogicalType(&lt)
		if unknown != "" {
			return nil, nil, warehouse.Errorf(warehouse.ClassSchema, "cast it in a query: CAST("+quote(name)+" AS JSON), or AS VARCHAR",
				"column %q holds %s, which mixsync cannot read", name, unknown)
		}
		types[i], schema.Fields[i] = t, t.field(name)
	}
	return types, schema, nil
}

// bindAll gives the statement its arguments as text, which DuckDB casts. It then
// plans anew with the values, so that a bound skips what it rules out.
func bindAll(statement bindings.PreparedStatement, args []warehouse.Arg) error {
	for i, a := range args {
		arg := a.Text
		n := bindings.IdxT(i + 1)
		switch bindings.ParamType(statement, n) {
		case bindings.TypeDate, bindings.TypeTimestamp, bindings.TypeTimestampS, bindings.TypeTimestampMS, bindings.TypeTimestampNS, bindings.TypeTimestampTZ:
			arg = era(arg)
		}
		if bindings.BindVarcharLength(statement, n, arg, bindings.IdxT(len(arg))) == bindings.StateError {
			return warehouse.Errorf(warehouse.ClassQuery, "", "argument %d cannot be bound: %s", n, bindings.PrepareError(statement))
		}
	}
	return nil
}

// era writes a date before the first year as DuckDB does: the BC of
// 0044-03-15T12:00:00 BC stands behind the date, in brackets.
func era(text string) string {
	bare, ok := strings.CutSuffix(text, " BC")
	if !ok {
		return text
	}
	date, clock, timed := strings.Cut(bare, "T")
	if !timed {
		return date + " (BC)"
	}
	return date + " (BC) " + clock
}

// each runs a short query of ours and calls use with every row.
func (d *Driver) each(ctx context.Context, sql string, args []warehouse.Arg, use func(b *warehouse.Batch, row int)) (err error) {
	rows, err := d.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := rows.Close(); err == nil {
			err = cerr
		}
	}()
	b := warehouse.NewBatch(rows.Schema())
	for {
		if err := rows.Fill(ctx, b); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		for row := range b.Len() {
			use(b, row)
		}
		b.Reset()
	}
}
