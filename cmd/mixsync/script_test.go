package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"github.com/mixsync/mixsync/connectors/mixpanel/emulator"
	"github.com/mixsync/mixsync/connectors/postgres/postgrestest"
)

// What the scripts' credentials are. None of it may ever be printed or stored.
const (
	dsnPassword   = "dsn-pass-41f0c8"
	accountSecret = "account-secret-9b27de"
	projectToken  = "project-token-c3350a"
)

// TestScripts runs testdata/script: the command line as its users meet it, on a
// real process, a database of the script's own, and emulated projects.
//
// A script has these in its environment: DSN (the database, as superuser),
// TOKEN and SECRET (of the project, whose service account is svc), MIXPANEL_URL
// (after `emulator`). Beyond testscript's own commands there are:
//
//	mix CODE ARG…            runs mixsync, which has to exit with CODE
//	start ARG…               runs it in the background, until
//	url                      waits for the address on its stdout: MIXPANEL_URL, and ADDRESS without http://
//	signal INT|TERM          tells it to end and
//	finish CODE              waits for it
//	shop                     makes and fills tables
//	psql SQL…                runs SQL
//	locked ROLE PASSWORD     lets ROLE in by PASSWORD alone: a server of its own, LOCKED_HOST
//	reader TABLE…            makes a role that may read these tables and nothing else: READER_DSN
//	emulator [-FLAG…]        starts an emulated project in place of the last; see `emulator -h`
//	emulator stop|faults JSON
//	emulator hold|release    lets no events in for a while; `await held=1` waits for some
//	sent nothing | COUNT=N…  what it got: requests, records, events, raw_events, profiles, violations
//	await COUNT=N            until it got as many
//	json PATH VALUE          the value at PATH of stdout, a JSON text; ~VALUE is a pattern
//	keys PATH NAME…          the names of the object's members at PATH, all of them
//	save PATH VAR            the value at PATH of stdout, into the environment
//	hide TEXT                is a secret from now on
//
// Whatever a script is about, every run of mixsync is held to what is true of
// all: see verify.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireUniqueNames: true, Setup: setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"mix": cmdMix, "start": cmdStart, "url": cmdURL, "signal": cmdSignal, "finish": cmdFinish,
			"shop": cmdShop, "psql": cmdPsql, "locked": cmdLocked,
			"emulator": cmdEmulator, "sent": cmdSent, "await": cmdAwait,
			"json": cmdJSON, "keys": cmdKeys, "save": cmdSave, "hide": cmdHide, "reader": cmdReader,
		},
	})
}

// script is what the commands of one script share.
type script struct {
	tb       testing.TB
	secrets  []string
	emulator *emulator.Server
	http     *httptest.Server
	gate     gate
	running  *exec.Cmd
	stdout   buffer // of running
	stderr   buffer
	args     []string
}

type scriptKey struct{}

func of(ts *testscript.TestScript) *script { return ts.Value(scriptKey{}).(*script) }

func setup(e *testscript.Env) error {
	tb := e.T().(testing.TB) // as testscript promises for scripts started by Run
	s := &script{tb: tb, secrets: []string{accountSecret, projectToken}}
	e.Values[scriptKey{}] = s
	dsn, err := url.Parse(postgrestest.Start(tb))
	if err != nil {
		return err
	}
	if _, given := dsn.User.Password(); !given {
		dsn.User = url.UserPassword(dsn.User.Username(), dsnPassword)
		s.secrets = append(s.secrets, dsnPassword)
	}
	e.Setenv("DSN", dsn.String())
	e.Setenv("TOKEN", projectToken)
	e.Setenv("SECRET", accountSecret)
	e.Setenv("MIXSYNC_BACKOFF_SCALE", "0.001")
	e.Defer(func() {
		if s.running != nil {
			_ = s.running.Process.Kill()
			_ = s.running.Wait()
		}
		if s.gate.release(); s.http != nil {
			s.http.Close()
		}
		s.searchFiles(e.WorkDir)
	})
	return nil
}

