package checkpoint

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"
)

// Lease is the right to run a target: to send its rows and to save what came
// of them. One process has it at a time.
//
// It is two things. An operating system's lock on a file beside the database
// says who may run, and is free the moment its process is dead. A token in the
// database, raised by every new holder and checked in every transaction,
// refuses whoever still writes although the lock has passed on, for example
// because the lock file was deleted under it.
type Lease struct {
	s      *Store
	target *Target
	token  int64
	lock   *flock.Flock // nil in memory
	lost   atomic.Bool  // released, or found out by a transaction
}

// Acquire takes the lease of a target, or fails at once with ErrHeld and who
// holds it. It loads *t afresh: the former holder may have moved the mark.
func (s *Store) Acquire(ctx context.Context, t *Target) (*Lease, error) {
	if s.reading || t.ID == 0 {
		return nil, usage("lease of %s: the state was opened for reading only", t.Sync)
	}
	l := &Lease{s: s, target: t}
	if err := l.take(ctx); err != nil {
		return nil, s.fail("lease of "+t.Sync, err)
	}
	var fresh *Target
	err := s.write(ctx, "lease of "+t.Sync, func(tx *sql.Tx) error {
		host, _ := os.Hostname()
		now := time.Now().UnixMicro()
		err := tx.QueryRowContext(ctx, `INSERT INTO leases (target_id, token, holder, acquired_at, seen_at) VALUES (?, 1, ?, ?, ?)
			ON CONFLICT (target_id) DO UPDATE SET token = leases.token + 1,
				holder = excluded.holder, acquired_at = excluded.acquired_at, seen_at = excluded.seen_at
			RETURNING token`, t.ID, fmt.Sprintf("process %d on %s", os.Getpid(), host), now, now).Scan(&l.token)
		if err != nil {
			return err
		}
		fresh, err = scanTarget(tx.QueryRowContext(ctx, `SELECT `+targetColumns+` FROM targets WHERE id = ?`, t.ID))
		return err
	})
	if err != nil {
		return nil, errors.Join(err, l.Release())
	}
	*t = *fresh
	return l, nil
}

// take gets the lock.
func (l *Lease) take(ctx context.Context) error {
	s := l.s
	if s.path == "" {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.held[l.target.ID] {
			return fmt.Errorf("%w: this process", ErrHeld)
		}
		s.held[l.target.ID] = true
		return nil
	}
	dir := s.path + ".locks"
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	lock := flock.New(filepath.Join(dir, strconv.FormatInt(l.target.ID, 10)))
	switch ok, err := lock.TryLock(); {
	case err != nil:
		return err
	case !ok:
		return fmt.Errorf("%w: %s", ErrHeld, s.holder(ctx, l.target.ID))
	}
	l.lock = lock
	return nil
}

// holder says who acquired a target's lease last.
func (s *Store) holder(ctx context.Context, target int64) string {
	var who string
	var since int64
	err := s.r.QueryRowContext(ctx, `SELECT holder, acquired_at FROM leases WHERE target_id = ?`, target).Scan(&who, &since)
	if err != nil {
		return "another process"
	}
	return fmt.Sprintf("%s, since %s", who, micros(since).Format(time.RFC3339))
}

// Target is the leased target, kept up to date by what is done with the lease.
func (l *Lease) Target() *Target { return l.target }

// Token is the fencing token: greater than that of every earlier lease of the target.
func (l *Lease) Token() int64 { return l.token }

// Valid returns nil while the lease is ours, ErrFenced once it is not. It asks
// the operating system, not the database: cheap enough for every request.
func (l *Lease) Valid() error {
	if l.lost.Load() {
		return ErrFenced
	}
	if l.lock == nil {
		return nil
	}
	ours, err := l.lock.Stat()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFenced, err)
	}
	if now, err := os.Stat(l.lock.Path()); err != nil || !os.SameFile(ours, now) {
		return fmt.Errorf("%w: the lock file %s was deleted or replaced", ErrFenced, l.lock.Path())
	}
	return nil
}

// Release gives the lease back. Releasing twice does nothing.
func (l *Lease) Release() error {
	if l.lost.Swap(true) && l.lock == nil {
		return nil
	}
	l.s.segments.forget(l.target.ID)
	if l.lock != nil {
		// The file stays: deleting it would let two processes lock two files of one name.
		return l.s.fail("release lease", l.lock.Unlock())
	}
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	delete(l.s.held, l.target.ID)
	return nil
}
