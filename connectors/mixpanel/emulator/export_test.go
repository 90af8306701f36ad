package emulator_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mixsync/mixsync/connectors/mixpanel/emulator"
)

const export = "/api/2.0/export?project_id=1&from_date=2026-02-01&to_date=2026-03-01"

// ask sends a GET with credentials.
func ask(t *testing.T, s http.Handler, target string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	r.SetBasicAuth("bot", "s3cret")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// at is an event of the given name, $insert_id and time.
func at(name, id string, when time.Time) string {
	return fmt.Sprintf(`{"event":%q,"properties":{"time":%d,"$insert_id":%q,"distinct_id":"x","$company_id":"acme","$user_id":"alice","ip":0,"n":12345678901234567890,"html":"<b>"}}`,
		name, when.UnixMilli(), id)
}

func TestExportLine(t *testing.T) {
	t.Parallel()
	s := newServer(emulator.Options{})
	name, long := strings.Repeat("é", 200), strings.Repeat("x", 300)
	record := fmt.Sprintf(`{"properties":{"$import":false,"time":%d,"$insert_id":"i","distinct_id":"x","$company_id":"acme","$user_id":"a\"b","ip":0,`+
		`"n":12345678901234567890,"html":"<b>\u00e9\n","none":null,"deep":{"l":[1.50,"%s"]},"%s":"%s"},"event":"%s"}`,
		now.Add(-1500*time.Millisecond).UnixMilli(), long, long, long, name)
	if status, body := post(t, s, strict, asLines, record); status != http.StatusOK {
		t.Fatalf("answer = %s", body)
	}
	n := func(text string) any { return json.Number(text) }
	for query, when := range map[string]string{"": "1772366398", "&time_in_ms=false": "1772366398", "&time_in_ms=true": "1772366398500"} {
		w := ask(t, s, export+query)
		if got := w.Header().Get("Content-Type"); got != "text/plain; charset=utf-8" {
			t.Errorf("content type = %q", got)
		}
		var got any
		d := json.NewDecoder(w.Body)
		d.UseNumber()
		if err := d.Decode(&got); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{"event": name[:254], "properties": map[string]any{
			"time": n(when), "distinct_id": `$company:acme|$user:a"b`, "$insert_id": "i", "$company_id": "acme", "$user_id": `a"b`,
			"n": n("12345678901234567890"), "html": "<b>é\n", "none": nil, "deep": map[string]any{"l": []any{n("1.50"), long[:255]}}, long[:255]: long[:255],
			"$import": true, "$mp_api_endpoint": "api.mixpanel.com", "$mp_api_timestamp_ms": n("1772366400000"),
			"$mp_event_size": n(fmt.Sprint(len(record))), "mp_processing_time_ms": n("1772366400000"),
		}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("export%s (-want +got):\n%s", query, diff)
		}
	}
	r := s.Requests()[1]
	if r.Path != "/api/2.0/export" || r.Status != 200 || r.Records != 1 || r.Accepted != 1 {
		t.Errorf("request = %+v, want one event exported", r)
	}
}

// FuzzExport exports whatever properties were taken: always one line of JSON,
// with what the JSON view shows.
func FuzzExport(f *testing.F) {
	f.Add(`"a":1`)
	f.Add("\"a\":\n[1,\r\n{\"b\":\n2}]")
	f.Add(`"a":"\u00e9\"","time":5,"b":{"c":["` + strings.Repeat("y", 300) + `"]}`)
	f.Fuzz(func(t *testing.T, members string) {
		s := newServer(emulator.Options{Model: emulator.Standard})
		// The last of equal names counts, here and there.
		record := fmt.Sprintf(`{"event":"E","properties":{%s,"time":%d,"$insert_id":"i","distinct_id":"x"}}`, members, now.UnixMilli())
		if status, _ := post(t, s, strict, asJSON, "["+record+"]"); status != http.StatusOK || s.Count() != 1 {
			return
		}
		var got struct {
			Event      string
			Properties map[string]any
		}
		body := ask(t, s, export+"&time_in_ms=true").Body.Bytes()
		d := json.NewDecoder(bytes.NewReader(body))
		d.UseNumber()
		if err := d.Decode(&got); err != nil || bytes.IndexByte(body, '\n') != len(body)-1 {
			t.Fatalf("%v in %q", err, body)
		}
		want := s.Events()[0].Properties
		for _, name := range []string{"$import", "$mp_api_endpoint", "$mp_api_timestamp_ms", "$mp_event_size", "mp_processing_time_ms"} {
			delete(got.Properties, name)
			delete(want, name)
		}
		if diff := cmp.Diff(want, got.Properties); diff != "" {
			t.Errorf("properties (-view +export):\n%s", diff)
		}
	})
}

func TestExportSelection(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 2, 27, 0, 0, 0, 0, time.UTC)
	s := newServer(emulator.Options{})
	for _, record := range []string{
		at("A", "before", day.Add(-time.Millisecond)),
		at("A", "first", day),
		at("B", "last", day.AddDate(0, 0, 1).Add(-time.Millisecond)),
		at("A", "after", day.AddDate(0, 0, 1)),
		at("A", "first", day), // a copy: exports keep it
	} {
		post(t, s, strict, asLines, record)
	}
	tests := []struct{ query, want string }{
		{"from_date=2026-02-27&to_date=2026-02-27", "first last first"},
		{"from_date=2026-02-26&to_date=2026-02-27", "before first last first"},
		{"from_date=2026-02-27&to_date=2026-03-01", "first last after first"},
		{"from_date=2026-03-01&to_date=2026-03-01", ""},
		{"from_date=2026-02-27&to_date=2026-02-27&limit=2", "first last"},
		{"from_date=2026-02-27&to_date=2026-02-27&event=" + url.QueryEscape(`["B"]`), "last"},
		{"from_date=2026-02-27&to_date=2026-02-27&event=" + url.QueryEscape(`["B","A"]`) + "&limit=100000", "first last first"},
		{"from_date=2026-02-27&to_date=2026-02-27&event=" + url.QueryEscape(`["C"]`), ""},
	}
	for _, tt := range tests {
		w := ask(t, s, "/api/2.0/export?project_id=1&"+tt.query)
		if got := exported(t, w.Body.String()); w.Code != http.StatusOK || got != tt.want {
			t.Errorf("export?%s = %d %q, want %q", tt.query, w.Code, got, tt.want)
		}
	}
}

