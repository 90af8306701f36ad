package pace

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Backoff is how long to wait before another try, and when to stop trying. Zero
// fields have the defaults Mixpanel asks for.
type Backoff struct {
	Base      time.Duration // after the first failure, doubling; 2 s
	Cap       time.Duration // of the doubling; 60 s
	JitterMin time.Duration // added to each wait, at random between the two, so that
	JitterMax time.Duration // those who failed together do not return together; 1 s and 5 s
	Quick     time.Duration // at most, after a lost connection that was the first failure; 250 ms

	MaxElapsed  time.Duration // from the first try; 10 min
	MaxAttempts int           // 20: only reached when the waits are scaled down
}

func (b Backoff) withDefaults() Backoff {
	set := func(d *time.Duration, to time.Duration) {
		if *d <= 0 {
			*d = to
		}
	}
	set(&b.Base, 2*time.Second)
	set(&b.Cap, time.Minute)
	if b.JitterMax <= 0 {
		set(&b.JitterMin, time.Second)
		b.JitterMax = 5 * time.Second
	}
	b.JitterMax = max(b.JitterMin, b.JitterMax)
	set(&b.Quick, 250*time.Millisecond)
	set(&b.MaxElapsed, 10*time.Minute)
	if b.MaxAttempts <= 0 {
		b.MaxAttempts = 20
	}
	return b
}

// Scaled returns b, defaults filled in, with every wait multiplied by f: for a
// server on this machine, which needs no such patience. What a server asks for
// in Retry-After is not scaled.
func (b Backoff) Scaled(f float64) Backoff {
	b = b.withDefaults()
	for _, d := range []*time.Duration{&b.Base, &b.Cap, &b.JitterMin, &b.JitterMax, &b.Quick} {
		*d = max(1, time.Duration(float64(*d)*f))
	}
	return b
}

// Failure is why a request must be tried again.
type Failure struct {
	Throttled  bool          // the Limiter was told
	Lost       bool          // the connection, before an answer: perhaps a mere accident
	RetryAfter time.Duration // what the answer asked for; 0 = nothing
}

// Delay is how long to wait after n failures, 1 and up.
func (b Backoff) Delay(n int, f Failure) time.Duration {
	b = b.withDefaults()
	if f.Lost && n <= 1 && f.RetryAfter == 0 {
		return between(b.Quick*2/5, b.Quick)
	}
	d := b.Cap
	if n = max(n, 1); n < 32 && b.Base<<(n-1)>>(n-1) == b.Base {
		d = min(b.Cap, b.Base<<(n-1))
	}
	return max(d+between(b.JitterMin, b.JitterMax), f.RetryAfter)
}

func between(low, high time.Duration) time.Duration {
	if high <= low {
		return low
	}
	return low + rand.N(high-low+1)
}

// ErrSpent says that a request has been tried often or long enough.
var ErrSpent = errors.New("patience is at an end")

// Wait sleeps before the next try of a request whose nth try, 1 and up, failed;
// the first was made at since. A request that was throttled does not sleep here:
// the pause is everybody's, and waited for in Limiter.Acquire.
// The error is ErrSpent when the budget holds no further try, or the context's cause.
func (b Backoff) Wait(ctx context.Context, n int, since time.Time, f Failure) error {
	b = b.withDefaults()
	if n >= b.MaxAttempts {
		return fmt.Errorf("%w: tried %d times", ErrSpent, n)
	}
	delay := f.RetryAfter
	if !f.Throttled {
		delay = b.Delay(n, f)
	}
	if elapsed := time.Since(since); elapsed+delay > b.MaxElapsed {
		return fmt.Errorf("%w: tried %d times in %v", ErrSpent, n, elapsed.Round(time.Second))
	}
	if f.Throttled {
		return nil
	}
	return Sleep(ctx, delay)
}

// Sleep waits for d or until the context ends, and returns its cause then.
func Sleep(ctx context.Context, d time.Duration) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
