package bigquery

import (
	"context"
	"errors"
	"fmt"
	"io"

	"cloud.google.com/go/bigquery"
	"github.com/apache/arrow-go/v18/arrow"

	"github.com/mixsync/mixsync/connectors/internal/arrowbatch"
	"github.com/mixsync/mixsync/connectors/warehouse"
)

// source gives a result as record batches, io.EOF after the last. The caller owns
// what it returns, and calls unused, if there is one, when it does not use its
// memory any more. Close ends what works for it.
type source interface {
	arrowSchema() *arrow.Schema
	next(ctx context.Context) (record arrow.RecordBatch, unused func(), err error)
	close()
}

// rows is the result of a job that is done.
type rows struct {
	driver *Driver
	source source
	schema *warehouse.Schema
	filler *arrowbatch.Filler
	cancel context.CancelFunc // ends what is under way for this result
	ended  func() error       // says by what it was ended, the query's context or cancel
	usage  warehouse.Usage
	loaded bool // the filler has a record
	closed bool
}

// open chooses how a result is read. ctx is the result's own.
func (d *Driver) open(ctx context.Context, cancel context.CancelFunc, job *bigquery.Job, it *bigquery.RowIterator, ordered bool) (*rows, error) {
	r := &rows{driver: d, cancel: cancel, ended: ctx.Err, usage: warehouse.Usage{QueryID: job.ID()}}
	destination := r.account(ctx, job)
	var err error
	if r.schema, err = describe(it.Schema); err != nil {
		return nil, err
	}
	if d.storage != nil && destination != nil && d.worthSession(it.TotalRows) && !d.refused.Load() {
		r.source, err = d.openStreams(ctx, destination, ordered)
	}
	if r.source == nil && err == nil {
		r.source, err = d.newPages(job, it.Schema)
	}
	if err != nil {
		return nil, err
	}
	converts, err := converters(it.Schema, r.source.arrowSchema())
	if err != nil {
		r.source.close()
		return nil, err
	}
	r.filler = arrowbatch.NewFiller(converts)
	return r, nil
}

// worthSession reports whether a result is large enough for a session to pay.
func (d *Driver) worthSession(rows uint64) bool {
	return rows > uint64(d.options.PageRows) || d.options.SessionForAll && rows > 0
}

// account asks what the job came to and where its result is. Neither is needed:
// without a destination the result comes by REST pages.
func (r *rows) account(ctx context.Context, job *bigquery.Job) *bigquery.Table {
	done, err := r.driver.client.JobFromProject(ctx, job.ProjectID(), job.ID(), job.Location())
	if err != nil {
		return nil
	}
	if status := done.LastStatus(); status != nil && status.Statistics != nil {
		r.usage.BytesScanned = status.Statistics.TotalBytesProcessed
	}
	config, err := done.Config()
	if err != nil {
		return nil
	}
	query, ok := config.(*bigquery.QueryConfig)
	if !ok {
		return nil
	}
	return query.Dst
}

func (r *rows) Schema() *warehouse.Schema { return r.schema }
func (r *rows) Usage() warehouse.Usage    { return r.usage }

// Fill lends the batch a part of a record batch.
func (r *rows) Fill(ctx context.Context, b *warehouse.Batch) error {
	if err := r.schema.Fits(b); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, r.cancel)
	defer stop()
	for {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if r.closed {
			return io.EOF
		}
		if r.loaded {
			more, err := r.filler.Fill(b)
			if err != nil || more {
				return err
			}
			r.loaded = false
		}
		record, unused, err := r.source.next(ctx)
		if err == io.EOF {
			return io.EOF
		}
		if err != nil && ctx.Err() == nil && r.ended() != nil {
			return r.ended()
		}
		if err != nil {
			return r.lost(r.driver.failure(ctx, err))
		}
		r.filler.Load(record, unused)
		r.loaded = true
	}
}

// lost is the error of a result that broke off. What could be tried again has been:
// to run the job anew would bill it anew.
func (r *rows) lost(err error) error {
	var e *warehouse.Error
	if !errors.As(err, &e) || e.Class == warehouse.ClassCredentials || e.Class == warehouse.ClassSchema {
		return err
	}
	hint := "run again: what was read and settled is not read again, slice by slice"
	if e.Hint != "" {
		hint = e.Hint + "; then " + hint
	}
	return &warehouse.Error{Class: warehouse.ClassQuery, Code: e.Code, Hint: hint,
		Err: fmt.Errorf("the result of job %s could not be downloaded to its end: %w", r.usage.QueryID, err)}
}

// Close ends the result. Its job is done: there is nothing left to cancel on the server.
func (r *rows) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	r.cancel()
	r.source.close()
	r.filler.Drop()
	return nil
}
