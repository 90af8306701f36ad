package appendjson

import "strconv"

// Scaled appends v / 10^scale in plain notation, with all its digits behind the
// point and without quotes. A negative scale multiplies.
func Scaled(dst []byte, v int64, scale int) []byte {
	start := len(dst)
	return PointAt(strconv.AppendInt(dst, v, 10), start, scale)
}

// PointAt sets the decimal point before the last scale digits of the whole number
// that begins at start, with zeros in front where it has too few. A negative scale
// adds zeros behind.
func PointAt(dst []byte, start, scale int) []byte {
	for ; scale < 0; scale++ {
		dst = append(dst, '0')
	}
	if scale == 0 {
		return dst
	}
	if dst[start] == '-' {
		start++
	}
	if missing := scale + 1 - (len(dst) - start); missing > 0 { // 7 with scale 3 is 0007, then 0.007
		for range missing {
			dst = append(dst, '0')
		}
		copy(dst[start+missing:], dst[start:])
		for i := range missing {
			dst[start+i] = '0'
		}
	}
	dst = append(dst, 0)
	point := len(dst) - 1 - scale
	copy(dst[point+1:], dst[point:])
	dst[point] = '.'
	return dst
}

// IntervalText appends a calendar interval by ISO 8601, without quotes:
// P1Y2M-3DT4H5M6.7S. Each part has a sign of its own; micros and sub, the nanoseconds
// (-999 to 999) beyond them, have the same.
func IntervalText(dst []byte, months, days, micros int64, sub int16) []byte {
	if months == 0 && days == 0 && micros == 0 && sub == 0 {
		return append(dst, "PT0S"...)
	}
	part := func(n int64, unit byte) {
		if n != 0 {
			dst = append(strconv.AppendInt(dst, n, 10), unit)
		}
	}
	dst = append(dst, 'P')
	part(months/12, 'Y')
	part(months%12, 'M')
	part(days, 'D')
	if micros == 0 && sub == 0 {
		return dst
	}
	dst = append(dst, 'T')
	part(micros/3_600_000_000, 'H')
	part(micros/60_000_000%60, 'M')
	nanos := micros%60_000_000*1000 + int64(sub)
	if nanos == 0 {
		return dst
	}
	dst = Scaled(dst, nanos, 9)
	for dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
	}
	if dst[len(dst)-1] == '.' {
		dst = dst[:len(dst)-1]
	}
	return append(dst, 'S')
}
