package main

import (
	"context"
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/mixsync/mixsync/configs"
	"github.com/mixsync/mixsync/sync/checkpoint"
	"github.com/mixsync/mixsync/sync/runner"
)

type rejectOptions struct {
	sync, project, code string
	limit               int
	all                 bool
}

func (o *rejectOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.sync, "sync", "", "only those of this sync")
	f.StringVar(&o.project, "project", "", "only those of this project")
	f.StringVar(&o.code, "code", "", "only those with this code")
}

func (o *rejectOptions) filter() checkpoint.RejectFilter {
	return checkpoint.RejectFilter{Sync: o.sync, Project: o.project, Code: o.code, Limit: o.limit}
}

func (a *app) rejectsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "rejects", Short: "The rows that could not be sent, and why", Args: subcommand,
		Long: `Rows that cannot be sent, or that Mixpanel refused, are kept with their reason.
A row that is mended in the warehouse goes with the next run that reads it, and
its reject is settled by that.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var list, drop rejectOptions
	l := &cobra.Command{
		Use: "list", Short: "List rejects", Args: noArgs,
		Example: "  mixsync rejects list --sync usage --code blank_id",
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.rejectsList(cmd.Context(), &list) },
	}
	list.flags(l)
	l.Flags().IntVar(&list.limit, "limit", 100, "how many; 0 for all")
	s := &cobra.Command{
		Use: "show ID", Short: "Show one reject with its payload", Args: oneArg("the id of a reject, from `rejects list`"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.rejectsShow(cmd.Context(), args[0]) },
	}
	d := &cobra.Command{
		Use: "drop [ID…]", Short: "Forget rejects: by id, by filter, or --all",
		Example: "  mixsync rejects drop 5f0c1e2d3a4b5c6d\n  mixsync rejects drop --sync usage --code blank_id\n  mixsync rejects drop --all",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && drop.sync == "" && drop.project == "" && drop.code == "" && !drop.all {
				return usage(cmd, "name the rejects to drop: ids, a filter, or --all")
			}
			return a.rejectsDrop(cmd.Context(), &drop, args)
		},
	}
	drop.flags(d)
	d.Flags().BoolVar(&drop.all, "all", false, "every reject")
	var again rejectOptions
	r := &cobra.Command{
		Use: "retry [ID…]", Short: "Read the rows of rejects again and send them: by id, by filter, or --all",
		Long: `Read the rows of rejects again, as they are now, and send those that can be
