package pace

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestDelay(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		b         Backoff
		n         int
		f         Failure
		low, high time.Duration
	}{
		{"first", Backoff{}, 1, Failure{}, 3 * time.Second, 7 * time.Second},
		{"second", Backoff{}, 2, Failure{}, 5 * time.Second, 9 * time.Second},
		{"fifth", Backoff{}, 5, Failure{}, 33 * time.Second, 37 * time.Second},
		{"sixth", Backoff{}, 6, Failure{}, 61 * time.Second, 65 * time.Second},
		{"hundredth", Backoff{}, 100, Failure{}, 61 * time.Second, 65 * time.Second},
		{"a zeroth is a first", Backoff{}, 0, Failure{}, 3 * time.Second, 7 * time.Second},
		{"doubling does not overflow", Backoff{Base: 1 << 40, Cap: 1 << 62}, 31, Failure{}, 1 << 62, 1<<62 + 5*time.Second},
		{"asked for more", Backoff{}, 1, Failure{RetryAfter: 90 * time.Second}, 90 * time.Second, 90 * time.Second},
		{"asked for less", Backoff{}, 2, Failure{RetryAfter: time.Second}, 5 * time.Second, 9 * time.Second},
		{"lost once", Backoff{}, 1, Failure{Lost: true}, 100 * time.Millisecond, 250 * time.Millisecond},
		{"lost twice", Backoff{}, 2, Failure{Lost: true}, 5 * time.Second, 9 * time.Second},
		{"scaled", Backoff{}.Scaled(0.01), 2, Failure{}, 50 * time.Millisecond, 90 * time.Millisecond},
		{"scaled, lost", Backoff{}.Scaled(0.01), 1, Failure{Lost: true}, time.Millisecond, 2500 * time.Microsecond},
		{"scaled, asked for", Backoff{}.Scaled(0.01), 1, Failure{RetryAfter: time.Second}, time.Second, time.Second},
		{"own figures", Backoff{Base: time.Second, Cap: 3 * time.Second, JitterMax: time.Second}, 3, Failure{}, 3 * time.Second, 4 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for range 200 {
				if got := tt.b.Delay(tt.n, tt.f); got < tt.low || got > tt.high {
					t.Fatalf("Delay(%d, %+v) = %v, want %v to %v", tt.n, tt.f, got, tt.low, tt.high)
				}
			}
		})
	}
}

func TestWait(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		b     Backoff
		n     int
		ago   time.Duration // of the first try
		f     Failure
		spent bool
		slept bool
	}{
		{"early", Backoff{}, 1, 0, Failure{}, false, true},
		{"late", Backoff{}, 9, 8 * time.Minute, Failure{}, false, true},
		{"too late", Backoff{}, 9, 9*time.Minute + 50*time.Second, Failure{}, true, false},
		{"too often", Backoff{}, 20, 0, Failure{}, true, false},
		{"throttled: all wait elsewhere", Backoff{}, 3, time.Minute, Failure{Throttled: true}, false, false},
		{"throttled for too long", Backoff{}, 3, 11 * time.Minute, Failure{Throttled: true}, true, false},
		{"asked to wait longer than there is", Backoff{}, 1, 0, Failure{Throttled: true, RetryAfter: time.Hour}, true, false},
		{"own budget", Backoff{MaxElapsed: 20 * time.Minute}, 9, 15 * time.Minute, Failure{}, false, true},
		{"own attempts", Backoff{MaxAttempts: 2}, 2, 0, Failure{}, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				err := tt.b.Wait(t.Context(), tt.n, begun.Add(-tt.ago), tt.f)
				if errors.Is(err, ErrSpent) != tt.spent || (err != nil) != tt.spent {
					t.Errorf("Wait = %v, want spent %v", err, tt.spent)
				}
				if slept := time.Since(begun) > 0; slept != tt.slept {
					t.Errorf("Wait slept %v, want %v", time.Since(begun), tt.slept)
				}
			})
		})
	}
}

func TestSleep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		if err := Sleep(t.Context(), time.Minute); err != nil || time.Since(begun) != time.Minute {
			t.Errorf("Sleep = %v after %v, want nil after 1m", err, time.Since(begun))
		}
		if err := Sleep(t.Context(), -1); err != nil {
			t.Errorf("Sleep(-1) = %v, want nil", err)
		}
		why := errors.New("stop")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(why) })
		begun = time.Now()
		if err := Sleep(ctx, time.Hour); !errors.Is(err, why) || time.Since(begun) != time.Second {
			t.Errorf("Sleep = %v after %v, want %v after 1s", err, time.Since(begun), why)
		}
		if err := Sleep(ctx, 0); !errors.Is(err, why) {
			t.Errorf("Sleep = %v, want %v", err, why)
		}
	})
}

func TestBytes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := NewBytes(100)
		first, err := b.Acquire(t.Context(), 60)
		if err != nil || first != 60 {
			t.Fatalf("Acquire(60) = %d, %v", first, err)
		}
		huge := make(chan int64)
		go func() {
			held, _ := b.Acquire(t.Context(), 1000)
			huge <- held
		}()
		synctest.Wait()
		// Small ones do not overtake for ever: the huge one is next.
		why := errors.New("stop")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(why) })
		if _, err := b.Acquire(ctx, 10); !errors.Is(err, why) {
			t.Errorf("Acquire(10) = %v, want to wait behind the huge one", err)
		}
		b.Release(first)
		held := <-huge
		if held != 100 {
			t.Errorf("Acquire(1000) holds %d, want the whole 100", held)
		}
		b.Release(held)
		if held, err := NewBytes(0).Acquire(t.Context(), 64<<20); err != nil || held != 64<<20 {
			t.Errorf("Acquire(64 MiB) = %d, %v, want the default budget to hold it", held, err)
		}
	})
}
