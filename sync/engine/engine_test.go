package engine_test

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/mixsync/mixsync/connectors/postgres/postgrestest"
	"github.com/mixsync/mixsync/sync/checkpoint"
	"github.com/mixsync/mixsync/sync/engine"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(postgrestest.Tests{M: m}) }

// desk is a worker that notes what it was given and answers as it is told.
type desk struct {
	answer func(ctx context.Context, t engine.Task, nth int) (engine.Step, error)
	opened func(t engine.Task) int // slices to tell of
	due    func() []engine.Task

	mu   sync.Mutex
	work []engine.Task
	at   []time.Time // when each was begun
	hint chan struct{}
}

func newDesk() *desk { return &desk{hint: make(chan struct{}, 1)} }

func (d *desk) Work(ctx context.Context, t engine.Task, opened func(string, int)) (engine.Step, error) {
	d.mu.Lock()
	nth := 0
	for _, x := range d.work {
		if x == t {
			nth++
		}
	}
	d.work, d.at = append(d.work, t), append(d.at, time.Now())
	d.mu.Unlock()
	select {
	case d.hint <- struct{}{}:
	default:
	}
	if d.opened != nil {
		if n := d.opened(t); n > 0 {
			opened("run-of-"+t.Sync, n)
		}
	}
	if d.answer == nil {
		return engine.Step{}, nil
	}
	return d.answer(ctx, t, nth)
}

func (d *desk) Due(context.Context) ([]engine.Task, error) {
	if d.due == nil {
		return nil, nil
	}
	return d.due(), nil
}

func (d *desk) seen() []engine.Task {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.work)
}

// until waits for a state of the work.
func (d *desk) until(t *testing.T, what string, ok func(work []engine.Task) bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		if ok(d.seen()) {
			return
		}
		select {
		case <-d.hint:
		case <-time.After(20 * time.Millisecond):
		case <-deadline:
			t.Fatalf("waited in vain for %s; worked on %v", what, d.seen())
		}
	}
}

func count(work []engine.Task, t engine.Task) (n int) {
	for _, x := range work {
		if x == t {
			n++
		}
	}
	return n
}

// hall is what a test runs engines in.
type hall struct {
	make func(t *testing.T, w engine.Worker) engine.Engine
}

// start runs an engine until the test ends or the function it returns is called.
func (h hall) start(t *testing.T, w engine.Worker) (engine.Engine, func()) {
	t.Helper()
	e := h.make(t, w)
	stop, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- e.Run(context.WithoutCancel(t.Context()), stop) }()
	halt := sync.OnceFunc(func() {
		close(stop)
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run = %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Error("the engine does not end")
		}
	})
	t.Cleanup(halt)
	return e, halt
}

var quiet = slog.New(slog.DiscardHandler)

// onBoth runs a test on either engine.
func onBoth(t *testing.T, test func(t *testing.T, h hall)) {
	t.Run("local", func(t *testing.T) {
		t.Parallel()
		test(t, hall{func(_ *testing.T, w engine.Worker) engine.Engine { return engine.NewLocal(w, quiet) }})
	})
	t.Run("river", func(t *testing.T) {
		t.Parallel()
		test(t, riverHall(t))
	})
}

func riverHall(t *testing.T) hall {
	t.Helper()
	url := postgrestest.Start(t)
	store, err := checkpoint.Open(t.Context(), url, checkpoint.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	return hall{func(t *testing.T, w engine.Worker) engine.Engine {
		t.Helper()
		e, err := engine.NewRiver(t.Context(), url, w, quiet)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.Close)
		return e
	}}
}

func submit(t *testing.T, e engine.Engine, task engine.Task) engine.Task {
	t.Helper()
	got, err := e.Submit(t.Context(), task)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// A task is worked on once, however often it is asked for meanwhile, and can be
// found by its run until it is over.
func TestSubmit(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h hall) {
		d, over := newDesk(), make(chan struct{})
		d.answer = func(context.Context, engine.Task, int) (engine.Step, error) { <-over; return engine.Step{}, nil }
		e, _ := h.start(t, d)
		first := engine.Task{Sync: "usage", Project: "prod", Kind: engine.Incremental, RunID: "a"}
		if got := submit(t, e, first); got != first {
			t.Errorf("Submit = %+v", got)
		}
		again := first
		again.RunID = "b"
		if got := submit(t, e, again); got != first {
			t.Errorf("Submit of the same task = %+v, want the one that is there", got)
		}
		other := engine.Task{Sync: "usage", Project: "test", Kind: engine.Range, Start: "2025-01-01", RunID: "c"}
		submit(t, e, other)
		if got, found, err := e.Find(t.Context(), "c"); err != nil || !found || got != other {
			t.Errorf("Find = %+v, %v, %v", got, found, err)
		}
		d.until(t, "both tasks", func(w []engine.Task) bool { return count(w, first) == 1 && count(w, other) == 1 })
		close(over)
		gone := func() bool { _, found, err := e.Find(t.Context(), "a"); return err == nil && !found }
		for end := time.Now().Add(10 * time.Second); !gone(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("a task that is over is still found")
			}
		}
		submit(t, e, again)
		d.until(t, "the task again", func(w []engine.Task) bool { return count(w, again) == 1 })
		if w := d.seen(); len(w) != 3 {
			t.Errorf("worked on %v", w)
		}
	})
}