// searchFiles looks for secrets in what mixsync wrote, byte by byte.
func (s *script) searchFiles(dir string) {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || !strings.Contains(d.Name(), ".db") {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, secret := range s.secrets {
			if bytes.Contains(data, []byte(secret)) {
				s.tb.Errorf("%s holds the secret %q", path, secret)
			}
		}
		return nil
	})
	if err != nil {
		s.tb.Error(err)
	}
}

func cmdHide(ts *testscript.TestScript, _ bool, args []string) {
	s := of(ts)
	s.secrets = append(s.secrets, args...)
}

func cmdMix(ts *testscript.TestScript, neg bool, args []string) {
	want := exitCode(ts, neg, args)
	err := ts.Exec("mixsync", args[1:]...)
	of(ts).verify(ts, args[1:], want, err, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
}

func exitCode(ts *testscript.TestScript, neg bool, args []string) int {
	if neg || len(args) == 0 {
		ts.Fatalf("which exit code is expected?")
	}
	code, err := strconv.Atoi(args[0])
	ts.Check(err)
	return code
}

var trace = regexp.MustCompile(`(?m)^panic:|^goroutine \d+|\.go:\d+ \+0x`)

// verify holds a run of mixsync to what is true of all of them: the exit code;
// no secret and no trace of a crash in what it said; results alone on stdout,
// one JSON text with -o json; an error says what is wrong, with a hint.
func (s *script) verify(ts *testscript.TestScript, args []string, want int, err error, stdout, stderr string) {
	got := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("mixsync %s exits with %d, want %d", strings.Join(args, " "), got, want)
	}
	for name, text := range map[string]string{"stdout": stdout, "stderr": stderr} {
		for _, secret := range s.secrets {
			if strings.Contains(text, secret) {
				ts.Fatalf("%s holds the secret %q", name, secret)
			}
		}
		if found := trace.FindString(text); found != "" {
			ts.Fatalf("%s holds the trace of a crash: %s", name, found)
		}
	}
	if strings.Contains(strings.Join(args, " "), "-o json") {
		verifyJSON(ts, stdout, stderr, got)
		return
	}
	if strings.Contains(stdout, "error: ") {
		ts.Fatalf("stdout holds an error, which belongs on stderr")
	}
	if got == 0 || got == exitRejects || got == exitSomething {
		if strings.Contains(stderr, "error: ") {
			ts.Fatalf("there is an error on stderr, but the exit code is %d", got)
		}
		return
	}
	if !strings.Contains(stderr, "error: ") || !strings.Contains(stderr, "hint: ") {
		ts.Fatalf("the exit code is %d, but stderr holds no error with a hint", got)
	}
}

func verifyJSON(ts *testscript.TestScript, stdout, stderr string, code int) {
	d := json.NewDecoder(strings.NewReader(stdout))
	var result map[string]any
	if err := d.Decode(&result); err != nil {
		ts.Fatalf("stdout is no JSON object: %v", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		ts.Fatalf("stdout holds more than one JSON text")
	}
	if strings.Contains(stderr, "error: ") {
		ts.Fatalf("with -o json errors are on stdout")
	}
	ok, given := result["ok"].(bool)
	if !given {
		return // a document of its own: the configuration, its schema
	}
	if ok != (code == exitDone || code == exitRejects || code == exitSomething) {
		ts.Fatalf("ok is %v, but the exit code is %d", ok, code)
	}
	found := false
	each(result, func(e map[string]any) {
		found = true
		message, _ := e["message"].(string)
		if e["code"] == "" || message == "" {
			ts.Fatalf("an error without code or message: %v", e)
		}
		if hint, _ := e["hint"].(string); hint == "" {
			ts.Fatalf("an error without hint: %v", e)
		}
		if got := slices.Sorted(maps.Keys(e)); !slices.Equal(got, []string{"code", "hint", "message", "where"}) {
			ts.Fatalf("an error with %q: %v", got, e)
		}
	})
	if !ok && !found {
		ts.Fatalf("ok is false, but there is no error")
	}
}

// each calls fn for every object that is the value of a member "error".
func each(v any, fn func(map[string]any)) {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			each(x, fn)
		}
	case map[string]any:
		for key, x := range v {
			if e, ok := x.(map[string]any); ok && key == "error" {
				fn(e)
			} else {
				each(x, fn)
			}
		}
	}
}

