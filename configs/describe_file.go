package configs

import (
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// fileObject is the whole YAML.
var fileObject = object[File]{
	fields: []field[File]{
		withDefault("version", "The version of this notation: 1.", integer("1", 1, 1), func(f *File) *int { return &f.Version }, 1),
		withDefault("state", "Where marks, runs and rejects are kept: sqlite:<path>, or a postgres:// URL to share them between machines.",
			state(), func(f *File) *string { return &f.State }, defaultState),
		withDefault("lease", "How long a run holds its sync and project before it must renew; a dead machine's work is taken over after it.",
			duration(time.Second), func(f *File) *time.Duration { return &f.Lease }, 30*time.Second),
		collection("warehouses", "Sources, by name.", warehouseCodec(),
			func(f *File, name string, w *Warehouse) { w.Name = name; f.Warehouses[name] = w },
			func(f *File) []named[Warehouse] { return sorted(f.Warehouses) }),
		collection("projects", "Mixpanel projects, by name.", projectObject.codec(),
			func(f *File, name string, p *Project) { p.Name = name; f.Projects[name] = p },
			func(f *File) []named[Project] { return sorted(f.Projects) }),
		defaultsField(),
		rejectsField(),
		collection("syncs", "What is read and where it goes, by name. The name is the default namespace of insert ids: to rename a sync, set namespace to its old name.",
			syncCodec(),
			func(f *File, name string, s *Sync) { s.Name = name; f.Syncs = append(f.Syncs, s) },
			func(f *File) []named[Sync] {
				list := make([]named[Sync], len(f.Syncs))
				for i, s := range f.Syncs {
					list[i] = named[Sync]{s.Name, s}
				}
				return list
			}).must("add at least one, under syncs"),
	},
	foreign: fileForeign,
}

// isSection reports whether a top-level key may stand in several files of a
// folder, to be merged by the keys inside it.
func isSection(path string) bool {
	switch path {
	case "version", "warehouses", "projects", "defaults", "syncs":
		return true
	}
	return false
}

type named[V any] struct {
	name  string
	value *V
}

func sorted[V any](m map[string]*V) []named[V] {
	list := make([]named[V], 0, len(m))
	for _, k := range sortedKeys(m) {
		list = append(list, named[V]{k, m[k]})
	}
	return list
}

// names of warehouses, projects and syncs are arguments of commands and parts of
// paths, metrics and URLs.
func isName(s string) bool {
	for i, r := range s {
		if !unicode.IsLetter(r) && !unicode.IsNumber(r) && r != '_' && (i == 0 || r != '.' && r != '-') {
			return false
		}
	}
	n := utf8.RuneCountInString(s)
	return n >= 1 && n <= 128
}

// collection is a block of named things.
func collection[V any](key, doc string, c codec[V], add func(*File, string, *V), all func(*File) []named[V]) field[File] {
	return field[File]{key: key, doc: doc,
		decode: func(d *decoder, n node, f *File) {
			entries, _ := d.entries(n)
			for _, e := range entries {
				if !isName(e.key) {
					at := e.node
					at.pos = e.keyPos
					d.faultf(at, "letters, digits, _, - and ., at most 128, beginning with a letter, digit or _", "%q is not a name", e.key)
				}
				v := new(V)
				c.decode(d, e.node, v)
				add(f, e.key, v)
			}
		},
		encode: func(e *encoder, path string, f *File) *yaml.Node {
			out := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
			for _, x := range all(f) {
				at := join(path, x.name)
				e.pair(out, at, x.name, c.encode(e, at, *x.value))
			}
			if len(out.Content) == 0 {
				return nil
			}
			return out
		},
		schema: func() schema {
			return schema{"type": "object", "additionalProperties": c.schema(), "propertyNames": schema{"pattern": `^[\p{L}\p{N}_][\p{L}\p{N}_.-]*$`}}
		},
		fill: func(d *decoder, path string, f *File) {
			if c.fill == nil {
				return
			}
			for _, x := range all(f) {
				c.fill(d, join(path, x.name), x.value)
			}
		},
	}
}

// defaultsField reads defaults; they are printed where they apply, not here.
func defaultsField() field[File] {
	c := defaultsObject().codec()
	return field[File]{key: "defaults", doc: "What every sync has unless it says otherwise.", schema: c.schema,
		decode: func(d *decoder, n node, f *File) { c.decode(d, n, &f.defaults) },
		encode: func(*encoder, string, *File) *yaml.Node { return nil },
		fill:   func(*decoder, string, *File) {},
	}
}

// rejectsField is rejects at the top: the same as under defaults.
func rejectsField() field[File] {
	f := bind("rejects", "How every sync keeps its rejects, unless it says otherwise.", rejectsObject.codec(), func(f *File) *string { return &f.rejects })
	f.encode = func(*encoder, string, *File) *yaml.Node { return nil }
	return f
}

// applyDefaults fills in what the syncs leave out, first from defaults, then
// from mixsync's own.
func (f *File) applyDefaults(d *decoder) {
	if d.has("rejects.payload") {
		if d.has("defaults.rejects.payload") {
			d.faultAt("rejects.payload", "keep one of them", "is also given under defaults, at %s", d.where["defaults.rejects.payload"])
		} else {
			f.defaults.RejectsPayload = f.rejects
			d.where["defaults.rejects.payload"] = d.where["rejects.payload"]
			if raw, ok := d.open["rejects.payload"]; ok {
				d.open["defaults.rejects.payload"] = raw
			}
		}
	}
	for _, s := range f.Syncs {
		path := fmt.Sprintf("syncs.%s", s.Name)
		syncObject.inherit(d, path, "defaults", s, &f.defaults)
		syncObject.misplaced(d, path, s)
	}
	fileObject.fill(d, "", f)
	for _, s := range f.Syncs {
		s.derive()
	}
}
