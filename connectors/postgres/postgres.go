// Package postgres reads Postgres for mixsync.
//
// It works at the level of the wire protocol: values arrive in binary and go
// straight into columns, without a Go value per cell, and a result of any size
// streams through one connection's buffer. Rare types (arrays, composites,
// ranges, anything of an extension) are asked for as text instead; arrays and
// composites become JSON.
//
// Every query runs in a read-only transaction of its own. Retrying, batching and
// resuming are the business of package warehouse.
package postgres

import (
	"context"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// Options say how to connect. Only DSN is required.
type Options struct {
	// DSN is a URL (postgres://user:password@host:5432/database?sslmode=verify-full)
	// or keywords (host=… user=…). TLS goes by its own parameters; what it leaves
	// out comes from libpq's environment variables.
	DSN string
	// StatementTimeout ends a query that runs for longer; 0 leaves the server's own setting.
	StatementTimeout time.Duration
	// ConnectTimeout bounds connecting; 0 is the DSN's connect_timeout, or 10 s.
	ConnectTimeout time.Duration
	// ApplicationName is shown in pg_stat_activity; "mixsync" unless set here or in the DSN.
	ApplicationName string
}

const (
	defaultConnectTimeout = 10 * time.Second
	// Connections kept for the next query: a run asks a few short ones in turn.
	maxIdle = 2
	// A server that is gone is noticed after about a minute of silence, so that
	// a read does not wait for ever for rows that will never come.
	keepAliveIdle     = 30 * time.Second
	keepAliveInterval = 10 * time.Second
	keepAliveCount    = 3
)

// Driver reads one Postgres database. It is safe for concurrent use.
type Driver struct {
	config           *pgconn.Config
	statementTimeout time.Duration

	mu     sync.Mutex
	idle   []*pgconn.PgConn
	closed bool
}

var (
	_ warehouse.Driver         = (*Driver)(nil)
	_ warehouse.Describer      = (*Driver)(nil)
	_ warehouse.TableDescriber = (*Driver)(nil)
)

// Open connects once, to tell at once what is wrong with the connection block,
// and returns the driver. Its errors are *warehouse.Error.
func Open(ctx context.Context, o Options) (*Driver, error) {
	config, err := parse(o)
	if err != nil {
		return nil, err
	}
	d := &Driver{config: config, statementTimeout: o.StatementTimeout}
	conn, err := d.connect(ctx)
	if err != nil {
		return nil, err
	}
	d.release(conn)
	return d, nil
}

func parse(o Options) (*pgconn.Config, error) {
	if strings.TrimSpace(o.DSN) == "" {
		return nil, warehouse.Errorf(warehouse.ClassConfig, dsnHint, "the dsn is empty")
	}
	config, err := pgconn.ParseConfig(o.DSN)
	if err != nil {
		return nil, dsnError(err)
	}
	if err := checkHost(o.DSN, config); err != nil {
		return nil, err
	}
	switch {
	case o.ConnectTimeout > 0:
		config.ConnectTimeout = o.ConnectTimeout
	case config.ConnectTimeout == 0:
		config.ConnectTimeout = defaultConnectTimeout
	}
	dialer := net.Dialer{
		Timeout:         config.ConnectTimeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: keepAliveIdle, Interval: keepAliveInterval, Count: keepAliveCount},
	}
	config.DialFunc = dialer.DialContext
	switch {
	case o.ApplicationName != "":
		config.RuntimeParams["application_name"] = o.ApplicationName
	case config.RuntimeParams["application_name"] == "":
		config.RuntimeParams["application_name"] = "mixsync"
	}
	return config, nil
}

// Close closes the idle connections. Rows that are still open keep theirs.
func (d *Driver) Close() error {
	d.mu.Lock()
	idle := d.idle
	d.idle, d.closed = nil, true
	d.mu.Unlock()
	for _, conn := range idle {
		hangUp(conn)
	}
	return nil
}

// Dialect is Postgres' SQL.
func (d *Driver) Dialect() *warehouse.Dialect { return &dialect }

var dialect = warehouse.Dialect{
	Name:       "postgres",
	Quote:      quote,
	QuoteTable: quoteTable,
	Bind:       bind,
	Ordered:    true,
	NullsLast:  true,
}

func quote(name string) string {
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// quoteTable quotes each part of a qualified name. Parts are taken exactly, as
// they are spelled; one that holds a dot may be quoted as in SQL.
func quoteTable(name string) string {
	parts := warehouse.SplitName(name)
	for i := range parts {
		parts[i] = quote(parts[i])
	}
	return strings.Join(parts, ".")
}

func bind(n int, f warehouse.Field) string {
	placeholder := "$" + strconv.Itoa(n)
	if f.Kind == warehouse.Bytes {
		return "decode(" + placeholder + ", 'hex')"
	}
	return "CAST(" + placeholder + " AS " + f.Type + ")"
}
