package emulator_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mixsync/mixsync/connectors/mixpanel/emulator"
)

const table = "/lookup-tables/t1?project_id=1"

// put replaces a lookup table and returns status and answer.
func put(t *testing.T, s http.Handler, target, body string, headers ...string) (int, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPut, target, strings.NewReader(body))
	r.Header.Set("Content-Type", "text/csv")
	r.SetBasicAuth("bot", "s3cret")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func zip(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestLookupValidation(t *testing.T) {
	t.Parallel()
	const good = `{"code":200,"status":"OK"}`
	failed := func(records string) string {
		return `{"code":400,"error":"Some data points in the request failed validation.","failed_records":[` + records + `],"status":"Bad Request"}`
	}
	one := func(index int, message string) string {
		return failed(fmt.Sprintf(`{"index":%d,"message":%q}`, index, message))
	}
	refuse := func(status int, message string) string {
		return fmt.Sprintf(`{"code":%d,"error":%q,"status":%q}`, status, message, http.StatusText(status))
	}
	rule := func(r emulator.Rule) emulator.Options {
		return emulator.Options{Faults: emulator.Faults{Rules: []emulator.Rule{r}}}
	}
	tests := []struct {
		name, body string
		headers    []string
		options    emulator.Options
		status     int
		want       string
	}{
		{name: "valid", body: "id,name\n1,a\n2,b\n", status: 200, want: good},
		{name: "no last newline, CRLF", body: "id,name\r\n1,a\r\n2,b", status: 200, want: good},
		{name: "quotes", body: "id,name\n\"1,5\",\"say \"\"hi\"\"\nthere\"\n", status: 200, want: good},
		{name: "no rows", body: "id,name\n", status: 200, want: good},
		{name: "gzip", body: zip(t, "id,name\n1,a\n"), headers: []string{"Content-Encoding", "gzip"}, status: 200, want: good},
		{name: "charset", body: "id,name\n1,a\n", headers: []string{"Content-Type", "text/csv; charset=utf-8"}, status: 200, want: good},

		{name: "blank key", body: "id,name\n1,a\n,b\n", status: 400, want: one(2, "primary key is required and cannot be blank")},
		{name: "key of spaces", body: "id,name\n  ,b\n", status: 400, want: one(1, "primary key is required and cannot be blank")},
		{name: "falsy keys", body: "id,name\n0,b\nFalse,c\n", status: 400, want: failed(
			`{"index":1,"message":"primary key is required and cannot be blank"},{"index":2,"message":"primary key is required and cannot be blank"}`)},
		{name: "key twice", body: "id,name\n1,a\n1,b\n", status: 400, want: one(2, "invalid row: row indexes 1 and 2 have the same primary key")},
		{name: "short row", body: "id,name\n1\n", status: 400, want: one(1, "invalid row: wrong number of fields")},
		{name: "long row", body: "id,name\n1,a,b\n", status: 400, want: one(1, "invalid row: wrong number of fields")},
		{name: "not UTF-8", body: "id,name\n1,\xff\n", status: 400, want: one(1, "invalid row: string should be valid utf8")},
		{name: "bare quote", body: "id,name\n1,a\n2,b\"c\n3,d\n", status: 400, want: one(2, `invalid row: bare " in non-quoted-field`)},
		{name: "open quote", body: "id,name\n1,\"a\n", status: 400, want: one(1, `invalid row: extraneous or missing " in quoted-field`)},
		{name: "empty", body: "", status: 400, want: one(0, "invalid header: the table is empty")},
		{name: "one column", body: "id\n1\n", status: 400, want: one(0, "invalid header: a table needs two columns or more")},
		{name: "column twice", body: "id,a,a\n1,x,y\n", status: 400, want: one(0, `invalid header: column name "a" is not unique`)},
		{name: "nameless column", body: "id,\n1,x\n", status: 400, want: one(0, "invalid header: column 2 has no name")},
		{name: "header not UTF-8", body: "id,\xff\n1,x\n", status: 400, want: one(0, "invalid header: name of column 2 should be valid utf8")},
		{name: "header with open quote", body: "id,\"a\n1,x\n", status: 400, want: one(0, `invalid header: extraneous or missing " in quoted-field`)},

		{name: "content type", body: "id,name\n", headers: []string{"Content-Type", "application/json"}, status: 400, want: refuse(400, "content type must be text/csv")},
		{name: "encoding", body: "id,name\n", headers: []string{"Content-Encoding", "br"}, status: 400, want: refuse(400, `content encoding "br" is not supported`)},
		{name: "too large", body: "id,name\n1,a\n", options: emulator.Options{MaxLookupBody: 9}, status: 413, want: refuse(413, "request exceeds max limit of 9 bytes")},
		{name: "too large, zipped", body: zip(t, "id,name\n1,a\n"), headers: []string{"Content-Encoding", "gzip"}, options: emulator.Options{MaxLookupBody: 9}, status: 413, want: refuse(413, "request exceeds max limit of 9 bytes")},
		{name: "just fits", body: "id,name\n1,a\n", options: emulator.Options{MaxLookupBody: 12}, status: 200, want: good},
		{name: "registered", body: "id,name\n1,a\n", options: emulator.Options{LookupTables: map[string]string{"t1": "Accounts"}}, status: 200, want: good},
		{name: "unknown", body: "id,name\n1,a\n", options: emulator.Options{LookupTables: map[string]string{"t2": "Accounts"}}, status: 404, want: `{"code":200,"error":"Lookup table with id 't1' was not found.","status":"Not Found"}`},
		{name: "no credentials", body: "id,name\n1,a\n", headers: []string{"Authorization", ""}, status: 401, want: refuse(401, "Invalid credentials")},
		{name: "wrong secret", body: "id,name\n1,a\n", options: emulator.Options{Username: "bot", Secret: "other"}, status: 401, want: refuse(401, "Invalid credentials")},
		{name: "other project", body: "id,name\n1,a\n", options: emulator.Options{ProjectID: 7}, status: 401, want: refuse(401, "Invalid credentials")},
		{name: "token", body: "id,name\n1,a\n", headers: []string{"Authorization", "Basic VDo="}, options: emulator.Options{Token: "T"}, status: 401, want: refuse(401, "Invalid credentials")},

		{name: "throttled", body: "id,name\n1,a\n", options: rule(emulator.Rule{Kind: emulator.FaultThrottle, Path: "/lookup-tables"}), status: 429, want: refuse(429, "Project exceeded rate limits. Please retry the request with exponential backoff.")},
		{name: "refused", body: "id,name\n1,a\n", options: rule(emulator.Rule{Kind: emulator.FaultRefuseBatch}), status: 400, want: one(0, "the table was refused")},
		{name: "row refused", body: "id,name\n1,a\n2,b\n", options: rule(emulator.Rule{Kind: emulator.FaultRefuse, IDs: []string{"2"}, Message: "m"}), status: 400, want: one(2, "m")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(tt.options)
			status, body := put(t, s, table, tt.body, tt.headers...)
			if status != tt.status || body != tt.want {
				t.Errorf("answer = %d %s\nwant     %d %s", status, body, tt.status, tt.want)
			}
			replaced := 0
			for _, table := range s.LookupTables() {
				replaced += table.Replaced
			}
			if want := status == http.StatusOK; (replaced == 1) != want {
				t.Errorf("replaced = %d, want it replaced: %v", replaced, want)
			}
		})
	}
}

