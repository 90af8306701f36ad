package runner

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/sync/checkpoint"
)

// bound fixes the upper end of a run: the greatest cursor that is old enough,
// by the warehouse's clock, and on a warehouse that can tell also behind the
// oldest transaction that is still writing. It is the cursor of a row, or nil
// when there is no such row at or beyond from.
func (w *work) bound(ctx context.Context, from *string) (to *string, writer string, err error) {
	c := w.sync.Cursor
	clock, err := w.Driver.Clock(ctx)
	if err != nil {
		return nil, "", err
	}
	limit := clock.Now.Add(-c.Settle)
	if !clock.OldestWrite.IsZero() {
		// Rows of that transaction may carry its start time: stay before it,
		// but not longer than max_hold, or an idle session would stop us for good.
		hold := clock.OldestWrite.Add(-time.Microsecond)
		if oldest := clock.Now.Add(-c.MaxHold); hold.Before(oldest) {
			hold = oldest
		}
		if hold.Before(limit) {
			limit, writer = hold, clock.Writer
		}
	}
	f := w.schema.Fields[w.cursor]
	var upto *string
	if text, ok := warehouse.CursorLimit(f.Kind, limit, w.sync.Spec.Location); ok {
		upto = &text
	} else {
		writer = "" // an integer is compared with no clock: nothing is held back
	}
	if w.source != "" { // the last row of all tells whether any is left for later
		if to, err = warehouse.MaxCursor(ctx, w.Driver, w.sync.Source, f, from, nil); err != nil {
			return nil, "", err
		}
		if w.settled = notAfter(f.Kind, to, upto); w.settled {
			return to, writer, nil
		}
	}
	to, err = warehouse.MaxCursor(ctx, w.Driver, w.sync.Source, f, from, upto)
	return to, writer, err
}

// notAfter reports whether a cursor is at most a limit; nil is no row, or no limit.
func notAfter(kind warehouse.Kind, at, limit *string) bool {
	if at == nil || limit == nil {
		return true
	}
	a, err1 := warehouse.ParseCursor(kind, *at)
	b, err2 := warehouse.ParseCursor(kind, *limit)
	return err1 == nil && err2 == nil && !b.Before(a)
}

// nextWindow is the window of a new incremental run: nil when there is no row to read.
func (w *work) nextWindow(ctx context.Context) (*checkpoint.Window, error) {
	kind := w.kind()
	from, err := w.startOf(w.sync.Cursor.Start)
	if err != nil {
		return nil, err
	}
	t := w.target
	if t.Mark == nil {
		to, writer, err := w.bound(ctx, from)
		if err != nil || to == nil {
			return nil, err
		}
		w.notice(writer)
		return &checkpoint.Window{From: from, To: to, Writer: writer}, nil
	}
	if t.Mark.Kind != kind {
		return nil, errorf(CodeConfig, fmt.Sprintf("name the former cursor column, or start afresh with `mixsync state reset %s`", w.sync.Name),
			"the mark of %s is a %s (%s) but the cursor %q is a %s", w.sync.Name, t.Mark.Kind, t.Mark.Text, w.sync.Cursor.Column, kind)
	}
	mark, err := warehouse.ParseCursor(kind, t.Mark.Text)
	if err != nil {
		return nil, err
	}
	to, writer, err := w.bound(ctx, &t.Mark.Text)
	if err != nil {
		return nil, err
	}
	if to == nil { // the mark's own row is gone, or is held behind a writer: re-read what lies behind it
		to = &t.Mark.Text
	}
	w.notice(writer)
	back := w.lookback(mark)
	if t.LedgerFrom == nil { // a mark set by hand: what was sent before it is not known
		back = mark
	}
	if t.LedgerFrom != nil && back.Ticks < *t.LedgerFrom {
		if w.sync.Cursor.LookbackSet {
			w.note("the lookback was made longer: what was sent is known from %s on, so older late rows are not looked for; to send them run: mixsync run %s --start %s --end %s",
				warehouse.Cursor{Ticks: *t.LedgerFrom}.Text(kind), w.sync.Name, back.Text(kind), warehouse.Cursor{Ticks: *t.LedgerFrom}.Text(kind))
		}
		back = warehouse.Cursor{Ticks: *t.LedgerFrom}
	}
	text := back.Text(kind)
	if from != nil {
		if start, err := warehouse.ParseCursor(kind, *from); err == nil && start.Ticks > back.Ticks {
			text = *from
		}
	}
	return &checkpoint.Window{From: &text, To: to, Writer: writer}, nil
}

// resyncWindow reads everything again, up to a bound of its own.
func (w *work) resyncWindow(ctx context.Context) (*checkpoint.Window, error) {
	from, err := w.startOf(w.sync.Cursor.Start)
	if err != nil {
		return nil, err
	}
	to, writer, err := w.bound(ctx, from)
	if err != nil || to == nil {
		return nil, err
	}
	w.notice(writer)
	return &checkpoint.Window{From: from, To: to, Writer: writer}, nil
}

// rangeWindow is what --start and --end ask for; rows that are too young to be
// safe are left to the ordinary runs.
func (w *work) rangeWindow(ctx context.Context) (*checkpoint.Window, error) {
	from, err := w.startOf(w.opts.Start)
	if err != nil {
		return nil, err
	}
	before, err := w.startOf(w.opts.End)
	if err != nil {
		return nil, err
	}
	to, _, err := w.bound(ctx, from)
	if err != nil || to == nil {
		return nil, err
	}
	return &checkpoint.Window{From: from, To: to, Before: before}, nil
}

// startOf reads a point of the cursor that a person wrote: a date, a time with
// or without zone, or an integer. Without zone it is read in the sync's timezone.
func (w *work) startOf(s string) (*string, error) {
	if s == "" {
		return nil, nil
	}
	kind := w.kind()
	if kind != warehouse.Int {
		if t, ok := parseTime(s, w.sync.Spec.Location); ok {
			text, _ := warehouse.CursorLimit(kind, t, w.sync.Spec.Location)
			return &text, nil
		}
	} else if c, err := warehouse.ParseCursor(kind, s); err == nil {
		text := c.Text(kind)
		return &text, nil
	}
	return nil, errorf(CodeUsage, "write a date (2025-01-31), a time (2025-01-31T12:00:00Z), or a whole number where the cursor is one",
		"%q is no point of the cursor %q, a %s", s, w.sync.Cursor.Column, kind)
}

func parseTime(s string, loc *time.Location) (time.Time, bool) {
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t, true
	}
	for _, layout := range []string{"2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, s, loc); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// lookback is the cursor c less the lookback.
func (w *work) lookback(c warehouse.Cursor) warehouse.Cursor {
	var back int64
	switch w.kind() {
	case warehouse.Int:
		back = w.sync.Cursor.LookbackCount
	case warehouse.Date:
		back = int64((w.sync.Cursor.Lookback + 24*time.Hour - 1) / (24 * time.Hour))
	default:
		back = w.sync.Cursor.Lookback.Microseconds()
	}
	if c.Ticks < math.MinInt64+back {
		return warehouse.Cursor{Ticks: math.MinInt64}
	}
	return warehouse.Cursor{Ticks: c.Ticks - back}
}

// notice tells that a writing transaction keeps the bound back.
func (w *work) notice(writer string) {
	if writer != "" {
		w.note("the upper bound stays before the oldest transaction that is still writing (pid %s), for at most max_hold (%s)", writer, w.sync.Cursor.MaxHold)
	}
}
