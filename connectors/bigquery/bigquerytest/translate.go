//go:build cgo

package bigquerytest

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
)

// table is a table that a statement reads.
type table struct{ project, dataset, name string }

func (t table) sql() string { return identifier(t.dataset) + "." + identifier(t.name) }

func identifier(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
func stringLiteral(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
func blobLiteral(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, `\x%02X`, s[i])
	}
	return "'" + b.String() + "'::BLOB"
}

// DuckDB has no such types: their values are structs of one field that is called so.
const (
	markBigNumeric = "bignumeric__"
	markGeography  = "geography__"
	markJSON       = "json__"
	markStart      = "range_start__"
	markEnd        = "range_end__"
)

// typeNames are GoogleSQL's types that DuckDB calls otherwise.
var typeNames = map[string]string{
	"INT64": "BIGINT", "FLOAT64": "DOUBLE", "STRING": "VARCHAR", "BYTES": "BLOB", "DATETIME": "TIMESTAMP", "TIMESTAMP": "TIMESTAMPTZ",
	"NUMERIC": "DECIMAL(38,9)", "BOOL": "BOOLEAN", "DATE": "DATE", "TIME": "TIME",
}

// translator turns GoogleSQL into DuckDB's.
type translator struct {
	params map[string]Param
	tables []table
	failed *refusal
}

func translate(sql string, params []Param) (string, []table, *refusal) {
	tokens, err := lex(sql)
	if err != nil {
		return "", nil, err
	}
	tr := &translator{params: map[string]Param{}}
	for _, p := range params {
		tr.params[strings.ToLower(p.Name)] = p
	}
	statement := tr.all(tokens)
	return strings.TrimSpace(statement), tr.tables, tr.failed
}

func (tr *translator) all(tokens []token) string {
	var b strings.Builder
	for i := 0; i < len(tokens); {
		if tokens[i].space {
			b.WriteByte(' ')
		}
		sql, n := tr.one(tokens, i)
		b.WriteString(sql)
		i += n
	}
	return b.String()
}

// one translates what stands at i and returns how many tokens that was.
func (tr *translator) one(tokens []token, i int) (string, int) {
	t := tokens[i]
	switch t.kind {
	case text:
		return stringLiteral(t.value), 1
	case binary:
		return blobLiteral(t.value), 1
	case quoted:
		return tr.name(t.value), 1
	case symbol:
		return t.value, 1
	}
	if name, ok := strings.CutPrefix(t.value, "@"); ok {
		return tr.param(name), 1
	}
	next := token{}
	if i+1 < len(tokens) {
		next = tokens[i+1]
	}
	if next.kind == text {
		if sql, ok := typed(t, next.value); ok {
			return sql, 2
		}
	}
	if i > 0 && (tokens[i-1].is("FROM") || tokens[i-1].is("JOIN")) {
		if path, n := path(tokens[i:]); strings.Contains(path, ".") {
			return tr.name(path), n
		}
	}
	switch upper := strings.ToUpper(t.value); {
	case upper == "INTERVAL" && next.kind == text:
		return interval(next.value), 5 // INTERVAL '…' YEAR TO SECOND
	case upper == "RANGE" && next.is("<"):
		return bounds(tokens[i+2].value, tokens[i+4].value), 5 // RANGE<DATE> '[…)'
	case upper == "ARRAY" && next.is("<"):
		return tr.array(tokens, i)
	case upper == "STRUCT" && next.is("("):
		end := closing(tokens, i+1)
		return tr.structure(tokens[i+2 : end]), end - i + 1
	case upper == "ST_GEOGFROMTEXT" && next.is("("):
		return fmt.Sprintf("{%s: %s}", markGeography, stringLiteral(tokens[i+2].value)), 4
	case upper == "CURRENT_TIMESTAMP" && next.is("("):
		return "now()", 3
	case upper == "UNNEST" && next.is("(") && tokens[i+2].is("GENERATE_ARRAY"):
		return tr.series(tokens, i)
	case typeNames[upper] != "" && !next.is("("):
		return typeNames[upper], 1
	}
	return t.value, 1
}

// path reads a table's name that stands without quotes, with dashes in its project:
// my-project.app.usage.
func path(tokens []token) (string, int) {
	name := ""
	for n, t := range tokens {
		if n > 0 && t.space || t.kind != word && t.kind != quoted && !t.is(".") && !t.is("-") {
			return name, n
		}
		name += t.value
	}
	return name, len(tokens)
}

// typed translates a literal with its type before it.
func typed(t token, value string) (string, bool) {
	switch strings.ToUpper(t.value) {
	case "TIMESTAMP", "DATETIME", "DATE", "TIME", "NUMERIC":
		return fmt.Sprintf("CAST(%s AS %s)", stringLiteral(value), typeNames[strings.ToUpper(t.value)]), true
	case "BIGNUMERIC":
		return fmt.Sprintf("{%s: %s}", markBigNumeric, stringLiteral(value)), true
	case "JSON":
		return fmt.Sprintf("{%s: %s}", markJSON, stringLiteral(value)), true
	}
	return "", false
}

