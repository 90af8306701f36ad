package pace

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A backfill has all places while it is alone, a quarter while others send, and
// all again soon after they have ended.
func TestBackfillsStandBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{Fixed: 8})
		ctx := t.Context()
		var behind, urgent atomic.Int64
		var stop, done atomic.Bool
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for !stop.Load() {
					if l.AcquireBehind(ctx) != nil {
						return
					}
					time.Sleep(100 * time.Millisecond)
					behind.Add(1)
					l.DoneBehind(Good, 0)
				}
			})
		}
		during := func(d time.Duration) int64 {
			before := behind.Load()
			time.Sleep(d)
			return behind.Load() - before
		}
		if got := during(10 * time.Second); got < 780 || got > 800 {
			t.Errorf("alone: %d requests in 10s, want about 800", got)
		}
		for range 8 {
			wg.Go(func() {
				for !done.Load() {
					if l.Acquire(ctx) != nil {
						return
					}
					time.Sleep(100 * time.Millisecond)
					urgent.Add(1)
					l.Done(Good, 0)
					time.Sleep(100 * time.Millisecond)
				}
			})
		}
		time.Sleep(time.Second)
		was := urgent.Load()
		if got := during(10 * time.Second); got > 210 {
			t.Errorf("beside others: %d requests in 10s, want a quarter of 800 at most", got)
		}
		if got := urgent.Load() - was; got < 380 {
			t.Errorf("the others made %d requests in 10s, want the 400 that they make alone", got)
		}
		done.Store(true)
		time.Sleep(4 * time.Second)
		if got := during(10 * time.Second); got < 780 {
			t.Errorf("alone again: %d requests in 10s, want about 800", got)
		}
		stop.Store(true)
		wg.Wait()
		if got := l.State(); got.InFlight != 0 || got.Waiting != 0 {
			t.Errorf("state at the end = %+v, want nobody there", got)
		}
	})
}

// What another process was told, or has to do, counts here as well.
func TestPauseAndHurryFromElsewhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{Fixed: 4})
		begun := time.Now()
		l.Pause(begun.Add(5 * time.Second))
		if err := l.Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := time.Since(begun); got != 5*time.Second {
			t.Errorf("the first request started after %s, want 5s", got)
		}
		l.Done(Good, 0)

		time.Sleep(time.Minute)
		l.GiveWay(time.Now().Add(10 * time.Second))
		begun = time.Now()
		for range 2 { // one place of four at first, then the next
			if err := l.AcquireBehind(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if got := time.Since(begun); got != 10*time.Second {
			t.Errorf("the backfill's second request started after %s, want 10s", got)
		}
		l.DoneBehind(Good, 0)
		l.DoneBehind(Good, 0)
	})
}
