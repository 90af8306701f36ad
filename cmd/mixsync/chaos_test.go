package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mixsync/mixsync/connectors/mixpanel/emulator"
	"github.com/mixsync/mixsync/sync/checkpoint"
)

var (
	chaosSeed  = flag.Uint64("chaos.seed", 1, "first seed of TestChaos")
	chaosSeeds = flag.Uint64("chaos.seeds", 3, "how many seeds TestChaos tries")
)

// Whatever happens to the processes, the wires and the state, in the end
// Mixpanel holds exactly the rows of the warehouse: each event once, each profile
// as its row is now, each row that cannot be sent in the reject ledger.
func TestChaos(t *testing.T) {
	t.Parallel()
	for seed := *chaosSeed; seed < *chaosSeed+*chaosSeeds; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			for _, fault := range runChaos(t, seed, "mixsync") {
				t.Error(fault)
			}
			if t.Failed() {
				t.Logf("again: go test ./cmd/mixsync -run 'TestChaos$' -chaos.seed=%d -chaos.seeds=1", seed)
			}
		})
	}
}

// chaos is a world in which everything goes wrong for a while.
type chaos struct {
	*world
	seed    uint64
	rng     *rand.Rand // of the plan; every actor has its own
	binary  string
	proxies map[string]*proxy
	shared  bool // the state is a Postgres
	late    bool // rows come late, as far as the lookback allows
	sleepy  bool // the first process falls asleep while it sends, and others take over
	asleep  moment
	awake   moment
	users   int

	// The warehouse's clock is a made-up one, so that the mark is never near the
	// real time by chance.
	clock time.Time
	last  int // newest id

	mu    sync.Mutex
	diary []string // what was done to whom, for whoever reads a failure
	sick  []string // what processes must never do
}

const (
	chaosTime  = 3500 * time.Millisecond
	sleepyTime = 5500 * time.Millisecond // at most: a lease takes its time to be lost
	lateBy     = 700 * time.Millisecond
	lookback   = 2 * time.Second
)

// runChaos plays one seed and returns what is wrong in the end.
func runChaos(t *testing.T, seed uint64, binary string) []string {
	t.Helper()
	c := &chaos{seed: seed, rng: rand.New(rand.NewPCG(seed, 0)), binary: binary, proxies: map[string]*proxy{},
		world: newWorld(t, emulator.Options{})}
	c.shared, c.late = c.rng.IntN(3) > 0, c.rng.IntN(3) > 0
	if c.shared {
		c.share()
	}
	c.sleepy = c.shared && c.rng.IntN(2) == 0
	c.fill()
	c.write()
	c.faulty()

	length := chaosTime
	if c.sleepy {
		length = sleepyTime
	}
	ctx, stop := context.WithTimeout(t.Context(), length)
	defer stop()
	c.asleep, c.awake = newMoment(ctx), newMoment(ctx)
	if !c.sleepy {
		c.asleep.come()
		c.awake.come()
	}
	var actors sync.WaitGroup
	actors.Go(func() { c.author(ctx, c.actor(1)) })
	actors.Go(func() { c.wires(ctx, c.actor(2)) })
	n := 1 + c.rng.IntN(4)
	if c.sleepy {
		n = 2 + c.rng.IntN(2)
	}
	for i := range n {
		serves := c.shared && i == n-1 && c.rng.IntN(3) == 0
		dozes := c.sleepy && i == 0
		actors.Go(func() {
			r := c.actor(10 + uint64(i))
			if dozes {
				c.life(ctx, r, false, true)
				c.asleep.come()
				c.awake.come()
				pause(ctx, 500*time.Millisecond) // the others go on for a moment
				stop()
			}
			for <-c.asleep.Done(); ctx.Err() == nil; {
				c.life(ctx, r, serves, false)
			}
		})
	}
	actors.Wait()
	c.quickly()
	for _, p := range c.proxies {
		p.calm()
	}
	faults := append(c.settle(), c.sick...)
	if len(faults) > 0 {
		faults = append(faults, fmt.Sprintf("seed %d: %d actors, shared %t, late %t, sleepy %t\n%s", seed, n, c.shared, c.late, c.sleepy, strings.Join(c.diary, "\n")))
	}
	return faults
}

func (c *chaos) actor(n uint64) *rand.Rand { return rand.New(rand.NewPCG(c.seed, n)) }

func (c *chaos) note(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.diary = append(c.diary, fmt.Sprintf(format, args...))
}