// What is left is gone on with, in its time; errors are tried again.
func TestLeft(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h hall) {
		d := newDesk()
		d.answer = func(_ context.Context, task engine.Task, nth int) (engine.Step, error) {
			if task.Sync == "long" && nth < 2 {
				return engine.Step{Left: true, Again: time.Duration(nth) * time.Second}, nil
			}
			return engine.Step{}, nil
		}
		e, _ := h.start(t, d)
		long := engine.Task{Sync: "long", Project: "prod", Kind: engine.Resync}
		submit(t, e, long)
		d.until(t, "three steps", func(w []engine.Task) bool { return count(w, long) == 3 })
		d.mu.Lock()
		defer d.mu.Unlock()
		if wait := d.at[2].Sub(d.at[1]); wait < time.Second {
			t.Errorf("came again after %s, want at least a second", wait)
		}
	})
}

// A task whose outcome could not even be saved is tried again.
func TestFaults(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h hall) {
		d := newDesk()
		d.answer = func(_ context.Context, task engine.Task, nth int) (engine.Step, error) {
			if nth == 0 {
				return engine.Step{}, errors.New("the state is away")
			}
			return engine.Step{}, nil
		}
		e, _ := h.start(t, d)
		faulty := engine.Task{Sync: "faulty", Project: "prod", Kind: engine.Incremental}
		submit(t, e, faulty)
		d.until(t, "another try", func(w []engine.Task) bool { return count(w, faulty) == 2 })
	})
}

// Schedules tick, are replaced, and what was missed is found.
func TestSchedules(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h hall) {
		d := newDesk()
		missed := engine.Task{Sync: "missed", Project: "prod", Kind: engine.Scheduled}
		d.due = func() []engine.Task { return []engine.Task{missed} }
		e, _ := h.start(t, d)
		everySecond, err := engine.Parse("@every 1s", time.UTC, "")
		if err != nil {
			t.Fatal(err)
		}
		a, b := engine.Task{Sync: "a", Project: "prod", Kind: engine.Scheduled}, engine.Task{Sync: "b", Project: "prod", Kind: engine.Scheduled}
		e.Schedule([]engine.Entry{{Task: a, Schedule: everySecond}})
		d.until(t, "ticks, and what was missed", func(w []engine.Task) bool { return count(w, a) >= 3 && count(w, missed) == 1 })
		e.Schedule([]engine.Entry{{Task: b, Schedule: everySecond}})
		d.until(t, "the other's ticks", func(w []engine.Task) bool { return count(w, b) >= 1 })
		before := count(d.seen(), a)
		d.until(t, "the other's ticks", func(w []engine.Task) bool { return count(w, b) >= 3 })
		if after := count(d.seen(), a); after > before+1 {
			t.Errorf("the replaced schedule ticked %d times more", after-before)
		}
	})
}

// Backfills leave room for schedules, and the process is bounded in both.
func TestBounds(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h hall) {
		d, over := newDesk(), make(chan struct{})
		d.answer = func(context.Context, engine.Task, int) (engine.Step, error) { <-over; return engine.Step{}, nil }
		e, _ := h.start(t, d)
		for _, s := range []string{"a", "b", "c", "d", "e", "f"} {
			submit(t, e, engine.Task{Sync: s, Project: "prod", Kind: engine.Resync})
		}
		for _, s := range []string{"u", "v", "w", "x", "y", "z"} {
			submit(t, e, engine.Task{Sync: s, Project: "prod", Kind: engine.Scheduled})
		}
		d.until(t, "six tasks", func(w []engine.Task) bool { return len(w) >= 6 })
		time.Sleep(300 * time.Millisecond)
		backfills := 0
		begun := d.seen()
		for _, x := range begun {
			if x.Kind == engine.Resync {
				backfills++
			}
		}
		if len(begun) != 6 || backfills != 2 {
			t.Errorf("%d tasks at once, %d of them backfills; want 6 and 2", len(begun), backfills)
		}
		close(over)
		d.until(t, "all tasks", func(w []engine.Task) bool { return len(w) == 12 })
	})
}

