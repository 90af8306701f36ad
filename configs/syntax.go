package configs

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"gopkg.in/yaml.v3"
)

// syntaxFault turns the parser's error into a fault at the line that broke it.
// The parser itself names the line where the enclosing block begins, often far
// above, and no column.
func syntaxFault(src sourceFile, err error) Fault {
	lines := strings.SplitAfter(string(src.data), "\n")
	at := firstBroken(lines)
	line := strings.TrimRight(lines[at], "\r\n")
	f := Fault{Position: Position{File: src.name, Line: at + 1, Col: 1 + len(line) - len(strings.TrimLeft(line, " \t"))}}
	if row, col, ok := braceReference(lines[at:]); ok {
		f.Line, f.Col = at+1+row, col
		f.Message = "inside {…} or […] YAML takes ${ for a block of its own"
		f.Hint = `put quotes around the value: {key: "${VAR}"}`
		return f
	}
	f.Message, f.Hint = explain(err.Error(), line)
	if strings.HasPrefix(strings.TrimLeft(line, " "), "\t") {
		f.Col = 1 + strings.IndexByte(line, '\t')
		f.Message, f.Hint = "YAML does not allow tabs for indentation", "indent with spaces"
	}
	return f
}

// maxSyntaxBytes bounds how much is parsed in search of the broken line.
const maxSyntaxBytes = 16 << 20

// firstBroken returns the index of the line from which on no beginning of the
// file is YAML: the line that broke it, or where what is never closed begins.
func firstBroken(lines []string) int {
	r := lineReader{lines: lines}
	_ = parses(&r)
	text := []byte(strings.Join(lines[:r.read], ""))
	at, end, parsed := max(0, r.read-1), len(text), 0
	for at > 0 && parsed < maxSyntaxBytes {
		end -= len(lines[at])
		parsed += end
		if parses(bytes.NewReader(text[:end])) {
			break
		}
		at--
	}
	// A blank line breaks nothing: what did stands below it.
	for at < len(lines)-1 && strings.TrimSpace(lines[at]) == "" {
		at++
	}
	return at
}

// lineReader hands out a line at a time, so that the lines read tell how far a
// parser came before it gave up.
type lineReader struct {
	lines []string
	read  int
	rest  string
}

func (r *lineReader) Read(p []byte) (int, error) {
	if r.rest == "" {
		if r.read == len(r.lines) {
			return 0, io.EOF
		}
		r.rest = r.lines[r.read]
		r.read++
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// parses reports whether all documents of a text are YAML.
func parses(text io.Reader) bool {
	dec := yaml.NewDecoder(text)
	for {
		var n yaml.Node
		if err := dec.Decode(&n); err != nil {
			return errors.Is(err, io.EOF)
		}
	}
}

// braceReference finds an unquoted ${ inside a flow mapping or sequence that
// begins on the first line. Line is counted from 0, column from 1.
func braceReference(lines []string) (line, col int, ok bool) {
	depth := 0
	var quote byte
	for row, text := range lines {
		for i := 0; i < len(text); i++ {
			c := text[i]
			switch {
			case quote == '"' && c == '\\':
				i++
			case quote != 0:
				if c == quote {
					quote = 0
				}
			case (c == '"' || c == '\'') && (i == 0 || strings.IndexByte(" \t{[,:", text[i-1]) >= 0):
				quote = c
			case c == '#' && (i == 0 || text[i-1] == ' ' || text[i-1] == '\t'):
				i = len(text)
			case c == '$' && depth > 0 && i+1 < len(text) && text[i+1] == '{':
				return row, i + 1, true
			case c == '{' || c == '[':
				depth++
			case c == '}' || c == ']':
				depth--
			}
		}
		if depth <= 0 && quote == 0 {
			return 0, 0, false
		}
	}
	return 0, 0, false
}

// explain puts the parser's words into a data engineer's. The words are matched,
// never shown: they may repeat text of the file, which may be a secret.
func explain(parser, line string) (message, hint string) {
	const indent = "compare its indentation with the lines above; text that holds \": \" or \" #\", or begins with one of @ ` % & * ! | > { [, needs quotes"
	for _, e := range []struct{ words, message, hint string }{
		{"mapping values are not allowed", "a second \": \" on the line, or a key below a value", "quote the text that holds it, or mend the indentation"},
		{"did not find expected key", "the line does not fit the block it stands in", indent},
		{"did not find expected '-'", "the line does not fit the list it stands in", indent},
		{"could not find expected ':'", "a key without its \": \"", "write key: value, with a space after the colon"},
		{"cannot start any token", "a character that cannot begin a value", "quote the text: @ and ` are reserved in YAML"},
		{"expected ',' or '}'", "a { that is not closed, or a comma is missing", "write {key: value, key: value}"},
		{"expected ',' or ']'", "a [ that is not closed, or a comma is missing", "write [item, item]"},
		{"unexpected end of stream", "a quote that is not closed", "close it, or double it if it is part of the text"},
		{"unexpected document indicator", "a quote that is not closed", "close it, or double it if it is part of the text"},
		{"unknown escape", "an escape that YAML does not know, inside double quotes", "double the backslash, or use single quotes"},
		{"unknown anchor", "an alias (*name) without its anchor (&name)", "quote the text if it is to begin with *"},
		{"undefined tag handle", "a YAML tag that is not defined", "quote the text if it is to begin with !"},
		{"did not find expected", "not YAML", indent},
		{"control characters", "a control character", "remove it, or save the file as UTF-8"},
		{"UTF-8", "text that is not UTF-8", "save the file as UTF-8"},
		{"UTF-16", "text that is not UTF-8", "save the file as UTF-8"},
		{"indentation", "an indentation that YAML does not expect", indent},
		{"exceeded max depth", "blocks nest too deeply", ""},
	} {
		if strings.Contains(parser, e.words) {
			return e.message, e.hint
		}
	}
	if strings.TrimSpace(line) == "" {
		return "not YAML", ""
	}
	return "the line is not YAML", indent
}
