package emulator

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strconv"
)

// operations are the profile operations; the value tells whether groups have them.
var operations = map[string]bool{
	"$set": true, "$set_once": true, "$unset": true, "$union": true, "$remove": true, "$delete": true,
	"$append": false, "$add": false,
}

// maxProfileProperties is how many properties a profile holds; more are dropped.
const maxProfileProperties = 2000

// operation is a profile operation with its decoded argument.
type operation struct {
	name   string
	values map[string]any // of all but $unset and $delete
	names  []string       // of $unset
}

// parseOperation decodes an operation's argument; a message says what is wrong with it.
func parseOperation(name string, v value, users bool) (op operation, message string) {
	op.name = name
	if !users && !operations[name] {
		return op, "'" + name + "' is not supported for groups"
	}
	switch name {
	case "$delete":
		return op, ""
	case "$unset":
		if v.kind != array || json.Unmarshal(v.raw, &op.names) != nil || len(op.names) == 0 {
			return op, "'$unset' must be a non-empty array of property names"
		}
		return op, ""
	}
	if v.kind != object {
		return op, "'" + name + "' must be an object"
	}
	op.values = decodeObject(v.raw)
	for property, argument := range op.values {
		switch list, isList := argument.([]any); {
		case name == "$union" && (!isList || len(list) == 0):
			return op, "'$union' of '" + property + "' must be a non-empty array"
		case name == "$add":
			if _, isNumber := argument.(json.Number); !isNumber {
				return op, "'$add' of '" + property + "' must be a number"
			}
		}
	}
	return op, ""
}

// apply performs the operation on a profile's properties.
func (op *operation) apply(to map[string]any) {
	for _, name := range op.names {
		delete(to, name)
	}
	for name, v := range op.values {
		old, exists := to[name]
		switch op.name {
		case "$set":
			put(to, name, v)
		case "$set_once":
			if !exists {
				put(to, name, v)
			}
		case "$union":
			list := asList(old, exists)
			for _, item := range v.([]any) {
				if !containsValue(list, item) {
					list = append(list, item)
				}
			}
			put(to, name, list)
		case "$remove":
			if list, ok := old.([]any); ok {
				put(to, name, slices.DeleteFunc(slices.Clone(list), func(item any) bool { return reflect.DeepEqual(item, v) }))
			}
		case "$append":
			put(to, name, append(asList(old, exists), v))
		case "$add":
			put(to, name, sum(old, v))
		}
	}
}

func put(to map[string]any, name string, v any) {
	if _, exists := to[name]; exists || len(to) < maxProfileProperties {
		to[name] = v
	}
}

// asList returns a copy of a list property, so that profiles handed out earlier
// stay as they were; what is no list becomes its first element.
func asList(v any, exists bool) []any {
	if list, ok := v.([]any); ok {
		return slices.Clone(list)
	}
	if exists {
		return []any{v}
	}
	return []any{}
}

func containsValue(list []any, v any) bool {
	return slices.ContainsFunc(list, func(item any) bool { return reflect.DeepEqual(item, v) })
}

// sum adds two JSON numbers; what is no number counts as zero.
func sum(a, b any) json.Number {
	x, _ := a.(json.Number)
	y, _ := b.(json.Number)
	if x == "" {
		return y
	}
	i, errX := x.Int64()
	j, errY := y.Int64()
	if total := i + j; errX == nil && errY == nil && (total > i) == (j > 0) {
		return json.Number(strconv.FormatInt(total, 10))
	}
	f, _ := x.Float64()
	g, _ := y.Float64()
	return json.Number(strconv.FormatFloat(max(min(f+g, math.MaxFloat64), -math.MaxFloat64), 'g', -1, 64))
}

// decodeObject decodes a JSON object as Mixpanel keeps it: numbers exact,
// strings and names cut to 255 bytes.
func decodeObject(raw []byte) map[string]any {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var object map[string]any
	if d.Decode(&object) != nil {
		return nil // cannot be: the scanner accepted it
	}
	cut, _ := cutStrings(object).(map[string]any)
	return cut
}

// cutStrings cuts every string of a decoded value to what Mixpanel keeps.
func cutStrings(v any) any {
	switch v := v.(type) {
	case string:
		return truncate(v)
	case []any:
		for i := range v {
			v[i] = cutStrings(v[i])
		}
	case map[string]any:
		for name, member := range v {
			short := truncate(name)
			if short != name {
				delete(v, name)
			}
			v[short] = cutStrings(member)
		}
	}
	return v
}
