//go:build cgo

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mixsync/mixsync/connectors/postgres/postgrestest"
)

// bench is what all figures share: a server with the table, the binary, a folder.
type bench struct {
	options
	dir    string
	self   string // this program, for floors and sinks
	worker string // the built mixsync
	server *postgrestest.Server
}

func newBench(ctx context.Context, o options) (_ *bench, err error) {
	b := &bench{options: o}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	if b.dir, err = os.MkdirTemp("", "mixsync-bench-"); err != nil {
		return nil, err
	}
	if b.self, err = os.Executable(); err != nil {
		return nil, err
	}
	b.worker = filepath.Join(b.dir, "mixsync")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", b.worker, "github.com/mixsync/mixsync/cmd/mixsync")
	build.Stderr = os.Stderr
	if err = build.Run(); err != nil {
		return nil, fmt.Errorf("build: %w", err)
	}
	if b.server, err = postgrestest.Run(ctx); err != nil {
		return nil, err
	}
	return b, b.fill(ctx, "usage", b.rows)
}

func (b *bench) close() error {
	var err error
	if b.server != nil {
		err = b.server.Stop()
	}
	return errors.Join(err, os.RemoveAll(b.dir))
}

// fill makes a table of 13 columns whose records are about 500 bytes: rows a
// second apart, so that the lookback holds a few hundred of them.
func (b *bench) fill(ctx context.Context, table string, rows int) error {
	return b.exec(ctx,
		`CREATE TABLE `+table+` (id bigint PRIMARY KEY, event_name text NOT NULL, account_id text NOT NULL, user_id text NOT NULL,
			device_id text NOT NULL, occurred_at timestamptz NOT NULL, loaded_at timestamptz NOT NULL, plan text NOT NULL,
			amount bigint NOT NULL, seats int NOT NULL, active boolean NOT NULL, score double precision NOT NULL, note text NOT NULL)`,
		fmt.Sprintf(`INSERT INTO %s SELECT g, (ARRAY['Login','Feature Used','Report Run','Invite Sent'])[1+g%%4], 'account-'||(g*7919%%5000),
			'user-'||(g*104729%%60000), 'device-'||md5((g%%90000)::text), now() - interval '2 hours' - (%d-g)*interval '1 second' - interval '3 minutes',
			now() - interval '2 hours' - (%d-g)*interval '1 second', (ARRAY['free','pro','enterprise'])[1+g%%3], g*37%%100000, g%%50, g%%2=0,
			round((random()*1000)::numeric, 4)::float8, md5(g::text)||' '||md5((g*3)::text)||' opened /projects/'||g%%777||'/boards'
			FROM generate_series(1::bigint,%d) g`, table, rows, rows, rows),
		`CREATE INDEX ON `+table+` (loaded_at, id)`, `VACUUM ANALYZE `+table)
}

func (b *bench) exec(ctx context.Context, statements ...string) error {
	conn, err := pgx.Connect(ctx, b.server.DSN)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, s := range statements {
		if _, err := conn.Exec(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", strings.Fields(s)[0], err)
		}
	}
	return nil
}

// query reads the table as the worker does.
func query(table string) string {
	return "SELECT id, event_name, account_id, user_id, device_id, occurred_at, loaded_at, plan, amount, seats, active, score, note FROM " + table +
		" WHERE loaded_at <= now() ORDER BY loaded_at, id"
}

// startSink starts a sink process and returns its address and its end.
func (b *bench) startSink(ctx context.Context, latency time.Duration) (addr string, stop func(), err error) {
	cmd := exec.CommandContext(ctx, b.self, "sink", "-latency", latency.String())
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		stop()
		return "", nil, err
	}
	return strings.TrimSpace(line), stop, nil
}

// config writes a configuration of the Postgres table with a state of its own.
func (b *bench) config(name, table, sink string) (string, error) {
	return b.configOf(name, sink, fmt.Sprintf("{type: postgres, dsn: %q}", b.server.DSN), "table: "+table)
}

// configOf writes a configuration of any warehouse's rows.
func (b *bench) configOf(name, sink, warehouse, source string) (string, error) {
	path := filepath.Join(b.dir, name+".yaml")
	state := filepath.Join(b.dir, name+".db")
	for _, f := range []string{state, state + "-wal", state + "-shm"} {
		if err := os.Remove(f); err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
	}
	return path, os.WriteFile(path, fmt.Appendf(nil, `version: 1
state: "sqlite:%s"
warehouses: {w: %s}
projects: {p: {project_id: 1, region: us, model: hierarchical, token: t, service_account: {username: u, secret: s}, api_url: "http://%s"}}
defaults: {warehouse: w, project: p}
syncs:
  usage:
    type: event
    %s
    mode: append
    primary_key: [id]
    cursor: {column: loaded_at}
    mapping: {event: event_name, time: occurred_at, company_id: account_id, user_id: user_id, insert_id: id}
`, state, warehouse, sink, source), 0o600)
}

// cost is what a process took.
type cost struct {
	wall time.Duration
	cpu  time.Duration // user and system
	rss  int64         // bytes, at the most
	rows int64
}

// measure runs a process to its end.
func measure(ctx context.Context, name string, args ...string) (cost, []byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var errText strings.Builder
	cmd.Stderr = &errText
	begun := time.Now()
	out, err := cmd.Output()
	c := cost{wall: time.Since(begun)}
	if err != nil {
		return c, out, fmt.Errorf("%s %s: %w: %s%s", filepath.Base(name), args[0], err, out, errText.String())
	}
	c.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		c.rss = u.Maxrss * 1024
	}
	return c, out, nil
}

// sync runs the worker once and checks that it did what is measured.
func (b *bench) sync(ctx context.Context, config string, want int) (cost, error) {
	c, out, err := measure(ctx, b.worker, "run", "-c", config, "-o", "json")
	if err != nil {
		return c, err
	}
	var report struct {
		Syncs []struct {
			Accepted int64  `json:"accepted"`
			Status   string `json:"status"`
		} `json:"syncs"`
	}
	if err := json.Unmarshal(out, &report); err != nil {
		return c, err
	}
	if got := report.Syncs[0]; got.Accepted != int64(want) || got.Status != "succeeded" {
		return c, fmt.Errorf("the worker accepted %d rows and %s, want %d", got.Accepted, got.Status, want)
	}
	c.rows = report.Syncs[0].Accepted
	return c, nil
}
