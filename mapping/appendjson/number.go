package appendjson

import (
	"bytes"
	"math"
	"strconv"
)

// MaxSafeInteger is the greatest magnitude up to which every integer is a
// float64, which is all that a JSON reader promises to keep.
const MaxSafeInteger = 1 << 53

// Int appends v as a number, or as a string where a float64 would not hold it.
func Int(dst []byte, v int64) []byte {
	if v > MaxSafeInteger || v < -MaxSafeInteger {
		dst = append(dst, '"')
		dst = strconv.AppendInt(dst, v, 10)
		return append(dst, '"')
	}
	return strconv.AppendInt(dst, v, 10)
}

// Integer is Int for a whole number of any size, as decimal digits with a sign at
// most and without leading zeros.
func Integer(dst, text []byte) []byte {
	const most = "9007199254740992" // MaxSafeInteger
	digits := bytes.TrimPrefix(text, []byte("-"))
	if len(digits) < len(most) || len(digits) == len(most) && string(digits) <= most {
		return append(dst, text...)
	}
	dst = append(dst, '"')
	dst = append(dst, text...)
	return append(dst, '"')
}

// Float appends the shortest number that gives v back as a float of the given
// bits, 32 or 64. NaN and infinities are not JSON: nothing is appended and ok
// is false.
func Float(dst []byte, v float64, bits int) (_ []byte, ok bool) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return dst, false
	}
	format := byte('f')
	if abs := math.Abs(v); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, v, format, -1, bits), true
}

// Decimal appends a decimal in plain notation as a number without needless
// zeros, or, where the shortest text of its float64 has another value, as a
// string of that. For NaN and infinities nothing is appended and ok is false.
// Text that is no number at all becomes a string as it is.
func Decimal(dst, text []byte, t *Tally) (_ []byte, ok bool) {
	whole, fraction, negative, ok := splitDecimal(text)
	if !ok {
		if notFinite(text) {
			return dst, false
		}
		return String(dst, text, NoLimit, t), true
	}
	quoted := !exact(text)
	if quoted {
		dst = append(dst, '"')
	}
	dst = appendDecimal(dst, whole, fraction, negative)
	if quoted {
		dst = append(dst, '"')
	}
	return dst, true
}

// DecimalText appends the canonical text of a decimal, without quotes: equal
// values give equal text, whatever their scale. Other text is appended as it is.
func DecimalText(dst, text []byte) []byte {
	whole, fraction, negative, ok := splitDecimal(text)
	if !ok {
		return append(dst, text...)
	}
	return appendDecimal(dst, whole, fraction, negative)
}

func appendDecimal(dst, whole, fraction []byte, negative bool) []byte {
	if negative && (len(whole) > 0 || len(fraction) > 0) {
		dst = append(dst, '-')
	}
	if len(whole) == 0 {
		dst = append(dst, '0')
	}
	dst = append(dst, whole...)
	if len(fraction) > 0 {
		dst = append(dst, '.')
		dst = append(dst, fraction...)
	}
	return dst
}

// splitDecimal takes a plain decimal apart; leading zeros of the whole and
// trailing zeros of the fraction are gone.
func splitDecimal(text []byte) (whole, fraction []byte, negative, ok bool) {
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		negative = text[0] == '-'
		text = text[1:]
	}
	n := digits(text)
	whole, rest := text[:n], text[n:]
	if len(rest) > 0 && rest[0] == '.' {
		fraction = rest[1:]
		rest = fraction[digits(fraction):]
	}
	if len(rest) > 0 || len(whole)+len(fraction) == 0 {
		return nil, nil, false, false
	}
	for len(whole) > 0 && whole[0] == '0' {
		whole = whole[1:]
	}
	for len(fraction) > 0 && fraction[len(fraction)-1] == '0' {
		fraction = fraction[:len(fraction)-1]
	}
	return whole, fraction, negative, true
}

// digits is the length of the run of digits that s begins with.
func digits(s []byte) int {
	for i, c := range s {
		if c < '0' || c > '9' {
			return i
		}
	}
	return len(s)
}

func notFinite(text []byte) bool {
	for _, name := range [...]string{"NaN", "Infinity", "-Infinity"} {
		if string(text) == name {
			return true
		}
	}
	return false
}

