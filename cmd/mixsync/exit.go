package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/mixsync/mixsync/configs"
	"github.com/mixsync/mixsync/sync/runner"
)

// Exit codes. They are part of the contract.
const (
	exitDone        = 0
	exitFailed      = 1
	exitConfig      = 2
	exitUnreachable = 3
	exitHeld        = 4
	exitRejects     = 5
	exitSomething   = 10 // plan --detailed-exitcode: there is something to send
	exitInterrupt   = 130
	exitTerminated  = 143
)

// severity orders exit codes from worst to best, for commands that do several
// things: 130/143, 2, 3, 1, 4, 5, 0.
var severity = []int{exitTerminated, exitInterrupt, exitConfig, exitUnreachable, exitFailed, exitHeld, exitRejects, exitDone}

func worst(a, b int) int {
	for _, code := range severity {
		if a == code || b == code {
			return code
		}
	}
	return exitFailed
}

// codeOf maps a stable error code to an exit code.
func codeOf(code string) int {
	switch code {
	case runner.CodeConfig, runner.CodeUsage:
		return exitConfig
	case runner.CodeUnreachable, runner.CodeCredentials:
		return exitUnreachable
	case runner.CodeHeldElsewhere:
		return exitHeld
	}
	return exitFailed
}

// reported is an outcome that the command has already shown: only the exit
// code is left to say.
type reported int

func (r reported) Error() string { return fmt.Sprintf("exit code %d", int(r)) }

// exit shows err, unless it was shown, and returns the exit code.
func (a *app) exit(err error) int {
	if err == nil {
		return exitDone
	}
	var r reported
	if errors.As(err, &r) {
		return int(r)
	}
	e := a.explain(err)
	if a.json() {
		a.printJSON(struct {
			Command string        `json:"command"`
			OK      bool          `json:"ok"`
			Error   *runner.Error `json:"error"`
			Faults  []fault       `json:"faults,omitempty"`
		}{a.command, false, e, faultsOf(err)})
	} else {
		a.printError(e)
	}
	return codeOf(e.Code)
}

// explain is runner.Classify, plus the errors of configuration files.
func (a *app) explain(err error) *runner.Error {
	var bad *configs.Error
	if errors.As(err, &bad) {
		e := &runner.Error{Code: runner.CodeConfig, Message: bad.Error(), Err: err}
		if len(bad.Faults) > 0 {
			e.Where = bad.Faults[0].Position.String()
			e.Hint = fmt.Sprintf("%d faults to mend; `mixsync check --offline` looks again without connecting", len(bad.Faults))
			if len(bad.Faults) == 1 {
				e.Message, e.Hint = bad.Faults[0].Path+": "+bad.Faults[0].Message, bad.Faults[0].Hint
				e.Message = strings.TrimPrefix(e.Message, ": ")
			}
		}
		return e
	}
	e := runner.Classify(err)
	if e.Code == runner.CodeUsage && e.Hint == "" {
		hinted := *e
		hinted.Hint = fmt.Sprintf("see `%s --help`", a.commandPath())
		return &hinted
	}
	return e
}

// fault is one of several things wrong with a configuration, in JSON.
type fault struct {
	Where   string `json:"where"`
	Path    string `json:"path"`
	Message string `json:"message"`
	Hint    string `json:"hint"`
}

func faultsOf(err error) []fault {
	var bad *configs.Error
	if !errors.As(err, &bad) {
		return nil
	}
	var list []fault
	for _, f := range bad.Faults {
		list = append(list, fault{f.Position.String(), f.Path, f.Message, f.Hint})
	}
	return list
}

func (a *app) printJSON(v any) {
	enc := json.NewEncoder(a.stdout)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		fmt.Fprintf(a.stderr, "error: writing the result: %v\n", err)
	}
}
