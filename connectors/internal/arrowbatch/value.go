package arrowbatch

import (
	"encoding/base64"
	"fmt"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/mixsync/mixsync/mapping/appendjson"
)

// Value appends one value of an array that is not NULL.
type Value func(dst []byte, a arrow.Array, i int) ([]byte, error)

// maxDepth bounds recursion into nested types. No warehouse nests deeper.
const maxDepth = 64

// JSON makes a Value that writes the values of a type as JSON: lists as arrays,
// structs as objects, maps as objects by the text of their keys. Dates and times
// are written as properties have them, numbers that a float64 does not hold as
// strings, what is no number in JSON as null.
//
// special, if not nil, is asked first about every field on the way, the given one
// included, and returns nil for those that are what their Arrow type says.
func JSON(field arrow.Field, special func(arrow.Field) Value) (Value, error) {
	return nested(field, special, maxDepth)
}

func nested(field arrow.Field, special func(arrow.Field) Value, depth int) (Value, error) {
	if depth == 0 {
		return nil, fmt.Errorf("%s is nested more than %d levels deep", field.Type, maxDepth)
	}
	if special != nil {
		if v := special(field); v != nil {
			return v, nil
		}
	}
	switch t := field.Type.(type) {
	case *arrow.ListType:
		return list(t.ElemField(), special, depth)
	case *arrow.FixedSizeListType:
		return list(t.ElemField(), special, depth)
	case *arrow.MapType:
		return mapped(t, special, depth)
	case *arrow.StructType:
		return object(t, special, depth)
	}
	return leaf(field.Type)
}

// orNull wraps a Value for elements, which may be NULL.
func orNull(v Value) Value {
	return func(dst []byte, a arrow.Array, i int) ([]byte, error) {
		if a.IsNull(i) {
			return append(dst, "null"...), nil
		}
		return v(dst, a, i)
	}
}

func list(elem arrow.Field, special func(arrow.Field) Value, depth int) (Value, error) {
	inner, err := nested(elem, special, depth-1)
	if err != nil {
		return nil, err
	}
	inner = orNull(inner)
	return func(dst []byte, a arrow.Array, i int) ([]byte, error) {
		lists, ok := a.(array.ListLike)
		if !ok {
			return dst, Unfit(a, "lists")
		}
		from, to := lists.ValueOffsets(i)
		values := lists.ListValues()
		dst = append(dst, '[')
		for at := from; at < to; at++ {
			if at > from {
				dst = append(dst, ',')
			}
			if dst, err = inner(dst, values, int(at)); err != nil {
				return dst, err
			}
		}
		return append(dst, ']'), nil
	}, nil
}

func mapped(t *arrow.MapType, special func(arrow.Field) Value, depth int) (Value, error) {
	key, err := nested(t.KeyField(), special, depth-1)
	if err != nil {
		return nil, err
	}
	value, err := nested(t.ItemField(), special, depth-1)
	if err != nil {
		return nil, err
	}
	value = orNull(value)
	return func(dst []byte, a arrow.Array, i int) ([]byte, error) {
		m, ok := a.(*array.Map)
		if !ok {
			return dst, Unfit(a, "maps")
		}
		from, to := m.ValueOffsets(i)
		dst = append(dst, '{')
		for at := int(from); at < int(to); at++ {
			if at > int(from) {
				dst = append(dst, ',')
			}
			start := len(dst)
			if dst, err = key(dst, m.Keys(), at); err != nil {
				return dst, err
			}
			if dst[start] != '"' { // a number, or a nested value: its JSON is the name
				var scratch [64]byte
				dst = appendjson.Whole(dst[:start], append(scratch[:0], dst[start:]...))
			}
			if dst, err = value(append(dst, ':'), m.Items(), at); err != nil {
				return dst, err
			}
		}
		return append(dst, '}'), nil
	}, nil
}

func object(t *arrow.StructType, special func(arrow.Field) Value, depth int) (Value, error) {
	values, names := make([]Value, t.NumFields()), make([][]byte, t.NumFields())
	for i, f := range t.Fields() {
		v, err := nested(f, special, depth-1)
		if err != nil {
			return nil, err
		}
		values[i] = orNull(v)
		names[i] = append(appendjson.Whole(nil, []byte(f.Name)), ':')
	}
	return func(dst []byte, a arrow.Array, row int) ([]byte, error) {
		s, ok := a.(*array.Struct)
		if !ok {
			return dst, Unfit(a, "structs")
		}
		dst = append(dst, '{')
		var err error
		for i, value := range values {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = value(append(dst, names[i]...), s.Field(i), row); err != nil {
				return dst, err
			}
		}
		return append(dst, '}'), nil
	}, nil
}

