//go:build cgo

package duckdb

import (
	"encoding/hex"
	"math"
	"math/big"
	"math/bits"
	"strconv"
	"time"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/mapping/appendjson"
)

// days and micros turn DuckDB's infinite dates and timestamps, the greatest
// number and its negative, into those of columns.
func days(n int32) int64 {
	switch n {
	case math.MaxInt32:
		return warehouse.PosInfinity
	case -math.MaxInt32:
		return warehouse.NegInfinity
	}
	return int64(n)
}

// micros counts in microseconds what counts in units of so many. What does not
// fit becomes the last instant that does.
func micros(n, unit int64) int64 {
	switch {
	case n == math.MaxInt64:
		return warehouse.PosInfinity
	case n == -math.MaxInt64:
		return warehouse.NegInfinity
	case n > (math.MaxInt64-1)/unit:
		return math.MaxInt64 - 1
	case n < (math.MinInt64+1)/unit:
		return math.MinInt64 + 1
	}
	return n * unit
}

func splitNanos(n int64) (micros int64, sub int16) {
	switch n {
	case math.MaxInt64:
		return warehouse.PosInfinity, 0
	case -math.MaxInt64:
		return warehouse.NegInfinity, 0
	}
	micros, rest := n/1000, n%1000
	if rest < 0 {
		micros, rest = micros-1, rest+1000
	}
	return micros, int16(rest)
}

// appendText writes a value that is not NULL of a type whose text is made here.
func (c *cell) appendText(dst []byte, row int) []byte {
	switch c.codec {
	case asUint64:
		return strconv.AppendUint(dst, values[uint64](c.view)[row], 10)
	case asDecimal16:
		return appendjson.Scaled(dst, int64(values[int16](c.view)[row]), c.scale)
	case asDecimal32:
		return appendjson.Scaled(dst, int64(values[int32](c.view)[row]), c.scale)
	case asDecimal64:
		return appendjson.Scaled(dst, values[int64](c.view)[row], c.scale)
	case asDecimal128, asHuge:
		return appendHuge(dst, values[hugeint](c.view)[row], true, c.scale)
	case asUhuge:
		return appendHuge(dst, values[hugeint](c.view)[row], false, 0)
	case asBignum:
		return appendBignum(dst, values[str](c.view)[row:][0].bytes())
	case asBit:
		return appendBits(dst, values[str](c.view)[row:][0].bytes())
	case asUUID:
		return appendUUID(dst, values[hugeint](c.view)[row])
	case asInterval:
		v := values[interval](c.view)[row]
		return appendjson.IntervalText(dst, int64(v.months), int64(v.days), v.micros, 0)
	case asTimeTZ:
		return appendTimeTZ(dst, values[uint64](c.view)[row])
	case asEnum8, asEnum16, asEnum32:
		return append(dst, c.label(row)...)
	}
	return dst
}

// label is the text of an enum's value.
func (c *cell) label(row int) []byte {
	switch c.codec {
	case asEnum8:
		return c.labels[values[uint8](c.view)[row]]
	case asEnum16:
		return c.labels[values[uint16](c.view)[row]]
	}
	return c.labels[values[uint32](c.view)[row]]
}

// appendHuge writes a number of 128 bits, divided by 10^scale.
func appendHuge(dst []byte, v hugeint, signed bool, scale int) []byte {
	if signed && int64(v.upper) < 0 {
		var carry uint64
		v.lower, carry = bits.Add64(^v.lower, 1, 0)
		v.upper = ^v.upper + carry
		dst = append(dst, '-')
	}
	start := len(dst)
	const group = 1e19 // the greatest power of ten in 64 bits
	upper, rest := v.upper/group, v.upper%group
	lower, last := bits.Div64(rest, v.lower, group)
	if upper == 0 && lower == 0 {
		return appendjson.PointAt(strconv.AppendUint(dst, last, 10), start, scale)
	}
	// 2^128 has 39 digits: a group of 19 behind at most 20, themselves a group and one more.
	first, middle := bits.Div64(upper, lower, group)
	if first > 0 {
		dst = appendGroup(strconv.AppendUint(dst, first, 10), middle)
	} else {
		dst = strconv.AppendUint(dst, middle, 10)
	}
	return appendjson.PointAt(appendGroup(dst, last), start, scale)
}

