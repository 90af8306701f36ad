package configs

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// object describes a block of fixed keys that fills a T.
type object[T any] struct {
	fields []field[T]
	// foreign names keys of other tools, and what to write instead.
	foreign map[string]string
	// short is the key that a lone text where the block should be stands for.
	short string
}

// field is one key of an object.
type field[T any] struct {
	key, doc string
	missing  string // not empty: the key must be given; says what it must be
	// applies says why the key has no meaning for this T, "" if it has one.
	applies func(*T) string

	decode  func(d *decoder, n node, t *T)
	encode  func(e *encoder, path string, t *T) *yaml.Node
	schema  func() schema
	preset  func(t *T) // sets the default; nil without one
	fill    func(d *decoder, path string, t *T)
	inherit func(d *decoder, path, from string, t, src *T)
	keys    []string
}

// bind makes a field of a codec and the place in T where its value lives.
func bind[T, V any](key, doc string, c codec[V], at func(*T) *V) field[T] {
	f := field[T]{key: key, doc: doc, schema: c.schema, keys: c.keys,
		decode: func(d *decoder, n node, t *T) { c.decode(d, n, at(t)) },
		encode: func(e *encoder, path string, t *T) *yaml.Node { return c.encode(e, path, *at(t)) },
		fill:   func(*decoder, string, *T) {},
	}
	if c.fill != nil {
		f.fill = func(d *decoder, path string, t *T) { c.fill(d, path, at(t)) }
	}
	f.inherit = func(d *decoder, path, from string, t, src *T) {
		switch {
		case c.inherit != nil:
			c.inherit(d, path, from, at(t), at(src))
		case !d.has(path) && d.has(from):
			*at(t) = *at(src)
			d.where[path] = d.where[from]
			if raw, ok := d.open[from]; ok {
				d.open[path] = raw
			}
		}
	}
	return f
}

// withDefault is bind with the value that stands when the key is not given.
func withDefault[T, V any](key, doc string, c codec[V], at func(*T) *V, value V) field[T] {
	f := bind(key, doc, c, at)
	f.preset = func(t *T) { *at(t) = value }
	describe := f.schema
	f.schema = func() schema {
		s := maps.Clone(describe())
		if n := c.encode(&encoder{}, "", value); n != nil {
			s["default"] = plainValue(n)
		}
		return s
	}
	return f
}

// must makes the key required; what says what to write.
func (f field[T]) must(what string) field[T] {
	f.missing = what
	return f
}

// only restricts the key to those T for which why returns "".
func (f field[T]) only(why func(*T) string) field[T] {
	f.applies = why
	return f
}

func (o *object[T]) keys() []string {
	keys := make([]string, len(o.fields))
	for i, f := range o.fields {
		keys[i] = f.key
	}
	return keys
}

func (o *object[T]) find(key string) *field[T] {
	i := slices.IndexFunc(o.fields, func(f field[T]) bool { return f.key == key })
	if i < 0 {
		return nil
	}
	return &o.fields[i]
}

// codec makes the object a value of other objects.
func (o *object[T]) codec() codec[T] {
	return codec[T]{
		decode: func(d *decoder, n node, t *T) {
			if o.short != "" && n.Kind == yaml.ScalarNode && !isNull(n.Node) {
				d.broken[n.path] = true
				d.faultf(n, fmt.Sprintf("write {%s: %s}", o.short, n.Value), "must be a block of keys, not %s", kindName(n.Node))
				return
			}
			if entries, ok := d.entries(n); ok {
				o.read(d, entries, t)
				o.require(d, n)
			}
		},
		encode:  o.encode,
		schema:  o.schema,
		fill:    o.fill,
		inherit: o.inherit,
		keys:    o.keys(),
	}
}

// pointer is the codec of an object that may be absent.
func pointer[T any](c codec[T]) codec[*T] {
	return codec[*T]{
		decode: func(d *decoder, n node, v **T) {
			*v = new(T)
			c.decode(d, n, *v)
		},
		encode: func(e *encoder, path string, v *T) *yaml.Node {
			if v == nil {
				return nil
			}
			return c.encode(e, path, *v)
		},
		schema: c.schema,
		keys:   c.keys,
		fill: func(d *decoder, path string, v **T) {
			if *v != nil && c.fill != nil {
				c.fill(d, path, *v)
			}
		},
		inherit: func(d *decoder, path, from string, v, src **T) {
			if *v != nil && *src != nil && c.inherit != nil {
				c.inherit(d, path, from, *v, *src)
			}
		},
	}
}

