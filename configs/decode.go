package configs

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// node is a YAML value with its place in the document.
type node struct {
	*yaml.Node // aliases are resolved
	path       string
	file       string
	pos        Position
}

// entry is one key of a mapping and its value.
type entry struct {
	key    string
	keyPos Position
	node
}

// decoder carries what is known while YAML is read and checked.
type decoder struct {
	expander
	faults []Fault
	where  map[string]Position // of every path that was given
	meant  map[string]bool     // paths that an unknown key stands for, most likely
	broken map[string]bool     // paths whose block is none: what is below is not known
	open   map[string]string   // path → text as written, where a reference has no value
	merged int                 // pairs copied by merge keys so far
}

// Bounds on merge keys: far above any honest use, low enough that nested ones
// cannot blow up.
const (
	maxMergeDepth = 8
	maxMerged     = 10_000
)

func newDecoder(o Options) *decoder {
	return &decoder{
		expander: expander{getenv: o.Getenv, readFile: o.ReadFile, lenient: o.AllowUnset},
		where:    map[string]Position{},
		meant:    map[string]bool{},
		broken:   map[string]bool{},
		open:     map[string]string{},
	}
}

// faultf files a fault at a node.
func (d *decoder) faultf(n node, hint, format string, args ...any) {
	d.faults = append(d.faults, Fault{Position: n.pos, Path: n.path, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// faultAt files a fault at a path, found after reading. Below a block that could
// not be read nothing is known, so nothing is wrong.
func (d *decoder) faultAt(path, hint, format string, args ...any) {
	for above := path; above != ""; above = parentPath(above) {
		if d.broken[above] {
			return
		}
	}
	pos, _ := lookup(d.where, path)
	d.faults = append(d.faults, Fault{Position: pos, Path: path, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// has reports whether the path stands in the YAML or in the defaults for it, or
// was meant to: a key that is misspelt is not missing as well.
func (d *decoder) has(path string) bool { return d.stands(path) || d.meant[path] }

// stands is has without what was only meant.
func (d *decoder) stands(path string) bool {
	_, ok := d.where[path]
	return ok
}

// isOpen reports that the value at the path is not known because a reference in
// it has none: checks that need the value are skipped.
func (d *decoder) isOpen(path string) bool {
	_, ok := d.open[path]
	return ok
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// lookup finds the position of the longest known prefix of a path.
func lookup(where map[string]Position, path string) (Position, bool) {
	for {
		if pos, ok := where[path]; ok {
			return pos, true
		}
		if path == "" {
			return Position{}, false
		}
		path = parentPath(path)
	}
}

// parentPath cuts the last key or index off.
func parentPath(path string) string { return path[:max(0, strings.LastIndexAny(path, ".["))] }

// root is the node of a whole file.
func (d *decoder) root(file string, n *yaml.Node) node {
	d.dir = filepath.Dir(file)
	r := node{Node: resolve(n), file: file, pos: Position{File: file, Line: max(1, n.Line), Col: max(1, n.Column)}}
	if _, ok := d.where[""]; !ok {
		d.where[""] = r.pos
	}
	return r
}

// child is the value of a key, or an item of a list (key is nil). A value that
// begins on a line of its own is placed at its key, where a reader looks for it.
func (d *decoder) child(parent node, path string, key, value *yaml.Node) node {
	at := value
	if key != nil && (value.Line != key.Line || value.Kind == yaml.ScalarNode && value.Value == "" && value.Style == 0) {
		at = key
	}
	n := node{Node: resolve(value), path: path, file: parent.file}
	n.pos = Position{File: parent.file, Line: at.Line, Col: at.Column}
	return n
}

func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
	}
	return n
}

// entries lists the keys of a mapping in order, merge keys included. An empty
// value counts as an empty mapping. ok is false if the node is something else.
func (d *decoder) entries(n node) (list []entry, ok bool) {
	if isNull(n.Node) {
		return nil, true
	}
	if n.Kind != yaml.MappingNode {
		d.faultf(n, "", "must be a block of keys, not %s", kindName(n.Node))
		d.broken[n.path] = true
		return nil, false
	}
	own := map[string]bool{}
	d.collect(n, n.Node, 0, own, &list)
	return list, true
}

// collect appends the entries of one mapping: first its own, which win, then
// those it merges in.
func (d *decoder) collect(n node, m *yaml.Node, depth int, taken map[string]bool, list *[]entry) {
	var merges []*yaml.Node
	for i := 0; i+1 < len(m.Content); i += 2 {
		key, value := m.Content[i], m.Content[i+1]
		if key.Tag == "!!merge" {
			merges = append(merges, resolve(value))
			continue
		}
		at := Position{File: n.file, Line: key.Line, Col: key.Column}
		if key.Kind != yaml.ScalarNode || key.Value == "" {
			d.faultf(node{path: n.path, pos: at}, "", "a key must be plain text")
			continue
		}
		path := join(n.path, key.Value)
		if taken[key.Value] && depth > 0 {
			continue
		}
		e := entry{key: key.Value, keyPos: at, node: d.child(n, path, key, value)}
		if first, twice := d.where[path]; twice && (taken[key.Value] || !isSection(path)) {
			d.faultf(node{path: path, pos: at}, "keep one of them", "key %q is given twice; first at %s", key.Value, first)
			continue
		}
		taken[key.Value] = true
		d.where[path] = e.pos
		*list = append(*list, e)
	}
	for _, from := range merges {
		d.merge(n, from, depth+1, taken, list)
	}
}

// merge adds the entries of the mapping, or mappings, that a << names.
func (d *decoder) merge(n node, from *yaml.Node, depth int, taken map[string]bool, list *[]entry) {
	sources := []*yaml.Node{from}
	if from.Kind == yaml.SequenceNode {
		sources = from.Content
	}
	for _, s := range sources {
		s = resolve(s)
		d.merged += 1 + len(s.Content)/2
		switch {
		case s.Kind != yaml.MappingNode:
			d.faultf(n, "write <<: *name", "a merge key (<<) needs a block of keys, not %s", kindName(s))
			return
		case depth > maxMergeDepth || d.merged > maxMerged:
			d.faultf(n, "", "merge keys (<<) nest too deeply")
			return
		}
		d.collect(n, s, depth, taken, list)
	}
}

// items lists the elements of a list.
func (d *decoder) items(n node, example string) ([]node, bool) {
	if n.Kind != yaml.SequenceNode {
		if isNull(n.Node) {
			d.faultf(n, "remove the key, or write a list such as "+example, "has no value")
		} else {
			if n.Kind == yaml.ScalarNode {
				example = "[" + quoteItem(n.Value) + "]"
			}
			d.faultf(n, "write "+example, "must be a list, not %s", kindName(n.Node))
		}
		return nil, false
	}
	list := make([]node, len(n.Content))
	for i, c := range n.Content {
		list[i] = d.child(n, fmt.Sprintf("%s[%d]", n.path, i), nil, c)
		d.where[list[i].path] = list[i].pos
	}
	return list, true
}

// scalar is a single value as text.
type scalar struct {
	text  string // references expanded
	raw   string // as written, for messages: an expanded text may be a secret
	tag   string // the type YAML sees: !!str, !!int, …
	typed bool   // text came out of a reference, so its type is the setting's, not YAML's
}

// scalar reads a single value; what is what it should be ("text", "a duration
// such as 10m"). ok is false if there is nothing to go on with: a fault was
// filed, or the value is open.
func (d *decoder) scalar(n node, what string) (s scalar, ok bool) {
	switch {
	case isNull(n.Node):
		d.faultf(n, "remove the key, or give it a value", "has no value; it must be %s", what)
		return s, false
	case n.Kind != yaml.ScalarNode:
		d.faultf(n, "", "must be %s, not %s", what, kindName(n.Node))
		return s, false
	}
	s = scalar{text: n.Value, raw: n.Value, tag: n.Tag}
	switch s.tag {
	case "!!str":
	case "!!merge": // a plain << is text where a value is meant
		s.tag = "!!str"
	case "!!int", "!!float", "!!bool", "!!timestamp":
		return s, true
	default:
		d.faultf(n, "remove the tag", "has the YAML tag %s, which means nothing here", s.tag)
		return s, false
	}
	if !hasReference(s.raw) {
		return s, true
	}
	text, err := d.expand(s.raw)
	if err != nil {
		d.faultf(n, err.hint, "%s", err.message)
		return s, false
	}
	if d.unset {
		d.open[n.path] = s.raw
		return s, false
	}
	s.text, s.typed = text, strings.Contains(s.raw, "${")
	return s, true
}

// quoteItem writes text as an item of a list in brackets.
func quoteItem(s string) string {
	if isVariable(s) {
		return s
	}
	return strconv.Quote(s)
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// kindName says what a node is, in words.
func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a block of keys"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.Tag {
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	case "!!null":
		return "nothing"
	case "!!timestamp":
		return "a date"
	}
	return "text"
}
