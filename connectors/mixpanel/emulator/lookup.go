package emulator

import (
	"bytes"
	"cmp"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"
)

const lookupPath = "/lookup-tables"

// callWindow is the time in which MaxLookupCalls may be made.
const callWindow = 24 * time.Hour

// LookupTable is a table that /lookup-tables replaces as a whole.
type LookupTable struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Columns  []string  `json:"columns"` // the header; the first is the key
	Rows     int       `json:"rows"`    // without the header
	Replaced int       `json:"replaced"`
	Updated  time.Time `json:"updated,omitzero"`
	CSV      []byte    `json:"-"` // as received, uncompressed; none in keys-only mode; do not modify
}

// lookups are the tables of the project.
type lookups struct {
	byID  map[string]*LookupTable
	open  bool        // tables come into being when they are first replaced
	calls []time.Time // of PUT within the last callWindow, oldest first
}

func newLookups(names map[string]string) *lookups {
	l := &lookups{byID: map[string]*LookupTable{}, open: len(names) == 0}
	for id, name := range names {
		l.byID[id] = &LookupTable{ID: id, Name: name}
	}
	return l
}

// take counts a call, or reports that it would be one too many.
func (l *lookups) take(now time.Time, limit int) bool {
	l.calls = slices.DeleteFunc(l.calls, func(at time.Time) bool { return now.Sub(at) >= callWindow })
	if len(l.calls) >= limit {
		return false
	}
	l.calls = append(l.calls, now)
	return true
}

// replace puts a new version in place of a table.
func (l *lookups) replace(id string, columns []string, rows int, csv []byte, now time.Time) {
	t := LookupTable{ID: id, Name: id, Columns: columns, Rows: rows, Replaced: 1, Updated: now, CSV: csv}
	if old := l.byID[id]; old != nil {
		t.Name, t.Replaced = old.Name, old.Replaced+1
	}
	l.byID[id] = &t
}

// LookupTables returns the lookup tables, sorted by id.
func (s *Server) LookupTables() []LookupTable {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]LookupTable, 0, len(s.lookups.byID))
	for _, id := range slices.Sorted(maps.Keys(s.lookups.byID)) {
		list = append(list, *s.lookups.byID[id])
	}
	return list
}

// listLookups serves GET /lookup-tables.
func (s *Server) listLookups(w http.ResponseWriter, r *http.Request) {
	if !s.account(r) {
		refuse(http.StatusUnauthorized, badLogin).write(w)
		return
	}
	type table struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	results := []table{}
	for _, t := range s.LookupTables() {
		results = append(results, table{t.ID, t.Name})
	}
	jsonAnswer(http.StatusOK, map[string]any{"code": http.StatusOK, "status": "OK", "results": results}).write(w)
}

// putLookup serves PUT /lookup-tables/{id}: the whole table, or nothing of it.
func (s *Server) putLookup(q *work) answer {
	id := q.http.PathValue("id")
	if refusal := s.admitLookup(q, id); refusal != nil {
		drain(q.http.Body)
		return *refusal
	}
	body, refusal := s.read(q, nil, s.options.MaxLookupBody)
	if refusal != nil {
		return *refusal
	}
	table := s.checkCSV(q, body)
	q.log.Records = table.rows
	if r := q.hit(FaultRefuseBatch); r != nil {
		s.fired(q, r.Kind)
		table.fail(0, cmp.Or(r.Message, "the table was refused"))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counters.Received += table.rows
	if len(table.failed) > 0 {
		q.log.Refused = table.rows
		s.counters.Refused += table.rows
		return jsonAnswer(http.StatusBadRequest, reply{
			Code: http.StatusBadRequest, Error: quote("Some data points in the request failed validation."),
			Failed: table.failed, Status: http.StatusText(http.StatusBadRequest),
		})
	}
	q.log.Accepted = table.rows
	s.counters.Accepted += table.rows
	var kept []byte
	if !s.options.KeysOnly {
		kept = bytes.Clone(body) // of just the size needed
	}
	s.lookups.replace(id, table.columns, table.rows, kept, q.log.At)
	return jsonAnswer(http.StatusOK, reply{Code: http.StatusOK, Status: "OK"})
}

// admitLookup checks everything about a replacement but its body.
func (s *Server) admitLookup(q *work, id string) *answer {
	var refusal answer
	kind, _, err := mime.ParseMediaType(q.http.Header.Get("Content-Type"))
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.account(q.http):
		refusal = refuse(http.StatusUnauthorized, badLogin)
	case !s.lookups.take(q.log.At, s.options.MaxLookupCalls):
		s.counters.Throttled++
		refusal = refuse(http.StatusTooManyRequests, overRate)
	case s.lookups.byID[id] == nil && !s.lookups.open:
		// The code in this body is Mixpanel's own.
		refusal = jsonAnswer(http.StatusNotFound, reply{
			Code: http.StatusOK, Error: quote("Lookup table with id '" + id + "' was not found."),
			Status: http.StatusText(http.StatusNotFound),
		})
	case err != nil || !strings.EqualFold(kind, "text/csv"):
		refusal = refuse(http.StatusBadRequest, "content type must be text/csv")
	default:
		return nil
	}
	return &refusal
}

// getLookup serves GET /emulator/lookup-tables/{id}: the CSV as it was received.
func (s *Server) getLookup(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	s.mu.Lock()
	table := s.lookups.byID[id]
	s.mu.Unlock()
	switch {
	case s.options.KeysOnly:
		writeError(w, http.StatusConflict, "keys-only mode keeps no rows of lookup tables")
	case table == nil:
		writeError(w, http.StatusNotFound, "no lookup table has this id: see /emulator/lookup-tables")
	default:
		w.Header().Set("Content-Type", "text/csv; charset=utf-8")
		_, _ = w.Write(table.CSV)
	}
}
