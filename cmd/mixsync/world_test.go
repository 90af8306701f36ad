package main

import (
	"bytes"
	stdcmp "cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/mixsync/mixsync/connectors/mixpanel/emulator"
	"github.com/mixsync/mixsync/connectors/postgres/postgrestest"
	"github.com/mixsync/mixsync/sync/checkpoint"
)

// world is a warehouse, a Mixpanel and a configuration for real mixsync processes.
type world struct {
	t       *testing.T
	dsn     string
	db      *pgx.Conn
	mp      *emulator.Running
	dir     string
	config  string
	state   string // file of the SQLite state
	shared  string // URL of the Postgres state, if that is used
	url     string // of Mixpanel as the configuration names it
	model   string
	tuning  string // further settings of the project
	block   string // of the warehouse, when it is not the Postgres
	token   string // of the API of serve
	backoff string // share of Mixpanel's waits; little without it
}

func newWorld(t *testing.T, o emulator.Options) *world {
	t.Helper()
	o.ProjectID, o.Token, o.Username, o.Secret = 1, "tok", "svc", "secret"
	w := &world{t: t, dsn: postgrestest.Start(t), mp: emulator.Start(t, o), dir: t.TempDir(), model: "hierarchical"}
	w.url, w.config, w.state = w.mp.URL, filepath.Join(w.dir, "mixsync.yaml"), filepath.Join(w.dir, "state.db")
	w.db = w.connect()
	return w
}

func (w *world) connect() *pgx.Conn {
	w.t.Helper()
	conn, err := pgx.Connect(w.t.Context(), w.dsn)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// exec runs one statement with arguments, or several without.
func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.db.Exec(w.t.Context(), sql, args...); err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
}

// keys returns a query's only column as text, sorted by bytes.
func (w *world) keys(sql string) []string {
	w.t.Helper()
	rows, err := w.db.Query(w.t.Context(), sql)
	if err != nil {
		w.t.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		w.t.Fatal(err)
	}
	slices.Sort(list)
	return list
}

// configure writes the YAML with these syncs. It may be called again.
func (w *world) configure(syncs string) {
	w.t.Helper()
	text := fmt.Sprintf(`version: 1
state: "%s"
lease: 2s
warehouses:
  shop: %s
projects:
  prod:
    project_id: 1
    model: %s
    token: tok
    service_account: {username: svc, secret: secret}
    api_url: %s
%sdefaults: {warehouse: shop, project: prod}
syncs:
`, w.stateURL(), stdcmp.Or(w.block, fmt.Sprintf("{type: postgres, dsn: %q}", w.dsn)), w.model, w.url, w.tuning)
	for line := range strings.Lines(strings.Trim(syncs, "\n")) {
		text += "  " + strings.TrimPrefix(line, "\t")
	}
	if err := os.WriteFile(w.config, []byte(text+"\n"), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// share makes the state a Postgres database of its own.
func (w *world) share() {
	w.t.Helper()
	w.shared = postgrestest.Start(w.t)
}

func (w *world) stateURL() string { return stdcmp.Or(w.shared, "sqlite:"+w.state) }

// report is an element of "syncs" in the JSON of run, under its public names.
type report struct {
	Sync         string `json:"sync"`
	RunID        string `json:"run_id"`
	Status       string `json:"status"`
	Rows         int    `json:"rows_read"`
	Sent         int    `json:"sent"`
	Accepted     int    `json:"accepted"`
	Rejected     int    `json:"rejected"`
	Held         int    `json:"held"`
	Slices       struct{ Done, Total int }
	Unchanged    int              `json:"unchanged"`
	Restated     int              `json:"restated"`
	Requests     int              `json:"requests"`
	Retries      int              `json:"retries"`
	RejectCounts map[string]int64 `json:"reject_counts"`
	Resumed      bool             `json:"resumed"`
	Deleted      int              `json:"deleted"`
	Mark         struct {
		Before, After *string
	} `json:"mark"`
	Error    *failure `json:"error"`
	Reason   string   `json:"reason"`
	Queries  int      `json:"queries"`
	QueryIDs []string `json:"query_ids"`
}

type failure struct{ Code, Message, Hint string }

// outcome is what a mixsync process left behind.
type outcome struct {
	code   int // -1: killed by a signal
	ok     bool
	syncs  map[string]report
	err    *failure // of the command as a whole
	stdout string
	stderr string
}

// process is a mixsync that runs.
type process struct {
	w        *world
	cmd      *exec.Cmd
	out, err bytes.Buffer
	done     chan struct{}
}

// start starts "mixsync ARGS…" on the world's configuration.
func (w *world) start(args ...string) *process {
	w.t.Helper()
	p := &process{w: w, cmd: exec.CommandContext(w.t.Context(), "mixsync", args...), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), "MIXSYNC_CONFIG="+w.config, "MIXSYNC_BACKOFF_SCALE="+stdcmp.Or(w.backoff, "0.01"), envToken+"="+w.token)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.err
	if err := p.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // ProcessState tells
	}()
	w.t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
	})
	return p
}

