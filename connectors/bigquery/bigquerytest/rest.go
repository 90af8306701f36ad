//go:build cgo

package bigquerytest

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	bq "google.golang.org/api/bigquery/v2"
)

// handler serves the part of the REST API that the client uses, by the paths that
// it uses with an endpoint of its own.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /projects/{project}/jobs", s.api("insert", s.insert))
	mux.HandleFunc("POST /projects/{project}/queries", s.api("query", s.query))
	mux.HandleFunc("GET /projects/{project}/jobs/{job}", s.api("get", s.get))
	mux.HandleFunc("POST /projects/{project}/jobs/{job}/cancel", s.api("cancel", s.cancelJob))
	mux.HandleFunc("GET /projects/{project}/queries/{job}", s.api("getQueryResults", s.results))
	mux.HandleFunc("GET /projects/{project}/datasets/{dataset}/tables/{table}", s.api("table", s.table))
	mux.HandleFunc("POST /token", s.token)
	mux.HandleFunc("POST /standin/exec", s.remoteExec)
	return mux
}

// api counts a call, lets it fail if it is to, and writes its answer.
func (s *Server) api(name string, serve func(*http.Request) (any, *refusal)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.count(name)
		s.mu.Lock()
		s.authorized = r.Header.Get("Authorization")
		s.mu.Unlock()
		failed := s.faults.call()
		var answer any
		if failed == nil {
			answer, failed = serve(r)
			if lost := s.faults.answer(); lost != nil {
				failed = lost
			}
		}
		w.Header().Set("Content-Type", "application/json")
		if failed != nil {
			w.WriteHeader(failed.status)
			answer = map[string]any{"error": map[string]any{
				"code": failed.status, "message": failed.message,
				"errors": []map[string]any{{"reason": failed.reason, "message": failed.message, "domain": "global"}},
			}}
		}
		_ = json.NewEncoder(w).Encode(answer) // whoever left needs no answer
	}
}

func (s *Server) insert(r *http.Request) (any, *refusal) {
	var in bq.Job
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Configuration == nil || in.Configuration.Query == nil {
		return nil, &refusal{http.StatusBadRequest, "invalid", "this is no query job"}
	}
	if in.JobReference == nil {
		in.JobReference = &bq.JobReference{}
	}
	in.JobReference.ProjectId = r.PathValue("project")
	if in.JobReference.JobId == "" {
		in.JobReference.JobId = fmt.Sprintf("job_%d", time.Now().UnixNano())
	}
	j, failed := s.begin(in.JobReference, in.Configuration)
	if failed != nil {
		return nil, failed
	}
	return s.jobOf(r.PathValue("project"), j), nil
}

// jobOf is a job as the API shows it.
func (s *Server) jobOf(project string, j *job) *bq.Job {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &bq.Job{
		JobReference: &bq.JobReference{ProjectId: project, JobId: j.ID, Location: s.options.Location},
		Configuration: &bq.JobConfiguration{DryRun: j.DryRun, Labels: j.Labels, JobType: "QUERY", Query: &bq.JobConfigurationQuery{
			Query: j.SQL, Priority: j.Priority, UseLegacySql: new(bool),
			DestinationTable: &bq.TableReference{ProjectId: project, DatasetId: resultSchema, TableId: j.ID},
		}},
		Status: &bq.JobStatus{State: "RUNNING"},
		Statistics: &bq.JobStatistics{TotalBytesProcessed: j.Bytes, Query: &bq.JobStatistics2{
			TotalBytesProcessed: j.Bytes, TotalBytesBilled: j.Bytes, StatementType: "SELECT",
		}},
	}
	if j.DryRun {
		out.Statistics.Query.Schema = &bq.TableSchema{Fields: j.schema}
	}
	if !j.Running {
		out.Status.State = "DONE"
		if j.failed != nil {
			out.Status.ErrorResult = &bq.ErrorProto{Reason: j.failed.reason, Message: j.failed.message}
		}
	}
	return out
}

func (s *Server) find(r *http.Request) (*job, *refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.jobs[r.PathValue("job")]
	if location := r.FormValue("location"); j == nil || location != "" && location != s.options.Location {
		return nil, &refusal{http.StatusNotFound, "notFound", "Not found: Job " + r.PathValue("job")}
	}
	return j, nil
}

func (s *Server) get(r *http.Request) (any, *refusal) {
	j, failed := s.find(r)
	if failed != nil {
		return nil, failed
	}
	return s.jobOf(r.PathValue("project"), j), nil
}

func (s *Server) cancelJob(r *http.Request) (any, *refusal) {
	j, failed := s.find(r)
	if failed != nil {
		return nil, failed
	}
	s.mu.Lock()
	j.Cancelled = true
	s.mu.Unlock()
	j.cancel()
	return &bq.JobCancelResponse{Job: s.jobOf(r.PathValue("project"), j)}, nil
}

