package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/mixsync/mixsync/sync/runner"
)

func printError(w io.Writer, e *runner.Error) {
	where := ""
	if e.Where != "" && !strings.HasPrefix(e.Message, e.Where) {
		where = e.Where + ": "
	}
	fmt.Fprintf(w, "error: %s%s\n", where, e.Message)
	if e.Hint != "" {
		fmt.Fprintf(w, "hint: %s\n", e.Hint)
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
