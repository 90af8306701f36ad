package emulator

import (
	"encoding/json"
	"unicode/utf8"
)

// kind is what a JSON value is.
type kind uint8

const (
	absent  kind = iota
	plain        // string without escapes: raw is its text
	escaped      // string with escapes: raw still holds them
	number
	boolean
	null
	object
	array
)

// value is a piece of JSON text, borrowed from the body it was scanned in.
// Strings come without their quotes.
type value struct {
	raw  []byte
	kind kind
}

func (v value) isString() bool { return v.kind == plain || v.kind == escaped }

// text returns a string's text, any other value as it was written.
func (v value) text() []byte {
	if v.kind != escaped {
		return v.raw
	}
	return unescape(v.raw)
}

// unescape decodes the inside of a JSON string that was scanned before.
func unescape(raw []byte) []byte {
	quoted := make([]byte, 0, len(raw)+2)
	quoted = append(append(append(quoted, '"'), raw...), '"')
	var s string
	if json.Unmarshal(quoted, &s) != nil {
		return raw // cannot be: the scanner accepted it
	}
	return []byte(s)
}

// maxNesting bounds the recursion of the scanner; no record that Mixpanel
// would take comes near it.
const maxNesting = 200

// scanner checks JSON text and measures what Mixpanel limits. All methods take
// and return offsets into src; -1 means that the text is not JSON.
type scanner struct {
	src []byte

	depth   int  // deepest object or array seen, counted from the value given to scan
	keys    int  // most members in one nested object
	items   int  // most elements in one array
	badUTF8 bool // some string is not UTF-8
}

func (s *scanner) measure() { s.depth, s.keys, s.items, s.badUTF8 = 0, 0, 0, false }

func (s *scanner) space(i int) int {
	for i < len(s.src) && (s.src[i] == ' ' || s.src[i] == '\n' || s.src[i] == '\t' || s.src[i] == '\r') {
		i++
	}
	return i
}

// scan reads the value at i, which is not space, and returns the offset behind it.
func (s *scanner) scan(i, level int) (value, int) {
	if i >= len(s.src) || level > maxNesting {
		return value{}, -1
	}
	switch c := s.src[i]; c {
	case '"':
		return s.str(i)
	case '{':
		return s.object(i, level+1)
	case '[':
		return s.array(i, level+1)
	case 't':
		return s.literal(i, "true", boolean)
	case 'f':
		return s.literal(i, "false", boolean)
	case 'n':
		return s.literal(i, "null", null)
	default:
		return s.number(i)
	}
}

func (s *scanner) literal(i int, word string, k kind) (value, int) {
	end := i + len(word)
	if end > len(s.src) || string(s.src[i:end]) != word {
		return value{}, -1
	}
	return value{s.src[i:end], k}, end
}

// ordinary marks the bytes that end no run of plain string text.
var ordinary = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= 0x20 && c != '"' && c != '\\' && c < utf8.RuneSelf
	}
	return t
}()

func (s *scanner) str(i int) (value, int) {
	src, start := s.src, i+1
	v := value{kind: plain}
	high := false
	for i = start; ; {
		for i < len(src) && ordinary[src[i]] {
			i++
		}
		if i >= len(src) {
			return value{}, -1
		}
		switch c := src[i]; {
		case c == '"':
			v.raw = src[start:i]
			if high && !utf8.Valid(v.raw) {
				s.badUTF8 = true
			}
			return v, i + 1
		case c == '\\':
			v.kind = escaped
			if i = s.escape(i + 1); i < 0 {
				return value{}, -1
			}
		case c >= utf8.RuneSelf:
			high = true
			i++
		default: // a bare control character
			return value{}, -1
		}
	}
}

// escape reads what follows a backslash.
func (s *scanner) escape(i int) int {
	if i >= len(s.src) {
		return -1
	}
	switch s.src[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1
	case 'u':
		if i+5 > len(s.src) {
			return -1
		}
		for _, c := range s.src[i+1 : i+5] {
			if isHex := c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'; !isHex {
				return -1
			}
		}
		return i + 5
	}
	return -1
}

func (s *scanner) number(i int) (value, int) {
	start := i
	if i < len(s.src) && s.src[i] == '-' {
		i++
	}
	digits := s.digits(i)
	if digits == i || s.src[i] == '0' && digits > i+1 {
		return value{}, -1
	}
	i = digits
	if i < len(s.src) && s.src[i] == '.' {
		if digits = s.digits(i + 1); digits == i+1 {
			return value{}, -1
		}
		i = digits
	}
	if i < len(s.src) && (s.src[i] == 'e' || s.src[i] == 'E') {
		i++
		if i < len(s.src) && (s.src[i] == '+' || s.src[i] == '-') {
			i++
		}
		if digits = s.digits(i); digits == i {
			return value{}, -1
		}
		i = digits
	}
	return value{s.src[start:i], number}, i
}

func (s *scanner) digits(i int) int {
	for i < len(s.src) && s.src[i] >= '0' && s.src[i] <= '9' {
		i++
	}
	return i
}

func (s *scanner) object(i, level int) (value, int) {
	start, n := i, 0
	s.depth = max(s.depth, level)
	i, more := s.enter(i)
	for more {
		if _, i = s.key(i); i < 0 {
			return value{}, -1
		}
		if _, i = s.scan(i, level); i < 0 {
			return value{}, -1
		}
		n++
		i, more = s.next(i)
	}
	if i < 0 {
		return value{}, -1
	}
	s.keys = max(s.keys, n)
	return value{s.src[start:i], object}, i
}

// enter steps into the object at i: to its first key, or behind it if it is empty.
func (s *scanner) enter(i int) (at int, more bool) {
	if i = s.space(i + 1); i < len(s.src) && s.src[i] == '}' {
		return i + 1, false
	}
	return i, true
}

// key reads a member's name and returns the offset of its value.
func (s *scanner) key(i int) (name value, at int) {
	if i >= len(s.src) || s.src[i] != '"' {
		return name, -1
	}
	if name, i = s.str(i); i < 0 {
		return name, -1
	}
	if i = s.space(i); i >= len(s.src) || s.src[i] != ':' {
		return name, -1
	}
	return name, s.space(i + 1)
}

// next steps from behind a member's value to the next key, or behind the object.
func (s *scanner) next(i int) (at int, more bool) {
	i = s.space(i)
	switch {
	case i >= len(s.src):
		return -1, false
	case s.src[i] == ',':
		return s.space(i + 1), true
	case s.src[i] == '}':
		return i + 1, false
	}
	return -1, false
}

func (s *scanner) array(i, level int) (value, int) {
	start, n := i, 0
	s.depth = max(s.depth, level)
	i = s.space(i + 1)
	if i < len(s.src) && s.src[i] == ']' {
		return value{s.src[start : i+1], array}, i + 1
	}
	for {
		if _, i = s.scan(i, level); i < 0 {
			return value{}, -1
		}
		n++
		i = s.space(i)
		if i >= len(s.src) || s.src[i] != ',' && s.src[i] != ']' {
			return value{}, -1
		}
		if s.src[i] == ']' {
			s.items = max(s.items, n)
			return value{s.src[start : i+1], array}, i + 1
		}
		i = s.space(i + 1)
	}
}
