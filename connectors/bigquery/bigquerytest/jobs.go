//go:build cgo

package bigquerytest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	bq "google.golang.org/api/bigquery/v2"
)

// resultSchema holds the results, each a table called like its job.
const resultSchema = "anonymous_results"

// Job is a job as it came, and what became of it.
type Job struct {
	ID, SQL        string
	Params         []Param
	Labels         map[string]string
	Priority       string
	Location       string
	MaxBytesBilled int64
	TimeoutMs      int64
	DryRun         bool

	Running    bool
	Cancelled  bool
	Bytes      int64 // scanned
	RowsRead   int64 // in the partitions that the conditions leave
	Partitions int64 // of those, of tables that have partitions
	Err        string
}

// Param is a parameter as it came.
type Param struct{ Name, Type, Value string }

type job struct {
	Job
	cancel context.CancelFunc
	done   chan struct{}

	// What follows is set before done is closed.
	schema []*bq.TableFieldSchema
	rows   int64
	failed *refusal
}

// begin takes a job on and runs it, a dry run at once and others by themselves.
func (s *Server) begin(ref *bq.JobReference, c *bq.JobConfiguration) (*job, *refusal) {
	ctx, cancel := context.WithCancel(context.Background())
	j := &job{cancel: cancel, done: make(chan struct{})}
	j.Job = Job{
		ID: ref.JobId, SQL: c.Query.Query, Labels: c.Labels, Priority: c.Query.Priority, Location: ref.Location,
		MaxBytesBilled: c.Query.MaximumBytesBilled, TimeoutMs: c.JobTimeoutMs, DryRun: c.DryRun, Running: true,
	}
	for _, p := range c.Query.QueryParameters {
		j.Params = append(j.Params, Param{p.Name, p.ParameterType.Type, p.ParameterValue.Value})
	}
	s.mu.Lock()
	if s.jobs[j.ID] != nil {
		s.mu.Unlock()
		cancel()
		return nil, &refusal{http.StatusConflict, "duplicate", "Already Exists: Job " + j.ID}
	}
	s.jobs[j.ID] = j
	s.order = append(s.order, j)
	s.mu.Unlock()
	if j.DryRun {
		s.run(ctx, j)
		return j, j.failed
	}
	s.running.Go(func() { s.run(ctx, j) })
	return j, nil
}

func (s *Server) run(ctx context.Context, j *job) {
	defer j.cancel()
	defer close(j.done)
	if j.TimeoutMs > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, time.Duration(j.TimeoutMs)*time.Millisecond)
		defer stop()
	}
	failed := s.execute(ctx, j)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case failed == nil:
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		failed = &refusal{http.StatusBadRequest, "stopped", "Job execution was cancelled: Job timed out"}
	case ctx.Err() != nil:
		failed = &refusal{http.StatusBadRequest, "stopped", "Job execution was cancelled: User requested cancellation"}
	}
	j.Running, j.failed = false, failed
	if failed != nil {
		j.Err = failed.message
	}
}

// execute checks a statement, counts what it reads, and unless it is a dry run
// keeps its result.
func (s *Server) execute(ctx context.Context, j *job) *refusal {
	if j.Location != "" && j.Location != s.options.Location {
		return &refusal{http.StatusNotFound, "notFound", "Not found: Dataset test-project:app was not found in location " + j.Location}
	}
	statement, tables, err := translate(j.SQL, j.Params)
	if err != nil {
		return err
	}
	for _, t := range tables {
		if err := s.exists(ctx, t); err != nil {
			return err
		}
	}
	if statement, err = s.scan(ctx, j, statement, tables); err != nil {
		return err
	}
	if j.schema, err = s.describe(ctx, statement); err != nil {
		return err
	}
	if j.DryRun {
		return nil
	}
	if j.MaxBytesBilled > 0 && j.Bytes > j.MaxBytesBilled {
		return &refusal{http.StatusBadRequest, "bytesBilledLimitExceeded",
			fmt.Sprintf("Query exceeded limit for bytes billed: %d. %d or higher required.", j.MaxBytesBilled, j.Bytes)}
	}
	if failed := s.faults.job(); failed != nil {
		return failed
	}
	if err := s.keep(ctx, "CREATE TABLE "+result(j.ID)+" AS "+statement); err != nil {
		return failure(err)
	}
	if err := s.db.QueryRowContext(ctx, "SELECT count(*) FROM "+result(j.ID)).Scan(&j.rows); err != nil {
		return failure(err)
	}
	return nil
}