// fill makes tables with rows of two days, some on the bounds of hours, some dirty.
func (c *chaos) fill() {
	c.clock = time.Date(2026, 3, 14, 0, 0, 0, 0, time.UTC).Add(time.Duration(c.rng.IntN(48)) * time.Hour)
	n := 200 + c.rng.IntN(4000)
	c.users = n / 3
	if c.sleepy {
		c.users = 6000 + c.rng.IntN(3000) // several requests, of 2000 each at most
	}
	c.exec(`CREATE TABLE usage (id bigint PRIMARY KEY, name text, at timestamptz, company text, usr text, loaded_at timestamptz);
		CREATE INDEX ON usage (loaded_at, id);
		CREATE TABLE users (company text, id text, v int, updated_at timestamptz, PRIMARY KEY (company, id));
		CREATE INDEX ON users (updated_at, company, id)`)
	c.exec(`INSERT INTO usage SELECT i, 'Used', now() - interval '1 day', CASE WHEN i % 29 > 0 THEN 'c' || i % 5 END, 'u' || i % 50,
			date_trunc(CASE WHEN i % 7 = 0 THEN 'hour' ELSE 'second' END, $2::timestamptz - interval '2 days' * (1 - i::float / $1::int))
		FROM generate_series(1, $1::int) i`, n, c.clock)
	c.exec(`INSERT INTO users SELECT 'c' || i % 5, 'u' || i, i, $2::timestamptz - interval '2 days' * (1 - i::float / $1::int)
		FROM generate_series(1, $1::int) i`, c.users, c.clock)
	c.last = n
}

