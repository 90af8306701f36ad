package configs

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// encoder prints a configuration as understood.
type encoder struct {
	open map[string]string // path → reference without a value, printed as written
	json bool              // plain values: nothing will expand them again
}

// Effective returns the configuration as understood, as YAML: every default
// filled in, references expanded, secrets masked. It can be loaded again.
func (f *File) Effective() ([]byte, error) {
	root := fileObject.encode(&encoder{open: f.open}, "", *f)
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(root); err != nil {
		return nil, err
	}
	return b.Bytes(), enc.Close()
}

// EffectiveJSON is Effective as one JSON object, keys in the same order.
func (f *File) EffectiveJSON() ([]byte, error) {
	root := fileObject.encode(&encoder{open: f.open, json: true}, "", *f)
	return appendJSON(nil, root)
}

// text prints a string; nil if it is empty.
func (e *encoder) text(s string) *yaml.Node {
	if s == "" {
		return nil
	}
	if !e.json {
		s = escapeReferences(s)
	}
	n := plain("!!str", s)
	if strings.Contains(s, "\n") {
		n.Style = yaml.LiteralStyle
	}
	return n
}

// value is the node to print at a path: the reference itself where its value is
// not known.
func (e *encoder) value(path string, n *yaml.Node) *yaml.Node {
	if raw, ok := e.open[path]; ok {
		return plain("!!str", raw)
	}
	return n
}

// pair adds a key to a mapping, unless there is nothing to print.
func (e *encoder) pair(m *yaml.Node, path, key string, value *yaml.Node) {
	if value = e.value(path, value); value != nil {
		m.Content = append(m.Content, plain("!!str", key), value)
	}
}

func plain(tag, value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value}
}

// appendJSON writes a tree that an encoder made.
func appendJSON(dst []byte, n *yaml.Node) ([]byte, error) {
	switch n.Kind {
	case yaml.MappingNode:
		dst = append(dst, '{')
		for i := 0; i < len(n.Content); i += 2 {
			if i > 0 {
				dst = append(dst, ',')
			}
			var err error
			if dst, err = appendJSON(dst, n.Content[i]); err != nil {
				return nil, err
			}
			dst = append(dst, ':')
			if dst, err = appendJSON(dst, n.Content[i+1]); err != nil {
				return nil, err
			}
		}
		return append(dst, '}'), nil
	case yaml.SequenceNode:
		dst = append(dst, '[')
		for i, c := range n.Content {
			if i > 0 {
				dst = append(dst, ',')
			}
			var err error
			if dst, err = appendJSON(dst, c); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
	}
	b, err := json.Marshal(plainValue(n))
	return append(dst, b...), err
}

// plainValue is the Go value of a scalar, or of a list of them, that an encoder made.
func plainValue(n *yaml.Node) any {
	if n.Kind == yaml.SequenceNode {
		items := make([]any, len(n.Content))
		for i, c := range n.Content {
			items[i] = plainValue(c)
		}
		return items
	}
	switch n.Tag {
	case "!!null":
		return nil
	case "!!bool":
		return n.Value == "true"
	case "!!int", "!!float":
		return json.Number(n.Value)
	}
	return n.Value
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
