//go:build cgo

package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/youmark/pkcs8"

	"github.com/mixsync/mixsync/connectors/bigquery/bigquerytest"
	"github.com/mixsync/mixsync/connectors/mixpanel/emulator"
	"github.com/mixsync/mixsync/connectors/snowflake/snowflaketest"
)

// What is wrong with a cloud warehouse ends in an exit code, a stable error code, a
// message and a hint, the same by run, check and plan. Nothing of a secret is told
// by any, nor kept in the state.
func TestCloudRefusals(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	stranger := newKey(t)
	snow := func(o snowflaketest.Options, spoil func(s *snowflaketest.Server), change ...string) func(t *testing.T) string {
		return func(t *testing.T) string {
			o.PublicKey, o.Token = &key.PublicKey, "t0ken-value"
			s := snowflaketest.Start(t, o)
			snowExec(t, s, smallUsage)
			if spoil != nil {
				spoil(s)
			}
			return strings.NewReplacer(change...).Replace(s.Block())
		}
	}
	bq := func(spoil func(s *bigquerytest.Server), settings string) func(t *testing.T) string {
		return func(t *testing.T) string {
			s := bigquerytest.Start(t, bigquerytest.Options{Location: "EU"})
			s.Exec(t, smallUsage)
			if spoil != nil {
				spoil(s)
			}
			return strings.Replace(s.Block(), "insecure: true", "insecure: true"+settings, 1)
		}
	}
	const password = `password: "secret"`
	for name, test := range map[string]struct {
		block               func(t *testing.T) string
		table               string // app.usage
		exit                int
		code, message, hint string
		onlyRun             bool // check and plan do not meet it
	}{
		"snowflake: wrong account": {
			block: snow(snowflaketest.Options{}, func(s *snowflaketest.Server) { s.FailLogins(http.StatusForbidden) }, `"TEST"`, `"NOBODYS"`),
			exit:  3, code: "unreachable", message: `account "NOBODYS" is not known`, hint: "what stands before .snowflakecomputing.com"},
		"snowflake: wrong host": {
			block: snow(snowflaketest.Options{}, nil, "host: 127.0.0.1", "host: nowhere.invalid"),
			exit:  3, code: "unreachable", message: "nowhere.invalid", hint: "check account"},
		"snowflake: bad password": {
			block: snow(snowflaketest.Options{}, nil, password, `password: "wr0ng-value"`),
			exit:  3, code: "credentials", message: "390100", hint: "check user and password"},
		"snowflake: another's key": {
			block: snow(snowflaketest.Options{}, nil, password, fmt.Sprintf("private_key: %q", pemOf(t, stranger, ""))),
			exit:  3, code: "credentials", message: "390144", hint: "RSA_PUBLIC_KEY"},
		"snowflake: broken key": {
			block: snow(snowflaketest.Options{}, nil, password, fmt.Sprintf("private_key: %q", strings.ReplaceAll(pemOf(t, key, ""), "\n", " "))),
			exit:  2, code: "config", message: "not PEM", hint: "openssl"},
		"snowflake: wrong passphrase": {
			block: snow(snowflaketest.Options{}, nil, password, fmt.Sprintf("private_key: %q, private_key_passphrase: wr0ng-value", pemOf(t, key, "open sesame"))),
			exit:  2, code: "config", message: "cannot be decrypted", hint: "openssl"},
		"snowflake: expired token": {
			block: snow(snowflaketest.Options{}, (*snowflaketest.Server).ExpireToken, password, `token: t0ken-value`),
			exit:  3, code: "credentials", message: "390318", hint: "fresh one"},
		"snowflake: a browser": {
			block: snow(snowflaketest.Options{}, nil, password, "authenticator: externalbrowser"),
			exit:  2, code: "config", message: "externalbrowser", hint: "a worker has no browser"},
		"snowflake: wrong role": {
			block: snow(snowflaketest.Options{Roles: []string{"REPORTER"}}, nil, password, password+", role: OWNER"),
			exit:  3, code: "credentials", message: "Role 'OWNER'", hint: "GRANT ROLE"},
		"snowflake: suspended warehouse": {
			block: snow(snowflaketest.Options{}, func(s *snowflaketest.Server) { s.Suspend(true) }),
			exit:  3, code: "credentials", message: "No active warehouse", hint: "AUTO_RESUME"},
		"snowflake: no quota": {
			block: snow(snowflaketest.Options{}, func(s *snowflaketest.Server) {
				s.FailQueries("loaded_at", "090073", "22000", "Warehouse 'XS' cannot be resumed because resource monitor 'M' has exceeded its quota.")
			}),
			exit: 1, code: "warehouse_query", message: "resource monitor", hint: "quota", onlyRun: true},
		"snowflake: missing schema": {
			block: snow(snowflaketest.Options{}, nil), table: "nowhere.usage",
			exit: 2, code: "config", message: "002003", hint: "GRANT USAGE ON SCHEMA"},

		"bigquery: wrong role": {
			block: bq(func(s *bigquerytest.Server) {
				s.FailCalls(1000, http.StatusForbidden, "accessDenied", "Access Denied: Project test-project: User does not have bigquery.jobs.create permission in project test-project.")
			}, ""),
			exit: 3, code: "credentials", message: "Access Denied", hint: "roles/bigquery.jobUser on project test-project"},
		"bigquery: a token that is refused": {
			block: bq(func(s *bigquerytest.Server) { s.ExpireToken(1000) }, ""),
			exit:  3, code: "credentials", message: "invalid authentication credentials", hint: "IAM"},
		"bigquery: broken key": {
			block: func(t *testing.T) string {
				return fmt.Sprintf("{type: bigquery, project: test-project, endpoint: %q, credentials: %q}", bigquerytest.Start(t, bigquerytest.Options{}).Endpoint,
					`{"type": "service_account", "private_key": "wr0ng-value`)
			},
			exit: 2, code: "config", message: "no JSON", hint: "${file:"},
		"bigquery: a key that was withdrawn": {
			block: func(t *testing.T) string {
				s := bigquerytest.Start(t, bigquerytest.Options{})
				tokens := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
					http.Error(rw, `{"error": "invalid_grant", "error_description": "Invalid JWT Signature."}`, http.StatusBadRequest)
				}))
				t.Cleanup(tokens.Close)
				return fmt.Sprintf("{type: bigquery, project: test-project, endpoint: %q, credentials: %q}", s.Endpoint, serviceAccount(t, key, tokens.URL))
			},
			exit: 3, code: "credentials", message: "invalid_grant", hint: "IAM"},
		"bigquery: missing dataset": {
			block: bq(nil, ""), table: "nowhere.usage",
			exit: 2, code: "config", message: "nowhere.usage was not found in location EU", hint: "check the name of the dataset"},
		"bigquery: too many bytes": {
			block: bq(nil, ", max_bytes_billed: 1KB"),
			exit:  1, code: "warehouse_query", message: "exceeded limit for bytes billed: 1000", hint: "max_bytes_billed of this warehouse is 1000 bytes", onlyRun: true},
		"bigquery: wrong location": {
			block: bq(nil, ", location: asia-northeast1"),
			exit:  2, code: "config", message: "was not found in location asia-northeast1", hint: `set location of this warehouse to where the dataset is (it is "asia-northeast1")`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, emulator.Options{})
			w.block = test.block(t)
			syncs := cloudSync("lookback: 10m")
			if test.table != "" {
				syncs = strings.Replace(syncs, "app.usage", test.table, 1)
			}
			w.configure(syncs)
			commands := [][]string{{"run", "-o", "json", "--log-level", "debug"}, {"run"}}
			if !test.onlyRun {
				commands = append(commands, []string{"check", "-o", "json"}, []string{"plan", "-o", "json"}, []string{"preview", "usage", "-o", "json"})
			}
			for _, args := range commands {
				o := w.start(args...).end()
				if o.code != test.exit {
					t.Errorf("%v: exit code %d, want %d\n%s%s", args, o.code, test.exit, o.stdout, o.stderr)
				}
				w.keepsSecrets(o.stdout+o.stderr, key, stranger)
				if !slices.Contains(args, "json") {
					if !strings.Contains(o.stderr, test.message) || !strings.Contains(o.stderr, test.hint) {
						t.Errorf("%v says %s%s", args, o.stdout, o.stderr)
					}
					continue
				}
				f := o.err
				if f == nil {
					f = firstFailure(t, o.stdout)
				}
				if f == nil || f.Code != test.code || !strings.Contains(f.Message, test.message) || !strings.Contains(f.Hint, test.hint) {
					t.Errorf("%v: want %s, %q and %q\n%+v\n%s", args, test.code, test.message, test.hint, f, o.stdout)
				}
			}
			if n := w.mp.RawCount(); n != 0 {
				t.Errorf("%d events were sent", n)
			}
			var history struct {
				Syncs []struct{ Runs []struct{ Error *failure } }
			}
			w.json(&history, "status", "--runs")
			if runs := history.Syncs[0].Runs; len(runs) != 2 || runs[0].Error == nil || runs[0].Error.Code != test.code {
				t.Errorf("the history has %+v", runs)
			}
			w.keepsSecrets(w.kept(), key, stranger)
		})
	}
}

