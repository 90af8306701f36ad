package main

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/mixsync/mixsync/configs"
	"github.com/mixsync/mixsync/connectors/bigquery"
	"github.com/mixsync/mixsync/connectors/duckdb"
	"github.com/mixsync/mixsync/connectors/mixpanel"
	"github.com/mixsync/mixsync/connectors/postgres"
	"github.com/mixsync/mixsync/connectors/snowflake"
	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/sync/checkpoint"
	"github.com/mixsync/mixsync/sync/pace"
	"github.com/mixsync/mixsync/sync/pipeline"
	"github.com/mixsync/mixsync/sync/runner"
)

// opener connects to a warehouse. The table below is the only place that knows
// every driver.
type opener func(ctx context.Context, w *configs.Warehouse) (warehouse.Driver, error)

var openers = map[string]opener{
	configs.TypePostgres: func(ctx context.Context, w *configs.Warehouse) (warehouse.Driver, error) {
		return postgres.Open(ctx, postgres.Options{
			DSN: w.Postgres.DSN.Reveal(), StatementTimeout: w.Postgres.StatementTimeout, ConnectTimeout: w.Postgres.ConnectTimeout,
			ApplicationName: "mixsync",
		})
	},
	configs.TypeSnowflake: func(ctx context.Context, w *configs.Warehouse) (warehouse.Driver, error) {
		s := w.Snowflake
		return snowflake.Open(ctx, snowflake.Options{
			Account: s.Account, User: s.User, Authenticator: s.Authenticator, Password: s.Password.Reveal(), Token: s.Token.Reveal(),
			PrivateKey: s.PrivateKey.Reveal(), PrivateKeyPassphrase: s.PrivateKeyPassphrase.Reveal(),
			Role: s.Role, Warehouse: s.Warehouse, Database: s.Database, Schema: s.Schema, QueryTag: s.QueryTag,
			Protocol: s.Protocol, Host: s.Host, Port: s.Port, StatementTimeout: s.StatementTimeout, ConnectTimeout: s.ConnectTimeout,
		})
	},
	configs.TypeBigQuery: func(ctx context.Context, w *configs.Warehouse) (warehouse.Driver, error) {
		b := w.BigQuery
		return bigquery.Open(ctx, bigquery.Options{
			Project: b.Project, Location: b.Location, Credentials: b.Credentials.Reveal(), Impersonate: b.Impersonate,
			Labels: b.Labels, MaxBytesBilled: int64(b.MaxBytesBilled), JobTimeout: b.JobTimeout, Priority: b.Priority,
			Endpoint: b.Endpoint, GRPCEndpoint: b.GRPCEndpoint, Insecure: b.Insecure, UserAgent: "mixsync/" + version(),
		})
	},
	configs.TypeDuckDB: func(ctx context.Context, w *configs.Warehouse) (warehouse.Driver, error) {
		return duckdb.Open(ctx, duckdb.Options{Path: w.DuckDB.Path, MemoryLimit: int64(w.DuckDB.MemoryLimit), Threads: w.DuckDB.Threads})
	},
}

// wiring opens what syncs need, each thing once: a connection by warehouse, a
// client and its patience by project.
type wiring struct {
	file   *configs.File
	log    *slog.Logger
	getenv func(string) (string, bool)

	// keeps says that the process lives on between runs. A warehouse that could not
	// be had is asked again later, and the file of a DuckDB is given back as soon as
	// no run reads it, since nobody could write to it otherwise.
	keeps bool

	mu       sync.Mutex
	drivers  map[string]*lent
	projects map[string]*project
}

// lent is a warehouse, connected or refused, and how many runs use it.
type lent struct {
	sync.Mutex
	driver  warehouse.Driver // nil: not connected
	users   int
	refused error // it could not be had: not asked again for every sync
	at      time.Time
}

// A process that lives on has runs that are cut into steps. A request that is not
// answered well is given up within one, so that its run fails with its reason.
const stepPatience = 75 * time.Second

// A process that lives on asks a warehouse again after so long.
const askAgain = 10 * time.Second

// project is what all senders to one Mixpanel project share.
type project struct {
	client  *mixpanel.Client
	pacer   *runner.Pacer
	senders int
}

func (a *app) wiring(file *configs.File) *wiring {
	return &wiring{file: file, log: a.log, getenv: a.getenv, drivers: map[string]*lent{}, projects: map[string]*project{}}
}

func (w *wiring) close() {
	for name, d := range w.drivers {
		w.hangUp(name, d)
	}
	for _, p := range w.projects {
		p.client.Close()
	}
}

// driver connects to a warehouse, or returns the connection that is there.
func (w *wiring) driver(ctx context.Context, name string) (warehouse.Driver, error) {
	d := w.lent(name)
	d.Lock()
	defer d.Unlock()
	if d.driver != nil {
		d.users++
		return d.driver, nil
	}
	if d.refused != nil && (!w.keeps || time.Since(d.at) < askAgain) {
		return nil, d.refused
	}
	block := w.file.Warehouses[name]
	driver, err := openers[block.Type](ctx, block)
	if err != nil {
		if ctx.Err() == nil {
			d.refused, d.at = err, time.Now()
		}
		return nil, err
	}
	d.driver, d.users, d.refused = driver, 1, nil
	return driver, nil
}

