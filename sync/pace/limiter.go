package pace

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Feedback is how a request ended, as far as the pace is concerned.
type Feedback uint8

const (
	Good      Feedback = iota // answered, whatever it said of the records
	Throttled                 // 429: the project is over its limit
	Failed                    // no answer, or one that says the server is unwell
	Cancelled                 // ended by ourselves: says nothing
)

// Options of a Limiter. The zero value adapts between 1 and 32 senders from 10.
type Options struct {
	Fixed int // so many senders, always; 0 = adapt
	// Start and Max follow Mixpanel's advice of 10 to 20 clients, with room
	// for slow lines; 10 and 32.
	Start, Max int
	// GrowEvery is how long a number of senders is watched before the next is
	// tried; 1 s.
	GrowEvery time.Duration
	// Hold is how long a number of senders that brought nothing, or a 429, is
	// not tried again; 1 min, which is the window Mixpanel counts over.
	Hold time.Duration
	// Backoff is for the shared pauses after 429.
	Backoff Backoff
}

// Limiter admits requests. All senders of one project, of all its syncs, share
// one. Create it with New.
type Limiter struct {
	o Options

	mu       sync.Mutex
	limit    int
	inFlight int
	waiting  queue     // first come, first served
	until    time.Time // nobody starts before
	wake     *time.Timer

	// Backfills stand behind: they start when nobody else waits, and while others
	// are about (until urgent) they have a quarter of the places at most.
	behind     queue
	backfilled int // of inFlight
	urgent     time.Time

	strikes int // pauses in a row without a request getting through
	stale   int // requests begun before the last pause: they speak of old times

	// The hill: requests done since `since`, at the present limit.
	since     time.Time
	done      int
	full      bool // every slot was taken, each time one was given back
	rate      float64
	ceiling   int // not exceeded before `ceilingTo`
	ceilingTo time.Time
}

type waiter struct {
	admitted bool
	ready    chan struct{}
}

type queue []*waiter

func (q *queue) shift() *waiter {
	w := (*q)[0]
	(*q)[0] = nil
	*q = (*q)[1:]
	return w
}

func (q *queue) remove(w *waiter) {
	*q = slices.DeleteFunc(*q, func(o *waiter) bool { return o == w })
}

// Others are taken to be about for so long after their last request.
const urgentTime = 3 * time.Second

// New makes a Limiter.
func New(o Options) *Limiter {
	if o.Start <= 0 {
		o.Start = 10
	}
	if o.Max <= 0 {
		o.Max = 32
	}
	if o.GrowEvery <= 0 {
		o.GrowEvery = time.Second
	}
	if o.Hold <= 0 {
		o.Hold = time.Minute
	}
	o.Backoff = o.Backoff.withDefaults()
	l := &Limiter{o: o, limit: min(o.Start, o.Max)}
	if o.Fixed > 0 {
		l.limit = o.Fixed
	}
	l.ceiling = l.o.Max
	return l
}

// Senders is how many requests there can ever be at once: so many goroutines
// are worth having, and without them a Limiter does not find its best.
func (l *Limiter) Senders() int {
	if l.o.Fixed > 0 {
		return l.o.Fixed
	}
	return l.o.Max
}

// Acquire waits until one more request may start. Its error is the context's
// cause. Every Acquire without error is followed by one Done.
func (l *Limiter) Acquire(ctx context.Context) error { return l.acquire(ctx, &l.waiting, false) }

// AcquireBehind is Acquire for a backfill: it lets everybody else go first. It is
// followed by one DoneBehind.
func (l *Limiter) AcquireBehind(ctx context.Context) error { return l.acquire(ctx, &l.behind, true) }

