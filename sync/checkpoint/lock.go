package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/gofrs/flock"
)

// lock is the operating system's lock on a target of an SQLite file, which all
// leases of this process share. It is how processes on one machine know at once
// that another is dead.
type lock struct {
	file   *flock.Flock
	leases int
}

// take gets the lock of the lease's target. first says that nobody had it.
func (l *Lease) take(ctx context.Context) (first bool, err error) {
	s := l.s
	if s.path == "" { // in memory, or shared by machines
		return false, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.lock = s.locks[l.target.ID]; l.lock != nil {
		l.lock.leases++
		return false, nil
	}
	dir := s.path + ".locks"
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return false, err
	}
	file := flock.New(filepath.Join(dir, strconv.FormatInt(l.target.ID, 10)))
	switch ok, err := file.TryLock(); {
	case err != nil:
		return false, err
	case !ok:
		return false, s.heldBy(ctx, l.target.ID)
	}
	l.lock = &lock{file: file, leases: 1}
	s.locks[l.target.ID] = l.lock
	return true, nil
}

// heldBy says who acquired a target's lease last.
func (s *Store) heldBy(ctx context.Context, target int64) *HeldError {
	held := &HeldError{}
	var since int64
	err := s.r.QueryRowContext(ctx, `SELECT holder, acquired_at FROM leases WHERE target_id = ? ORDER BY token DESC LIMIT 1`, target).Scan(&held.Holder, &since)
	if err != nil {
		return &HeldError{Holder: "another process"}
	}
	held.Since = time.UnixMicro(since).UTC()
	return held
}

// valid fails with ErrFenced when the lock's file is no longer the one at its path.
func (k *lock) valid() error {
	if k == nil {
		return nil
	}
	ours, err := k.file.Stat()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFenced, err)
	}
	if now, err := os.Stat(k.file.Path()); err != nil || !os.SameFile(ours, now) {
		return fmt.Errorf("%w: the lock file %s was deleted or replaced", ErrFenced, k.file.Path())
	}
	return nil
}

// drop lets go of the lock. Dropping twice does nothing.
func (l *Lease) drop() error {
	s := l.s
	s.mu.Lock()
	defer s.mu.Unlock()
	k := l.lock
	if k == nil || l.dropped {
		return nil
	}
	l.dropped = true
	if k.leases--; k.leases > 0 {
		return nil
	}
	delete(s.locks, l.target.ID)
	// The file stays: deleting it would let two processes lock two files of one name.
	return s.fail("release lease", k.file.Unlock())
}