// write makes the configuration: everything goes through proxies.
func (c *chaos) write() {
	wh := c.through("warehouse", c.dsn)
	state := "sqlite:" + c.state
	if c.shared {
		state = c.through("state", c.world.shared)
	}
	mp := c.through("mixpanel", c.mp.URL)
	back := "0s"
	if c.late {
		back = lookback.String()
	}
	senders := 1 + c.rng.IntN(4)
	if c.sleepy {
		senders = 1
	}
	text := fmt.Sprintf(`version: 1
state: %q
lease: 1s
warehouses: {shop: {type: postgres, dsn: %q}}
projects:
  prod: {project_id: 1, model: hierarchical, token: tok, request_timeout: 1s, api_url: %q, service_account: {username: svc, secret: secret}, concurrency: %d}
defaults: {warehouse: shop, project: prod, schedule: "@every 1s"}
syncs:
  usage:
    type: event
    table: usage
    mode: append
    primary_key: [id]
    parallel: %d
    max_rejects: 100%%
    max_restated: 100%%
    cursor: {column: loaded_at, settle: 0s, lookback: %s, slice: %s}
    mapping: {event: name, time: at, company_id: company, user_id: usr, insert_id: id}
  users:
    type: group
    group_key: $user_id
    table: users
    mode: upsert
    cursor: {column: updated_at, settle: 0s, lookback: %s, slice: %s}
    mapping: {company_id: company, group_id: id}
`, state, wh, mp, senders, 1+c.rng.IntN(3), back, []string{"auto", "hour", "day"}[c.rng.IntN(3)], back, []string{"auto", "day"}[c.rng.IntN(2)])
	if err := os.WriteFile(c.config, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// through puts a proxy before a server and returns its URL.
func (c *chaos) through(name, server string) string {
	u, err := url.Parse(server)
	if err != nil {
		c.t.Fatal(err)
	}
	p := newProxy(c.t, u.Host)
	c.proxies[name] = p
	u.Host = p.address()
	return u.String()
}

// faulty makes the emulator fail in all the ways that pass.
func (c *chaos) faulty() {
	delay := 5 + c.rng.IntN(80)
	if c.sleepy {
		delay += 50
	}
	rules := []emulator.Rule{{Kind: emulator.FaultSlow, DelayMS: delay}}
	for _, kind := range []string{emulator.FaultStatus, emulator.FaultThrottle, emulator.FaultResetBefore, emulator.FaultResetAfter, emulator.FaultCut, emulator.FaultTruncate} {
		if c.rng.IntN(2) == 0 {
			rules = append(rules, emulator.Rule{Kind: kind, Probability: 0.02 + 0.08*c.rng.Float64()})
		}
	}
	if err := c.mp.SetFaults(emulator.Faults{Seed: c.seed, Rules: rules}); err != nil {
		c.t.Fatal(err)
	}
}

// wires cuts connections, and keeps them from being made for a while.
func (c *chaos) wires(ctx context.Context, r *rand.Rand) {
	names := slices.Sorted(func(yield func(string) bool) {
		for name := range c.proxies {
			if !yield(name) {
				return
			}
		}
	})
	for pause(ctx, time.Duration(100+r.IntN(900))*time.Millisecond) {
		name := names[r.IntN(len(names))]
		if name == "warehouse" && c.awake.Err() == nil { // what a sleeper has read it keeps, and so it is old when it is sent
			continue
		}
		p := c.proxies[name]
		c.note("cut %s", name)
		p.cut()
		if r.IntN(3) == 0 {
			p.down.Store(true)
			pause(ctx, time.Duration(r.IntN(300))*time.Millisecond)
			p.down.Store(false)
		}
	}
}

// author changes the warehouse: new rows, ties, late rows, transactions that stay
// open for a while, profiles that change and change back, dirty rows that are mended.
func (c *chaos) author(ctx context.Context, r *rand.Rand) {
	conn, err := pgx.Connect(context.WithoutCancel(ctx), c.dsn)
	if err != nil {
		c.sicken("the author cannot connect: %v", err)
		return
	}
	defer conn.Close(context.WithoutCancel(ctx))
	other, err := pgx.Connect(context.WithoutCancel(ctx), c.dsn)
	if err != nil {
		c.sicken("the author cannot connect: %v", err)
		return
	}
	defer other.Close(context.WithoutCancel(ctx))
	var open pgx.Tx
	steps := 0 // until the open transaction commits
	do := func(db interface {
		Exec(context.Context, string, ...any) (pgconn.CommandTag, error)
	}, sql string, args ...any) {
		if _, err := db.Exec(context.WithoutCancel(ctx), sql, args...); err != nil {
			c.sicken("the author's statement failed: %v", err)
		}
	}
	commit := func() {
		if err := open.Commit(context.WithoutCancel(ctx)); err != nil {
			c.sicken("the author cannot commit: %v", err)
		}
		open = nil
	}
	for pause(ctx, time.Duration(10+r.IntN(50))*time.Millisecond) {
		if r.IntN(3) > 0 {
			c.clock = c.clock.Add(time.Duration(r.IntN(20)) * 10 * time.Millisecond) // or else ties
		}
		at := c.clock
		if c.late && r.IntN(3) == 0 {
			at = at.Add(-time.Duration(r.Int64N(int64(lateBy))))
		}
		if c.late && open == nil && r.IntN(5) == 0 {
			if open, err = other.Begin(context.WithoutCancel(ctx)); err != nil {
				c.sicken("the author cannot begin: %v", err)
				return
			}
			steps = 1 + r.IntN(3)
			c.last++
			do(open, insertUsage, c.last, "c1", at)
		}
		for range 1 + r.IntN(10) {
			c.last++
			company := any(fmt.Sprintf("c%d", r.IntN(5)))
			if r.IntN(20) == 0 {
				company = nil
			}
			do(conn, insertUsage, c.last, company, at)
		}
		changed := []string{"u1"}
		for range r.IntN(8) {
			changed = append(changed, fmt.Sprintf("u%d", 1+r.IntN(c.users)))
		}
		do(conn, `UPDATE users SET v = CASE WHEN v % 2 = 0 THEN v + 1 ELSE v - 1 END, updated_at = $1 WHERE id = ANY($2)`, at, changed)
		if r.IntN(4) == 0 {
			do(conn, `UPDATE usage SET company = 'c0', loaded_at = $1 WHERE id = (SELECT min(id) FROM usage WHERE company IS NULL)`, at)
		}
		if steps--; open != nil && steps <= 0 {
			commit()
		}
	}
	if open != nil {
		commit()
	}
}

const insertUsage = `INSERT INTO usage VALUES ($1, 'Used', now() - interval '1 hour', $2, 'u1', $3)`

func (c *chaos) sicken(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sick = append(c.sick, fmt.Sprintf(format, args...))
}

// life is that of one process: it runs, and may be stopped in one of several ways.
func (c *chaos) life(ctx context.Context, r *rand.Rand, serves, dozes bool) {
	args := []string{"run", "-o", "json"}
	switch n := r.IntN(10); {
	case serves:
		args = []string{"serve", "--listen", "127.0.0.1:0"}
	case dozes:
		args = append(args, "users")
	case n < 2:
		args = append(args, "--resync")
	case n == 2:
		args = append(args, "usage", "--start", c.began().Add(-24*time.Hour).Format(time.RFC3339))
	}
	limit := ""
	if !c.shared && r.IntN(4) == 0 {
		limit = fmt.Sprintf("ulimit -f %d; ", 100+r.IntN(2000)) // of 512 bytes each
	}
	cmd := exec.Command("sh", append([]string{"-c", limit + `exec "$0" "$@"`, c.binary}, args...)...) //nolint:gosec,noctx // its end is what the test is about
	cmd.Env = c.env()
	var errs strings.Builder
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		c.sicken("a process cannot start: %v", err)
		return
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = cmd.Wait() }()
	what := ""
	if dozes {
		what = c.doze(ctx, r, cmd.Process, done)
	} else {
		what = c.fate(ctx, r, cmd.Process, done)
	}
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		c.sicken("%v does not end after %s\n%s", args, what, errs.String())
		_ = cmd.Process.Signal(syscall.SIGQUIT)
		time.Sleep(time.Second)
		_ = cmd.Process.Kill()
		<-done
	}
	code := cmd.ProcessState.ExitCode()
	c.note("%v%v: %s, ended with %d", limit, args, what, code)
	if code == exitConfig || strings.Contains(errs.String(), "goroutine ") || !slices.Contains([]int{-1, exitDone, exitFailed, exitUnreachable, exitHeld, exitInterrupt, exitTerminated}, code) {
		c.sicken("%v ended with %d after %s\n%s", args, code, what, errs.String())
	}
}

