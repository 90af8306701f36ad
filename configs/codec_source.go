package configs

import (
	"fmt"
	"strings"

	"github.com/mixsync/mixsync/mapping"
	"gopkg.in/yaml.v3"
)

// source is where a mapped value comes from: a plain string is a column,
// {value: x} a constant (where one makes sense), {column: ts, unit: ms} an
// integer time.
func source(mayBeConstant, hasUnit bool) codec[*mapping.Source] {
	column := text("a column")
	o := object[mapping.Source]{
		fields: []field[mapping.Source]{
			bind("column", "A column.", column, func(s *mapping.Source) *string { return &s.Column }),
		},
		foreign: map[string]string{"const": "write value", "constant": "write value", "name": "write column", "literal": "write value"},
	}
	if !mayBeConstant {
		o.foreign["value"] = "it must be a column: a constant would be the same for every row"
	} else {
		o.fields = append(o.fields, bind("value", "A constant.", constantText(), func(s *mapping.Source) *string { return &s.Constant }))
	}
	if hasUnit {
		o.fields = append(o.fields, bind("unit", "What an integer time counts.", enum("s", "ms", "us"), func(s *mapping.Source) *string { return &s.Unit }))
	}
	block := o.codec()
	return codec[*mapping.Source]{
		decode: func(d *decoder, n node, v **mapping.Source) {
			switch {
			case n.Kind != yaml.MappingNode:
				var name string
				if column.decode(d, n, &name); name != "" {
					*v = &mapping.Source{Column: name}
				}
				return
			case len(n.Content) == 0:
				d.faultf(n, "write the column's name", "is empty")
				return
			}
			s := new(mapping.Source)
			block.decode(d, n, s)
			s.IsConst = d.has(join(n.path, "value"))
			switch hasColumn := d.has(join(n.path, "column")); {
			case hasColumn && s.IsConst:
				d.faultf(n, "keep one of them", "has both a column and a value")
			case !hasColumn && !s.IsConst && mayBeConstant:
				d.faultf(n, `such as {column: name} or {value: "Feature Used"}`, "names neither a column nor a value")
			case !hasColumn && !s.IsConst:
				d.faultf(n, "write the column's name", "names no column")
			}
			*v = s
		},
		encode: func(e *encoder, path string, s *mapping.Source) *yaml.Node {
			if s == nil {
				return nil
			}
			out := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Style: yaml.FlowStyle}
			switch {
			case s.IsConst:
				e.pair(out, join(path, "value"), "value", e.text(s.Constant))
			case s.Unit != "":
				e.pair(out, join(path, "column"), "column", e.text(s.Column))
				e.pair(out, join(path, "unit"), "unit", e.text(s.Unit))
			default:
				return e.value(join(path, "column"), e.text(s.Column))
			}
			return out
		},
		schema: func() schema { return schema{"anyOf": []any{column.schema(), block.schema()}} },
	}
}

// constantText is a constant that becomes text: numbers and booleans may stand
// unquoted.
func constantText() codec[string] {
	return codec[string]{
		decode: func(d *decoder, n node, v *string) {
			s, ok := d.scalar(n, "a constant")
			switch {
			case !ok:
				if d.isOpen(n.path) {
					*v = s.raw
				}
			case strings.TrimSpace(s.text) == "":
				d.faultf(n, "", "is blank; it must be a constant")
			default:
				*v = s.text
			}
		},
		encode: func(e *encoder, _ string, v string) *yaml.Node { return e.text(v) },
		schema: func() schema { return schema{"type": []string{"string", "number", "boolean"}} },
	}
}

// constants are properties with a fixed value, in YAML order.
func constants() codec[[]mapping.Constant] {
	value := constant()
	return codec[[]mapping.Constant]{
		decode: func(d *decoder, n node, v *[]mapping.Constant) {
			entries, _ := d.entries(n)
			for _, e := range entries {
				c := mapping.Constant{Name: e.key}
				value.decode(d, e.node, &c.Value)
				*v = append(*v, c)
			}
		},
		encode: func(e *encoder, path string, v []mapping.Constant) *yaml.Node {
			if len(v) == 0 {
				return nil
			}
			out := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
			for _, c := range v {
				at := join(path, c.Name)
				e.pair(out, at, c.Name, value.encode(e, at, c.Value))
			}
			return out
		},
		schema: func() schema { return schema{"type": "object", "additionalProperties": value.schema()} },
	}
}

// describeSource says what a source is, for messages.
func describeSource(s *mapping.Source) string {
	if s.IsConst {
		return fmt.Sprintf("the constant %q", s.Constant)
	}
	return fmt.Sprintf("column %q", s.Column)
}
