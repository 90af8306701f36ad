package main

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/mixsync/mixsync/configs"
	"github.com/mixsync/mixsync/connectors/mixpanel/emulator"
	"github.com/mixsync/mixsync/sync/checkpoint"
	"github.com/mixsync/mixsync/sync/runner"
)

//go:embed demo.yaml
var demoYAML string

// demoFolder is where --keep leaves the demo's files.
const demoFolder = "mixsync-demo"

func (a *app) demoCommand() *cobra.Command {
	var keep bool
	var listen string
	cmd := &cobra.Command{
		Use: "demo", Short: "Show the whole job on sample data: no account, no warehouse needed", Args: noArgs,
		Long: `Make a DuckDB file with a small B2B product in it, start a local Mixpanel, sync
events and profiles, let rows come late, and sync again. Nothing leaves this
machine. With --keep the files stay in ./` + demoFolder + ` and the local Mixpanel runs on
until Ctrl-C.`,
		Example: "  mixsync demo\n  mixsync demo --keep",
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.demo(cmd.Context(), keep, listen) },
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "leave the files, and the local Mixpanel running")
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:0", "address of the local Mixpanel; port 0 picks a free one")
	return cmd
}

// demo is one showing.
type demo struct {
	*app
	dir    string
	path   string // of the database
	url    string // of the local Mixpanel
	server *emulator.Server
	file   *configs.File
	stop   *stopper
}

func (a *app) demo(ctx context.Context, keep bool, listen string) (err error) {
	if a.json() {
		return usageError("demo is for people: it has no -o json")
	}
	d := &demo{app: a, stop: a.onSignal(ctx, "stopping the demo")}
	defer d.stop.release()
	if d.dir, err = demoDir(keep); err != nil {
		return err
	}
	if !keep {
		defer os.RemoveAll(d.dir)
	}
	d.path = filepath.Join(d.dir, "demo.duckdb")
	ended, err := d.serve(listen)
	if err != nil {
		return err
	}
	defer ended()
	if err := d.show(d.stop.hard, keep); err != nil || !keep {
		return err
	}
	fmt.Fprintf(a.stdout, "\nThe local Mixpanel runs on at %s until Ctrl-C.\n", d.url)
	<-d.stop.soft
	return nil
}

// demoDir makes the folder for the demo's files, a new one unless they are to stay.
func demoDir(keep bool) (string, error) {
	if !keep {
		return os.MkdirTemp("", "mixsync-demo-")
	}
	if err := os.Mkdir(demoFolder, 0o755); err != nil {
		return "", withHint(usageError("cannot make the folder %s: %v", demoFolder, err), "remove the one of an earlier demo first")
	}
	return demoFolder, nil
}

// serve starts the local Mixpanel; the result ends it and waits for that.
func (d *demo) serve(listen string) (func(), error) {
	l, err := (&net.ListenConfig{}).Listen(d.stop.hard, "tcp", listen)
	if err != nil {
		return nil, usageError("cannot listen on %s: %v", listen, err)
	}
	d.url = "http://" + l.Addr().String()
	d.server = emulator.New(emulator.Options{})
	ctx, cancel := context.WithCancel(context.WithoutCancel(d.stop.hard))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := d.server.Serve(ctx, l); err != nil {
			d.log.Warn("the local Mixpanel ended", "err", err)
		}
	}()
	return func() { cancel(); <-done }, nil
}

// show is the demo's story.
func (d *demo) show(ctx context.Context, keep bool) error {
	out := d.stdout
	w, err := newDemoWarehouse(ctx, d.path)
	if err != nil {
		return err
	}
	sizes, err := w.fill(ctx)
	if err != nil {
		return err
	}
	yaml := filepath.Join(d.dir, "mixsync.yaml")
	text := strings.NewReplacer("{{DIR}}", filepath.ToSlash(d.dir), "{{URL}}", d.url).Replace(demoYAML)
	if err := os.WriteFile(yaml, []byte(text), 0o644); err != nil {
		return err
	}
	if d.file, err = configs.Load(yaml, configs.Options{Getenv: d.getenv}); err != nil {
		return err
	}
	fmt.Fprintf(out, "A warehouse   %s: %s\n", d.path, sizes)
	fmt.Fprintf(out, "A Mixpanel    %s (local, hierarchical: companies have users)\n", d.url)
	fmt.Fprintf(out, "The syncs     %s: events, and profiles of companies, users and teams\n", yaml)

	heading(out, "First run: everything")
	reports, err := d.sync()
	if err != nil {
		return err
	}
	heading(out, "What could not be sent, and why")
	if err := d.rejects(ctx); err != nil {
		return err
	}
	heading(out, "Who is who: a user is known by company and user id together")
	if err := d.identities(); err != nil {
		return err
	}
	heading(out, "Life goes on: 500 new events, 3 that come five minutes late, 2 companies renamed")
	if err := w.grow(ctx, markOf(reports, "events")); err != nil {
		return err
	}
	fmt.Fprintln(out, "Second run: only those")
	if _, err := d.sync(); err != nil {
		return err
	}
	heading(out, "What to try next")
	if !keep {
		fmt.Fprintln(out, "  mixsync demo --keep                          # the same, and leave files and Mixpanel to play with")
	} else {
		for _, line := range []string{
			"run -c " + yaml + "                  # nothing new: nothing is sent",
			"preview users -n 2 -c " + yaml + "   # records as they are sent",
			"rejects list -c " + yaml,
			"run events --resync -c " + yaml + "  # everything again: Mixpanel drops what it has",
		} {
			fmt.Fprintln(out, "  mixsync "+line)
		}
		fmt.Fprintf(out, "  open %s in a browser: events, profiles, requests\n", d.url)
	}
	fmt.Fprintln(out, "  your own Postgres: the README's five-minute tour")
	return nil
}

