package checkpoint

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

const targetColumns = `id, sync, project, mark_kind, mark, fingerprint, ledger_from, sent, columns, source, updated_at`

// Target loads a sync's target for a project, creating it if need be. A store
// opened for reading creates nothing: the target it returns then has ID 0.
func (s *Store) Target(ctx context.Context, sync, project string) (*Target, error) {
	t, err := s.findTarget(ctx, s.r, sync, project)
	if !errors.Is(err, sql.ErrNoRows) {
		return t, s.fail("load target", err)
	}
	if s.reading {
		return &Target{Sync: sync, Project: project}, nil
	}
	err = s.write(ctx, "create target", func(tx *tx) error {
		const q = `INSERT INTO targets (sync, project, updated_at) VALUES (?, ?, ?) ON CONFLICT (sync, project) DO NOTHING`
		if _, err := tx.ExecContext(ctx, q, sync, project, time.Now().UnixMicro()); err != nil {
			return err
		}
		t, err = s.findTarget(ctx, tx, sync, project)
		return err
	})
	return t, err
}

// Targets loads all targets, by sync and project.
func (s *Store) Targets(ctx context.Context) ([]*Target, error) {
	var all []*Target
	err := each(ctx, s.r, `SELECT `+targetColumns+` FROM targets ORDER BY sync, project`, nil, func(rows *sql.Rows) error {
		t, err := scanTarget(rows)
		all = append(all, t)
		return err
	})
	return all, s.fail("load targets", err)
}

func (s *Store) findTarget(ctx context.Context, db querier, sync, project string) (*Target, error) {
	return scanTarget(db.QueryRowContext(ctx, `SELECT `+targetColumns+` FROM targets WHERE sync = ? AND project = ?`, sync, project))
}

func scanTarget(row scanner) (*Target, error) {
	var (
		t                                Target
		kind, mark, fingerprint, columns sql.NullString
		source                           sql.NullString
		from                             sql.NullInt64
		sent, updated                    int64
	)
	err := row.Scan(&t.ID, &t.Sync, &t.Project, &kind, &mark, &fingerprint, &from, &sent, &columns, &source, &updated)
	if err != nil {
		return nil, err
	}
	if mark.Valid {
		k, err := kindNamed(kind.String)
		if err != nil {
			return nil, err
		}
		t.Mark = &Mark{Kind: k, Text: mark.String}
	}
	if from.Valid {
		t.LedgerFrom = &from.Int64
	}
	if columns.Valid {
		if err := json.Unmarshal([]byte(columns.String), &t.Columns); err != nil {
			return nil, fmt.Errorf("columns of %q: %w", t.Sync, err)
		}
	}
	t.Fingerprint, t.Sent, t.Source, t.UpdatedAt = jsonOf(fingerprint), sent != 0, source.String, micros(updated)
	return &t, nil
}

// kindNamed finds a cursor's kind by the name it is stored under.
func kindNamed(name string) (warehouse.Kind, error) {
	for _, k := range []warehouse.Kind{warehouse.Int, warehouse.Date, warehouse.Timestamp, warehouse.TimestampTZ} {
		if k.String() == name {
			return k, nil
		}
	}
	return warehouse.Invalid, fmt.Errorf("a mark of unknown kind %q", name)
}

// setMark moves a target's mark; nil takes it away.
func setMark(ctx context.Context, tx *tx, target int64, m *Mark) error {
	var kind, text sql.NullString
	if m != nil {
		if !m.Kind.IsCursor() {
			return usage("a mark cannot be of kind %s", m.Kind)
		}
		kind, text = sql.NullString{String: m.Kind.String(), Valid: true}, sql.NullString{String: m.Text, Valid: true}
	}
	_, err := tx.ExecContext(ctx, `UPDATE targets SET mark_kind = ?, mark = ?, updated_at = ? WHERE id = ?`,
		kind, text, time.Now().UnixMicro(), target)
	return err
}

// SetMark puts a target's mark where a person wants it. Unfinished runs are
// abandoned. The ledger is emptied, because it is complete for the old mark
// only: the next run reads from the mark on, inclusive, without lookback.
func (s *Store) SetMark(ctx context.Context, l *Lease, m *Mark) error {
	return l.startOver(ctx, "set mark", m, false)
}

// ResetTarget forgets a target's mark, ledger and row hashes and abandons its
// unfinished runs, so that the next run begins at the beginning. That something
// was sent once, and under which fingerprint, stays known; so do open rejects.
func (s *Store) ResetTarget(ctx context.Context, l *Lease) error {
	return l.startOver(ctx, "reset", nil, true)
}

func (l *Lease) startOver(ctx context.Context, doing string, m *Mark, hashes bool) error {
	err := l.fenced(ctx, doing, func(tx *tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE runs SET status = 'abandoned', finished_at = COALESCE(finished_at, ?)
			WHERE target_id = ? AND status IN `+unfinished, time.Now().UnixMicro(), l.target.ID)
		if err != nil {
			return err
		}
		if err := setMark(ctx, tx, l.target.ID, m); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE targets SET ledger_from = NULL, source = NULL WHERE id = ?`, l.target.ID); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM ledger WHERE target_id = ?`, l.target.ID); err != nil || !hashes {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM hashes WHERE target_id = ?`, l.target.ID)
		return err
	})
	if err != nil {
		return err
	}
	l.target.Mark, l.target.LedgerFrom, l.target.Source = m, nil, ""
	return nil
}
