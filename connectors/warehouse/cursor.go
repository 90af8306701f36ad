package warehouse

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Cursor is one value of a cursor column. Ticks is in the unit of its kind:
// microseconds since 1970 for Timestamp and TimestampTZ, days since 1970 for
// Date, the number itself for Int. PosInfinity and NegInfinity stand for the
// infinite dates and times.
type Cursor struct {
	Ticks int64
	Sub   int16 // nanoseconds (0..999) beyond Ticks' microsecond
}

const (
	microsPerDay = 86_400_000_000
	// Days beyond these are of no calendar that a warehouse keeps; the civil
	// arithmetic below is exact within them and does not overflow.
	maxDays = 1 << 40
)

// CursorAt returns the value of a cursor column in a row that is not NULL.
func CursorAt(c *Column, row int) Cursor {
	cur := Cursor{Ticks: c.Int[row]}
	if c.Sub != nil {
		cur.Sub = c.Sub[row]
	}
	return cur
}

// Before reports whether c comes before d, both of one kind.
func (c Cursor) Before(d Cursor) bool {
	return c.Ticks < d.Ticks || c.Ticks == d.Ticks && c.Sub < d.Sub
}

// CursorLimit writes a clock time as cursor text of a kind: a Date and a
// zone-less Timestamp are read off the wall clock in loc. Times are cut to the
// microsecond, because a warehouse that rounds must not round past the clock.
// It reports false for kinds that no clock has a say in.
func CursorLimit(k Kind, t time.Time, loc *time.Location) (string, bool) {
	if k != TimestampTZ {
		wall := t.In(loc)
		_, offset := wall.Zone()
		t = t.Add(time.Duration(offset) * time.Second)
	}
	switch k {
	case Timestamp, TimestampTZ:
		return Cursor{Ticks: t.UnixMicro()}.Text(k), true
	case Date:
		return Cursor{Ticks: floorDiv(t.Unix(), 86_400)}.Text(k), true
	}
	return "", false
}

// Text writes the cursor in canonical form: RFC 3339 with up to nine fractional
// digits and no trailing zeros, ending in Z for TimestampTZ and in nothing for
// Timestamp; YYYY-MM-DD; a decimal number; infinity and -infinity. Years beyond
// 9999 take more digits, years before the first end in " BC".
func (c Cursor) Text(k Kind) string {
	return string(c.append(make([]byte, 0, 32), k))
}

func (c Cursor) append(dst []byte, k Kind) []byte {
	switch {
	case k == Int:
		return strconv.AppendInt(dst, c.Ticks, 10)
	case c.Ticks == PosInfinity:
		return append(dst, "infinity"...)
	case c.Ticks == NegInfinity:
		return append(dst, "-infinity"...)
	}
	days, micros := c.Ticks, int64(0)
	if k != Date {
		days = floorDiv(c.Ticks, microsPerDay)
		micros = c.Ticks - days*microsPerDay
	}
	year, month, day := civil(days)
	bc := year < 1
	if bc {
		year = 1 - year
	}
	dst = appendPadded(dst, year, 4)
	dst = appendPadded(append(dst, '-'), month, 2)
	dst = appendPadded(append(dst, '-'), day, 2)
	if k != Date {
		dst = appendClock(append(dst, 'T'), micros, c.Sub)
	}
	if k == TimestampTZ {
		dst = append(dst, 'Z')
	}
	if bc {
		dst = append(dst, " BC"...)
	}
	return dst
}

// appendClock writes a time of day, without a fraction when it is whole.
func appendClock(dst []byte, micros int64, sub int16) []byte {
	secs := micros / 1e6
	dst = appendPadded(dst, secs/3600, 2)
	dst = appendPadded(append(dst, ':'), secs/60%60, 2)
	dst = appendPadded(append(dst, ':'), secs%60, 2)
	nanos := micros%1e6*1000 + int64(sub)
	if nanos == 0 {
		return dst
	}
	dst = appendPadded(append(dst, '.'), nanos, 9)
	for dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
	}
	return dst
}

func appendPadded(dst []byte, v int64, width int) []byte {
	limit := int64(10)
	for range width - 1 {
		if v < limit {
			dst = append(dst, '0')
		}
		limit *= 10
	}
	return strconv.AppendInt(dst, v, 10)
}

