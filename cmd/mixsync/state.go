package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/mixsync/mixsync/configs"
	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/sync/checkpoint"
)

// openState opens the state. Read-only and not there yet, it is nil: nothing
// has run so far.
func (a *app) openState(ctx context.Context, file *configs.File, o checkpoint.Options) (*checkpoint.Store, error) {
	o.Lease = file.Lease
	for _, p := range file.Projects {
		o.Request = max(o.Request, p.RequestTimeout)
	}
	store, err := checkpoint.Open(ctx, file.State, o)
	if o.ReadOnly && errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return store, err
}

func (a *app) stateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "state", Short: "Show, set or reset marks by hand", Args: subcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var show, reset selection
	var set struct {
		selection
		mark string
	}
	s := &cobra.Command{
		Use: "show [SYNC…]", Short: "Show the marks", ValidArgsFunction: a.completeSyncs,
		Example: "  mixsync state show\n  mixsync state show usage -o json",
		RunE: func(cmd *cobra.Command, args []string) error {
			show.names = args
			return a.stateShow(cmd.Context(), &show)
		},
	}
	w := &cobra.Command{
		Use: "set SYNC --mark T", Short: "Set the mark: the next run reads from there on", Args: oneArg("the name of a sync"), ValidArgsFunction: a.completeSyncs,
		Long: `Set the mark of a sync by hand. An unfinished run is given up, and what was
sent before is not remembered: rows after the mark are sent (again). Mixpanel
drops the events that it has already, because their insert ids are the same.`,
		Example: "  mixsync state set usage --mark 2026-01-31T12:00:00Z",
		RunE: func(cmd *cobra.Command, args []string) error {
			set.names = args
			return a.stateSet(cmd.Context(), &set.selection, set.mark)
		},
	}
	w.Flags().StringVar(&set.mark, "mark", "", "a time, date or integer, as in `state show`")
	r := &cobra.Command{
		Use: "reset SYNC", Short: "Forget the mark and what was sent: the next run starts afresh", Args: oneArg("the name of a sync"), ValidArgsFunction: a.completeSyncs,
		Example: "  mixsync state reset usage",
		RunE: func(cmd *cobra.Command, args []string) error {
			reset.names = args
			return a.stateReset(cmd.Context(), &reset)
		},
	}
	cmd.AddCommand(s, w, r)
	return cmd
}

// markRow is a target's mark in JSON.
type markRow struct {
	Sync        string          `json:"sync"`
	Project     string          `json:"project"`
	Mark        *string         `json:"mark"`
	Fingerprint json.RawMessage `json:"fingerprint"`
	UpdatedAt   *time.Time      `json:"updated_at"`
}

func newMarkRow(x *checkpoint.Target) markRow {
	row := markRow{Sync: x.Sync, Project: x.Project, Fingerprint: x.Fingerprint}
	if x.Mark != nil {
		row.Mark = &x.Mark.Text
	}
	if len(x.Fingerprint) == 0 {
		row.Fingerprint = json.RawMessage("null")
	}
	if !x.UpdatedAt.IsZero() {
		row.UpdatedAt = &x.UpdatedAt
	}
	return row
}

// inState calls fn with what the state has of each selected target: what a new
// one has, and a nil store, where nothing has run so far.
func (a *app) inState(ctx context.Context, sel *selection, fn func(*checkpoint.Store, *checkpoint.Target) error) error {
	file, err := a.load(true)
	if err != nil {
		return err
	}
	targets, err := sel.choose(file)
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
	for _, t := range targets {
		x := &checkpoint.Target{Sync: t.sync.Name, Project: t.project.Name}
		if store != nil {
			if x, err = store.Target(ctx, t.sync.Name, t.project.Name); err != nil {
				return err
			}
		}
		if err := fn(store, x); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) stateShow(ctx context.Context, sel *selection) error {
	rows := []markRow{}
	err := a.inState(ctx, sel, func(_ *checkpoint.Store, x *checkpoint.Target) error {
		rows = append(rows, newMarkRow(x))
		return nil
	})
	if err != nil {
		return err
	}
	if a.json() {
		a.printJSON(map[string]any{"command": a.command, "ok": true, "syncs": rows})
		return nil
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SYNC\tPROJECT\tMARK\tUPDATED")
	for _, r := range rows {
		updated := "-"
		if r.UpdatedAt != nil {
			updated = r.UpdatedAt.Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.Sync, r.Project, orDash(r.Mark), updated)
	}
	return w.Flush()
}

// withLeases calls fn for each selected target while it is held by no run.
func (a *app) withLeases(ctx context.Context, sel *selection, fn func(*checkpoint.Store, *checkpoint.Lease, target) error) error {
	file, err := a.load(true)
	if err != nil {
		return err
	}
	targets, err := sel.choose(file)
	if err != nil {
		return err
	}
	store, err := a.openState(ctx, file, checkpoint.Options{})
	if err != nil {
		return err
	}
	defer store.Close()
	for _, t := range targets {
		x, err := store.Target(ctx, t.sync.Name, t.project.Name)
		if err != nil {
			return err
		}
		lease, err := store.Acquire(ctx, x)
		if err != nil {
			return err
		}
		err = fn(store, lease, t)
		if e := lease.Release(); err == nil {
			err = e
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *app) stateSet(ctx context.Context, sel *selection, text string) error {
	mark, err := parseMark(text)
	if err != nil {
		return err
	}
	return a.withLeases(ctx, sel, func(store *checkpoint.Store, lease *checkpoint.Lease, t target) error {
		if t.sync.Cursor == nil {
			return usageError("%s has no cursor, so it has no mark", t.sync.Name)
		}
		if err := store.SetMark(ctx, lease, mark); err != nil {
			return err
		}
		return a.done("the mark of %s (%s) is %s", t.sync.Name, t.project.Name, mark.Text)
	})
}

func (a *app) stateReset(ctx context.Context, sel *selection) error {
	return a.withLeases(ctx, sel, func(store *checkpoint.Store, lease *checkpoint.Lease, t target) error {
		if err := store.ResetTarget(ctx, lease); err != nil {
			return err
		}
		return a.done("%s (%s) starts afresh with the next run", t.sync.Name, t.project.Name)
	})
}

// done says that something was done.
func (a *app) done(format string, args ...any) error {
	s := fmt.Sprintf(format, args...)
	if a.json() {
		a.printJSON(map[string]any{"command": a.command, "ok": true, "message": s})
		return nil
	}
	_, err := fmt.Fprintln(a.stdout, s)
	return err
}

// parseMark reads a mark and its kind from its text: what `state show` prints
// is unambiguous.
func parseMark(text string) (*checkpoint.Mark, error) {
	for _, kind := range []warehouse.Kind{warehouse.Int, warehouse.Date, warehouse.TimestampTZ, warehouse.Timestamp} {
		if c, err := warehouse.ParseCursor(kind, text); err == nil && c.Text(kind) == text {
			return &checkpoint.Mark{Kind: kind, Text: text}, nil
		}
	}
	return nil, withHint(usageError("--mark %q is no mark", text),
		"write it as `mixsync state show` does: 2026-01-31T12:00:00Z (with zone), 2026-01-31T12:00:00 (without), 2026-01-31, or an integer")
}
