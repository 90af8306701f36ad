package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/mixsync/mixsync/configs"
	"github.com/mixsync/mixsync/sync/checkpoint"
	"github.com/mixsync/mixsync/sync/engine"
	"github.com/mixsync/mixsync/sync/runner"
	"github.com/mixsync/mixsync/sync/status"
)

const (
	// A step reads for so long, then delivers what it has, saves its place and
	// makes room for others; it is cut off when that takes too long. Engines give
	// it 90 seconds.
	stepTime  = 50 * time.Second
	stepLimit = 85 * time.Second
	// A scheduled task that comes a little early waits; one that comes much too
	// early came twice.
	early = 15 * time.Second
	// Where others are at work, a task looks again after so long.
	lookAgain = 3 * time.Second
)

// daemon works on what an engine gives it, by the configuration of the moment.
type daemon struct {
	app     *app
	store   *checkpoint.Store
	stop    *stopper
	live    *watcher
	metrics *status.Metrics

	mu     sync.Mutex
	now    *settings
	fault  string         // why the configuration on disk is not used
	closed sync.WaitGroup // settings that were replaced, until nobody uses them
}

// settings is a configuration that is in use, with what has been opened for it.
type settings struct {
	file    *configs.File
	wiring  *wiring
	targets []target
	times   map[target]cron.Schedule // of those that have a schedule
	users   sync.WaitGroup

	mu    sync.Mutex
	pacts map[string]*pact // by project
}

// pact keeps a project's pace in step with other processes', while somebody sends to it.
type pact struct {
	users int
	end   func()
}

func (a *app) settings(file *configs.File) (*settings, error) {
	s := &settings{file: file, wiring: a.wiring(file), times: map[target]cron.Schedule{}, pacts: map[string]*pact{}}
	s.wiring.keeps = true
	for _, x := range file.Syncs {
		if x.Disabled {
			continue
		}
		for _, p := range x.Projects {
			t := target{x, file.Projects[p]}
			s.targets = append(s.targets, t)
			if x.Schedule == "" {
				continue
			}
			schedule, err := engine.Parse(x.Schedule, x.Location, x.Name+"/"+p)
			if err != nil {
				return nil, usageError("schedule of %s: %v", x.Name, err)
			}
			s.times[t] = schedule
		}
	}
	return s, nil
}

// find returns the target of a name, as it is configured now.
func (s *settings) find(sync, project string) (target, bool) {
	for _, t := range s.targets {
		if t.sync.Name == sync && t.project.Name == project {
			return t, true
		}
	}
	return target{}, false
}

func (s *settings) scheduleOf(t target) (cron.Schedule, error) { return s.times[t], nil }

// entries are the schedules as the engine wants them.
func (s *settings) entries() []engine.Entry {
	list := make([]engine.Entry, 0, len(s.times))
	for _, t := range s.targets {
		if schedule := s.times[t]; schedule != nil {
			list = append(list, engine.Entry{Task: scheduled(t), Schedule: schedule})
		}
	}
	return list
}

func scheduled(t target) engine.Task {
	return engine.Task{Sync: t.sync.Name, Project: t.project.Name, Kind: engine.Scheduled}
}

// share joins the pact of a target's project until the function it returns is called.
func (s *settings) share(ctx context.Context, store *checkpoint.Store, t target) (leave func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := t.project.Name
	p := s.pacts[name]
	if p == nil {
		p = &pact{end: s.wiring.share(ctx, store, []target{t})}
		s.pacts[name] = p
	}
	p.users++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if p.users--; p.users == 0 {
			delete(s.pacts, name)
			p.end()
		}
	}
}

// use returns the settings of the moment; it stays open until release is called.
func (d *daemon) use() (s *settings, release func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now.users.Add(1)
	return d.now, d.now.users.Done
}

// replace puts other settings in place of the one that is used, which is closed
// when the last step with it is over.
func (d *daemon) replace(s *settings) {
	d.mu.Lock()
	old := d.now
	d.now = s
	d.mu.Unlock()
	if old != nil {
		d.closed.Go(func() { old.users.Wait(); old.wiring.close() })
	}
}

// close ends what settings have open.
func (d *daemon) close() {
	d.replace(nil)
	d.closed.Wait()
}

