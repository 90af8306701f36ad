//go:build cgo

package snowflaketest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// query is a statement that was sent. It runs on when the client stops waiting.
type query struct {
	id, request, sql string
	binds            []Bind
	describe         bool
	cancel           context.CancelFunc

	done    chan struct{}
	aborted bool
	result  map[string]any
	err     error
}

func (q *query) finished() bool {
	select {
	case <-q.done:
		return true
	default:
		return false
	}
}

// sqlError is an error with Snowflake's code.
type sqlError struct{ code, state, message string }

func (e *sqlError) Error() string { return e.message }

func (s *Server) queryRequest(w http.ResponseWriter, r *http.Request) {
	if !s.authorised(w, r) {
		return
	}
	var body struct {
		SQL      string `json:"sqlText"`
		Describe bool   `json:"describeOnly"`
		Bindings map[string]struct {
			Type  string `json:"type"`
			Value string `json:"value"`
		} `json:"bindings"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	q := &query{id: s.id("query"), request: r.URL.Query().Get("requestId"), sql: body.SQL, describe: body.Describe, done: make(chan struct{})}
	for i := 1; i <= len(body.Bindings); i++ {
		b := body.Bindings[strconv.Itoa(i)]
		q.binds = append(q.binds, Bind{b.Type, b.Value})
	}
	ctx, cancel := context.WithCancel(s.running)
	q.cancel = cancel
	s.mu.Lock()
	s.queries[q.id], s.order = q, append(s.order, q)
	s.mu.Unlock()
	s.work.Go(func() {
		defer cancel()
		q.result, q.err = s.run(ctx, q)
		close(q.done)
	})
	s.await(w, r, q)
}

// await answers when the query is done, or when patience has run out: then with
// where to ask again.
func (s *Server) await(w http.ResponseWriter, r *http.Request, q *query) {
	patience := time.NewTimer(s.options.Patience)
	defer patience.Stop()
	select {
	case <-q.done:
	case <-r.Context().Done():
		return
	case <-patience.C:
		reply(w, answer{Code: "333333", Message: "Query execution in progress.", Success: true,
			Data: map[string]any{"queryId": q.id, "getResultUrl": "/queries/" + q.id + "/result"}})
		return
	}
	var e *sqlError
	switch {
	case q.err == nil:
		reply(w, answer{Data: q.result, Success: true})
	case errors.As(q.err, &e):
		reply(w, answer{Code: e.code, Message: e.message, Data: map[string]any{"queryId": q.id, "sqlState": e.state}})
	default:
		reply(w, answer{Code: "000603", Message: q.err.Error(), Data: map[string]any{"queryId": q.id, "sqlState": "XX000"}})
	}
}

func (s *Server) resultRequest(w http.ResponseWriter, r *http.Request) {
	if !s.authorised(w, r) {
		return
	}
	s.mu.Lock()
	q := s.queries[r.PathValue("id")]
	s.mu.Unlock()
	if q == nil {
		http.NotFound(w, r)
		return
	}
	s.await(w, r, q)
}

func (s *Server) abortRequest(w http.ResponseWriter, r *http.Request) {
	if !s.authorised(w, r) {
		return
	}
	var body struct {
		Request string `json:"requestId"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range s.order {
		if q.request == body.Request && !q.finished() {
			q.aborted = true
			q.cancel()
			reply(w, answer{Success: true})
			return
		}
	}
	reply(w, answer{Code: "000605", Message: "Identified SQL statement is not currently executing."})
}

var (
	lastChange = regexp.MustCompile(`^SELECT SYSTEM\$LAST_CHANGE_COMMIT_TIME\('((?:[^']|'')*)'\)`)
	showTables = regexp.MustCompile(`^SHOW TABLES LIKE ('(?:[^']|'')*')( IN SCHEMA)?(?: (?:"[^"]*"\.)?"([^"]*)")?$`)
)

// run runs a statement and keeps its chunks.
func (s *Server) run(ctx context.Context, q *query) (map[string]any, error) {
	if f := s.faults.statement(q.sql); f != nil && (!q.describe || f.contains != "") {
		return nil, &sqlError{f.code, f.state, f.message}
	}
	sql, err := translate(q.sql, q.binds)
	if err != nil {
		return nil, &sqlError{"001003", "42000", err.Error()}
	}
	json := s.options.JSON
	if m := lastChange.FindStringSubmatch(q.sql); m != nil {
		table := strings.ReplaceAll(m[1], "''", "'")
		if err := s.engine.exec("SELECT 1 FROM " + table + " LIMIT 0"); err != nil {
			return nil, sqlErrorOf(err)
		}
		s.mu.Lock()
		sql = fmt.Sprintf("SELECT %d AS token", 1_700_000_000_000_000_000+s.commits)
		s.mu.Unlock()
	} else if m := showTables.FindStringSubmatch(q.sql); m != nil {
		json = true // as Snowflake answers what is no query
		sql = `SELECT upper(table_name) AS "name", 'TABLE' AS "kind", 'N' AS "is_external" FROM duckdb_tables() WHERE upper(table_name) LIKE upper(` + m[1] + `)`
		if m[2] != "" { // or the whole database
			sql += " AND upper(schema_name) = upper('" + cmp.Or(m[3], s.options.Schema) + "')"
		}
	}
	out := &output{json: json, inline: s.options.InlineRows, chunk: s.options.ChunkRows, file: func(n int) string { return s.chunkFile(q.id, n) },
		url: func(n int) string {
			return fmt.Sprintf("http://%s/chunks/%s/%d", s.address, q.id, n)
		}}
	if err := s.engine.query(ctx, sql, q.describe, out); err != nil {
		if ctx.Err() != nil {
			return nil, &sqlError{"000604", "57014", "SQL execution canceled"}
		}
		return nil, sqlErrorOf(err)
	}
	return out.answer(q.id), nil
}

func (s *Server) chunkFile(id string, n int) string {
	return filepath.Join(s.dir, fmt.Sprintf("%s-%d", id, n))
}

// chunkRequest serves a chunk, which needs no session.
func (s *Server) chunkRequest(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.PathValue("n"))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	status, broken, wait := s.faults.chunk()
	if wait > 0 {
		pause := time.NewTimer(wait)
		defer pause.Stop()
		select {
		case <-pause.C:
		case <-r.Context().Done():
			return
		}
	}
	file := s.chunkFile(r.PathValue("id"), n)
	switch {
	case status != 0:
		http.Error(w, "not now", status)
	case broken:
		whole, err := os.ReadFile(file)
		if err != nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(whole)))
		_, _ = w.Write(whole[:len(whole)/2])
		panic(http.ErrAbortHandler)
	default:
		http.ServeFile(w, r, file)
	}
}

// sqlErrorOf gives DuckDB's errors the codes that Snowflake has for them.
func sqlErrorOf(err error) error {
	text := err.Error()
	head, _, _ := strings.Cut(text, "\n")
	switch {
	case strings.HasPrefix(text, "Catalog Error"):
		return &sqlError{"002003", "42S02", "SQL compilation error:\n" + head + "\nObject does not exist or not authorized."}
	case strings.HasPrefix(text, "Binder Error"):
		if strings.Contains(text, "mbiguous") || strings.Contains(text, "duplicate") {
			return &sqlError{"002028", "42601", "SQL compilation error:\nambiguous column name: " + head}
		}
		return &sqlError{"000904", "42000", "SQL compilation error: error line 1 at position 7\ninvalid identifier: " + head}
	case strings.HasPrefix(text, "Parser Error"):
		return &sqlError{"001003", "42000", "SQL compilation error:\nsyntax error: " + head}
	case strings.HasPrefix(text, "Conversion Error"):
		return &sqlError{"100038", "22018", head}
	}
	return &sqlError{"000603", "XX000", head}
}
