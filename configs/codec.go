package configs

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// codec is all that mixsync knows of one kind of value: how it is read from
// YAML, printed, and described to an editor.
type codec[V any] struct {
	// decode reads the value or files faults; v is left alone if it cannot.
	decode func(d *decoder, n node, v *V)
	// encode returns nil when there is nothing to print.
	encode func(e *encoder, path string, v V) *yaml.Node
	schema func() schema

	// The rest is for values that hold keys of their own.

	// fill sets the defaults of what is not given under the path.
	fill func(d *decoder, path string, v *V)
	// inherit copies what stands under from, in src, and is not given under path.
	inherit func(d *decoder, path, from string, v, src *V)
	// keys names the keys inside, for "belongs under".
	keys []string
}

// parsed is a codec for a scalar that has a notation of its own. plain says
// which unquoted YAML types are its notation as well ("!!int"). A bad value is
// quoted as written, so that what a reference expanded to stays unseen.
func parsed[V any](what string, s schema, plain []string, parse func(string) (V, error), format func(V) *yaml.Node) codec[V] {
	return codec[V]{
		decode: func(d *decoder, n node, v *V) {
			text, ok := d.scalar(n, what)
			if !ok {
				return
			}
			if text.tag != "!!str" && !slices.Contains(plain, text.tag) {
				d.faultf(n, "", "must be %s, not %s", what, text.raw)
				return
			}
			got, err := parse(text.text)
			if err != nil {
				d.faultf(n, hintOf(err), "must be %s%s", what, written(text))
				return
			}
			*v = got
		},
		encode: func(_ *encoder, _ string, v V) *yaml.Node { return format(v) },
		schema: func() schema { return orReference(s) },
	}
}

// written quotes the value as it stands in the YAML.
func written(s scalar) string {
	if s.typed {
		return fmt.Sprintf("; what %s stands for is not", s.raw)
	}
	return fmt.Sprintf(", not %q", s.raw)
}

// hinted is an error that knows how to mend it.
type hinted string

func (h hinted) Error() string { return string(h) }

func hintOf(err error) string {
	h, _ := errors.AsType[hinted](err)
	return string(h)
}

// text is any text but the empty one. Numbers, dates and booleans must be quoted
// to be text, so that 007 and 1e3 arrive as they were written.
func text(what string) codec[string] { return textWith(what, nil) }

// textWith is text that must pass a check. The check's error is the message, and
// its second line, if any, the hint; the value may be repeated after ": " only.
func textWith(what string, check func(string) error) codec[string] {
	return codec[string]{
		decode: func(d *decoder, n node, v *string) {
			s, ok := d.scalar(n, what)
			switch {
			case !ok:
				if d.isOpen(n.path) {
					*v = s.raw
				}
			case s.tag != "!!str":
				d.faultf(n, fmt.Sprintf("quote it: %q", s.raw), "must be %s, not %s", what, kindName(n.Node))
			case strings.TrimSpace(s.text) == "":
				d.faultf(n, "", "is empty; it must be %s", what)
			default:
				if check != nil {
					if err := check(s.text); err != nil {
						message, hint, _ := strings.Cut(err.Error(), "\n")
						if s.typed { // what follows a colon may repeat the value
							message, _, _ = strings.Cut(message, ": ")
						}
						d.faultf(n, hint, "%s", message)
						return
					}
				}
				*v = s.text
			}
		},
		encode: func(e *encoder, _ string, v string) *yaml.Node { return e.text(v) },
		schema: func() schema { return schema{"type": "string", "minLength": 1} },
	}
}

// secret is text that no message and no output repeats.
func secret(what string) codec[Secret] {
	return codec[Secret]{
		decode: func(d *decoder, n node, v *Secret) {
			s, ok := d.scalar(n, what)
			switch {
			case !ok:
				if d.isOpen(n.path) {
					*v = Secret(s.raw)
				}
			case s.tag != "!!str":
				d.faultf(n, "put it in quotes", "must be %s, not %s", what, kindName(n.Node))
			case strings.TrimSpace(s.text) == "":
				d.faultf(n, "", "is empty; it must be %s", what)
			default:
				*v = Secret(s.text)
			}
		},
		encode: func(_ *encoder, _ string, v Secret) *yaml.Node {
			if v == "" {
				return nil
			}
			return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: mask, Style: yaml.DoubleQuotedStyle}
		},
		schema: func() schema { return schema{"type": "string", "minLength": 1} },
	}
}

// enum is one word of a fixed few.
func enum[V ~string](words ...V) codec[V] { return enumOf(nil, words...) }

