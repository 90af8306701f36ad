package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/mixsync/mixsync/configs"
	"github.com/mixsync/mixsync/connectors/mixpanel"
	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/sync/checkpoint"
	"github.com/mixsync/mixsync/sync/runner"
)

// So many syncs run side by side: enough to hide the latency of one behind
// another, few enough that memory and connections stay small.
const parallelSyncs = 4

type runOptions struct {
	selection
	runner.Options
	maxRejects string
	strictExit bool
	ephemeral  bool
}

func (a *app) runCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run [SYNC…]",
		Short: "Run syncs once, then exit",
		Long: `Run the named syncs, or all of them, once.

Each run reads the rows that changed since the mark (and those that came late),
sends them, and moves the mark when Mixpanel has stored every one of them or it
is filed as a reject. A run that was interrupted is finished first.

Exit codes: 0 done, 1 a run failed, 2 usage or configuration, 3 warehouse or
Mixpanel out of reach or credentials refused, 4 every selected sync is held by
another run, 5 rejects were filed (with --strict-exit), 130/143 interrupted.`,
		Example: `  mixsync run
  mixsync run usage accounts
  mixsync run --select tag:product --exclude accounts -o json
  mixsync run usage --resync
  mixsync run usage --start 2025-01-01 --end 2025-02-01
  mixsync run usage --dry-run`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.names = args
			// An empty variable of a script must not make it another run.
			for _, name := range []string{"start", "end", "max-rejects"} {
				if f := cmd.Flags().Lookup(name); f.Changed && f.Value.String() == "" {
					return usage(cmd, "--%s is empty", name)
				}
			}
			if cmd.Flags().Changed("limit") && o.Limit < 1 {
				return usage(cmd, "--limit is a number of rows from 1 on, not %d", o.Limit)
			}
			return a.run(cmd.Context(), o)
		},
		ValidArgsFunction: a.completeSyncs,
	}
	f := cmd.Flags()
	o.selection.flags(f)
	f.BoolVar(&o.due, "due", false, "only syncs whose schedule has come round since their last good run")
	f.BoolVar(&o.Resync, "resync", false, "send everything again (alias --full-refresh)")
	f.BoolVar(&o.Resync, "full-refresh", false, "alias of --resync")
	f.StringVar(&o.Start, "start", "", "send again the rows whose cursor is at or after `T`; the mark stays")
	f.StringVar(&o.End, "end", "", "with or without --start: only rows whose cursor is before `T`")
	f.BoolVar(&o.DryRun, "dry-run", false, "read and encode, but send nothing and save nothing")
	f.Int64Var(&o.Limit, "limit", 0, "send only the first `N` rows; the mark stays, so they go again later")
	f.StringVar(&o.maxRejects, "max-rejects", "", "rows that may be rejected before the run stops, `1%` or 100")
	f.BoolVar(&o.AcceptMappingChange, "accept-mapping-change", false, "go on although rows would be sent again under another identity")
	f.BoolVar(&o.strictExit, "strict-exit", false, "exit with 5 when rejects were filed")
	f.BoolVar(&o.ephemeral, "ephemeral-state", false, "allow a state on no mounted volume in a Kubernetes pod")
	return cmd
}

func (a *app) run(ctx context.Context, o runOptions) error {
	if o.Resync && (o.Start != "" || o.End != "") {
		return usageError("--resync sends everything again; with --start or --end leave it out")
	}
	if o.maxRejects != "" {
		t, err := configs.ParseThreshold(o.maxRejects)
		if err != nil {
			return usageError("--max-rejects: %q is neither a share such as 1%% nor a number of rows: %v", o.maxRejects, err)
		}
		o.MaxRejects = (*runner.Threshold)(&t)
	}
	// What a run holds is buffers that go round, and it makes little garbage:
	// collecting seven times as often costs next to nothing and keeps the peak down.
	debug.SetGCPercent(15)
	forgetStartup()
	file, err := a.load(false)
	if err != nil {
		return err
	}
	targets, err := o.choose(file)
	if err != nil {
		return err
	}
	stop := a.onSignal(ctx, "stopping: reading has ended; what was read is being delivered. Once more to stop at once")
	defer stop.release()

	store, err := a.openState(ctx, file, checkpoint.Options{Ephemeral: o.ephemeral, ReadOnly: o.DryRun})
	if err != nil {
		return err
	}
	if store != nil {
		defer store.Close()
	}
	var idle []*runner.Report
	if o.due {
		selected := targets
		if targets, err = due(ctx, store, selected, time.Now(), onTime); err != nil {
			return err
		}
		idle = notDue(selected, targets)
	}
	w := a.wiring(file)
	defer w.close()
	if o.Resync && !a.json() {
		for _, t := range targets {
			a.log.Info("resync: every row is read and sent again; the mark stays where it is until it is done", "sync", t.sync.Name, "project", t.project.Name)
		}
	}
	return a.report(append(a.runAll(stop, w, store, targets, o.Options), idle...), o, stop)
}

