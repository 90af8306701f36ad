package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mixsync/mixsync/connectors/mixpanel/emulator"
)

// turnstile stands before the emulator: it has so many places, takes its time for each
// request, and keeps the times at which requests came, by the event in them.
type turnstile struct {
	places chan struct{}
	takes  time.Duration

	mu       sync.Mutex
	came     map[string][]time.Time
	throttle bool // the next request gets a 429
	refused  time.Time
}

func (w *world) gated(places int, takes time.Duration, events ...string) *turnstile {
	w.t.Helper()
	g := &turnstile{places: make(chan struct{}, places), takes: takes, came: map[string][]time.Time{}}
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/import" {
			w.mp.ServeHTTP(rw, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // whoever sent it is gone
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if g.note(body, events) {
			rw.WriteHeader(http.StatusTooManyRequests)
			_, _ = io.WriteString(rw, `{"code":429,"error":"rate limit exceeded","status":"Too Many Requests"}`)
			return
		}
		g.places <- struct{}{}
		defer func() { <-g.places }()
		time.Sleep(g.takes)
		w.mp.ServeHTTP(rw, r)
	}))
	w.t.Cleanup(s.Close)
	w.url = s.URL
	return g
}

// note keeps when a request came, and reports whether it is to be throttled.
func (g *turnstile) note(body []byte, events []string) bool {
	text := body
	if z, err := gzip.NewReader(bytes.NewReader(body)); err == nil {
		text, _ = io.ReadAll(z)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, e := range events {
		if bytes.Contains(text, []byte(`"event":"`+e+`"`)) {
			g.came[e] = append(g.came[e], time.Now())
		}
	}
	if !g.throttle {
		return false
	}
	g.throttle, g.refused = false, time.Now()
	return true
}

// between counts the requests of an event in a span of time.
func (g *turnstile) between(event string, from, to time.Time) (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, at := range g.came[event] {
		if at.After(from) && at.Before(to) {
			n++
		}
	}
	return n
}

// twoSyncs are a sync with much history and a small live one, to one project.
func twoSyncs(w *world) {
	w.t.Helper()
	w.usage(400_000, "now() - interval '40 days'", "interval '8 seconds'")
	w.exec(`CREATE TABLE app.live AS SELECT * FROM app.usage WHERE id <= 60000; CREATE INDEX ON app.live (loaded_at, id)`)
	w.tuning = "    concurrency: 4\n"
	history := strings.ReplaceAll(usageSync("settle: 0s, slice: day"), "event_name", "{value: History}")
	live := strings.NewReplacer("usage:", "live:", "app.usage", "app.live", "event_name", "{value: Live}").Replace(usageSync("settle: 0s"))
	w.configure(history + live)
}

// A backfill of another process makes room for an incremental run.
func TestBackfillGivesWay(t *testing.T) {
	w := newWorld(t, emulator.Options{KeysOnly: true})
	w.share()
	g := w.gated(4, 150*time.Millisecond, "History", "Live")
	twoSyncs(w)
	w.run(0, "usage", "--start", "2030-01-01") // compile and connect once

	begun := time.Now()
	w.sends("live", 60000)
	alone := time.Since(begun)
	w.json(&struct{}{}, "state", "reset", "live")

	backfill := w.begin("usage", "--resync")
	if !backfill.await(func() bool { return g.between("History", begun, time.Now()) > 20 }) {
		t.Fatalf("the backfill ended before: %+v", backfill.end())
	}
	full := float64(g.between("History", time.Now().Add(-500*time.Millisecond), time.Now())) / 0.5
	begun = time.Now()
	w.sends("live", 60000)
	beside := time.Since(begun)
	// It takes a second until the backfill has heard, and it keeps a quarter of the places.
	slow := float64(g.between("History", begun.Add(1500*time.Millisecond), begun.Add(beside))) / (beside - 1500*time.Millisecond).Seconds()
	backfill.signal(syscall.SIGTERM)
	backfill.end()
	t.Logf("incremental run alone %s, beside a backfill %s; the backfill: %.1f requests/s before, %.1f meanwhile", alone, beside, full, slow)
	if timed && slow > full/2 {
		t.Errorf("the backfill goes on with %.1f requests/s, %.1f before", slow, full)
	}
	if timed && beside > 2*alone+time.Second {
		t.Errorf("beside a backfill the incremental run took %s, alone %s", beside, alone)
	}
}

// One process's 429 makes the others stand still too.
func TestPauseIsShared(t *testing.T) {
	w := newWorld(t, emulator.Options{KeysOnly: true})
	w.share()
	g := w.gated(8, 100*time.Millisecond, "History", "Live")
	twoSyncs(w)
	w.exec(`INSERT INTO app.live SELECT id + 1000000, event_name, occurred_at, account_id, user_id, anonymous_id, feature, loaded_at FROM app.usage`)
	begun := time.Now()
	w.backoff = "1"
	first, second := w.begin("usage"), w.begin("live")
	for _, event := range []string{"History", "Live"} {
		if !first.await(func() bool { return g.between(event, begun, time.Now()) > 10 }) {
			t.Fatalf("the run ended before: %+v", first.end())
		}
	}
	g.mu.Lock()
	g.throttle = true
	g.mu.Unlock()
	time.Sleep(5 * time.Second)
	// Mixpanel's advice is a pause of 2 s and 1 to 5 s more; a second goes by until all have heard.
	g.mu.Lock()
	refused := g.refused
	g.mu.Unlock()
	heard, over := refused.Add(1300*time.Millisecond), refused.Add(2900*time.Millisecond)
	quiet := g.between("History", heard, over) + g.between("Live", heard, over)
	before := g.between("History", refused.Add(-1600*time.Millisecond), refused) + g.between("Live", refused.Add(-1600*time.Millisecond), refused)
	t.Logf("%d requests in 1.6 s before the 429, %d in 1.6 s once all had heard", before, quiet)
	if refused.IsZero() || before < 10 || quiet > 0 {
		t.Errorf("%d requests of both processes in 1.6 s before the 429, %d after all had heard of it", before, quiet)
	}
	for _, p := range []*process{first, second} {
		if o := p.end(); o.code != 0 {
			t.Errorf("a run ended with %d: %s", o.code, o.stderr)
		}
	}
	if got, want := w.mp.Count(), 860_000; got != want {
		t.Errorf("%d events, want %d", got, want)
	}
}
