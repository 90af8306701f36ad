package configs

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// expander replaces the references in string values: ${VAR}, ${VAR:-default},
// ${file:/path} and $$ for a dollar. What comes in is text and stays text: it is
// never parsed as YAML and never expanded again.
type expander struct {
	getenv   func(string) (string, bool)
	readFile func(string) ([]byte, error)
	dir      string // where relative paths of ${file:…} begin: the folder of the YAML
	lenient  bool   // a reference without a value is a placeholder, not a fault

	unset bool // the last text had a reference without a value
}

// refError is why a reference cannot be expanded.
type refError struct{ message, hint string }

// hasReference reports whether expand would change the text.
func hasReference(s string) bool { return strings.Contains(s, "${") || strings.Contains(s, "$$") }

// expand returns the text with its references replaced. In lenient mode a text
// with an unset reference is returned as it was written, and e.unset is true.
func (e *expander) expand(s string) (string, *refError) {
	e.unset = false
	out, err := e.replace(s)
	if err != nil {
		return "", err
	}
	if e.unset {
		return s, nil
	}
	return out, nil
}

func (e *expander) replace(s string) (string, *refError) {
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '$')
		if i < 0 || i == len(s)-1 {
			b.WriteString(s)
			return b.String(), nil
		}
		b.WriteString(s[:i])
		s = s[i:]
		switch s[1] {
		case '$':
			b.WriteByte('$')
			s = s[2:]
		case '{':
			end := closing(s)
			if end < 0 {
				return "", &refError{"a ${ without its }", "write $${ for a dollar and a brace"}
			}
			value, err := e.reference(s[2:end])
			if err != nil {
				return "", err
			}
			b.WriteString(value)
			s = s[end+1:]
		default: // a lone $ is itself
			b.WriteByte('$')
			s = s[1:]
		}
	}
}

// closing returns the index of the } that ends the reference s begins with, -1
// if there is none. A default may hold references of its own.
func closing(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '$' && i+1 < len(s) && s[i+1] == '$':
			i++
		case s[i] == '$' && i+1 < len(s) && s[i+1] == '{':
			depth++
			i++
		case s[i] == '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

func (e *expander) reference(ref string) (string, *refError) {
	if path, ok := strings.CutPrefix(ref, "file:"); ok {
		return e.file(path)
	}
	name, fallback, hasDefault := strings.Cut(ref, ":-")
	if !isVariable(name) {
		return "", &refError{"a ${…} that is not a reference", // not repeated: it may be part of a password
			"write ${NAME}, ${NAME:-default} or ${file:/path}; $${ is a dollar and a brace"}
	}
	value, ok := e.getenv(name)
	switch {
	case hasDefault && value == "": // as in a shell, an empty variable takes the default too
		return e.replace(fallback)
	case ok:
		return value, nil
	case e.lenient:
		e.unset = true
		return "", nil
	}
	return "", &refError{fmt.Sprintf("variable %s is not set", name),
		fmt.Sprintf("set it in the environment, or give a default: ${%s:-…}", name)}
}

func (e *expander) file(ref string) (string, *refError) {
	path, bad := e.replace(ref)
	if bad != nil || e.unset {
		return "", bad
	}
	if path == "" {
		return "", &refError{"${file:} names no file", "write ${file:/run/secrets/name}"}
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(e.dir, path)
	}
	data, err := e.readFile(path)
	if err != nil {
		if e.lenient {
			e.unset = true
			return "", nil
		}
		return "", &refError{fmt.Sprintf("cannot read the file of ${file:%s}: %v", ref, bare(err)),
			"is the secret mounted, and may this user read it?"}
	}
	text := strings.TrimSuffix(string(data), "\n")
	return strings.TrimSuffix(text, "\r"), nil
}

// bare strips operation and path from a file error: the message names the file already.
func bare(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}

func isVariable(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// escapeReferences is the inverse of expand for text without references.
func escapeReferences(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteByte(s[i])
		if s[i] == '$' && i+1 < len(s) && (s[i+1] == '$' || s[i+1] == '{') {
			b.WriteByte('$')
		}
	}
	return b.String()
}
