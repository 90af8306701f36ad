//go:build cgo

package bigquerytest

import (
	"strconv"
	"strings"
)

// kind of a token of GoogleSQL.
type kind uint8

const (
	word   kind = iota // also numbers and parameters
	symbol             // one character
	text               // a string literal; its value
	binary             // a bytes literal; its value
	quoted             // a name in backquotes; its value
)

type token struct {
	kind  kind
	value string
	space bool // white space or a comment stands before it
}

// is reports whether a token is a word or symbol, in either case of letters.
func (t token) is(value string) bool {
	return (t.kind == word || t.kind == symbol) && strings.EqualFold(t.value, value)
}

// lex splits a statement into tokens; comments become spaces.
func lex(sql string) ([]token, *refusal) {
	var tokens []token
	space := false
	for i := 0; i < len(sql); {
		rest := sql[i:]
		t := token{space: space}
		space = false
		switch c := rest[0]; {
		case strings.ContainsRune(" \t\r\n", rune(c)):
			space = true
			i++
			continue
		case strings.HasPrefix(rest, "--"), c == '#':
			space = true
			if n := strings.IndexByte(rest, '\n'); n >= 0 {
				i += n
				continue
			}
			return tokens, nil
		case strings.HasPrefix(rest, "/*"):
			n := strings.Index(rest, "*/")
			if n < 0 {
				return nil, invalid("Syntax error: Unclosed comment")
			}
			space = true
			i += n + 2
			continue
		case c == '\'' || c == '"' || c == '`' || (c == 'b' || c == 'B' || c == 'r' || c == 'R') && len(rest) > 1 && (rest[1] == '\'' || rest[1] == '"'):
			n := 0
			if t.kind, t.value, n = literal(rest); n < 0 {
				return nil, invalid("Syntax error: Unclosed string literal")
			}
			i += n
		case isWord(c):
			n := 1
			for n < len(rest) && (isWord(rest[n]) || rest[n] == '.' && c >= '0' && c <= '9') {
				n++
			}
			t.kind, t.value = word, rest[:n]
			i += n
		default:
			t.kind, t.value = symbol, rest[:1]
			i++
		}
		tokens = append(tokens, t)
	}
	return tokens, nil
}

func isWord(c byte) bool {
	return c == '_' || c == '@' || c >= 0x80 || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// literal reads a quoted thing and returns its length, -1 if it has no end.
func literal(s string) (kind, string, int) {
	k, raw, i := text, false, 0
	switch s[0] {
	case 'b', 'B':
		k, i = binary, 1
	case 'r', 'R':
		raw, i = true, 1
	case '`':
		k = quoted
	}
	var value strings.Builder
	for end := s[i]; ; {
		i++
		switch {
		case i >= len(s):
			return k, "", -1
		case s[i] == end:
			return k, value.String(), i + 1
		case s[i] == '\\' && !raw && i+1 < len(s):
			i++
			switch s[i] {
			case 'n':
				value.WriteByte('\n')
			case 't':
				value.WriteByte('\t')
			case 'x':
				if i+2 < len(s) {
					n, _ := strconv.ParseUint(s[i+1:i+3], 16, 8)
					value.WriteByte(byte(n))
					i += 2
				}
			default:
				value.WriteByte(s[i])
			}
		default:
			value.WriteByte(s[i])
		}
	}
}
