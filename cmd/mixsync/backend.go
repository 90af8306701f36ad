package main

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/mixsync/mixsync/configs"
	"github.com/mixsync/mixsync/sync/checkpoint"
	"github.com/mixsync/mixsync/sync/engine"
	"github.com/mixsync/mixsync/sync/runner"
	"github.com/mixsync/mixsync/sync/serve"
	"github.com/mixsync/mixsync/sync/status"
)

// backend is what the HTTP server of `mixsync serve` shows and starts.
type backend struct {
	*daemon
	engine engine.Engine
}

// Trigger asks for runs. All of them are checked before the first is asked for.
func (b *backend) Trigger(ctx context.Context, q serve.Request) ([]serve.Run, error) {
	s, release := b.use()
	defer release()
	var sel selection
	if q.Syncs != nil {
		sel.names = *q.Syncs
	}
	targets, err := sel.choose(s.file)
	if err != nil {
		return nil, b.refusal(http.StatusBadRequest, err)
	}
	if b.stopping() {
		return nil, b.refusal(http.StatusServiceUnavailable, withHint(errStopping, "ask again when it is back, or ask another replica"))
	}
	task := engine.Task{Kind: engine.Incremental}
	switch {
	case q.Start != nil || q.End != nil:
		task.Kind = engine.Range
		if q.Start != nil {
			task.Start = *q.Start
		}
		if q.End != nil {
			task.End = *q.End
		}
	case q.Resync:
		task.Kind = engine.Resync
	}
	for _, t := range targets {
		switch {
		case task.Kind != engine.Incremental && t.sync.Resync == configs.Forbid:
			return nil, b.refusal(http.StatusConflict, withHint(usageError("%s may not be resynced: the configuration says `resync: forbid`", t.sync.Name),
				"remove it from the sync if this is really wanted"))
		case task.Kind == engine.Range && t.sync.Cursor == nil:
			return nil, b.refusal(http.StatusBadRequest, withHint(usageError("%s has no cursor, so start and end bound nothing", t.sync.Name),
				"use resync to send everything again"))
		}
	}
	runs := make([]serve.Run, 0, len(targets))
	for _, t := range targets {
		task.Sync, task.Project = t.sync.Name, t.project.Name
		if task.RunID, err = b.unfinished(ctx, task); err != nil {
			return nil, b.refusal(http.StatusServiceUnavailable, err)
		}
		if task.RunID == "" {
			task.RunID = checkpoint.NewRunID()
		}
		got, err := b.engine.Submit(ctx, task)
		if err != nil {
			return nil, b.refusal(http.StatusServiceUnavailable, err)
		}
		runs = append(runs, serve.Run{Sync: got.Sync, Project: got.Project, RunID: got.RunID})
	}
	return runs, nil
}

// unfinished is the id of the run that a task would go on with; "" if it would
// open its own.
func (b *backend) unfinished(ctx context.Context, task engine.Task) (string, error) {
	if task.Kind != engine.Resync {
		return "", nil
	}
	x, err := b.store.Target(ctx, task.Sync, task.Project)
	if err != nil {
		return "", err
	}
	for _, status := range []string{checkpoint.Running, checkpoint.Failed, checkpoint.Interrupted} {
		runs, err := b.store.Runs(ctx, checkpoint.RunFilter{TargetID: x.ID, Status: status})
		if err != nil {
			return "", err
		}
		for _, r := range runs {
			if r.Kind == checkpoint.Resync {
				return r.ID, nil
			}
		}
	}
	return "", nil
}

// refusal is an error as the server answers it.
func (b *backend) refusal(code int, err error) error {
	e := b.app.explain(err)
	return &serve.Error{Status: code, Code: e.Code, Message: e.Message, Hint: e.Hint, Where: e.Where}
}

// runObject is a sync's object of `run -o json`, of a run that may not have ended.
type runObject struct {
	*runner.Report
	FinishedAt *time.Time `json:"finished_at"`
}

