//go:build cgo

package duckdb

import (
	"context"
	"errors"
	"io"

	bindings "github.com/duckdb/duckdb-go-bindings"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// rows is a result that streams in, a chunk at a time.
type rows struct {
	session   *session
	statement bindings.PreparedStatement
	result    bindings.Result
	running   func(call func()) error // makes a call that the query's context interrupts
	cancel    context.CancelFunc

	schema *warehouse.Schema
	types  []*dtype
	cells  []cell
	used   []int // bytes of text by column, while a batch is filled

	chunk bindings.DataChunk // of which Ptr is nil before the first and after the last
	size  int                // rows of the chunk
	at    int                // rows of it that batches have
	ended bool
	freed bool
}

// start prepares, binds and executes, until there are rows to fetch.
func (r *rows) start(ctx context.Context, sql string, args []warehouse.Arg) error {
	var err error
	if r.statement, err = r.session.prepare(ctx, sql); err != nil {
		return err
	}
	if err := bindAll(r.statement, args); err != nil {
		return err
	}
	state := bindings.StateError
	r.session.during(ctx, func() {
		//nolint:staticcheck // The interface has no other way to ask for a result that streams, and promises one.
		state = bindings.ExecutePreparedStreaming(r.statement, &r.result)
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if state == bindings.StateError {
		return classify(bindings.ResultError(&r.result))
	}
	// The result's own types, which a file that was replaced since the statement
	// was prepared cannot belie: memory is read by them.
	r.types, r.schema, err = columns(int(bindings.ColumnCount(&r.result)), func(i bindings.IdxT) (string, bindings.LogicalType) {
		return bindings.ColumnName(&r.result, i), bindings.ColumnLogicalType(&r.result, i)
	})
	r.cells = make([]cell, len(r.types))
	for i, t := range r.types {
		r.cells[i] = newCell(t)
	}
	return err
}

func (r *rows) Schema() *warehouse.Schema { return r.schema }

// Fill copies rows from as many chunks as the batch has room for.
func (r *rows) Fill(ctx context.Context, b *warehouse.Batch) error {
	if err := r.schema.Fits(b); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, r.cancel)
	defer stop()

	budget := warehouse.MaxBatchBytes
	for b.Len() < warehouse.MaxBatchRows && budget > 0 {
		if r.at == r.size {
			if err := r.next(ctx); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return err
			}
		}
		// A part of a chunk is only taken where the rest would have been too much.
		wanted := min(r.size-r.at, warehouse.MaxBatchRows-b.Len())
		n, size, err := r.take(b, wanted, budget)
		if err != nil {
			return err
		}
		r.at += n
		budget -= size
		if n < wanted {
			break
		}
	}
	if b.Len() == 0 {
		return io.EOF
	}
	return nil
}

// next fetches the next chunk that has rows.
func (r *rows) next(ctx context.Context) error {
	for {
		if r.ended {
			return io.EOF
		}
		bindings.DestroyDataChunk(&r.chunk)
		r.size, r.at = 0, 0
		stopped := r.running(func() { r.chunk = bindings.FetchChunk(r.result) })
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case stopped != nil:
			return stopped
		}
		if r.chunk.Ptr == nil {
			if message := bindings.ResultError(&r.result); message != "" {
				return classify(message)
			}
			r.ended = true
			return io.EOF
		}
		if r.size = int(bindings.DataChunkGetSize(r.chunk)); r.size > 0 {
			break
		}
	}
	for i := range r.cells {
		r.cells[i].load(bindings.DataChunkGetVector(r.chunk, bindings.IdxT(i)), r.size)
	}
	return nil
}

// Close ends the query and gives its connection back.
func (r *rows) Close() error {
	r.free()
	return nil
}

func (r *rows) free() {
	if r.freed {
		return
	}
	r.freed, r.ended = true, true
	r.size, r.at = 0, 0
	if r.cancel != nil {
		r.cancel()
	}
	bindings.DestroyDataChunk(&r.chunk)
	bindings.DestroyResult(&r.result)
	bindings.DestroyPrepare(&r.statement)
	r.session.close()
}
