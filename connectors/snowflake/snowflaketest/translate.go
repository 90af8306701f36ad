//go:build cgo

package snowflaketest

import (
	"fmt"
	"math/big"
	"regexp"
	"strings"
	"time"
)

// types are Snowflake's names of types in DuckDB. A union of one member is how a
// type keeps its name through expressions, of which DuckDB has no other.
var types = map[string]string{
	"NUMBER":        "DECIMAL(38,0)", // without precision
	"FLOAT":         "DOUBLE",
	"BINARY":        "BLOB",
	"TIMESTAMP_NTZ": "TIMESTAMP",
	"TIMESTAMP_LTZ": "TIMESTAMPTZ",
	"TIMESTAMP_TZ":  "UNION(tz TIMESTAMP_NS)",
	"VARIANT":       "UNION(variant VARCHAR)",
	"OBJECT":        "UNION(object VARCHAR)",
	"GEOGRAPHY":     "UNION(geography VARCHAR)",
}

// macros are the functions that tests make values of such types with.
var macros = []string{
	`to_timestamp_ntz(x) AS CAST(x AS TIMESTAMP_NS)`,
	`to_timestamp_ltz(x) AS CAST(CAST(x AS TIMESTAMP_NS) AS UNION(ltz TIMESTAMP_NS))`,
	`to_timestamp_tz(x) AS CAST(CAST(x AS TIMESTAMP_NS) AS UNION(tz TIMESTAMP_NS))`,
	`parse_json(x) AS CAST(x AS UNION(variant VARCHAR))`,
	`to_object(x) AS CAST(x.variant AS UNION(object VARCHAR))`,
	`to_array(x) AS CAST(x.variant AS UNION("array" VARCHAR))`,
	`to_geography(x) AS CAST(x AS UNION(geography VARCHAR))`,
	`to_vector(x) AS CAST(x AS UNION(vector VARCHAR))`,
	`to_decfloat(x) AS CAST(x AS UNION(decfloat VARCHAR))`,
	`to_binary(x) AS from_hex(x)`,
}

// token is a text, a name in quotes, a comment, a placeholder, or a word with the
// brackets that follow it.
var token = regexp.MustCompile(`'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|(?s:/\*.*?\*/)|\?|[A-Za-z_][A-Za-z0-9_$]*(?:\(\s*[0-9]*(?:\s*,\s*[0-9]+)?\s*\))?`)

// translate turns Snowflake's SQL into DuckDB's, with its arguments in place.
func translate(sql string, binds []Bind) (string, error) {
	var bad error
	n := 0
	out := token.ReplaceAllStringFunc(sql, func(t string) string {
		switch t[0] {
		case '\'', '"', '-', '/':
			return t
		case '?':
			n++
			if n > len(binds) {
				bad = fmt.Errorf("placeholder %d has no argument", n)
				return t
			}
			literal, err := binds[n-1].literal()
			if err != nil {
				bad = err
			}
			return literal
		}
		word, brackets := t, ""
		if i := strings.IndexByte(t, '('); i >= 0 {
			word, brackets = t[:i], t[i:]
		}
		upper := strings.ToUpper(word)
		switch {
		case upper == "CURRENT_TIMESTAMP" && brackets == "()":
			return "now()"
		case upper == "NUMBER" && brackets != "":
			return "DECIMAL" + brackets
		case types[upper] != "":
			return types[upper]
		}
		return t
	})
	if bad == nil && n < len(binds) {
		bad = fmt.Errorf("%d arguments for %d placeholders", len(binds), n)
	}
	return out, bad
}

// literal is an argument as DuckDB writes it, in its own type.
func (b Bind) literal() (string, error) {
	quoted := "'" + strings.ReplaceAll(b.Value, "'", "''") + "'"
	switch b.Type {
	case "TEXT":
		return quoted, nil
	case "BOOLEAN":
		return "CAST(" + quoted + " AS BOOLEAN)", nil
	case "BINARY":
		return "from_hex(" + quoted + ")", nil
	case "REAL":
		return "CAST(" + quoted + " AS DOUBLE)", nil
	}
	text, _, zoned := strings.Cut(b.Value, " ")
	whole, ok := new(big.Int).SetString(text, 10)
	far := ok && !whole.IsInt64() // nanoseconds of years that 64 bits do not hold
	if !ok || zoned != (b.Type == "TIMESTAMP_TZ") || far && b.Type != "TIMESTAMP_NTZ" && b.Type != "TIMESTAMP_LTZ" {
		return "", fmt.Errorf("argument %q of type %s", b.Value, b.Type)
	}
	v := whole.Int64()
	if far {
		seconds, nanos := new(big.Int).DivMod(whole, big.NewInt(1_000_000_000), new(big.Int))
		at := time.Unix(seconds.Int64(), nanos.Int64()).UTC()
		if b.Type == "TIMESTAMP_NTZ" {
			return "TIMESTAMP '" + at.Format("2006-01-02 15:04:05.000000") + "'", nil
		}
		return "TIMESTAMPTZ '" + at.Format("2006-01-02 15:04:05.000000Z07:00") + "'", nil
	}
	switch b.Type {
	case "FIXED":
		return text, nil
	case "DATE":
		return "DATE '" + time.UnixMilli(v).UTC().Format(time.DateOnly) + "'", nil
	case "TIME":
		return "TIME '" + time.Unix(0, v).UTC().Format("15:04:05.000000") + "'", nil
	case "TIMESTAMP_NTZ":
		if v%1000 != 0 {
			return "make_timestamp_ns(" + text + ")", nil
		}
		return "TIMESTAMP '" + time.Unix(0, v).UTC().Format("2006-01-02 15:04:05.000000") + "'", nil
	case "TIMESTAMP_LTZ":
		return "TIMESTAMPTZ '" + time.Unix(0, v).UTC().Format("2006-01-02 15:04:05.000000Z07:00") + "'", nil
	case "TIMESTAMP_TZ":
		return "CAST(make_timestamp_ns(" + text + ") AS UNION(tz TIMESTAMP_NS))", nil
	}
	return "", fmt.Errorf("argument of type %s", b.Type)
}
