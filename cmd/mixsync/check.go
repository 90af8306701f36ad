package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mixsync/mixsync/configs"
	"github.com/mixsync/mixsync/mapping"
	"github.com/mixsync/mixsync/sync/runner"
)

type checkOptions struct {
	selection
	offline, effective, allowUnset bool
}

func (a *app) checkCommand() *cobra.Command {
	var o checkOptions
	cmd := &cobra.Command{
		Use: "check [SYNC…]", Short: "Lint, connect, compare with the live schema, verify credentials; send nothing",
		ValidArgsFunction: a.completeSyncs,
		Example:           "  mixsync check\n  mixsync check --offline --allow-unset\n  mixsync check --effective",
		RunE: func(cmd *cobra.Command, args []string) error {
			o.names = args
			return a.check(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	o.selection.flags(f)
	f.BoolVar(&o.offline, "offline", false, "lint only: connect to nothing")
	f.BoolVar(&o.effective, "effective", false, "print the configuration as understood, with its defaults")
	f.BoolVar(&o.allowUnset, "allow-unset", false, "with --offline: do not mind unset variables, so that CI can lint without secrets")
	return cmd
}

// checkRow is what was found of one sync and project, in JSON.
type checkRow struct {
	Sync       string             `json:"sync"`
	Project    string             `json:"project"`
	OK         bool               `json:"ok"`
	Properties []mapping.Property `json:"properties"`
	Keys       []string           `json:"primary_key"`
	Warnings   []string           `json:"warnings"`
	Error      *runner.Error      `json:"error"`
}

// projectRow is what was found of a project's credentials, in JSON.
type projectRow struct {
	Project  string        `json:"project"`
	OK       bool          `json:"ok"`
	Warnings []string      `json:"warnings"`
	Error    *runner.Error `json:"error"`
}

func (a *app) check(ctx context.Context, o checkOptions) error {
	if o.allowUnset && !o.offline {
		return usageError("--allow-unset goes with --offline: connecting needs the values")
	}
	file, err := a.load(o.allowUnset)
	if err != nil {
		return err
	}
	if o.effective {
		return a.effective(file)
	}
	targets, err := o.choose(file)
	if err != nil {
		return err
	}
	if o.offline {
		if a.json() {
			a.printJSON(map[string]any{"command": a.command, "ok": true, "offline": true, "syncs": []checkRow{}, "projects": []projectRow{}})
			return nil
		}
		_, err := fmt.Fprintf(a.stdout, "%s: %s, no fault found (offline)\n", a.config, plural(len(file.Syncs), "sync"))
		return err
	}
	w := a.wiring(file)
	defer w.close()
	code := exitDone
	rows := []*checkRow{}
	for _, t := range targets {
		row := a.checkSync(ctx, w, t)
		if row.Error != nil {
			code = worst(code, codeOf(row.Error.Code))
		}
		rows = append(rows, row)
	}
	projects := a.checkProjects(ctx, w, targets)
	for _, p := range projects {
		if p.Error != nil {
			code = worst(code, codeOf(p.Error.Code))
		}
	}
	if a.json() {
		a.printJSON(map[string]any{"command": a.command, "ok": code == exitDone, "syncs": rows, "projects": projects})
	} else {
		a.printCheck(rows, projects)
	}
	if code != exitDone {
		return reported(code)
	}
	return nil
}

func (a *app) effective(file *configs.File) error {
	render := file.Effective
	if a.json() {
		render = file.EffectiveJSON
	}
	text, err := render()
	if err != nil {
		return err
	}
	if _, err = a.stdout.Write(text); err == nil && !strings.HasSuffix(string(text), "\n") {
		_, err = fmt.Fprintln(a.stdout)
	}
	return err
}

func (a *app) checkSync(ctx context.Context, w *wiring, t target) *checkRow {
	row := &checkRow{Sync: t.sync.Name, Project: t.project.Name, Properties: []mapping.Property{}, Keys: []string{}, Warnings: []string{}}
	d, err := w.driver(ctx, t.sync.Warehouse)
	var x *runner.Inspection
	if err == nil {
		x, err = runner.Inspect(ctx, d, runnerSync(t))
	}
	if err != nil {
		row.Error = a.locate(w.file, t, a.explain(err))
		return row
	}
	row.OK, row.Properties, row.Keys = true, x.Properties, x.Keys
	row.Warnings = append(row.Warnings, x.Warnings...)
	return row
}

// checkProjects asks Mixpanel, once a project, whether it takes the credentials.
func (a *app) checkProjects(ctx context.Context, w *wiring, targets []target) []*projectRow {
	rows := []*projectRow{}
	for _, t := range targets {
		if slices.ContainsFunc(rows, func(r *projectRow) bool { return r.Project == t.project.Name }) {
			continue
		}
		row := &projectRow{Project: t.project.Name, OK: true, Warnings: []string{}}
		rows = append(rows, row)
		p, err := w.project(t.project)
		if err == nil {
			err = p.client.Probe(ctx)
		}
		if err == nil && sendsProfiles(targets, t.project) {
			if e := p.client.ProbeToken(ctx); e != nil {
				row.Warnings = append(row.Warnings, "Mixpanel does not know the project token, and profiles sent with a wrong one vanish without a word: "+e.Error())
			}
		}
		if err != nil {
			row.OK, row.Error = false, a.explain(err)
			if pos, ok := w.file.Where("projects." + t.project.Name); ok && row.Error.Where == "" {
				row.Error.Where = pos.String()
			}
		}
	}
	return rows
}

// sendsProfiles reports whether a selected sync sends records that carry the
// project token.
func sendsProfiles(targets []target, p *configs.Project) bool {
	return slices.ContainsFunc(targets, func(t target) bool {
		return t.project == p && (t.sync.Type == mapping.Group || t.sync.Type == mapping.User)
	})
}

func (a *app) printCheck(rows []*checkRow, projects []*projectRow) {
	for _, r := range rows {
		if r.Error != nil {
			fmt.Fprintf(a.stdout, "%s → %s: FAULTY\n", r.Sync, r.Project)
			fmt.Fprintf(a.stderr, "%s → %s: ", r.Sync, r.Project)
			a.printError(r.Error)
			continue
		}
		fmt.Fprintf(a.stdout, "%s → %s: ok, key %s, %d properties\n", r.Sync, r.Project, strings.Join(r.Keys, ", "), len(r.Properties))
		for _, p := range r.Properties {
			from := ""
			if p.Column != "" && p.Column != p.Name {
				from = " from " + p.Column
			}
			fmt.Fprintf(a.stdout, "  %s (%s)%s\n", p.Name, p.Type, from)
		}
		for _, warning := range r.Warnings {
			fmt.Fprintf(a.stderr, "warning: %s → %s: %s\n", r.Sync, r.Project, warning)
		}
	}
	for _, p := range projects {
		if p.Error != nil {
			fmt.Fprintf(a.stdout, "project %s: FAULTY\n", p.Project)
			a.printError(p.Error)
			continue
		}
		fmt.Fprintf(a.stdout, "project %s: Mixpanel accepts the credentials\n", p.Project)
		for _, warning := range p.Warnings {
			fmt.Fprintf(a.stderr, "warning: project %s: %s\n", p.Project, warning)
		}
	}
}
