package main

import (
	"context"
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/sync/checkpoint"
)

func (a *app) statusCommand() *cobra.Command {
	var sel selection
	var runs bool
	var limit int
	cmd := &cobra.Command{
		Use: "status [SYNC…]", Short: "Show marks, lag, last runs and open rejects", ValidArgsFunction: a.completeSyncs,
		Example: "  mixsync status\n  mixsync status usage --runs\n  mixsync status -o json",
		RunE: func(cmd *cobra.Command, args []string) error {
			sel.names = args
			return a.status(cmd.Context(), &sel, runs, limit)
		},
	}
	sel.flags(cmd.Flags())
	cmd.Flags().BoolVar(&runs, "runs", false, "show the history of runs")
	cmd.Flags().IntVar(&limit, "limit", 20, "with --runs: how many of each sync")
	return cmd
}

// statusRow is a target's state at a glance, in JSON.
type statusRow struct {
	markRow
	Lag         *float64         `json:"lag_seconds"` // now less the mark; null for integer cursors and without a mark
	LastRun     *runRow          `json:"last_run"`
	OpenRejects int64            `json:"open_rejects"`
	Rejects     map[string]int64 `json:"reject_counts"`
	// HeldBy names the warehouse session whose open transaction kept the last
	// run's upper bound back.
	HeldBy *string  `json:"held_by"`
	Runs   []runRow `json:"runs,omitempty"`
}

// runRow is a run of the history, in JSON.
type runRow struct {
	RunID  string `json:"run_id"`
	Kind   string `json:"kind"`
	Status string `json:"status"`
	checkpoint.Counts
	checkpoint.Usage
	Mark       marksRow          `json:"mark"`
	Window     checkpoint.Window `json:"window"`
	StartedAt  time.Time         `json:"started_at"`
	FinishedAt *time.Time        `json:"finished_at"`
	Error      json.RawMessage   `json:"error"`
	Reason     string            `json:"reason,omitempty"`
}

type marksRow struct {
	Before *string `json:"before"`
	After  *string `json:"after"`
}

func newRunRow(r *checkpoint.Run) runRow {
	row := runRow{RunID: r.ID, Kind: r.Kind, Status: r.Status, Counts: r.Counts, Usage: r.Usage, Reason: r.Reason, Mark: marksRow{r.MarkBefore, r.MarkAfter},
		Window: r.Window, StartedAt: r.StartedAt, FinishedAt: r.FinishedAt, Error: r.Error}
	if r.Status == checkpoint.Refused {
		row.Status = checkpoint.Failed
	}
	if len(row.Error) == 0 {
		row.Error = json.RawMessage("null")
	}
	return row
}

func (a *app) status(ctx context.Context, sel *selection, withRuns bool, limit int) error {
	if !withRuns {
		limit = 1
	}
	rows := []*statusRow{}
	err := a.inState(ctx, sel, func(store *checkpoint.Store, x *checkpoint.Target) error {
		row := &statusRow{markRow: newMarkRow(x), Rejects: map[string]int64{}}
		rows = append(rows, row)
		if x.ID == 0 {
			return nil
		}
		return row.fill(ctx, store, x, withRuns, limit)
	})
	if err != nil {
		return err
	}
	if a.json() {
		a.printJSON(map[string]any{"command": a.command, "ok": true, "syncs": rows})
		return nil
	}
	if withRuns {
		return a.printRuns(rows)
	}
	a.printStatus(rows, time.Now())
	for _, r := range rows {
		if r.HeldBy != nil {
			fmt.Fprintf(a.stderr, "note: %s: the last run stayed before the open transaction of pid %s\n", r.Sync, *r.HeldBy)
		}
	}
	return nil
}

// printStatus shows each target in a line: how it is first.
func (a *app) printStatus(rows []*statusRow, now time.Time) {
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	defer w.Flush()
	p := a.paint(a.stdout)
	fmt.Fprintf(w, "SYNC\tPROJECT\t%s\tLAST RUN\tACCEPTED\t%s\tLAG\tMARK\n", p.in(plain, "STATUS"), p.in(plain, "REJECTS"))
	for _, r := range rows {
		last, status, accepted, lag := "-", "never ran", "-", "-"
		if r.LastRun != nil {
			last, status = short(now.Sub(r.LastRun.StartedAt))+" ago", r.LastRun.Status
			accepted = thousands(r.LastRun.Accepted)
		}
		if r.Lag != nil {
			lag = short(time.Duration(*r.Lag * float64(time.Second)))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Sync, r.Project, p.status(status), last, accepted, p.count(r.OpenRejects), lag, orDash(r.Mark))
	}
}

// fill adds what the state has besides of a target: its rejects and last runs.
func (row *statusRow) fill(ctx context.Context, store *checkpoint.Store, x *checkpoint.Target, withRuns bool, limit int) error {
	if x.Mark != nil {
		row.Lag = lagOf(x.Mark, time.Now())
	}
	counts, err := store.RejectCounts(ctx)
	if err != nil {
		return err
	}
	for _, c := range counts {
		if c.TargetID == x.ID {
			row.Rejects[c.Code] = c.N
			row.OpenRejects += c.N
		}
	}
	runs, err := store.Runs(ctx, checkpoint.RunFilter{TargetID: x.ID, Limit: limit})
	if err != nil {
		return err
	}
	for i, r := range runs {
		if i == 0 {
			last := newRunRow(r)
			row.LastRun = &last
			if r.Window.Writer != "" {
				row.HeldBy = &last.Window.Writer
			}
		}
		if withRuns {
			row.Runs = append(row.Runs, newRunRow(r))
		}
	}
	return nil
}

// lagOf is how old the mark is. A zone-less mark is taken as UTC.
func lagOf(m *checkpoint.Mark, now time.Time) *float64 {
	c, err := warehouse.ParseCursor(m.Kind, m.Text)
	if err != nil || m.Kind == warehouse.Int {
		return nil
	}
	at := time.UnixMicro(c.Ticks)
	if m.Kind == warehouse.Date {
		at = time.Unix(c.Ticks*86400, 0)
	}
	lag := now.Sub(at).Seconds()
	return &lag
}

func (a *app) printRuns(rows []*statusRow) error {
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	p := a.paint(a.stdout)
	fmt.Fprintf(w, "SYNC\tPROJECT\tSTARTED\tKIND\t%s\tREAD\tACCEPTED\t%s\tUNCHANGED\tMARK\tTIME\tRUN\n", p.in(plain, "STATUS"), p.in(plain, "REJECTED"))
	for _, r := range rows {
		for _, x := range r.Runs {
			took := "-"
			if x.FinishedAt != nil {
				took = x.FinishedAt.Sub(x.StartedAt).Round(time.Millisecond).String()
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Sync, r.Project, x.StartedAt.Format(time.RFC3339), x.Kind, p.status(x.Status),
				thousands(x.Rows), thousands(x.Accepted), p.count(x.Rejected), thousands(x.Unchanged), orDash(x.Mark.After), took, x.RunID)
		}
	}
	return w.Flush()
}