// exported returns the $insert_ids of an export.
func exported(t *testing.T, body string) string {
	t.Helper()
	var ids []string
	for line := range strings.Lines(body) {
		var e struct {
			Properties struct {
				ID string `json:"$insert_id"`
			}
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		ids = append(ids, e.Properties.ID)
	}
	return strings.Join(ids, " ")
}

func TestExportRefusals(t *testing.T) {
	t.Parallel()
	const days = "from_date=2026-02-01&to_date=2026-03-01"
	tests := []struct {
		query   string
		options emulator.Options
		status  int
		want    string
	}{
		{"to_date=2026-03-01", emulator.Options{}, 400, "from_date is missing"},
		{"from_date=2026-03-01", emulator.Options{}, 400, "to_date is missing"},
		{"from_date=2026-3-1&to_date=2026-03-01", emulator.Options{}, 400, "from_date must be a date in yyyy-mm-dd format"},
		{"from_date=2026-02-01&to_date=2026-02-30", emulator.Options{}, 400, "to_date must be a date in yyyy-mm-dd format"},
		{"from_date=2026-02-02&to_date=2026-02-01", emulator.Options{}, 400, "to_date cannot be before from_date"},
		{"from_date=2026-02-02&to_date=2026-03-02", emulator.Options{}, 400, "to_date cannot be later than today"},
		{days + "&where=true", emulator.Options{}, 400, "where is not supported by the emulator: filter what it answers, or use event"},
		{days + "&event=Signed+Up", emulator.Options{}, 400, `event must be a JSON array of names, such as ["Signed Up"]`},
		{days + "&limit=0", emulator.Options{}, 400, "limit must be a number from 1 to 100000"},
		{days + "&limit=100001", emulator.Options{}, 400, "limit must be a number from 1 to 100000"},
		{days + "&time_in_ms=yes", emulator.Options{}, 400, "time_in_ms must be true or false"},
		{days, emulator.Options{KeysOnly: true}, 409, "keys-only mode keeps no events to export: see /emulator/keys"},
		{days, emulator.Options{Username: "bot", Secret: "other"}, 401, "Invalid credentials"},
		{days, emulator.Options{Username: "bot", Secret: "s3cret"}, 401, "Invalid credentials"}, // no project_id
		{days + "&project_id=8", emulator.Options{ProjectID: 7}, 401, "Invalid credentials"},
		{days, emulator.Options{Faults: emulator.Faults{Rules: []emulator.Rule{{Kind: "throttle", Path: "/api/2.0/export"}}}}, 429, "Project exceeded rate limits. Please retry the request with exponential backoff."},
	}
	for _, tt := range tests {
		w := ask(t, newServer(tt.options), "/api/2.0/export?"+tt.query)
		want := fmt.Sprintf(`{"code":%d,"error":%q,"status":%q}`, tt.status, tt.want, http.StatusText(tt.status))
		if w.Code != tt.status || w.Body.String() != want {
			t.Errorf("export?%s = %d %s\nwant %d %s", tt.query, w.Code, w.Body, tt.status, want)
		}
	}
}

// filled is a server with n events.
func filled(t *testing.T, n int, o emulator.Options) *emulator.Server {
	t.Helper()
	s := newServer(o)
	var lines strings.Builder
	for i := range n {
		lines.WriteString(at("E", fmt.Sprintf("i%d", i), now) + "\n")
	}
	post(t, s, strict, asLines, lines.String())
	return s
}

func TestExportGzip(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		accept string
		events int
		want   string
	}{
		{"gzip", 1000, "gzip"}, {"br, GZIP;q=0.5", 1000, "gzip"}, {"deflate", 1000, ""}, {"gzip;q=0", 1000, ""}, {"", 1000, ""}, {"gzip", 1, ""},
	} {
		w := ask(t, filled(t, tt.events, emulator.Options{}), export, "Accept-Encoding", tt.accept)
		if got := w.Header().Get("Content-Encoding"); got != tt.want {
			t.Errorf("%q, %d events: encoding = %q, want %q", tt.accept, tt.events, got, tt.want)
		}
		var body io.Reader = w.Body
		if tt.want != "" {
			var err error
			if body, err = gzip.NewReader(w.Body); err != nil {
				t.Fatal(err)
			}
		}
		text, err := io.ReadAll(body)
		if n := strings.Count(string(text), "\n"); err != nil || n != tt.events {
			t.Errorf("%q: %d lines, %v, want %d", tt.accept, n, err, tt.events)
		}
	}
}

