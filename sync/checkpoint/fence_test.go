package checkpoint_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/sync/checkpoint"
)

// A holder whose lock file is deleted under it, and whose place another takes,
// can do nothing any more.
func TestFencedOut(t *testing.T) {
	t.Parallel()
	ctx, url := t.Context(), fileURL(t)
	a, b := open(t, url, checkpoint.Options{}), open(t, url, checkpoint.Options{})
	old, target := lease(t, a, "usage", "prod")
	r := begin(t, old, checkpoint.Incremental)
	must(t, old.Valid())

	must(t, os.RemoveAll(strings.TrimPrefix(url, "sqlite:")+".locks"))
	if err := old.Valid(); !errors.Is(err, checkpoint.ErrFenced) {
		t.Errorf("Valid without the lock file = %v", err)
	}
	now, _ := lease(t, b, "usage", "prod")
	if now.Token() <= old.Token() {
		t.Errorf("tokens %d, then %d", old.Token(), now.Token())
	}
	taken, err := now.Unfinished(ctx, checkpoint.Incremental)
	must(t, err)
	must(t, checkpoint.StartRun(ctx, now, taken))

	wantFenced(t, a, old, r)
	if after, err := a.Run(ctx, r.ID); err != nil || after.Status != checkpoint.Running {
		t.Errorf("the run is %+v, %v", after, err)
	}
	must(t, checkpoint.SaveRun(ctx, now, taken, checkpoint.Progress{}))
	if again, err := a.Target(ctx, "usage", "prod"); err != nil || again.Mark != nil || again.ID != target.ID {
		t.Errorf("the target is %+v, %v", again, err)
	}
}

func TestReleasedLease(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *checkpoint.Store) {
		l, target := lease(t, s, "usage", "prod")
		r := begin(t, l, checkpoint.Incremental)
		if _, err := s.Acquire(t.Context(), target); !errors.Is(err, checkpoint.ErrHeld) {
			t.Errorf("a second Acquire = %v, want ErrHeld", err)
		}
		must(t, l.Release())
		must(t, l.Release())
		wantFenced(t, s, l, r)
		next, err := s.Acquire(t.Context(), target)
		must(t, err)
		must(t, l.Release()) // not the next one's
		must(t, next.Valid())
		if _, err := s.Acquire(t.Context(), target); !errors.Is(err, checkpoint.ErrHeld) {
			t.Errorf("Acquire beside the next holder = %v, want ErrHeld", err)
		}
		must(t, next.Release())
	})
}

// wantFenced checks that nothing can be done with a lease.
func wantFenced(t *testing.T, s *checkpoint.Store, l *checkpoint.Lease, r *checkpoint.Run) {
	t.Helper()
	ctx := t.Context()
	for name, err := range map[string]error{
		"Valid":        l.Valid(),
		"Begin":        checkpoint.StartRun(ctx, l, &checkpoint.Run{Kind: checkpoint.Resync}),
		"Save":         checkpoint.SaveRun(ctx, l, r, progress(0)),
		"Finish":       checkpoint.FinishRun(ctx, l, r, checkpoint.Outcome{Status: checkpoint.Succeeded, Mark: &checkpoint.Mark{Kind: warehouse.Int, Text: "1"}}),
		"Abandon":      l.Abandon(ctx, r.ID, nil),
		"ForgetHashes": l.ForgetHashes(ctx, []uint64{1}),
		"ClearHashes":  l.ClearHashes(ctx),
		"SetMark":      s.SetMark(ctx, l, nil),
		"ResetTarget":  s.ResetTarget(ctx, l),
	} {
		if !errors.Is(err, checkpoint.ErrFenced) {
			t.Errorf("%s with a lost lease = %v, want ErrFenced", name, err)
		}
	}
}