const notDueReason = "not due"

// notDue reports on the selected targets whose schedule has not come round.
func notDue(selected, due []target) []*runner.Report {
	var list []*runner.Report
	now := time.Now().UTC()
	for _, t := range selected {
		if !slices.Contains(due, t) {
			list = append(list, &runner.Report{Sync: t.sync.Name, Project: t.project.Name, Mode: string(t.sync.Mode), Status: runner.Skipped,
				StartedAt: now, FinishedAt: now, Reason: notDueReason,
				Counts: checkpoint.Counts{RejectCounts: map[string]int64{}}, Notes: []string{notDueReason}})
		}
	}
	return list
}

// runAll runs the targets, a few at a time, and reports in their order.
func (a *app) runAll(stop *stopper, w *wiring, store *checkpoint.Store, targets []target, o runner.Options) []*runner.Report {
	live := a.watch(stop.hard)
	defer live.stop()
	if store != nil && !o.DryRun {
		defer w.share(stop.hard, store, targets)()
	}
	reports := make([]*runner.Report, len(targets))
	var group sync.WaitGroup
	slots := make(chan struct{}, parallelSyncs)
	for i, t := range targets {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			reports[i] = a.runOne(stop.hard, w, t, o, func(r *runner.Runner) { r.Store, r.Stop, r.Watch = store, stop.soft, live.add })
			live.remove(t.sync.Name, t.project.Name)
		})
	}
	group.Wait()
	return reports
}

// runOne runs one sync to one project. What keeps it from starting is a failed
// report, like what makes it fail later. equip gives the runner what it has
// besides warehouse and project.
func (a *app) runOne(ctx context.Context, w *wiring, t target, o runner.Options, equip func(*runner.Runner)) *runner.Report {
	r, err := w.runner(ctx, t)
	if err != nil {
		now := time.Now().UTC()
		rep := &runner.Report{Sync: t.sync.Name, Project: t.project.Name, Mode: string(t.sync.Mode), Status: runner.Failed,
			StartedAt: now, FinishedAt: now, Error: a.locate(w.file, t, a.explain(err)),
			Counts: checkpoint.Counts{RejectCounts: map[string]int64{}}}
		if errors.Is(ctx.Err(), context.Canceled) { // it was us who gave up waiting, so err says nothing of the warehouse
			rep.Status = runner.Interrupted
			rep.Error = &runner.Error{Code: runner.CodeInterrupted, Message: "interrupted before anything was begun", Hint: "run again", Err: err}
			return rep
		}
		r = &runner.Runner{}
		equip(r)
		rep.RunID = r.Refused(ctx, rep, o)
		return rep
	}
	defer w.done(t)
	equip(r)
	r.Note = func(sync, project, note string) { a.log.Info(note, "sync", sync, "project", project) }
	a.log.Debug("run begins", "sync", t.sync.Name, "project", t.project.Name)
	rep := r.Run(ctx, runnerSync(t), o)
	if rep.Error != nil {
		rep.Error = a.locate(w.file, t, rep.Error)
	}
	return rep
}

// report shows what the runs did and picks the exit code.
func (a *app) report(reports []*runner.Report, o runOptions, stop *stopper) error {
	code := exitDone
	held, idle := 0, 0 // idle: nothing was due
	for _, r := range reports {
		switch {
		case r.Status == runner.Skipped && r.Error == nil:
			idle++
		case r.Status == runner.Interrupted:
			code = worst(code, stop.exitCode())
		case r.Status == runner.Skipped && r.Error != nil:
			held++
		case r.Error != nil:
			code = worst(code, codeOf(r.Error.Code))
		case o.strictExit && r.Rejected > 0:
			code = worst(code, exitRejects)
		}
	}
	if held > 0 && held == len(reports)-idle {
		code = worst(code, exitHeld)
	}
	ok := code == exitDone || code == exitRejects
	if a.json() {
		a.printJSON(struct {
			Command string           `json:"command"`
			OK      bool             `json:"ok"`
			Syncs   []*runner.Report `json:"syncs"`
		}{a.command, ok, append([]*runner.Report{}, reports...)})
	} else {
		a.printReports(reports, code)
	}
	if code != exitDone {
		return reported(code)
	}
	return nil
}