func cmdStart(ts *testscript.TestScript, _ bool, args []string) {
	s := of(ts)
	if s.running != nil {
		ts.Fatalf("something is running already")
	}
	path := ""
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if _, err := os.Stat(filepath.Join(dir, "mixsync")); err == nil {
			path = filepath.Join(dir, "mixsync")
			break
		}
	}
	s.stdout.Reset()
	s.stderr.Reset()
	s.args = args
	s.running = exec.CommandContext(s.tb.Context(), path, args...)
	s.running.Dir = ts.MkAbs(".")
	s.running.Stdout, s.running.Stderr = &s.stdout, &s.stderr
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "DSN", "TOKEN", "SECRET", "MIXPANEL_URL", "MIXSYNC_CONFIG", "MIXSYNC_BACKOFF_SCALE"} {
		s.running.Env = append(s.running.Env, name+"="+ts.Getenv(name))
	}
	ts.Check(s.running.Start())
}

var address = regexp.MustCompile(`http://([^\s"]+)`)

func cmdURL(ts *testscript.TestScript, _ bool, _ []string) {
	s := of(ts)
	var found []string
	s.wait(ts, "the address", func() bool {
		found = address.FindStringSubmatch(s.stdout.String())
		return found != nil
	})
	ts.Setenv("MIXPANEL_URL", found[0])
	ts.Setenv("ADDRESS", found[1])
}

// wait asks until it is so.
func (s *script) wait(ts *testscript.TestScript, what string, so func() bool) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for last := time.Now().Add(30 * time.Second); !so(); <-tick.C {
		if time.Now().After(last) {
			ts.Fatalf("waited too long for %s", what)
		}
	}
}

// buffer is written by a process and read meanwhile.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func (b *buffer) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.b.Reset()
}

func cmdSignal(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 || of(ts).running == nil {
		ts.Fatalf("usage: signal INT|TERM, while something is running")
	}
	sig := map[string]os.Signal{"INT": os.Interrupt, "TERM": syscall.SIGTERM}[args[0]]
	ts.Check(of(ts).running.Process.Signal(sig))
}

func cmdFinish(ts *testscript.TestScript, neg bool, args []string) {
	want, s := exitCode(ts, neg, args), of(ts)
	err := s.running.Wait()
	s.running = nil
	stdout, stderr := s.stdout.String(), s.stderr.String()
	_, _ = io.WriteString(ts.Stdout(), stdout)
	_, _ = io.WriteString(ts.Stderr(), stderr)
	s.verify(ts, s.args, want, err, stdout, stderr)
}

// The shop's tables hold an hour-old and a fixed time: events have to be recent
// to be taken, marks are easier to read when they are always the same.
const shop = `
CREATE SCHEMA app; CREATE SCHEMA crm;
CREATE TABLE app.usage (
  id bigint PRIMARY KEY, event_name text, occurred_at timestamptz NOT NULL DEFAULT now() - interval '1 hour',
  account_id text, user_id text, device_id text, plan_tier text, seats int, ratio float8,
  loaded_at timestamptz NOT NULL DEFAULT '2026-01-31T12:00:00Z');
CREATE INDEX ON app.usage (loaded_at, id);
INSERT INTO app.usage (id, event_name, account_id, user_id, plan_tier, seats, loaded_at) VALUES
  (1, 'Opened', 'acme', 'alice', 'pro', 3, '2026-01-31T11:58:00Z'),
  (2, 'Opened', 'globex', 'alice', 'free', 1, '2026-01-31T11:59:00Z'),
  (3, 'Closed', 'acme', 'bob', NULL, 3, '2026-01-31T12:00:00Z');
CREATE TABLE crm.accounts (account_id text PRIMARY KEY, account_name text, updated_at timestamptz NOT NULL DEFAULT '2026-01-31T12:00:00Z');
CREATE INDEX ON crm.accounts (updated_at, account_id);
INSERT INTO crm.accounts VALUES ('acme', 'Acme Ltd'), ('globex', 'Globex Inc');
CREATE TABLE crm.users (account_id text, user_id text, full_name text, PRIMARY KEY (account_id, user_id));
INSERT INTO crm.users VALUES ('acme', 'alice', 'Alice A'), ('globex', 'alice', 'Alice G'), ('acme', 'bob', 'Bob');
`

