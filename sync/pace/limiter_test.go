package pace

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// drive lets the limiter's senders make requests for a while; answer plays the
// server. It returns how many requests were made.
func drive(t *testing.T, l *Limiter, d time.Duration, answer func() Feedback) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	var mu sync.Mutex
	made := 0
	var wg sync.WaitGroup
	for range l.Senders() {
		wg.Go(func() {
			for l.Acquire(ctx) == nil {
				l.Done(answer(), 0)
				mu.Lock()
				made++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return made
}

func latency(d time.Duration) func() Feedback {
	return func() Feedback { time.Sleep(d); return Good }
}

func TestGrowsWhileLatencyIsTheLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{})
		if got := l.State().Limit; got != 10 {
			t.Fatalf("limit at first = %d, want 10", got)
		}
		drive(t, l, 3*time.Second, latency(200*time.Millisecond))
		if got := l.State().Limit; got < 11 || got > 14 {
			t.Errorf("limit after 3s = %d, want 11 to 14", got)
		}
		drive(t, l, time.Minute, latency(200*time.Millisecond))
		if got := l.State(); got.Limit != 32 || got.InFlight != 0 || got.Waiting != 0 {
			t.Errorf("state after a minute = %+v, want a limit of 32 and nobody there", got)
		}
	})
}

// With slow answers a second is too short to judge by: two rounds it must be.
func TestGrowsOnSlowLines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{})
		drive(t, l, 3*time.Minute, latency(3*time.Second))
		if got := l.State().Limit; got < 25 {
			t.Errorf("limit = %d, want 25 or more", got)
		}
	})
}

func TestStaysWhereMoreBringsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// A server that does 40 requests a second, one after another.
		var mu sync.Mutex
		free := time.Now()
		serve := func() Feedback {
			mu.Lock()
			if now := time.Now(); free.Before(now) {
				free = now
			}
			free = free.Add(25 * time.Millisecond)
			wait := time.Until(free)
			mu.Unlock()
			time.Sleep(wait)
			return Good
		}
		l := New(Options{})
		drive(t, l, 10*time.Minute, serve)
		if got := l.State().Limit; got < 9 || got > 12 {
			t.Errorf("limit = %d, want about 10: the server is full", got)
		}
	})
}

func TestStaysWhenRowsAreScarce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{})
		for range 1000 {
			if err := l.Acquire(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
			l.Done(Good, 0)
		}
		if got := l.State().Limit; got != 10 {
			t.Errorf("limit = %d, want 10: one sender at a time proves nothing", got)
		}
	})
}

func TestFailuresDoNotGrow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{})
		var n atomic.Int32
		drive(t, l, time.Minute, func() Feedback {
			time.Sleep(100 * time.Millisecond)
			if n.Add(1)%10 == 0 {
				return Failed
			}
			return Good
		})
		if got := l.State().Limit; got != 10 {
			t.Errorf("limit = %d, want 10: the server is unwell", got)
		}
	})
}

func TestFixed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{Fixed: 40})
		if l.Senders() != 40 {
			t.Errorf("Senders = %d, want 40", l.Senders())
		}
		// Each sender 10 times a second, for 10 s.
		if got := drive(t, l, 10*time.Second, latency(100*time.Millisecond)); got < 3960 || got > 4040 {
			t.Errorf("%d requests, want about 4000", got)
		}
		if err := l.Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.Done(Throttled, 0)
		if s := l.State(); s.Limit != 40 || s.Paused < 3*time.Second || s.Paused > 7*time.Second {
			t.Errorf("state after 429 = %+v, want a limit of 40 and a pause of 3s to 7s", s)
		}
	})
}

// Ten requests under way are all answered 429: that is one event. Everybody
// stands still, half of the senders go, and come back, but not at once to where
// the 429 was.
func TestThrottled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{})
		for range 10 {
			if err := l.Acquire(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for range 10 {
			l.Done(Throttled, 0)
		}
		s := l.State()
		if s.Limit != 5 || s.Paused < 3*time.Second || s.Paused > 7*time.Second {
			t.Fatalf("state = %+v, want a limit of 5 and a pause of 3s to 7s", s)
		}
		begun := time.Now()
		if err := l.Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(begun); waited != s.Paused {
			t.Errorf("Acquire waited %v, want the pause, %v", waited, s.Paused)
		}
		l.Done(Throttled, 0)
		if s := l.State(); s.Limit != 2 || s.Paused < 5*time.Second || s.Paused > 9*time.Second {
			t.Errorf("state = %+v, want a limit of 2 and a pause of 5s to 9s", s)
		}
		drive(t, l, 40*time.Second, latency(100*time.Millisecond))
		if got := l.State().Limit; got != 4 {
			t.Errorf("limit = %d, want 4: 5 was throttled less than a minute ago", got)
		}
		drive(t, l, 2*time.Minute, latency(100*time.Millisecond))
		if got := l.State().Limit; got < 20 {
			t.Errorf("limit = %d, want 20 or more when the minute is over", got)
		}
	})
}

