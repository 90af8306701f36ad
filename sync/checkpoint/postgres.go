package checkpoint

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// pgSchema is where everything of ours lives in a Postgres.
const pgSchema = "mixsync"

// No transaction of ours takes long: one that waits for a lock, or whose process
// has vanished in the middle, must not stand in the way of the others for good.
var pgTimeouts = map[string]string{
	"lock_timeout":                        "10s",
	"statement_timeout":                   "60s",
	"idle_in_transaction_session_timeout": "30s",
	"tcp_keepalives_idle":                 "30",
	"tcp_keepalives_interval":             "10",
}

// A process has so many connections to a Postgres state at most: each worker
// asks briefly and rarely.
const pgConnections = 4

func (s *Store) openPostgres(ctx context.Context, stateURL string) error {
	s.dialect = postgresDialect
	config, err := pgx.ParseConfig(stateURL)
	if err != nil {
		return &Error{Kind: KindURL, Path: "postgres", Hint: "write postgres://user:password@host:5432/database", Err: errors.New("the state URL cannot be read")}
	}
	for name, value := range pgTimeouts {
		if _, set := config.RuntimeParams[name]; !set {
			config.RuntimeParams[name] = value
		}
	}
	config.RuntimeParams["search_path"] = pgSchema
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "mixsync"
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 10 * time.Second
	}
	s.place = fmt.Sprintf("postgres://%s/%s", config.Host, config.Database)
	pool := stdlib.OpenDB(*config)
	pool.SetMaxOpenConns(pgConnections)
	pool.SetMaxIdleConns(pgConnections)
	pool.SetConnMaxIdleTime(time.Minute)
	s.r = &db{pool, s, &s.dialect}
	if s.reading {
		switch v, err := s.version(ctx, s.r); {
		case err != nil:
			return err
		case v == 0: // there is no state yet: an empty one is shown
			_ = pool.Close()
			s.dialect, s.r = sqliteDialect, nil
			return s.connect(ctx)
		case v < schemaVersion:
			return &Error{Kind: KindOlder, Path: s.place, Hint: "any `mixsync run` brings it up to date",
				Err: fmt.Errorf("schema version %d was written by an older mixsync; this one reads %d", v, schemaVersion)}
		}
	} else {
		s.w = s.r
		if err := s.migrate(ctx); err != nil {
			return err
		}
	}
	return s.r.QueryRowContext(ctx, `SELECT uuid FROM state`).Scan(&s.uuid)
}

// pgKind says what an error of Postgres means; false if it is none.
func pgKind(err error) (Kind, string, bool) {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch e.Code {
		case "42501": // insufficient_privilege
			return KindPermission, "the state's user needs its own schema: CREATE SCHEMA mixsync AUTHORIZATION the_user, or GRANT CREATE ON DATABASE", true
		case "28P01", "28000":
			return KindPermission, "check user and password of the state URL", true
		case "3D000":
			return KindURL, "the database of the state URL does not exist: create it, or name another", true
		case "55P03", "57014": // lock_not_available, query_canceled by a timeout
			return KindBusy, "another session keeps the state locked; see pg_stat_activity", true
		case "25006":
			return KindReadOnly, "the state needs a primary: this server is a standby, or read-only", true
		case "53100":
			return KindFull, "free space on the state's server and run again: the run goes on where it was saved", true
		}
		return KindIO, "", true
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok || brokenLine(err) {
		return KindUnreachable, "is the state's server up, and host, port and TLS of the state URL right?", true
	}
	return "", "", false
}

// pgLost reports whether a transaction may go well if it is begun again: the
// server was away, restarts, or let another transaction win.
func pgLost(err error) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch {
		case e.Code[:2] == "08", e.Code[:3] == "57P" && e.Code != "57P04", e.Code == "40001", e.Code == "40P01":
			return true
		}
		return false
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	return brokenLine(err)
}

func brokenLine(err error) bool {
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return true
	}
	for _, e := range []error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, driver.ErrBadConn} {
		if errors.Is(err, e) {
			return true
		}
	}
	return pgconn.SafeToRetry(err)
}