func (c *chaos) began() time.Time { return time.Date(2026, 3, 14, 0, 0, 0, 0, time.UTC) }

// fate lets a process live for a while, and then ends it, or lets it sleep past
// its lease, or does nothing.
func (c *chaos) fate(ctx context.Context, r *rand.Rand, p *os.Process, done <-chan struct{}) string {
	wait := time.Duration(50+r.IntN(1200)) * time.Millisecond
	kind := r.IntN(10)
	alive := func(d time.Duration) bool {
		select {
		case <-done:
			return false
		case <-time.After(d):
			return true
		}
	}
	switch {
	case !alive(wait):
		return "nothing"
	case kind < 4:
		_ = p.Kill()
		return "SIGKILL after " + wait.String()
	case kind < 6:
		_ = p.Signal(syscall.SIGTERM)
		return "SIGTERM after " + wait.String()
	case kind < 9:
		return "after " + wait.String() + " " + c.sleep(ctx, r, p, done)
	}
	pause(ctx, chaosTime)
	_ = p.Kill()
	return "SIGKILL at the end"
}

// doze puts a process to sleep as soon as it has begun to send, and wakes it once
// another has sent what changed meanwhile: from then on all that it still has in
// hand is old.
func (c *chaos) doze(ctx context.Context, r *rand.Rand, p *os.Process, done <-chan struct{}) string {
	for len(c.mp.Profiles()) == 0 {
		select {
		case <-done:
			return "nothing"
		case <-ctx.Done():
			_ = p.Kill()
			return "SIGKILL, as it never sent"
		case <-time.After(5 * time.Millisecond):
		}
	}
	pause(ctx, time.Duration(r.IntN(100))*time.Millisecond)
	_ = p.Signal(syscall.SIGSTOP)
	began := time.Now()
	c.asleep.come()
	pause(ctx, 1200*time.Millisecond)              // longer than the lease and a request may take
	for sent := 0; sent < 2 && ctx.Err() == nil; { // what the sleeper began, and what came since
		if out, err := c.command(ctx, "run", "-o", "json", "users").Output(); err == nil && succeeded(out, 1) {
			sent++
			continue
		}
		pause(ctx, 100*time.Millisecond)
	}
	what := fmt.Sprintf("SIGSTOP for %s", time.Since(began).Round(time.Millisecond))
	_ = p.Signal(syscall.SIGCONT)
	c.awake.come()
	select {
	case <-done:
	case <-time.After(2 * time.Second):
		_ = p.Kill()
	}
	return what
}

// moment is a point in time that others wait for; it comes at the latest when its
// context ends.
type moment struct {
	context.Context
	come context.CancelFunc
}

func newMoment(ctx context.Context) moment {
	ctx, come := context.WithCancel(ctx)
	return moment{ctx, come}
}

