// Package appendjson appends warehouse values to a byte slice as JSON.
//
// Every function appends to dst and returns it, like the append family of the
// standard library, and allocates nothing beyond dst. What they write is always
// valid JSON on one line: no raw newline, no invalid UTF-8, no NaN. Where a value
// had to be changed to make it so, the Tally counts it.
//
// The package knows values, not Mixpanel: limits are arguments.
package appendjson

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"unicode/utf8"
)

// NoLimit is the limit for values that must not be cut.
const NoLimit = math.MaxInt

// Tally counts the values that were changed.
type Tally struct {
	Truncated int // strings cut to the limit
	Replaced  int // strings in which invalid UTF-8 became U+FFFD
}

// String appends s as a JSON string. Invalid UTF-8 becomes U+FFFD, one for each
// bad byte; what exceeds max bytes (before escaping) is cut on a rune boundary.
func String(dst, s []byte, max int, t *Tally) []byte {
	dst = append(dst, '"')
	if len(s) <= max && plain(s) {
		dst = append(dst, s...)
	} else {
		dst = escape(dst, s, max, t)
	}
	return append(dst, '"')
}

// Whole appends s as a JSON string that is not cut, where nobody counts what is
// mended: ids, names, and values inside of lists and objects.
func Whole(dst, s []byte) []byte {
	var none Tally
	return String(dst, s, NoLimit, &none)
}

// plain reports whether s can stand between quotes as it is: ASCII without
// control characters, quotes and backslashes. Other strings may be fit too;
// escape finds out.
func plain(s []byte) bool {
	const (
		ones  = 0x0101010101010101
		highs = 0x8080808080808080
	)
	for len(s) >= 8 {
		// A byte below n borrows from its high bit when n is subtracted. Only a
		// byte above a true hit can be hit falsely, so the answer is exact.
		x := binary.LittleEndian.Uint64(s)
		if (x|(x-0x20*ones)|((x^'"'*ones)-ones)|((x^'\\'*ones)-ones))&highs != 0 {
			return false
		}
		s = s[8:]
	}
	for _, c := range s {
		if c < 0x20 || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

func escape(dst, s []byte, max int, t *Tally) []byte {
	replaced := false
	start, size := 0, 0 // s[start:i] is not yet appended; size is what s[:i] comes to
	i := 0
	for i < len(s) {
		c := s[i]
		if c < utf8.RuneSelf {
			if size == max {
				break
			}
			size++
			if c < 0x20 || c == '"' || c == '\\' {
				dst = append(dst, s[start:i]...)
				dst = escapeASCII(dst, c)
				start = i + 1
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(s[i:])
		width := n
		if r == utf8.RuneError && n == 1 {
			width = len(replacement)
		}
		if width > max-size {
			break
		}
		size += width
		if width != n {
			dst = append(dst, s[start:i]...)
			dst = append(dst, replacement...)
			start = i + n
			replaced = true
		}
		i += n
	}
	if i < len(s) {
		t.Truncated++
	}
	if replaced {
		t.Replaced++
	}
	return append(dst, s[start:i]...)
}

const replacement = "\uFFFD"

// escapeASCII appends the escape of a control character, quote or backslash.
func escapeASCII(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}

// Base64 appends b as a JSON string in standard base64 with padding. If that
// exceeds max bytes it is cut after a whole group of four, so that the rest
// still decodes.
func Base64(dst, b []byte, max int, t *Tally) []byte {
	if groups := max / 4; len(b) > 0 && (len(b)-1)/3 >= groups {
		b = b[:groups*3]
		t.Truncated++
	}
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, b)
	return append(dst, '"')
}

// Bool appends true or false.
func Bool(dst []byte, v bool) []byte {
	if v {
		return append(dst, "true"...)
	}
	return append(dst, "false"...)
}
