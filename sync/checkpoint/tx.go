package checkpoint

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// querier is what *sql.DB and *sql.Tx have in common.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) scanner
}

// A context that ends pulls the transaction and its statements away from under
// whoever uses them. For statements database/sql has only this text to say so.
const stmtClosed = "sql: statement is closed"

// write runs fn in a transaction that holds the database's write lock from its
// start. It is saved whole or not at all. fn may run more than once: it must
// change nothing but the database.
func (s *Store) write(ctx context.Context, doing string, fn func(tx *tx) error) error {
	if s.w == nil {
		return usage("%s: the state was opened for reading only", doing)
	}
	err := s.patiently(ctx, func() error {
		if err := s.intact(); err != nil {
			return err
		}
		begun, err := s.w.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		if err := fn(&tx{begun, &s.dialect}); err != nil {
			_ = begun.Rollback() // what failed is what matters
			return err
		}
		return begun.Commit()
	})
	if ctx.Err() != nil && (errors.Is(err, sql.ErrTxDone) || err != nil && err.Error() == stmtClosed) {
		err = ctx.Err()
	}
	return s.fail(doing, err)
}

// patiently calls fn again while the database is locked, or cannot be reached
// for a moment. SQLite's own waiting, the busy timeout, does not cover every
// lock; a Postgres may fail over. What a lost connection has committed is not
// known, so fn must be fit to be repeated.
func (s *Store) patiently(ctx context.Context, fn func() error) error {
	start := time.Now()
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		err := fn()
		if err == nil || !passing(err) || time.Since(start) > s.wait {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

func affected(r sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// each calls scan for every row of a query.
func each(ctx context.Context, db querier, query string, args []any, scan func(*sql.Rows) error) error {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Keys keep their unsigned order as signed integers.
func keyIn(k uint64) int64  { return int64(k ^ 1<<63) }
func keyOut(k int64) uint64 { return uint64(k) ^ 1<<63 }

// textOf stores JSON as text, none as NULL.
func textOf(j json.RawMessage) sql.NullString {
	return sql.NullString{String: string(j), Valid: len(j) > 0 && string(j) != "null"}
}

func jsonOf(t sql.NullString) json.RawMessage {
	if !t.Valid {
		return nil
	}
	return json.RawMessage(t.String)
}

func micros(us int64) time.Time { return time.UnixMicro(us).UTC() }

// maxKeys is how many keys go into one statement: enough that the statement's
// own cost vanishes, far below the databases' limits on parameters.
const maxKeys = 512

// placeholders returns "(?, …), (?, …)": rows groups of n.
func placeholders(rows, n int) string {
	row := "(" + strings.TrimSuffix(strings.Repeat("?, ", n), ", ") + ")"
	return strings.TrimSuffix(strings.Repeat(row+", ", rows), ", ")
}

// eachIn runs a statement for all keys, maxKeys at a time. The last portion is
// filled up by repeating a key, so that one prepared statement does for all.
// The query's IN list is written IN %.
func eachIn(ctx context.Context, tx *tx, query string, first []any, keys []uint64) error {
	if len(keys) == 0 {
		return nil
	}
	n := min(len(keys), maxKeys)
	st, err := tx.PrepareContext(ctx, strings.Replace(query, "IN %", "IN "+placeholders(1, n), 1))
	if err != nil {
		return err
	}
	defer st.Close()
	args := append([]any(nil), first...)
	for len(keys) > 0 {
		args = args[:len(first)]
		for i := range n {
			args = append(args, keyIn(keys[min(i, len(keys)-1)]))
		}
		if _, err := st.ExecContext(ctx, args...); err != nil {
			return err
		}
		keys = keys[min(n, len(keys)):]
	}
	return nil
}
