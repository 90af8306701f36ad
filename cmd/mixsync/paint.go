package main

import (
	"io"
	"os"
	"strconv"

	"golang.org/x/term"

	"github.com/mixsync/mixsync/sync/checkpoint"
	"github.com/mixsync/mixsync/sync/runner"
)

// paint colours words for people, where there is somebody to see it: on a
// terminal, and not against the user's wish (NO_COLOR, https://no-color.org).
// Every colour takes the same number of bytes, so that a column that is painted
// throughout, its heading in plain, stays aligned.
type paint bool

const (
	plain  = "39" // the terminal's own colour
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

func (a *app) paint(w io.Writer) paint {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	if v, set := a.getenv("NO_COLOR"); set && v != "" {
		return false
	}
	kind, _ := a.getenv("TERM")
	return kind != "dumb" && paint(term.IsTerminal(int(f.Fd())))
}

func (p paint) in(colour, text string) string {
	if !p {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// status paints the status of a run or report.
func (p paint) status(status string) string {
	switch status {
	case runner.Succeeded:
		return p.in(green, status)
	case runner.Partial, runner.Interrupted, runner.Skipped:
		return p.in(yellow, status)
	case runner.Failed:
		return p.in(red, status)
	case checkpoint.Running:
		return p.in(cyan, status)
	}
	return p.in(plain, status)
}

// count paints a number that is good when it is zero.
func (p paint) count(n int64) string {
	if n > 0 {
		return p.in(yellow, strconv.FormatInt(n, 10))
	}
	return p.in(plain, "0")
}
