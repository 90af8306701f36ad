package configs

import (
	"errors"
	"strings"
)

// oneSelect checks that a query is a single SELECT, or WITH … SELECT, and
// returns it without its closing semicolon. It is a lint, for an early and clear
// message: what keeps the warehouse safe is that queries run read-only.
//
// kind is the type of the warehouse, whose notation of strings and comments
// counts; empty if it is not known.
func oneSelect(query, kind string) (string, error) {
	l := lexer{text: query, kind: kind}
	var first, previous string
	depth, end, cte := 0, -1, false
	for l.next() {
		word := strings.ToUpper(l.token)
		if end >= 0 {
			return "", errors.New("holds more than one statement\nkeep one SELECT; a sync reads one result")
		}
		if first == "" && word != "(" {
			first = word
			cte = word == "WITH"
			if word != "SELECT" && word != "WITH" {
				return "", errors.New("is not a SELECT\nwrite SELECT …, or WITH … SELECT …")
			}
		}
		switch {
		case word == ";":
			end = l.start
		case word == "(":
			depth++
		case word == ")":
			if depth--; depth < 0 {
				return "", errors.New("closes a parenthesis that was not opened\nit is wrapped in parentheses, so its own must match")
			}
		case previous == "(" && isWrite(word) && cte:
			return "", errors.New("writes: it holds " + word + "\na sync only reads")
		case depth == 0 && cte && word == "SELECT":
			cte = false
		case depth == 0 && cte && isWrite(word):
			return "", errors.New("writes: it is a WITH … " + word + "\na sync only reads")
		case depth == 0 && word == "INTO" && l.bare:
			return "", errors.New("writes: SELECT … INTO makes a table\na sync only reads; remove INTO")
		}
		previous = word
	}
	switch {
	case l.unclosed != "":
		return "", errors.New("has a " + l.unclosed + " that is not closed\n")
	case first == "" || first == ";":
		return "", errors.New("is empty\nwrite SELECT …")
	case depth > 0:
		return "", errors.New("opens a parenthesis that is not closed\nit is wrapped in parentheses, so its own must match")
	}
	if end >= 0 {
		query = query[:end]
	}
	query = strings.TrimSpace(query)
	if l.lineComment && end < 0 {
		query += "\n" // what is wrapped around it must not fall into the comment
	}
	return query, nil
}

func isWrite(word string) bool {
	switch word {
	case "INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE", "CREATE", "ALTER", "DROP", "COPY", "CALL":
		return true
	}
	return false
}

// lexer splits SQL into words, the punctuation that matters, and everything else
// one byte at a time; strings, quoted names and comments are skipped over.
type lexer struct {
	text string
	kind string
	pos  int

	token       string // "" for a string or quoted name
	start       int
	bare        bool   // token is a word
	lineComment bool   // the text ends in a comment of that kind
	unclosed    string // what the text ends inside of
}

func (l *lexer) next() bool {
	for l.pos < len(l.text) {
		l.start = l.pos
		rest := l.text[l.pos:]
		c := rest[0]
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			l.pos++
			continue
		case strings.HasPrefix(rest, "--"),
			c == '#' && l.kind == TypeBigQuery,
			strings.HasPrefix(rest, "//") && l.kind == TypeSnowflake:
			i := strings.IndexByte(rest, '\n')
			if i < 0 {
				l.lineComment = true
				l.pos = len(l.text)
				return false
			}
			l.pos += i + 1
			continue
		case strings.HasPrefix(rest, "/*"):
			if !l.blockComment() {
				return false
			}
			continue
		}
		l.token, l.bare = "", false
		switch {
		case c == '\'' || c == '"' || c == '`':
			return l.quoted(c)
		case c == '$' && l.kind != TypeBigQuery:
			if tag := dollarTag(rest); tag != "" {
				return l.until(tag, len(tag), "dollar-quoted string")
			}
			l.pos++
		case isWordByte(c):
			for l.pos < len(l.text) && (isWordByte(l.text[l.pos]) || l.text[l.pos] == '$') {
				l.pos++
			}
			l.token, l.bare = l.text[l.start:l.pos], true
			if l.pos < len(l.text) && l.text[l.pos] == '\'' && l.escapes(l.token) {
				return l.string('\'', true)
			}
		default:
			l.token = rest[:1]
			l.pos++
		}
		return true
	}
	return false
}

// blockComment skips /* … */, which nests on Postgres.
func (l *lexer) blockComment() bool {
	depth := 0
	for l.pos < len(l.text) {
		switch rest := l.text[l.pos:]; {
		case strings.HasPrefix(rest, "/*") && (depth == 0 || l.kind == TypePostgres || l.kind == TypeDuckDB):
			depth++
			l.pos += 2
		case strings.HasPrefix(rest, "*/"):
			depth--
			l.pos += 2
			if depth == 0 {
				return true
			}
		default:
			l.pos++
		}
	}
	l.unclosed = "comment"
	return false
}

// escapes reports whether a prefix such as Postgres's E gives the backslash its
// meaning in the string that follows.
func (l *lexer) escapes(prefix string) bool {
	return strings.EqualFold(prefix, "e") && (l.kind == TypePostgres || l.kind == TypeDuckDB || l.kind == "")
}

// quoted skips a string or a quoted name.
func (l *lexer) quoted(quote byte) bool {
	if l.kind == TypeBigQuery && quote != '`' {
		if triple := strings.Repeat(string(quote), 3); strings.HasPrefix(l.text[l.pos:], triple) {
			return l.until(triple, 3, "string")
		}
	}
	backslash := l.kind == TypeBigQuery || l.kind == TypeSnowflake && quote == '\''
	return l.string(quote, backslash)
}

func (l *lexer) string(quote byte, backslash bool) bool {
	for l.pos++; l.pos < len(l.text); l.pos++ {
		switch c := l.text[l.pos]; {
		case c == '\\' && backslash:
			l.pos++
		case c == quote: // a doubled quote begins the next string at once: no matter here
			l.pos++
			l.token, l.bare = "", false
			return true
		}
	}
	l.pos = len(l.text)
	l.unclosed = "string or quoted name"
	return false
}

// until skips to the end of the next delimiter, after an opening of n bytes.
func (l *lexer) until(delimiter string, n int, what string) bool {
	i := strings.Index(l.text[l.pos+n:], delimiter)
	if i < 0 {
		l.pos = len(l.text)
		l.unclosed = what
		return false
	}
	l.pos += n + i + len(delimiter)
	return true
}

// dollarTag returns the $tag$ that rest begins with, if it does.
func dollarTag(rest string) string {
	for i := 1; i < len(rest); i++ {
		switch c := rest[i]; {
		case c == '$':
			return rest[:i+1]
		case !isWordByte(c) || i == 1 && '0' <= c && c <= '9':
			return ""
		}
	}
	return ""
}

func isWordByte(c byte) bool {
	return c == '_' || c >= 0x80 || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// checkTable refuses what can only be a query or a function call.
func checkTable(s string) error {
	quote := byte(0)
	for i := range len(s) {
		switch c := s[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '`':
			quote = c
		case strings.IndexByte(" \t\n;()'", c) >= 0:
			return errors.New("is not the name of a table\nquote parts with special characters (app.\"Feature Usage\"), or use query for a SELECT")
		}
	}
	if quote != 0 {
		return errors.New("has a quote that is not closed\nsuch as app.\"Feature Usage\"")
	}
	return nil
}