// Several processes share tasks: each is worked on by one, helpers are asked for
// and come, one leads, and what one gives back as it stops another goes on with.
func TestRiverShares(t *testing.T) {
	t.Parallel()
	h := riverHall(t)
	one, two := newDesk(), newDesk()
	stopping := make(chan struct{})
	one.answer = func(_ context.Context, task engine.Task, _ int) (engine.Step, error) {
		if task.Kind == engine.Resync {
			<-stopping
			return engine.Step{Left: true}, nil
		}
		return engine.Step{}, nil
	}
	one.opened = func(task engine.Task) int {
		if task.Kind == engine.Resync {
			return 3
		}
		return 0
	}
	first, halt := h.start(t, one)
	resync := engine.Task{Sync: "usage", Project: "prod", Kind: engine.Resync, RunID: "r"}
	submit(t, first, resync)
	one.until(t, "the resync", func(w []engine.Task) bool { return count(w, resync) == 1 })
	second, _ := h.start(t, two)
	helpers := func(w []engine.Task) (n int) {
		for slot := 1; slot <= 2; slot++ {
			n += count(w, engine.Task{Sync: "usage", Project: "prod", Kind: engine.Help, RunID: "run-of-usage", Slot: slot})
		}
		return n
	}
	one.until(t, "helpers", func(w []engine.Task) bool {
		return helpers(w)+helpers(two.seen()) == 2
	})
	leaders := 0
	for end := time.Now().Add(20 * time.Second); leaders == 0 && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		for _, e := range []engine.Engine{first, second} {
			if _, ours, err := e.Leader(t.Context()); err != nil {
				t.Fatal(err)
			} else if ours {
				leaders++
			}
		}
	}
	if leaders != 1 {
		t.Errorf("%d leaders", leaders)
	}
	close(stopping)
	begun := time.Now()
	halt()
	two.until(t, "the resync to go on", func(w []engine.Task) bool { return count(w, resync) == 1 })
	if took := time.Since(begun); took > 12*time.Second {
		t.Errorf("it took %s until work that was given back was gone on with", took)
	}
}

// A process that is frozen in its turn to bring the tables up to date does not
// keep the others waiting for good.
func TestFrozenPeer(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Start(t)
	store, err := checkpoint.Open(t.Context(), dsn, checkpoint.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	frozen, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer frozen.Close(context.Background())
	if _, err := frozen.Exec(t.Context(), `SELECT pg_advisory_lock(x'6d697873796e63'::bigint)`); err != nil {
		t.Fatal(err)
	}

	to, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	query := to.Query()
	query.Set("lock_timeout", "200ms")
	to.RawQuery = query.Encode()
	if e, err := engine.NewRiver(t.Context(), to.String(), newDesk(), quiet); err == nil || !strings.Contains(err.Error(), "another process is bringing its tables up to date") {
		t.Errorf("NewRiver beside a frozen process = %v, %v", e, err)
	}
}

// A process that is stopped at once cancels its steps, for no reason of its own
// making, and another goes on with them at once.
func TestHardStop(t *testing.T) {
	t.Parallel()
	h := riverHall(t)
	ctx, stopNow := context.WithCancel(t.Context())
	one, two := newDesk(), newDesk()
	why := make(chan error, 1)
	one.answer = func(ctx context.Context, _ engine.Task, _ int) (engine.Step, error) {
		<-ctx.Done()
		why <- context.Cause(ctx)
		return engine.Step{Left: true}, nil // as an interrupted run is
	}
	e := h.make(t, one)
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx, nil) }()
	task := engine.Task{Sync: "usage", Project: "prod", Kind: engine.Resync, RunID: "r"}
	submit(t, e, task)
	one.until(t, "the resync", func(w []engine.Task) bool { return count(w, task) == 1 })
	h.start(t, two)
	begun := time.Now()
	stopNow()
	if err := <-ended; err != nil {
		t.Errorf("Run = %v", err)
	}
	if err := <-why; !errors.Is(err, context.Canceled) {
		t.Errorf("the step was cancelled for %v, want %v", err, context.Canceled)
	}
	two.until(t, "the resync to go on", func(w []engine.Task) bool { return count(w, task) == 1 })
	if took := time.Since(begun); took > 12*time.Second {
		t.Errorf("it took %s until work that was given back was gone on with", took)
	}
}

// A schedule is read in its time zone, and comes late by the same jitter each time.
func TestParse(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	plain, err := engine.Parse("30 9 * * *", berlin, "")
	if err != nil {
		t.Fatal(err)
	}
	from := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	if got, want := plain.Next(from), time.Date(2026, 7, 1, 7, 30, 0, 0, time.UTC); !got.Equal(want) {
		t.Errorf("Next = %s, want %s", got, want)
	}
	late := map[time.Duration]bool{}
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		s, err := engine.Parse("* * * * *", time.UTC, name)
		if err != nil {
			t.Fatal(err)
		}
		j := s.Next(from).Sub(from.Add(time.Minute))
		j = (j + time.Minute) % time.Minute
		if j < 0 || j >= 6*time.Second {
			t.Errorf("%s comes %s late, want less than a tenth of a minute", name, j)
		}
		late[j] = true
		tick := s.Next(from)
		for range 100 {
			next := s.Next(tick)
			if next.Sub(tick) != time.Minute || !s.Next(next.Add(-time.Nanosecond)).Equal(next) {
				t.Fatalf("%s: after %s comes %s", name, tick, next)
			}
			tick = next
		}
	}
	if len(late) < 4 {
		t.Errorf("jitters are %v", late)
	}
	if _, err := engine.Parse("never", time.UTC, ""); err == nil {
		t.Error("a schedule that is none was taken")
	}
	if s, err := engine.Parse("0 0 30 2 *", time.UTC, "x"); err != nil || s.Next(from).Before(from.AddDate(50, 0, 0)) {
		t.Errorf("the 30th of February comes (%v)", err)
	}
}
