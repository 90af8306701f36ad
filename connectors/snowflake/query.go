package snowflake

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"

	sf "github.com/snowflakedb/gosnowflake"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// Query runs one SELECT and returns when Snowflake has its result. Cancelling ctx
// aborts it on the server; cancelling that of a Fill stops what is left to download.
func (d *Driver) Query(ctx context.Context, sql string, args ...warehouse.Arg) (warehouse.Rows, error) {
	bindings, err := bindAll(args)
	if err != nil {
		return nil, err
	}
	s, result, id, err := d.run(ctx, sql, bindings)
	if err != nil {
		return nil, err
	}
	r, err := newRows(ctx, d, s, result, id)
	if err != nil {
		d.release(s)
		return nil, err
	}
	return r, nil
}

// Describe returns the columns of a query. It is compiled and not run, which needs
// no virtual warehouse; a server that runs it all the same has no rows to send.
func (d *Driver) Describe(ctx context.Context, sql string) (*warehouse.Schema, error) {
	s, result, _, err := d.run(sf.WithDescribeOnly(ctx), sql+"\nLIMIT 0", nil)
	if err != nil {
		return nil, err
	}
	defer d.release(s)
	return schemaOf(columnsOf(result)), nil
}

// run has a statement run in a session. An idle session that has ended meanwhile
// is replaced: in it nothing was run.
func (d *Driver) run(ctx context.Context, sql string, bindings []driver.NamedValue) (*session, sf.ArrowStreamLoader, string, error) {
	for {
		s, err := d.acquire(ctx)
		if err != nil {
			return nil, nil, "", err
		}
		id := make(chan string, 1)
		result, err := s.stream.QueryArrowStream(sf.WithQueryIDChan(ctx, id), sql, bindings...)
		switch {
		case err == nil:
			return s, result, received(id), nil
		case ctx.Err() != nil:
			d.release(s)
			return nil, nil, "", ctx.Err()
		case hasEnded(err):
			s.end()
			if s.used {
				continue
			}
		default:
			d.release(s)
		}
		return nil, nil, "", classify(err)
	}
}

// received is the query's id, empty when the server gave none.
func received(id <-chan string) string {
	select {
	case text := <-id:
		return text
	default:
		return ""
	}
}

// each runs a short query of ours and calls use with every row.
func (d *Driver) each(ctx context.Context, sql string, use func(b *warehouse.Batch, row int) error) (err error) {
	rows, err := d.Query(ctx, sql)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := rows.Close(); err == nil {
			err = cerr
		}
	}()
	b := warehouse.NewBatch(rows.Schema())
	defer b.Reset()
	for {
		if err := rows.Fill(ctx, b); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		for row := range b.Len() {
			if err := use(b, row); err != nil {
				return err
			}
		}
		b.Reset()
	}
}
