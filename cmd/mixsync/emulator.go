package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mixsync/mixsync/connectors/mixpanel/emulator"
)

type emulatorOptions struct {
	emulator.Options
	listen  string
	account string
	faults  string
}

func (a *app) emulatorCommand() *cobra.Command {
	var o emulatorOptions
	cmd := &cobra.Command{
		Use: "emulator", Short: "Run a local Mixpanel for tests, CI and demos", Args: noArgs,
		Long: `Run a local Mixpanel: /import, /groups, /engage, /lookup-tables and
/api/2.0/export validate, deduplicate and answer as Mixpanel documents it. What it
holds is shown by the page at its root, and as JSON under /emulator/.
Point a project at it with  api_url: http://127.0.0.1:8090

It keeps everything in memory and ends with Ctrl-C.`,
		Example: `  mixsync emulator
  mixsync emulator --listen 127.0.0.1:0 --model standard --keys-only
  mixsync emulator --lookup-table 5f3c=Plans --max-lookup-calls 100
  mixsync emulator --faults '{"rules":[{"kind":"throttle","every":10}]}'
  curl -s http://127.0.0.1:8090/emulator/state`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.emulator(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.listen, "listen", "127.0.0.1:8090", "address to listen on; port 0 picks a free one")
	f.StringVar(&o.Model, "model", emulator.Hierarchical, "hierarchical or standard")
	f.Int64Var(&o.ProjectID, "project-id", 0, "accept only this project id; 0 accepts any")
	f.StringVar(&o.Token, "token", "", "accept only this project token")
	f.StringVar(&o.account, "service-account", "", "accept only this service account, `user:secret`")
	f.BoolVar(&o.KeysOnly, "keys-only", false, "keep only deduplication keys: for millions of events")
	f.IntVar(&o.MaxBody, "max-body", 0, "largest request body in bytes, uncompressed (default 10000000)")
	f.DurationVar(&o.Latency, "latency", 0, "added to every answer")
	f.Int64Var(&o.RateLimit.Events, "events-per-minute", 0, "answer 429 beyond so many events in a minute; 0 is no limit")
	f.StringToStringVar(&o.LookupTables, "lookup-table", nil, "a lookup table that exists, `id=name`; repeat it for more (default: any id is taken)")
	f.IntVar(&o.MaxLookupCalls, "max-lookup-calls", 0, "replacements of lookup tables in 24 hours before 429 (default 100, as Mixpanel)")
	f.StringVar(&o.faults, "faults", "", "what goes wrong: JSON, or @file (see POST /emulator/faults)")
	return cmd
}

func (a *app) emulator(ctx context.Context, o emulatorOptions) error {
	if o.account != "" {
		user, secret, ok := strings.Cut(o.account, ":")
		if !ok {
			return usageError("--service-account is written user:secret")
		}
		o.Username, o.Secret = user, secret
	}
	if o.faults != "" {
		text := []byte(o.faults)
		if name, ok := strings.CutPrefix(o.faults, "@"); ok {
			var err error
			if text, err = os.ReadFile(name); err != nil {
				return usageError("--faults: %v", err)
			}
		}
		if err := json.Unmarshal(text, &o.Faults); err != nil {
			return usageError("--faults: %v", err)
		}
	}
	if err := o.Validate(); err != nil {
		return usageError("%v", err)
	}
	if o.KeysOnly {
		debug.SetGCPercent(25) // one large heap of keys: let garbage be a quarter of it, not all of it again
	}
	stop := a.onSignal(ctx, "stopping: what was asked is being answered. Once more to stop at once")
	defer stop.release()
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return withHint(usageError("cannot listen on %s: %v", o.listen, err), "is another emulator running? pick another --listen, or port 0 for a free one")
	}
	if a.json() {
		a.printJSON(map[string]any{"command": a.command, "ok": true, "url": "http://" + l.Addr().String()})
	} else {
		fmt.Fprintf(a.stdout, "emulating a %s Mixpanel project on http://%s\n", o.Model, l.Addr())
	}
	serve, cancel := context.WithCancel(stop.hard)
	defer cancel()
	go func() {
		select {
		case <-stop.soft:
			cancel()
		case <-serve.Done():
		}
	}()
	return emulator.New(o.Options).Serve(serve, l)
}