// Due lists what schedules ask for now, and what was asked for and lost with the
// process that was at it.
func (d *daemon) Due(ctx context.Context) ([]engine.Task, error) {
	s, release := d.use()
	defer release()
	list, err := due(ctx, d.store, s.targets, time.Now(), s.scheduleOf)
	if err != nil {
		return nil, err
	}
	tasks := make([]engine.Task, len(list))
	for i, t := range list {
		tasks[i] = scheduled(t)
	}
	left, err := d.lost(ctx, s)
	return append(tasks, left...), err
}

// lost lists the runs that no schedule goes on with and nobody is at.
func (d *daemon) lost(ctx context.Context, s *settings) ([]engine.Task, error) {
	runs, err := d.store.Waiting(ctx)
	if err != nil || len(runs) == 0 {
		return nil, err
	}
	known, err := d.store.Targets(ctx)
	if err != nil {
		return nil, err
	}
	var tasks []engine.Task
	for _, r := range runs {
		i := slices.IndexFunc(known, func(x *checkpoint.Target) bool { return x.ID == r.TargetID })
		if i < 0 || !worthAnotherTry(r, time.Now()) {
			continue
		}
		t, ok := s.find(known[i].Sync, known[i].Project)
		if !ok {
			continue
		}
		task := engine.Task{Sync: t.sync.Name, Project: t.project.Name, Kind: engine.Incremental, RunID: r.ID}
		switch {
		case r.Kind == checkpoint.Resync:
			task.Kind = engine.Resync
		case r.Kind == checkpoint.Range && (r.Window.From != nil || r.Window.Before != nil):
			task.Kind = engine.Range
			task.Start, task.End = textOf(r.Window.From), textOf(r.Window.Before)
		case r.Kind == checkpoint.Range || s.times[t] != nil:
			continue // rejects are retried by hand; schedules look after the rest
		}
		tasks = append(tasks, task)
	}
	return tasks, nil
}

