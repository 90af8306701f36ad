package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/mixsync/mixsync/sync/checkpoint"
	"github.com/mixsync/mixsync/sync/runner"
)

type planOptions struct {
	selection
	runner.Options
	detailed bool
}

func (a *app) planCommand() *cobra.Command {
	var o planOptions
	cmd := &cobra.Command{
		Use: "plan [SYNC…]", Short: "Show what a run would read, send and cost; change nothing",
		Long: `Show what a run would do: which part of the cursor it would read, how many rows
and slices that is, how many records would be sent, how many bytes the warehouse
would scan (where it tells beforehand), how long they take at Mixpanel's rate
limit, and how many events Mixpanel would bill.

Nothing is sent and nothing is saved. Rows behind the mark, and all rows of
modes without a cursor, are read to tell which of them would be sent; rows
beyond the mark are only counted, and those that turn out as rejects are counted
with the records.

Exit codes: as those of run; with --detailed-exitcode 10 when there is something
to send.`,
		Example: `  mixsync plan
  mixsync plan usage --resync
  mixsync plan usage --start 2025-01-01 --end 2025-02-01 -o json
  mixsync plan --detailed-exitcode; [ $? -eq 10 ] && mixsync run`,
		ValidArgsFunction: a.completeSyncs,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.names = args
			for _, name := range []string{"start", "end"} {
				if f := cmd.Flags().Lookup(name); f.Changed && f.Value.String() == "" {
					return usage(cmd, "--%s is empty", name)
				}
			}
			return a.plan(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	o.selection.flags(f)
	f.BoolVar(&o.Resync, "resync", false, "what sending everything again would come to")
	f.StringVar(&o.Start, "start", "", "what sending again the rows whose cursor is at or after `T` would come to")
	f.StringVar(&o.End, "end", "", "with or without --start: only rows whose cursor is before `T`")
	f.BoolVar(&o.AcceptMappingChange, "accept-mapping-change", false, "as for a run that goes on although rows would be sent again under another identity")
	f.BoolVar(&o.detailed, "detailed-exitcode", false, "exit with 10 when there is something to send")
	return cmd
}

// planTotal is all syncs together.
type planTotal struct {
	Rows         int64   `json:"rows"`
	Slices       int     `json:"slices"`
	Records      int64   `json:"records"`
	BytesToScan  *int64  `json:"bytes_to_scan"`
	Seconds      float64 `json:"seconds_at_rate_limit"` // of projects one after the other
	BilledEvents int64   `json:"billed_events"`
}

func (t *planTotal) add(f *runner.Forecast) {
	t.Rows += f.Rows
	t.Slices += f.Slices
	t.Records += f.Records
	t.Seconds += f.Seconds
	t.BilledEvents += f.BilledEvents
	if f.BytesToScan != nil {
		sum := *f.BytesToScan
		if t.BytesToScan != nil {
			sum += *t.BytesToScan
		}
		t.BytesToScan = &sum
	}
}

func (a *app) plan(ctx context.Context, o planOptions) error {
	if o.Resync && (o.Start != "" || o.End != "") {
		return usageError("--resync is everything; with --start or --end leave it out")
	}
	file, err := a.load(false)
	if err != nil {
		return err
	}
	targets, err := o.choose(file)
	if err != nil {
		return err
	}
	store, err := a.openState(ctx, file, checkpoint.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	if store != nil {
		defer store.Close()
	}
	w := a.wiring(file)
	defer w.close()
	forecasts := make([]*runner.Forecast, len(targets))
	var group sync.WaitGroup
	slots := make(chan struct{}, parallelSyncs)
	for i, t := range targets {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			forecasts[i] = a.forecast(ctx, w, store, t, o.Options)
		})
	}
	group.Wait()
	return a.reportPlan(forecasts, o.detailed)
}

// forecast is what a run of one sync to one project would do.
func (a *app) forecast(ctx context.Context, w *wiring, store *checkpoint.Store, t target, o runner.Options) *runner.Forecast {
	r, err := w.runner(ctx, t)
	if err != nil {
		return &runner.Forecast{Sync: t.sync.Name, Project: t.project.Name, Mode: string(t.sync.Mode), Resync: o.Resync, Status: runner.Failed,
			Error: a.locate(w.file, t, a.explain(err))}
	}
	defer w.done(t)
	r.Store = store
	f := r.Forecast(ctx, runnerSync(t), o)
	if f.Error != nil {
		f.Error = a.locate(w.file, t, f.Error)
	}
	return f
}

func (a *app) reportPlan(forecasts []*runner.Forecast, detailed bool) error {
	code, total := exitDone, planTotal{}
	for _, f := range forecasts {
		total.add(f)
		if f.Error != nil {
			code = worst(code, codeOf(f.Error.Code))
		}
	}
	if a.json() {
		a.printJSON(struct {
			Command string             `json:"command"`
			OK      bool               `json:"ok"`
			Syncs   []*runner.Forecast `json:"syncs"`
			Total   planTotal          `json:"total"`
		}{a.command, code == exitDone, forecasts, total})
	} else {
		a.printPlan(forecasts, total)
	}
	if code == exitDone && detailed && total.Records > 0 {
		code = exitSomething
	}
	if code != exitDone {
		return reported(code)
	}
	return nil
}

func (a *app) printPlan(forecasts []*runner.Forecast, total planTotal) {
	if slices.ContainsFunc(forecasts, func(f *runner.Forecast) bool { return f.Error == nil }) {
		a.printForecasts(forecasts, total)
	}
	for _, f := range forecasts {
		switch {
		case f.Error != nil:
			fmt.Fprintf(a.stderr, "%s → %s: ", f.Sync, f.Project)
			a.printError(f.Error)
		case f.Reason != "":
			fmt.Fprintf(a.stderr, "%s → %s: nothing to do: %s\n", f.Sync, f.Project, f.Reason)
		case f.Unfinished != "":
			fmt.Fprintf(a.stderr, "%s → %s: the window of run %s would be finished first\n", f.Sync, f.Project, f.Unfinished)
		}
		for _, note := range f.Notes {
			fmt.Fprintf(a.stderr, "%s → %s: %s\n", f.Sync, f.Project, note)
		}
	}
}

func (a *app) printForecasts(forecasts []*runner.Forecast, total planTotal) {
	t := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "SYNC\tPROJECT\tFROM\tTO\tROWS\tSLICES\tRECORDS\tSCANS\tAT LEAST\tBILLED EVENTS\n")
	for _, f := range forecasts {
		if f.Error != nil {
			continue
		}
		from, to := "-", "-"
		if w := f.Window; w != nil {
			from, to = orDash(w.From), orDash(w.To)
			if w.Before != nil {
				to = "before " + *w.Before
			}
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\n", f.Sync, f.Project, from, to, thousands(f.Rows), f.Slices, thousands(f.Records),
			bytesText(f.BytesToScan), short(f.Took()), thousands(f.BilledEvents))
	}
	if len(forecasts) > 1 {
		fmt.Fprintf(t, "total\t\t\t\t%s\t%d\t%s\t%s\t%s\t%s\n", thousands(total.Rows), total.Slices, thousands(total.Records),
			bytesText(total.BytesToScan), short(time.Duration(total.Seconds*float64(time.Second))), thousands(total.BilledEvents))
	}
	t.Flush()
}

// bytesText writes a number of bytes for people; a dash where it is not known.
func bytesText(n *int64) string {
	if n == nil {
		return "-"
	}
	const unit = 1024
	if *n < unit {
		return fmt.Sprintf("%d B", *n)
	}
	v, i := float64(*n)/unit, 0
	for ; v >= unit && i < 4; i++ {
		v /= unit
	}
	return fmt.Sprintf("%.1f %ciB", v, "KMGTP"[i])
}
