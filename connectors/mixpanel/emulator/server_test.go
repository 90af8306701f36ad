package emulator_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/mixsync/mixsync/connectors/mixpanel/emulator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// now is the server's clock in tests.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newServer(o emulator.Options) *emulator.Server {
	o.Now = func() time.Time { return now }
	return emulator.New(o)
}

// post sends body as content type kind and returns status and answer.
func post(t *testing.T, s http.Handler, target, kind, body string, headers ...string) (int, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, target, strings.NewReader(body))
	r.Header.Set("Content-Type", kind)
	r.SetBasicAuth("token", "")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func get(t *testing.T, s http.Handler, target string) string {
	t.Helper()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil))
	if w.Code != http.StatusOK {
		t.Fatalf("GET %s = %d %s", target, w.Code, w.Body)
	}
	return w.Body.String()
}

const (
	asJSON  = "application/json"
	asLines = "application/x-ndjson"
	strict  = "/import?strict=1&project_id=1"
)

// event is a valid event with extra properties, such as `"$device_id":"d"`.
func event(id string, extra ...string) string {
	properties := append([]string{
		fmt.Sprintf(`"time":%d,"$insert_id":%q,"distinct_id":"x"`, now.UnixMilli(), id),
	}, extra...)
	return `{"event":"E","properties":{` + strings.Join(properties, ",") + `}}`
}