func appendGroup(dst []byte, v uint64) []byte {
	const digits = 19
	var group [digits]byte
	for i := digits - 1; i >= 0; i-- {
		group[i] = byte('0' + v%10)
		v /= 10
	}
	return append(dst, group[:]...)
}

// appendBignum writes a number of any length: three bytes of header, of which
// the first bit is set unless the number is negative, then the magnitude, most
// significant byte first; of a negative number every bit is turned over.
func appendBignum(dst, v []byte) []byte {
	const header = 3
	if len(v) <= header {
		return append(dst, '0')
	}
	negative := v[0]&0x80 == 0
	magnitude := append([]byte(nil), v[header:]...)
	if negative {
		for i := range magnitude {
			magnitude[i] = ^magnitude[i]
		}
	}
	n := new(big.Int).SetBytes(magnitude)
	if negative {
		n.Neg(n)
	}
	return n.Append(dst, 10)
}

// appendBits writes a bit string: the first byte says how many bits of the next do not count.
func appendBits(dst, v []byte) []byte {
	if len(v) == 0 {
		return dst
	}
	for i := 8 + int(v[0]); i < 8*len(v); i++ {
		dst = append(dst, '0'+v[i>>3]>>(7-i&7)&1)
	}
	return dst
}

// appendUUID writes a UUID, whose first bit is turned over so that it sorts.
func appendUUID(dst []byte, v hugeint) []byte {
	var b [16]byte
	upper := v.upper ^ 1<<63
	for i := range 8 {
		b[i], b[8+i] = byte(upper>>(56-8*i)), byte(v.lower>>(56-8*i))
	}
	dst = hex.AppendEncode(dst, b[:4])
	dst = hex.AppendEncode(append(dst, '-'), b[4:6])
	dst = hex.AppendEncode(append(dst, '-'), b[6:8])
	dst = hex.AppendEncode(append(dst, '-'), b[8:10])
	return hex.AppendEncode(append(dst, '-'), b[10:])
}

// appendTimeTZ writes a time of day with its offset: 12:00:00+05:30. The lower
// 24 bits count the seconds that the offset is below the greatest.
func appendTimeTZ(dst []byte, v uint64) []byte {
	const greatest = 16*60*60 - 1
	offset := greatest - int64(v&(1<<24-1))
	dst = appendClock(dst, int64(v>>24)*1000)
	sign := byte('+')
	if offset < 0 {
		sign, offset = '-', -offset
	}
	dst = appendTwo(append(dst, sign), offset/3600)
	if offset%3600 != 0 {
		dst = appendTwo(append(dst, ':'), offset/60%60)
	}
	if offset%60 != 0 {
		dst = appendTwo(append(dst, ':'), offset%60)
	}
	return dst
}

// appendClock writes a time of day in nanoseconds, without a fraction when it is whole.
func appendClock(dst []byte, nanos int64) []byte {
	seconds := nanos / 1e9
	dst = appendTwo(dst, seconds/3600)
	dst = appendTwo(append(dst, ':'), seconds/60%60)
	dst = appendTwo(append(dst, ':'), seconds%60)
	return appendFraction(dst, nanos%1e9)
}

// appendFraction writes the nanoseconds of a second without trailing zeros.
func appendFraction(dst []byte, nanos int64) []byte {
	if nanos == 0 {
		return dst
	}
	dst = append(dst, '.')
	for unit := int64(1e8); nanos > 0; unit /= 10 {
		dst = append(dst, byte('0'+nanos/unit))
		nanos %= unit
	}
	return dst
}

func appendTwo(dst []byte, v int64) []byte {
	return append(dst, byte('0'+v/10), byte('0'+v%10))
}

// appendDate writes days since 1970 as 2026-01-31; years before the first are
// marked by era.
func appendDate(dst []byte, days int64) (_ []byte, era string) {
	year, month, day := time.Unix(days*86_400, 0).UTC().Date()
	if year < 1 {
		year, era = 1-year, " BC"
	}
	for limit := 1000; limit > year; limit /= 10 {
		dst = append(dst, '0')
	}
	dst = strconv.AppendInt(dst, int64(year), 10)
	dst = appendTwo(append(dst, '-'), int64(month))
	return appendTwo(append(dst, '-'), int64(day)), era
}
