package emulator_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mixsync/mixsync/connectors/mixpanel/emulator"
)

// call posts two events over the network and returns what a client sees.
func call(t *testing.T, url string) (status int, body string, err error) {
	t.Helper()
	text := event("a", `"plan":"free"`) + "\n" + event("b", `"plan":"paid","seats":5`)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+strict, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	r.GetBody = nil // or net/http would send again after a reset
	r.Header.Set("Content-Type", asLines)
	r.SetBasicAuth("token", "")
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	text2, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text2), err
}

func TestFaults(t *testing.T) {
	t.Parallel()
	const (
		good    = `{"code":200,"num_records_imported":2,"status":"OK"}`
		partial = `{"code":400,"error":"some data points in the request failed validation","failed_records":[`
	)
	tests := []struct {
		name   string
		rule   emulator.Rule
		status int
		want   string // the answer
		err    error
		stored int
	}{
		{"html", emulator.Rule{Kind: emulator.FaultStatus, Status: 502}, 502, "<html><head><title>502 Bad Gateway</title></head>\n<body><center><h1>502 Bad Gateway</h1></center></body></html>\n", nil, 0},
		{"own body", emulator.Rule{Kind: emulator.FaultStatus, Body: "busy"}, 503, "busy", nil, 0},
		{"throttle", emulator.Rule{Kind: emulator.FaultThrottle}, 429, `{"code":429,"error":"Project exceeded rate limits. Please retry the request with exponential backoff.","status":"Too Many Requests"}`, nil, 0},
		{"unauthorized", emulator.Rule{Kind: emulator.FaultUnauthorized}, 401, `{"code":401,"error":"Invalid credentials","status":"Unauthorized"}`, nil, 0},
		{"too large", emulator.Rule{Kind: emulator.FaultTooLarge, Limit: 100}, 413, `{"code":413,"error":"request exceeds max limit of 100 bytes","status":"Request Entity Too Large"}`, nil, 0},
		{"reset before", emulator.Rule{Kind: emulator.FaultResetBefore}, 0, "", syscall.ECONNRESET, 0},
		{"reset after", emulator.Rule{Kind: emulator.FaultResetAfter}, 0, "", syscall.ECONNRESET, 2},
		{"cut", emulator.Rule{Kind: emulator.FaultCut}, 200, good[:len(good)/2], syscall.ECONNRESET, 2},
		{"truncate", emulator.Rule{Kind: emulator.FaultTruncate}, 200, good[:len(good)/2], nil, 2},
		{"slow", emulator.Rule{Kind: emulator.FaultSlow, DelayMS: 1}, 200, good, nil, 2},
		{"slow body", emulator.Rule{Kind: emulator.FaultSlowBody, DelayMS: 10}, 200, good, nil, 2},
		{"refuse batch", emulator.Rule{Kind: emulator.FaultRefuseBatch, Message: "no"}, 400, partial + `"no"],"num_records_imported":0,"status":"Bad Request"}`, nil, 0},
		{"miscount", emulator.Rule{Kind: emulator.FaultMiscount}, 200, `{"code":200,"num_records_imported":1,"status":"OK"}`, nil, 2},
		{"lose", emulator.Rule{Kind: emulator.FaultMiscount, By: 5, Lose: true}, 200, `{"code":200,"num_records_imported":0,"status":"OK"}`, nil, 0},
		{"refuse by index", emulator.Rule{Kind: emulator.FaultRefuse, Indexes: []int{1, 7}}, 400, partial + `{"index":1,"insert_id":"b","field":"properties","message":"'properties' is invalid: refused on request"}],"num_records_imported":1,"status":"Bad Request"}`, nil, 1},
		{"refuse by id", emulator.Rule{Kind: emulator.FaultRefuse, IDs: []string{"a"}, Field: "f", Message: "m"}, 400, partial + `{"index":0,"insert_id":"a","field":"f","message":"m"}],"num_records_imported":1,"status":"Bad Request"}`, nil, 1},
		{"refuse by text", emulator.Rule{Kind: emulator.FaultRefuse, Property: "plan", Value: "paid", Message: "m"}, 400, partial + `{"index":1,"insert_id":"b","field":"properties.plan","message":"m"}],"num_records_imported":1,"status":"Bad Request"}`, nil, 1},
		{"refuse by number", emulator.Rule{Kind: emulator.FaultRefuse, Property: "seats", Value: 5, Message: "m"}, 400, partial + `{"index":1,"insert_id":"b","field":"properties.seats","message":"m"}],"num_records_imported":1,"status":"Bad Request"}`, nil, 1},
		{"refuse nobody", emulator.Rule{Kind: emulator.FaultRefuse, Property: "seats", Value: "5"}, 200, good, nil, 2},
		{"other path", emulator.Rule{Kind: emulator.FaultThrottle, Path: "/groups"}, 200, good, nil, 2},
		{"later", emulator.Rule{Kind: emulator.FaultThrottle, From: now.Add(time.Second)}, 200, good, nil, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := emulator.Start(t, emulator.Options{
				Now: func() time.Time { return now }, Faults: emulator.Faults{Rules: []emulator.Rule{tt.rule}},
			})
			status, body, err := call(t, s.URL)
			if !errors.Is(err, tt.err) && (tt.err == nil || !errors.Is(err, io.ErrUnexpectedEOF)) {
				t.Fatalf("error = %v, want %v", err, tt.err)
			}
			if status != tt.status || body != tt.want {
				t.Errorf("answer = %d %s\nwant     %d %s", status, body, tt.status, tt.want)
			}
			if got := s.Count(); got != tt.stored {
				t.Errorf("stored = %d, want %d", got, tt.stored)
			}
			hit := 1
			switch tt.name {
			case "refuse nobody", "other path", "later":
				hit = 0
			}
			if got := s.Counters().Faults[tt.rule.Kind]; got != hit {
				t.Errorf("counted %d, want %d", got, hit)
			}
		})
	}
}