func TestImportValidation(t *testing.T) {
	t.Parallel()
	millis := now.UnixMilli()
	many := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return strings.TrimSuffix(b.String(), ",")
	}
	with := func(properties string) string { return `{"event":"E","properties":{` + properties + `}}` }
	const rest = `"$insert_id":"i","distinct_id":"x"`
	tests := []struct {
		name, record   string
		field, message string // empty: accepted
	}{
		{"valid", event("i"), "", ""},
		{"empty record", `{}`, "event", "'event' must not be missing or blank"},
		{"no object", `7`, "event", "'event' must not be missing or blank"},
		{"blank event", `{"event":" ","properties":{}}`, "event", "'event' must not be missing or blank"},
		{"number as event", `{"event":1,"properties":{}}`, "event", "'event' must not be missing or blank"},
		{"no properties", `{"event":"E"}`, "properties", "'properties' must not be missing"},
		{"no time", with(rest), "properties.time", "'properties.time' is invalid: must be specified as seconds since epoch"},
		{"time as text", with(`"time":"1700000000",` + rest), "properties.time", "'properties.time' is invalid: must be specified as seconds since epoch"},
		{"time as float", with(`"time":1700000000.5,` + rest), "properties.time", "'properties.time' is invalid: must be specified as seconds since epoch"},
		{"time null", with(`"time":null,` + rest), "properties.time", "'properties.time' is invalid: must be specified as seconds since epoch"},
		{"seconds", with(`"time":1700000000,` + rest), "", ""},
		{"1970", with(`"time":31535999,` + rest), "properties.time", "'properties.time' is invalid: must not be before 1971-01-01"},
		{"1971", with(`"time":31536000,` + rest), "", ""},
		{"an hour ahead", with(fmt.Sprintf(`"time":%d,`, millis+3600_000) + rest), "", ""},
		{"more than an hour ahead", with(fmt.Sprintf(`"time":%d,`, millis+3600_001) + rest), "properties.time", "'properties.time' is invalid: must not be in the future"},
		{"time before distinct_id", with(`"distinct_id":"null"`), "properties.time", "'properties.time' is invalid: must be specified as seconds since epoch"},
		{"junk distinct_id", event("i", `"distinct_id":"NULL"`), "properties.distinct_id", "'properties.distinct_id' is invalid: must not be a placeholder value"},
		{"number as distinct_id", event("i", `"distinct_id":5`), "properties.distinct_id", "'properties.distinct_id' is invalid: must be a string"},
		{"nobody", event("i", `"distinct_id":""`), "", ""},
		{"junk user", event("i", `"$user_id":"0"`), "properties.$user_id", "'properties.$user_id' is invalid: must not be a placeholder value"},
		{"junk company", event("i", `"$company_id":"undefined"`), "properties.$company_id", "'properties.$company_id' is invalid: must not be a placeholder value"},
		{"no insert id", with(fmt.Sprintf(`"time":%d,"distinct_id":"x"`, millis)), "$insert_id", "'$insert_id' is invalid: must not be missing"},
		{"insert id with underscore", event("a_b"), "$insert_id", "'$insert_id' is invalid: must only contain alphanumeric or hyphen '-' characters"},
		{"insert id of 36", event(strings.Repeat("a", 36)), "", ""},
		{"insert id of 37", event(strings.Repeat("a", 37)), "$insert_id", "'$insert_id' is invalid: must not be longer than 36 bytes"},
		{"junk insert id", event("-1"), "$insert_id", "'$insert_id' is invalid: must not be a placeholder value"},
		{"insert id as number", event("i", `"$insert_id":5`), "$insert_id", "'$insert_id' is invalid: must be a string"},
		{"254 properties", event("i", many(251, `"p%d":1,`)), "", ""},
		{"255 properties", event("i", many(252, `"p%d":1,`)), "properties", "'properties' is invalid: must have less than 255 properties"},
		{"254 nested keys", event("i", `"o":{`+many(254, `"k%d":1,`)+`}`), "", ""},
		{"255 nested keys", event("i", `"o":{`+many(255, `"k%d":1,`)+`}`), "properties", "'properties' is invalid: nested objects must have less than 255 keys"},
		{"254 elements", event("i", `"a":[`+many(254, `%d,`)+`]`), "", ""},
		{"255 elements", event("i", `"a":[`+many(255, `%d,`)+`]`), "properties", "'properties' is invalid: arrays must have less than 255 elements"},
		{"10 levels", event("i", `"a":`+strings.Repeat("[", 10)+strings.Repeat("]", 10)), "", ""},
		{"11 levels", event("i", `"a":`+strings.Repeat("[", 11)+strings.Repeat("]", 11)), "properties", "'properties' is invalid: must not nest deeper than 10 levels"},
		{"1 MB", event("i", `"a":"`+strings.Repeat("x", 1_000_000)+`"`), "event", "event is too large: must be less than 1000000 bytes"},
		{"not UTF-8", event("i", "\"a\":\"\xff\""), "properties.a", "properties.a is invalid: string should be valid utf8"},
		{"deep not UTF-8", event("i", "\"a\":{\"b\":[\"\xff\"]}"), "properties.a", "properties.a is invalid: string should be valid utf8"},
		{"name not UTF-8", strings.Replace(event("i"), `"E"`, "\"\xff\"", 1), "event", "event is invalid: string should be valid utf8"},
		{"escaped member", strings.Replace(event("i"), `"time"`, `"\u0074ime"`, 1), "", ""},
		{"long string", event("i", `"a":"`+strings.Repeat("x", 300)+`"`), "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(emulator.Options{Model: emulator.Standard})
			// A valid neighbour is stored whatever becomes of the record.
			status, body := post(t, s, strict, asLines, event("neighbour")+"\n"+tt.record+"\n")
			var got struct {
				Failed []struct {
					Index          int
					Field, Message string
				} `json:"failed_records"`
				Imported int `json:"num_records_imported"`
			}
			if err := json.Unmarshal([]byte(body), &got); err != nil {
				t.Fatalf("answer %q: %v", body, err)
			}
			if tt.field == "" {
				if status != http.StatusOK || got.Imported != 2 || s.RawCount() != 2 {
					t.Errorf("answer = %d %s, want 2 imported", status, body)
				}
				return
			}
			if status != http.StatusBadRequest || got.Imported != 1 || s.RawCount() != 1 || len(got.Failed) != 1 {
				t.Fatalf("answer = %d %.500s, want 1 imported, 1 failed", status, body)
			}
			if f := got.Failed[0]; f.Index != 1 || f.Field != tt.field || f.Message != tt.message {
				t.Errorf("failed = %+v, want index 1, %s: %s", f, tt.field, tt.message)
			}
		})
	}
}

