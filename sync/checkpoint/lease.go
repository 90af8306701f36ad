package checkpoint

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// Lease is the right to work on a target: to send its rows and to save what
// came of them. One process has it alone, or several have it as members of one run.
//
// It is two things. Who is alive is told by an operating system's lock on a file
// beside an SQLite state, which is free the moment its process is dead; in a
// Postgres by a deadline that Keep puts off. And a token in the database,
// greater for every new holder and checked in every transaction, refuses
// whoever still writes although the right has passed on.
type Lease struct {
	s        *Store
	target   *Target
	token    int64
	lock     *lock        // nil where there is no file
	dropped  bool         // of Store.mu: the lock was let go of
	deadline atomic.Int64 // on the monotonic clock, as nanoseconds since the store was opened; 0: none
	lost     atomic.Bool  // released, or found out by a transaction
}

// Acquire takes a target for ourselves alone, or fails at once with a
// *HeldError. It loads *t afresh: the former holder may have moved the mark.
func (s *Store) Acquire(ctx context.Context, t *Target) (*Lease, error) {
	return s.lease(ctx, t, func(tx *tx) (run sql.NullString, err error) {
		held, err := s.members(ctx, tx, t.ID, 0)
		if err == nil && held != nil {
			err = held
		}
		return run, err
	})
}

// Join becomes one more member of a run that is at work. It fails with a
// *HeldError if somebody is at the target who is no member of the run, and with
// ErrOver when the run has ended.
func (s *Store) Join(ctx context.Context, t *Target, runID string) (*Lease, error) {
	return s.lease(ctx, t, func(tx *tx) (run sql.NullString, err error) {
		held, err := s.members(ctx, tx, t.ID, 0)
		if err != nil {
			return run, err
		}
		if held != nil && held.RunID != runID {
			return run, held
		}
		return sql.NullString{String: runID, Valid: true}, running(ctx, tx, t.ID, runID)
	})
}

// lease makes a lease if allowed says so, for the run it returns.
func (s *Store) lease(ctx context.Context, t *Target, allowed func(*tx) (sql.NullString, error)) (*Lease, error) {
	if s.reading || t.ID == 0 {
		return nil, usage("lease of %s: the state was opened for reading only", t.Sync)
	}
	l := &Lease{s: s, target: t}
	first, err := l.take(ctx)
	if err != nil {
		return nil, s.fail("lease of "+t.Sync, err)
	}
	var fresh *Target
	var since int64 // when an earlier try made the lease; 0: there was none
	load := func(tx *tx) (err error) {
		fresh, err = scanTarget(tx.QueryRowContext(ctx, `SELECT `+targetColumns+` FROM targets WHERE id = ?`, t.ID))
		return err
	}
	begun := time.Now()
	err = s.write(ctx, "lease of "+t.Sync, func(tx *tx) error {
		if err := s.lockTarget(ctx, tx, t.ID); err != nil {
			return err
		}
		if first { // whoever left a lease behind is dead
			if _, err := tx.ExecContext(ctx, `DELETE FROM leases WHERE target_id = ?`, t.ID); err != nil {
				return err
			}
		}
		if since != 0 { // that it was committed may have been lost on the way: then it must not keep ourselves out
			// The token alone does not tell: if it was not committed, another may have been given the same.
			n, err := affected(tx.ExecContext(ctx, `UPDATE leases SET expires_at = {now} + ? WHERE target_id = ? AND token = ? AND holder = ? AND acquired_at = ?`,
				s.term.Microseconds(), t.ID, l.token, holder(), since))
			if err != nil {
				return err
			}
			if n > 0 {
				return load(tx)
			}
		}
		run, err := allowed(tx)
		if err != nil {
			return err
		}
		err = tx.QueryRowContext(ctx, `UPDATE targets SET lease_seq = lease_seq + 1 WHERE id = ? RETURNING lease_seq`, t.ID).Scan(&l.token)
		if err != nil {
			return err
		}
		err = tx.QueryRowContext(ctx, `INSERT INTO leases (target_id, token, run_id, holder, acquired_at, expires_at)
			VALUES (?, ?, ?, ?, {now}, {now} + ?) RETURNING acquired_at`, t.ID, l.token, run, holder(), s.term.Microseconds()).Scan(&since)
		if err != nil {
			return err
		}
		return load(tx)
	})
	if err != nil {
		l.lost.Store(true)
		return nil, errors.Join(err, l.drop())
	}
	l.renewed(begun)
	*t = *fresh
	return l, nil
}

func holder() string {
	host, _ := os.Hostname()
	return fmt.Sprintf("process %d on %s", os.Getpid(), host)
}

// members says who is at a target besides the lease of a token; nil: nobody.
// Leases that have expired are removed: whoever had them can write no more.
func (s *Store) members(ctx context.Context, tx *tx, target, besides int64) (*HeldError, error) {
	if s.dialect.shared {
		_, err := tx.ExecContext(ctx, `DELETE FROM leases WHERE target_id = ? AND token <> ? AND expires_at + ? < {now}`,
			target, besides, s.request.Microseconds())
		if err != nil {
			return nil, err
		}
	}
	var run, kind sql.NullString
	var since int64
	held := &HeldError{}
	err := tx.QueryRowContext(ctx, `SELECT l.holder, l.acquired_at, l.run_id, r.kind FROM leases l LEFT JOIN runs r ON r.id = l.run_id
		WHERE l.target_id = ? AND l.token <> ? ORDER BY l.token LIMIT 1`, target, besides).Scan(&held.Holder, &since, &run, &kind)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	held.RunID, held.Kind, held.Since, held.Alone = run.String, kind.String, micros(since), !run.Valid
	return held, err
}