// leaf writes a value that is not nested.
func leaf(t arrow.DataType) (Value, error) {
	switch t.ID() {
	case arrow.BOOL:
		return func(dst []byte, a arrow.Array, i int) ([]byte, error) {
			return strconv.AppendBool(dst, a.(*array.Boolean).Value(i)), nil
		}, nil
	case arrow.STRING:
		return func(dst []byte, a arrow.Array, i int) ([]byte, error) {
			return appendjson.Whole(dst, bytesOf(a, a.(*array.String).ValueOffsets(), i)), nil
		}, nil
	case arrow.BINARY:
		return func(dst []byte, a arrow.Array, i int) ([]byte, error) {
			dst = base64.StdEncoding.AppendEncode(append(dst, '"'), a.(*array.Binary).Value(i))
			return append(dst, '"'), nil
		}, nil
	case arrow.FLOAT32:
		return func(dst []byte, a arrow.Array, i int) ([]byte, error) {
			return floatOrNull(dst, float64(a.(*array.Float32).Value(i)), 32), nil
		}, nil
	case arrow.FLOAT64:
		return func(dst []byte, a arrow.Array, i int) ([]byte, error) {
			return floatOrNull(dst, a.(*array.Float64).Value(i), 64), nil
		}, nil
	case arrow.DECIMAL128, arrow.DECIMAL256:
		return func(dst []byte, a arrow.Array, i int) ([]byte, error) {
			var scratch [96]byte
			text, err := Decimals(scratch[:0], a, i)
			if err != nil {
				return dst, err
			}
			dst, _ = appendjson.Decimal(dst, text, &appendjson.Tally{})
			return dst, nil
		}, nil
	}
	return whole(t)
}

// whole writes a value that an int64 holds: integers, dates and times.
func whole(t arrow.DataType) (Value, error) {
	var write func(dst []byte, v int64) []byte
	switch t := t.(type) {
	case *arrow.Int8Type, *arrow.Int16Type, *arrow.Int32Type, *arrow.Int64Type, *arrow.Uint8Type, *arrow.Uint16Type, *arrow.Uint32Type:
		write = appendjson.Int
	case *arrow.Date32Type:
		write = appendjson.Date
	case *arrow.Time32Type:
		write = timed(t.Unit, appendjson.Time)
	case *arrow.Time64Type:
		write = timed(t.Unit, appendjson.Time)
	case *arrow.TimestampType:
		write = timed(t.Unit, appendjson.Timestamp)
	default:
		return nil, fmt.Errorf("values of Arrow type %s cannot be read", t)
	}
	return func(dst []byte, a arrow.Array, i int) ([]byte, error) {
		v, ok := intAt(a, i)
		if !ok {
			return dst, Unfit(a, t.String())
		}
		return write(dst, v), nil
	}, nil
}

// timed lets a time of any unit be written from microseconds and nanoseconds.
func timed(unit arrow.TimeUnit, write func(dst []byte, micros int64, sub int16) []byte) func(dst []byte, v int64) []byte {
	return func(dst []byte, v int64) []byte {
		switch unit {
		case arrow.Second:
			return write(dst, times(v, 1_000_000), 0)
		case arrow.Millisecond:
			return write(dst, times(v, 1000), 0)
		case arrow.Nanosecond:
			micros, sub := splitNanos(v)
			return write(dst, micros, sub)
		}
		return write(dst, v, 0)
	}
}

// intAt is value i of an array of integers, dates or times.
func intAt(a arrow.Array, i int) (int64, bool) {
	switch a := a.(type) {
	case *array.Int64:
		return a.Value(i), true
	case *array.Int32:
		return int64(a.Value(i)), true
	case *array.Int16:
		return int64(a.Value(i)), true
	case *array.Int8:
		return int64(a.Value(i)), true
	case *array.Uint32:
		return int64(a.Value(i)), true
	case *array.Uint16:
		return int64(a.Value(i)), true
	case *array.Uint8:
		return int64(a.Value(i)), true
	case *array.Date32:
		return int64(a.Value(i)), true
	case *array.Time32:
		return int64(a.Value(i)), true
	case *array.Time64:
		return int64(a.Value(i)), true
	case *array.Timestamp:
		return int64(a.Value(i)), true
	}
	return 0, false
}

func floatOrNull(dst []byte, v float64, bits int) []byte {
	dst, ok := appendjson.Float(dst, v, bits)
	if !ok {
		return append(dst, "null"...)
	}
	return dst
}

// bytesOf is the text of value i, valid as long as the array.
func bytesOf(a arrow.Array, offsets []int32, i int) []byte {
	buffer := a.Data().Buffers()[2]
	if buffer == nil {
		return nil
	}
	return buffer.Bytes()[offsets[i]:offsets[i+1]]
}
