package main

import (
	"context"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mixsync/mixsync/configs"
	"github.com/mixsync/mixsync/sync/checkpoint"
	"github.com/mixsync/mixsync/sync/engine"
)

// target is one sync to one project, as configured.
type target struct {
	sync    *configs.Sync
	project *configs.Project
}

// selection picks syncs by name, glob or tag.
type selection struct {
	names   []string
	selects []string
	exclude []string
	due     bool
}

func (s *selection) flags(f *pflag.FlagSet) {
	f.StringArrayVar(&s.selects, "select", nil, "syncs by name, glob or `tag:x`; a comma means both, repeat the flag for more")
	f.StringArrayVar(&s.exclude, "exclude", nil, "leave out syncs, in the words of --select")
}

// choose lists the selected targets in the order of the YAML.
func (s *selection) choose(file *configs.File) ([]target, error) {
	for _, name := range s.names {
		x := find(file, name)
		if x == nil {
			return nil, unknownSync(file, name)
		}
		if x.Disabled {
			return nil, withHint(usageError("sync %q is disabled in the configuration", name), "remove `disabled: true` from it to run it")
		}
	}
	for _, term := range slices.Concat(s.selects, s.exclude) {
		if _, err := path.Match(strings.ReplaceAll(term, ",", ""), ""); err != nil {
			return nil, withHint(usageError("%q is no pattern", term), "write a name, a glob such as 'usage_*' or 'u[st]*', or tag:x")
		}
	}
	var list []target
	for _, x := range file.Syncs {
		named := len(s.names) == 0 && len(s.selects) == 0 || slices.Contains(s.names, x.Name)
		if !named && !matchesAny(x, s.selects) || matchesAny(x, s.exclude) || x.Disabled {
			continue
		}
		for _, p := range x.Projects {
			list = append(list, target{x, file.Projects[p]})
		}
	}
	if len(list) == 0 {
		return nil, withHint(usageError("no sync is selected"), syncsAre(file))
	}
	return list, nil
}

func find(file *configs.File, name string) *configs.Sync {
	for _, x := range file.Syncs {
		if x.Name == name {
			return x
		}
	}
	return nil
}

func unknownSync(file *configs.File, name string) error {
	return withHint(usageError("there is no sync %q in the configuration", name), syncsAre(file))
}

func syncsAre(file *configs.File) string {
	var names []string
	for _, x := range file.Syncs {
		name := x.Name
		if x.Disabled {
			name += " (disabled)"
		}
		names = append(names, name)
	}
	return "the syncs are: " + strings.Join(names, ", ")
}

func matchesAny(x *configs.Sync, terms []string) bool {
	return slices.ContainsFunc(terms, func(term string) bool {
		for part := range strings.SplitSeq(term, ",") {
			if tag, ok := strings.CutPrefix(part, "tag:"); ok {
				if !slices.ContainsFunc(x.Tags, func(t string) bool { return glob(tag, t) }) {
					return false
				}
			} else if !glob(part, x.Name) {
				return false
			}
		}
		return true
	})
}

func glob(pattern, s string) bool {
	ok, err := path.Match(pattern, s)
	return err == nil && ok
}

// Retries of a scheduled sync that fails wait a minute, then twice as long each
// time, up to an hour.
const (
	firstRetry = time.Minute
	lastRetry  = time.Hour
)

// So many runs of a target tell when it is due: enough for the longest wait.
const recentRuns = 8

// due keeps the targets whose schedule has come round since their last good
// run. One that has failed since waits longer with every failure.
func due(ctx context.Context, store *checkpoint.Store, targets []target, now time.Time, scheduleOf func(target) (cron.Schedule, error)) ([]target, error) {
	known, err := store.Targets(ctx)
	if err != nil {
		return nil, err
	}
	recent, err := store.Recent(ctx, recentRuns)
	if err != nil {
		return nil, err
	}
	runs := map[[2]string][]*checkpoint.Run{}
	for _, x := range known {
		runs[[2]string{x.Sync, x.Project}] = recent[x.ID]
	}
	var list []target
	for _, t := range targets {
		if t.sync.Schedule == "" {
			continue
		}
		schedule, err := scheduleOf(t)
		if err != nil {
			return nil, err
		}
		if !dueAt(schedule, runs[[2]string{t.sync.Name, t.project.Name}]).After(now) {
			list = append(list, t)
		}
	}
	return list, nil
}

// onTime is the schedule of a target as it is written.
func onTime(t target) (cron.Schedule, error) {
	s, err := engine.Parse(t.sync.Schedule, t.sync.Location, "")
	if err != nil {
		return nil, usageError("schedule of %s: %v", t.sync.Name, err)
	}
	return s, nil
}

// dueAt judges by the runs of a target, newest first. A zero time means now.
func dueAt(schedule cron.Schedule, runs []*checkpoint.Run) time.Time {
	failures := 0
	var failed time.Time // the last of them
	var after time.Time  // a failed run is not tried again before
	for i, r := range runs {
		if r.Kind != checkpoint.Incremental && r.Kind != checkpoint.Resync {
			continue
		}
		switch r.Status {
		case checkpoint.Succeeded, checkpoint.Partial, checkpoint.Skipped:
			if tick := schedule.Next(r.StartedAt); tick.After(after) {
				return tick
			}
			return after
		case checkpoint.Interrupted:
			if i == 0 && r.Kind == checkpoint.Incremental {
				return after // what was begun is finished first
			}
		case checkpoint.Failed, checkpoint.Refused:
			// A run that is taken up again is the same row, whose every attempt failed.
			failures += max(1, r.Attempts)
			at := r.StartedAt
			if r.FinishedAt != nil {
				at = *r.FinishedAt
			}
			if at.After(failed) { // an older run may have been taken up after a newer one
				failed = at
			}
			after = failed.Add(retryWait(failures))
		}
	}
	return after
}

// retryWait is how long to wait after so many failures in a row.
func retryWait(failures int) time.Duration {
	wait := firstRetry
	for n := 1; n < failures && wait < lastRetry; n++ {
		wait *= 2
	}
	return min(wait, lastRetry)
}

// completeSyncs completes the names of syncs in a shell.
func (a *app) completeSyncs(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if err := a.globals(); err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	file, err := a.load(true)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, x := range file.Syncs {
		if !slices.Contains(args, x.Name) {
			names = append(names, x.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
