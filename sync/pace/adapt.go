package pace

import "time"

// throttle takes half of the senders away and makes everybody stand still. A
// 429 that answers a request from before the pause is the same event seen again.
func (l *Limiter) throttle(now time.Time, old bool, retryAfter time.Duration) {
	pause := retryAfter
	if !old {
		l.strikes++
		pause = l.o.Backoff.Delay(l.strikes, Failure{RetryAfter: retryAfter})
		l.stale = l.inFlight
		if l.o.Fixed == 0 {
			l.ceiling, l.ceilingTo = max(1, l.limit-1), now.Add(l.o.Hold)
			l.limit = max(1, l.limit/2)
		}
		l.rate = 0
	}
	// No request has the patience for more, and other runs share the pause.
	pause = min(pause, l.o.Backoff.MaxElapsed)
	if until := now.Add(pause); until.After(l.until) {
		l.until = until
	}
	l.restart(now)
}

// grow counts a request that got through at the present limit and, when there
// are enough to judge by, tries one sender more. It goes on as long as each
// brings at least half of what it would bring if only latency held it back.
func (l *Limiter) grow(now time.Time, full bool) {
	if l.o.Fixed > 0 {
		return
	}
	if l.done == 0 {
		l.full = true
	}
	l.done++
	l.full = l.full && full
	watched := now.Sub(l.since)
	if l.done < 2*l.limit || watched < l.o.GrowEvery {
		return
	}
	rate, was, full := float64(l.done)/watched.Seconds(), l.rate, l.full
	l.restart(now)
	if !full {
		l.rate = 0 // not the senders but the rows were scarce: nothing to learn
		return
	}
	l.rate = rate
	if now.After(l.ceilingTo) {
		l.ceiling = l.o.Max
	}
	if was > 0 && rate < was*(1+0.5/float64(l.limit)) {
		// The last one brought nothing: the line, the server or this machine is full.
		l.limit = max(1, l.limit-1)
		l.ceiling, l.ceilingTo = l.limit, now.Add(l.o.Hold)
		l.rate = 0
		return
	}
	if l.limit < l.ceiling {
		l.limit++
	} else {
		l.rate = 0
	}
}

// restart begins the watch anew.
func (l *Limiter) restart(now time.Time) { l.since, l.done, l.full = now, 0, true }
