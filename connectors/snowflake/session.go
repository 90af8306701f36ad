package snowflake

import (
	"context"
	"database/sql/driver"
	"errors"
	"maps"

	sf "github.com/snowflakedb/gosnowflake"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// streamer is the vendor's connection as far as it hands out Arrow as it came.
type streamer interface {
	QueryArrowStream(ctx context.Context, query string, bindings ...driver.NamedValue) (sf.ArrowStreamLoader, error)
}

// session is one login. It runs one statement at a time.
type session struct {
	conn   driver.Conn
	stream streamer
	used   bool // before
}

// login opens a session.
func (d *Driver) login(ctx context.Context) (*session, error) {
	within, cancel := context.WithTimeout(ctx, d.connect)
	defer cancel()
	a := &attempt{stop: cancel}
	config := d.config
	config.Params = maps.Clone(config.Params) // the vendor's driver writes the server's settings into it
	conn, err := sf.NewConnector(sf.SnowflakeDriver{}, config).Connect(context.WithValue(within, attemptKey{}, a))
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case a.reason() != nil:
		return nil, unreachable(&d.config, a.reason())
	default:
		return nil, loginError(&d.config, d.connect, a.last(), err)
	}
	stream, ok := conn.(streamer)
	if !ok {
		return nil, warehouse.Errorf(warehouse.ClassConfig, "", "this version of the vendor's driver does not stream Arrow")
	}
	return &session{conn: conn, stream: stream}, nil
}

// acquire takes an idle session or opens one.
func (d *Driver) acquire(ctx context.Context) (*session, error) {
	d.mu.Lock()
	if n := len(d.idle); n > 0 {
		s := d.idle[n-1]
		d.idle = d.idle[:n-1]
		d.mu.Unlock()
		return s, nil
	}
	d.mu.Unlock()
	return d.login(ctx)
}

// release gives a session back for the next query.
func (d *Driver) release(s *session) {
	s.used = true
	d.mu.Lock()
	keep := !d.closed && len(d.idle) < maxIdle
	if keep {
		d.idle = append(d.idle, s)
	}
	closed := d.closed
	d.mu.Unlock()
	if keep {
		return
	}
	s.end()
	if closed {
		d.wire.base.CloseIdleConnections()
	}
}

// end logs out. Where that fails the server forgets the session by itself.
func (s *session) end() { _ = s.conn.Close() }

// hasEnded reports whether the server no longer knows the session, which it says
// before it runs anything.
func hasEnded(err error) bool {
	var e *sf.SnowflakeError
	if !errors.As(err, &e) {
		return false
	}
	switch e.Number {
	case sf.ErrSessionGone, 390104, 390110, 390113, 390114, 390115:
		return true
	}
	return false
}
