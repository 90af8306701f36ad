package runner

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/connectors/warehouse/warehousetest"
	"github.com/mixsync/mixsync/mapping"
	"github.com/mixsync/mixsync/sync/checkpoint"
)

// Windows and marks are decided by what only this package holds.

func text(s string) *string { return &s }

// at is a sync whose source has the one column at, with max as the greatest
// value that the bound asked for leaves.
func at(kind warehouse.Kind, cursor Cursor, target checkpoint.Target, clock warehouse.Clock, max func(args []warehouse.Arg) any) *work {
	field := warehouse.Field{Name: "at", Kind: kind, Type: kind.String(), Sortable: true}
	cursor.Column = "at"
	return &work{
		Runner: &Runner{Driver: &warehousetest.Memory{Time: clock, Answer: func(_ string, args []warehouse.Arg) (warehouse.Rows, error) {
			return warehousetest.NewRows(&warehouse.Schema{Fields: []warehouse.Field{field}}, warehousetest.Row{max(args)}), nil
		}}},
		sync:   &Sync{Name: "s", Cursor: &cursor, Spec: mapping.Spec{Location: time.UTC}},
		schema: &warehouse.Schema{Fields: []warehouse.Field{field}},
		target: &target, report: &Report{},
	}
}

func TestNextWindow(t *testing.T) {
	t.Parallel()
	mark := func(s string) *checkpoint.Mark { return &checkpoint.Mark{Kind: warehouse.Int, Text: s} }
	from := func(n int64) *int64 { return &n }
	tests := []struct {
		name   string
		cursor Cursor
		target checkpoint.Target
		max    any // nil: there is no row from the mark on
		want   *checkpoint.Window
		notes  int
	}{
		{name: "an empty table", want: nil},
		{name: "a first run", max: 50, want: &checkpoint.Window{To: text("50")}},
		{name: "a first run with a start", cursor: Cursor{Start: "20"}, max: 50, want: &checkpoint.Window{From: text("20"), To: text("50")}},
		{name: "from the mark less the lookback", cursor: Cursor{LookbackCount: 10}, target: checkpoint.Target{Mark: mark("40"), LedgerFrom: from(30)},
			max: 50, want: &checkpoint.Window{From: text("30"), To: text("50")}},
		{name: "no lookback", target: checkpoint.Target{Mark: mark("40"), LedgerFrom: from(40)},
			max: 50, want: &checkpoint.Window{From: text("40"), To: text("50")}},
		{name: "nothing new", cursor: Cursor{LookbackCount: 10}, target: checkpoint.Target{Mark: mark("40"), LedgerFrom: from(30)},
			max: nil, want: &checkpoint.Window{From: text("30"), To: text("40")}},
		{name: "a longer lookback than the ledger is for", cursor: Cursor{LookbackCount: 25, LookbackSet: true}, notes: 1,
			target: checkpoint.Target{Mark: mark("40"), LedgerFrom: from(30)}, max: 50, want: &checkpoint.Window{From: text("30"), To: text("50")}},
		{name: "a shorter one", cursor: Cursor{LookbackCount: 5}, target: checkpoint.Target{Mark: mark("40"), LedgerFrom: from(30)},
			max: 50, want: &checkpoint.Window{From: text("35"), To: text("50")}},
		{name: "a mark set by hand", cursor: Cursor{LookbackCount: 10}, target: checkpoint.Target{Mark: mark("40")},
			max: 50, want: &checkpoint.Window{From: text("40"), To: text("50")}},
		{name: "a start within the lookback", cursor: Cursor{LookbackCount: 10, Start: "35"}, target: checkpoint.Target{Mark: mark("40"), LedgerFrom: from(30)},
			max: 50, want: &checkpoint.Window{From: text("35"), To: text("50")}},
		{name: "a lookback beyond all numbers", cursor: Cursor{LookbackCount: math.MaxInt64},
			target: checkpoint.Target{Mark: mark("-40"), LedgerFrom: from(math.MinInt64)}, max: 50,
			want: &checkpoint.Window{From: text("-9223372036854775808"), To: text("50")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			// An integer is compared with no clock, so a writer holds nothing back.
			now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
			clock := warehouse.Clock{Now: now, OldestWrite: now.Add(-time.Hour), Writer: "7"}
			w := at(warehouse.Int, tt.cursor, tt.target, clock, func([]warehouse.Arg) any { return tt.max })
			got, err := w.nextWindow(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("window (-want +got):\n%s", d)
			}
			if len(w.report.Notes) != tt.notes {
				t.Errorf("notes = %q, want %d", w.report.Notes, tt.notes)
			}
		})
	}
}

