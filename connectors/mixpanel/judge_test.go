package mixpanel

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const (
	future   = `'properties.time' is invalid: must not be in the future`
	identity = `identity events are not allowed when project is using simplified identity management`
	page     = "<html>\n<body>\n<h1>502 Bad Gateway</h1>\n</body></html>"
)

type judgement struct {
	name   string
	e      Endpoint
	n      int
	status int
	header http.Header
	body   string
	want   Outcome // but for Status, Wire and Err
	err    string  // part of the error
	hint   string  // part of its hint
}

func settled(accepted int, refused ...Refusal) Outcome {
	return Outcome{Verdict: Settled, Accepted: accepted, Refused: refused}
}

func refusal(index int, field, message string) Refusal {
	return Refusal{Index: index, Field: field, Message: message}
}

var judgements = []judgement{
	// 200, events
	{name: "stored", n: 3, status: 200, body: `{"code":200,"num_records_imported":3,"status":"OK"}`, want: settled(3)},
	{name: "stored, verbose", n: 3, status: 200, body: `{"code":200,"error":null,"num_records_imported":3,"status":1}`, want: settled(3)},
	{name: "stored, count as text", n: 3, status: 200, body: `{"code":"200","num_records_imported":"3","status":"1"}`, want: settled(3)},
	{name: "stored, no count", n: 3, status: 200, body: `{"code":200,"status":"OK"}`, want: settled(3)},
	{name: "stored, code only", n: 3, status: 200, body: `{"code":200}`, want: settled(3)},
	{name: "stored, byte order mark", n: 3, status: 200, body: "\xef\xbb\xbf\n {\"status\":1}\r\n", want: settled(3)},
	{name: "stored, empty list", n: 3, status: 200, body: `{"code":200,"num_records_imported":3,"status":"OK","failed_records":[]}`, want: settled(3)},
	{name: "stored, no list", n: 3, status: 200, body: `{"code":200,"num_records_imported":3,"status":"OK","failed_records":null}`, want: settled(3)},
	{name: "too few", n: 3, status: 200, body: `{"code":200,"num_records_imported":2,"status":"OK"}`, want: Outcome{Verdict: Unclear}, err: "3 records sent, 2 stored, 0 refused"},
	{name: "none, says OK", n: 3, status: 200, body: `{"code":200,"num_records_imported":0,"status":"OK"}`, want: Outcome{Verdict: Unclear}, err: "does not add up"},
	{name: "too many", n: 3, status: 200, body: `{"code":200,"num_records_imported":4,"status":"OK"}`, want: Outcome{Verdict: Unclear}, err: "4 stored"},
	{name: "count is no count", n: 3, status: 200, body: `{"code":200,"num_records_imported":"many","status":"OK"}`, want: Outcome{Verdict: Unclear}, err: "a senseless number"},
	{name: "negative count", n: 3, status: 200, body: `{"code":200,"num_records_imported":-1,"status":"OK"}`, want: Outcome{Verdict: Unclear}},
	{name: "all stored, yet an error", n: 3, status: 200, body: `{"code":200,"error":"hm","num_records_imported":3,"status":1}`, want: Outcome{Verdict: Unclear}, err: "hm"},
	{name: "not strict, none", n: 3, status: 200, body: `{"code":200,"error":"some data points in the request failed validation","num_records_imported":0,"status":0}`, want: Outcome{Verdict: Bisect}, err: "some data points"},
	{name: "not strict, some", n: 3, status: 200, body: `{"code":200,"error":"some data points in the request failed validation","num_records_imported":2,"status":0}`, want: Outcome{Verdict: Bisect}, err: "some data points"},
	{name: "not strict, the one", n: 1, status: 200, body: `{"code":200,"error":"failed validation","num_records_imported":0,"status":0}`, want: settled(0, refusal(0, "", "failed validation"))},
	{name: "says nothing", n: 3, status: 200, body: `{}`, want: Outcome{Verdict: Unclear}},
	{name: "says something else", n: 3, status: 200, body: `{"ok":"maybe"}`, want: Outcome{Verdict: Unclear}},
	{name: "named on 200", n: 3, status: 200, body: `{"code":200,"num_records_imported":2,"failed_records":[{"index":1,"message":"m"}]}`, want: settled(2, refusal(1, "", "m"))},
	{name: "empty", n: 3, status: 200, want: Outcome{Verdict: Retry}, err: "empty"},
	{name: "truncated", n: 3, status: 200, body: `{"code":200,"num_rec`, want: Outcome{Verdict: Retry}, err: "breaks off"},
	{name: "page", n: 3, status: 200, body: page, want: Outcome{Verdict: Retry}, err: "not Mixpanel's: <html> <body>", hint: "api_url"},
	{name: "array", n: 3, status: 200, body: `[]`, want: Outcome{Verdict: Retry}, err: "not Mixpanel's"},

	// 400, events
	{name: "one named", n: 3, status: 400, body: `{"code":400,"error":"some data points in the request failed validation","failed_records":[{"index":1,"insert_id":"13c0b661","field":"properties.time","message":"` + future + `"}],"num_records_imported":2,"status":"Bad Request"}`,
		want: settled(2, refusal(1, "properties.time", future))},
	{name: "one named, $insert_id, status 0", n: 3, status: 400, body: `{"code":400,"failed_records":[{"index":"2","$insert_id":"x","field":"event","message":"'event' must not be missing or blank"}],"num_records_imported":2,"status":0}`,
		want: settled(2, refusal(2, "event", "'event' must not be missing or blank"))},
	{name: "one named, no count", n: 3, status: 400, body: `{"failed_records":[{"index":0,"message":"m"}]}`, want: settled(2, refusal(0, "", "m"))},
	{name: "out of order and twice", n: 4, status: 400, body: `{"failed_records":[{"index":3,"message":"d"},{"index":1,"field":"f","message":"first"},{"index":1,"message":"second"},{"index":0,"message":"a"}],"num_records_imported":1}`,
		want: settled(1, refusal(0, "", "a"), refusal(1, "f", "first"), refusal(3, "", "d"))},
	{name: "all named", n: 2, status: 400, body: `{"failed_records":[{"index":0,"message":"a"},{"index":1,"message":"b"}],"num_records_imported":0}`,
		want: settled(0, refusal(0, "", "a"), refusal(1, "", "b"))},
	{name: "named without message", n: 2, status: 400, body: `{"error":"failed validation","failed_records":[{"index":1}],"num_records_imported":1}`,
		want: settled(1, refusal(1, "", "failed validation"))},
	{name: "named, message is an object", n: 2, status: 400, body: `{"failed_records":[{"index":1,"field":7,"message":{"a":1}}],"num_records_imported":1}`,
		want: settled(1, refusal(1, "7", `{"a":1}`))},
	{name: "named, does not add up", n: 3, status: 400, body: `{"failed_records":[{"index":1,"message":"m"}],"num_records_imported":1}`, want: Outcome{Verdict: Unclear}, err: "3 records sent, 1 stored, 1 refused"},
	{name: "named, none stored", n: 3, status: 400, body: `{"failed_records":[{"index":1,"message":"m"}],"num_records_imported":0}`, want: Outcome{Verdict: Unclear}},
	{name: "out of range", n: 3, status: 400, body: `{"failed_records":[{"index":3,"message":"m"}],"num_records_imported":2}`, want: Outcome{Verdict: Unclear}},
	{name: "negative index", n: 3, status: 400, body: `{"failed_records":[{"index":-1,"message":"m"}],"num_records_imported":2}`, want: Outcome{Verdict: Unclear}},
	{name: "index is a fraction", n: 3, status: 400, body: `{"failed_records":[{"index":1.5,"message":"m"}],"num_records_imported":2}`, want: Outcome{Verdict: Bisect}, err: "m"},
	{name: "no index", n: 3, status: 400, body: `{"failed_records":[{"message":"m"}],"num_records_imported":2}`, want: Outcome{Verdict: Bisect}, err: "m"},
	{name: "strings", n: 3, status: 400, body: `{"code":400,"error":"some data points","failed_records":["` + identity + `"],"num_records_imported":0,"status":"Bad Request"}`, want: Outcome{Verdict: Bisect}, err: identity},
	{name: "strings among objects", n: 3, status: 400, body: `{"failed_records":[{"index":0,"message":"m"},"` + identity + `"],"num_records_imported":0}`, want: Outcome{Verdict: Bisect}, err: identity},
	{name: "a string, the one", n: 1, status: 400, body: `{"failed_records":["` + identity + `"],"num_records_imported":0}`, want: settled(0, refusal(0, "", identity))},
	{name: "list is a string", n: 3, status: 400, body: `{"failed_records":"no","num_records_imported":0}`, want: Outcome{Verdict: Bisect}, err: "no"},
	{name: "the one, named by another index", n: 1, status: 400, body: `{"failed_records":[{"index":1,"message":"m"}],"num_records_imported":0}`, want: settled(0, refusal(0, "", "m"))},
	{name: "the one, refused and stored", n: 1, status: 400, body: `{"failed_records":[{"index":0,"message":"m"}],"num_records_imported":1}`, want: Outcome{Verdict: Unclear}},
	{name: "no list", n: 3, status: 400, body: `{"code":400,"error":"request body is not valid JSON","status":"Bad Request"}`, want: Outcome{Verdict: Bisect}, err: "mixpanel answered 400: request body is not valid JSON"},
	{name: "no list, the one", n: 1, status: 400, body: `{"code":400,"error":"request body is not valid JSON","status":"Bad Request"}`, want: settled(0, refusal(0, "", "request body is not valid JSON"))},
	{name: "no list, some stored", n: 3, status: 400, body: `{"code":400,"error":"e","num_records_imported":2,"status":"Bad Request"}`, want: Outcome{Verdict: Unclear}},
	{name: "no list, all stored", n: 3, status: 400, body: `{"code":400,"error":"e","num_records_imported":3,"status":"Bad Request"}`, want: Outcome{Verdict: Unclear}},
	{name: "400 page", n: 3, status: 400, body: page, want: Outcome{Verdict: Bisect}, err: "Bad Gateway"},
	{name: "400 empty", n: 3, status: 400, want: Outcome{Verdict: Bisect}, err: "without a reason"},
	{name: "400 empty, the one", n: 1, status: 400, want: settled(0, refusal(0, "", "refused without a reason"))},
	{name: "400 truncated", n: 3, status: 400, body: `{"code":400,"failed_records":[{"index":1,"mess`, want: Outcome{Verdict: Retry}, err: "breaks off"},
	{name: "400 too long to read", n: 3, status: 400, body: `{"failed_records":["` + strings.Repeat("x", maxAnswer) + `"]}`, want: Outcome{Verdict: Bisect}, err: "too long"},
	{name: "422", n: 1, status: 422, body: `{"error":"no"}`, want: settled(0, refusal(0, "", "no"))},

	// profiles
	{name: "profiles stored", e: Groups, n: 3, status: 200, body: `{"error":null,"status":1}`, want: settled(3)},
	{name: "profiles counted", e: Users, n: 3, status: 200, body: `{"code":200,"num_good_events":3,"status":"OK"}`, want: settled(3)},
	{name: "profiles, fewer good", e: Users, n: 3, status: 200, body: `{"code":200,"num_good_events":2,"status":"OK"}`, want: Outcome{Verdict: Unclear}},
	{name: "profiles refused", e: Groups, n: 3, status: 200, body: `{"error":"$group_id missing","status":0}`, want: Outcome{Verdict: Bisect}, err: "$group_id missing"},
	{name: "profile refused", e: Groups, n: 1, status: 200, body: `{"error":"$group_id missing","status":0}`, want: settled(0, refusal(0, "", "$group_id missing"))},
	{name: "profiles refused, no reason", e: Groups, n: 3, status: 200, body: `{"status":0}`, want: Outcome{Verdict: Bisect}},
	{name: "bare 1", e: Groups, n: 3, status: 200, body: "1\n", want: Outcome{Verdict: Bisect}, err: "only that some"},
	{name: "bare 1, the one", e: Groups, n: 1, status: 200, body: "1", want: settled(1)},
	{name: "bare 0", e: Users, n: 3, status: 200, body: "0", want: Outcome{Verdict: Bisect}},
	{name: "bare 0, the one", e: Users, n: 1, status: 200, body: "0", want: settled(0, refusal(0, "", "the answer is 0: none of the records is valid"))},
	{name: "profiles named and counted", e: Groups, n: 3, status: 400, body: `{"failed_records":[{"index":1,"message":"m"}],"num_good_events":2,"status":0}`, want: settled(2, refusal(1, "", "m"))},
	{name: "profiles named, rest unsaid", e: Groups, n: 3, status: 400, body: `{"failed_records":[{"index":1,"message":"m"}],"status":0}`, want: Outcome{Verdict: Bisect}, err: "m"},
	{name: "profiles named, rest kept out", e: Groups, n: 3, status: 200, body: `{"failed_records":[{"index":1,"message":"m"}],"num_good_events":0,"status":0}`, want: Outcome{Verdict: Bisect}, err: "m"},
	{name: "profiles all named", e: Groups, n: 1, status: 200, body: `{"failed_records":[{"index":0,"message":"m"}],"status":0}`, want: settled(0, refusal(0, "", "m"))},

	// the request as a whole
	{name: "401", n: 3, status: 401, body: `{"code":401,"error":"Invalid credentials","status":"Unauthorized"}`, want: Outcome{Verdict: Halt}, err: "mixpanel answered 401: Invalid credentials", hint: "Owner or Admin of project 7"},
	{name: "401 page", n: 3, status: 401, body: page, want: Outcome{Verdict: Halt}, err: "Bad Gateway", hint: "service_account"},
	{name: "403", e: Groups, n: 3, status: 403, body: `{"error":"no","status":"error"}`, want: Outcome{Verdict: Halt}, err: "403: no", hint: "project_id"},
	{name: "404", n: 3, status: 404, want: Outcome{Verdict: Halt}, err: "404: Not Found", hint: "api_url"},
	{name: "402", n: 3, status: 402, body: `{"error":"pay"}`, want: Outcome{Verdict: Halt}, err: "402: pay"},
	{name: "407", n: 3, status: 407, want: Outcome{Verdict: Halt}, hint: "HTTPS_PROXY"},
	{name: "413", n: 3, status: 413, body: `{"code":413,"error":"request exceeds max limit of 2097152 bytes","status":"Request Entity Too Large"}`, want: Outcome{Verdict: Split, Limit: 2097152}, err: "max limit"},
	{name: "413, the one", n: 1, status: 413, body: `{"error":"request exceeds max limit of 2097152 bytes"}`, want: Outcome{Verdict: Split, Limit: 2097152}, err: "max limit"},
	{name: "413 page", n: 3, status: 413, body: "<h1>413 Request Entity Too Large</h1>", want: Outcome{Verdict: Split}},
	{name: "429", n: 3, status: 429, body: `{"code":429,"error":"Project exceeded rate limits. Please retry the request with exponential backoff.","status":"Too Many Requests"}`, want: Outcome{Verdict: Retry, Throttled: true}, err: "rate limits"},
	{name: "429, not strict", n: 3, status: 429, body: `{"error":"Project exceeded rate limits","status":0}`, want: Outcome{Verdict: Retry, Throttled: true}},
	{name: "429, told when", n: 3, status: 429, header: http.Header{"Retry-After": {" 7 "}}, want: Outcome{Verdict: Retry, Throttled: true, RetryAfter: 7 * time.Second}, err: "Too Many Requests"},
	{name: "429, told nonsense", n: 3, status: 429, header: http.Header{"Retry-After": {"soon"}}, want: Outcome{Verdict: Retry, Throttled: true}},
	{name: "503, told when", n: 3, status: 503, header: http.Header{"Retry-After": {"3"}}, body: page, want: Outcome{Verdict: Retry, RetryAfter: 3 * time.Second}, err: "503"},
	{name: "408", n: 3, status: 408, want: Outcome{Verdict: Retry}, err: "408"},
	{name: "500", n: 3, status: 500, want: Outcome{Verdict: Retry}, err: "500: Internal Server Error"},
	{name: "502 page", e: Groups, n: 3, status: 502, body: page, want: Outcome{Verdict: Retry}, err: "<html> <body> <h1>502"},
	{name: "504", n: 3, status: 504, want: Outcome{Verdict: Retry}, err: "504"},
	{name: "524", n: 3, status: 524, want: Outcome{Verdict: Retry}, err: "524: no reason given"},
}