// ParseCursor reads cursor text: the canonical form, and its common variants (a
// space for the T, an offset for the Z, no seconds). A TimestampTZ must name its
// zone and a Timestamp must not, so that nothing is read in the wrong one; a
// bare date is midnight to a Timestamp.
func ParseCursor(k Kind, text string) (Cursor, error) {
	bad := func(want string) (Cursor, error) {
		return Cursor{}, fmt.Errorf("%q is not a cursor of type %s: write it as %s", text, k, want)
	}
	switch k {
	case Int:
		v, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return bad("a whole number, 42")
		}
		return Cursor{Ticks: v}, nil
	case Date, Timestamp, TimestampTZ:
	default:
		return Cursor{}, fmt.Errorf("a column of type %s cannot be a cursor", k)
	}
	switch text {
	case "infinity":
		return Cursor{Ticks: PosInfinity}, nil
	case "-infinity":
		return Cursor{Ticks: NegInfinity}, nil
	}

	p := timeText{rest: text}
	p.rest, p.bc = strings.CutSuffix(p.rest, " BC")
	days, ok := p.date()
	if k == Date {
		if !ok || p.rest != "" {
			return bad("2026-01-31")
		}
		return Cursor{Ticks: days}, nil
	}
	if ok && k == Timestamp && p.rest == "" {
		return newTimestamp(days, 0, text)
	}
	nanos, offset, zoned := int64(0), int64(0), false
	if ok {
		nanos, ok = p.clock()
	}
	if ok {
		offset, zoned, ok = p.zone()
	}
	if ok && p.rest == "" && zoned == (k == TimestampTZ) {
		return newTimestamp(days, nanos-offset*1e9, text)
	}
	if k == Timestamp {
		return bad("2026-01-31T12:00:00, without a zone")
	}
	return bad("2026-01-31T12:00:00Z, with its zone")
}

// newTimestamp adds up days and nanoseconds, which may be negative.
func newTimestamp(days, nanos int64, text string) (Cursor, error) {
	micros := floorDiv(nanos, 1000)
	const limit = math.MaxInt64/microsPerDay - 2 // leaves room for the clock and the infinities
	if days > limit || days < -limit {
		return Cursor{}, fmt.Errorf("%q is out of the range of timestamps", text)
	}
	return Cursor{Ticks: days*microsPerDay + micros, Sub: int16(nanos - micros*1000)}, nil
}

// timeText is a date and time being taken apart from the left.
type timeText struct {
	rest string
	bc   bool
}

func (p *timeText) date() (days int64, ok bool) {
	year, ok1 := p.digits(4, 9)
	ok2 := p.skip('-')
	month, ok3 := p.digits(2, 2)
	ok4 := p.skip('-')
	day, ok5 := p.digits(2, 2)
	if !(ok1 && ok2 && ok3 && ok4 && ok5) || p.bc && year == 0 {
		return 0, false
	}
	if p.bc {
		year = 1 - year
	}
	days = daysOf(year, month, day)
	// A date that does not come back as it was is none: 31 February.
	y, m, d := civil(days)
	return days, y == year && m == month && d == day
}

func (p *timeText) clock() (nanos int64, ok bool) {
	if !p.skip('T') && !p.skip(' ') {
		return 0, false
	}
	hour, ok1 := p.digits(2, 2)
	ok2 := p.skip(':')
	minute, ok3 := p.digits(2, 2)
	if !(ok1 && ok2 && ok3) || hour > 23 || minute > 59 {
		return 0, false
	}
	nanos = (hour*60 + minute) * 60e9
	if !p.skip(':') {
		return nanos, true
	}
	second, ok := p.digits(2, 2)
	if !ok || second > 59 {
		return 0, false
	}
	nanos += second * 1e9
	if !p.skip('.') {
		return nanos, true
	}
	before := len(p.rest)
	fraction, ok := p.digits(1, 9)
	if !ok {
		return 0, false
	}
	for range 9 - (before - len(p.rest)) {
		fraction *= 10
	}
	return nanos + fraction, true
}

// zone reads Z, ±HH, ±HHMM or ±HH:MM, or nothing.
func (p *timeText) zone() (offsetSeconds int64, zoned, ok bool) {
	sign := int64(1)
	switch {
	case p.rest == "":
		return 0, false, true
	case p.skip('Z'):
		return 0, true, true
	case p.skip('-'):
		sign = -1
	case !p.skip('+'):
		return 0, false, false
	}
	hours, ok := p.digits(2, 2)
	minutes := int64(0)
	if ok && p.rest != "" {
		p.skip(':')
		minutes, ok = p.digits(2, 2)
	}
	if !ok || hours > 18 || minutes > 59 {
		return 0, true, false
	}
	return sign * (hours*3600 + minutes*60), true, true
}

// digits takes up to most digits off the front, of which there must be least.
func (p *timeText) digits(least, most int) (v int64, ok bool) {
	n := 0
	for n < min(len(p.rest), most) && p.rest[n] >= '0' && p.rest[n] <= '9' {
		v = v*10 + int64(p.rest[n]-'0')
		n++
	}
	p.rest = p.rest[n:]
	return v, n >= least
}

func (p *timeText) skip(c byte) bool {
	if p.rest == "" || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

// civil turns days since 1970 into a date of the proleptic Gregorian calendar,
// where the year before 1 is 0. It is Howard Hinnant's algorithm.
func civil(days int64) (year, month, day int64) {
	z := min(max(days, -maxDays), maxDays) + 719468
	era := floorDiv(z, 146097)
	doe := z - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	day = doy - (153*mp+2)/5 + 1
	month = mp + 3
	if month > 12 {
		month -= 12
	}
	year = yoe + era*400
	if month <= 2 {
		year++
	}
	return year, month, day
}

func daysOf(year, month, day int64) int64 {
	if month <= 2 {
		year--
	}
	era := floorDiv(year, 400)
	yoe := year - era*400
	mp := (month + 9) % 12
	doy := (153*mp+2)/5 + day - 1
	return era*146097 + yoe*365 + yoe/4 - yoe/100 + doy - 719468
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