// Number appends text as a JSON number if it is one and ok says so: by the
// rules of Int for what is written as an integer, of Decimal for the rest.
// Space around it is ignored.
func Number(dst, text []byte) (_ []byte, ok bool) {
	text = bytes.TrimSpace(text)
	if n := scanNumber(text, 0); n != len(text) || n == 0 {
		return dst, false
	}
	return appendNumber(dst, text), true
}

// appendNumber appends a valid JSON number as it stands, in quotes if a float64
// would not hold it.
func appendNumber(dst, text []byte) []byte {
	if holds(text) {
		return append(dst, text...)
	}
	dst = append(dst, '"')
	dst = append(dst, text...)
	return append(dst, '"')
}

func holds(text []byte) bool {
	magnitude := text
	if magnitude[0] == '-' {
		magnitude = magnitude[1:]
	}
	if digits(magnitude) < len(magnitude) {
		return exact(text)
	}
	const safe = "9007199254740992"
	return len(magnitude) < len(safe) || len(magnitude) == len(safe) && string(magnitude) <= safe
}

// scanNumber returns the end of the JSON number at s[i], or 0 if there is none.
func scanNumber(s []byte, i int) int {
	if i < len(s) && s[i] == '-' {
		i++
	}
	n := digits(s[i:])
	if n == 0 || n > 1 && s[i] == '0' {
		return 0
	}
	i += n
	if i < len(s) && s[i] == '.' {
		n := digits(s[i+1:])
		if n == 0 {
			return 0
		}
		i += 1 + n
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		n := digits(s[i:])
		if n == 0 {
			return 0
		}
		i += n
	}
	return i
}

// exact reports whether the shortest text of the float64 nearest to a number
// has the number's value. text is a sign, digits with an optional point, and an
// optional exponent.
func exact(text []byte) bool {
	const (
		always = 15 // so many significant digits survive in every float64 that is neither huge nor tiny
		most   = 17 // no shortest text has more
	)
	var sig [most]byte
	n, zeros := 0, 0   // significant digits so far, and zeros that followed them
	exponent := 0      // of the first significant digit
	seenPoint := false // digits from here on are of the fraction
	i := 0
scan:
	for ; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '-' || c == '+':
			continue
		case c == '.':
			seenPoint = true
			continue
		case c == 'e' || c == 'E':
			break scan
		case n == 0 && c == '0':
			if seenPoint {
				exponent--
			}
			continue
		case n == 0:
			if seenPoint {
				exponent--
			}
		case !seenPoint:
			exponent++
		}
		if c == '0' {
			zeros++
			continue
		}
		if n+zeros >= most {
			return false
		}
		for range zeros {
			sig[n] = '0'
			n++
		}
		zeros = 0
		sig[n] = c
		n++
	}
	if n == 0 {
		return true
	}
	exponent += scanExponent(text[i:])
	if n <= always && exponent > -290 && exponent < 290 {
		return true
	}
	if exponent < -400 || exponent > 400 {
		return false
	}
	var want, got [32]byte
	w := append(want[:0], sig[0])
	if n > 1 {
		w = append(w, '.')
		w = append(w, sig[1:n]...)
	}
	w = append(w, 'e')
	if exponent < 0 {
		w = append(w, '-')
		exponent = -exponent
	} else {
		w = append(w, '+')
	}
	if exponent < 10 {
		w = append(w, '0')
	}
	w = strconv.AppendInt(w, int64(exponent), 10)
	v, err := strconv.ParseFloat(string(w), 64)
	return err == nil && bytes.Equal(w, strconv.AppendFloat(got[:0], v, 'e', -1, 64))
}

// scanExponent reads "e-12". Beyond what any float64 has, it need not be right.
func scanExponent(s []byte) int {
	if len(s) == 0 {
		return 0
	}
	s = s[1:]
	negative := s[0] == '-'
	if s[0] == '-' || s[0] == '+' {
		s = s[1:]
	}
	v := 0
	for _, c := range s {
		v = min(v*10+int(c-'0'), 1<<30)
	}
	if negative {
		return -v
	}
	return v
}