// enumOf is enum with the hints for words of other tools.
func enumOf[V ~string](foreign map[string]string, words ...V) codec[V] {
	names := make([]string, len(words))
	for i, w := range words {
		names[i] = string(w)
	}
	what := "one of " + strings.Join(names, ", ")
	if len(names) == 1 {
		what = names[0]
	}
	return parsed(what, schema{"type": "string", "enum": names}, nil,
		func(s string) (V, error) {
			if slices.Contains(names, s) {
				return V(s), nil
			}
			if hint := foreign[s]; hint != "" {
				return "", hinted(hint)
			}
			return "", hinted(didYouMean(s, names))
		},
		func(v V) *yaml.Node {
			if v == "" {
				return nil
			}
			return plain("!!str", string(v))
		})
}

func boolean() codec[bool] {
	return parsed("true or false", schema{"type": "boolean"}, []string{"!!bool"},
		func(s string) (bool, error) {
			switch s {
			case "true", "True", "TRUE":
				return true, nil
			case "false", "False", "FALSE":
				return false, nil
			}
			return false, hinted("write true or false, without quotes")
		},
		func(v bool) *yaml.Node {
			if !v {
				return nil
			}
			return plain("!!bool", "true")
		})
}

// integer is a whole number in decimal, within bounds. It is printed unless zero.
func integer[V ~int | ~int64](what string, least, most V) codec[V] {
	c := parsed(what, schema{"type": "integer", "minimum": least, "maximum": most}, []string{"!!int"},
		func(s string) (V, error) {
			n, err := strconv.ParseInt(strings.ReplaceAll(s, "_", ""), 10, 64)
			switch {
			case err == nil && n >= int64(least) && n <= int64(most):
				return V(n), nil
			case least == most:
				return 0, hinted(fmt.Sprintf("write %d", least))
			}
			return 0, hinted(fmt.Sprintf("a whole number from %d to %d", least, most))
		},
		func(v V) *yaml.Node {
			if v == 0 {
				return nil
			}
			return plain("!!int", strconv.FormatInt(int64(v), 10))
		})
	return unquoted(c)
}

// unquoted refuses a quoted literal where a number or boolean is meant.
func unquoted[V any](c codec[V]) codec[V] {
	decode := c.decode
	c.decode = func(d *decoder, n node, v *V) {
		if n.Kind == yaml.ScalarNode && n.Tag == "!!str" && n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 && !hasReference(n.Value) {
			d.faultf(n, "remove the quotes", "must be a number, not text")
			return
		}
		decode(d, n, v)
	}
	return c
}

// list is a list of values, none twice.
func list[V comparable](item codec[V], example string) codec[[]V] {
	return codec[[]V]{
		decode: func(d *decoder, n node, v *[]V) {
			nodes, ok := d.items(n, example)
			if !ok {
				return
			}
			if len(nodes) == 0 {
				d.faultf(n, "remove the key, or write "+example, "is an empty list")
			}
			got := make([]V, 0, len(nodes))
			for _, at := range nodes {
				var x, none V
				item.decode(d, at, &x)
				switch {
				case x == none: // its fault is filed
				case slices.Contains(got, x):
					d.faultf(at, "keep one of them", "is in the list twice")
				default:
					got = append(got, x)
				}
			}
			*v = got
		},
		encode: func(e *encoder, path string, v []V) *yaml.Node {
			if len(v) == 0 {
				return nil
			}
			out := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Style: yaml.FlowStyle}
			for i, x := range v {
				out.Content = append(out.Content, e.value(fmt.Sprintf("%s[%d]", path, i), item.encode(e, path, x)))
			}
			return out
		},
		schema: func() schema {
			return schema{"type": "array", "items": item.schema(), "minItems": 1, "uniqueItems": true}
		},
	}
}

// table is a block of keys that the user chooses.
func table[V any](item codec[V], checkKey func(string) error) codec[map[string]V] {
	return codec[map[string]V]{
		decode: func(d *decoder, n node, v *map[string]V) {
			entries, ok := d.entries(n)
			if !ok {
				return
			}
			got := make(map[string]V, len(entries))
			for _, e := range entries {
				if checkKey != nil {
					if err := checkKey(e.key); err != nil {
						at := e.node
						at.pos = e.keyPos
						d.faultf(at, "", "%v", err)
					}
				}
				var x V
				item.decode(d, e.node, &x)
				got[e.key] = x
			}
			*v = got
		},
		encode: func(e *encoder, path string, v map[string]V) *yaml.Node {
			if len(v) == 0 {
				return nil
			}
			out := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
			for _, k := range sortedKeys(v) {
				e.pair(out, join(path, k), k, item.encode(e, join(path, k), v[k]))
			}
			return out
		},
		schema: func() schema { return schema{"type": "object", "additionalProperties": item.schema()} },
	}
}
