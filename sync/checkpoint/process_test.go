package checkpoint_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/sync/checkpoint"
)

// Save number n of the crash test settles rows [n*step, (n+1)*step): their keys
// are their numbers, and row n*step is a reject. So the run's position tells
// everything else the state must hold.
const step = 200

func progress(n int) checkpoint.Progress {
	p := checkpoint.Progress{
		Position: &warehouse.Position{Cursor: ptr(strconv.Itoa((n + 1) * step))},
		Counts:   checkpoint.Counts{Rows: int64((n + 1) * step), Accepted: int64((n + 1) * (step - 1)), Rejected: int64(n + 1)},
	}
	for i := n * step; i < (n+1)*step; i++ {
		p.Ledger = append(p.Ledger, checkpoint.Entry{Key: uint64(i), Cursor: int64(i), Hash: uint64(i) + 1, Filed: i%step == 0})
		p.Hashes = append(p.Hashes, checkpoint.HashEntry{Key: uint64(i), Hash: uint64(i) + 1})
	}
	id := strconv.Itoa(n * step)
	p.Rejects = []checkpoint.Reject{{ID: id, Key: json.RawMessage(id), KeyHash: uint64(n * step), Code: "bad_time"}}
	return p
}

// saveForEver takes the unfinished run up and saves until it is killed, saying
// each Save that has returned.
func saveForEver(ctx context.Context, url string) error {
	s, err := checkpoint.Open(ctx, url, checkpoint.Options{})
	if err != nil {
		return err
	}
	t, err := s.Target(ctx, "usage", "prod")
	if err != nil {
		return err
	}
	l, err := s.Acquire(ctx, t)
	if err != nil {
		return err
	}
	r, err := l.Unfinished(ctx, checkpoint.Incremental)
	if err != nil {
		return err
	}
	if r == nil {
		r = &checkpoint.Run{Kind: checkpoint.Incremental}
	}
	if err := checkpoint.StartRun(ctx, l, r); err != nil {
		return err
	}
	for n := int(r.Counts.Rejected); ; n++ {
		if err := checkpoint.SaveRun(ctx, l, r, progress(n)); err != nil {
			return err
		}
		fmt.Println(n)
	}
}

func TestKilledInMidSave(t *testing.T) {
	t.Parallel()
	url := fileURL(t)
	saved := -1
	for round := range 8 {
		c := startChild(t, "save", url)
		for range 1 + rand.IntN(4) {
			saved = atoi(t, c.line())
		}
		// It is to die at any point of a Save, not when it has just said something.
		time.AfterFunc(rand.N(10*time.Millisecond), func() { _ = c.cmd.Process.Kill() })
		for _, line := range c.rest() {
			saved = atoi(t, line)
		}
		checkSaved(t, url, saved, round)
	}
}

// checkSaved checks that a state holds Saves 0 to saved, or one more, and
// nothing of any other.
func checkSaved(t *testing.T, url string, saved, round int) {
	t.Helper()
	ctx := t.Context()
	s, err := checkpoint.Open(ctx, url, checkpoint.Options{})
	must(t, err)
	defer s.Close()
	l, target := lease(t, s, "usage", "prod") // free at once
	defer l.Release()
	r, err := l.Unfinished(ctx, checkpoint.Incremental)
	must(t, err)
	part, err := checkpoint.SavedSlice(ctx, s, r)
	must(t, err)
	n := atoi(t, *part.Position.Cursor)/step - 1
	if n != saved && n != saved+1 {
		t.Fatalf("round %d: Save %d had returned, the position is that of %d", round, saved, n)
	}
	want := progress(n)
	if r.Counts.Rows != want.Counts.Rows || !target.Sent {
		t.Errorf("round %d: after Save %d rows = %d, sent = %t", round, n, r.Counts.Rows, target.Sent)
	}
	var keys []uint64
	for i := range (n + 3) * step {
		keys = append(keys, uint64(i))
	}
	entries, hashes := map[uint64]checkpoint.Entry{}, map[uint64]uint64{}
	must(t, s.Ledger(ctx, target.ID, keys, entries))
	must(t, s.Hashes(ctx, target.ID, keys, hashes))
	rejects, err := s.Rejects(ctx, checkpoint.RejectFilter{})
	must(t, err)
	if rows := (n + 1) * step; len(entries) != rows || len(hashes) != rows || len(rejects) != n+1 {
		t.Errorf("round %d: after Save %d: %d ledger entries, %d hashes, %d rejects", round, n, len(entries), len(hashes), len(rejects))
	}
	for k, e := range entries {
		if want := (checkpoint.Entry{Key: k, Cursor: int64(k), Hash: k + 1, Filed: k%step == 0}); e != want {
			t.Fatalf("round %d: entry %+v, want %+v", round, e, want)
		}
	}
	for _, j := range rejects {
		if j.Attempts != 1 {
			t.Errorf("round %d: reject %s was saved %d times", round, j.ID, j.Attempts)
		}
	}
}