func (w *wiring) lent(name string) *lent {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := w.drivers[name]
	if d == nil {
		d = &lent{}
		w.drivers[name] = d
	}
	return d
}

// done gives a target's warehouse back after its run.
func (w *wiring) done(t target) {
	name := t.sync.Warehouse
	d := w.lent(name)
	d.Lock()
	defer d.Unlock()
	if d.users--; d.users == 0 && w.keeps && w.file.Warehouses[name].Type == configs.TypeDuckDB {
		w.hangUp(name, d)
	}
}

func (w *wiring) hangUp(name string, d *lent) {
	if d.driver == nil {
		return
	}
	if err := d.driver.Close(); err != nil {
		w.log.Debug("closing a warehouse", "warehouse", name, "err", err)
	}
	d.driver = nil
}

func (w *wiring) project(p *configs.Project) (*project, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if x := w.projects[p.Name]; x != nil {
		return x, nil
	}
	o := mixpanel.Options{
		Region: mixpanel.Region(p.Region), BaseURL: p.APIURL, ProjectID: p.ProjectID, Token: p.Token.Reveal(),
		Timeout: p.RequestTimeout, UserAgent: "mixsync/" + version(),
	}
	if p.ServiceAccount != nil {
		o.Username, o.Secret = p.ServiceAccount.Username, p.ServiceAccount.Secret.Reveal()
	}
	client, err := mixpanel.New(o)
	if err != nil {
		return nil, err
	}
	x := &project{client: client, senders: maxSenders}
	if p.Concurrency > 0 {
		x.senders = p.Concurrency
	}
	backoff := w.backoff()
	x.pacer = &runner.Pacer{Limiter: pace.New(pace.Options{Fixed: p.Concurrency, Max: maxSenders, Backoff: backoff}), Backoff: backoff}
	w.projects[p.Name] = x
	return x, nil
}

// share keeps the pace of the targets' projects in step with that of other
// processes, until the function it returns is called.
func (w *wiring) share(ctx context.Context, store *checkpoint.Store, targets []target) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var loops sync.WaitGroup
	begun := map[*configs.Project]bool{}
	for _, t := range targets {
		if begun[t.project] {
			continue
		}
		begun[t.project] = true
		if p, err := w.project(t.project); err == nil { // or the run will tell
			loops.Go(func() { runner.Share(ctx, store, t.project.Name, p.pacer.Limiter) })
		}
	}
	return func() {
		cancel()
		loops.Wait()
	}
}

// backoff is Mixpanel's own advice, or a share of it where the environment says
// so: tests against an emulator need not wait as long as Mixpanel would ask.
func (w *wiring) backoff() pace.Backoff {
	b := pace.Backoff{}
	if w.keeps {
		b.MaxElapsed = stepPatience
	}
	if s, ok := w.getenv("MIXSYNC_BACKOFF_SCALE"); ok {
		if f, err := strconv.ParseFloat(s, 64); err == nil && f > 0 && f <= 1 {
			return b.Scaled(f)
		}
		w.log.Warn("MIXSYNC_BACKOFF_SCALE is a number above 0 and up to 1: ignored", "value", s)
	}
	return b
}

// Adaptive concurrency grows to so many senders at most: the upper end of what
// Mixpanel advises. Each holds a payload, so they are also a bound on memory.
const maxSenders = 20

// runner makes the runner of a target.
func (w *wiring) runner(ctx context.Context, t target) (*runner.Runner, error) {
	d, err := w.driver(ctx, t.sync.Warehouse)
	if err != nil {
		return nil, err
	}
	p, err := w.project(t.project)
	if err != nil {
		w.done(t)
		return nil, err
	}
	sink := func(guard func() error) pipeline.Sink { return p.client.Guarded(guard) }
	return &runner.Runner{Driver: d, Sink: sink, Pacer: p.pacer, Backfill: p.pacer.Behind(), Senders: p.senders}, nil
}

// runnerSync says a configured sync in the runner's words.
func runnerSync(t target) runner.Sync {
	s := t.sync
	x := runner.Sync{
		Name: s.Name, Project: t.project.Name, Source: warehouse.Source{Table: s.Table, Query: s.Query}, Mode: string(s.Mode),
		Spec:       s.MappingSpec(t.project),
		MaxRejects: runner.Threshold(s.MaxRejects), MaxRestated: runner.Threshold(s.MaxRestated),
		KeysOnly: s.RejectsPayload == configs.PayloadKeys, DeleteGone: s.Mode == configs.Mirror && s.OnDelete == configs.Delete,
		NoResync: s.Resync == configs.Forbid, SkipUnchanged: s.SkipUnchanged, Parallel: s.Parallel,
	}
	if c := s.Cursor; c != nil && (s.Mode == configs.Append || s.Mode == configs.Upsert) {
		x.Source.Cursor = c.Column
		x.Cursor = &runner.Cursor{
			Column: c.Column, Lookback: c.Lookback.Duration, LookbackCount: c.Lookback.Count, LookbackSet: c.Lookback.IsSet,
			Settle: c.Settle, MaxHold: c.MaxHold, AllowNull: c.NullRows == configs.NullRowsSkip, Start: c.Start,
			Slice: string(c.Slice),
		}
	}
	return x
}
