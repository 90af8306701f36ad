package mapping

import (
	"math"
	"time"
)

// zone turns times of a clock without zone into UTC.
//
// Where clocks are put forward, a time that never was is read by the offset
// before the change; where they are put back, a time that was twice is read by
// the offset after it. Postgres does the same. The stretch of clock times with
// one offset that was looked up last is kept: rows that lie close in time, as
// they mostly do, cost two comparisons.
type zone struct {
	loc    *time.Location
	lo, hi int64 // seconds by the clock: [lo, hi) has the offset
	offset int64 // seconds east of UTC
}

// utc returns the microsecond since 1970 UTC for one by the clock.
func (z *zone) utc(micros int64) int64 {
	if z.loc == time.UTC {
		return micros
	}
	wall := floorDiv(micros, 1_000_000)
	if wall < z.lo || wall >= z.hi {
		z.find(wall)
	}
	return micros - z.offset*1_000_000
}

// find looks up the stretch that a second by the clock belongs to. A stretch
// begins at its first clock time by its own offset and ends where the next
// begins by that one's: so they neither overlap nor leave gaps.
func (z *zone) find(wall int64) {
	t := time.Unix(wall, 0)
	for {
		start, end := t.In(z.loc).ZoneBounds()
		_, offset := t.In(z.loc).Zone()
		z.offset = int64(offset)
		z.lo, z.hi = math.MinInt64, math.MaxInt64
		if !start.IsZero() {
			z.lo = start.Unix() + z.offset
		}
		if !end.IsZero() {
			_, next := end.Zone()
			z.hi = end.Unix() + int64(next)
		}
		switch {
		case wall < z.lo:
			t = start.Add(-time.Second)
		case wall >= z.hi:
			t = end
		default:
			return
		}
	}
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
