package postgres

import (
	"context"
	"io"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// Query runs one SELECT in a read-only transaction on a connection of its own
// and streams its result. Cancelling ctx, or the context of a Fill, or closing
// the rows early, cancels the statement on the server.
func (d *Driver) Query(ctx context.Context, sql string, args ...warehouse.Arg) (warehouse.Rows, error) {
	conn, err := d.begin(ctx)
	if err != nil {
		return nil, err
	}
	types, schema, err := prepare(ctx, conn, sql)
	if err != nil {
		hangUp(conn)
		return nil, err
	}
	formats := make([]int16, len(types))
	for i, t := range types {
		formats[i] = t.codec.format()
	}
	running, cancel := context.WithCancel(ctx)
	result := conn.ExecPrepared(running, "", values(args), nil, formats)
	return &rows{driver: d, conn: conn, stopped: running.Err, cancel: cancel, result: result, schema: schema, types: types}, nil
}

// Describe returns the columns of a query without running it. Planning it as
// well tells whether the role may read what the query names.
func (d *Driver) Describe(ctx context.Context, sql string) (*warehouse.Schema, error) {
	conn, err := d.begin(ctx)
	if err != nil {
		return nil, err
	}
	_, schema, err := prepare(ctx, conn, sql)
	if err != nil {
		hangUp(conn)
		return nil, err
	}
	if _, err := askOn(ctx, conn, "EXPLAIN "+sql); err != nil {
		hangUp(conn)
		return nil, err
	}
	if err := d.commit(ctx, conn); err != nil {
		return nil, classify(err)
	}
	return schema, nil
}

// prepare parses the statement as the connection's unnamed one and finds out
// what its columns are.
func prepare(ctx context.Context, conn *pgconn.PgConn, sql string) ([]*pgType, *warehouse.Schema, error) {
	statement, err := parseStatement(ctx, conn, sql)
	if err != nil {
		return nil, nil, err
	}
	var unknown []uint32
	for _, f := range statement.Fields {
		if builtin[f.DataTypeOID] == nil && !slices.Contains(unknown, f.DataTypeOID) {
			unknown = append(unknown, f.DataTypeOID)
		}
	}
	var found map[uint32]*pgType
	if len(unknown) > 0 {
		if found, err = lookUp(ctx, conn, unknown); err != nil {
			return nil, nil, err
		}
		// The look-up took the place of the unnamed statement.
		if statement, err = parseStatement(ctx, conn, sql); err != nil {
			return nil, nil, err
		}
	}
	types := make([]*pgType, len(statement.Fields))
	schema := &warehouse.Schema{Fields: make([]warehouse.Field, len(statement.Fields))}
	for i, f := range statement.Fields {
		t := builtin[f.DataTypeOID]
		if t == nil {
			t = found[f.DataTypeOID]
		}
		if t == nil { // dropped between the two statements
			return nil, nil, warehouse.Errorf(warehouse.ClassTransient, "", "column %q: the catalogue has no type %d", f.Name, f.DataTypeOID)
		}
		types[i], schema.Fields[i] = t, t.field(f.Name)
	}
	return types, schema, nil
}

func parseStatement(ctx context.Context, conn *pgconn.PgConn, sql string) (*pgconn.StatementDescription, error) {
	statement, err := conn.Prepare(ctx, "", sql, nil)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, classify(err)
	}
	return statement, nil
}

// rows is a result that streams in.
type rows struct {
	driver  *Driver
	conn    *pgconn.PgConn
	cancel  context.CancelFunc
	stopped func() error // why the statement was cancelled, if it was
	result  *pgconn.ResultReader
	schema  *warehouse.Schema
	types   []*pgType
	started bool // a row has arrived
	ended   bool // the connection has been given back
}

func (r *rows) Schema() *warehouse.Schema { return r.schema }

func (r *rows) Fill(ctx context.Context, b *warehouse.Batch) error {
	if r.ended {
		return io.EOF
	}
	if err := r.schema.Fits(b); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, r.cancel)
	defer stop()

	size := 0
	for b.Len() < warehouse.MaxBatchRows && size < warehouse.MaxBatchBytes {
		if !r.result.NextRow() {
			return r.end(ctx, b)
		}
		r.started = true
		for i, v := range r.result.Values() {
			if v == nil {
				b.Cols[i].AppendNull()
				continue
			}
			size += len(v)
			if !appendCell(&b.Cols[i], r.types[i], v) {
				return warehouse.Errorf(warehouse.ClassQuery, "cast the column to text in a query",
					"column %q: a value of %d bytes cannot be read as %s", r.schema.Fields[i].Name, len(v), r.types[i].name)
			}
		}
		b.EndRow()
	}
	return nil
}

// end takes the statement's outcome and frees the connection.
func (r *rows) end(ctx context.Context, b *warehouse.Batch) error {
	_, err := r.result.Close()
	r.ended = true
	defer r.cancel()
	if err != nil {
		hangUp(r.conn)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case r.stopped() != nil:
			return r.stopped()
		}
		return r.classify(err)
	}
	// Every row is here: that the transaction's end did not get through changes nothing.
	_ = r.driver.commit(ctx, r.conn)
	if b.Len() == 0 {
		return io.EOF
	}
	return nil
}

// classify knows that a statement timeout amid the rows says that whoever reads
// them is slow, which reading on from there mends. Before the first row it says
// that the query is.
func (r *rows) classify(err error) error {
	e := classify(err)
	if e.Code == queryCanceled && r.started {
		e.Class = warehouse.ClassTransient
	}
	return e
}

func (r *rows) Close() error {
	if r.ended {
		return nil
	}
	r.ended = true
	// Reading the rest of the result might take hours; the server is told to stop.
	r.cancel()
	_, _ = r.result.Close()
	hangUp(r.conn)
	return nil
}
