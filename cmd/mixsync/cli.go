package main

import (
	"context"

	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mixsync/mixsync/configs"
	"github.com/mixsync/mixsync/sync/runner"
)

// app is what every command shares: streams, environment, global flags.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) (string, bool)

	config     string
	state      string
	output     string
	logFormat  string
	logLevel   string
	noProgress bool
	daemon     bool // no bars, even on a terminal

	command string // the name of the command that ran, for the JSON envelope
	log     *slog.Logger
	logOut  redirect // where the log goes: stderr, or above the bars
}

// run is main with everything it touches passed in; it returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, getenv func(string) (string, bool)) int {
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr, getenv: getenv, command: "mixsync"}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	if a.wantsJSON(args) { // also for errors that come before flags are parsed
		a.output = "json"
	}
	stop, err := profile(getenv)
	if err != nil {
		return a.exit(err)
	}
	defer stop()
	cmd, err := root.ExecuteContextC(ctx)
	if cmd != nil { // also where it was not called rightly, and so did not begin
		a.command = strings.TrimPrefix(cmd.CommandPath(), "mixsync ")
	}
	return a.exit(err)
}

// commandPath is the command as it is typed.
func (a *app) commandPath() string {
	if a.command == "mixsync" {
		return a.command
	}
	return "mixsync " + a.command
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "mixsync",
		Short: "Keep Mixpanel in step with your data warehouse",
		Long: `mixsync reads what changed in a warehouse table since the last run, derives
Mixpanel's Hierarchical Groups identities, and pushes events and profiles.

Start with:  mixsync check      does the configuration fit the warehouse?
             mixsync preview    what would be sent?
             mixsync run        send it`,
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			a.command = strings.TrimPrefix(cmd.CommandPath(), "mixsync ")
			return a.globals()
		},
		Args: subcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usage(cmd, "%v", err) })
	f := root.PersistentFlags()
	f.StringVarP(&a.config, "config", "c", "", "configuration file or folder (default mixsync.yaml, or $MIXSYNC_CONFIG)")
	f.StringVar(&a.state, "state", "", "where marks are kept, in place of the configuration's `url`")
	f.StringVarP(&a.output, "output", "o", "text", "text or json")
	f.StringVar(&a.logFormat, "log-format", "text", "text or json")
	f.StringVar(&a.logLevel, "log-level", "info", "debug, info, warn or error")
	f.BoolVar(&a.noProgress, "no-progress", false, "no progress on stderr")
	root.AddCommand(
		a.runCommand(), a.planCommand(), a.serveCommand(), a.checkCommand(), a.previewCommand(), a.statusCommand(), a.rejectsCommand(),
		a.stateCommand(), a.schemaCommand(), a.emulatorCommand(), a.demoCommand(), a.versionCommand(),
	)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "completion":
			cmd.Args, cmd.RunE = subcommand, func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		case "help":
			cmd.Args = func(cmd *cobra.Command, args []string) error {
				if _, rest, err := root.Find(args); err != nil || len(rest) > 0 {
					return usage(root, "there is no command %q to help with", strings.Join(args, " "))
				}
				return nil
			}
		}
	}
	return root
}

// globals checks the global flags once they are parsed.
func (a *app) globals() error {
	if a.config == "" {
		a.config = "mixsync.yaml"
		if v, ok := a.getenv("MIXSYNC_CONFIG"); ok && v != "" {
			a.config = v
		}
	}
	if a.output != "text" && a.output != "json" {
		return usageError("--output is text or json, not %q", a.output)
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(a.logLevel)); err != nil {
		return usageError("--log-level is debug, info, warn or error, not %q", a.logLevel)
	}
	a.logTo(a.stderr)
	o := &slog.HandlerOptions{Level: level}
	switch a.logFormat {
	case "text":
		a.log = slog.New(slog.NewTextHandler(&a.logOut, o))
	case "json":
		a.log = slog.New(slog.NewJSONHandler(&a.logOut, o))
	default:
		return usageError("--log-format is text or json, not %q", a.logFormat)
	}
	return nil
}

func (a *app) wantsJSON(args []string) bool {
	for i, arg := range args {
		switch {
		case arg == "-o=json", arg == "-ojson", arg == "--output=json":
			return true
		case (arg == "-o" || arg == "--output") && i+1 < len(args):
			return args[i+1] == "json"
		case arg == "--":
			return false
		}
	}
	return false
}

func (a *app) json() bool { return a.output == "json" }

// load reads the configuration.
func (a *app) load(allowUnset bool) (*configs.File, error) {
	f, err := configs.Load(a.config, configs.Options{Getenv: a.getenv, AllowUnset: allowUnset})
	if err != nil {
		return nil, err
	}
	if a.state != "" {
		f.State = a.state
	}
	return f, nil
}

// usageError is a fault in how the command was called.
func usageError(format string, args ...any) *runner.Error {
	err := fmt.Errorf(format, args...)
	return &runner.Error{Code: runner.CodeUsage, Message: err.Error(), Err: err}
}

func usage(cmd *cobra.Command, format string, args ...any) error {
	e := usageError(format, args...)
	e.Hint = fmt.Sprintf("see `%s --help`", cmd.CommandPath())
	return e
}

// subcommand is for commands that do nothing by themselves: an argument is the
// name of a command that does not exist.
func subcommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := usage(cmd, "unknown command %q for %q", args[0], cmd.CommandPath())
	cmd.SuggestionsMinimumDistance = 2
	if like := cmd.SuggestionsFor(args[0]); len(like) > 0 {
		return withHint(err, fmt.Sprintf("did you mean %q?", like[0]))
	}
	return err
}

// noArgs, oneArg: cobra's validators with our exit code.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage(cmd, "%s takes no argument, but got %q", cmd.CommandPath(), args[0])
	}
	return nil
}

func oneArg(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch len(args) {
		case 1:
			return nil
		case 0:
			return usage(cmd, "%s needs %s", cmd.CommandPath(), what)
		}
		return usage(cmd, "%s takes one argument, but got %d", cmd.CommandPath(), len(args))
	}
}