func TestFaultTiming(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		rule emulator.Rule
		want string // one letter a request: x is a fault
	}{
		{"always", emulator.Rule{}, "xxxxxxxxxxxx"},
		{"every", emulator.Rule{Every: 3}, "..x..x..x..x"},
		{"after", emulator.Rule{After: 10}, "..........xx"},
		{"next", emulator.Rule{Next: 2}, "xx.........."},
		{"after, every, next", emulator.Rule{After: 4, Every: 2, Next: 2}, ".....x.x...."},
		{"burst", emulator.Rule{Every: 5, Burst: 2}, "....xx...xx."},
		{"burst cut by next", emulator.Rule{Every: 4, Burst: 3, Next: 4}, "...xxx.x...."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.rule.Kind = emulator.FaultThrottle
			s := newServer(emulator.Options{Faults: emulator.Faults{Rules: []emulator.Rule{tt.rule}}})
			if got := pattern(t, s, len(tt.want)); got != tt.want {
				t.Errorf("faults = %s, want %s", got, tt.want)
			}
		})
	}
}

// pattern sends n requests and shows which ones were throttled.
func pattern(t *testing.T, s *emulator.Server, n int) string {
	t.Helper()
	var b strings.Builder
	for range n {
		status, _ := post(t, s, strict, asLines, event("i"))
		b.WriteByte(map[bool]byte{true: 'x', false: '.'}[status == http.StatusTooManyRequests])
	}
	return b.String()
}

func TestFaultProbability(t *testing.T) {
	t.Parallel()
	faults := emulator.Faults{Seed: 7, Rules: []emulator.Rule{{Kind: emulator.FaultThrottle, Probability: 0.3}}}
	s := newServer(emulator.Options{Faults: faults})
	first := pattern(t, s, 500)
	if hits := strings.Count(first, "x"); hits < 100 || hits > 200 {
		t.Errorf("%d of 500 requests hit, want about 150", hits)
	}
	s.Reset()
	if again := pattern(t, s, 500); again != first {
		t.Error("the same seed gave other faults after a reset")
	}
	faults.Seed = 8
	if err := s.SetFaults(faults); err != nil {
		t.Fatal(err)
	}
	if other := pattern(t, s, 500); other == first {
		t.Error("another seed gave the same faults")
	}
}

func TestFaultsChange(t *testing.T) {
	t.Parallel()
	s := newServer(emulator.Options{})
	for _, bad := range []emulator.Rule{
		{Kind: "trottle"}, {Kind: emulator.FaultThrottle, Path: "/track"}, {Kind: emulator.FaultThrottle, Probability: 2},
		{Kind: emulator.FaultThrottle, Every: -1}, {Kind: emulator.FaultStatus, Status: 200}, {Kind: emulator.FaultRefuse},
		{Kind: emulator.FaultSlow}, {Kind: emulator.FaultRefuse, Property: "p", Value: func() {}},
	} {
		if err := s.SetFaults(emulator.Faults{Rules: []emulator.Rule{bad}}); err == nil {
			t.Errorf("SetFaults(%+v) took it", bad)
		}
	}
	for _, step := range []struct {
		target, body string
		status       int
		want         string // kinds in force
	}{
		{"/emulator/faults", `{"rules":[{"kind":"slow","delay_ms":1},{"kind":"throttle","next":1}]}`, 200, "slow throttle"},
		{"/emulator/faults?add=1", `{"rules":[{"kind":"miscount"}]}`, 200, "slow throttle miscount"},
		{"/emulator/faults", `{"rules":[{"kind":"slow","delay":1}]}`, 400, "slow throttle miscount"},
		{"/emulator/faults", `{"rules":[{"kind":"slo","delay_ms":1}]}`, 400, "slow throttle miscount"},
		{strict, event("i"), 429, "slow miscount"}, // the throttle is used up
		{"/emulator/faults", `{"rules":[]}`, 200, ""},
		{strict, event("i"), 200, ""},
	} {
		status, body := post(t, s, step.target, asLines, step.body)
		if status != step.status {
			t.Errorf("POST %s %s = %d %s, want %d", step.target, step.body, status, body, step.status)
		}
		var f emulator.Faults
		if err := json.Unmarshal([]byte(get(t, s, "/emulator/faults")), &f); err != nil {
			t.Fatal(err)
		}
		var kinds []string
		for _, r := range f.Rules {
			kinds = append(kinds, r.Kind)
		}
		if got := strings.Join(kinds, " "); got != step.want {
			t.Errorf("after POST %s %s: faults = %s, want %s", step.target, step.body, got, step.want)
		}
	}
}