// sleep lets a process sleep for longer than its lease and its requests' timeout.
func (c *chaos) sleep(ctx context.Context, r *rand.Rand, p *os.Process, done <-chan struct{}) string {
	asleep := time.Duration(2200+r.IntN(1300)) * time.Millisecond
	_ = p.Signal(syscall.SIGSTOP)
	pause(ctx, asleep)
	_ = p.Signal(syscall.SIGCONT)
	select {
	case <-done:
	case <-time.After(time.Second):
		_ = p.Kill()
	}
	return "SIGSTOP for " + asleep.String()
}

// pause waits; it is false when ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// command is mixsync in this world.
func (c *chaos) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, c.binary, args...)
	cmd.Env = c.env()
	return cmd
}

func (c *chaos) env() []string {
	return append(os.Environ(), "MIXSYNC_CONFIG="+c.config, "MIXSYNC_BACKOFF_SCALE=0.01")
}

// succeeded reports whether n syncs of a run's output were run.
func succeeded(out []byte, n int) bool {
	var o struct{ Syncs []report }
	if json.Unmarshal(out, &o) != nil || len(o.Syncs) != n {
		return false
	}
	return !slices.ContainsFunc(o.Syncs, func(r report) bool { return r.Status != "succeeded" && r.Status != "partial" })
}

// settle runs the syncs in peace and compares what Mixpanel and the state hold
// with the warehouse.
func (c *chaos) settle() (faults []string) {
	var last string
	for try := range 2 {
		ok := false
		for end := time.Now().Add(20 * time.Second); !ok && time.Now().Before(end); {
			out, err := c.command(c.t.Context(), "run", "-o", "json").Output()
			last = string(out)
			if ok = err == nil && succeeded(out, 2); !ok { // a dead process may hold a sync for a moment
				time.Sleep(300 * time.Millisecond)
			}
		}
		if !ok {
			return []string{fmt.Sprintf("run %d in peace does not succeed: %s", try, last)}
		}
	}
	complain := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	keys := func(what string, got, want []string) {
		if missing, extra := without(want, got), without(got, want); len(missing)+len(extra) > 0 {
			complain("%s: %d keys, want %d: %d missing %q, %d extra %q", what, len(got), len(want),
				len(missing), missing[:min(len(missing), 5)], len(extra), extra[:min(len(extra), 5)])
		}
	}
	keys("events", c.mp.InsertIDs(), c.keys(`SELECT id::text FROM usage WHERE company IS NOT NULL`))
	if got, want := c.mp.Count(), len(c.mp.InsertIDs()); got != want {
		complain("%d deduplicated events have %d insert ids", got, want)
	}
	store, err := checkpoint.Open(c.t.Context(), c.stateURL(), checkpoint.Options{ReadOnly: true})
	if err != nil {
		return append(faults, err.Error())
	}
	defer store.Close()
	list, err := store.Rejects(c.t.Context(), checkpoint.RejectFilter{})
	if err != nil {
		return append(faults, err.Error())
	}
	var filed []string
	for _, j := range list {
		var key struct{ ID json.Number }
		if err := json.Unmarshal(j.Key, &key); err != nil {
			complain("%v", err)
		}
		filed = append(filed, key.ID.String())
	}
	slices.Sort(filed)
	keys("rejects", filed, c.keys(`SELECT id::text FROM usage WHERE company IS NULL`))
	var have []string
	for id, p := range c.mp.Profiles() {
		have = append(have, fmt.Sprintf("%s=%v", id, p.Properties["v"]))
	}
	slices.Sort(have)
	keys("profiles", have, c.keys(`SELECT '$company:' || company || '|$user:' || id || '=' || v FROM users`))
	for sync, query := range map[string]string{"usage": `SELECT max(loaded_at) FROM usage`, "users": `SELECT max(updated_at) FROM users`} {
		var most time.Time
		if err := c.db.QueryRow(c.t.Context(), query).Scan(&most); err != nil {
			c.t.Fatal(err)
		}
		x, err := store.Target(c.t.Context(), sync, "prod")
		if err != nil || x.Mark == nil {
			complain("the mark of %s: %v", sync, err)
			continue
		}
		if want := most.UTC().Format(time.RFC3339Nano); x.Mark.Text != want {
			complain("the mark of %s is %s, want %s", sync, x.Mark.Text, want)
		}
	}
	return faults
}
