package runner

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/mixsync/mixsync/connectors/mixpanel"
	"github.com/mixsync/mixsync/sync/pace"
	"github.com/mixsync/mixsync/sync/pipeline"
)

// Pacer is the share of the road and the patience of all runs that send to one
// project.
type Pacer struct {
	Limiter *pace.Limiter
	Backoff pace.Backoff
	// reached says that Mixpanel has answered once: until then a wrong host is
	// more likely than an outage, and nobody should wait ten minutes to hear so.
	reached atomic.Bool
}

// A server that never answered is given up after so many tries.
const firstTries = 3

// Acquire waits for leave to start a request.
func (p *Pacer) Acquire(ctx context.Context) error { return p.Limiter.Acquire(ctx) }

// Release gives it back, with what came of the request.
func (p *Pacer) Release(o *mixpanel.Outcome) {
	if o.Status != 0 {
		p.reached.Store(true)
	}
	p.Limiter.Done(feedback(o), o.RetryAfter)
}

// Behind is the pacer of backfills to the same project: they let the others go
// first.
func (p *Pacer) Behind() pipeline.Pacer { return behind{p} }

type behind struct{ *Pacer }

func (p behind) Acquire(ctx context.Context) error { return p.Limiter.AcquireBehind(ctx) }

func (p behind) Release(o *mixpanel.Outcome) {
	if o.Status != 0 {
		p.reached.Store(true)
	}
	p.Limiter.DoneBehind(feedback(o), o.RetryAfter)
}

func feedback(o *mixpanel.Outcome) pace.Feedback {
	switch {
	case o.Throttled:
		return pace.Throttled
	case errors.Is(o.Err, context.Canceled):
		return pace.Cancelled
	case o.Status == 0 || o.Status >= 500:
		return pace.Failed
	}
	return pace.Good
}

// Wait sleeps before the next attempt at a request, or says why there is none.
func (p *Pacer) Wait(ctx context.Context, n int, since time.Time, o *mixpanel.Outcome) error {
	if n >= firstTries && !p.reached.Load() {
		return p.spent(o, fmt.Errorf("tried %d times", n))
	}
	err := p.Backoff.Wait(ctx, n, since, pace.Failure{Lost: o.Status == 0, Throttled: o.Throttled, RetryAfter: o.RetryAfter})
	if errors.Is(err, pace.ErrSpent) {
		return p.spent(o, err)
	}
	return err
}

// spent says what Mixpanel last answered, and that we gave up.
func (p *Pacer) spent(o *mixpanel.Outcome, why error) error {
	e := &mixpanel.Error{Status: o.Status, Unreachable: true, Hint: "run again later: the mark stays before the rows that were not stored"}
	var last *mixpanel.Error
	if errors.As(o.Err, &last) {
		e.Err = fmt.Errorf("%w (%w)", last.Err, why)
		if last.Hint != "" {
			e.Hint = last.Hint
		}
	} else {
		e.Err = fmt.Errorf("%w (%w)", o.Err, why)
	}
	return e
}