func TestMarkOfAnotherKind(t *testing.T) {
	t.Parallel()
	target := checkpoint.Target{Mark: &checkpoint.Mark{Kind: warehouse.Date, Text: "2026-01-01"}}
	_, err := at(warehouse.Int, Cursor{}, target, warehouse.Clock{}, nil).nextWindow(t.Context())
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != CodeConfig {
		t.Errorf("nextWindow() = %v, want an error of code config", err)
	}
}

// The upper bound is asked for by the warehouse's clock, less settle, and stays
// before a writer for no longer than max_hold.
func TestBound(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		name   string
		kind   warehouse.Kind
		writer time.Duration // since it began; 0: none
		want   string        // the limit
		held   bool
	}{
		{"nobody writes", warehouse.TimestampTZ, 0, "2026-11-22T11:59:30Z", false},
		{"a young writer", warehouse.TimestampTZ, 10 * time.Second, "2026-11-22T11:59:30Z", false},
		{"an older writer", warehouse.TimestampTZ, 10 * time.Minute, "2026-11-22T11:49:59.999999Z", true},
		{"a writer beyond max_hold", warehouse.TimestampTZ, 9 * time.Hour, "2026-11-22T11:00:00Z", true},
		{"without zone", warehouse.Timestamp, 0, "2026-11-22T11:59:30", false},
		{"dates", warehouse.Date, 13 * time.Hour, "2026-11-22", true},
		{"integers", warehouse.Int, 10 * time.Minute, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			clock := warehouse.Clock{Now: now}
			if tt.writer > 0 {
				clock.OldestWrite, clock.Writer = now.Add(-tt.writer), "7"
			}
			limit := ""
			w := at(tt.kind, Cursor{Settle: 30 * time.Second, MaxHold: time.Hour}, checkpoint.Target{}, clock, func(args []warehouse.Arg) any {
				if len(args) > 0 {
					limit = args[0].Text
				}
				return nil
			})
			to, writer, err := w.bound(t.Context(), nil)
			if err != nil || to != nil {
				t.Fatalf("bound() = %v, %v, want none", to, err)
			}
			if limit != tt.want || (writer != "") != tt.held {
				t.Errorf("limit = %q, writer = %q, want %q, held: %t", limit, writer, tt.want, tt.held)
			}
		})
	}
}

// A window is settled when it ends with the last row of all.
func TestSettledWindow(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	micros := func(at time.Time) int64 { return at.UnixMicro() }
	for name, tt := range map[string]struct {
		all, within any // the greatest cursor, and that up to the limit
		want        string
		settled     bool
	}{
		"no rows":             {want: "", settled: true},
		"the last row is old": {all: micros(now.Add(-time.Hour)), within: "not asked for", want: "2026-11-22T11:00:00Z", settled: true},
		"at the limit":        {all: micros(now.Add(-30 * time.Second)), within: "not asked for", want: "2026-11-22T11:59:30Z", settled: true},
		"too young a row":     {all: micros(now), within: micros(now.Add(-time.Hour)), want: "2026-11-22T11:00:00Z"},
		"only too young rows": {all: micros(now.Add(time.Hour)), within: nil, want: ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := at(warehouse.TimestampTZ, Cursor{Settle: 30 * time.Second}, checkpoint.Target{}, warehouse.Clock{Now: now}, func(args []warehouse.Arg) any {
				if len(args) == 0 {
					return tt.all
				}
				return tt.within
			})
			w.source, w.opened = "known", "run"
			to, _, err := w.bound(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if to != nil {
				got = *to
			}
			if got != tt.want {
				t.Errorf("bound() = %q, want %q", got, tt.want)
			}
			if w.settled != tt.settled || (w.readToTheEnd(&checkpoint.Run{ID: "run"}, nil) != "") != tt.settled || w.readToTheEnd(&checkpoint.Run{ID: "another's"}, nil) != "" {
				t.Errorf("settled = %t, want %t", w.settled, tt.settled)
			}
		})
	}
}