// TestLookupReplacement puts good and bad versions and looks at what stands.
func TestLookupReplacement(t *testing.T) {
	t.Parallel()
	for _, keysOnly := range []bool{false, true} {
		s := newServer(emulator.Options{KeysOnly: keysOnly})
		put(t, s, table, "id,name\n1,a\n2,b\n")
		const second = "id,size\n3,7\n"
		put(t, s, table, second)
		var bad strings.Builder
		bad.WriteString("id,name\n")
		for range 20 {
			bad.WriteString("x\n")
		}
		if _, body := put(t, s, table, bad.String()); strings.Count(body, `"index"`) != 10 {
			t.Errorf("answer = %s, want the first ten bad rows", body)
		}
		want := []emulator.LookupTable{{ID: "t1", Name: "t1", Columns: []string{"id", "size"}, Rows: 1, Replaced: 2, Updated: now, CSV: []byte(second)}}
		if keysOnly {
			want[0].CSV = nil
		}
		if diff := cmp.Diff(want, s.LookupTables()); diff != "" {
			t.Errorf("keys only %v: tables (-want +got):\n%s", keysOnly, diff)
		}
		r := s.Requests()[2]
		if r.Path != "/lookup-tables" || r.Status != 400 || r.Records != 20 || r.Accepted != 0 || r.Refused != 20 {
			t.Errorf("request = %+v, want all 20 rows refused", r)
		}
	}
}

func TestLookupViews(t *testing.T) {
	t.Parallel()
	s := newServer(emulator.Options{LookupTables: map[string]string{"b": "Plans", "a": "Accounts"}})
	const csv = "id,name\n1,a\n"
	put(t, s, "/lookup-tables/b?project_id=1", csv)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/lookup-tables?project_id=1", nil)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != http.StatusUnauthorized {
		t.Errorf("without credentials: %d, want 401", w.Code)
	}
	r.SetBasicAuth("bot", "s3cret")
	w = httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if want := `{"code":200,"results":[{"id":"a","name":"Accounts"},{"id":"b","name":"Plans"}],"status":"OK"}`; w.Body.String() != want {
		t.Errorf("list = %s, want %s", w.Body, want)
	}
	if got := get(t, s, "/emulator/lookup-tables/b"); got != csv {
		t.Errorf("CSV = %q, want %q", got, csv)
	}
	if got := get(t, s, "/emulator/lookup-tables"); !strings.Contains(got, `"rows": 1`) {
		t.Errorf("tables = %s, want one row", got)
	}
	for want, server := range map[int]*emulator.Server{404: s, 409: newServer(emulator.Options{KeysOnly: true})} {
		w = httptest.NewRecorder()
		server.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/emulator/lookup-tables/c", nil))
		if w.Code != want {
			t.Errorf("GET /emulator/lookup-tables/c = %d %s, want %d", w.Code, w.Body, want)
		}
	}
	if got := s.State().Lookups; got != 2 {
		t.Errorf("lookup tables in state = %d, want 2", got)
	}
	s.Reset()
	if tables := s.LookupTables(); len(tables) != 2 || tables[1].Replaced != 0 {
		t.Errorf("after reset: %+v, want the tables of the start, empty", tables)
	}
}

// TestLookupCalls makes the hundred calls of a day, and those after it.
func TestLookupCalls(t *testing.T) {
	t.Parallel()
	clock := now
	s := emulator.New(emulator.Options{Now: func() time.Time { return clock }})
	call := func(want int) {
		t.Helper()
		if status, body := put(t, s, table, "id,name\n1,a\n"); status != want {
			t.Errorf("at %v: answer = %d %s, want %d", clock, status, body, want)
		}
	}
	for range 99 {
		call(200)
		clock = clock.Add(time.Minute)
	}
	put(t, s, table, "") // refused, and counted
	call(429)
	clock = now.Add(24*time.Hour - 1)
	call(429)
	clock = now.Add(24 * time.Hour) // the first call is a day old
	call(200)
	call(429)
	if got := s.Counters().Throttled; got != 3 {
		t.Errorf("throttled = %d, want 3", got)
	}
}
