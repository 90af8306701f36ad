//go:build cgo

package bigquerytest

import (
	"errors"
	"fmt"
	"strings"

	bq "google.golang.org/api/bigquery/v2"
)

// restTypes are DuckDB's types as the REST API calls them.
var restTypes = map[string]string{
	"BIGINT": "INTEGER", "INTEGER": "INTEGER", "SMALLINT": "INTEGER", "TINYINT": "INTEGER", "HUGEINT": "INTEGER",
	"DOUBLE": "FLOAT", "FLOAT": "FLOAT", "BOOLEAN": "BOOLEAN", "VARCHAR": "STRING", "BLOB": "BYTES", "DATE": "DATE", "TIME": "TIME",
	"TIMESTAMP": "DATETIME", "TIMESTAMP WITH TIME ZONE": "TIMESTAMP", "INTERVAL": "INTERVAL", `"NULL"`: "INTEGER",
}

// fieldOf is a column of a type as DuckDB writes it.
func fieldOf(name, kind string) (*bq.TableFieldSchema, error) {
	f := &bq.TableFieldSchema{Name: name, Mode: "NULLABLE"}
	if element, ok := strings.CutSuffix(kind, "[]"); ok {
		inner, err := fieldOf(name, element)
		if err != nil {
			return nil, err
		}
		if inner.Mode == "REPEATED" {
			return nil, errors.New("arrays of arrays are not supported")
		}
		inner.Mode = "REPEATED"
		return inner, nil
	}
	if t := restTypes[kind]; t != "" {
		f.Type = t
		return f, nil
	}
	if strings.HasPrefix(kind, "DECIMAL") {
		f.Type = "NUMERIC"
		return f, nil
	}
	inside, ok := strings.CutPrefix(kind, "STRUCT(")
	if !ok {
		return nil, fmt.Errorf("type %s is beyond the stand-in", kind)
	}
	for _, part := range members(strings.TrimSuffix(inside, ")")) {
		field, err := fieldOf(part[0], part[1])
		if err != nil {
			return nil, err
		}
		f.Fields = append(f.Fields, field)
	}
	switch f.Fields[0].Name {
	case markBigNumeric:
		f.Type, f.Fields = "BIGNUMERIC", nil
	case markGeography:
		f.Type, f.Fields = "GEOGRAPHY", nil
	case markJSON:
		f.Type, f.Fields = "JSON", nil
	case markStart:
		f.Type, f.RangeElementType, f.Fields = "RANGE", &bq.TableFieldSchemaRangeElementType{Type: f.Fields[0].Type}, nil
	default:
		f.Type = "RECORD"
	}
	return f, nil
}

// members splits the inside of STRUCT(a INTEGER, "b c" STRUCT(d DATE)).
func members(inside string) [][2]string {
	var list [][2]string
	depth, from, quotes := 0, 0, false
	add := func(part string) {
		part = strings.TrimSpace(part)
		name, rest := "", ""
		if quoted, ok := strings.CutPrefix(part, `"`); ok {
			name, rest, _ = strings.Cut(quoted, `" `)
		} else {
			name, rest, _ = strings.Cut(part, " ")
		}
		list = append(list, [2]string{name, rest})
	}
	for i, c := range inside {
		switch {
		case c == '"':
			quotes = !quotes
		case quotes:
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ',' && depth == 0:
			add(inside[from:i])
			from = i + 1
		}
	}
	add(inside[from:])
	return list
}
