//go:build cgo

package main

import (
	"context"
	"database/sql"
	_ "embed"
	"fmt"

	_ "github.com/duckdb/duckdb-go/v2" // the demo writes; connectors/duckdb only reads
)

//go:embed demo.sql
var demoSQL string

// demoWarehouse is the writing end of the demo's database. It holds no
// connection between calls: a DuckDB file has either one writer or readers.
type demoWarehouse struct{ path string }

func newDemoWarehouse(_ context.Context, path string) (*demoWarehouse, error) {
	return &demoWarehouse{path: path}, nil
}

func (w *demoWarehouse) open(ctx context.Context, do func(*sql.Conn) error) error {
	db, err := sql.Open("duckdb", w.path)
	if err != nil {
		return err
	}
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return do(conn)
}

// fill makes the tables and says how large they are.
func (w *demoWarehouse) fill(ctx context.Context) (sizes string, err error) {
	err = w.open(ctx, func(conn *sql.Conn) error {
		if _, err := conn.ExecContext(ctx, demoSQL); err != nil {
			return fmt.Errorf("making the demo's tables: %w", err)
		}
		var events, companies, users, teams int64
		err := conn.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM companies),
			(SELECT count(*) FROM users), (SELECT count(*) FROM teams)`).Scan(&events, &companies, &users, &teams)
		sizes = fmt.Sprintf("%s events, %d companies, %s users, %d teams", thousands(events), companies, thousands(users), teams)
		return err
	})
	return sizes, err
}

// grow lets time pass: new rows, rows that come late behind the mark, and
// profiles that change.
func (w *demoWarehouse) grow(ctx context.Context, mark string) error {
	return w.open(ctx, func(conn *sql.Conn) error {
		for _, s := range []struct {
			sql  string
			args []any
		}{
			{`INSERT INTO events SELECT 1000000 + i, 'Board Opened', 'acme', 'alice', 'growth', now() - INTERVAL 2 MINUTE, now() - INTERVAL 1 MINUTE,
				'web', i::INTEGER, true, {'board': 'board-1', 'cards': 1, 'beta': false} FROM range(500) r(i)`, nil},
			{`INSERT INTO events SELECT 2000000 + i, 'Comment Added', 'globex', 'bob', 'sales', now() - INTERVAL 1 HOUR,
				CAST(? AS TIMESTAMPTZ) - INTERVAL 5 MINUTE, 'api', i::INTEGER, true, {'board': 'board-2', 'cards': 2, 'beta': false} FROM range(3) r(i)`, []any{mark}},
			{`UPDATE companies SET name = name || ' (renamed)', updated_at = now() - INTERVAL 1 MINUTE WHERE company_id IN ('acme', 'hooli')`, nil},
		} {
			if _, err := conn.ExecContext(ctx, s.sql, s.args...); err != nil {
				return fmt.Errorf("growing the demo's tables: %w", err)
			}
		}
		return nil
	})
}