func TestThrottleFloorAndPauseCap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{})
		for range 12 {
			if err := l.Acquire(t.Context()); err != nil {
				t.Fatal(err)
			}
			l.Done(Throttled, 0)
		}
		if s := l.State(); s.Limit != 1 || s.Paused < time.Minute || s.Paused > 65*time.Second {
			t.Errorf("state = %+v, want a limit of 1 and a pause of 60s to 65s", s)
		}
		if err := l.Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.Done(Throttled, 3*time.Minute)
		if s := l.State(); s.Paused != 3*time.Minute {
			t.Errorf("pause = %v, want the 3m that the answer asked for", s.Paused)
		}
		if err := l.Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.Done(Throttled, 24*time.Hour)
		if s := l.State(); s.Paused != 10*time.Minute {
			t.Errorf("pause = %v, want no more than a request's patience, 10m", s.Paused)
		}
	})
}

// A project that allows 50 requests a second, whatever we do: the limiter lives
// with it, and most requests get through.
func TestLivesWithARateLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const allowed = 50 * 60
		var mu sync.Mutex
		var log []time.Time // of the last minute
		refused := 0
		l := New(Options{})
		made := drive(t, l, 30*time.Minute, func() Feedback {
			time.Sleep(100*time.Millisecond + rand.N(time.Duration(50)*time.Millisecond))
			mu.Lock()
			defer mu.Unlock()
			for len(log) > 0 && time.Since(log[0]) > time.Minute {
				log = log[1:]
			}
			if len(log) >= allowed {
				refused++
				return Throttled
			}
			log = append(log, time.Now())
			return Good
		})
		if good := made - refused; good < 30*allowed*6/10 || refused > made/20 {
			t.Errorf("%d requests, %d refused; want 60%% of the allowed %d and at most 5%% refused", made, refused, 30*allowed)
		}
	})
}

func TestAcquireGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{Fixed: 1})
		why := errors.New("the lease is lost")
		ctx, cancel := context.WithCancelCause(t.Context())
		if err := l.Acquire(ctx); err != nil {
			t.Fatal(err)
		}
		got := make(chan error)
		go func() { got <- l.Acquire(ctx) }()
		synctest.Wait()
		cancel(why)
		if err := <-got; !errors.Is(err, why) {
			t.Errorf("Acquire = %v, want %v", err, why)
		}
		if err := l.Acquire(ctx); !errors.Is(err, why) {
			t.Errorf("Acquire = %v, want %v", err, why)
		}
		l.Done(Cancelled, 0)
		if s := l.State(); s != (State{Limit: 1}) {
			t.Errorf("state = %+v, want nobody there", s)
		}
	})
}

// Whatever the senders meet, no more than the limit are under way, nobody is
// forgotten and every place is given back.
func TestLimiterHolds(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			var mu sync.Mutex
			pick := func(n int) int { mu.Lock(); defer mu.Unlock(); return random.IntN(n) }
			l := New(Options{Max: 12, Start: 1 + pick(12), Hold: 5 * time.Second, Backoff: Backoff{}.Scaled(0.01)})
			under, most := 0, 0
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() {
					for range 200 {
						ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+pick(5000))*time.Millisecond)
						if err := l.Acquire(ctx); err != nil {
							cancel()
							continue
						}
						mu.Lock()
						under++
						most = max(most, under)
						mu.Unlock()
						time.Sleep(time.Duration(pick(50)) * time.Millisecond)
						mu.Lock()
						under--
						mu.Unlock()
						l.Done([]Feedback{Good, Good, Good, Good, Good, Good, Throttled, Failed, Cancelled}[pick(9)], 0)
						cancel()
					}
				})
			}
			wg.Wait()
			if s := l.State(); s.InFlight != 0 || s.Waiting != 0 || most > 12 || s.Limit < 1 || s.Limit > 12 {
				t.Errorf("seed %d: %d at once, then %+v; want at most 12 and nobody left", seed, most, s)
			}
		})
	}
}

func TestAcquireDoneAllocatesNothing(t *testing.T) {
	l := New(Options{})
	ctx := t.Context()
	if n := testing.AllocsPerRun(1000, func() {
		if err := l.Acquire(ctx); err != nil {
			t.Fatal(err)
		}
		l.Done(Good, 0)
	}); n != 0 {
		t.Errorf("Acquire and Done allocate %v times, want 0", n)
	}
}