func cmdShop(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Check(postgrestest.Exec(of(ts).tb.Context(), ts.Getenv("DSN"), shop))
}

func cmdPsql(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(postgrestest.Exec(of(ts).tb.Context(), ts.Getenv("DSN"), strings.Join(args, " ")))
}

func cmdReader(ts *testscript.TestScript, _ bool, args []string) {
	s, dsn := of(ts), ts.Getenv("DSN")
	u, err := url.Parse(dsn)
	ts.Check(err)
	role := "reader_of_" + strings.TrimPrefix(u.Path, "/")
	const password = "reader-pass-5e10d2"
	ts.Check(postgrestest.Exec(s.tb.Context(), dsn, fmt.Sprintf(
		"CREATE ROLE %[1]s LOGIN PASSWORD '%[2]s'; GRANT USAGE ON SCHEMA app, crm TO %[1]s; GRANT SELECT ON %[3]s TO %[1]s", role, password, strings.Join(args, ", "))))
	ts.Defer(func() {
		ts.Check(postgrestest.Exec(context.WithoutCancel(s.tb.Context()), dsn, fmt.Sprintf("DROP OWNED BY %[1]s; DROP ROLE %[1]s", role)))
	})
	u.User = url.UserPassword(role, password)
	ts.Setenv("READER_DSN", u.String())
	s.secrets = append(s.secrets, password)
}

func cmdLocked(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: locked ROLE PASSWORD")
	}
	s, ctx := of(ts), of(ts).tb.Context()
	server, err := postgrestest.Run(ctx)
	ts.Check(err)
	ts.Defer(func() { ts.Check(server.Stop()) })
	conn, err := pgconn.Connect(ctx, server.DSN)
	ts.Check(err)
	found := conn.ExecParams(ctx, "SHOW hba_file", nil, nil, nil, nil).Read()
	ts.Check(errors.Join(found.Err, conn.Close(ctx)))
	role := args[0]
	ts.Check(postgrestest.Exec(ctx, server.DSN, fmt.Sprintf(
		"CREATE ROLE %[1]s LOGIN PASSWORD '%[2]s'; COPY (VALUES ('host all %[1]s 127.0.0.1/32 scram-sha-256'), ('host all all 127.0.0.1/32 trust')) TO '%[3]s'",
		role, args[1], found.Rows[0][0])))
	// Reloading is not done when the call returns; a start is.
	ts.Check(server.Restart(ctx))
	u, err := url.Parse(server.DSN)
	ts.Check(err)
	ts.Setenv("LOCKED_HOST", u.Host)
	s.secrets = append(s.secrets, args[1])
}

func cmdEmulator(ts *testscript.TestScript, _ bool, args []string) {
	s := of(ts)
	switch {
	case len(args) == 1 && args[0] == "stop":
		s.http.Close()
		return
	case len(args) == 1 && args[0] == "hold":
		s.gate.hold()
		return
	case len(args) == 1 && args[0] == "release":
		s.gate.release()
		return
	case len(args) == 2 && args[0] == "faults":
		var f emulator.Faults
		ts.Check(json.Unmarshal([]byte(args[1]), &f))
		ts.Check(s.emulator.SetFaults(f))
		return
	}
	o := emulator.Options{ProjectID: 1, Token: projectToken, Username: "svc", Secret: accountSecret}
	faults := ""
	f := flag.NewFlagSet("emulator", flag.ContinueOnError)
	f.StringVar(&o.Model, "model", "", "standard or hierarchical")
	f.Int64Var(&o.ProjectID, "project", 1, "its id")
	f.StringVar(&o.Secret, "secret", accountSecret, "of the service account")
	f.DurationVar(&o.Latency, "latency", 0, "of every answer")
	f.StringVar(&faults, "faults", "", "as JSON")
	ts.Check(f.Parse(args))
	if faults != "" {
		ts.Check(json.Unmarshal([]byte(faults), &o.Faults))
	}
	ts.Check(o.Validate())
	if s.http != nil {
		s.http.Close()
	}
	s.emulator = emulator.New(o)
	s.http = httptest.NewServer(s.gate.before(s.emulator))
	ts.Setenv("MIXPANEL_URL", s.http.URL)
}