// query is jobs.query: it begins a job and waits for its first page.
func (s *Server) query(r *http.Request) (any, *refusal) {
	var in bq.QueryRequest
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return nil, &refusal{http.StatusBadRequest, "invalid", "this is no query"}
	}
	ref := &bq.JobReference{JobId: fmt.Sprintf("job_%d", time.Now().UnixNano()), Location: in.Location}
	j, failed := s.begin(ref, &bq.JobConfiguration{DryRun: in.DryRun, Labels: in.Labels, Query: &bq.JobConfigurationQuery{
		Query: in.Query, MaximumBytesBilled: in.MaximumBytesBilled, QueryParameters: in.QueryParameters,
	}})
	if failed != nil {
		return nil, failed
	}
	r.SetPathValue("job", j.ID)
	return s.results(r)
}

// results waits for a job for a while, and gives a page of its rows.
func (s *Server) results(r *http.Request) (any, *refusal) {
	j, failed := s.find(r)
	if failed != nil {
		return nil, failed
	}
	patience := 10 * time.Second
	if ms, err := strconv.Atoi(r.FormValue("timeoutMs")); err == nil {
		patience = time.Duration(ms) * time.Millisecond
	}
	ref := &bq.JobReference{ProjectId: r.PathValue("project"), JobId: j.ID, Location: s.options.Location}
	select {
	case <-j.done:
	case <-time.After(patience):
		return &bq.GetQueryResultsResponse{JobReference: ref}, nil
	case <-r.Context().Done():
		return nil, &refusal{http.StatusServiceUnavailable, "backendError", "gone"}
	}
	if j.failed != nil {
		return nil, j.failed
	}
	from, _ := strconv.ParseInt(r.FormValue("pageToken"), 10, 64)
	if start := r.FormValue("startIndex"); start != "" {
		from, _ = strconv.ParseInt(start, 10, 64)
	}
	most := int64(s.options.PageRows)
	if n, err := strconv.ParseInt(r.FormValue("maxResults"), 10, 64); err == nil {
		most = min(most, n)
	}
	rows, err := s.page(r.Context(), j, from, min(from+most, j.rows), strings.Contains(r.URL.RawQuery, "useInt64Timestamp=true"))
	if err != nil {
		return nil, failure(err)
	}
	token := ""
	if from+most < j.rows {
		token = strconv.FormatInt(from+most, 10)
	}
	return map[string]any{
		"jobComplete": true, "jobReference": ref, "schema": &bq.TableSchema{Fields: j.schema}, "totalRows": strconv.FormatInt(j.rows, 10),
		"rows": rows, "pageToken": token, "totalBytesProcessed": strconv.FormatInt(j.Bytes, 10),
	}, nil
}

func (s *Server) page(ctx context.Context, j *job, from, to int64, int64Timestamps bool) ([]any, error) {
	list := []any{}
	if from >= to {
		return list, nil
	}
	err := s.each(ctx, j.ID, from, to, func(row []driver.Value) error {
		cells := make([]any, len(row))
		for i, v := range row {
			cells[i] = map[string]any{"v": cell(j.schema[i], v, int64Timestamps)}
		}
		list = append(list, map[string]any{"f": cells})
		return nil
	})
	return list, err
}

// table shows a table's metadata. Its etag follows its rows.
func (s *Server) table(r *http.Request) (any, *refusal) {
	t := table{r.PathValue("project"), r.PathValue("dataset"), r.PathValue("table")}
	if failed := s.exists(r.Context(), t); failed != nil {
		return nil, failed
	}
	var kind, sum string
	var rows uint64
	err := s.db.QueryRowContext(r.Context(), "SELECT table_type FROM information_schema.tables WHERE table_schema = ? AND table_name = ?", t.dataset, t.name).Scan(&kind)
	if err == nil {
		err = s.db.QueryRowContext(r.Context(), "SELECT count(*), CAST(coalesce(sum(hash(x)), 0) AS VARCHAR) FROM "+t.sql()+" AS x").Scan(&rows, &sum)
	}
	if err != nil {
		return nil, failure(err)
	}
	out := &bq.Table{Id: t.project + ":" + t.dataset + "." + t.name, Type: "TABLE", Etag: sum, NumRows: rows, LastModifiedTime: 1_700_000_000_000,
		TableReference: &bq.TableReference{ProjectId: t.project, DatasetId: t.dataset, TableId: t.name}}
	if kind == "VIEW" {
		out.Type = "VIEW"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.streamed[t.dataset+"."+t.name] {
		out.StreamingBuffer = &bq.Streamingbuffer{EstimatedRows: 1}
	}
	return out, nil
}

// remoteExec is Exec for a server in a process of its own.
func (s *Server) remoteExec(w http.ResponseWriter, r *http.Request) {
	var statements string
	err := json.NewDecoder(r.Body).Decode(&statements)
	if err == nil {
		err = s.exec(r.Context(), statements)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

// token gives whoever signs a request an access token, as token_uri of credentials.
func (s *Server) token(w http.ResponseWriter, _ *http.Request) {
	s.count("token")
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "standin-token", "token_type": "Bearer", "expires_in": 3600})
}
