package configs

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

func threshold() codec[Threshold] {
	return parsed("a percentage such as 1%, or a count of rows",
		schema{"anyOf": []any{
			schema{"type": "string", "pattern": `^[0-9.]+ *%$`},
			schema{"type": "integer", "minimum": 0},
		}}, []string{"!!int"}, ParseThreshold,
		func(t Threshold) *yaml.Node {
			if t.IsPercent {
				return plain("!!str", t.String())
			}
			return plain("!!int", t.String())
		})
}

func size() codec[Bytes] {
	return parsed("a size with its unit, such as 50GiB",
		schema{"type": "string", "pattern": `^[0-9.]+ *([KMGT]i?)?B$`}, nil, ParseBytes,
		func(b Bytes) *yaml.Node {
			if b == 0 {
				return nil
			}
			return plain("!!str", b.String())
		})
}

// projectID is Mixpanel's number of a project; quotes do no harm.
func projectID() codec[int64] {
	return parsed("the project's number, from Mixpanel's project settings",
		schema{"anyOf": []any{
			schema{"type": "integer", "minimum": 1},
			schema{"type": "string", "pattern": `^[0-9]+$`},
		}}, []string{"!!int"},
		func(s string) (int64, error) {
			id, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
			if err == nil && id <= 0 {
				err = errors.New("not positive")
			}
			return id, err
		},
		func(id int64) *yaml.Node { return plain("!!int", strconv.FormatInt(id, 10)) })
}

// glob matches column names: * is any run of characters, ? any one.
func glob() codec[string] {
	return textWith(`a pattern such as "_*"`, func(s string) error {
		if strings.ContainsAny(s, `[]{}\`) {
			return errors.New("is not a pattern: only * and ? are wildcards\n* is any run of characters, ? any one; write several patterns for alternatives")
		}
		return nil
	})
}

// constant is a fixed property value: text, number, true, false or null.
func constant() codec[any] {
	return codec[any]{
		decode: func(d *decoder, n node, v *any) {
			if isNull(n.Node) {
				*v = nil
				return
			}
			s, ok := d.scalar(n, "text, a number, true, false or null")
			if !ok {
				*v = s.raw
				return
			}
			*v = s.text
			switch s.tag {
			case "!!bool":
				*v = strings.EqualFold(s.text, "true")
			case "!!int":
				i, err := strconv.ParseInt(strings.ReplaceAll(s.text, "_", ""), 0, 64)
				if err != nil {
					d.faultf(n, "quote it to send it as text", "is too large a number")
				}
				*v = i
			case "!!float":
				if !strings.ContainsAny(s.text, ".eE") { // YAML takes a long integer for a float
					d.faultf(n, "quote it to send it as text", "is too large a number")
				}
				f, err := strconv.ParseFloat(strings.ReplaceAll(s.text, "_", ""), 64)
				if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
					d.faultf(n, "quote it to send it as text", "is not a number that JSON can hold")
				}
				*v = f
			}
		},
		encode: func(e *encoder, _ string, v any) *yaml.Node {
			switch v := v.(type) {
			case nil:
				return plain("!!null", "null")
			case bool:
				return plain("!!bool", strconv.FormatBool(v))
			case int64:
				return plain("!!int", strconv.FormatInt(v, 10))
			case float64:
				return plain("!!float", strconv.FormatFloat(v, 'g', -1, 64))
			case string:
				if n := e.text(v); n != nil {
					return n
				}
			}
			return plain("!!str", "")
		},
		schema: func() schema { return schema{"type": []string{"string", "number", "boolean", "null"}} },
	}
}