// running fails with ErrOver unless a run is under way.
func running(ctx context.Context, tx *tx, target int64, run string) error {
	var status string
	err := tx.QueryRowContext(ctx, `SELECT status FROM runs WHERE id = ? AND target_id = ?`, run, target).Scan(&status)
	if errors.Is(err, sql.ErrNoRows) || err == nil && status != Running {
		return ErrOver
	}
	return err
}

// lockTarget makes the writers of a target take turns.
func (s *Store) lockTarget(ctx context.Context, tx *tx, target int64) error {
	if s.dialect.lock == "" { // there is but one writer
		return nil
	}
	var id int64
	return tx.QueryRowContext(ctx, `SELECT id FROM targets WHERE id = ?`+s.dialect.lock, target).Scan(&id)
}

// Share lets others join us at a run.
func (l *Lease) Share(ctx context.Context, r *Run) error {
	return l.fenced(ctx, "share run", func(tx *tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE leases SET run_id = ? WHERE target_id = ? AND token = ?`, r.ID, l.target.ID, l.token)
		return err
	})
}

// Alone takes the target for ourselves again, after a run that was shared; it
// fails with a *HeldError while other members are about. It loads the lease's
// target afresh.
func (l *Lease) Alone(ctx context.Context) error {
	var fresh *Target
	err := l.fenced(ctx, "lease of "+l.target.Sync, func(tx *tx) error {
		held, err := l.s.members(ctx, tx, l.target.ID, l.token)
		switch {
		case err != nil:
			return err
		case held != nil:
			return held
		}
		if _, err := tx.ExecContext(ctx, `UPDATE leases SET run_id = NULL WHERE target_id = ? AND token = ?`, l.target.ID, l.token); err != nil {
			return err
		}
		fresh, err = scanTarget(tx.QueryRowContext(ctx, `SELECT `+targetColumns+` FROM targets WHERE id = ?`, l.target.ID))
		return err
	})
	if err == nil {
		*l.target = *fresh
	}
	return err
}

// Keep puts the deadline off until ctx ends, and returns nil then, or
// ErrFenced as soon as the lease is lost.
func (l *Lease) Keep(ctx context.Context) error {
	tick := time.NewTicker(l.s.term / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := l.Valid()
		if err == nil && l.s.dialect.shared {
			err = l.fenced(ctx, "renew lease", func(*tx) error { return nil })
		}
		// A state that is away for a moment is no loss yet: the deadline decides.
		if errors.Is(err, ErrFenced) {
			return err
		}
	}
}

// Target is the leased target, kept up to date by what is done with the lease.
func (l *Lease) Target() *Target { return l.target }

// Token is the fencing token: greater than that of every earlier lease of the target.
func (l *Lease) Token() int64 { return l.token }

// Valid returns nil while the lease is ours, ErrFenced once it is not. It asks
// the clock or the operating system, not the database: cheap enough for every
// request.
func (l *Lease) Valid() error {
	if l.lost.Load() {
		return ErrFenced
	}
	if l.s.dialect.shared && int64(time.Since(l.s.opened)) > l.deadline.Load() {
		return fmt.Errorf("%w: it could not be renewed for %s", ErrFenced, l.s.term)
	}
	return l.lock.valid()
}

// renewed puts the deadline off: so long after the moment before the database
// was asked, so that ours is never later than the database's.
func (l *Lease) renewed(asked time.Time) {
	l.deadline.Store(int64(asked.Sub(l.s.opened) + l.s.term))
}

// fenced runs fn in a transaction that holds only as long as the lease is ours,
// and puts its deadline off.
func (l *Lease) fenced(ctx context.Context, doing string, fn func(tx *tx) error) error {
	if err := l.Valid(); err != nil {
		return l.s.fail(doing, err)
	}
	asked := time.Now()
	err := l.s.write(ctx, doing, func(tx *tx) error {
		if err := l.s.lockTarget(ctx, tx, l.target.ID); err != nil {
			return err
		}
		asked = time.Now()
		n, err := affected(tx.ExecContext(ctx, `UPDATE leases SET expires_at = {now} + ? WHERE target_id = ? AND token = ?`,
			l.s.term.Microseconds(), l.target.ID, l.token))
		if err != nil {
			return err
		}
		if n == 0 {
			l.lost.Store(true)
			return ErrFenced
		}
		return fn(tx)
	})
	if err == nil {
		l.renewed(asked)
	}
	return err
}

// Release gives the lease back; slices that were claimed with it are free.
// Releasing twice does nothing.
func (l *Lease) Release() error {
	if l.lost.Swap(true) {
		return l.drop()
	}
	l.s.segments.forget(l.target.ID)
	ctx, stop := context.WithTimeout(context.Background(), releaseTime)
	defer stop()
	// A lease that stays behind is harmless: it expires, or falls with the lock.
	_ = l.s.write(ctx, "release lease", func(tx *tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM leases WHERE target_id = ? AND token = ?`, l.target.ID, l.token)
		return err
	})
	return l.drop()
}

// A state that does not answer must not keep a process from ending.
const releaseTime = 5 * time.Second