func (a *app) printReports(reports []*runner.Report, code int) {
	reports = slices.DeleteFunc(slices.Clone(reports), func(r *runner.Report) bool { return r.Reason == notDueReason })
	if len(reports) == 0 {
		fmt.Fprintln(a.stdout, "no sync is due")
		return
	}
	t := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	p := a.paint(a.stdout)
	fmt.Fprintf(t, "SYNC\tPROJECT\t%s\tREAD\tACCEPTED\t%s\tUNCHANGED\tMARK\tTIME\n", p.in(plain, "STATUS"), p.in(plain, "REJECTED"))
	for _, r := range reports {
		mark := "-"
		if r.Mark.After != nil {
			mark = *r.Mark.After
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Sync, r.Project, p.status(r.Status), thousands(r.Rows), thousands(r.Accepted), p.count(r.Rejected), thousands(r.Unchanged),
			mark, r.FinishedAt.Sub(r.StartedAt).Round(time.Millisecond))
	}
	t.Flush()
	if reports[0].DryRun {
		fmt.Fprintln(a.stderr, "dry run: nothing was sent and nothing saved; accepted are the rows that would be sent")
	}
	for _, r := range reports {
		if r.Status == runner.Partial {
			fmt.Fprintf(a.stderr, a.paint(a.stderr).in(yellow, "warning:")+" %s → %s: %d rows were rejected (%s); see `mixsync rejects list --sync %s`\n", r.Sync, r.Project, r.Rejected, countsText(r.RejectCounts), r.Sync)
		}
		switch {
		case r.Error == nil && r.Reason != "":
			fmt.Fprintf(a.stderr, "%s → %s: skipped: %s\n", r.Sync, r.Project, r.Reason)
		case r.Error == nil:
		case r.Status == runner.Skipped && code != exitHeld: // others did what there was to do
			fmt.Fprintf(a.stderr, a.paint(a.stderr).in(yellow, "warning:")+" %s → %s: skipped: %s\n", r.Sync, r.Project, r.Error.Message)
		default:
			fmt.Fprintf(a.stderr, "%s → %s: ", r.Sync, r.Project)
			a.printError(r.Error)
		}
	}
}

// locate gives an error of a sync its place in the YAML.
func (a *app) locate(file *configs.File, t target, e *runner.Error) *runner.Error {
	if e.Where != "" {
		return e
	}
	s, located := t.sync, *e
	if len(e.Faults) == 0 {
		if path := blame(t, e); path != "" {
			if p, ok := file.Where(path); ok {
				located.Where = p.String()
			}
		}
		return &located
	}
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		path := "syncs." + s.Name + "." + f.Path
		where := path
		if p, ok := file.Where(path); ok {
			where = p.String()
		}
		lines[i] = path + ": " + f.Message
		if i == 0 {
			located.Where = where
		} else {
			lines[i] = where + ": " + lines[i]
		}
		if f.Hint != "" && len(e.Faults) > 1 {
			lines[i] += "\n    hint: " + f.Hint
		}
	}
	located.Message = strings.Join(lines, "\n")
	if len(lines) > 1 {
		located.Hint = fmt.Sprintf("%d faults to mend; `mixsync check` looks again and sends nothing", len(lines))
	}
	return &located
}

// blame is the path in the YAML of what an error is about; "" if it is not
// about the configuration.
func blame(t target, e *runner.Error) string {
	var (
		wh *warehouse.Error
		mp *mixpanel.Error
	)
	switch {
	case errors.As(e.Err, &mp) && (mp.Credentials || mp.Unreachable):
		return "projects." + t.project.Name
	case errors.As(e.Err, &wh) && wh.Class == warehouse.ClassSchema:
		if t.sync.Query != "" {
			return "syncs." + t.sync.Name + ".query"
		}
		return "syncs." + t.sync.Name + ".table"
	case errors.As(e.Err, &wh) && (wh.Class == warehouse.ClassConfig || wh.Class == warehouse.ClassUnreachable || wh.Class == warehouse.ClassCredentials):
		return "warehouses." + t.sync.Warehouse
	case e.Code == runner.CodeConfig:
		return "syncs." + t.sync.Name
	}
	return ""
}