// gate holds events back on their way in.
type gate struct {
	mu     sync.Mutex
	closed chan struct{} // closed by release; nil: open
	held   atomic.Int64
}

func (g *gate) before(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		wait := g.closed
		g.mu.Unlock()
		if wait != nil && r.URL.Path == "/import" {
			g.held.Add(1)
			select {
			case <-wait:
			case <-r.Context().Done():
			}
			g.held.Add(-1)
		}
		next.ServeHTTP(w, r)
	})
}

func (g *gate) hold() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed == nil {
		g.closed = make(chan struct{})
	}
}

func (g *gate) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed != nil {
		close(g.closed)
		g.closed = nil
	}
}

func (s *script) count(ts *testscript.TestScript, what string) int {
	state := s.emulator.State()
	switch what {
	case "requests":
		n := 0
		for _, of := range state.Counters.Requests {
			n += of
		}
		return n
	case "events":
		return state.Events
	case "held":
		return int(s.gate.held.Load())
	case "raw_events":
		return state.RawEvents
	case "records":
		// An empty object asks whether the credentials are good.
		n := 0
		for _, r := range s.emulator.Requests() {
			if r.BytesBody > len("[{}]") {
				n += r.Records
			}
		}
		return n
	case "profiles":
		return state.Profiles
	case "violations":
		return len(s.emulator.Violations())
	}
	ts.Fatalf("what is %q?", what)
	return 0
}

func wanted(ts *testscript.TestScript, arg string) (what string, n int) {
	what, text, _ := strings.Cut(arg, "=")
	n, err := strconv.Atoi(text)
	ts.Check(err)
	return what, n
}

func cmdSent(ts *testscript.TestScript, _ bool, args []string) {
	if slices.Equal(args, []string{"nothing"}) {
		args = []string{"records=0", "events=0", "profiles=0"}
	}
	for _, arg := range args {
		what, want := wanted(ts, arg)
		if got := of(ts).count(ts, what); got != want {
			ts.Fatalf("%s: %d, want %d", what, got, want)
		}
	}
}

func cmdAwait(ts *testscript.TestScript, _ bool, args []string) {
	what, want := wanted(ts, args[0])
	of(ts).wait(ts, args[0], func() bool { return of(ts).count(ts, what) >= want })
}

// at finds a value of stdout: "syncs.0.error.code", "." is all of it.
func at(ts *testscript.TestScript, path string) any {
	var v any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &v))
	if path == "." {
		return v
	}
	for name := range strings.SplitSeq(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			var ok bool
			if v, ok = x[name]; !ok {
				ts.Fatalf("%s: there is no %q, but %q", path, name, slices.Sorted(maps.Keys(x)))
			}
		case []any:
			i, err := strconv.Atoi(name)
			ts.Check(err)
			if i >= len(x) {
				ts.Fatalf("%s: there are %d", path, len(x))
			}
			v = x[i]
		default:
			ts.Fatalf("%s: %q of %v", path, name, v)
		}
	}
	return v
}

func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: json PATH VALUE")
	}
	v := at(ts, args[0])
	got, ok := v.(string)
	if !ok {
		text, err := json.Marshal(v)
		ts.Check(err)
		got = string(text)
	}
	same := got == args[1]
	if pattern, ok := strings.CutPrefix(args[1], "~"); ok {
		same = regexp.MustCompile(pattern).MatchString(got)
	}
	if same == neg {
		ts.Fatalf("%s is %s", args[0], got)
	}
}

func cmdSave(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: save PATH VAR")
	}
	ts.Setenv(args[1], fmt.Sprint(at(ts, args[0])))
}

