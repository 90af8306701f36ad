package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mixsync/mixsync/connectors/mixpanel/emulator"
	"github.com/mixsync/mixsync/sync/checkpoint"
)

// served is a `mixsync serve` that runs.
type served struct {
	*process
	url string
}

const apiToken = "open sesame"

// serve starts `mixsync serve` and waits until it is ready.
func (w *world) serve(args ...string) *served {
	w.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // only to find a free port
	if err != nil {
		w.t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.token = apiToken
	s := &served{process: w.start(append([]string{"serve", "--listen", address}, args...)...), url: "http://" + address}
	if !s.await(func() bool { code, _ := s.get("/readyz"); return code == http.StatusOK }) {
		w.t.Fatalf("serve ended: %s", s.err.String())
	}
	return s
}

func (s *served) request(method, path, body, token string) (int, string) {
	s.w.t.Helper()
	req, err := http.NewRequestWithContext(s.w.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.w.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err.Error()
	}
	return answer.StatusCode, string(text)
}

func (s *served) get(path string) (int, string) { return s.request(http.MethodGet, path, "", "") }

// ask asks for runs and returns the id of the first.
func (s *served) ask(body string) string {
	s.w.t.Helper()
	code, text := s.request(http.MethodPost, "/api/v1/runs", body, apiToken)
	var answer struct {
		Runs []struct{ Sync, Project, RunID string }
	}
	text = strings.ReplaceAll(text, `"run_id"`, `"RunID"`)
	if err := json.Unmarshal([]byte(text), &answer); err != nil || code != http.StatusAccepted || len(answer.Runs) == 0 || answer.Runs[0].RunID == "" {
		s.w.t.Fatalf("POST of %s = %d %s (%v)", body, code, text, err)
	}
	return answer.Runs[0].RunID
}

// ended waits for a run to end and returns its object.
func (s *served) ended(id string) (r report) {
	s.w.t.Helper()
	ok := s.within(time.Minute, func() bool {
		code, text := s.get("/api/v1/runs/" + id)
		r = report{}
		if err := json.Unmarshal([]byte(text), &r); err != nil || code != http.StatusOK {
			s.w.t.Fatalf("GET of run %s = %d %s", id, code, text)
		}
		return r.Status != "queued" && r.Status != "running"
	})
	if !ok {
		s.w.t.Fatalf("run %s does not end: %+v", id, r)
	}
	return r
}

// within polls until cond holds; it is false if that takes too long or the
// process ends.
func (s *served) within(d time.Duration, cond func() bool) bool {
	end := time.Now().Add(d)
	late := false
	return s.await(func() bool {
		late = time.Now().After(end)
		if !late {
			time.Sleep(20 * time.Millisecond)
		}
		return late || cond()
	}) && !late
}

func (s *served) drain() {
	s.w.t.Helper()
	s.signal(syscall.SIGTERM)
	if o := s.end(); o.code != 0 {
		s.w.t.Errorf("serve ended with %d after SIGTERM, want 0\n%s", o.code, o.stderr)
	}
}

// onBothStates runs a test with the state in a file and in a Postgres.
func onBothStates(t *testing.T, test func(t *testing.T, w *world)) {
	for _, name := range []string{"sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, emulator.Options{})
			if name == "postgres" {
				w.share()
			}
			test(t, w)
		})
	}
}