func TestJudge(t *testing.T) {
	t.Parallel()
	for _, tt := range judgements {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				for k, v := range tt.header {
					w.Header()[k] = v
				}
				w.WriteHeader(tt.status)
				io.WriteString(w, tt.body)
			}))
			defer server.Close()
			got := newClient(t, account(server.URL)).Send(t.Context(), payload(tt.e, tt.n))
			if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreFields(Outcome{}, "Status", "Wire", "Err")); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
			if got.Status != tt.status || got.Wire == 0 {
				t.Errorf("Status %d, Wire %d, want %d and some bytes", got.Status, got.Wire, tt.status)
			}
			if (got.Err == nil) != (got.Verdict == Settled) {
				t.Errorf("Err = %v with %v", got.Err, got.Verdict)
			}
			if got.Verdict == Settled {
				return
			}
			var e *Error
			if !errors.As(got.Err, &e) {
				t.Fatalf("Err = %T %v, want an *Error", got.Err, got.Err)
			}
			if !strings.Contains(e.Error(), tt.err) || !strings.Contains(e.Hint, tt.hint) {
				t.Errorf("Err = %v (hint: %s), want %q (hint: %q)", e, e.Hint, tt.err, tt.hint)
			}
			if want := tt.status == 401 || tt.status == 403; e.Credentials != want {
				t.Errorf("Credentials = %v, want %v", e.Credentials, want)
			}
			if want := got.Verdict == Retry; e.Temporary != want {
				t.Errorf("Temporary = %v, want %v", e.Temporary, want)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for in, want := range map[string]time.Duration{
		"":                              0,
		"0":                             0,
		"1.5":                           1500 * time.Millisecond,
		"120":                           2 * time.Minute,
		"-5":                            0,
		"NaN":                           0,
		"1e300":                         24 * time.Hour,
		"Sun, 01 Mar 2026 12:00:30 GMT": 30 * time.Second,
		"Sun, 01 Mar 2026 11:00:00 GMT": 0,
		"Fri, 01 Mar 2126 11:00:00 GMT": 24 * time.Hour,
	} {
		if got := retryAfter(http.Header{"Retry-After": {in}}, now); got != want {
			t.Errorf("retryAfter(%q) = %v, want %v", in, got, want)
		}
	}
}

