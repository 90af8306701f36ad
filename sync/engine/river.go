package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"
)

const (
	riverSchema = "mixsync" // where the state's own tables are as well

	// River tells a dead worker by the age of its job, so a job ends well before it
	// is that old: Work saves its place and the job is snoozed.
	jobTimeout  = 90 * time.Second
	rescueAfter = 2 * time.Minute

	// Jobs are announced by NOTIFY; polling is for those whose notice was lost.
	pollEvery = 5 * time.Second
	// Outcomes are kept in the state. River's own record is for whoever looks for a
	// fault of the last hour.
	keepJobs = time.Hour

	// Helpers of one run at a time, over all processes.
	maxHelpers = 8

	queueSchedules = river.QueueDefault
	queueBackfills = "backfill"
	connections    = 6

	// Nobody holds a lock for long, unless its process is frozen: that must not keep
	// the others waiting for good. A lock_timeout in the state's URL goes first.
	lockTimeout = "30s"
)

// River works tasks together with all other processes on one Postgres, as jobs
// of riverqueue.com. One of them is elected to keep the schedules.
type River struct {
	worker Worker
	log    *slog.Logger
	pool   *pgxpool.Pool
	client *river.Client[pgx.Tx]

	mu        sync.Mutex
	scheduled []rivertype.PeriodicJobHandle
}

var _ Engine = (*River)(nil)

// NewRiver makes an engine on the Postgres at url, whose state has been opened
// before. It brings River's tables up to date. Close it after Run.
func NewRiver(ctx context.Context, url string, w Worker, log *slog.Logger) (*River, error) {
	config, err := poolConfig(url)
	if err != nil {
		return nil, err
	}
	e := &River{worker: w, log: log}
	if e.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, err
	}
	if err := e.open(ctx); err != nil {
		e.Close()
		return nil, fmt.Errorf("job queue: %w", err)
	}
	return e, nil
}

func poolConfig(url string) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errors.New("the state URL cannot be read") // pgx's error may show the password
	}
	config.MaxConns = connections
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "mixsync"
	}
	if config.ConnConfig.RuntimeParams["lock_timeout"] == "" {
		config.ConnConfig.RuntimeParams["lock_timeout"] = lockTimeout
	}
	return config, nil
}

func (e *River) open(ctx context.Context) (err error) {
	if err := e.migrate(ctx); err != nil {
		return err
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, &taskWorker{engine: e})
	river.AddWorker(workers, &catchUpWorker{engine: e})
	e.client, err = river.NewClient(riverpgxv5.New(e.pool), &river.Config{
		Schema: riverSchema,
		Queues: map[string]river.QueueConfig{
			queueSchedules: {MaxWorkers: tasksAtOnce},
			queueBackfills: {MaxWorkers: backfillsAtOnce},
		},
		Workers:           workers,
		FetchPollInterval: pollEvery, JobTimeout: jobTimeout, RescueStuckJobsAfter: rescueAfter, RetryPolicy: soon{},
		CompletedJobRetentionPeriod: keepJobs, CancelledJobRetentionPeriod: keepJobs, DiscardedJobRetentionPeriod: keepJobs,
		PeriodicJobs: []*river.PeriodicJob{river.NewPeriodicJob(river.PeriodicInterval(catchUpEvery),
			func() (river.JobArgs, *river.InsertOpts) { return catchUpArgs{}, nil }, &river.PeriodicJobOpts{RunOnStart: true})},
		ErrorHandler: faults{e.log},
		Logger:       slog.New(atLeast{slog.LevelWarn, e.log.Handler()}),
	})
	return err
}

