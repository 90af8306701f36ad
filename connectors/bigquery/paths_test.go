//go:build cgo

package bigquery_test

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/mixsync/mixsync/connectors/bigquery"
	"github.com/mixsync/mixsync/connectors/bigquery/bigquerytest"
	"github.com/mixsync/mixsync/connectors/warehouse"
)

// TestPaths reads a result on every way that results come, faults among them, and
// wants each row once.
func TestPaths(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		options  bigquery.Options // PageRows 1,000 unless set
		rest     bool
		prepare  func(s *bigquerytest.Server)
		sessions int  // that were had
		ordered  bool // one stream
	}{
		"session":                  {sessions: 1},
		"session in order":         {sessions: 1, ordered: true},
		"pages":                    {rest: true},
		"small":                    {options: bigquery.Options{PageRows: 1_000_000}},
		"session denied":           {prepare: func(s *bigquerytest.Server) { s.DenyStorage(true) }},
		"streams break":            {sessions: 1, prepare: func(s *bigquerytest.Server) { s.BreakStreams(12, codes.Unavailable) }},
		"streams end at once":      {sessions: 1, prepare: func(s *bigquerytest.Server) { s.BreakStreams(3, codes.Internal) }},
		"slow chunks":              {sessions: 1, prepare: func(s *bigquerytest.Server) { s.DelayChunks(5 * time.Millisecond) }},
		"pages break":              {rest: true, prepare: func(s *bigquerytest.Server) { s.FailCalls(2, 503, "backendError", "try again") }},
		"the first call fails":     {sessions: 1, prepare: func(s *bigquerytest.Server) { s.FailCalls(1, 503, "backendError", "try again") }},
		"the job's answer is lost": {sessions: 1, prepare: func(s *bigquerytest.Server) { s.LoseAnswers(1) }},
		"a quota is met":           {sessions: 1, prepare: func(s *bigquerytest.Server) { s.FailCalls(1, 403, "rateLimitExceeded", "Exceeded rate limits") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := bigquerytest.Start(t, bigquerytest.Options{ChunkRows: 3000, PageRows: 7000})
			o := test.options
			if o.PageRows == 0 {
				o.PageRows = 1000
			}
			if test.rest {
				o.Endpoint = s.Endpoint
			}
			d := open(t, s, o)
			if test.prepare != nil {
				test.prepare(s)
			}
			sql := numbers
			if test.ordered {
				sql += "\nORDER BY n"
			}
			count, got, err := sum(t, d, sql)
			if err != nil || count != 100_000 || got != total {
				t.Errorf("read %d rows, sum %d, %v, want 100000 and %d", count, got, err, total)
			}
			sessions := s.Sessions()
			if len(sessions) != test.sessions {
				t.Errorf("%d read sessions, want %d", len(sessions), test.sessions)
			}
			for _, streams := range sessions {
				if want := int32(4); streams != want && !(test.ordered && streams == 1) {
					t.Errorf("a session of %d streams, ordered %t", streams, test.ordered)
				}
			}
		})
	}
}

// TestDeniedOnce does not ask for a session again when it was refused.
func TestDeniedOnce(t *testing.T) {
	t.Parallel()
	s := bigquerytest.Start(t, bigquerytest.Options{})
	d := open(t, s, bigquery.Options{SessionForAll: true})
	s.DenyStorage(true)
	for range 3 {
		if count, _, err := sum(t, d, "SELECT 1 AS n"); err != nil || count != 1 {
			t.Errorf("read %d rows, %v", count, err)
		}
	}
	if got := s.Calls("CreateReadSession"); got != 1 {
		t.Errorf("%d sessions were asked for, want 1", got)
	}
}

// TestBrokenForGood ends with an error, never with an end that looks like one.
func TestBrokenForGood(t *testing.T) {
	t.Parallel()
	s := bigquerytest.Start(t, bigquerytest.Options{ChunkRows: 1000})
	d := open(t, s, bigquery.Options{PageRows: 1000})
	s.BreakStreams(1000, codes.DataLoss)
	count, _, err := sum(t, d, numbers)
	wantError(t, err, warehouse.ClassQuery, "the stream broke", "")
	if count >= 100_000 {
		t.Errorf("%d rows came of a result that broke", count)
	}

	d = open(t, s, bigquery.Options{Endpoint: s.Endpoint, PageRows: 1000})
	rows, err := d.Query(t.Context(), numbers)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	b := warehouse.NewBatch(rows.Schema())
	if err := rows.Fill(t.Context(), b); err != nil || b.Len() != 1000 {
		t.Errorf("the first page has %d rows, %v", b.Len(), err)
	}
	b.Reset()
	s.FailCalls(1, 403, "accessDenied", "Access Denied: Table p:d.t")
	wantError(t, rows.Fill(t.Context(), b), warehouse.ClassCredentials, "Access Denied", "roles/bigquery.dataViewer")
}