// Whatever a server answers: nothing panics, and what is settled adds up.
func FuzzJudge(f *testing.F) {
	for _, j := range judgements {
		if len(j.body) < 1000 {
			f.Add(uint8(j.e), j.n, j.status, []byte(j.body))
		}
	}
	c := newClient(f, account("http://127.0.0.1:1"))
	f.Fuzz(func(t *testing.T, e uint8, n, status int, body []byte) {
		if n < 1 || n > 5000 || status < 200 || status > 599 {
			return
		}
		for _, a := range []answer{
			{status: status, body: body},
			{status: status, body: body, cut: true},
			{status: status, body: body, err: io.ErrUnexpectedEOF},
		} {
			o := c.judge(t.Context(), Endpoint(e%3), n, &a)
			if (o.Err == nil) != (o.Verdict == Settled) {
				t.Fatalf("%v with Err = %v", o.Verdict, o.Err)
			}
			if o.Verdict != Settled {
				if o.Accepted != 0 || o.Refused != nil {
					t.Fatalf("%v settles %d and %v", o.Verdict, o.Accepted, o.Refused)
				}
				if text := o.Err.Error(); len(text) > 2*quoteMax || strings.ContainsFunc(text, unicode.IsControl) {
					t.Fatalf("a message of %d bytes: %q", len(text), text)
				}
				continue
			}
			if o.Accepted < 0 || o.Accepted+len(o.Refused) != n {
				t.Fatalf("%d accepted and %d refused of %d", o.Accepted, len(o.Refused), n)
			}
			if status >= 400 && len(o.Refused) == 0 || a.err != nil {
				t.Fatalf("settled by %d %q", status, body)
			}
			last := -1
			for _, r := range o.Refused {
				if r.Index <= last || r.Index >= n {
					t.Fatalf("index %d after %d of %d", r.Index, last, n)
				}
				last = r.Index
			}
		}
	})
}
