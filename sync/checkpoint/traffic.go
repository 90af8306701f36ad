package checkpoint

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// WantTurn says that an incremental run wants its turn at a target: while it
// does, no slice of a resync or range is to be had. It is forgotten after the
// time given; zero takes it back at once.
func (s *Store) WantTurn(ctx context.Context, t *Target, within time.Duration) error {
	return s.write(ctx, "ask for a turn", func(tx *tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE targets SET turn_until = {now} + ? WHERE id = ?`, within.Microseconds(), t.ID)
		return err
	})
}

// Traffic is what the processes that send to one project know of each other.
type Traffic struct {
	Paused      time.Duration // nobody is to send for so long
	Incremental int           // leases of incremental runs, our own included
}

// Pause keeps all senders to a project from sending for a while.
func (s *Store) Pause(ctx context.Context, project string, d time.Duration) error {
	return s.write(ctx, "pause", func(tx *tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO pauses (project, until) VALUES (?, {now} + ?)
			ON CONFLICT (project) DO UPDATE SET until = CASE WHEN excluded.until > pauses.until THEN excluded.until ELSE pauses.until END`,
			project, d.Microseconds())
		return err
	})
}

// Traffic looks at what goes on at a project.
func (s *Store) Traffic(ctx context.Context, project string) (Traffic, error) {
	var left sql.NullInt64
	var t Traffic
	err := s.r.QueryRowContext(ctx, `SELECT until - {now} FROM pauses WHERE project = ?`, project).Scan(&left)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return t, s.fail("look at the traffic", err)
	}
	t.Paused = time.Duration(max(0, left.Int64)) * time.Microsecond
	err = s.r.QueryRowContext(ctx, `SELECT COUNT(*) FROM leases l JOIN targets t ON t.id = l.target_id JOIN runs r ON r.id = l.run_id
		WHERE t.project = ? AND r.kind = ? AND r.status = ? AND l.expires_at > {now}`, project, Incremental, Running).Scan(&t.Incremental)
	return t, s.fail("look at the traffic", err)
}
