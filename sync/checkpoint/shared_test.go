package checkpoint_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mixsync/mixsync/connectors/postgres/postgrestest"
	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/sync/checkpoint"
)

// windows makes n slices of ten integers each.
func windows(n int) []checkpoint.Window {
	var list []checkpoint.Window
	for i := range n {
		list = append(list, checkpoint.Window{From: ptr(fmt.Sprint(10 * i)), Before: ptr(fmt.Sprint(10*i + 10))})
	}
	return list
}

// open2 opens a state twice, as two machines would.
func open2(t *testing.T, o checkpoint.Options) (a, b *checkpoint.Store) {
	t.Helper()
	dsn := postgrestest.Start(t)
	return open(t, dsn, o), open(t, dsn, o)
}

func sliced(t *testing.T, l *checkpoint.Lease, kind string, n int) *checkpoint.Run {
	t.Helper()
	r := &checkpoint.Run{Kind: kind, CursorKind: warehouse.Int, MarkBefore: nil}
	must(t, l.Begin(t.Context(), r, windows(n)))
	must(t, l.Share(t.Context(), r))
	return r
}

func back(string) *int64 { return nil }

// Members of a run claim each slice once, whoever is quicker, and a stranger is
// kept out.
func TestMembersShareSlices(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	a, b := open2(t, checkpoint.Options{})
	first, target := lease(t, a, "usage", "prod")
	there, err := b.Target(ctx, "usage", "prod")
	must(t, err)

	_, err = b.Acquire(ctx, there)
	if held, ok := errors.AsType[*checkpoint.HeldError](err); !ok || !held.Alone || held.RunID != "" {
		t.Fatalf("Acquire beside one who is alone = %v", err)
	}
	const n = 40
	r := sliced(t, first, checkpoint.Incremental, n)
	_, err = b.Acquire(ctx, there)
	if held, ok := errors.AsType[*checkpoint.HeldError](err); !ok || held.Alone || held.RunID != r.ID || held.Kind != checkpoint.Incremental {
		t.Fatalf("Acquire beside the members of a run = %v", err)
	}
	if _, err := b.Join(ctx, there, "another"); !errors.Is(err, checkpoint.ErrHeld) {
		t.Fatalf("Join of another run = %v, want ErrHeld", err)
	}
	second, err := b.Join(ctx, there, r.ID)
	must(t, err)
	if err := second.Alone(ctx); !errors.Is(err, checkpoint.ErrHeld) {
		t.Fatalf("Alone beside another member = %v, want ErrHeld", err)
	}

	var mu sync.Mutex
	var claimed []int
	var wg sync.WaitGroup
	for i := range 6 {
		l := []*checkpoint.Lease{first, second}[i%2]
		wg.Go(func() {
			for {
				s, err := l.Claim(ctx, r, false)
				if errors.Is(err, checkpoint.ErrDone) {
					return
				}
				if errors.Is(err, checkpoint.ErrNone) {
					time.Sleep(time.Millisecond) // the others are about to finish
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				claimed = append(claimed, s.N)
				mu.Unlock()
				if _, err := l.Save(ctx, r, s, checkpoint.Progress{Counts: checkpoint.Counts{Rows: 1, Accepted: 1}, Reached: ptr(fmt.Sprint(10*s.N - 5))}); err != nil {
					t.Error(err)
				}
				if err := l.Done(ctx, r, s, checkpoint.Done{Counts: checkpoint.Counts{Rows: 1, Accepted: 1}, Lookback: back}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	slices.Sort(claimed)
	if len(claimed) != n || len(slices.Compact(claimed)) != n {
		t.Errorf("slices %v were claimed, want each of %d once", claimed, n)
	}
	late := *r
	must(t, second.Finish(ctx, r, checkpoint.Outcome{Status: checkpoint.Succeeded, Mark: &checkpoint.Mark{Kind: warehouse.Int, Text: "399"}}))
	if err := first.Finish(ctx, &late, checkpoint.Outcome{Status: checkpoint.Succeeded}); !errors.Is(err, checkpoint.ErrOver) {
		t.Errorf("Finish a moment after the other = %v, want ErrOver", err)
	}
	if r.Counts.Rows != n || r.SlicesDone != n || !there.Sent {
		t.Errorf("the run ended with %+v, the target is %+v", r, there)
	}
	if _, err := first.Claim(ctx, r, false); !errors.Is(err, checkpoint.ErrOver) {
		t.Errorf("Claim after the end = %v, want ErrOver", err)
	}
	if err := first.Finish(ctx, r, checkpoint.Outcome{Status: checkpoint.Failed}); !errors.Is(err, checkpoint.ErrOver) {
		t.Errorf("Finish after the end = %v, want ErrOver", err)
	}
	must(t, second.Release())
	must(t, first.Alone(ctx))
	if target.Mark == nil || target.Mark.Text != "399" {
		t.Errorf("alone again the mark is %v, want the one that the other member set", target.Mark)
	}
}

// Whoever stops renewing a lease loses it, and what it held is taken over; when
// it wakes up it can do nothing.
func TestZombie(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	a, b := open2(t, checkpoint.Options{Lease: 300 * time.Millisecond, Request: 200 * time.Millisecond})
	zombie, _ := lease(t, a, "usage", "prod")
	r := sliced(t, zombie, checkpoint.Incremental, 2)
	s, err := zombie.Claim(ctx, r, false)
	must(t, err)

	there, err := b.Target(ctx, "usage", "prod")
	must(t, err)
	begun := time.Now()
	var now *checkpoint.Lease
	for now == nil {
		if now, err = b.Acquire(ctx, there); err != nil && !errors.Is(err, checkpoint.ErrHeld) {
			t.Fatal(err)
		}
		if now == nil && zombie.Valid() == nil && time.Since(begun) > 400*time.Millisecond {
			t.Fatal("the lease is valid beyond its term")
		}
	}
	defer now.Release()
	if took := time.Since(begun); took < 450*time.Millisecond {
		t.Errorf("taken over after %s: sooner than term and request allow", took)
	}
	taken, err := now.Unfinished(ctx, checkpoint.Incremental)
	must(t, err)
	must(t, now.Begin(ctx, taken, nil))
	again, err := now.Claim(ctx, taken, false)
	if err != nil || again.N != s.N {
		t.Fatalf("the zombie's slice was not to be had: %v, %v", again, err)
	}
	for name, err := range map[string]error{
		"Done":   zombie.Done(ctx, r, s, checkpoint.Done{Lookback: back}),
		"Yield":  zombie.Yield(ctx, s),
		"Finish": zombie.Finish(ctx, r, checkpoint.Outcome{Status: checkpoint.Interrupted}),
		"Valid":  zombie.Valid(),
	} {
		if !errors.Is(err, checkpoint.ErrFenced) {
			t.Errorf("%s of a zombie = %v, want ErrFenced", name, err)
		}
	}
	if _, err := zombie.Save(ctx, r, s, checkpoint.Progress{}); !errors.Is(err, checkpoint.ErrFenced) {
		t.Errorf("Save of a zombie = %v, want ErrFenced", err)
	}
	must(t, now.Done(ctx, taken, again, checkpoint.Done{Lookback: back}))
}

// A lease that is kept outlives its term.
func TestKeep(t *testing.T) {
	t.Parallel()
	a, b := open2(t, checkpoint.Options{Lease: 300 * time.Millisecond, Request: time.Millisecond})
	l, _ := lease(t, a, "usage", "prod")
	there, err := b.Target(t.Context(), "usage", "prod")
	must(t, err)
	kept := make(chan error)
	done := make(chan struct{})
	ctx := t.Context()
	go func() {
		defer close(done)
		for i := 0; i < 10; i++ {
			if _, err := b.Acquire(ctx, there); !errors.Is(err, checkpoint.ErrHeld) {
				t.Errorf("a lease that is kept was taken: %v", err)
			}
			time.Sleep(100 * time.Millisecond)
		}
	}()
	go func() { kept <- l.Keep(ctx) }()
	<-done
	must(t, l.Valid())
	must(t, l.Release())
	if err := <-kept; !errors.Is(err, checkpoint.ErrFenced) {
		t.Errorf("Keep of a released lease = %v, want ErrFenced", err)
	}
}

// In whatever order slices are done, the mark is the greatest cursor reached in
// those from the first on that are done without a gap, and it stops before the
// first that has a reject or a row that is held.
func TestPrefixMark(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *checkpoint.Store) {
		ctx := t.Context()
		for seed := range uint64(12) {
			rng := rand.New(rand.NewPCG(seed, 7))
			l, target := lease(t, s, fmt.Sprint("sync", seed), "prod")
			n := 1 + rng.IntN(7)
			if n == 1 {
				n = 2
			}
			r := sliced(t, l, checkpoint.Incremental, n)
			floor, empty := 0, map[int]bool{} // the slice with a floor, slices without rows
			if rng.IntN(3) == 0 {
				floor = 1 + rng.IntN(n)
			}
			var open []*checkpoint.Slice
			for range n {
				part, err := l.Claim(ctx, r, false)
				must(t, err)
				open = append(open, part)
				empty[part.N] = rng.IntN(4) == 0
			}
			done := map[int]bool{}
			for _, i := range rng.Perm(n) {
				part := open[i]
				p := checkpoint.Progress{}
				if !empty[part.N] {
					p.Reached = ptr(fmt.Sprint(10*part.N - 3))
				}
				if part.N == floor {
					p.Floor = &warehouse.Position{}
				}
				if _, err := l.Save(ctx, r, part, p); err != nil {
					t.Fatal(err)
				}
				must(t, l.Done(ctx, r, part, checkpoint.Done{Lookback: func(mark string) *int64 {
					var at int64
					_, _ = fmt.Sscan(mark, &at)
					return ptr(at - 5)
				}}))
				done[part.N] = true
				want := ""
				for k := 1; k <= n && done[k] && k != floor; k++ {
					if !empty[k] {
						want = fmt.Sprint(10*k - 3)
					}
				}
				stored, err := s.Target(ctx, target.Sync, "prod")
				must(t, err)
				for _, x := range []*checkpoint.Target{stored, target} {
					got := ""
					if x.Mark != nil {
						got = x.Mark.Text
					}
					if got != want {
						t.Fatalf("seed %d: with %v done, floor at %d, empty %v the mark is %q, want %q", seed, done, floor, empty, got, want)
					}
				}
			}
		}
	})
}

// Slices in order are claimed in order; one that fails keeps those behind it.
func TestOrderedSlices(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *checkpoint.Store) {
		ctx := t.Context()
		l, _ := lease(t, s, "users", "prod")
		r := sliced(t, l, checkpoint.Incremental, 3)
		one, err := l.Claim(ctx, r, true)
		must(t, err)
		if _, err := l.Claim(ctx, r, true); !errors.Is(err, checkpoint.ErrNone) {
			t.Errorf("Claim beside the first = %v, want ErrNone", err)
		}
		must(t, l.Done(ctx, r, one, checkpoint.Done{Lookback: back}))
		two, err := l.Claim(ctx, r, true)
		if err != nil || two.N != 2 || two.Last {
			t.Fatalf("Claim = %+v, %v, want slice 2", two, err)
		}
		must(t, l.FailSlice(ctx, r, two, []byte(`{"code":"x"}`)))
		if _, err := l.Claim(ctx, r, true); !errors.Is(err, checkpoint.ErrDone) {
			t.Errorf("Claim behind a failed slice = %v, want ErrDone", err)
		}
		must(t, l.Finish(ctx, r, checkpoint.Outcome{Status: checkpoint.Failed}))
		must(t, l.Begin(ctx, r, nil))
		if two, err = l.Claim(ctx, r, true); err != nil || two.N != 2 {
			t.Errorf("taken up again, Claim = %+v, %v, want slice 2", two, err)
		}
		if r.SlicesTotal != 3 {
			t.Errorf("taken up again the run has %d slices", r.SlicesTotal)
		}
	})
}

// A run that one member leaves goes on; a wish for a turn keeps slices of a
// resync back until it is taken back.
func TestLeavingAndTurns(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	a, b := open2(t, checkpoint.Options{})
	first, target := lease(t, a, "usage", "prod")
	r := sliced(t, first, checkpoint.Resync, 3)
	there, err := b.Target(ctx, "usage", "prod")
	must(t, err)
	second, err := b.Join(ctx, there, r.ID)
	must(t, err)
	defer second.Release()
	s, err := first.Claim(ctx, r, false)
	must(t, err)
	must(t, first.Finish(ctx, r, checkpoint.Outcome{Status: checkpoint.Interrupted}))
	if now, err := a.Run(ctx, r.ID); err != nil || now.Status != checkpoint.Running {
		t.Errorf("left by one of two, the run is %+v, %v", now, err)
	}
	if again, err := second.Claim(ctx, r, false); err != nil || again.N != s.N {
		t.Errorf("the slice of who left was not to be had: %v, %v", again, err)
	}

	must(t, a.WantTurn(ctx, target, time.Minute))
	if _, err := second.Claim(ctx, r, false); !errors.Is(err, checkpoint.ErrTurn) {
		t.Errorf("Claim while a turn is wanted = %v, want ErrTurn", err)
	}
	must(t, a.WantTurn(ctx, target, 0))
	if _, err := second.Claim(ctx, r, false); err != nil {
		t.Errorf("Claim afterwards: %v", err)
	}
	must(t, first.Release())
	must(t, second.Finish(ctx, r, checkpoint.Outcome{Status: checkpoint.Interrupted}))
	if now, err := a.Run(ctx, r.ID); err != nil || now.Status != checkpoint.Interrupted {
		t.Errorf("left by all, the run is %+v, %v", now, err)
	}
}

// Processes hear of each other's pauses and hurry, on either kind of state.
func TestTraffic(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *checkpoint.Store) {
		ctx := t.Context()
		look := func() checkpoint.Traffic {
			t.Helper()
			x, err := s.Traffic(ctx, "prod")
			must(t, err)
			return x
		}
		if got := look(); got != (checkpoint.Traffic{}) {
			t.Errorf("Traffic of nobody = %+v", got)
		}
		must(t, s.Pause(ctx, "prod", time.Minute))
		must(t, s.Pause(ctx, "prod", time.Second)) // an earlier end is no news
		must(t, s.Pause(ctx, "other", time.Hour))
		l, _ := lease(t, s, "usage", "prod")
		sliced(t, l, checkpoint.Incremental, 1)
		far, _ := lease(t, s, "history", "prod")
		sliced(t, far, checkpoint.Resync, 1)
		if got := look(); got.Incremental != 1 || got.Paused < 50*time.Second || got.Paused > time.Minute {
			t.Errorf("Traffic = %+v, want one incremental run and a pause of nearly a minute", got)
		}
	})
}

