package appendjson

import "strconv"

const (
	microsPerSecond = 1_000_000
	microsPerDay    = 24 * 60 * 60 * microsPerSecond
)

// Date appends days since 1970-01-01 as "2026-01-31". Years before 0 and after
// 9999 are written with a sign and at least six digits.
func Date(dst []byte, days int64) []byte {
	dst = append(dst, '"')
	dst = appendDate(dst, days)
	return append(dst, '"')
}

// Time appends microseconds since midnight, and nanoseconds beyond them, as
// "12:34:56.789". The fraction is there when it is not zero, without trailing zeros.
// What is not within a day, whose end may be 24:00, is taken modulo one.
func Time(dst []byte, micros int64, sub int16) []byte {
	if micros < 0 || micros > microsPerDay {
		if micros %= microsPerDay; micros < 0 {
			micros += microsPerDay
		}
	}
	dst = append(dst, '"')
	dst = appendClock(dst, micros, sub)
	return append(dst, '"')
}

// Timestamp appends microseconds since 1970-01-01 00:00, and nanoseconds beyond
// them, as "2026-01-31T12:34:56.789": Date and Time, no zone.
func Timestamp(dst []byte, micros int64, sub int16) []byte {
	days := micros / microsPerDay
	micros -= days * microsPerDay
	if micros < 0 {
		days--
		micros += microsPerDay
	}
	dst = append(dst, '"')
	dst = appendDate(dst, days)
	dst = append(dst, 'T')
	dst = appendClock(dst, micros, sub)
	return append(dst, '"')
}

// appendDate turns days into a civil date by counting in eras of 400 years
// that begin on 1 March, so that the leap day is the last of its year.
func appendDate(dst []byte, days int64) []byte {
	const daysPerEra = 146097
	z := days + 719468
	era := z / daysPerEra
	if z%daysPerEra < 0 {
		era--
	}
	doe := z - era*daysPerEra
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	day := doy - (153*mp+2)/5 + 1
	month := mp + 3
	year := yoe + era*400
	if month > 12 {
		month -= 12
		year++
	}
	dst = appendYear(dst, year)
	dst = append(dst, '-')
	dst = append2(dst, month)
	dst = append(dst, '-')
	return append2(dst, day)
}

func appendYear(dst []byte, year int64) []byte {
	if year >= 0 && year <= 9999 {
		return append2(append2(dst, year/100), year%100)
	}
	if year < 0 {
		dst = append(dst, '-')
		year = -year
	} else {
		dst = append(dst, '+')
	}
	for limit := int64(100_000); limit > year && limit > 1; limit /= 10 {
		dst = append(dst, '0')
	}
	return strconv.AppendInt(dst, year, 10)
}

func appendClock(dst []byte, micros int64, sub int16) []byte {
	seconds := micros / microsPerSecond
	nanos := (micros-seconds*microsPerSecond)*1000 + int64(sub)
	dst = append2(dst, seconds/3600)
	dst = append(dst, ':')
	dst = append2(dst, seconds/60%60)
	dst = append(dst, ':')
	dst = append2(dst, seconds%60)
	if nanos == 0 {
		return dst
	}
	dst = append(dst, '.')
	for scale := int64(100_000_000); nanos > 0; scale /= 10 {
		dst = append(dst, byte('0'+nanos/scale))
		nanos %= scale
	}
	return dst
}

func append2(dst []byte, v int64) []byte {
	return append(dst, byte('0'+v/10), byte('0'+v%10))
}
