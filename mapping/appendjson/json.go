package appendjson

import (
	"errors"
	"unicode/utf16"
	"unicode/utf8"
)

// Limits bounds what a JSON value may hold.
type Limits struct {
	String   int // bytes of a string; longer ones are cut. Keys are not.
	Elements int // elements of a list and keys of an object; more are ErrTooMany
}

// Unlimited is for copies that nobody but us reads.
var Unlimited = Limits{String: NoLimit, Elements: NoLimit}

// Why JSON did not append a value.
var (
	ErrInvalid = errors.New("not valid JSON")
	ErrTooMany = errors.New("a list or an object with too many elements")
)

// maxDepth bounds recursion. Nobody can analyse what lies deeper.
const maxDepth = 512

// JSON appends the JSON value src without insignificant space. Strings are
// treated as String does, except that keys are never cut; numbers that a float64
// would not hold become strings. On an error dst is returned as it came.
func JSON(dst, src []byte, lim Limits, t *Tally) ([]byte, error) {
	c := compactor{dst: dst, src: src, lim: lim, tally: *t}
	c.space()
	if err := c.value(0); err != nil {
		return dst, err
	}
	if c.space(); c.i < len(src) {
		return dst, ErrInvalid
	}
	*t = c.tally
	return c.dst, nil
}

// compactor copies src[i:] to dst, token by token.
type compactor struct {
	dst, src []byte
	i        int
	lim      Limits
	tally    Tally
}

func (c *compactor) space() {
	for c.i < len(c.src) {
		switch c.src[c.i] {
		case ' ', '\t', '\n', '\r':
			c.i++
		default:
			return
		}
	}
}

func (c *compactor) value(depth int) error {
	if c.i >= len(c.src) || depth > maxDepth {
		return ErrInvalid
	}
	switch c.src[c.i] {
	case '{':
		return c.list('}', depth)
	case '[':
		return c.list(']', depth)
	case '"':
		return c.string(c.lim.String)
	case 't':
		return c.word("true")
	case 'f':
		return c.word("false")
	case 'n':
		return c.word("null")
	}
	end := scanNumber(c.src, c.i)
	if end == 0 {
		return ErrInvalid
	}
	c.dst = appendNumber(c.dst, c.src[c.i:end])
	c.i = end
	return nil
}

func (c *compactor) word(w string) error {
	if len(c.src)-c.i < len(w) || string(c.src[c.i:c.i+len(w)]) != w {
		return ErrInvalid
	}
	c.dst = append(c.dst, w...)
	c.i += len(w)
	return nil
}

// take consumes the byte b, if it is next after space.
func (c *compactor) take(b byte) bool {
	c.space()
	if c.i >= len(c.src) || c.src[c.i] != b {
		return false
	}
	c.dst = append(c.dst, b)
	c.i++
	return true
}

// list copies an array or an object, told apart by its closing bracket.
func (c *compactor) list(closing byte, depth int) error {
	c.dst = append(c.dst, c.src[c.i])
	c.i++
	if c.take(closing) {
		return nil
	}
	for n := 1; ; n++ {
		if n > c.lim.Elements {
			return ErrTooMany
		}
		c.space()
		if closing == '}' {
			if c.i >= len(c.src) || c.src[c.i] != '"' {
				return ErrInvalid
			}
			if err := c.string(NoLimit); err != nil {
				return err
			}
			if !c.take(':') {
				return ErrInvalid
			}
			c.space()
		}
		if err := c.value(depth + 1); err != nil {
			return err
		}
		if c.take(closing) {
			return nil
		}
		if !c.take(',') {
			return ErrInvalid
		}
	}
}

// string copies the string that begins at the quote src[i].
func (c *compactor) string(max int) error {
	start := c.i + 1
	escapes := false
	for i := start; i < len(c.src); i++ {
		switch b := c.src[i]; {
		case b == '"':
			c.i = i + 1
			content := c.src[start:i]
			if !escapes {
				c.dst = String(c.dst, content, max, &c.tally)
				return nil
			}
			return c.unescape(content, max)
		case b == '\\':
			escapes = true
			i++ // whatever follows is not the end
		case b < 0x20:
			return ErrInvalid
		}
	}
	return ErrInvalid
}

// unescape copies the content of a string with escapes, each written the way
// String writes it, so that equal strings have equal text.
func (c *compactor) unescape(s []byte, max int) error {
	dst := append(c.dst, '"')
	size, replaced := 0, false
	for len(s) > 0 {
		r, n := nextRune(s)
		if n == 0 {
			return ErrInvalid
		}
		if r < 0 {
			r, replaced = utf8.RuneError, true
		}
		width := utf8.RuneLen(r)
		if width > max-size {
			c.tally.Truncated++
			if !validEscapes(s) {
				return ErrInvalid
			}
			break
		}
		size += width
		if r < 0x20 || r == '"' || r == '\\' {
			dst = escapeASCII(dst, byte(r))
		} else {
			dst = utf8.AppendRune(dst, r)
		}
		s = s[n:]
	}
	if replaced {
		c.tally.Replaced++
	}
	c.dst = append(dst, '"')
	return nil
}

func validEscapes(s []byte) bool {
	for len(s) > 0 {
		_, n := nextRune(s)
		if n == 0 {
			return false
		}
		s = s[n:]
	}
	return true
}

// nextRune decodes the rune that s begins with and its length in s. The rune is
// negative where there is none, the length 0 where the escape is not JSON.
func nextRune(s []byte) (rune, int) {
	if s[0] != '\\' {
		r, n := utf8.DecodeRune(s)
		if r == utf8.RuneError && n == 1 {
			return -1, 1
		}
		return r, n
	}
	if len(s) < 2 {
		return 0, 0
	}
	switch s[1] {
	case '"', '\\', '/':
		return rune(s[1]), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		r := hex4(s[2:])
		if r < 0 {
			return 0, 0
		}
		if !utf16.IsSurrogate(r) {
			return r, 6
		}
		if len(s) >= 12 && s[6] == '\\' && s[7] == 'u' {
			if pair := utf16.DecodeRune(r, hex4(s[8:])); pair != utf8.RuneError {
				return pair, 12
			}
		}
		return -1, 6
	}
	return 0, 0
}

func hex4(s []byte) rune {
	if len(s) < 4 {
		return -1
	}
	var r rune
	for _, c := range s[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// Member reads one member of an object from text that JSON has written: the
// object begins at object[0], the member at object[i] (start with 1). It returns
// the key with its quotes, the value, and where the next member begins; a nil
// key at the end of the object.
func Member(object []byte, i int) (key, value []byte, next int) {
	if object[i] == '}' {
		return nil, nil, i
	}
	end := skip(object, i)
	key = object[i:end]
	start := end + 1 // behind the colon
	end = skip(object, start)
	value = object[start:end]
	if object[end] == ',' {
		end++
	}
	return key, value, end
}

// skip returns the end of the value at s[i], in text that JSON has written.
func skip(s []byte, i int) int {
	depth := 0
	for ; i < len(s); i++ {
		switch s[i] {
		case '"':
			for i++; s[i] != '"'; i++ {
				if s[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i // the end of a number or word, and of what it is in
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',':
			if depth == 0 {
				return i
			}
		}
	}
	return i
}