func textOf(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// worthAnotherTry reports whether an unfinished run may go better now: at once if
// it was only cut off, later if it failed, and not before somebody has mended what
// only people can.
func worthAnotherTry(r *checkpoint.Run, now time.Time) bool {
	if r.Status != checkpoint.Failed {
		return true
	}
	var e runner.Error
	if json.Unmarshal(r.Error, &e) == nil {
		switch e.Code {
		case runner.CodeTooManyRejects, runner.CodeMappingChanged, runner.CodeConfig, runner.CodeRefused, runner.CodeCredentials:
			return false
		}
	}
	return r.FinishedAt == nil || now.Sub(*r.FinishedAt) >= retryWait(r.Attempts)
}

// Work does a step of a task.
func (d *daemon) Work(ctx context.Context, task engine.Task, opened func(runID string, slices int)) (engine.Step, error) {
	s, release := d.use()
	defer release()
	t, ok := s.find(task.Sync, task.Project)
	if !ok {
		d.app.log.Warn("a task is dropped: the configuration has no such sync any more", "sync", task.Sync, "project", task.Project, "task", task.Kind)
		return engine.Step{}, nil
	}
	if task.Kind == engine.Scheduled {
		if wait, err := d.wait(ctx, s, t); err != nil || wait > 0 {
			return engine.Step{Left: wait > 0 && wait <= early, Again: wait}, err
		}
	}
	if task.Kind == engine.Help { // most come when all is done
		run, err := d.store.Run(ctx, task.RunID)
		if err != nil || run == nil || run.Status != checkpoint.Running {
			return engine.Step{}, err
		}
	}
	o := runner.Options{Budget: stepTime, RunID: task.RunID}
	switch task.Kind {
	case engine.Scheduled, engine.Incremental:
		o.Turn = true
	case engine.Resync:
		o.Resync = true
	case engine.Range:
		o.Start, o.End = task.Start, task.End
	case engine.Help:
		o.RunID, o.Join = "", task.RunID
	default:
		return engine.Step{}, fmt.Errorf("there is no kind of task %q", task.Kind)
	}
	defer s.share(d.stop.hard, d.store, t)()
	cut, cancel := context.WithCancel(ctx)
	defer cancel()
	limit := time.AfterFunc(stepLimit, cancel) // interrupted, not failed: the next step goes on
	rep := d.app.runOne(cut, s.wiring, t, o, func(r *runner.Runner) {
		r.Store, r.Stop, r.Watch, r.Opened = d.store, d.stop.soft, d.live.add, opened
	})
	if !limit.Stop() && rep.RunID == "" && rep.Status != runner.Succeeded && ctx.Err() == nil {
		tooSlow(rep)
		rep.RunID = (&runner.Runner{Store: d.store}).Refused(ctx, rep, o)
	}
	d.live.remove(t.sync.Name, t.project.Name)
	d.tell(rep)
	return next(task, rep)
}

// wait is how long until a scheduled run is due; 0 if it is.
func (d *daemon) wait(ctx context.Context, s *settings, t target) (time.Duration, error) {
	schedule := s.times[t]
	if schedule == nil {
		return early + 1, nil // it has no schedule any more
	}
	x, err := d.store.Target(ctx, t.sync.Name, t.project.Name)
	if err != nil {
		return 0, err
	}
	runs, err := d.store.Runs(ctx, checkpoint.RunFilter{TargetID: x.ID, Limit: recentRuns})
	if err != nil {
		return 0, err
	}
	return max(0, time.Until(dueAt(schedule, runs))), nil
}

// tooSlow makes a failure of a step that ended before its run began.
func tooSlow(rep *runner.Report) {
	rep.Status = runner.Failed
	rep.Error = &runner.Error{Code: runner.CodeWarehouseQuery, Hint: "an index on the cursor column, or a cluster or partition by it, makes them quick",
		Message: fmt.Sprintf("the queries that open a run (the cursor's bounds, the columns) took longer than %s", stepLimit)}
}

// next says what is left of a task after a step.
func next(task engine.Task, rep *runner.Report) (step engine.Step, err error) {
	quick := rep.FinishedAt.Sub(rep.StartedAt) < stepTime/4
	switch {
	case rep.Left && quick: // others are at what is left
		step = engine.Step{Left: true, Again: lookAgain}
	case rep.Left, rep.Status == runner.Interrupted:
		step.Left = true
	case rep.Status == runner.Skipped && rep.Error != nil && task.Kind != engine.Scheduled: // held elsewhere; a scheduled one comes again by itself
		step = engine.Step{Left: true, Again: lookAgain}
	case rep.Status == runner.Failed && rep.RunID == "" && task.Kind != engine.Help:
		err = fmt.Errorf("%s: %w", rep.Error.Code, rep.Error) // not even that could be saved
	}
	return step, err
}

// tell logs and counts what an attempt came to.
func (d *daemon) tell(rep *runner.Report) {
	d.metrics.Add(status.Attempt{
		Sync: rep.Sync, Project: rep.Project, Status: rep.Status,
		Accepted: rep.Accepted, Rejected: rep.Rejected, Held: rep.Held, Unchanged: rep.Unchanged,
		Requests: rep.Requests, Retries: rep.Retries, BytesJSON: rep.BytesJSON, BytesWire: rep.BytesWire,
		Took: rep.FinishedAt.Sub(rep.StartedAt),
	})
	log := d.app.log.With("sync", rep.Sync, "project", rep.Project, "status", rep.Status, "run", rep.RunID)
	switch {
	case rep.Error != nil && rep.Status == runner.Failed:
		log.Error(rep.Error.Message, "code", rep.Error.Code, "hint", rep.Error.Hint, "where", rep.Error.Where)
	case rep.Rejected > 0:
		log.Warn("rows were rejected", "accepted", rep.Accepted, "rejected", rep.Rejected, "codes", countsText(rep.RejectCounts))
	case rep.Accepted > 0:
		log.Info("rows were sent", "accepted", rep.Accepted, "left", rep.Left)
	case rep.Reason != "":
		log.Debug("not needed", "reason", rep.Reason)
	default:
		log.Debug("nothing was to be sent", "left", rep.Left)
	}
}

// reload reads the configuration again. A broken one leaves the old one in use.
func (d *daemon) reload(e engine.Engine) {
	s, err := d.read()
	d.mu.Lock()
	d.fault = ""
	if err != nil {
		d.fault = d.app.explain(err).Message
	}
	was := d.now.file.State
	d.mu.Unlock()
	d.metrics.Reloaded(err == nil)
	if err != nil {
		x := d.app.explain(err)
		d.app.log.Error("the configuration cannot be used: the one before goes on", "err", x.Message, "where", x.Where, "hint", x.Hint)
		return
	}
	if s.file.State != was {
		d.app.log.Warn("another state is configured: it is used after a restart")
		s.file.State = was
	}
	d.replace(s)
	e.Schedule(s.entries())
	d.app.log.Info("the configuration was read anew", "syncs", len(s.targets), "schedules", len(s.times))
}

func (d *daemon) read() (*settings, error) {
	file, err := d.app.load(false)
	if err != nil {
		return nil, err
	}
	return d.app.settings(file)
}