// Acquire loads the target afresh: between Target and Acquire another process
// may have finished a run.
func TestAcquireLoadsTheTarget(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *checkpoint.Store) {
		ctx := t.Context()
		early, err := s.Target(ctx, "usage", "prod")
		must(t, err)
		l, _ := lease(t, s, "usage", "prod")
		r := begin(t, l, checkpoint.Incremental)
		must(t, checkpoint.FinishRun(ctx, l, r, checkpoint.Outcome{Status: checkpoint.Succeeded, Mark: &checkpoint.Mark{Kind: warehouse.Int, Text: "7"}}))
		must(t, l.Release())
		next, err := s.Acquire(ctx, early)
		must(t, err)
		defer next.Release()
		if early.Mark == nil || early.Mark.Text != "7" {
			t.Errorf("after Acquire the mark is %v", early.Mark)
		}
	})
}

func TestSetMarkAndReset(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *checkpoint.Store) {
		ctx := t.Context()
		l, target := lease(t, s, "usage", "prod")
		r := begin(t, l, checkpoint.Incremental)
		must(t, checkpoint.SaveRun(ctx, l, r, progress(0)))
		must(t, checkpoint.FinishRun(ctx, l, r, checkpoint.Outcome{
			Status: checkpoint.Succeeded, LedgerFrom: ptr(int64(0)), Fingerprint: []byte(`{"v":1}`),
		}))
		open := begin(t, l, checkpoint.Resync)

		wantKind(t, s.SetMark(ctx, l, &checkpoint.Mark{Kind: warehouse.Text, Text: "x"}), checkpoint.KindUsage)
		mark := &checkpoint.Mark{Kind: warehouse.Date, Text: "2026-01-31"}
		must(t, s.SetMark(ctx, l, mark))
		wantState := func(mark *checkpoint.Mark, hashes int) {
			t.Helper()
			stored, err := s.Target(ctx, "usage", "prod")
			must(t, err)
			for name, got := range map[string]*checkpoint.Target{"stored": stored, "lease's": target} {
				if (got.Mark == nil) != (mark == nil) || mark != nil && *got.Mark != *mark ||
					got.LedgerFrom != nil || !got.Sent || string(got.Fingerprint) != `{"v":1}` {
					t.Errorf("the %s target is %+v", name, got)
				}
			}
			if _, _, ok, err := s.LedgerHigh(ctx, target.ID); ok || err != nil {
				t.Errorf("the ledger is not empty, %v", err)
			}
			into := map[uint64]uint64{}
			must(t, s.Hashes(ctx, target.ID, []uint64{1, 2, 3}, into))
			if len(into) != hashes {
				t.Errorf("%d hashes, want %d", len(into), hashes)
			}
		}
		wantState(mark, 3)
		if r, err := s.Run(ctx, open.ID); err != nil || r.Status != checkpoint.Abandoned || r.FinishedAt == nil {
			t.Errorf("the unfinished run is %+v, %v", r, err)
		}
		must(t, s.ResetTarget(ctx, l))
		wantState(nil, 0)
	})
}

// A Save that is cancelled, at whatever moment, is saved whole or not at all,
// and harms none that come after it.
func TestCancelledSave(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *checkpoint.Store) {
		l, target := lease(t, s, "usage", "prod")
		r := begin(t, l, checkpoint.Incremental)
		cancelled := 0
		for n := range 60 {
			ctx, cancel := context.WithTimeout(t.Context(), rand.N(8*time.Millisecond))
			err := checkpoint.SaveRun(ctx, l, r, progress(n))
			cancel()
			if err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
				t.Fatalf("Save = %v", err)
			}
			if err != nil {
				cancelled++
			}
			into := map[uint64]checkpoint.Entry{}
			must(t, s.Ledger(t.Context(), target.ID, []uint64{uint64(n * step), uint64(n*step) + 1}, into))
			got, err2 := s.Run(t.Context(), r.ID)
			must(t, err2)
			saved := got.Counts.Rows == progress(n).Counts.Rows
			if (len(into) == 2) != saved || err == nil && !saved {
				t.Fatalf("after Save %d = %v: %d rows counted, %d entries", n, err, got.Counts.Rows, len(into))
			}
		}
		if cancelled == 0 {
			t.Error("no Save was cancelled")
		}
		must(t, checkpoint.SaveRun(t.Context(), l, r, progress(60)))
	})
}