func TestStartOf(t *testing.T) {
	t.Parallel()
	tests := []struct {
		kind     warehouse.Kind
		in, want string // "": an error
	}{
		{warehouse.Int, "42", "42"},
		{warehouse.Int, "2026-01-31", ""},
		{warehouse.Date, "2026-01-31", "2026-01-31"},
		{warehouse.Date, "2026-01-31T23:30:00Z", "2026-02-01"}, // in Berlin
		{warehouse.Timestamp, "2026-01-31", "2026-01-31T00:00:00"},
		{warehouse.Timestamp, "2026-01-31T12:00:00Z", "2026-01-31T13:00:00"},
		{warehouse.TimestampTZ, "2026-01-31", "2026-01-30T23:00:00Z"},
		{warehouse.TimestampTZ, "2026-07-31 12:00", "2026-07-31T10:00:00Z"},
		{warehouse.TimestampTZ, "2026-01-31T12:00:00.123456789+02:00", "2026-01-31T10:00:00.123456Z"},
		{warehouse.TimestampTZ, "42", ""},
		{warehouse.TimestampTZ, "yesterday", ""},
	}
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		w := at(tt.kind, Cursor{}, checkpoint.Target{}, warehouse.Clock{}, nil)
		w.sync.Spec.Location = berlin
		got, err := w.startOf(tt.in)
		switch {
		case tt.want == "" && err == nil:
			t.Errorf("startOf(%q) of a %s = %q, want an error", tt.in, tt.kind, *got)
		case tt.want != "" && (err != nil || *got != tt.want):
			t.Errorf("startOf(%q) of a %s = %v, %v, want %q", tt.in, tt.kind, got, err, tt.want)
		}
	}
}

func TestMoveMark(t *testing.T) {
	t.Parallel()
	const stays = "stays"
	tests := []struct {
		name       string
		kind       string
		from, mark string
		held       *warehouse.Position
		want       string
		ledger     int64 // complete from here on
	}{
		{name: "to the bound", kind: checkpoint.Incremental, from: "10", mark: "20", want: "50", ledger: 40},
		{name: "the first one", kind: checkpoint.Incremental, want: "50", ledger: 40},
		{name: "no further back than was read", kind: checkpoint.Incremental, from: "45", mark: "45", want: "50", ledger: 45},
		{name: "not back", kind: checkpoint.Resync, mark: "70", want: "70", ledger: 60},
		{name: "not by a range", kind: checkpoint.Range, mark: "20", want: stays},
		{name: "not past a held row", kind: checkpoint.Incremental, mark: "20", held: &warehouse.Position{Cursor: text("30")}, want: "30", ledger: 20},
		{name: "not back for a held row", kind: checkpoint.Incremental, mark: "40", held: &warehouse.Position{Cursor: text("35")}, want: "40", ledger: 30},
		{name: "with the first row held", kind: checkpoint.Incremental, held: &warehouse.Position{}, want: stays},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			target := checkpoint.Target{}
			if tt.mark != "" {
				target.Mark = &checkpoint.Mark{Kind: warehouse.Int, Text: tt.mark}
			}
			w := at(warehouse.Int, Cursor{LookbackCount: 10}, target, warehouse.Clock{}, nil)
			run := &checkpoint.Run{Kind: tt.kind, Window: checkpoint.Window{To: text("50")}}
			if tt.from != "" {
				run.Window.From = &tt.from
			}
			var o checkpoint.Outcome
			w.moveMark(run, []checkpoint.Slice{{}, {Held: tt.held}}, &o)
			switch {
			case tt.want == stays:
				if o.Mark != nil || o.LedgerFrom != nil {
					t.Errorf("the mark goes to %v, the ledger begins at %v, want neither", o.Mark, o.LedgerFrom)
				}
			case o.Mark == nil || o.Mark.Text != tt.want || *o.LedgerFrom != tt.ledger:
				t.Errorf("the mark goes to %v, the ledger begins at %v, want %s and %d", o.Mark, o.LedgerFrom, tt.want, tt.ledger)
			}
		})
	}
}