// firstFailure finds the first error in what a command printed, wherever it stands.
func firstFailure(t *testing.T, stdout string) *failure {
	t.Helper()
	var body struct {
		Syncs []struct {
			Error  *failure
			Faults []struct{ Message, Hint string }
		}
	}
	if err := json.Unmarshal([]byte(stdout), &body); err != nil {
		t.Fatalf("%v: %s", err, stdout)
	}
	for _, s := range body.Syncs {
		if s.Error != nil {
			return s.Error
		}
	}
	return nil
}

// kept is what the world's files hold, but for the configuration.
func (w *world) kept() string {
	w.t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path == w.config {
			return err
		}
		b, err := os.ReadFile(path)
		all.Write(b)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return all.String()
}

// keepsSecrets checks that a text holds nothing of the configuration's secrets.
func (w *world) keepsSecrets(text string, keys ...*rsa.PrivateKey) {
	w.t.Helper()
	secrets := []string{"wr0ng-value", "t0ken-value", "open sesame", `"secret"`, "standin-token"}
	for _, k := range keys {
		for line := range strings.Lines(pemOf(w.t, k, "")) {
			if line = strings.TrimSpace(line); len(line) > 40 {
				secrets = append(secrets, line)
			}
		}
	}
	for _, s := range secrets {
		if strings.Contains(text, s) {
			w.t.Errorf("%.12s… is told in\n%.2000s", s, text)
		}
	}
}