func holdLease(ctx context.Context, url string) error {
	s, err := checkpoint.Open(ctx, url, checkpoint.Options{})
	if err != nil {
		return err
	}
	t, err := s.Target(ctx, "usage", "prod")
	if err != nil {
		return err
	}
	l, err := s.Acquire(ctx, t)
	if err != nil {
		return err
	}
	fmt.Println(os.Getpid(), l.Token())
	select {} // until it is killed
}

func TestLeaseOfAnotherProcess(t *testing.T) {
	t.Parallel()
	ctx, url := t.Context(), fileURL(t)
	c := startChild(t, "hold", url)
	pid, token, _ := strings.Cut(c.line(), " ")

	s := open(t, url, checkpoint.Options{})
	target, err := s.Target(ctx, "usage", "prod")
	must(t, err)
	_, err = s.Acquire(ctx, target)
	if !errors.Is(err, checkpoint.ErrHeld) || !strings.Contains(err.Error(), "process "+pid+" on ") {
		t.Errorf("Acquire = %v, want ErrHeld naming process %s", err, pid)
	}
	other, _ := lease(t, s, "accounts", "prod") // another target is free
	must(t, other.Valid())

	c.kill()
	l, err := s.Acquire(ctx, target)
	must(t, err)
	defer l.Release()
	if int(l.Token()) != atoi(t, token)+1 {
		t.Errorf("token = %d after %s", l.Token(), token)
	}
}

func shareFile(ctx context.Context, url string) error {
	s, err := checkpoint.Open(ctx, url, checkpoint.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	t, err := s.Target(ctx, fmt.Sprint("sync", os.Getpid()), "prod")
	if err != nil {
		return err
	}
	l, err := s.Acquire(ctx, t)
	if err != nil {
		return err
	}
	defer l.Release()
	r := &checkpoint.Run{Kind: checkpoint.Incremental}
	if err := checkpoint.StartRun(ctx, l, r); err != nil {
		return err
	}
	for n := range 10 {
		if err := checkpoint.SaveRun(ctx, l, r, progress(0)); err != nil {
			return fmt.Errorf("save %d: %w", n, err)
		}
	}
	return checkpoint.FinishRun(ctx, l, r, checkpoint.Outcome{Status: checkpoint.Succeeded})
}

// Processes that start at once on a file that is not there yet, and then write
// about targets of their own, wait for each other and all succeed.
func TestProcessesShareAFile(t *testing.T) {
	t.Parallel()
	url := fileURL(t)
	var all [4]*child
	for i := range all {
		all[i] = startChild(t, "share", url)
	}
	for _, c := range all {
		if said := c.rest(); len(said) > 0 {
			t.Errorf("a process said %s", said)
		}
	}
	s := open(t, url, checkpoint.Options{ReadOnly: true})
	runs, err := s.Runs(t.Context(), checkpoint.RunFilter{Status: checkpoint.Succeeded})
	must(t, err)
	if len(runs) != len(all) {
		t.Errorf("%d runs succeeded, want %d", len(runs), len(all))
	}
}

func TestGoroutinesShareAStore(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *checkpoint.Store) {
		var wg sync.WaitGroup
		for i := range 4 {
			l, target := lease(t, s, fmt.Sprint("sync", i), "prod")
			wg.Go(func() {
				r := &checkpoint.Run{Kind: checkpoint.Incremental}
				if err := checkpoint.StartRun(t.Context(), l, r); err != nil {
					t.Error(err)
					return
				}
				for n := range 10 {
					if err := checkpoint.SaveRun(t.Context(), l, r, progress(n)); err != nil {
						t.Error(err)
					}
					into := map[uint64]checkpoint.Entry{}
					if err := s.Ledger(t.Context(), target.ID, []uint64{uint64(n * step)}, into); err != nil || len(into) != 1 {
						t.Errorf("Ledger = %v, %v", into, err)
					}
				}
			})
		}
		wg.Wait()
	})
}

