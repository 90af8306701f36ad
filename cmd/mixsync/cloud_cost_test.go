//go:build cgo

package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mixsync/mixsync/connectors/mixpanel/emulator"
)

// With -cloud.rows=10000000 the figures are those of ten million rows in a hundred
// chunks.
var cloudRows = flag.Int("cloud.rows", 1_000_000, "rows of the table that TestCloudCosts reads")

// chunkRows is the size of the stand-ins' chunks in TestCloudCosts.
const chunkRows = 100_000

// rowBytes is what a row of the table takes in a chunk, about: 6 numbers and times,
// 6 texts of 170 bytes together with their ends.
const rowBytes = 6*8 + 6*4 + 170

// cost is what a mixsync process took.
type cost struct {
	cpu, wall time.Duration
	rss       int64 // bytes, at the most
}

// TestCloudCosts compares what the worker itself costs by warehouse. The binary is
// built as users build it, since a test binary holds more, and copied as an
// installer does: Linux maps the file that a linker has just written in such large
// pieces that 30 MB more of it are resident, whatever is read.
func TestCloudCosts(t *testing.T) {
	if !timed {
		return // the race detector's costs are its own
	}
	n := *cloudRows
	binary := filepath.Join(t.TempDir(), "mixsync")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	if out, err := exec.CommandContext(t.Context(), "cp", binary, binary+".installed").CombinedOutput(); err != nil {
		t.Fatalf("cp: %v\n%s", err, out)
	}
	binary += ".installed"
	sink := discard(t)
	pg := newWorld(t, emulator.Options{})
	pg.url = sink
	pg.exec(`CREATE SCHEMA app; CREATE TABLE app.usage (id bigint PRIMARY KEY, event_name text NOT NULL, account_id text NOT NULL, user_id text NOT NULL,
		session text NOT NULL, occurred_at timestamptz NOT NULL, loaded_at timestamptz NOT NULL, plan text NOT NULL, amount bigint NOT NULL,
		seats int NOT NULL, active boolean NOT NULL, score double precision NOT NULL, note text NOT NULL)`)
	pg.exec(fmt.Sprintf(`INSERT INTO app.usage SELECT i, (ARRAY['Login','Feature Used','Report Run','Invite Sent'])[1+i%%4], 'account-'||(i*7919%%5000),
		'user-'||(i*104729%%60000), 'session-'||md5((i%%90000)::text), now() - interval '1 day', now() - interval '2 hours' - (%d-i) * interval '1 second',
		(ARRAY['free','pro','enterprise'])[1+i%%3], i*37%%100000, i%%50, i%%2=0, i / 7.0, md5(i::text)||' '||md5((i*3)::text)||' opened /projects/'||i%%777||'/boards'
		FROM generate_series(1::bigint,%d) i`, n, n))
	pg.exec(`CREATE INDEX ON app.usage (loaded_at, id)`)
	pg.exec(`VACUUM ANALYZE app.usage`)
	pg.configure(cloudSync("lookback: 10m"))
	worlds := map[string]*world{"postgres": pg}
	for _, c := range clouds(t, chunkRows) {
		c.exec(t, `CREATE SCHEMA app; CREATE TABLE app.usage (id BIGINT, event_name VARCHAR, account_id VARCHAR, user_id VARCHAR, session VARCHAR,
			occurred_at TIMESTAMPTZ, loaded_at TIMESTAMPTZ, plan VARCHAR, amount BIGINT, seats BIGINT, active BOOLEAN, score DOUBLE, note VARCHAR)`)
		c.exec(t, fmt.Sprintf(`INSERT INTO app.usage SELECT i, ['Login','Feature Used','Report Run','Invite Sent'][1+i%%4], 'account-'||(i*7919%%5000),
			'user-'||(i*104729%%60000), 'session-'||md5((i%%90000)::VARCHAR), now() - INTERVAL '1 day', now() - INTERVAL '2 hours' - (%d-i) * INTERVAL '1 second',
			['free','pro','enterprise'][1+i%%3], i*37%%100000, i%%50, i%%2=0, i / 7.0, md5(i::VARCHAR)||' '||md5((i*3)::VARCHAR)||' opened /projects/'||i%%777||'/boards'
			FROM range(1, %d) r(i)`, n, n+1))
		w := newWorld(t, emulator.Options{})
		w.block, w.url = c.block, sink
		w.configure(cloudSync("lookback: 10m"))
		worlds[c.name] = w
	}
	costs := map[string][]cost{}
	for range 3 {
		for name, w := range worlds {
			costs[name] = append(costs[name], w.cost(binary, n))
		}
	}
	base := medianOf(costs["postgres"], func(c cost) float64 { return c.cpu.Seconds() })
	for name, list := range costs {
		million := 1e6 / float64(n)
		cpu, wall := medianOf(list, func(c cost) float64 { return c.cpu.Seconds() }), medianOf(list, func(c cost) float64 { return c.wall.Seconds() })
		rss := medianOf(list, func(c cost) float64 { return float64(c.rss) })
		t.Logf("%s: %.2f CPU s per million rows (%.2f × Postgres), %.2f s, %.0f MB", name, cpu*million, cpu/base, wall*million, rss/1e6)
		if name == "postgres" {
			continue
		}
		if cpu > 1.5*base {
			t.Errorf("%s costs %.2f × the CPU of Postgres, want at most 1.5", name, cpu/base)
		}
		if most := 100e6 + 2*chunkRows*rowBytes; rss > most {
			t.Errorf("%s takes %.0f MB, want at most %.0f", name, rss/1e6, most/1e6)
		}
	}
}

// discard is a Mixpanel that takes everything and looks at nothing.
func discard(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		rw.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(rw, `{"code":200,"error":null,"status":1}`)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// cost resyncs the world's table with a binary of its own.
func (w *world) cost(binary string, n int) (c cost) {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), binary, "run", "--resync", "-c", w.config, "-o", "json")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	begun, done := time.Now(), make(chan error, 1)
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() { done <- cmd.Wait() }()
	var err error
	for over := false; !over; {
		select {
		case err = <-done:
			over = true
		case <-time.After(5 * time.Millisecond):
			c.rss = max(c.rss, peak(cmd.Process.Pid))
		}
	}
	c.wall, c.cpu = time.Since(begun), cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime()
	var body struct{ Syncs []report }
	if err != nil || json.Unmarshal(out.Bytes(), &body) != nil || len(body.Syncs) != 1 || body.Syncs[0].Accepted != n {
		w.t.Fatalf("%v: %s", err, &out)
	}
	return c
}

// peak is the most memory that a process has had resident, in bytes. What wait4
// says of a child counts that of its parent, which holds the stand-ins.
func peak(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	var kib int64
	_, _ = fmt.Sscan(rest, &kib)
	return kib * 1024
}

func medianOf(list []cost, of func(cost) float64) float64 {
	var values []float64
	for _, c := range list {
		values = append(values, of(c))
	}
	slices.Sort(values)
	return values[len(values)/2]
}