const smallUsage = `CREATE SCHEMA app; CREATE TABLE app.usage AS SELECT i AS id, 'Feature Used' AS event_name, TIMESTAMPTZ '2026-11-01 00:00:00+00' + i * INTERVAL '1 minute' AS occurred_at,
	'acme' || i % 10 AS account_id, 'user' || i % 100 AS user_id, TIMESTAMPTZ '2026-11-01 00:00:00+00' + i * INTERVAL '1 minute' AS loaded_at FROM range(1, 2001) AS r(i)`

func snowExec(t testing.TB, s *snowflaketest.Server, sql string) {
	t.Helper()
	if err := s.Exec(sql); err != nil {
		t.Fatalf("%v\n%.500s", err, sql)
	}
}

func newKey(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// pemOf is a key in PKCS#8, encrypted if there is a passphrase.
func pemOf(t testing.TB, key *rsa.PrivateKey, passphrase string) string {
	t.Helper()
	kind, der, err := "PRIVATE KEY", []byte(nil), error(nil)
	if passphrase == "" {
		der, err = x509.MarshalPKCS8PrivateKey(key)
	} else {
		kind = "ENCRYPTED PRIVATE KEY"
		der, err = pkcs8.MarshalPrivateKey(key, []byte(passphrase), nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// serviceAccount is the JSON of a service account's key.
func serviceAccount(t testing.TB, key *rsa.PrivateKey, tokenURI string) string {
	t.Helper()
	text, err := json.Marshal(map[string]string{"type": "service_account", "project_id": "test-project", "private_key_id": "1", "client_id": "1",
		"client_email": "mixsync@test-project.iam.gserviceaccount.com", "token_uri": tokenURI, "private_key": pemOf(t, key, "")})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The YAML alone points mixsync at a server of one's own, with every way to log in.
func TestCloudEndpoints(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	snow := snowflaketest.Start(t, snowflaketest.Options{PublicKey: &key.PublicKey, Token: "t0ken-value", InlineRows: 100, ChunkRows: 500})
	snowExec(t, snow, smallUsage)
	at := fmt.Sprintf("account: TEST, database: ANALYTICS, schema: MARTS, protocol: http, host: %s, port: %d", snow.Host(), snow.Port())
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	// Results of up to 10,000 rows come by pages anyway.
	bq := bigquerytest.Start(t, bigquerytest.Options{PageRows: 3000, ChunkRows: 500})
	bq.Exec(t, strings.Replace(smallUsage, "2001", "12001", 1))
	for name, block := range map[string]string{
		"snowflake: key pair":           fmt.Sprintf(`{type: snowflake, %s, user: MIXSYNC, private_key: "${file:%s}"}`, at, file("plain.p8", pemOf(t, key, ""))),
		"snowflake: encrypted key pair": fmt.Sprintf(`{type: snowflake, %s, user: MIXSYNC, private_key: "${file:%s}", private_key_passphrase: open sesame}`, at, file("locked.p8", pemOf(t, key, "open sesame"))),
		"snowflake: OAuth":              fmt.Sprintf(`{type: snowflake, %s, token: "${file:%s}"}`, at, file("token", "t0ken-value\n")),
		"snowflake: access token":       fmt.Sprintf(`{type: snowflake, %s, user: MIXSYNC, token: t0ken-value, authenticator: programmatic_access_token}`, at),
		"bigquery: sessions":            bq.Block(),
		"bigquery: pages":               fmt.Sprintf("{type: bigquery, project: test-project, endpoint: %q, insecure: true}", bq.Endpoint),
		"bigquery: service account":     fmt.Sprintf("{type: bigquery, project: test-project, endpoint: %q, credentials: %q}", bq.Endpoint, serviceAccount(t, key, bq.Endpoint+"/token")),
	} {
		t.Run(name, func(t *testing.T) { // one by one: calls are counted
			w := newWorld(t, emulator.Options{KeysOnly: true})
			w.block = block
			w.configure(cloudSync("lookback: 10m"))
			before := bq.Calls("CreateReadSession")
			rows := 2000
			if strings.HasPrefix(name, "bigquery") {
				rows = 12_000
			}
			w.sends("usage", rows)
			w.has(numbers(1, rows+1))
			w.keepsSecrets(w.kept(), key)
			if rows == 2000 {
				return
			}
			if n := bq.Calls("CreateReadSession") - before; (n > 0) != (name == "bigquery: sessions") {
				t.Errorf("the rows came by %d read sessions", n)
			}
		})
	}
	for _, l := range snow.Logins() {
		if l.Parameters["TIMEZONE"] != "UTC" {
			t.Errorf("a session has the parameters %v", l.Parameters)
		}
	}
}

// planned is what plan -o json says.
type planned struct {
	OK    bool
	Syncs []forecast
	Total forecast
}

type forecast struct {
	Status, Reason string
	Rows, Records  int
	Slices         int
	BytesToScan    *int64   `json:"bytes_to_scan"`
	BilledEvents   int      `json:"billed_events"`
	Seconds        *float64 `json:"seconds_at_rate_limit"`
	Notes          []string
	Window         *struct{ From, To *string }
	Error          *failure
}

func (w *world) plan(exit int, args ...string) planned {
	w.t.Helper()
	o := w.start(append([]string{"plan", "-o", "json"}, args...)...).end()
	var p planned
	if err := json.Unmarshal([]byte(o.stdout), &p); err != nil || o.code != exit {
		w.t.Fatalf("plan %v = %d, want %d: %v\n%s%s", args, o.code, exit, err, o.stdout, o.stderr)
	}
	return p
}

// plan tells from a dry run what BigQuery would scan; Snowflake does not tell.
// Nothing is sent, and the state stays as it is, byte for byte.
func TestCloudPlan(t *testing.T) {
	t.Parallel()
	for _, c := range clouds(t, 5000) {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, emulator.Options{KeysOnly: true})
			w.block = c.block
			c.exec(t, smallUsage)
			w.configure(cloudSync("lookback: 10m"))
			check := func(exit, rows, records int, args ...string) forecast {
				t.Helper()
				before, sent := w.kept(), w.mp.RawCount()
				p := w.plan(exit, args...)
				if w.kept() != before || w.mp.RawCount() != sent {
					t.Errorf("plan %v changed the state, or sent something", args)
				}
				f := p.Syncs[0]
				if !p.OK || f.Rows != rows || f.Records != records || f.BilledEvents != records || p.Total.Rows != rows || p.Total.Records != records || f.Seconds == nil {
					t.Errorf("plan %v: want %d rows and %d records: %+v", args, rows, records, p)
				}
				return f
			}
			f := check(0, 2000, 2000)
			switch {
			case c.name == "snowflake" && f.BytesToScan != nil:
				t.Errorf("Snowflake is said to scan %d bytes", *f.BytesToScan)
			case c.name == "bigquery" && (f.BytesToScan == nil || *f.BytesToScan != 2000*100): // as the stand-in counts
				t.Errorf("the plan says %+v, want 200,000 bytes to scan", f)
			}
			check(10, 2000, 2000, "--detailed-exitcode")
			w.sends("usage", 2000)
			if f := check(0, 0, 0, "--detailed-exitcode"); f.Status != "skipped" || f.Reason == "" {
				t.Errorf("nothing new: %+v", f)
			}
			c.exec(t, `INSERT INTO app.usage SELECT 5000 + i, 'New', now(), 'acme', 'new', now() - INTERVAL '1 hour' + i * INTERVAL '1 second' FROM range(5) AS r(i)`)
			f = check(10, 16, 5, "--detailed-exitcode") // 11 rows within the lookback were sent before
			if f.Window == nil || f.Window.From == nil || f.Window.To == nil {
				t.Errorf("the plan has no window: %+v", f)
			}
			w.sends("usage", 5)
			check(10, 2005, 2005, "--detailed-exitcode", "--resync")
		})
	}
}

// used is what a run says of its statements.
type used struct {
	Status       string
	Reason       string
	Queries      int
	BytesScanned int64    `json:"bytes_scanned"`
	QueryIDs     []string `json:"query_ids"`
	Slices       struct{ Done, Total int }
}

func (w *world) uses(args ...string) used {
	w.t.Helper()
	return w.usedBy(w.run(0, args...))
}

func (w *world) usedBy(o outcome) used {
	w.t.Helper()
	var body struct{ Syncs []used }
	if err := json.Unmarshal([]byte(o.stdout), &body); err != nil || len(body.Syncs) != 1 {
		w.t.Fatalf("%v: %s", err, o.stdout)
	}
	return body.Syncs[0]
}

// lastUse is what the history says of the last run.
func (w *world) lastUse() used {
	w.t.Helper()
	var history struct{ Syncs []struct{ Runs []used } }
	w.json(&history, "status", "--runs")
	if len(history.Syncs) != 1 || len(history.Syncs[0].Runs) == 0 {
		w.t.Fatalf("the history is %+v", history)
	}
	return history.Syncs[0].Runs[0]
}

// A run tells, and the history keeps, which statements it was and what they scanned.
func TestCloudUsage(t *testing.T) {
	t.Parallel()
	snow := snowflaketest.Start(t, snowflaketest.Options{})
	snowExec(t, snow, smallUsage)
	bq := bigquerytest.Start(t, bigquerytest.Options{})
	bq.Exec(t, smallUsage)
	for name, test := range map[string]struct {
		block string
		exit  int // of a value that cannot be cast, which BigQuery reports as an invalid query
		ids   func() (ids []string, bytes int64)
	}{
		"snowflake": {snow.Block(), 1, func() (ids []string, bytes int64) {
			for _, q := range snow.Queries() {
				if !q.DescribeOnly {
					ids = append(ids, q.ID)
				}
			}
			return ids, 0 // Snowflake tells the time of its warehouse, not bytes
		}},
		"bigquery": {bq.Block(), 2, func() (ids []string, bytes int64) {
			for _, j := range bq.Jobs() {
				if !j.DryRun && !strings.Contains(j.SQL, "CURRENT_TIMESTAMP") { // the clock is no statement of the run's
					ids, bytes = append(ids, j.ID), bytes+j.Bytes
				}
			}
			return ids, bytes
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, emulator.Options{KeysOnly: true})
			w.block = test.block
			w.configure(cloudSync("lookback: 10m"))
			r := w.uses()
			ids, bytes := test.ids()
			// The question whether the table has changed is none of the run's statements.
			if len(r.QueryIDs) == 0 || r.Queries != len(r.QueryIDs) || len(without(sorted(r.QueryIDs), sorted(ids))) > 0 || r.BytesScanned != bytes {
				t.Errorf("the run tells of %+v, the warehouse of %v and %d bytes", r, ids, bytes)
			}
			if name == "bigquery" && (len(r.QueryIDs) != len(ids) || bytes == 0) {
				t.Errorf("the run tells of %v, the warehouse of %v and %d bytes", r.QueryIDs, ids, bytes)
			}
			r.Slices = struct{ Done, Total int }{} // which the history does not have
			diff(t, "the history and the run", w.lastUse(), r)

			// A statement that fails while it runs is one that somebody will look for.
			w.configure(strings.Replace(cloudSync("lookback: 10m"), "table: app.usage", "query: SELECT *, CAST(event_name AS INT64) AS n FROM app.usage", 1))
			r = w.usedBy(w.run(test.exit, "--resync"))
			all, _ := test.ids()
			failed := all[len(all)-1]
			if !slices.Contains(r.QueryIDs, failed) || r.Queries != len(r.QueryIDs) || slices.Contains(ids, failed) {
				t.Errorf("the run tells of %+v, the statement that failed is %s", r, failed)
			}
			if h := w.lastUse(); !slices.Contains(h.QueryIDs, failed) || h.Status != "failed" {
				t.Errorf("the history tells of %+v, the statement that failed is %s", h, failed)
			}
		})
	}
}

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }

// A table that has not changed is not read again, unless the YAML or the state asks
// for it; a query always is.
func TestCloudSkips(t *testing.T) {
	t.Parallel()
	for _, c := range clouds(t, 5000) {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, emulator.Options{KeysOnly: true})
			w.block = c.block
			c.exec(t, smallUsage)
			sync := cloudSync("lookback: 10m")
			w.configure(sync)
			w.sends("usage", 2000)
			skipped := func(want bool, args ...string) {
				t.Helper()
				u := w.uses(args...)
				if got := u.Status == "skipped"; got != want || got != (u.Reason != "") || got != (u.Queries == 0) {
					t.Errorf("skipped is %t, want %t: %+v", got, want, u)
				}
				if last := w.lastUse(); last.Status != u.Status || last.Reason != u.Reason {
					t.Errorf("the history says %+v of %+v", last, u)
				}
			}
			skipped(true)
			w.configure(strings.Replace(sync, "mode: append", "mode: append\n  skip_unchanged: false", 1))
			skipped(false)
			w.configure(sync)
			skipped(false) // what the last run has read to its end was not asked
			skipped(true)
			w.configure(strings.Replace(sync, "lookback: 10m", "lookback: 20m", 1)) // rows behind the mark may be others
			skipped(false)
			w.configure(sync)
			skipped(false)
			skipped(true)
			skipped(false, "--start", "2026-11-01", "--end", "2026-11-02")
			skipped(false, "--dry-run")
			skipped(true)
			c.exec(t, `INSERT INTO app.usage SELECT 5001, 'New', now(), 'acme', 'new', now() - INTERVAL '1 hour'`)
			w.sends("usage", 1)
			skipped(true)
			if o := w.start("state", "reset", "usage").end(); o.code != 0 {
				t.Fatalf("state reset: %s%s", o.stdout, o.stderr)
			}
			skipped(false)
			w.configure(strings.Replace(sync, "table: app.usage", "query: SELECT * FROM app.usage", 1))
			skipped(false)
			skipped(false)
			w.has(append(numbers(1, 2001), "5001"))
		})
	}
}