// name translates a name in backquotes: a path of a table, or a column.
func (tr *translator) name(path string) string {
	parts := strings.Split(path, ".")
	if len(parts) == 1 {
		return identifier(path)
	}
	t := table{project: "test-project", dataset: parts[len(parts)-2], name: parts[len(parts)-1]}
	if len(parts) > 2 {
		t.project = strings.Join(parts[:len(parts)-2], ".")
	}
	if !slices.Contains(tr.tables, t) {
		tr.tables = append(tr.tables, t)
	}
	return t.sql()
}

// param writes a parameter's value, of its own type.
func (tr *translator) param(name string) string {
	p, ok := tr.params[strings.ToLower(name)]
	if !ok {
		tr.failed = invalid(fmt.Sprintf("Query parameter '%s' not found", name))
		return "NULL"
	}
	switch p.Type {
	case "BYTES":
		raw, err := base64.StdEncoding.DecodeString(p.Value)
		if err != nil {
			tr.failed = invalid("Invalid value for BYTES parameter " + name)
		}
		return blobLiteral(string(raw))
	case "BIGNUMERIC":
		return fmt.Sprintf("{%s: %s}", markBigNumeric, stringLiteral(p.Value))
	}
	sqlType := typeNames[p.Type]
	if sqlType == "" {
		tr.failed = invalid("Parameters of type " + p.Type + " are beyond the stand-in")
	}
	return fmt.Sprintf("CAST(%s AS %s)", stringLiteral(p.Value), sqlType)
}

// closing is where the bracket that opens at i closes.
func closing(tokens []token, i int) int {
	pairs := map[string]string{"(": ")", "[": "]", "<": ">"}
	open, end := tokens[i].value, pairs[tokens[i].value]
	depth := 0
	for ; i < len(tokens); i++ {
		switch {
		case tokens[i].is(open):
			depth++
		case tokens[i].is(end):
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(tokens) - 1
}

// commas splits tokens at the commas outside of brackets.
func commas(tokens []token) [][]token {
	var parts [][]token
	depth, from := 0, 0
	for i, t := range tokens {
		switch {
		case t.is("("), t.is("["):
			depth++
		case t.is(")"), t.is("]"):
			depth--
		case t.is(",") && depth == 0:
			parts = append(parts, tokens[from:i])
			from = i + 1
		}
	}
	return append(parts, tokens[from:])
}

// structure translates what is in the brackets of STRUCT(1 AS a, 'x' AS b).
func (tr *translator) structure(tokens []token) string {
	var fields []string
	for _, part := range commas(tokens) {
		n := len(part)
		if n < 3 || !part[n-2].is("AS") {
			tr.failed = invalid("STRUCT without names is beyond the stand-in")
			return ""
		}
		fields = append(fields, identifier(part[n-1].value)+" := "+tr.all(part[:n-2]))
	}
	return "struct_pack(" + strings.Join(fields, ", ") + ")"
}

// array translates ARRAY<INT64>[1, 2].
func (tr *translator) array(tokens []token, i int) (string, int) {
	end := closing(tokens, i+1)
	element := strings.ToUpper(tokens[i+2].value)
	last := closing(tokens, end+1)
	list := tr.all(tokens[end+1 : last+1])
	if sqlType := typeNames[element]; sqlType != "" && end == i+3 {
		list = fmt.Sprintf("CAST(%s AS %s[])", list, sqlType)
	}
	return list, last - i + 1
}

// series translates UNNEST(GENERATE_ARRAY(1, 3)) AS n.
func (tr *translator) series(tokens []token, i int) (string, int) {
	end := closing(tokens, i+1)
	bounds := commas(tokens[i+4 : end-1])
	alias := "unnested"
	n := end - i + 1
	if end+2 < len(tokens) && tokens[end+1].is("AS") {
		alias = tokens[end+2].value
		n += 2
	}
	return fmt.Sprintf("range(%s, %s + 1) AS of_%s(%s)", tr.all(bounds[0]), tr.all(bounds[1]), alias, alias), n
}

// interval translates 1-2 3 4:5:6.7.
func interval(value string) string {
	sign := func(s string) (string, string) {
		if rest, ok := strings.CutPrefix(s, "-"); ok {
			return "-", rest
		}
		return "", s
	}
	parts := strings.Fields(value)
	minus, rest := sign(parts[0])
	years, months, _ := strings.Cut(rest, "-")
	clock, rest := sign(parts[2])
	time := strings.Split(rest, ":")
	return fmt.Sprintf("(INTERVAL '%s%s years' + INTERVAL '%s%s months' + INTERVAL '%s days' + INTERVAL '%s%s hours' + INTERVAL '%s%s minutes' + INTERVAL '%s%s seconds')",
		minus, years, minus, months, parts[1], clock, time[0], clock, time[1], clock, time[2])
}

// bounds translates RANGE<DATE> '[2026-01-01, UNBOUNDED)'.
func bounds(element, value string) string {
	start, end, _ := strings.Cut(strings.Trim(value, "[)"), ", ")
	bound := func(text string) string {
		if text == "UNBOUNDED" {
			return "NULL::" + typeNames[strings.ToUpper(element)]
		}
		return stringLiteral(text) + "::" + typeNames[strings.ToUpper(element)]
	}
	return fmt.Sprintf("{%s: %s, %s: %s}", markStart, bound(start), markEnd, bound(end))
}