// TestExportFaults goes over the network. Only rules that name the export hit it.
func TestExportFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		rule  emulator.Rule
		lines int
		fails bool
	}{
		{"none", emulator.Rule{Kind: emulator.FaultStatus, Path: "/import", After: 1}, 600, false},
		{"for all", emulator.Rule{Kind: emulator.FaultStatus, After: 1}, 600, false},
		{"slow", emulator.Rule{Kind: emulator.FaultSlow, DelayMS: 1}, 600, false},
		{"slow body", emulator.Rule{Kind: emulator.FaultSlowBody, DelayMS: 1}, 600, false},
		{"truncate", emulator.Rule{Kind: emulator.FaultTruncate}, 300, false},
		{"cut", emulator.Rule{Kind: emulator.FaultCut}, 300, true},
		{"reset after", emulator.Rule{Kind: emulator.FaultResetAfter}, 0, true},
		{"reset before", emulator.Rule{Kind: emulator.FaultResetBefore}, 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := emulator.Start(t, emulator.Options{Now: func() time.Time { return now }})
			var lines strings.Builder
			for i := range 600 {
				lines.WriteString(at("E", fmt.Sprintf("i%d", i), now) + "\n")
			}
			post(t, s, strict, asLines, lines.String())
			if tt.name != "none" && tt.name != "for all" {
				tt.rule.Path = "/api/2.0/export"
			}
			if err := s.Inject(emulator.Faults{Rules: []emulator.Rule{tt.rule}}); err != nil {
				t.Fatal(err)
			}
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+export, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.SetBasicAuth("bot", "s3cret")
			client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			answer, err := client.Do(r)
			var text []byte
			if err == nil {
				defer answer.Body.Close()
				text, err = io.ReadAll(answer.Body)
			}
			if n := strings.Count(string(text), "\n"); (err != nil) != tt.fails || n > tt.lines || !tt.fails && n != tt.lines {
				t.Errorf("%d lines, %v, want %d, failure %v", n, err, tt.lines, tt.fails)
			}
		})
	}
}

// TestExportLatency leaves while the answer is held back.
func TestExportLatency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := emulator.New(emulator.Options{Latency: time.Second})
		start := time.Now()
		today := start.UTC().Format(time.DateOnly)
		ask(t, s, "/api/2.0/export?from_date="+today+"&to_date="+today)
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v, want 1s", took)
		}
	})
}

func TestIndex(t *testing.T) {
	t.Parallel()
	s := newServer(emulator.Options{})
	var got struct {
		Endpoints []struct{ Method, Path, About string }
	}
	w := ask(t, s, "/", "Accept", "application/json")
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Endpoints) < 10 {
		t.Errorf("index = %+v", got)
	}
	text := ask(t, s, "/", "Accept", "text/plain").Body.String()
	for _, e := range got.Endpoints {
		if !strings.Contains(text, e.Path) {
			t.Errorf("the index in text lacks %s", e.Path)
		}
		r := httptest.NewRequestWithContext(t.Context(), e.Method, strings.Replace(e.Path, "{id}", "x", 1), nil)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code == http.StatusMethodNotAllowed || w.Code == http.StatusNotFound && !strings.Contains(w.Body.String(), "lookup") {
			t.Errorf("%s %s = %d: the index names what is not there", e.Method, e.Path, w.Code)
		}
	}
	if diff := cmp.Diff("Accept", w.Header().Get("Vary")); diff != "" {
		t.Errorf("Vary (-want +got):\n%s", diff)
	}
}