sent. Their rejects are settled; the others stay. The mark does not move.`,
		Example: "  mixsync rejects retry 5f0c1e2d3a4b5c6d\n  mixsync rejects retry --sync usage --code refused_by_mixpanel\n  mixsync rejects retry --all",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && again.sync == "" && again.project == "" && again.code == "" && !again.all {
				return usage(cmd, "name the rejects to retry: ids, a filter, or --all")
			}
			return a.rejectsRetry(cmd.Context(), &again, args)
		},
	}
	again.flags(r)
	r.Flags().BoolVar(&again.all, "all", false, "every reject")
	cmd.AddCommand(l, s, d, r)
	return cmd
}

// rejectRow is a reject in JSON.
type rejectRow struct {
	ID        string          `json:"id"`
	Sync      string          `json:"sync"`
	Project   string          `json:"project"`
	Key       json.RawMessage `json:"key"`
	Code      string          `json:"code"`
	Field     string          `json:"field"`
	Message   string          `json:"message"`
	RunID     string          `json:"run_id"`
	FirstSeen time.Time       `json:"first_seen"`
	Attempts  int             `json:"attempts"`
	Payload   json.RawMessage `json:"payload"`
}

func newRejectRow(r *checkpoint.Reject) rejectRow {
	row := rejectRow{r.ID, r.Sync, r.Project, r.Key, r.Code, r.Field, r.Message, r.RunID, r.FirstSeen, r.Attempts, r.Payload}
	if len(row.Payload) == 0 {
		row.Payload = json.RawMessage("null")
	}
	if len(row.Key) == 0 {
		row.Key = json.RawMessage("null")
	}
	return row
}

// stateOf opens the state of the configuration for reading; nil: nothing ran yet.
func (a *app) stateOf(ctx context.Context, o checkpoint.Options) (*checkpoint.Store, error) {
	file, err := a.load(true)
	if err != nil {
		return nil, err
	}
	return a.openState(ctx, file, o)
}

func (a *app) rejectsList(ctx context.Context, o *rejectOptions) error {
	store, err := a.stateOf(ctx, checkpoint.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	rows := []rejectRow{}
	if store != nil {
		defer store.Close()
		list, err := store.Rejects(ctx, o.filter())
		if err != nil {
			return err
		}
		for i := range list {
			rows = append(rows, newRejectRow(&list[i]))
		}
	}
	if a.json() {
		a.printJSON(map[string]any{"command": a.command, "ok": true, "rejects": rows})
		return nil
	}
	if len(rows) == 0 {
		_, err := fmt.Fprintln(a.stdout, "no rejects")
		return err
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tSYNC\tKEY\tCODE\tFIELD\tTRIES\tFIRST SEEN\tMESSAGE")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", r.ID, r.Sync, r.Key, r.Code, orDash(&r.Field), r.Attempts, r.FirstSeen.Format(time.RFC3339), r.Message)
	}
	return w.Flush()
}

func (a *app) rejectsShow(ctx context.Context, id string) error {
	store, err := a.stateOf(ctx, checkpoint.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	var r *checkpoint.Reject
	if store != nil {
		defer store.Close()
		if r, err = store.Reject(ctx, id); err != nil {
			return err
		}
	}
	if r == nil {
		return withHint(usageError("there is no reject %q", id), "see `mixsync rejects list`")
	}
	row := newRejectRow(r)
	if a.json() {
		a.printJSON(map[string]any{"command": a.command, "ok": true, "reject": row})
		return nil
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "id\t%s\nsync\t%s\nproject\t%s\nkey\t%s\ncode\t%s\nfield\t%s\nmessage\t%s\nrun\t%s\nfirst seen\t%s\nattempts\t%d\npayload\t%s\n",
		row.ID, row.Sync, row.Project, row.Key, row.Code, orDash(&row.Field), row.Message, row.RunID, row.FirstSeen.Format(time.RFC3339), row.Attempts, row.Payload)
	return w.Flush()
}

func (a *app) rejectsDrop(ctx context.Context, o *rejectOptions, ids []string) error {
	store, err := a.stateOf(ctx, checkpoint.Options{})
	if err != nil {
		return err
	}
	defer store.Close()
	f := o.filter()
	f.IDs = ids
	n, err := store.DropRejects(ctx, f)
	if err != nil {
		return err
	}
	if a.json() {
		a.printJSON(map[string]any{"command": a.command, "ok": true, "dropped": n})
		return nil
	}
	_, err = fmt.Fprintf(a.stdout, "%s dropped\n", plural(int(n), "reject"))
	return err
}

func (a *app) rejectsRetry(ctx context.Context, o *rejectOptions, ids []string) error {
	file, err := a.load(false)
	if err != nil {
		return err
	}
	stop := a.onSignal(ctx, "stopping: what was read is being delivered. Once more to stop at once")
	defer stop.release()
	store, err := a.openState(ctx, file, checkpoint.Options{})
	if err != nil {
		return err
	}
	defer store.Close()
	f := o.filter()
	f.IDs = ids
	list, err := store.Rejects(ctx, f)
	if err != nil {
		return err
	}
	targets, keys := byTarget(file, list)
	if len(targets) == 0 {
		return withHint(usageError("no reject of a configured sync matches"), "see `mixsync rejects list`")
	}
	w := a.wiring(file)
	defer w.close()
	live := a.watch(stop.hard)
	defer live.stop()
	defer w.share(stop.hard, store, targets)()
	reports := make([]*runner.Report, 0, len(targets))
	for _, t := range targets {
		// Those that are still bad are what was to be found out.
		every := runner.Threshold{IsPercent: true, Percent: 100}
		reports = append(reports, a.runOne(stop.hard, w, t, runner.Options{Keys: keys[t], MaxRejects: &every}, func(r *runner.Runner) {
			r.Store, r.Stop, r.Watch = store, stop.soft, live.add
		}))
		live.remove(t.sync.Name, t.project.Name)
	}
	return a.report(reports, runOptions{}, stop)
}

// byTarget sorts the keys of rejects by their sync and project, each key once, in
// the order of the configuration.
func byTarget(file *configs.File, list []checkpoint.Reject) (targets []target, keys map[target][]json.RawMessage) {
	keys = map[target][]json.RawMessage{}
	for _, x := range file.Syncs {
		for _, p := range x.Projects {
			t, seen := target{x, file.Projects[p]}, map[string]bool{}
			for _, r := range list {
				if r.Sync == x.Name && r.Project == p && !seen[string(r.Key)] {
					seen[string(r.Key)] = true
					keys[t] = append(keys[t], r.Key)
				}
			}
			if len(keys[t]) > 0 {
				targets = append(targets, t)
			}
		}
	}
	return targets, keys
}