// What the YAML says of cost and order arrives with every statement.
func TestCloudSettings(t *testing.T) {
	t.Parallel()
	snow := snowflaketest.Start(t, snowflaketest.Options{})
	snowExec(t, snow, smallUsage)
	w := newWorld(t, emulator.Options{KeysOnly: true})
	w.block = strings.Replace(snow.Block(), "protocol:", "role: REPORTER, warehouse: XS, query_tag: growth, statement_timeout: 90s, protocol:", 1)
	w.configure(cloudSync("lookback: 10m"))
	w.sends("usage", 2000)
	if len(snow.Logins()) == 0 {
		t.Error("there was no login")
	}
	for _, l := range snow.Logins() {
		if l.Role != "REPORTER" || l.Warehouse != "XS" || l.Parameters["QUERY_TAG"] != "growth" || l.Parameters["STATEMENT_TIMEOUT_IN_SECONDS"] != "90" || l.Parameters["TIMEZONE"] != "UTC" {
			t.Errorf("login %+v", l)
		}
	}
	if n := snow.Sessions(); n != 0 {
		t.Errorf("%d sessions are left", n)
	}

	bq := bigquerytest.Start(t, bigquerytest.Options{Location: "EU"})
	bq.Exec(t, smallUsage)
	w = newWorld(t, emulator.Options{KeysOnly: true})
	w.block = strings.Replace(bq.Block(), "insecure: true", "insecure: true, location: EU, labels: {team: growth, tool: mixsync}, priority: batch, job_timeout: 20m, max_bytes_billed: 1GB", 1)
	w.configure(cloudSync("lookback: 10m"))
	w.sends("usage", 2000)
	for _, j := range bq.Jobs() {
		if !maps.Equal(j.Labels, map[string]string{"team": "growth", "tool": "mixsync"}) || j.Location != "EU" {
			t.Errorf("job %+v", j)
		}
		if !j.DryRun && (j.Priority != "BATCH" || j.TimeoutMs != 20*60_000 || j.MaxBytesBilled != 1e9) {
			t.Errorf("job %+v", j)
		}
	}
}

