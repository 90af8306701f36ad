package postgres

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// session is what every transaction begins with. The settings are local to it:
// a pooler in front of the server may hand the next one to another session.
// Values that are read as text print alike everywhere, and times in UTC.
const session = `BEGIN READ ONLY;
SET LOCAL timezone = 'UTC';
SET LOCAL datestyle = 'ISO, YMD';
SET LOCAL intervalstyle = 'iso_8601';
SET LOCAL client_encoding = 'UTF8';
SET LOCAL extra_float_digits = 1;
SET LOCAL bytea_output = 'hex';
SET LOCAL idle_in_transaction_session_timeout = '1min'`

func (d *Driver) begin(ctx context.Context) (*pgconn.PgConn, error) {
	sql := session
	if d.statementTimeout > 0 {
		sql += ";\nSET LOCAL statement_timeout = " + strconv.FormatInt(max(1, d.statementTimeout.Milliseconds()), 10)
	}
	for {
		conn, err := d.acquire(ctx)
		if err != nil {
			return nil, err
		}
		fresh := conn.CustomData()[used] == nil
		conn.CustomData()[used] = true
		_, err = conn.Exec(ctx, sql).ReadAll()
		if err == nil {
			return conn, nil
		}
		hangUp(conn)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if fresh {
			return nil, classify(err)
		}
		// A kept connection may have died meanwhile; the next is newer, or new.
	}
}

// used marks a connection that has begun a transaction before.
const used = "used"

func (d *Driver) acquire(ctx context.Context) (*pgconn.PgConn, error) {
	d.mu.Lock()
	if n := len(d.idle); n > 0 {
		conn := d.idle[n-1]
		d.idle = d.idle[:n-1]
		d.mu.Unlock()
		return conn, nil
	}
	d.mu.Unlock()
	return d.connect(ctx)
}

func (d *Driver) connect(ctx context.Context) (*pgconn.PgConn, error) {
	conn, err := pgconn.ConnectConfig(ctx, d.config)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, connectError(err, d.config)
	}
	return conn, nil
}

// commit ends the transaction and keeps the connection for the next query.
func (d *Driver) commit(ctx context.Context, conn *pgconn.PgConn) error {
	if _, err := conn.Exec(ctx, "COMMIT").ReadAll(); err != nil {
		hangUp(conn)
		return err
	}
	d.release(conn)
	return nil
}

func (d *Driver) release(conn *pgconn.PgConn) {
	d.mu.Lock()
	keep := !d.closed && len(d.idle) < maxIdle && !conn.IsClosed()
	if keep {
		d.idle = append(d.idle, conn)
	}
	d.mu.Unlock()
	if !keep {
		hangUp(conn)
	}
}

// hangUp closes a connection. When a query was cancelled on it, it waits until
// the server has been told.
func hangUp(conn *pgconn.PgConn) {
	// A server that does not take the farewell is left alone.
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx)
	<-conn.CleanupDone()
}

// ask runs a short query of ours and returns its rows as text; nil is NULL.
func (d *Driver) ask(ctx context.Context, sql string, args ...string) ([][][]byte, error) {
	conn, err := d.begin(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := askOn(ctx, conn, sql, args...)
	if err != nil {
		hangUp(conn)
		return nil, err
	}
	if err := d.commit(ctx, conn); err != nil {
		return nil, classify(err)
	}
	return rows, nil
}

func askOn(ctx context.Context, conn *pgconn.PgConn, sql string, args ...string) ([][][]byte, error) {
	result := conn.ExecParams(ctx, sql, params(args), nil, nil, nil).Read()
	if result.Err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, classify(result.Err)
	}
	return result.Rows, nil
}

func params(args []string) [][]byte {
	values := make([][]byte, len(args))
	for i, a := range args {
		values[i] = []byte(a)
	}
	return values
}

// values are the arguments of a statement that casts them itself.
func values(args []warehouse.Arg) [][]byte {
	values := make([][]byte, len(args))
	for i, a := range args {
		values[i] = []byte(a.Text)
	}
	return values
}

// oidList writes type oids as a Postgres array.
func oidList(oids []uint32) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, oid := range oids {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatUint(uint64(oid), 10))
	}
	b.WriteByte('}')
	return b.String()
}