// begin starts "mixsync run -o json ARGS…".
func (w *world) begin(args ...string) *process {
	w.t.Helper()
	return w.start(append([]string{"run", "-o", "json"}, args...)...)
}

func (p *process) signal(s syscall.Signal) {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.w.t.Errorf("signal the process: %v", err)
	}
}

// end waits for the process and decodes what it printed, if it printed JSON.
func (p *process) end() outcome {
	p.w.t.Helper()
	select {
	case <-p.done:
	case <-time.After(2 * time.Minute):
		p.signal(syscall.SIGQUIT)
		<-p.done
		p.w.t.Fatalf("%v does not end:\n%s", p.cmd.Args, p.err.String())
	}
	o := outcome{code: p.cmd.ProcessState.ExitCode(), syncs: map[string]report{}, stdout: p.out.String(), stderr: p.err.String()}
	var body struct {
		OK    bool
		Syncs []report
		Error *failure
	}
	if p.out.Len() > 0 && json.Unmarshal(p.out.Bytes(), &body) == nil {
		o.ok, o.err = body.OK, body.Error
		for _, s := range body.Syncs {
			o.syncs[s.Sync] = s
		}
	}
	return o
}

// run runs mixsync to its end and checks the exit code.
func (w *world) run(code int, args ...string) outcome {
	w.t.Helper()
	o := w.begin(args...).end()
	if o.code != code {
		w.t.Fatalf("run %v: exit code %d, want %d\n%s\n%s", args, o.code, code, o.stdout, o.stderr)
	}
	for _, r := range o.syncs {
		if r.Rows != r.Accepted+r.Rejected+r.Held+r.Unchanged {
			w.t.Errorf("run %v: rows_read does not add up: %+v", args, r)
		}
		n := int64(0)
		for _, c := range r.RejectCounts {
			n += c
		}
		if n != int64(r.Rejected) {
			w.t.Errorf("run %v: %d rejected, but by code %v", args, r.Rejected, r.RejectCounts)
		}
	}
	return o
}

// sync runs one sync to a good end and returns its report.
func (w *world) sync(name string, args ...string) report {
	w.t.Helper()
	return w.run(0, append([]string{name}, args...)...).syncs[name]
}

// sends runs the sync and checks how many records it sent.
func (w *world) sends(name string, want int, args ...string) report {
	w.t.Helper()
	r := w.sync(name, args...)
	if r.Sent != want {
		w.t.Errorf("%s %v sent %d records, want %d: %+v", name, args, r.Sent, want, r)
	}
	return r
}

// fails runs the sync to a bad end and checks the code of its error.
func (w *world) fails(exit int, code, name string, args ...string) report {
	w.t.Helper()
	o := w.run(exit, append([]string{name}, args...)...)
	r, ok := o.syncs[name]
	if !ok || r.Error == nil || r.Error.Code != code {
		w.t.Fatalf("run %s %v: want the error %s, got %s", name, args, code, o.stdout)
	}
	return r
}

// json runs another command that prints JSON.
func (w *world) json(into any, args ...string) {
	w.t.Helper()
	o := w.start(append(args, "-o", "json")...).end()
	if err := json.Unmarshal([]byte(o.stdout), into); err != nil || o.code != 0 {
		w.t.Fatalf("%v: exit code %d, %v\n%s\n%s", args, o.code, err, o.stdout, o.stderr)
	}
}

