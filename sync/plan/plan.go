// Package plan cuts the window of a run into slices: parts that are worked on
// one by one, side by side, or on several machines.
//
// Slices are cut on calendar bounds of the cursor (midnight of the sync's time
// zone, not "24 hours from the first row"), so that the same row lies in the
// same slice whoever cuts, and one cursor value is never in two slices.
package plan

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// Units that a window of times or dates is cut by. An integer cursor is cut by a
// count instead, in decimal.
const (
	Auto  = "auto"
	Hour  = "hour"
	Day   = "day"
	Week  = "week" // from Monday
	Month = "month"
	year  = "year" // only where months are too many
)

const (
	// AutoSlices are the most that auto is worth: enough for some machines to share.
	AutoSlices = 100
	// No window is cut into more, whatever the unit: one stray row of the year 1
	// would make millions. A coarser unit is taken then.
	maxSlices = 10_000
	// auto does not cut less than this many integers.
	autoCount = 100_000
)

// Bounds returns where the window [from, to] is cut, ascending: slice i ends
// before bound i and slice i+1 begins with it. None: the window is one slice. It
// also returns the unit that was used, which is coarser than the one asked for
// when that would make more slices than is sensible.
//
// unit must fit the cursor's kind: a word for times and dates, a count for
// integers, or auto, which makes as many slices as it can, most at the most.
func Bounds(kind warehouse.Kind, from, to warehouse.Cursor, unit string, loc *time.Location, most int) ([]warehouse.Cursor, string, error) {
	if err := Check(kind, unit); err != nil {
		return nil, "", err
	}
	if infinite(kind, from) || infinite(kind, to) || !from.Before(to) || unit == Auto && most < 2 {
		return nil, unit, nil
	}
	if kind == warehouse.Int {
		bounds, step := counts(from.Ticks, to.Ticks, unit, most)
		return bounds, step, nil
	}
	bounds, used := calendar(kind, from, to, unit, loc, most)
	return bounds, used, nil
}

// Check reports whether a unit fits a cursor's kind.
func Check(kind warehouse.Kind, unit string) error {
	_, err := strconv.ParseInt(unit, 10, 64)
	switch {
	case unit == Auto:
		return nil
	case kind == warehouse.Int && err != nil:
		return fmt.Errorf("an integer cursor is cut by a count, not by %q", unit)
	case kind != warehouse.Int && err == nil:
		return fmt.Errorf("a cursor of times or dates is cut by hour, day, week or month, not by a count (%s)", unit)
	case kind == warehouse.Date && unit == Hour:
		return fmt.Errorf("a date cursor cannot be cut by the hour; use day, week or month")
	}
	return nil
}

func infinite(kind warehouse.Kind, c warehouse.Cursor) bool {
	return kind != warehouse.Int && (c.Ticks == warehouse.PosInfinity || c.Ticks == warehouse.NegInfinity)
}

// counts cuts integers at multiples of a count.
func counts(from, to int64, unit string, most int) ([]warehouse.Cursor, string) {
	span := uint64(to) - uint64(from) // right also where the difference overflows an int64
	step := uint64(autoCount)
	limit := uint64(maxSlices)
	if unit == Auto {
		if span < autoCount {
			return nil, unit
		}
		limit = uint64(most)
	} else if n, err := strconv.ParseInt(unit, 10, 64); err == nil && n > 0 {
		step = uint64(n)
	}
	for span/step >= limit && step <= math.MaxInt64/10 {
		step *= 10
	}
	if step > math.MaxInt64 || span/step >= limit {
		return nil, unit
	}
	n := int64(step)
	var list []warehouse.Cursor
	at := from - from%n // the multiple next to from, towards 0
	for {
		if at > from {
			if at > to {
				break
			}
			list = append(list, warehouse.Cursor{Ticks: at})
		}
		if at > math.MaxInt64-n {
			break
		}
		at += n
	}
	return list, strconv.FormatInt(n, 10)
}

// calendar cuts times and dates.
func calendar(kind warehouse.Kind, from, to warehouse.Cursor, unit string, loc *time.Location, most int) ([]warehouse.Cursor, string) {
	if kind != warehouse.TimestampTZ {
		loc = time.UTC // ticks are the wall clock's own
	}
	first, last := timeOf(kind, from, loc), timeOf(kind, to, loc)
	limit := maxSlices
	units := []string{Hour, Day, Week, Month, year}
	switch unit {
	case Auto:
		if last.Sub(first) < 48*time.Hour {
			return nil, unit
		}
		units, limit = units[1:], most
	default:
		for len(units) > 1 && units[0] != unit {
			units = units[1:]
		}
	}
	for _, u := range units {
		if list, ok := cut(kind, first, last, u, limit); ok {
			return list, u
		}
	}
	list, ok := cut(kind, first, last, year, maxSlices)
	if !ok { // calendars of other ages
		return nil, unit
	}
	return list, year
}

// cut lists the starts of units after first, up to last; false: too many.
func cut(kind warehouse.Kind, first, last time.Time, unit string, limit int) ([]warehouse.Cursor, bool) {
	var list []warehouse.Cursor
	for at := next(first, unit); !at.After(last); at = next(at, unit) {
		if len(list) == limit-1 {
			return nil, false
		}
		c := cursorOf(kind, at)
		if len(list) == 0 || list[len(list)-1].Before(c) { // a zone may repeat or skip an hour
			list = append(list, c)
		}
	}
	return list, true
}

// next is the first start of a unit after t, in t's zone.
func next(t time.Time, unit string) time.Time {
	y, m, d := t.Date()
	var at time.Time
	switch unit {
	case Hour:
		// Local hours begin where the zone's offset puts them; adding up absolute
		// hours from there passes through every hour of a clock change.
		_, offset := t.Zone()
		wall := t.Add(time.Duration(offset) * time.Second).UTC().Truncate(time.Hour)
		at = wall.Add(time.Hour - time.Duration(offset)*time.Second).In(t.Location())
	case Day:
		at = time.Date(y, m, d+1, 0, 0, 0, 0, t.Location())
	case Week:
		ahead := 7 - (int(t.Weekday())+6)%7
		at = time.Date(y, m, d+ahead, 0, 0, 0, 0, t.Location())
	case Month:
		at = time.Date(y, m+1, 1, 0, 0, 0, 0, t.Location())
	default:
		at = time.Date(y+1, 1, 1, 0, 0, 0, 0, t.Location())
	}
	if !at.After(t) { // a midnight that the zone skipped
		at = t.Add(time.Hour)
	}
	return at
}

// timeOf is the moment of a cursor; of a zone-less one its wall clock, as if UTC.
func timeOf(kind warehouse.Kind, c warehouse.Cursor, loc *time.Location) time.Time {
	if kind == warehouse.Date {
		return time.Unix(c.Ticks*24*60*60, 0).In(loc)
	}
	return time.UnixMicro(c.Ticks).In(loc)
}

func cursorOf(kind warehouse.Kind, t time.Time) warehouse.Cursor {
	if kind == warehouse.Date {
		return warehouse.Cursor{Ticks: floorDays(t.Unix())}
	}
	return warehouse.Cursor{Ticks: t.UnixMicro()}
}

func floorDays(seconds int64) int64 {
	const day = 24 * 60 * 60
	if seconds < 0 {
		return -((-seconds + day - 1) / day)
	}
	return seconds / day
}
