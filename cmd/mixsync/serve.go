package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/mixsync/mixsync/configs"
	"github.com/mixsync/mixsync/sync/checkpoint"
	"github.com/mixsync/mixsync/sync/engine"
	"github.com/mixsync/mixsync/sync/serve"
	"github.com/mixsync/mixsync/sync/status"
)

const (
	envToken = "MIXSYNC_API_TOKEN"
	// A changed configuration is noticed within so long.
	lookForChanges = 2 * time.Second
)

type serveOptions struct {
	listen    string
	tokenFile string
	ephemeral bool
}

func (a *app) serveCommand() *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use: "serve", Short: "Run syncs by their schedules until stopped", Args: noArgs,
		Long: `Run syncs by the schedules in the configuration, and on request over HTTP.

With a Postgres state any number of replicas share the work: one of them keeps
the schedules, each works on what comes, and what a dead one has left is gone on
with by the others. With an SQLite state there is one.

HTTP: a page at /, /healthz, /readyz, /metrics, POST /api/v1/runs,
GET /api/v1/runs/{id}, GET /api/v1/syncs. What changes anything asks for the
bearer token in ` + envToken + `, or in --token-file. An address that others can
reach needs one.

The configuration is read anew when it changes, or at SIGHUP; a broken one is
reported and the one before goes on. SIGTERM or Ctrl-C delivers what was read,
saves, and exits with 0; a second one stops at once.`,
		Example: `  mixsync serve
  MIXSYNC_API_TOKEN=… mixsync serve --listen 0.0.0.0:8080
  curl -H "Authorization: Bearer $MIXSYNC_API_TOKEN" -d '{"syncs":["usage"]}' http://127.0.0.1:8080/api/v1/runs`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.serve(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.listen, "listen", "127.0.0.1:8080", "address to listen on; port 0 picks a free one")
	f.StringVar(&o.tokenFile, "token-file", "", "file with the bearer token, in place of $"+envToken)
	f.BoolVar(&o.ephemeral, "ephemeral-state", false, "allow a state on no mounted volume in a Kubernetes pod")
	return cmd
}

func (a *app) serve(ctx context.Context, o serveOptions) (err error) {
	debug.SetGCPercent(30) // for the reason of run, with more going on at a time
	forgetStartup()
	token, err := a.token(o)
	if err != nil {
		return err
	}
	if token == "" && !serve.IsLoopback(o.listen) {
		return withHint(usageError("%s can be reached by others, and no token is set", o.listen),
			"set "+envToken+" or --token-file, or listen on 127.0.0.1")
	}
	stamp, _ := configs.Stamp(a.config) // load says what is wrong with it
	file, err := a.load(false)
	if err != nil {
		return err
	}
	first, err := a.settings(file)
	if err != nil {
		return err
	}
	stop := a.onSignal(ctx, "stopping: what was read is being delivered. Once more to stop at once")
	defer stop.release()
	store, err := a.openState(stop.hard, file, checkpoint.Options{Ephemeral: o.ephemeral})
	if err != nil {
		return stop.instead(err)
	}
	defer store.Close()

	a.daemon = true
	live := a.watch(stop.hard)
	defer live.stop()
	d := &daemon{app: a, store: store, stop: stop, live: live}
	d.replace(first)
	defer d.close()
	work, shut, err := d.engine(stop.hard, file.State)
	if err != nil {
		return stop.instead(err)
	}
	defer shut()
	b := &backend{d, work}
	d.metrics = status.New(version(), b.figures, func(ctx context.Context) (bool, error) { _, ours, err := work.Leader(ctx); return ours, err })
	work.Schedule(first.entries())

	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return withHint(usageError("cannot listen on %s: %v", o.listen, err), "is another one running? pick another --listen, or port 0 for a free one")
	}
	a.log.Info("serving", "url", "http://"+l.Addr().String(), "syncs", len(first.targets), "schedules", len(first.times))

	ended, cancel := context.WithCancel(stop.hard)
	defer cancel()
	var around sync.WaitGroup // what goes on around the engine
	around.Go(func() {
		if e := serve.Serve(ended, l, serve.Options{Backend: b, Metrics: d.metrics.Handler(), Token: token, Log: a.log}); e != nil {
			a.log.Error("the HTTP server has ended", "err", e)
		}
	})
	around.Go(func() { d.watchConfig(ended, work, stamp) })
	err = work.Run(stop.hard, stop.soft)
	cancel()
	around.Wait()
	if err == nil && stop.hard.Err() != nil {
		return reported(stop.exitCode()) // cut off, not drained
	}
	return err
}

// engine makes the engine that fits the state.
func (d *daemon) engine(ctx context.Context, stateURL string) (engine.Engine, func(), error) {
	if !checkpoint.IsPostgres(stateURL) {
		return engine.NewLocal(d, d.app.log), func() {}, nil
	}
	e, err := engine.NewRiver(ctx, stateURL, d, d.app.log)
	if err != nil {
		return nil, nil, d.store.Explain("open job queue", err)
	}
	return e, e.Close, nil
}

// token is what the API asks for; "" for none.
func (a *app) token(o serveOptions) (string, error) {
	if o.tokenFile == "" {
		token, _ := a.getenv(envToken)
		return token, nil
	}
	text, err := os.ReadFile(o.tokenFile)
	if err != nil {
		return "", usageError("--token-file: %v", err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" {
		return "", usageError("--token-file: %s is empty", o.tokenFile)
	}
	return token, nil
}

// watchConfig reads the configuration anew when it changes, and at SIGHUP.
func (d *daemon) watchConfig(ctx context.Context, e engine.Engine, stamp string) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	tick := time.NewTicker(lookForChanges)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
			stamp, _ = configs.Stamp(d.app.config)
			d.reload(e)
		case <-tick.C:
			now, err := configs.Stamp(d.app.config)
			if err != nil {
				now = fmt.Sprint(errors.Unwrap(err)) // gone: said once
			}
			if now != stamp {
				stamp = now
				d.reload(e)
			}
		}
	}
}