// rejects returns the open rejects, code by key.
func (w *world) rejects() map[string]string {
	w.t.Helper()
	var list struct {
		Rejects []struct {
			Key  json.RawMessage
			Code string
		}
	}
	w.json(&list, "rejects", "list", "--limit", "0")
	byKey := map[string]string{}
	for _, r := range list.Rejects {
		byKey[string(r.Key)] = r.Code
	}
	return byKey
}

// mark returns the saved mark of a sync.
func (w *world) mark(name string) string {
	w.t.Helper()
	var x struct{ Syncs []struct{ Mark *string } }
	w.json(&x, "state", "show", name)
	if len(x.Syncs) != 1 || x.Syncs[0].Mark == nil {
		return ""
	}
	return *x.Syncs[0].Mark
}

// saved returns the runs of a sync as the state has them, newest first,
// whatever became of their processes.
func (w *world) saved(name string) []*checkpoint.Run {
	w.t.Helper()
	ctx := w.t.Context()
	s, err := checkpoint.Open(ctx, w.stateURL(), checkpoint.Options{ReadOnly: true})
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		w.t.Fatal(err)
	}
	defer s.Close()
	runs, err := s.Runs(ctx, checkpoint.RunFilter{Sync: name})
	if err != nil {
		w.t.Fatal(err)
	}
	return runs
}

// await polls until cond holds; it is false if the process ends before.
func (p *process) await(cond func() bool) bool {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-p.done:
			return cond()
		}
	}
	return true
}

// holds checks that the events are exactly the rows of a query of keys, each
// once in Mixpanel's deduplicated view.
func (w *world) holds(sql string) {
	w.t.Helper()
	sameKeys(w.t, "events", w.mp.InsertIDs(), w.keys(sql))
	if got, want := w.mp.Count(), len(w.mp.InsertIDs()); got != want {
		w.t.Errorf("%d deduplicated events have %d insert ids", got, want)
	}
}

// sameKeys compares sorted lists of keys, and shows only a few of those that differ.
func sameKeys(t *testing.T, what string, got, want []string) {
	t.Helper()
	if slices.Equal(got, want) {
		return
	}
	missing, extra := without(want, got), without(got, want)
	t.Errorf("%s: %d keys, want %d; %d missing %q, %d extra %q", what, len(got), len(want),
		len(missing), missing[:min(len(missing), 5)], len(extra), extra[:min(len(extra), 5)])
}

// without returns what a has more than b, both sorted.
func without(a, b []string) (rest []string) {
	for _, x := range a {
		for len(b) > 0 && b[0] < x {
			b = b[1:]
		}
		if len(b) > 0 && b[0] == x {
			b = b[1:]
			continue
		}
		rest = append(rest, x)
	}
	return rest
}

// received is how many events have arrived, copies included.
func (w *world) received() int { return w.mp.RawCount() }

func diff(t *testing.T, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// usage makes an event table of n rows; the cursor of row i is start plus i
// times step, both SQL. Extra columns are "name type" and their values SQL over i.
func (w *world) usage(n int, start, step string) {
	w.t.Helper()
	w.exec(`CREATE SCHEMA app;
		CREATE TABLE app.usage (id bigint PRIMARY KEY, event_name text, occurred_at timestamptz NOT NULL, account_id text,
			user_id text, anonymous_id text, feature text, loaded_at timestamptz NOT NULL)`)
	w.addUsage(1, n, start, step)
	w.exec(`CREATE INDEX ON app.usage (loaded_at, id)`)
	w.exec(`ANALYZE app.usage`)
}

// addUsage adds the rows from..to.
func (w *world) addUsage(from, to int, start, step string) {
	w.t.Helper()
	w.exec(fmt.Sprintf(`INSERT INTO app.usage SELECT i, 'Feature Used', now() - interval '1 day' + i * interval '1 millisecond',
		'acme' || i %% 10, 'user' || i %% 1000, NULL, 'feature ' || i %% 7, %s + (i - %d) * %s
		FROM generate_series(%d, %d) AS i`, start, from, step, from, to))
}

// usageSync is a sync of that table, with cursor settings.
func usageSync(cursor string) string {
	return `
usage:
  type: event
  table: app.usage
  mode: append
  primary_key: [id]
  cursor: {column: loaded_at, ` + cursor + `}
  mapping: {event: event_name, time: occurred_at, company_id: account_id, user_id: user_id, device_id: anonymous_id, insert_id: id}
`
}

const usageKeys = `SELECT id::text FROM app.usage`
