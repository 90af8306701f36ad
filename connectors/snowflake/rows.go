package snowflake

import (
	"context"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	sf "github.com/snowflakedb/gosnowflake"

	"github.com/mixsync/mixsync/connectors/internal/arrowbatch"
	"github.com/mixsync/mixsync/connectors/warehouse"
)

// rows is a result, read chunk by chunk, each of which is Arrow or JSON.
type rows struct {
	driver  *Driver
	session *session
	id      string
	cancel  context.CancelFunc

	columns []column
	schema  *warehouse.Schema
	chunks  *chunks

	// What is left of the chunk that is being read.
	records []arrow.RecordBatch
	filler  *arrowbatch.Filler
	lines   [][]*string
	counted int64 // bytes that the lines count for

	ended, closed bool
}

var _ warehouse.Accountable = (*rows)(nil)

func newRows(ctx context.Context, d *Driver, s *session, result sf.ArrowStreamLoader, id string) (*rows, error) {
	batches, err := result.GetBatches()
	if err != nil {
		return nil, warehouse.Errorf(warehouse.ClassQuery, "", "the first rows of the result cannot be read: %w", err)
	}
	r := &rows{driver: d, session: s, id: id, columns: columnsOf(result), lines: result.JSONData()}
	r.schema = schemaOf(r.columns)
	converts := make([]arrowbatch.Convert, len(r.columns))
	for i, c := range r.columns {
		converts[i] = c.convert()
	}
	r.filler = arrowbatch.NewFiller(converts)
	// The result outlives this call and ends with its context.
	running, cancel := context.WithCancel(ctx)
	r.cancel = cancel
	r.chunks = newChunks(running, batches, len(r.columns))
	return r, nil
}

func (r *rows) Schema() *warehouse.Schema { return r.schema }

// Usage names the query. How much it scanned Snowflake tells in its history alone.
func (r *rows) Usage() warehouse.Usage { return warehouse.Usage{QueryID: r.id} }

// Fill serves the next rows of the chunk that is being read, or of the next one.
func (r *rows) Fill(ctx context.Context, b *warehouse.Batch) error {
	if err := r.schema.Fits(b); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, r.cancel)
	defer stop()
	for !r.ended {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.chunks.ctx.Err(); err != nil {
			return err
		}
		r.chunks.ahead()
		if ok, err := r.serve(b); ok || err != nil {
			return err
		}
		part, err := r.chunks.take()
		if err == io.EOF {
			r.ended = true
			break
		}
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return err
		}
		r.records, r.lines, r.counted = part.records, part.lines, part.counted
	}
	return io.EOF
}

// serve fills the batch from the chunk at hand; false: nothing is left of it.
func (r *rows) serve(b *warehouse.Batch) (bool, error) {
	for {
		if ok, err := r.filler.Fill(b); ok || err != nil {
			return ok, err
		}
		if len(r.records) == 0 {
			break
		}
		r.filler.Load(r.records[0], nil)
		r.records = r.records[1:]
	}
	for len(r.lines) > 0 && !b.Full() {
		if err := appendLine(b, r.columns, r.lines[0]); err != nil {
			return false, err
		}
		r.lines[0] = nil // each lets go of its memory
		r.lines = r.lines[1:]
	}
	if len(r.lines) == 0 && r.counted > 0 {
		r.chunks.memory.count(-r.counted)
		r.counted = 0
	}
	return b.Len() > 0, nil
}

// Close stops what is left to download and gives the session back.
func (r *rows) Close() error {
	if r.closed {
		return nil
	}
	r.closed, r.ended = true, true
	r.cancel()
	r.chunks.close()
	r.filler.Drop()
	for _, record := range r.records {
		record.Release()
	}
	r.records, r.lines = nil, nil
	r.driver.release(r.session)
	return nil
}