// migrate brings River's tables up to date; processes that start together take turns.
func (e *River) migrate(ctx context.Context) error {
	const ours = 0x6d697873796e63 // any number that others do not use
	conn, err := e.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, ours); err != nil {
		if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == "55P03" { // lock_not_available
			err = fmt.Errorf("another process is bringing its tables up to date and does not get done; see pg_locks for who holds the advisory lock: %w", err)
		}
		return err
	}
	defer func() { _, _ = conn.Exec(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock($1)`, ours) }()
	migrator, err := rivermigrate.New(riverpgxv5.New(e.pool), &rivermigrate.Config{
		Schema: riverSchema, Logger: slog.New(atLeast{slog.LevelWarn, e.log.Handler()})})
	if err != nil {
		return err
	}
	_, err = migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
	return err
}

// Close gives the connections back.
func (e *River) Close() { e.pool.Close() }

// Run works until stop is closed or ctx ends.
func (e *River) Run(ctx context.Context, stop <-chan struct{}) error {
	// The end of ctx must not end River's bookkeeping before the steps are over.
	if err := e.client.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("job queue: %w", err)
	}
	select {
	case <-stop:
	case <-ctx.Done():
	}
	if err := e.client.Stop(ctx); err == nil {
		return nil
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), hardStop)
	defer cancel()
	return e.client.StopAndCancel(last)
}

// Steps that are cancelled may take so long to write down what they have done.
const hardStop = 20 * time.Second

// Schedule replaces the schedules. What falls between the old and the new ones is
// found by the next look at what is due.
func (e *River) Schedule(entries []Entry) {
	e.mu.Lock()
	defer e.mu.Unlock()
	jobs := make([]*river.PeriodicJob, len(entries))
	for i, x := range entries {
		jobs[i] = river.NewPeriodicJob(x.Schedule, func() (river.JobArgs, *river.InsertOpts) { return argsOf(x.Task), nil }, nil)
	}
	e.client.PeriodicJobs().RemoveMany(e.scheduled)
	e.scheduled = e.client.PeriodicJobs().AddMany(jobs)
}

// Submit inserts a task, unless the same is there.
func (e *River) Submit(ctx context.Context, t Task) (Task, error) {
	result, err := e.client.Insert(ctx, argsOf(t), nil)
	if err != nil {
		return t, fmt.Errorf("job queue: %w", err)
	}
	if result.UniqueSkippedAsDuplicate {
		return taskOf(result.Job)
	}
	return t, nil
}

// Find returns the task that is to open a run.
func (e *River) Find(ctx context.Context, runID string) (Task, bool, error) {
	like, err := json.Marshal(map[string]string{"run_id": runID})
	if err != nil {
		return Task{}, false, err
	}
	list, err := e.client.JobList(ctx, river.NewJobListParams().Kinds(taskArgs{}.Kind()).States(waiting...).First(1).
		Where("args @> @like::jsonb", river.NamedArgs{"like": string(like)}))
	if err != nil || len(list.Jobs) == 0 {
		return Task{}, false, err
	}
	t, err := taskOf(list.Jobs[0])
	return t, err == nil, err
}

// Leader is the name of the process that keeps the schedules.
func (e *River) Leader(ctx context.Context) (string, bool, error) {
	var id string
	err := e.pool.QueryRow(ctx, `SELECT leader_id FROM `+riverSchema+`.river_leader WHERE expires_at > now()`).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", false, nil
	}
	return id, id == e.client.ID(), err
}

// waiting are the states of jobs that are not over.
var waiting = []rivertype.JobState{
	rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable, rivertype.JobStateRunning, rivertype.JobStateScheduled,
}

// taskArgs is a task in River's table.
type taskArgs struct {
	Sync    string `json:"sync" river:"unique"`
	Project string `json:"project" river:"unique"`
	Do      string `json:"do" river:"unique"`
	Start   string `json:"start,omitempty" river:"unique"`
	End     string `json:"end,omitempty" river:"unique"`
	Slot    int    `json:"slot,omitempty" river:"unique"`
	Helped  string `json:"helped,omitempty" river:"unique"` // the run to help with
	RunID   string `json:"run_id,omitempty"`
}

func argsOf(t Task) taskArgs {
	a := taskArgs{Sync: t.Sync, Project: t.Project, Do: t.Kind, Start: t.Start, End: t.End, Slot: t.Slot, RunID: t.RunID}
	if t.Kind == Help {
		a.Helped, a.RunID = t.RunID, ""
	}
	return a
}

func (a taskArgs) task() Task {
	return Task{Sync: a.Sync, Project: a.Project, Kind: a.Do, Start: a.Start, End: a.End, Slot: a.Slot, RunID: a.RunID + a.Helped}
}

func taskOf(job *rivertype.JobRow) (Task, error) {
	var a taskArgs
	err := json.Unmarshal(job.EncodedArgs, &a)
	return a.task(), err
}

func (taskArgs) Kind() string { return "run" }

// InsertOpts keeps one job of a task; incremental runs go before backfills.
func (a taskArgs) InsertOpts() river.InsertOpts {
	o := river.InsertOpts{Queue: queueSchedules, Priority: 1, MaxAttempts: attempts, UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: waiting}}
	switch t := a.task(); {
	case t.Kind == Help:
		o.Queue, o.Priority = queueBackfills, 3
	case t.backfill():
		o.Queue, o.Priority = queueBackfills, 2
	}
	return o
}

// Attempts count only where a process died or the state could not be asked.
const attempts = 100

type taskWorker struct {
	river.WorkerDefaults[taskArgs]
	engine *River
}

func (w *taskWorker) Work(ctx context.Context, job *river.Job[taskArgs]) error {
	t := job.Args.task()
	ctx, cancel := cancelled(ctx)
	defer cancel()
	step, err := w.engine.worker.Work(ctx, t, func(runID string, slices int) { w.engine.help(ctx, t, runID, slices) })
	switch {
	case err != nil:
		return err
	case step.Left:
		return river.JobSnooze(step.Again)
	}
	return nil
}

// cancelled is ctx without what River says of its end (a hard stop, the time a job
// may take): to a step, both mean to save what it has done and to end.
func cancelled(ctx context.Context) (context.Context, context.CancelFunc) {
	plain, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	return plain, func() { stop(); cancel() }
}

// help asks others to help with the slices of a run.
func (e *River) help(ctx context.Context, t Task, runID string, slices int) {
	var jobs []river.InsertManyParams
	for slot := range min(slices-1, maxHelpers) {
		jobs = append(jobs, river.InsertManyParams{Args: argsOf(Task{Sync: t.Sync, Project: t.Project, Kind: Help, RunID: runID, Slot: slot + 1})})
	}
	if _, err := e.client.InsertMany(ctx, jobs); err != nil {
		e.log.Warn("nobody could be asked to help with a run", "sync", t.Sync, "run", runID, "err", err)
	}
}

// catchUpArgs is the job that looks for what was missed.
type catchUpArgs struct{}

func (catchUpArgs) Kind() string { return "catch_up" }

func (catchUpArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Priority: 1, MaxAttempts: 1, UniqueOpts: river.UniqueOpts{ByQueue: true, ByState: waiting}}
}

type catchUpWorker struct {
	river.WorkerDefaults[catchUpArgs]
	engine *River
}

func (w *catchUpWorker) Work(ctx context.Context, _ *river.Job[catchUpArgs]) error {
	due, err := w.engine.worker.Due(ctx)
	if err != nil || len(due) == 0 {
		return err
	}
	jobs := make([]river.InsertManyParams, len(due))
	for i, t := range due {
		jobs[i].Args = argsOf(t)
	}
	_, err = w.engine.client.InsertMany(ctx, jobs)
	return err
}

// soon is the patience with the state, and with dead processes' jobs: their age
// was waiting enough.
type soon struct{}

func (soon) NextRetry(job *rivertype.JobRow) time.Time {
	if n := len(job.Errors); n > 0 && time.Since(job.Errors[n-1].At) < rescueAfter/2 {
		return time.Now().Add(retryAfter)
	}
	return time.Now()
}

// faults logs what River would only write into its table.
type faults struct{ log *slog.Logger }

func (f faults) HandleError(_ context.Context, job *rivertype.JobRow, err error) *river.ErrorHandlerResult {
	f.log.Error("a task failed and is tried again", "task", string(job.EncodedArgs), "err", err)
	return nil
}

func (f faults) HandlePanic(_ context.Context, job *rivertype.JobRow, value any, trace string) *river.ErrorHandlerResult {
	f.log.Error("a task panicked: please report this", "task", string(job.EncodedArgs), "panic", value, "trace", trace)
	return nil
}

// atLeast is a handler for a library that says more than we want to hear.
type atLeast struct {
	level slog.Level
	slog.Handler
}

func (h atLeast) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= h.level && h.Handler.Enabled(ctx, l)
}

func (h atLeast) WithAttrs(a []slog.Attr) slog.Handler {
	return atLeast{h.level, h.Handler.WithAttrs(a)}
}
func (h atLeast) WithGroup(name string) slog.Handler {
	return atLeast{h.level, h.Handler.WithGroup(name)}
}