// The schedule sends what comes, and the API what is asked for.
func TestServe(t *testing.T) {
	t.Parallel()
	onBothStates(t, func(t *testing.T, w *world) {
		w.usage(3000, "now() - interval '40 days'", "interval '10 minutes'")
		w.configure(usageSync("settle: 0s, lookback: 1m, slice: day") + "  schedule: \"@every 1s\"\n" + `
fixed:
  type: event
  table: app.usage
  mode: append
  primary_key: [id]
  cursor: {column: loaded_at}
  resync: forbid
  disabled: false
  mapping: {event: {value: Fixed}, time: occurred_at, company_id: account_id, user_id: user_id, insert_id: feature}
`)
		s := w.serve()
		if !s.within(30*time.Second, func() bool { return w.mp.Count() == 3000 }) {
			t.Fatalf("the schedule sent %d events", w.mp.Count())
		}
		w.addUsage(3001, 3100, "now() - interval '1 second'", "interval '1 millisecond'")
		if !s.within(30*time.Second, func() bool { return w.mp.Count() == 3100 }) {
			t.Fatalf("the schedule sent %d events", w.mp.Count())
		}
		w.holds(usageKeys)

		sent := w.received()
		if r := s.ended(s.ask(`{"syncs":["usage"],"resync":true}`)); r.Status != "succeeded" || r.Accepted != 3100 || r.Sync != "usage" {
			t.Errorf("the resync came to %+v", r)
		}
		if got := w.received() - sent; got < 3100 || got > 3200 { // the schedule may send the lookback in between
			t.Errorf("the resync sent %d events", got)
		}
		if r := s.ended(s.ask(`{"syncs":["usage"],"start":"2020-01-01","end":"2020-01-02"}`)); r.Status != "succeeded" || r.Accepted != 0 {
			t.Errorf("the empty range came to %+v", r)
		}
		if r := s.ended(s.ask(`{"syncs":["usage"]}`)); r.Status != "succeeded" || r.Accepted != 0 {
			t.Errorf("the run with nothing new came to %+v", r)
		}
		w.holds(usageKeys)

		for _, tt := range []struct {
			body string
			want int
		}{
			{`{"syncs":["usag"]}`, http.StatusBadRequest},
			{`{"syncs":[]}`, http.StatusBadRequest},
			{`{"sync":"usage"}`, http.StatusBadRequest},
			{`{"syncs":["usage"],"resync":true,"start":"2025-01-01"}`, http.StatusBadRequest},
			{`{"syncs":["usage"]}{}`, http.StatusBadRequest},
			{``, http.StatusBadRequest},
			{`{"syncs":["fixed"],"resync":true}`, http.StatusConflict},
		} {
			code, text := s.request(http.MethodPost, "/api/v1/runs", tt.body, apiToken)
			var e struct {
				OK    *bool
				Error failure
			}
			if err := json.Unmarshal([]byte(text), &e); err != nil || code != tt.want || e.OK == nil || *e.OK || e.Error.Code != "usage" || e.Error.Hint == "" {
				t.Errorf("POST of %s = %d %s", tt.body, code, text)
			}
		}
		for _, token := range []string{"", "open", apiToken + "!"} {
			if code, _ := s.request(http.MethodPost, "/api/v1/runs", `{}`, token); code != http.StatusUnauthorized {
				t.Errorf("POST with the token %q = %d", token, code)
			}
		}
		for path, want := range map[string]int{"/healthz": 200, "/api/v1/runs/nothing": 404, "/nothing": 404, "/api/v1/syncs": 200, "/metrics": 200, "/": 200} {
			code, text := s.get(path)
			if code != want || strings.Contains(text, "secret") || strings.Contains(text, apiToken) {
				t.Errorf("GET %s = %d %s", path, code, text)
			}
		}
		_, text := s.get("/api/v1/syncs")
		if !strings.Contains(text, `"sync":"usage","project":"prod","schedule":"@every 1s"`) || !strings.Contains(text, `"next":"20`) {
			t.Errorf("GET /api/v1/syncs = %s", text)
		}
		_, text = s.get("/metrics")
		for _, want := range []string{
			`mixsync_rows_total{fate="accepted",project="prod",sync="usage"} `, "\nmixsync_state_up 1\n", "\nmixsync_leader 1\n", "\nmixsync_config_reload_failed 0\n",
			`mixsync_mark_timestamp_seconds{project="prod",sync="usage"} `, `mixsync_last_run_status{project="prod",status="succeeded",sync="usage"} 1`, "process_resident_memory_bytes",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("the metrics lack %s:\n%s", want, text)
			}
		}
		if _, text := s.get("/"); !strings.Contains(text, "<td>usage<td>prod<td class=\"succeeded\">") {
			t.Errorf("the page is %s", text)
		}
		s.drain()
	})
}

