package bigquery

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"cloud.google.com/go/bigquery"
	"github.com/google/uuid"
	"google.golang.org/api/googleapi"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// How long cancelling a job may take: whoever cancels does not wait for long.
const cancelTimeout = 10 * time.Second

// statement makes a query of ours, within the limits of the options.
func (d *Driver) statement(sql string, args []warehouse.Arg) (*bigquery.Query, error) {
	o := &d.options
	q := d.client.Query(sql)
	q.Location = o.Location
	q.Labels = o.Labels
	q.MaxBytesBilled = o.MaxBytesBilled
	q.JobTimeout = o.JobTimeout
	q.Priority = bigquery.InteractivePriority
	if o.Priority == Batch {
		q.Priority = bigquery.BatchPriority
	}
	for i, a := range args {
		p, err := bind(parameter(i+1), a)
		if err != nil {
			return nil, err
		}
		q.Parameters = append(q.Parameters, p)
	}
	return q, nil
}

// Query runs a statement as a job and returns when it is done. Cancelling ctx
// cancels the job.
func (d *Driver) Query(ctx context.Context, sql string, args ...warehouse.Arg) (warehouse.Rows, error) {
	q, err := d.statement(sql, args)
	if err != nil {
		return nil, err
	}
	// The id is known before the answer is, so that no job is left running.
	q.JobID = "mixsync_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	job, err := d.begin(ctx, q)
	if err != nil {
		if ctx.Err() != nil {
			d.cancel(ctx, nil, q.JobID)
		}
		return nil, d.failure(ctx, err)
	}
	inner, cancel := context.WithCancel(ctx)
	it, err := job.Read(inner)
	if err != nil {
		if ctx.Err() != nil {
			d.cancel(ctx, job, "")
		}
		cancel()
		return nil, d.jobFailure(ctx, job, err)
	}
	r, err := d.open(inner, cancel, job, it, isOrdered(sql))
	if err != nil {
		cancel()
		return nil, d.jobFailure(ctx, job, err)
	}
	return r, nil
}

// jobFailure classifies a failure of a job that BigQuery has taken.
func (d *Driver) jobFailure(ctx context.Context, job *bigquery.Job, err error) error {
	err = d.failure(ctx, err)
	var e *warehouse.Error
	if errors.As(err, &e) {
		e.QueryID = job.ID()
	}
	return err
}

// begin begins a job. Where the answer was lost and the client asked again, the job
// is there already.
func (d *Driver) begin(ctx context.Context, q *bigquery.Query) (*bigquery.Job, error) {
	job, err := q.Run(ctx)
	var api *googleapi.Error
	if errors.As(err, &api) && api.Code == http.StatusConflict {
		return d.client.JobFromIDLocation(ctx, q.JobID, d.options.Location)
	}
	return job, err
}

// cancel stops a job on the server, whose context has ended. A job that cannot be
// told to stop ends by its own limits.
func (d *Driver) cancel(ctx context.Context, job *bigquery.Job, id string) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), cancelTimeout)
	defer stop()
	if job == nil {
		var err error
		if job, err = d.client.JobFromIDLocation(ctx, id, d.options.Location); err != nil {
			return // it never arrived
		}
	}
	_ = job.Cancel(ctx)
}

// dryRun has BigQuery check a statement and say what it would read and return.
func (d *Driver) dryRun(ctx context.Context, sql string, args []warehouse.Arg) (*bigquery.QueryStatistics, error) {
	q, err := d.statement(sql, args)
	if err != nil {
		return nil, err
	}
	q.DryRun = true
	// How much it may bill is no matter of a dry run, and would make it fail.
	q.MaxBytesBilled, q.JobTimeout, q.Priority = 0, 0, bigquery.InteractivePriority
	job, err := q.Run(ctx)
	if err != nil {
		return nil, d.failure(ctx, err)
	}
	status := job.LastStatus()
	if status == nil || status.Statistics == nil {
		return &bigquery.QueryStatistics{}, nil
	}
	stats, ok := status.Statistics.Details.(*bigquery.QueryStatistics)
	if !ok {
		stats = &bigquery.QueryStatistics{TotalBytesProcessed: status.Statistics.TotalBytesProcessed}
	}
	return stats, nil
}

// Describe has BigQuery check the statement, which costs nothing.
func (d *Driver) Describe(ctx context.Context, sql string) (*warehouse.Schema, error) {
	stats, err := d.dryRun(ctx, sql, nil)
	if err != nil {
		return nil, err
	}
	if len(stats.Schema) > 0 {
		return describe(stats.Schema)
	}
	// A dry run says so of every SELECT. What stands in for BigQuery may not.
	rows, err := d.Query(ctx, sql+"\nLIMIT 0")
	if err != nil {
		return nil, err
	}
	return rows.Schema(), rows.Close()
}

// Estimate is what a dry run says.
func (d *Driver) Estimate(ctx context.Context, sql string, args ...warehouse.Arg) (int64, error) {
	stats, err := d.dryRun(ctx, sql, args)
	if err != nil {
		return 0, err
	}
	return stats.TotalBytesProcessed, nil
}