func heading(w io.Writer, s string) { fmt.Fprintf(w, "\n%s\n", s) }

// sync runs every sync of the demo and prints the table. Rejects are expected;
// anything else that goes wrong ends the demo.
func (d *demo) sync() ([]*runner.Report, error) {
	store, err := d.openState(d.stop.hard, d.file, checkpoint.Options{Ephemeral: true})
	if err != nil {
		return nil, err
	}
	defer store.Close()
	targets, err := (&selection{}).choose(d.file)
	if err != nil {
		return nil, err
	}
	w := d.wiring(d.file)
	defer w.close()
	begun := time.Now()
	reports := d.runAll(d.stop, w, store, targets, runner.Options{})
	var rows int64
	for _, r := range reports {
		if r.Error != nil {
			return nil, r.Error
		}
		rows += r.Rows
	}
	t := tabwriter.NewWriter(d.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "  SYNC\tREAD\tSENT\tACCEPTED\tREJECTED\tUNCHANGED\tTIME")
	for _, r := range reports {
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Sync, thousands(r.Rows), thousands(r.Sent), thousands(r.Accepted), thousands(r.Rejected),
			thousands(r.Unchanged), r.FinishedAt.Sub(r.StartedAt).Round(time.Millisecond))
	}
	if err := t.Flush(); err != nil {
		return nil, err
	}
	took := time.Since(begun)
	fmt.Fprintf(d.stdout, "  %s rows in %.1f s; Mixpanel holds %s events and %s profiles\n", thousands(rows), took.Seconds(),
		thousands(int64(d.server.Count())), thousands(int64(len(d.server.ProfileIDs()))))
	return reports, nil
}

// rejects shows one reject of each code.
func (d *demo) rejects(ctx context.Context) error {
	store, err := d.openState(ctx, d.file, checkpoint.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer store.Close()
	list, err := store.Rejects(ctx, checkpoint.RejectFilter{})
	if err != nil {
		return err
	}
	counts := map[string]int{}
	var shown []checkpoint.Reject
	for _, r := range list {
		if counts[r.Code]++; counts[r.Code] == 1 {
			shown = append(shown, r)
		}
	}
	slices.SortFunc(shown, func(a, b checkpoint.Reject) int { return strings.Compare(a.Code, b.Code) })
	t := tabwriter.NewWriter(d.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "  CODE\tROWS\tFOR INSTANCE\tBECAUSE")
	for _, r := range shown {
		fmt.Fprintf(t, "  %s\t%d\t%s\t%s\n", r.Code, counts[r.Code], r.Key, r.Message)
	}
	return t.Flush()
}

// identities shows profiles of one name in two companies, and of each kind.
func (d *demo) identities() error {
	t := tabwriter.NewWriter(d.stdout, 0, 0, 2, ' ', 0)
	profiles := d.server.Profiles()
	for _, id := range []string{"$company:acme", "$company:acme|$user:alice", "$company:globex|$user:alice", "$company:acme|team_id:growth"} {
		p, ok := profiles[id]
		if !ok {
			return fmt.Errorf("the local Mixpanel holds no profile %s", id)
		}
		fmt.Fprintf(t, "  %s\t%s\n", id, demoProperties(p.Properties))
	}
	return t.Flush()
}

func markOf(reports []*runner.Report, sync string) string {
	for _, r := range reports {
		if r.Sync == sync && r.Mark.After != nil {
			return *r.Mark.After
		}
	}
	return ""
}

// demoProperties writes a few properties of a profile on one line.
func demoProperties(p map[string]any) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(p)) {
		if len(parts) == 4 {
			parts = append(parts, "…")
			break
		}
		parts = append(parts, fmt.Sprintf("%s=%v", name, p[name]))
	}
	return strings.Join(parts, "  ")
}