// Configurations that change are used, broken ones are not.
func TestServeReloads(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emulator.Options{})
	w.usage(10, "now() - interval '1 hour'", "interval '1 minute'")
	first := usageSync("settle: 0s") + "  schedule: \"@every 1s\"\n"
	w.configure(first)
	s := w.serve()
	failed := func(want string) func() bool {
		return func() bool {
			_, text := s.get("/metrics")
			return strings.Contains(text, "\nmixsync_config_reload_failed "+want)
		}
	}
	if !s.within(20*time.Second, func() bool { return w.mp.Count() == 10 }) {
		t.Fatalf("%d events were sent", w.mp.Count())
	}
	good, err := os.ReadFile(w.config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.config, append(good, "\nsinks: {}\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	if !s.within(20*time.Second, failed("1")) {
		t.Fatal("a broken configuration is not told by the metrics")
	}
	if _, text := s.get("/"); !strings.Contains(text, "sinks") {
		t.Errorf("the page says nothing of the broken configuration: %s", text)
	}
	w.addUsage(11, 15, "now()", "interval '1 millisecond'")
	if !s.within(20*time.Second, func() bool { return w.mp.Count() == 15 }) {
		t.Fatalf("the old configuration does not go on: %d events", w.mp.Count())
	}
	w.configure(first + strings.ReplaceAll(strings.Replace(usageSync("settle: 0s"), "usage:", "again:", 1), ", insert_id: id", "") + "  schedule: \"@every 1s\"\n  namespace: again\n")
	s.signal(syscall.SIGHUP)
	if !s.within(20*time.Second, func() bool { return w.mp.Count() == 30 }) || !failed("0")() {
		t.Fatalf("the new sync is not run: %d events", w.mp.Count())
	}
	s.drain()
}

// An address that others can reach needs a token.
func TestServeRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emulator.Options{})
	w.configure(usageSync("settle: 0s"))
	for _, args := range [][]string{{"--listen", "0.0.0.0:0"}, {"--listen", ":0"}, {"--listen", "[::]:0"}, {"--listen", "127.0.0.1:99999"}, {"--token-file", w.dir + "/none"}, {"now"}} {
		o := w.start(append([]string{"serve"}, args...)...).end()
		if o.code != exitConfig || !strings.Contains(o.stderr, "hint") {
			t.Errorf("serve %v = %d %s", args, o.code, o.stderr)
		}
	}
}

// Three replicas share what is scheduled: nothing is missed, nothing twice, one
// leads; what a killed one had, the others go on with.
func TestServeReplicas(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emulator.Options{})
	w.share()
	w.usage(100, "now() - interval '1 hour'", "interval '1 second'")
	const syncs, every = 12, 6 * time.Second // a step must be over well before the next tick, with the race detector too
	var text strings.Builder
	for i := range syncs {
		text.WriteString(strings.Replace(usageSync("settle: 0s"), "usage:", fmt.Sprintf("usage%d:", i), 1))
		fmt.Fprintf(&text, "  schedule: \"@every %s\"\n  namespace: n%d\n", every, i)
	}
	w.configure(strings.ReplaceAll(text.String(), ", insert_id: id", ""))
	replicas := []*served{w.serve(), w.serve(), w.serve()}
	leader := func() (at int) {
		at = -1
		for i, s := range replicas {
			if s == nil {
				continue
			}
			if _, text := s.get("/metrics"); strings.Contains(text, "\nmixsync_leader 1\n") {
				if at >= 0 {
					t.Errorf("%d and %d both lead", at, i)
				}
				at = i
			}
		}
		return at
	}
	if !replicas[0].within(30*time.Second, func() bool { return w.mp.Count() == syncs*100 }) {
		t.Fatalf("%d events were sent", w.mp.Count())
	}
	begun := time.Now()
	time.Sleep(4 * every)
	first := leader()
	if first < 0 {
		t.Fatal("nobody leads")
	}
	took := time.Since(begun)
	for i := range syncs {
		n := 0
		runs := w.saved(fmt.Sprintf("usage%d", i))
		for j, r := range runs {
			if r.StartedAt.After(begun) {
				n++
			}
			if r.Status != checkpoint.Succeeded && r.Status != checkpoint.Running {
				t.Errorf("run %d of sync %d: %s %s", j, i, r.Status, r.Error)
			}
			if j > 0 && runs[j-1].StartedAt.Sub(r.StartedAt) < every/2 {
				t.Errorf("sync %d ran twice within %s", i, runs[j-1].StartedAt.Sub(r.StartedAt))
			}
		}
		if want := int(took / every); n < want-1 || n > want+1 {
			t.Errorf("sync %d ran %d times in %s, want about %d", i, n, took, want)
		}
	}
	replicas[first].signal(syscall.SIGKILL)
	replicas[first].end()
	replicas[first] = nil
	w.addUsage(101, 150, "now()", "interval '1 microsecond'")
	rest := replicas[(first+1)%3]
	if !rest.within(time.Minute, func() bool { return w.mp.Count() == syncs*150 }) {
		t.Fatalf("after the leader was killed %d events were sent, want %d", w.mp.Count(), syncs*150)
	}
	if !rest.within(time.Minute, func() bool { return leader() >= 0 }) {
		t.Error("nobody leads after the leader was killed")
	}
	for _, s := range replicas {
		if s != nil {
			s.drain()
		}
	}
}
