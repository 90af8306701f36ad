// Package engine gets tasks done, by schedule and on request: Local in this
// process alone, River shared out over all processes on one Postgres state.
//
// What is to be done is told by the state (see Worker.Due), not by what an
// engine remembers: a task that was lost is found again, and one that came twice
// finds nothing left to do.
package engine

import (
	"context"
	"time"

	"github.com/robfig/cron/v3"
)

// Kinds of tasks.
const (
	Scheduled   = "scheduled"   // an incremental run, if one is due
	Incremental = "incremental" // an incremental run
	Resync      = "resync"
	Range       = "range"
	Help        = "help" // with the slices of a run that somebody else has opened
)

// Task is one thing to do for a sync to a project. Two tasks are the same if
// they differ in RunID alone, unless they are of kind Help.
type Task struct {
	Sync, Project, Kind string
	Start, End          string // of a range, by the cursor
	RunID               string // of the run to open, or to help with; "" leaves it open
	Slot                int    // tells the helpers of a run apart, from 1
}

// backfill reports whether others go first.
func (t Task) backfill() bool { return t.Kind != Scheduled && t.Kind != Incremental }

// Step is what came of working on a task for a while.
type Step struct {
	Left  bool          // there is more to do
	Again time.Duration // with Left: not before so long
}

// Worker does the work.
type Worker interface {
	// Work works on a task until it is done, or for about a minute, or until the
	// process is to stop, saves its place and tells whether anything is left. A run
	// that failed is done: it is in the state, and comes again when it is due. An
	// error means that not even that is known; the task is tried again. opened may be
	// told of slices that others can help with.
	Work(ctx context.Context, t Task, opened func(runID string, slices int)) (Step, error)
	// Due lists what schedules ask for at this moment, by what the state knows.
	Due(ctx context.Context) ([]Task, error)
}

// Entry is when to begin which task.
type Entry struct {
	Task     Task
	Schedule cron.Schedule
}

// Engine gets tasks done.
type Engine interface {
	// Run works until stop is closed and what was begun has saved its place, or ctx
	// ends. It may be called once.
	Run(ctx context.Context, stop <-chan struct{}) error
	// Submit asks for a task to be done soon. It returns the same one instead if
	// that is waiting or being worked on.
	Submit(ctx context.Context, t Task) (Task, error)
	// Find returns the task that is to open a run, while it is waiting or being
	// worked on.
	Find(ctx context.Context, runID string) (t Task, found bool, err error)
	// Schedule replaces the schedules.
	Schedule(entries []Entry)
	// Leader is the name of the process that keeps the schedules, and whether it is us.
	Leader(ctx context.Context) (name string, ours bool, err error)
}

// So many tasks are worked on at a time in one process: enough to hide the
// latency of one behind another, few enough that memory stays small. Backfills
// have places of their own, so that they never fill those of schedules.
const (
	tasksAtOnce     = 4
	backfillsAtOnce = 2
)

// What was missed (a leader died, a process was away, a failed run's wait is
// over) is looked for so often.
const catchUpEvery = time.Minute