// keep runs a statement that may be cancelled. DuckDB can leave a part of it at work
// then, which only the next statement on the connection waits for, for as long as it
// takes; so one is run here that interrupts it.
func (s *Server) keep(ctx context.Context, statement string) error {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err = conn.ExecContext(ctx, statement); ctx.Err() != nil {
		soon, stop := context.WithTimeout(context.WithoutCancel(ctx), 50*time.Millisecond)
		defer stop()
		_, _ = conn.ExecContext(soon, "SELECT 1") // whether it was interrupted does not matter
	}
	return err
}

func result(id string) string { return resultSchema + `."` + id + `"` }

var renamed = regexp.MustCompile(`^(.+)_\d+$`)

// describe finds a statement's columns.
func (s *Server) describe(ctx context.Context, statement string) ([]*bq.TableFieldSchema, *refusal) {
	rows, err := s.db.QueryContext(ctx, "DESCRIBE "+statement)
	if err != nil {
		return nil, failure(err)
	}
	defer rows.Close()
	var fields []*bq.TableFieldSchema
	seen := map[string]bool{}
	for rows.Next() {
		var name, kind string
		var null, key, value, extra any
		if err := rows.Scan(&name, &kind, &null, &key, &value, &extra); err != nil {
			return nil, failure(err)
		}
		// Of two columns of one name in a subquery the engine calls the second a_1.
		if base := renamed.FindStringSubmatch(name); seen[strings.ToLower(name)] || base != nil && seen[strings.ToLower(base[1])] && !strings.Contains(statement, name) {
			return nil, invalid("Duplicate column names in the result are not supported. Found duplicate(s): " + name)
		}
		seen[strings.ToLower(name)] = true
		if strings.HasPrefix(strings.ToUpper(name), "_PARTITION") {
			return nil, invalid(fmt.Sprintf("Invalid field name %q. Field names are not allowed to start with the (case-insensitive) prefixes _PARTITION, _TABLE_, _FILE_", name))
		}
		f, err := fieldOf(name, kind)
		if err != nil {
			return nil, invalid(err.Error())
		}
		fields = append(fields, f)
	}
	return fields, failure(rows.Err())
}

// exists checks that a table is there under its very name.
func (s *Server) exists(ctx context.Context, t table) *refusal {
	n := 0
	err := s.db.QueryRowContext(ctx, "SELECT count(*) FROM information_schema.tables WHERE table_schema = ? AND table_name = ?", t.dataset, t.name).Scan(&n)
	if err != nil {
		return failure(err)
	}
	if n == 0 {
		return &refusal{http.StatusNotFound, "notFound", fmt.Sprintf("Not found: Table %s:%s.%s was not found in location %s", t.project, t.dataset, t.name, s.options.Location)}
	}
	return nil
}

func invalid(message string) *refusal {
	return &refusal{http.StatusBadRequest, "invalidQuery", message}
}

// failure words an error of the engine as BigQuery would.
func failure(err error) *refusal {
	if err == nil {
		return nil
	}
	text := err.Error()
	switch {
	case strings.Contains(text, "Referenced column"):
		_, name, _ := strings.Cut(text, `Referenced column "`)
		name, _, _ = strings.Cut(name, `"`)
		return invalid("Unrecognized name: " + name + " at [1:8]")
	case strings.Contains(text, "Table with name"):
		_, name, _ := strings.Cut(text, "Table with name ")
		name, _, _ = strings.Cut(name, " ")
		return &refusal{http.StatusBadRequest, "invalid", fmt.Sprintf("Table %q must be qualified with a dataset (e.g. dataset.table).", name)}
	case strings.Contains(text, "Parser Error"):
		return invalid("Syntax error: " + text)
	}
	return invalid(text)
}