func TestDelays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := emulator.New(emulator.Options{
			Latency: 200 * time.Millisecond,
			Faults:  emulator.Faults{Rules: []emulator.Rule{{Kind: emulator.FaultSlow, DelayMS: 1800}, {Kind: emulator.FaultSlowBody, DelayMS: 3000}}},
		})
		start := time.Now()
		post(t, s, strict, asLines, event("i"))
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("answer took %v, want 5s", took)
		}
		if got := s.Requests()[0].DurationMS; got != 2000 {
			t.Errorf("duration_ms = %v, want 2000: up to the answer's first byte", got)
		}
	})
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	clock := now
	s := emulator.New(emulator.Options{
		Now: func() time.Time { return clock }, RateLimit: emulator.RateLimit{Events: 4, Bytes: 5 * int64(len(event("i"))+1)},
	})
	two := event("i") + "\n" + event("j")
	for _, step := range []struct {
		wait time.Duration
		body string
		want int
	}{
		{0, two, 200},
		{30 * time.Second, two, 200},
		{0, event("i"), 429},
		{29 * time.Second, event("i"), 429},
		{time.Second, two, 200}, // the first request is a minute old
		{0, event("i"), 429},
		{time.Hour, event("i"), 200},
		{0, event("i", `"pad":"`+strings.Repeat("x", 500)+`"`), 429}, // by bytes
	} {
		clock = clock.Add(step.wait)
		if status, body := post(t, s, strict, asLines, step.body); status != step.want {
			t.Errorf("after %v: %d %s, want %d", clock.Sub(now), status, body, step.want)
		}
	}
	if got := s.Counters().Throttled; got != 4 {
		t.Errorf("throttled = %d, want 4", got)
	}
}

func TestCloseEndsDelays(t *testing.T) {
	t.Parallel()
	s := emulator.Start(t, emulator.Options{Latency: time.Hour})
	failed := make(chan error)
	go func() {
		_, _, err := call(t, s.URL)
		failed <- err
	}()
	for s.RawCount() == 0 && s.Counters().Requests["/import"] == 0 {
		// The request is stored before its answer is delayed.
		if body, err := http.Get(s.URL + "/emulator/state"); err == nil {
			_, _ = io.Copy(io.Discard, body.Body)
			body.Body.Close()
		}
	}
	s.Close()
	if err := <-failed; err == nil {
		t.Error("the request was answered after Close")
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestLog(t *testing.T) {
	t.Parallel()
	s := newServer(emulator.Options{MaxLog: 2})
	for _, body := range []string{event("i"), "{", event("i") + "\n{}"} {
		post(t, s, strict+"&verbose=1", asLines, body)
	}
	want := []emulator.Request{
		{ID: 2, At: now, Path: "/import", ProjectID: "1", Strict: true, Verbose: true, ContentType: asLines, BytesWire: 1, BytesBody: 1, Status: 400},
		{
			ID: 3, At: now, Path: "/import", ProjectID: "1", Strict: true, Verbose: true, ContentType: asLines,
			BytesWire: len(event("i")) + 3, BytesBody: len(event("i")) + 3, Records: 2, Accepted: 1, Refused: 1, Status: 400,
		},
	}
	if diff := cmp.Diff(want, s.Requests()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	c := s.Counters()
	if c.Received != 3 || c.Accepted != 2 || c.Refused != 1 || c.Duplicates != 1 || c.Requests["/import"] != 3 || c.Statuses["400"] != 2 {
		t.Errorf("counters = %+v", c)
	}
	if text := get(t, s, "/emulator/requests"); !bytes.Contains([]byte(text), []byte(`"id": 3`)) || strings.Contains(text, "token") {
		t.Errorf("requests = %s", text)
	}
}
