package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mixsync/mixsync/sync/runner"
)

func (a *app) printError(e *runner.Error) {
	p := a.paint(a.stderr)
	where := ""
	if e.Where != "" && !strings.HasPrefix(e.Message, e.Where) {
		where = e.Where + ": "
	}
	fmt.Fprintf(a.stderr, "%s %s%s\n", p.in(red, "error:"), where, e.Message)
	if e.Hint != "" {
		fmt.Fprintf(a.stderr, "%s %s\n", p.in(cyan, "hint:"), e.Hint)
	}
}

func withHint(err error, hint string) error {
	var e *runner.Error
	if errors.As(err, &e) {
		e.Hint = hint
	}
	return err
}

// countsText writes a map of counts as "2 blank_id, 1 bad_time".
func countsText(m map[string]int64) string {
	var parts []string
	for _, code := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%d %s", m[code], code))
	}
	return strings.Join(parts, ", ")
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func orDash(s *string) string {
	if s == nil || *s == "" {
		return "-"
	}
	return *s
}