func TestImportAnswers(t *testing.T) {
	t.Parallel()
	const bad = `{"event":"","properties":{"$insert_id":"b"}}`
	badWith := func(member string) string {
		return `{"code":400,"error":"some data points in the request failed validation","failed_records":[{"index":1,` + member +
			`"field":"event","message":"'event' must not be missing or blank"}],"num_records_imported":1,"status":"Bad Request"}`
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = io.WriteString(z, event("i"))
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, target, kind, body string
		headers                  []string
		options                  emulator.Options
		status                   int
		want                     string
	}{
		{name: "lines", target: strict, kind: asLines, body: event("i") + "\n\n" + event("j"), status: 200, want: `{"code":200,"num_records_imported":2,"status":"OK"}`},
		{name: "array", target: strict, kind: asJSON, body: "[" + event("i") + " ,\n" + event("j") + "]", status: 200, want: `{"code":200,"num_records_imported":2,"status":"OK"}`},
		{name: "verbose", target: strict + "&verbose=1", kind: asJSON, body: "[" + event("i") + "]", status: 200, want: `{"code":200,"error":null,"num_records_imported":1,"status":1}`},
		{name: "gzip", target: strict, kind: asLines, body: zipped.String(), headers: []string{"Content-Encoding", "gzip"}, status: 200, want: `{"code":200,"num_records_imported":1,"status":"OK"}`},
		{name: "partial", target: strict, kind: asLines, body: event("i") + "\n" + bad, status: 400, want: badWith(`"insert_id":"b",`)},
		{name: "partial, other shape", target: strict, kind: asLines, body: event("i") + "\n" + bad, options: emulator.Options{DollarInsertID: true}, status: 400, want: badWith(`"$insert_id":"b",`)},
		{name: "credentials probe", target: "/import?project_id=1&strict=0&verbose=1", kind: asJSON, body: "[{}]", status: 200, want: `{"code":200,"error":"some data points in the request failed validation","num_records_imported":0,"status":0}`},
		{name: "not strict, partial", target: "/import?strict=0", kind: asLines, body: event("i") + "\n" + bad, status: 200, want: `{"code":200,"error":"some data points in the request failed validation","num_records_imported":1,"status":0}`},
		{name: "verb", target: strict, kind: asLines, body: event("i") + "\n" + strings.Replace(event("j"), `"E"`, `"$identify"`, 1), status: 400, want: `{"code":400,"error":"some data points in the request failed validation","failed_records":["identity events are not allowed when project is using simplified identity management"],"num_records_imported":0,"status":"Bad Request"}`},
		{name: "bad gzip", target: strict, kind: asLines, body: event("i"), headers: []string{"Content-Encoding", "gzip"}, status: 400, want: `{"code":400,"error":"body is not gzip: gzip: invalid header","status":"Bad Request"}`},
		{name: "cut gzip", target: strict, kind: asLines, body: zipped.String()[:zipped.Len()-4], headers: []string{"Content-Encoding", "gzip"}, status: 400, want: `{"code":400,"error":"reading the body: unexpected EOF","status":"Bad Request"}`},
		{name: "other encoding", target: strict, kind: asLines, body: "x", headers: []string{"Content-Encoding", "zstd"}, status: 400, want: `{"code":400,"error":"content encoding \"zstd\" is not supported","status":"Bad Request"}`},
		{name: "other type", target: strict, kind: "text/csv", body: "x", status: 400, want: `{"code":400,"error":"content type \"text/csv\" is not supported: send application/json or application/x-ndjson","status":"Bad Request"}`},
		{name: "empty", target: strict, kind: asLines, body: "\n", status: 400, want: `{"code":400,"error":"body holds no records","status":"Bad Request"}`},
		{name: "empty array", target: strict, kind: asJSON, body: "[ ]", status: 400, want: `{"code":400,"error":"body holds no records","status":"Bad Request"}`},
		{name: "cut line", target: strict, kind: asLines, body: event("i") + "\n{", status: 400, want: fmt.Sprintf(`{"code":400,"error":"invalid JSON in the record that starts at byte %d","status":"Bad Request"}`, len(event("i"))+1)},
		{name: "two on a line", target: strict, kind: asLines, body: event("i") + event("j"), status: 400, want: fmt.Sprintf(`{"code":400,"error":"unexpected text at byte %d: every record needs a line of its own","status":"Bad Request"}`, len(event("i")))},
		{name: "object as array", target: strict, kind: asJSON, body: "{}", status: 400, want: `{"code":400,"error":"body must be a JSON array","status":"Bad Request"}`},
		{name: "too many bytes", target: strict, kind: asLines, body: event("i"), options: emulator.Options{MaxBody: 50}, status: 413, want: `{"code":413,"error":"request exceeds max limit of 50 bytes","status":"Request Entity Too Large"}`},
		{name: "too many bytes unzipped", target: strict, kind: asLines, body: zipped.String(), headers: []string{"Content-Encoding", "gzip"}, options: emulator.Options{MaxBody: 50}, status: 413, want: `{"code":413,"error":"request exceeds max limit of 50 bytes","status":"Request Entity Too Large"}`},
		{name: "too many records", target: strict, kind: asJSON, body: "[{},{},{}]", options: emulator.Options{MaxRecords: 2}, status: 413, want: `{"code":413,"error":"too many records: one request may hold 2","status":"Request Entity Too Large"}`},
		{name: "too many records, 400", target: strict, kind: asJSON, body: "[{},{},{}]", options: emulator.Options{MaxRecords: 2, TooManyStatus: 400}, status: 400, want: `{"code":400,"error":"too many records: one request may hold 2","status":"Bad Request"}`},
		{name: "over the rate", target: strict, kind: asLines, body: event("i") + "\n" + event("j"), options: emulator.Options{RateLimit: emulator.RateLimit{Events: 1}}, status: 429, want: `{"code":429,"error":"Project exceeded rate limits. Please retry the request with exponential backoff.","status":"Too Many Requests"}`},
		{name: "misconfigured", target: strict, kind: asLines, body: event("i"), options: emulator.Options{Model: "flat"}, status: 500, want: `emulator: unknown model "flat": want "hierarchical" or "standard"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			status, body := post(t, newServer(tt.options), tt.target, tt.kind, tt.body, tt.headers...)
			if status != tt.status || strings.TrimSpace(body) != tt.want {
				t.Errorf("answer = %d %s\nwant     %d %s", status, body, tt.status, tt.want)
			}
		})
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	const ok, refused = http.StatusOK, http.StatusUnauthorized
	set := emulator.Options{ProjectID: 7, Token: "T", Username: "bot", Secret: "s3cret"}
	tests := []struct {
		name, target, user, password string
		options                      emulator.Options
		want                         int
	}{
		{"any", "/import", "x", "y", emulator.Options{}, ok},
		{"none", "/import", "", "", emulator.Options{}, refused},
		{"service account", "/import?project_id=7", "bot", "s3cret", set, ok},
		{"service account without project", "/import", "bot", "s3cret", set, refused},
		{"other project", "/import?project_id=8", "bot", "s3cret", set, refused},
		{"wrong secret", "/import?project_id=7", "bot", "other", set, refused},
		{"token", "/import", "T", "", set, ok},
		{"token with password", "/import", "T", "x", set, refused},
		{"wrong token", "/import?project_id=7", "U", "", set, refused},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(tt.options)
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, tt.target, strings.NewReader(event("i")))
			if tt.user != "" {
				r.SetBasicAuth(tt.user, tt.password)
			}
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if w.Code != tt.want {
				t.Errorf("status = %d %s, want %d", w.Code, w.Body, tt.want)
			}
			if want := `{"code":401,"error":"Invalid credentials","status":"Unauthorized"}`; tt.want == refused && w.Body.String() != want {
				t.Errorf("body = %s, want %s", w.Body, want)
			}
		})
	}
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	tests := []struct {
		model, properties string
		want              string
		links             map[string]string
		violation         string
	}{
		{emulator.Standard, `"distinct_id":"y","$user_id":"u"`, "u", nil, ""},
		{emulator.Standard, `"distinct_id":"y","$device_id":"d"`, "$device:d", nil, ""},
		{emulator.Standard, `"distinct_id":"y","$device_id":"$device:d"`, "$device:d", nil, emulator.PrefixedID},
		{emulator.Standard, `"distinct_id":"y","$device_id":"d","$user_id":"u"`, "u", map[string]string{"d": "u"}, ""},
		{emulator.Standard, `"distinct_id":"$device:d"`, "$device:d", nil, ""},
		{emulator.Standard, `"distinct_id":"y"`, "y", nil, ""},
		{emulator.Standard, `"distinct_id":""`, "", nil, ""},
		{emulator.Standard, `"$user_id":null`, "$device:37fcff24bf62035b2b08020afc08b4fe", nil, emulator.AddressIdentity},
		{emulator.Hierarchical, `"distinct_id":"y","$company_id":"c","$user_id":"u"`, "$company:c|$user:u", nil, ""},
		{emulator.Hierarchical, `"distinct_id":"y","$company_id":"c"`, "$company:c", nil, ""},
		{emulator.Hierarchical, `"$company_id":"c"`, "$company:c", nil, ""},
		{emulator.Hierarchical, `"distinct_id":"y","$user_id":"u"`, "$user:u", nil, emulator.MissingCompany},
		{emulator.Hierarchical, `"distinct_id":"y"`, "y", nil, emulator.MissingCompany},
		{emulator.Hierarchical, `"distinct_id":"y","$device_id":"d"`, "$device:d", nil, ""},
		{emulator.Hierarchical, `"distinct_id":"y","$company_id":"c","$device_id":"d"`, "$company:c|$device:d", nil, ""},
		{
			emulator.Hierarchical, `"distinct_id":"y","$company_id":"c","$user_id":"u","$device_id":"d"`, "$company:c|$user:u",
			map[string]string{"d": "$company:c|$user:u"}, "",
		},
		{emulator.Hierarchical, `"distinct_id":"y","$company_id":"$company:c","$user_id":"u"`, "$company:$company:c|$user:u", nil, emulator.PrefixedID},
	}
	for _, tt := range tests {
		t.Run(tt.model+" "+tt.properties, func(t *testing.T) {
			t.Parallel()
			s := newServer(emulator.Options{Model: tt.model})
			record := fmt.Sprintf(`{"event":"E","properties":{"time":%d,"$insert_id":"i",%s}}`, now.UnixMilli(), tt.properties)
			if status, body := post(t, s, strict, asLines, record); status != http.StatusOK {
				t.Fatalf("answer = %d %s", status, body)
			}
			if got := s.Events()[0].DistinctID; got != tt.want {
				t.Errorf("distinct_id = %q, want %q", got, tt.want)
			}
			if got := s.Links(); len(got)+len(tt.links) > 0 && !cmp.Equal(got, tt.links) {
				t.Errorf("links = %v, want %v", got, tt.links)
			}
			kind := ""
			if v := s.Violations(); len(v) > 0 {
				kind = v[0].Kind
			}
			if kind != tt.violation {
				t.Errorf("violation = %q, want %q", kind, tt.violation)
			}
		})
	}
}