// read decodes the keys that are given.
func (o *object[T]) read(d *decoder, entries []entry, t *T) {
	for _, e := range entries {
		if f := o.find(e.key); f != nil {
			f.decode(d, e.node, t)
		} else {
			o.unknown(d, e)
		}
	}
}

// require files a fault for each key that must be given and is not.
func (o *object[T]) require(d *decoder, n node) {
	for _, f := range o.fields {
		if f.missing != "" && !d.has(join(n.path, f.key)) {
			d.faultf(node{path: join(n.path, f.key), pos: n.pos}, f.missing, "is missing")
		}
	}
}

// advice is how a hint names the key to write: "write cursor: {column: …".
var advice = regexp.MustCompile(`^write (?:it into )?(\w+)(?:$|: (?:\{(\w+):)?)`)

// unknown files the fault for a key that no field has.
func (o *object[T]) unknown(d *decoder, e entry) {
	at := e.node
	at.pos = e.keyPos
	parent := parentPath(e.path[:len(e.path)-len(e.key)])
	hint := o.foreign[strings.ToLower(e.key)]
	if m := advice.FindStringSubmatch(hint); m != nil {
		d.meant[join(parent, m[1])] = true
		d.meant[join(join(parent, m[1]), m[2])] = true
	}
	if hint == "" {
		for _, f := range o.fields {
			if slices.Contains(f.keys, e.key) {
				hint = fmt.Sprintf("it belongs under %q", f.key)
				d.meant[join(parent, f.key)] = true
				d.meant[join(join(parent, f.key), e.key)] = true
			}
		}
	}
	if hint == "" {
		if best := nearest(e.key, o.keys()); best != "" {
			hint = fmt.Sprintf("did you mean %q?", best)
			d.meant[join(parent, best)] = true
		}
	}
	if hint == "" {
		hint = "known here: " + strings.Join(o.keys(), ", ")
	}
	d.faultf(at, hint, "unknown key %q", e.key)
}

// inherit copies what is given under from and not under path.
func (o *object[T]) inherit(d *decoder, path, from string, t, src *T) {
	for _, f := range o.fields {
		if f.applies == nil || f.applies(t) == "" {
			f.inherit(d, join(path, f.key), join(from, f.key), t, src)
		}
	}
}

// fill sets the defaults of what was neither given nor inherited.
func (o *object[T]) fill(d *decoder, path string, t *T) {
	for _, f := range o.fields {
		if f.applies != nil && f.applies(t) != "" {
			continue
		}
		if f.preset != nil && !d.has(join(path, f.key)) {
			f.preset(t)
		}
		f.fill(d, join(path, f.key), t)
	}
}

// misplaced files a fault for each key that was given and has no meaning here.
func (o *object[T]) misplaced(d *decoder, path string, t *T) {
	for _, f := range o.fields {
		if f.applies == nil || !d.stands(join(path, f.key)) {
			continue
		}
		if why := f.applies(t); why != "" {
			d.faultAt(join(path, f.key), "remove it", "%s", why)
		}
	}
}

func (o *object[T]) encode(e *encoder, path string, t T) *yaml.Node {
	out := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for _, f := range o.fields {
		if f.applies == nil || f.applies(&t) == "" {
			at := join(path, f.key)
			e.pair(out, at, f.key, f.encode(e, at, &t))
		}
	}
	if len(out.Content) == 0 {
		return nil
	}
	return out
}

func (o *object[T]) schema() schema {
	properties := schema{}
	var required []string
	for _, f := range o.fields {
		s := maps.Clone(f.schema())
		s["description"] = f.doc
		properties[f.key] = s
		if f.missing != "" {
			required = append(required, f.key)
		}
	}
	s := schema{"type": "object", "additionalProperties": false, "properties": properties}
	if required != nil {
		s["required"] = required
	}
	return s
}