// An incremental run of a table that is partitioned by the cursor scans little of it;
// one that is not is read in one piece, since every slice would scan the whole.
func TestCloudScansLittle(t *testing.T) {
	t.Parallel()
	for _, partitioned := range []bool{true, false} {
		t.Run(fmt.Sprintf("partitioned %t", partitioned), func(t *testing.T) {
			t.Parallel()
			const days, perDay = 20, 50_000 // as many rows as auto cuts slices of
			s := bigquerytest.Start(t, bigquerytest.Options{ChunkRows: 50_000})
			s.Exec(t, `CREATE SCHEMA app; CREATE TABLE app.usage (id BIGINT, event_name VARCHAR, occurred_at TIMESTAMPTZ, account_id VARCHAR, user_id VARCHAR, loaded_at TIMESTAMPTZ)`)
			add := func(from, to int) {
				s.Exec(t, fmt.Sprintf(`INSERT INTO app.usage SELECT i, 'E', TIMESTAMPTZ '2026-10-01 00:00:00+00', 'acme', 'user' || i %% 100,
					TIMESTAMPTZ '2026-10-01 00:00:00+00' + i * INTERVAL '1728 milliseconds' FROM range(%d, %d) AS r(i)`, from, to))
			}
			add(1, days*perDay)
			if partitioned {
				s.Partition(t, "app.usage", "loaded_at", false)
			}
			w := newWorld(t, emulator.Options{KeysOnly: true})
			w.block, w.url = s.Block(), discard(t)
			w.configure(cloudSync("lookback: 10m"))
			const whole = days * perDay * 100 // bytes
			first := w.uses()
			if want := partitioned; (first.Slices.Total > 1) != want || first.Slices.Done != first.Slices.Total {
				t.Errorf("the first run has %d slices", first.Slices.Total)
			}
			add(days*perDay, days*perDay+100)
			next := w.uses()
			if partitioned && next.BytesScanned > whole/3 {
				t.Errorf("an incremental run scans %d of %d bytes", next.BytesScanned, whole)
			}
		})
	}
}