func cmdKeys(ts *testscript.TestScript, _ bool, args []string) {
	object, ok := at(ts, args[0]).(map[string]any)
	if !ok {
		ts.Fatalf("%s is no object", args[0])
	}
	if got, want := slices.Sorted(maps.Keys(object)), slices.Sorted(slices.Values(args[1:])); !slices.Equal(got, want) {
		ts.Fatalf("%s has %q, want %q", args[0], got, want)
	}
}

// TestNoGoroutineIsLeft runs the commands in this process: whatever becomes of
// them, nothing of them goes on.
func TestNoGoroutineIsLeft(t *testing.T) {
	dsn := postgrestest.Start(t)
	if err := postgrestest.Exec(t.Context(), dsn, shop); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "mixsync.yaml")
	err := os.WriteFile(config, []byte(`version: 1
state: "sqlite:`+filepath.Join(dir, "state.db")+`"
warehouses: {shop: {type: postgres, dsn: "${DSN}"}, nowhere: {type: postgres, dsn: "postgres://127.0.0.1:1/x"}}
projects: {prod: {project_id: 1, model: hierarchical, token: tok, api_url: "${MIXPANEL_URL}"}}
defaults: {warehouse: shop, project: prod}
syncs:
  usage:
    type: event
    table: app.usage
    mode: append
    primary_key: [id]
    cursor: {column: loaded_at}
    mapping: {event: event_name, time: occurred_at, company_id: account_id, user_id: user_id}
  strict:
    type: event
    table: app.usage
    mode: append
    primary_key: [id]
    cursor: {column: loaded_at}
    mapping: {event: event_name, time: occurred_at, company_id: account_id, user_id: plan_tier}
  users: {type: group, group_key: $user_id, table: crm.users, mode: mirror, primary_key: [account_id, user_id], mapping: {company_id: account_id, group_id: user_id}}
  missing: {type: group, group_key: $company_id, table: crm.companies, mode: full, mapping: {company_id: account_id}}
  away: {type: group, group_key: $company_id, warehouse: nowhere, table: crm.accounts, mode: full, mapping: {company_id: account_id}}
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	unauthorized := emulator.Faults{Rules: []emulator.Rule{{Kind: emulator.FaultUnauthorized}}}
	for _, test := range []struct {
		args   string
		want   int
		faults emulator.Faults
	}{
		{args: "version"},
		{args: "schema"},
		{args: "help run"},
		{args: "frobnicate", want: exitConfig},
		{args: "status"},
		{args: "check --offline"},
		{args: "check usage users"},
		{args: "check", want: exitConfig},
		{args: "check usage", want: exitUnreachable, faults: unauthorized},
		{args: "preview usage -n 1"},
		{args: "preview missing", want: exitConfig},
		{args: "run usage users --dry-run"},
		{args: "run usage --limit 1"},
		{args: "run users", want: exitUnreachable, faults: emulator.Faults{Rules: []emulator.Rule{{Kind: emulator.FaultStatus, Status: 401}}}},
		{args: "run usage", want: exitUnreachable, faults: unauthorized},
		{args: "run usage users"},
		{args: "run usage --resync", faults: emulator.Faults{Rules: []emulator.Rule{{Kind: emulator.FaultResetAfter, Next: 1}}}},
		{args: "run strict", want: exitFailed},
		{args: "run", want: exitConfig},
		{args: "status --runs"},
		{args: "rejects list"},
		{args: "rejects drop --all"},
		{args: "state show"},
		{args: "state reset usage"},
	} {
		t.Run(test.args, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			e := emulator.Start(t, emulator.Options{Token: "tok", Faults: test.faults})
			env := map[string]string{"DSN": dsn, "MIXPANEL_URL": e.URL, "MIXSYNC_CONFIG": config, "MIXSYNC_BACKOFF_SCALE": "0.001"}
			getenv := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
			var stdout, stderr bytes.Buffer
			if got := run(t.Context(), strings.Fields(test.args), strings.NewReader(""), &stdout, &stderr, getenv); got != test.want {
				t.Errorf("mixsync %s exits with %d, want %d\n%s%s", test.args, got, test.want, &stdout, &stderr)
			}
			e.Close()
			goleak.VerifyNone(t, before)
		})
	}
}
