package mapping

import (
	"math"
	"time"
)

// zone turns times of a clock without zone into UTC.
//
// Where clocks are put forward, a time that never was is read by the offset
// before the change; where they are put back, a time that was twice is read by
// the offset after it. Postgres does the same. A stretch of clock times with one
// offset is kept: rows that lie close in time, as they mostly do, cost two
// comparisons.
type zone struct {
	loc    *time.Location
	lo, hi int64 // seconds by the clock: all of [lo, hi) have the offset
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

// day is more than any offset, and less than the time between two changes.
const day = 24 * 60 * 60

// find looks up the offset for a second by the clock, which was or will be
// reached within a day of the same second of UTC.
func (z *zone) find(wall int64) {
	before, after := z.at(wall-day), z.at(wall+day)
	z.offset = before
	if before != after && z.at(wall-after) == after {
		z.offset = after
	}
	// Within the bounds that the library gives, less a day for the changes at
	// both ends, the offset is one. The bounds may be closer than they need be,
	// and near the end of a leap year they miss the time itself, so they are
	// good for remembering only.
	start, end := time.Unix(wall-z.offset, 0).In(z.loc).ZoneBounds()
	z.lo, z.hi = math.MinInt64, math.MaxInt64
	if !start.IsZero() {
		z.lo = start.Unix() + z.offset + day
	}
	if !end.IsZero() {
		z.hi = end.Unix() + z.offset - day
	}
	if wall < z.lo || wall >= z.hi {
		z.lo, z.hi = wall, wall+1
	}
}

// at is the offset at a second of UTC.
func (z *zone) at(second int64) int64 {
	_, offset := time.Unix(second, 0).In(z.loc).Zone()
	return int64(offset)
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