// check, preview, status and rejects work on a cloud as on any warehouse.
func TestCloudCommands(t *testing.T) {
	eachCloud(t, emulator.Options{}, func(t *testing.T, c cloud, w *world) {
		c.exec(t, smallUsage)
		c.exec(t, `UPDATE app.usage SET account_id = NULL WHERE id IN (3, 5)`)
		w.configure(cloudSync("lookback: 10m"))
		var checked struct {
			OK    bool
			Syncs []struct {
				OK         bool
				Properties []json.RawMessage
			}
		}
		w.json(&checked, "check")
		if !checked.OK || len(checked.Syncs) != 1 || len(checked.Syncs[0].Properties) == 0 {
			t.Errorf("check says %+v", checked)
		}
		var previewed struct {
			Records []struct {
				Record map[string]any
				Code   string
			}
		}
		w.json(&previewed, "preview", "usage", "-n", "4")
		if n := len(previewed.Records); n != 4 {
			t.Errorf("preview shows %d records", n)
		}
		w.json(&previewed, "preview", "usage", "--key", "id=3")
		if len(previewed.Records) != 1 || previewed.Records[0].Code != "missing_company" {
			t.Errorf("preview of row 3: %+v", previewed)
		}
		if r := w.sync("usage"); r.Status != "partial" || r.Accepted != 1998 || r.Rejected != 2 {
			t.Errorf("the run: %+v", r)
		}
		mark := w.mark("usage")
		diff(t, "rejects", w.rejects(), map[string]string{`{"id":3}`: "missing_company", `{"id":5}`: "missing_company"})
		c.exec(t, `UPDATE app.usage SET account_id = 'acme' WHERE id = 3`)
		o := w.start("rejects", "retry", "--sync", "usage", "-o", "json").end()
		if r := o.syncs["usage"]; o.code != 0 || r.Accepted != 1 || r.Rejected != 1 {
			t.Errorf("rejects retry = %d: %s%s", o.code, o.stdout, o.stderr)
		}
		diff(t, "rejects", w.rejects(), map[string]string{`{"id":5}`: "missing_company"})
		var status struct {
			Syncs []struct {
				Mark    *string
				Lag     *float64 `json:"lag_seconds"`
				LastRun *used    `json:"last_run"`
				Open    int      `json:"open_rejects"`
			}
		}
		w.json(&status, "status")
		if s := status.Syncs[0]; s.Mark == nil || *s.Mark != mark || s.Lag == nil || s.LastRun == nil || s.Open != 1 {
			t.Errorf("status says %+v", s)
		}
		w.has(slices.DeleteFunc(numbers(1, 2001), func(id string) bool { return id == "5" }))
	})
}