func (l *Limiter) acquire(ctx context.Context, q *queue, backfill bool) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	l.mu.Lock()
	now := time.Now()
	if !backfill {
		l.urgent = now.Add(urgentTime)
	}
	if len(l.waiting) == 0 && len(*q) == 0 && l.open(now, backfill) {
		l.admit(backfill)
		l.mu.Unlock()
		return nil
	}
	w := &waiter{ready: make(chan struct{})}
	*q = append(*q, w)
	l.advance() // sets the alarm if there is a pause and nothing in flight to end it
	l.mu.Unlock()

	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.admitted { // at the same moment: the place goes to the next
		l.leave(backfill)
		l.advance()
	} else {
		q.remove(w)
	}
	return context.Cause(ctx)
}

// Done gives back what Acquire got and tells how the request ended. After
// Throttled nobody starts for a while, or for retryAfter if that is longer
// (zero when the answer named no time).
func (l *Limiter) Done(f Feedback, retryAfter time.Duration) { l.finish(f, retryAfter, false) }

// DoneBehind is Done for what AcquireBehind got.
func (l *Limiter) DoneBehind(f Feedback, retryAfter time.Duration) { l.finish(f, retryAfter, true) }

func (l *Limiter) finish(f Feedback, retryAfter time.Duration, backfill bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	full := l.inFlight >= l.limit
	l.leave(backfill)
	old := l.stale > 0
	if old {
		l.stale--
	}
	switch {
	case f == Throttled:
		l.throttle(now, old, retryAfter)
	case f == Failed:
		l.restart(now) // more senders would not help a server that is unwell
	case f == Good && !old:
		l.strikes = 0
		l.grow(now, full)
	}
	l.advance()
}

// Pause keeps everybody from starting until then: another process that sends to
// the project was told to slow down.
func (l *Limiter) Pause(until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if until.After(l.until) {
		l.until = until
		l.restart(time.Now())
	}
	l.advance()
}

// GiveWay makes backfills stand behind until then: another process has something
// to send to the project that is more urgent.
func (l *Limiter) GiveWay(until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if until.After(l.urgent) {
		l.urgent = until
	}
}

// State is a moment's view, for metrics and progress.
type State struct {
	Limit    int // requests that may be under way
	InFlight int
	Waiting  int
	Paused   time.Duration // how much longer nobody starts
}

// State returns how things stand.
func (l *Limiter) State() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	return State{Limit: l.limit, InFlight: l.inFlight, Waiting: len(l.waiting) + len(l.behind), Paused: max(0, time.Until(l.until))}
}

func (l *Limiter) open(now time.Time, backfill bool) bool {
	if l.inFlight >= l.limit || now.Before(l.until) {
		return false
	}
	return !backfill || !now.Before(l.urgent) || l.backfilled < max(1, l.limit/4)
}

func (l *Limiter) admit(backfill bool) {
	if l.inFlight == 0 && l.done == 0 {
		l.since = time.Now() // after idleness the watch begins anew
	}
	l.inFlight++
	if backfill {
		l.backfilled++
	}
}

func (l *Limiter) leave(backfill bool) {
	l.inFlight--
	if backfill {
		l.backfilled--
	}
}

// advance admits those who wait, as far as there is room, or sees to it that it
// is called when the pause is over, or the hurry of others.
func (l *Limiter) advance() {
	now := time.Now()
	for len(l.waiting) > 0 && l.open(now, false) {
		l.welcome(l.waiting.shift(), false)
	}
	for len(l.waiting) == 0 && len(l.behind) > 0 && l.open(now, true) {
		l.welcome(l.behind.shift(), true)
	}
	switch {
	case len(l.waiting)+len(l.behind) > 0 && now.Before(l.until):
		l.alarm(l.until.Sub(now))
	case len(l.behind) > 0 && now.Before(l.urgent):
		l.alarm(l.urgent.Sub(now))
	}
}

func (l *Limiter) welcome(w *waiter, backfill bool) {
	w.admitted = true
	close(w.ready)
	l.admit(backfill)
}

func (l *Limiter) alarm(d time.Duration) {
	if l.wake != nil {
		l.wake.Reset(d)
		return
	}
	l.wake = time.AfterFunc(d, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.advance()
	})
}