// Run is what there is to know of a run.
func (b *backend) Run(ctx context.Context, id string) (any, error) {
	run, err := b.store.Run(ctx, id)
	if err != nil {
		return nil, b.refusal(http.StatusServiceUnavailable, err)
	}
	s, release := b.use()
	defer release()
	if run == nil {
		task, found, err := b.engine.Find(ctx, id)
		if err != nil || !found {
			return nil, err
		}
		rep := runner.ReportOf(&checkpoint.Run{ID: id, Status: queued, Kind: task.Kind}, task.Sync, task.Project, s.modeOf(task.Sync))
		rep.Resync = task.Kind != engine.Incremental
		return runObject{Report: rep}, nil
	}
	known, err := b.store.Targets(ctx)
	if err != nil {
		return nil, b.refusal(http.StatusServiceUnavailable, err)
	}
	for _, x := range known {
		if x.ID == run.TargetID {
			return runObject{runner.ReportOf(run, x.Sync, x.Project, s.modeOf(x.Sync)), run.FinishedAt}, nil
		}
	}
	return nil, errors.New("the run's sync is not in the state")
}

// queued is the status of a run that has been asked for and not been opened yet.
const queued = "queued"

func (s *settings) modeOf(sync string) string {
	if x := find(s.file, sync); x != nil {
		return string(x.Mode)
	}
	return ""
}

// Overview is all syncs at a glance.
func (b *backend) Overview(ctx context.Context) (*serve.Overview, error) {
	s, release := b.use()
	defer release()
	o := &serve.Overview{Version: "mixsync " + version()}
	b.mu.Lock()
	o.ConfigError = b.fault
	b.mu.Unlock()
	known, err := b.store.Targets(ctx)
	if err != nil {
		return nil, b.refusal(http.StatusServiceUnavailable, err)
	}
	recent, err := b.store.Recent(ctx, recentRuns)
	if err != nil {
		return nil, b.refusal(http.StatusServiceUnavailable, err)
	}
	rejects, err := b.store.RejectCounts(ctx)
	if err != nil {
		return nil, b.refusal(http.StatusServiceUnavailable, err)
	}
	if o.Leader, _, err = b.engine.Leader(ctx); err != nil {
		return nil, b.refusal(http.StatusServiceUnavailable, err)
	}
	now := time.Now()
	o.Syncs = make([]serve.Sync, 0, len(s.targets))
	for _, t := range s.targets {
		row := serve.Sync{Sync: t.sync.Name, Project: t.project.Name, Schedule: t.sync.Schedule, Timezone: t.sync.Timezone}
		i := slices.IndexFunc(known, func(x *checkpoint.Target) bool { return x.Sync == row.Sync && x.Project == row.Project })
		var runs []*checkpoint.Run
		if i >= 0 {
			x := known[i]
			runs = recent[x.ID]
			if x.Mark != nil {
				row.Mark, row.Lag = &x.Mark.Text, lagOf(x.Mark, now)
			}
			for _, c := range rejects {
				if c.TargetID == x.ID {
					row.OpenRejects += c.N
				}
			}
		}
		if len(runs) > 0 {
			r := newRunRow(runs[0])
			row.LastRun = &serve.LastRun{RunID: r.RunID, Kind: r.Kind, Status: r.Status, Accepted: r.Accepted, Rejected: r.Rejected,
				StartedAt: r.StartedAt, FinishedAt: r.FinishedAt, Error: r.Error}
		}
		if schedule := s.times[t]; schedule != nil {
			at := dueAt(schedule, runs)
			if at.Before(now) {
				at = now
			}
			row.Next = &at
		}
		o.Syncs = append(o.Syncs, row)
	}
	return o, nil
}

// Ready fails while the state cannot be read.
func (b *backend) Ready(ctx context.Context) error {
	if b.stopping() {
		return errStopping
	}
	return b.store.Ping(ctx)
}

var errStopping = errors.New("the process is stopping")

// stopping reports whether nothing more is begun.
func (b *backend) stopping() bool {
	select {
	case <-b.stop.soft:
		return true
	default:
		return false
	}
}

// figures are the targets as metrics show them.
func (b *backend) figures(ctx context.Context) ([]status.Target, error) {
	o, err := b.Overview(ctx)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	list := make([]status.Target, len(o.Syncs))
	for i, x := range o.Syncs {
		list[i] = status.Target{Sync: x.Sync, Project: x.Project, OpenRejects: x.OpenRejects, Next: x.Next}
		if x.Lag != nil {
			mark := now.Add(-time.Duration(*x.Lag * float64(time.Second)))
			list[i].Mark = &mark
		}
		if r := x.LastRun; r != nil {
			list[i].LastRun = r.Status
			if r.Status == runner.Succeeded || r.Status == runner.Partial || r.Status == runner.Skipped {
				list[i].LastGood = &r.StartedAt
			}
		}
	}
	return list, nil
}
