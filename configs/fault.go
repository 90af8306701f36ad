package configs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Position is a place in a YAML file. Line and Col count from 1; Line is 0 when
// the fault is the file's as a whole.
type Position struct {
	File      string
	Line, Col int
}

// String gives "mixsync.yaml:41:13", the form that editors and terminals link.
func (p Position) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

func (p Position) compare(q Position) int {
	return cmp.Or(cmp.Compare(p.File, q.File), cmp.Compare(p.Line, q.Line), cmp.Compare(p.Col, q.Col))
}

// Fault is one thing wrong with the configuration.
type Fault struct {
	Position
	Path    string // "syncs.usage.mapping.time"; empty when the file cannot be parsed
	Message string
	Hint    string // how to mend it; empty when that cannot be guessed
}

func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(f.Position.String())
	b.WriteString(": ")
	if f.Path != "" {
		b.WriteString(f.Path)
		b.WriteString(": ")
	}
	b.WriteString(f.Message)
	if f.Hint != "" {
		b.WriteString("\n    hint: ")
		b.WriteString(f.Hint)
	}
	return b.String()
}

// Error is everything wrong with a configuration, by file and position.
type Error struct {
	Faults []Fault
}

// Error gives one line per fault, "file:line:col: path: message", each followed
// by its hint on an indented line of its own.
func (e *Error) Error() string {
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// newError sorts the faults and drops repeats: what two projects of a sync both
// need is one fault.
func newError(faults []Fault) *Error {
	slices.SortStableFunc(faults, func(a, b Fault) int { return a.compare(b.Position) })
	seen := map[Fault]bool{}
	kept := faults[:0:0]
	for _, f := range faults {
		if !seen[f] {
			seen[f] = true
			kept = append(kept, f)
		}
	}
	return &Error{Faults: kept}
}