// The same YAML but for the warehouse's block gives the same records from all four.
// Snowflake has its columns in upper case, and so are the properties called: their
// names are compared in lower case.
func TestSameRecordsFromEveryCloud(t *testing.T) {
	t.Parallel()
	syncs := `
	usage:
	  type: event
	  table: app.usage
	  mode: append
	  primary_key: [id]
	  cursor: {column: loaded_at}
	  mapping: {event: event_name, time: occurred_at, company_id: account_id, user_id: user_id}
	  properties: {flatten: [attrs]}
	users:
	  type: group
	  group_key: $user_id
	  table: app.people
	  mode: full
	  mapping: {company_id: account_id, group_id: user_id}
`
	records := func(w *world) (all []map[string]any) {
		t.Helper()
		w.configure(syncs)
		for _, name := range []string{"usage", "users"} {
			var out struct {
				Records []struct {
					Derived string `json:"derived_id"`
					Record  map[string]any
				}
			}
			w.json(&out, "preview", name, "-n", "20")
			slices.SortFunc(out.Records, func(a, b struct {
				Derived string `json:"derived_id"`
				Record  map[string]any
			}) int {
				return strings.Compare(a.Derived, b.Derived)
			})
			for _, r := range out.Records {
				r.Record["derived_id"] = r.Derived
				for _, inner := range []string{"properties", "$set"} {
					if properties, ok := r.Record[inner].(map[string]any); ok {
						lower := map[string]any{}
						for k, v := range properties {
							lower[strings.ToLower(k)] = v
						}
						r.Record[inner] = lower
					}
				}
				all = append(all, r.Record)
			}
		}
		return all
	}
	// Of each warehouse's own: a number range, bytes, JSON, and an array.
	statements := func(series, bytes, document, list string, types ...string) string {
		return strings.NewReplacer(append([]string{"SERIES", series, "BYTES", bytes, "DOCUMENT", document, "LIST", list}, types...)...).Replace(`
		CREATE SCHEMA app;
		CREATE TABLE app.usage AS SELECT CAST(i AS BIGINT) AS id, 'E' || i AS event_name, 'acct' || i AS account_id, 'user' || i AS user_id,
			TIMESTAMPTZ '2026-01-01 00:00:00.123456+00' + i * INTERVAL '1 minute' AS occurred_at,
			TIMESTAMPTZ '2026-01-02 00:00:00+00' + i * INTERVAL '1 minute' AS loaded_at,
			CAST(i * 1.25 AS DECIMAL(12,2)) AS amount, CAST(i AS DOUBLE PRECISION) / 7 AS score, i % 2 = 0 AS active, DATE '2026-01-31' AS day,
			TIME '12:34:56.5' AS clock, TIMESTAMP '2026-06-01 12:00:00' AS local, BYTES AS raw, DOCUMENT AS attrs, LIST AS tags,
			CAST(9007199254740990 + i AS BIGINT) AS big, CASE WHEN i % 3 = 0 THEN 'Grüße "x"' END AS note FROM SERIES AS r(i);
		CREATE TABLE app.people AS SELECT 'acme' AS account_id, 'alice' AS user_id, 'Alice "A" Ünï' AS name UNION ALL SELECT 'globex', 'alice', 'Other'`)
	}
	const document = `'{"a": {"b": 9007199254740993}, "c": null}'`
	pg := newWorld(t, emulator.Options{})
	pg.exec(statements("generate_series(1, 9)", `'\x00ff'::bytea`, document+"::json", "ARRAY[1, 2]"))
	want := records(pg)
	if len(want) != 11 {
		t.Fatalf("Postgres gives %d records", len(want))
	}

	duck := newWorld(t, emulator.Options{})
	path := filepath.Join(duck.dir, "lake.duckdb")
	lake(t, path, statements("range(1, 10)", `'\x00\xFF'::BLOB`, document+"::JSON", "[1, 2]"))
	duck.block = fmt.Sprintf("{type: duckdb, path: %q}", path)
	diff(t, "records of Postgres and DuckDB", records(duck), want)

	snow := snowflaketest.Start(t, snowflaketest.Options{})
	upper := []string{}
	for _, name := range []string{"id", "event_name", "account_id", "user_id", "occurred_at", "loaded_at", "amount", "score", "active", "day", "clock", "local", "raw", "attrs", "tags", "big", "note", "name"} {
		upper = append(upper, " AS "+name+",", " AS "+strings.ToUpper(name)+",", " AS "+name+" ", " AS "+strings.ToUpper(name)+" ")
	}
	snowExec(t, snow, statements("range(1, 10)", `'\x00\xFF'::BLOB`, "parse_json("+document+")", "[1, 2]", upper...))
	w := newWorld(t, emulator.Options{})
	w.block = snow.Block()
	diff(t, "records of Postgres and Snowflake", records(w), want)

	bq := bigquerytest.Start(t, bigquerytest.Options{})
	bq.Exec(t, statements("range(1, 10)", `'\x00\xFF'::BLOB`, "{'json__': "+document+"}", "[1, 2]"))
	w = newWorld(t, emulator.Options{})
	w.block = bq.Block()
	diff(t, "records of Postgres and BigQuery", records(w), want)
}
