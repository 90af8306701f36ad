package engine

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/robfig/cron/v3"
)

// Local works tasks in this process alone.
type Local struct {
	worker Worker
	log    *slog.Logger
	cron   *cron.Cron
	wake   chan struct{} // something may be worked on that could not before

	mu      sync.Mutex
	entries []cron.EntryID
	tasks   []*item // in the order they are to be begun; at most a few for each sync
}

type item struct {
	Task
	after time.Time // not before
	busy  bool
}

var _ Engine = (*Local)(nil)

// NewLocal makes a local engine.
func NewLocal(w Worker, log *slog.Logger) *Local {
	return &Local{worker: w, log: log, cron: cron.New(), wake: make(chan struct{}, 1)}
}

// Schedule replaces the schedules.
func (e *Local) Schedule(entries []Entry) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, id := range e.entries {
		e.cron.Remove(id)
	}
	e.entries = e.entries[:0]
	for _, x := range entries {
		e.entries = append(e.entries, e.cron.Schedule(x.Schedule, cron.FuncJob(func() { e.add(x.Task) })))
	}
}

// Submit adds a task, unless the same is there.
func (e *Local) Submit(_ context.Context, t Task) (Task, error) { return e.add(t), nil }

func (e *Local) add(t Task) Task {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, x := range e.tasks {
		same := x.Task
		same.RunID = t.RunID
		if same == t {
			return x.Task
		}
	}
	e.tasks = append(e.tasks, &item{Task: t})
	e.signal()
	return t
}

// Find returns the task that is to open a run.
func (e *Local) Find(_ context.Context, runID string) (Task, bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, x := range e.tasks {
		if x.RunID == runID {
			return x.Task, true, nil
		}
	}
	return Task{}, false, nil
}

// Leader is this process.
func (e *Local) Leader(context.Context) (string, bool, error) { return processName(), true, nil }

func processName() string {
	host, _ := os.Hostname()
	return host + "-" + strconv.Itoa(os.Getpid())
}

func (e *Local) signal() {
	select {
	case e.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// Run works until stop is closed or ctx ends.
func (e *Local) Run(ctx context.Context, stop <-chan struct{}) error {
	e.cron.Start()
	var steps sync.WaitGroup
	defer func() {
		<-e.cron.Stop().Done()
		steps.Wait()
	}()
	missed := time.NewTicker(catchUpEvery)
	defer missed.Stop()
	e.catchUp(ctx)
	for {
		for x := e.next(time.Now()); x != nil; x = e.next(time.Now()) {
			steps.Go(func() { e.step(ctx, x) })
		}
		timer := time.NewTimer(e.untilNext(time.Now()))
		select {
		case <-stop:
		case <-ctx.Done():
		case <-e.wake:
		case <-timer.C:
		case <-missed.C:
			e.catchUp(ctx)
		}
		timer.Stop()
		select {
		case <-stop:
			return nil
		case <-ctx.Done():
			return nil
		default:
		}
	}
}

func (e *Local) catchUp(ctx context.Context) {
	due, err := e.worker.Due(ctx)
	if err != nil {
		e.log.Error("what is due cannot be told", "err", err)
		return
	}
	for _, t := range due {
		e.add(t)
	}
}

// next takes the first task that may be begun; nil if there is none. Of one sync
// and project it takes one at a time.
func (e *Local) next(now time.Time) *item {
	e.mu.Lock()
	defer e.mu.Unlock()
	busy := map[bool]int{}
	type target struct{ sync, project string }
	taken := map[target]bool{}
	for _, x := range e.tasks {
		if x.busy {
			busy[x.backfill()]++
			if !x.backfill() {
				taken[target{x.Sync, x.Project}] = true
			}
		}
	}
	for _, x := range e.tasks {
		limit := tasksAtOnce
		if x.backfill() {
			limit = backfillsAtOnce
		}
		if !x.busy && !x.after.After(now) && busy[x.backfill()] < limit && !taken[target{x.Sync, x.Project}] {
			x.busy = true
			return x
		}
	}
	return nil
}

// untilNext is how long until a task that waits for its time may be begun.
func (e *Local) untilNext(now time.Time) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	wait := catchUpEvery
	for _, x := range e.tasks {
		if !x.busy && x.after.After(now) {
			wait = min(wait, x.after.Sub(now))
		}
	}
	return wait
}

func (e *Local) step(ctx context.Context, x *item) {
	step, err := e.worker.Work(ctx, x.Task, func(string, int) {})
	if err != nil {
		e.log.Error("a task failed and is tried again", "sync", x.Sync, "project", x.Project, "err", err)
		step = Step{Left: true, Again: retryAfter}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tasks = slices.DeleteFunc(e.tasks, func(y *item) bool { return y == x })
	if step.Left { // behind the others
		x.busy, x.after = false, time.Now().Add(step.Again)
		e.tasks = append(e.tasks, x)
	}
	e.signal()
}

// A task that failed for reasons of the state's is tried again after so long.
const retryAfter = 5 * time.Second