// Connections that are cut in the middle of transactions lose and repeat nothing.
func TestCutConnections(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dsn := postgrestest.Start(t)
	s := open(t, dsn, checkpoint.Options{})
	l, target := lease(t, s, "usage", "prod")
	r := begin(t, l, checkpoint.Incremental)
	stop := make(chan struct{})
	var cutter sync.WaitGroup
	var cuts atomic.Int64
	cutter.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(rand.N(250 * time.Millisecond)):
			}
			if postgrestest.Exec(ctx, dsn, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mixsync' AND datname = current_database()`) == nil {
				cuts.Add(1)
			}
		}
	})
	var failed error
	saves := 0
	for ; (saves < 60 || cuts.Load() < 3) && failed == nil; saves++ {
		failed = checkpoint.SaveRun(ctx, l, r, progress(saves))
	}
	close(stop)
	cutter.Wait()
	must(t, failed)
	for n := range saves {
		into := map[uint64]checkpoint.Entry{}
		must(t, s.Ledger(ctx, target.ID, []uint64{uint64(n * step), uint64(n*step) + 1}, into))
		if len(into) != 2 {
			t.Fatalf("Save %d returned, but %d of its entries are there", n, len(into))
		}
	}
}

// What is wrong with a Postgres is said without its password.
func TestPostgresErrors(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dsn := postgrestest.Start(t)
	must(t, postgrestest.Exec(ctx, dsn, `DROP ROLE IF EXISTS mixsync_poor; CREATE ROLE mixsync_poor LOGIN PASSWORD 'secret'`))
	poor := strings.Replace(dsn, "://"+strings.SplitN(strings.SplitN(dsn, "://", 2)[1], "@", 2)[0]+"@", "://mixsync_poor:secret@", 1)
	for url, want := range map[string]checkpoint.Kind{
		poor: checkpoint.KindPermission, // may connect, but make nothing
		strings.Replace(poor, "mixsync_test_", "nothing_", 1): checkpoint.KindURL,
		"postgres://u:secret@127.0.0.1:1/db":                  checkpoint.KindUnreachable,
	} {
		_, err := checkpoint.Open(ctx, url, checkpoint.Options{})
		wantKind(t, err, want)
		if e, ok := errors.AsType[*checkpoint.Error](err); !ok || e.Hint == "" || strings.Contains(err.Error()+e.Hint, "secret") {
			t.Errorf("Open of %s = %v", want, err)
		}
	}
	if s := open(t, dsn, checkpoint.Options{ReadOnly: true}); s.UUID() != "" {
		t.Error("a state that is not there yet has a UUID")
	}
	uuid := open(t, dsn, checkpoint.Options{}).UUID()
	if again := open(t, dsn, checkpoint.Options{ReadOnly: true}); again.UUID() != uuid || uuid == "" {
		t.Errorf("the state's UUID is %q, read again %q", uuid, again.UUID())
	}
	must(t, postgrestest.Exec(ctx, dsn, `INSERT INTO mixsync.schema_migrations VALUES (99, 0)`))
	_, err := checkpoint.Open(ctx, dsn, checkpoint.Options{})
	wantKind(t, err, checkpoint.KindNewer)
}
