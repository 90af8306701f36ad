package bigquery

import (
	"context"
	"io"

	"cloud.google.com/go/bigquery"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	rest "google.golang.org/api/bigquery/v2"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// pages is a result that comes by REST, a page at a time. A page is at most 10 MB.
//
// It reads the text of the wire. What Google's iterator makes of it costs more, and
// has lost the sign of an interval of less than an hour on the way.
type pages struct {
	driver  *Driver
	job     *bigquery.Job
	schema  bigquery.Schema
	builder *array.RecordBuilder
	appends []appender
	token   string
	ended   bool
}

func (d *Driver) newPages(job *bigquery.Job, schema bigquery.Schema) (*pages, error) {
	fields, err := arrowSchema(schema)
	if err != nil {
		return nil, err
	}
	p := &pages{driver: d, job: job, schema: schema, builder: array.NewRecordBuilder(memory.DefaultAllocator, fields), appends: make([]appender, len(schema))}
	for i, f := range schema {
		p.appends[i] = appenderOf(f)
	}
	return p, nil
}

func (p *pages) arrowSchema() *arrow.Schema { return p.builder.Schema() }

// next makes a record batch of a page.
func (p *pages) next(ctx context.Context) (arrow.RecordBatch, func(), error) {
	for !p.ended {
		page, err := p.fetch(ctx)
		if err != nil {
			return nil, nil, err
		}
		p.token = page.PageToken
		p.ended = p.token == ""
		if len(page.Rows) == 0 {
			continue
		}
		for _, row := range page.Rows {
			if len(row.F) != len(p.appends) {
				return nil, nil, warehouse.Errorf(warehouse.ClassQuery, "run again", "a row of %d values came for %d columns", len(row.F), len(p.appends))
			}
			for i, cell := range row.F {
				if err := p.appends[i](p.builder.Field(i), cell.V); err != nil {
					return nil, nil, warehouse.Errorf(warehouse.ClassQuery, "cast it to STRING in a query", "column %q: %w", p.schema[i].Name, err)
				}
			}
		}
		return p.builder.NewRecordBatch(), nil, nil
	}
	return nil, nil, io.EOF
}

// fetch gets the next page. What may well do better the next time is tried again,
// as Google's own iterator does, until the transport has lost patience.
func (p *pages) fetch(ctx context.Context) (*rest.GetQueryResultsResponse, error) {
	for try := 1; ; try++ {
		call := p.driver.rest.Jobs.GetQueryResults(p.job.ProjectID(), p.job.ID()).Location(p.job.Location()).
			MaxResults(int64(p.driver.options.PageRows)).FormatOptionsUseInt64Timestamp(true).Fields("rows", "pageToken")
		if p.token != "" {
			call.PageToken(p.token)
		}
		page, err := call.Context(ctx).Do()
		if err == nil {
			return page, nil
		}
		failed := p.driver.failure(ctx, err)
		if warehouse.ClassOf(failed) != warehouse.ClassTransient || try > maxReopens {
			return nil, failed
		}
		if err := pause(ctx, try); err != nil {
			return nil, err
		}
	}
}

func (p *pages) close() { p.builder.Release() }