// growUntilFull saves under a file-size limit until that fails, says what
// failed, then lifts the limit and goes on.
func growUntilFull(ctx context.Context, url string) error {
	s, err := checkpoint.Open(ctx, url, checkpoint.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	t, err := s.Target(ctx, "usage", "prod")
	if err != nil {
		return err
	}
	l, err := s.Acquire(ctx, t)
	if err != nil {
		return err
	}
	defer l.Release()
	r := &checkpoint.Run{Kind: checkpoint.Incremental}
	if err := checkpoint.StartRun(ctx, l, r); err != nil {
		return err
	}
	limited := syscall.Rlimit{Cur: 1 << 20, Max: 1 << 40}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limited); err != nil {
		return err
	}
	n := 0
	for ; err == nil; n++ {
		err = checkpoint.SaveRun(ctx, l, r, progress(n))
	}
	n--
	e, ok := errors.AsType[*checkpoint.Error](err)
	if !ok {
		return err
	}
	fmt.Println(n - 1)
	fmt.Println(e.Kind)
	fmt.Println(e.Hint)
	if os.Getenv("LIFT") == "" {
		return nil
	}
	limited.Cur = limited.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limited); err != nil {
		return err
	}
	if err := checkpoint.SaveRun(ctx, l, r, progress(n)); err != nil {
		return fmt.Errorf("with space again: %w", err)
	}
	fmt.Println(n)
	return nil
}

func TestFileSizeLimit(t *testing.T) {
	t.Parallel()
	for _, lift := range []string{"", "LIFT=1"} {
		t.Run("lift="+lift, func(t *testing.T) {
			t.Parallel()
			url := fileURL(t)
			c := startChild(t, "grow", url, lift)
			saved, kind, hint := atoi(t, c.line()), c.line(), c.line()
			if kind != string(checkpoint.KindFull) || !strings.Contains(hint, "1048576 bytes") || saved < 1 {
				t.Errorf("after Save %d: kind %s, hint %q", saved, kind, hint)
			}
			if lift != "" {
				saved = atoi(t, c.line())
			}
			if said := c.rest(); len(said) > 0 {
				t.Error(said)
			}
			s, err := checkpoint.Open(t.Context(), url, checkpoint.Options{})
			must(t, err)
			must(t, s.Close())
			checkExactly(t, url, saved)
		})
	}
}

// checkExactly is checkSaved without the benefit of the doubt.
func checkExactly(t *testing.T, url string, saved int) {
	t.Helper()
	checkSaved(t, url, saved, 0)
	s := open(t, url, checkpoint.Options{ReadOnly: true})
	runs, err := s.Runs(t.Context(), checkpoint.RunFilter{})
	must(t, err)
	part, err := checkpoint.SavedSlice(t.Context(), s, runs[0])
	must(t, err)
	if got := *part.Position.Cursor; got != strconv.Itoa((saved+1)*step) {
		t.Errorf("position = %s after Save %d", got, saved)
	}
}

func justOpen(ctx context.Context, url string) error {
	return openAs(ctx, url, checkpoint.Options{})
}

func justRead(ctx context.Context, url string) error {
	return openAs(ctx, url, checkpoint.Options{ReadOnly: true})
}

// openAs opens a state as a user for whom file modes count, and says the UUID
// and how many targets there are, or what kind of error it met.
func openAs(ctx context.Context, url string, o checkpoint.Options) error {
	if os.Getuid() == 0 {
		if err := syscall.Setuid(65534); err != nil {
			return err
		}
	}
	s, err := checkpoint.Open(ctx, url, o)
	if e, ok := errors.AsType[*checkpoint.Error](err); ok {
		fmt.Println(e.Kind)
		return nil
	}
	if err != nil {
		return err
	}
	defer s.Close()
	targets, err := s.Targets(ctx)
	fmt.Println(s.UUID(), len(targets))
	return err
}

// openFolder is a folder that other users can get to, unlike t.TempDir.
func openFolder(t *testing.T, mode os.FileMode) string {
	t.Helper()
	dir := t.TempDir()
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		must(t, os.Chmod(d, 0o755))
	}
	t.Cleanup(func() { _ = os.Chmod(dir, 0o700) })
	must(t, os.Chmod(dir, mode))
	return dir
}

func atoi(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatalf("the child said %q", s)
	}
	return n
}
