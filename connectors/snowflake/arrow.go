package snowflake

import (
	"bytes"
	"fmt"
	"math"
	"math/big"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/mixsync/mixsync/connectors/internal/arrowbatch"
	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/mapping/appendjson"
)

// convert reads the column's arrays. Snowflake sends numbers as the narrowest
// integers that hold a chunk's values, to be divided by the type's scale, and
// times as counts or as structs, so that arrays differ from chunk to chunk.
func (c *column) convert() arrowbatch.Convert {
	switch c.kind {
	case warehouse.Int:
		return c.ints
	case warehouse.Decimal:
		if c.typ == "decfloat" {
			return arrowbatch.Rendered(c.decfloat)
		}
		rendered := arrowbatch.Rendered(c.decimal)
		return func(col *warehouse.Column, a arrow.Array, from, to int) error {
			if col.Kind == warehouse.Int {
				return c.ints(col, a, from, to)
			}
			return rendered(col, a, from, to)
		}
	case warehouse.Float:
		return arrowbatch.Floats
	case warehouse.Bool:
		return arrowbatch.Bools
	case warehouse.Date:
		return arrowbatch.Dates
	case warehouse.Time:
		return c.times
	case warehouse.Timestamp, warehouse.TimestampTZ:
		return c.timestamps
	case warehouse.JSON:
		return c.documents()
	}
	return arrowbatch.Texts
}

func (c *column) ints(col *warehouse.Column, a arrow.Array, from, to int) error {
	wide, ok := a.(*array.Decimal128)
	if !ok {
		return arrowbatch.Ints(col, a, from, to)
	}
	for i := from; i < to; i++ {
		v := int64(0)
		if wide.IsValid(i) {
			number := wide.Value(i)
			v = int64(number.LowBits())
			if number.HighBits() != v>>63 {
				return c.tooLarge(number.BigInt().String())
			}
		}
		col.Int = append(col.Int, v)
	}
	arrowbatch.LendValid(col, a, from)
	return nil
}

func (c *column) decimal(dst []byte, a arrow.Array, i int) ([]byte, error) {
	switch a := a.(type) {
	case *array.Decimal128:
		if int(a.DataType().(*arrow.Decimal128Type).Scale) != c.scale {
			return append(dst, a.Value(i).ToString(int32(c.scale))...), nil
		}
		return arrowbatch.Decimals(dst, a, i)
	case *array.Int64:
		return appendjson.Scaled(dst, a.Value(i), c.scale), nil
	case *array.Int32:
		return appendjson.Scaled(dst, int64(a.Value(i)), c.scale), nil
	case *array.Int16:
		return appendjson.Scaled(dst, int64(a.Value(i)), c.scale), nil
	case *array.Int8:
		return appendjson.Scaled(dst, int64(a.Value(i)), c.scale), nil
	}
	return dst, c.unfit("an array of " + a.DataType().String())
}

// decfloat is struct{exponent, significand}, the latter in two's complement, most
// significant byte first.
func (c *column) decfloat(dst []byte, a arrow.Array, i int) ([]byte, error) {
	s, ok := a.(*array.Struct)
	if !ok || s.NumField() != 2 {
		return dst, c.unfit("an array of " + a.DataType().String())
	}
	exponent, ok1 := s.Field(0).(*array.Int16)
	significand, ok2 := s.Field(1).(*array.Binary)
	if !ok1 || !ok2 {
		return dst, c.unfit("an array of " + a.DataType().String())
	}
	raw := significand.Value(i)
	v := new(big.Int).SetBytes(raw)
	if len(raw) > 0 && raw[0]&0x80 != 0 {
		v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(8*len(raw))))
	}
	return appendPlain(dst, v.String(), int(exponent.Value(i))), nil
}

var powers = [...]int64{1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9}

// appendScaledTime appends a count of 10^-scale seconds.
func appendScaledTime(col *warehouse.Column, v int64, scale int) {
	if scale <= 6 {
		per := powers[6-scale]
		v = min(max(v, math.MinInt64/per+1), math.MaxInt64/per-1) // the very ends mean infinity
		arrowbatch.AppendTime(col, v*per, 0)
		return
	}
	per := powers[scale-6]
	micros := v / per
	rest := v % per
	if rest < 0 {
		micros, rest = micros-1, rest+per
	}
	arrowbatch.AppendTime(col, micros, int16(rest*powers[9-scale]))
}

func (c *column) times(col *warehouse.Column, a arrow.Array, from, to int) error {
	scale := min(max(c.scale, 0), 9)
	switch a := a.(type) {
	case *array.Int64:
		for _, v := range a.Int64Values()[from:to] {
			appendScaledTime(col, v, scale)
		}
	case *array.Int32:
		for _, v := range a.Int32Values()[from:to] {
			appendScaledTime(col, int64(v), scale)
		}
	default:
		return arrowbatch.Times(col, a, from, to)
	}
	arrowbatch.LendValid(col, a, from)
	return nil
}

// timestamps are counts of 10^-scale seconds, or structs of seconds, nanoseconds
// and, for a TIMESTAMP_TZ, the offset, which the instant does not need. A struct
// of two is a count and an offset.
func (c *column) timestamps(col *warehouse.Column, a arrow.Array, from, to int) error {
	scale := min(max(c.scale, 0), 9)
	switch a := a.(type) {
	case *array.Int64:
		for _, v := range a.Int64Values()[from:to] {
			appendScaledTime(col, v, scale)
		}
	case *array.Struct:
		counts, ok := a.Field(0).(*array.Int64)
		if !ok {
			return c.unfit("an array of " + a.DataType().String())
		}
		if c.typ == "timestamp_tz" && a.NumField() == 2 {
			for _, v := range counts.Int64Values()[from:to] {
				appendScaledTime(col, v, scale)
			}
			break
		}
		fractions, ok := a.Field(1).(*array.Int32)
		if !ok {
			return c.unfit("an array of " + a.DataType().String())
		}
		for i := from; i < to; i++ {
			seconds, nanos := counts.Value(i), int64(fractions.Value(i))
			seconds = min(max(seconds, math.MinInt64/1_000_000+1), math.MaxInt64/1_000_000-1)
			arrowbatch.AppendTime(col, seconds*1_000_000+nanos/1000, int16(nanos%1000))
		}
	default:
		return arrowbatch.Timestamps(col, a, from, to)
	}
	arrowbatch.LendValid(col, a, from)
	return nil
}

// documents are JSON text, or arrays that are nested themselves: a VECTOR, and
// structured types where the account has them sent so.
func (c *column) documents() arrowbatch.Convert {
	var nested arrowbatch.Convert
	var of arrow.DataType
	return func(col *warehouse.Column, a arrow.Array, from, to int) error {
		if text, ok := a.(*array.String); ok {
			if !hasUndefined(text, from, to) {
				return arrowbatch.Texts(col, a, from, to)
			}
			return arrowbatch.Rendered(func(dst []byte, a arrow.Array, i int) ([]byte, error) {
				return appendDefined(dst, []byte(a.(*array.String).Value(i))), nil
			})(col, a, from, to)
		}
		if nested == nil || !arrow.TypeEqual(of, a.DataType()) {
			value, err := arrowbatch.JSON(arrow.Field{Name: c.name, Type: a.DataType(), Nullable: true}, nil)
			if err != nil {
				return warehouse.Errorf(warehouse.ClassSchema, fmt.Sprintf("cast it in a query: CAST(%s AS VARIANT)", quote(c.name)), "column %q: %w", c.name, err)
			}
			nested, of = arrowbatch.Rendered(value), a.DataType()
		}
		return nested(col, a, from, to)
	}
}

// hasUndefined looks for what Snowflake writes and JSON does not know.
func hasUndefined(a *array.String, from, to int) bool {
	buffer := a.Data().Buffers()[2]
	if buffer == nil {
		return false
	}
	offsets := a.ValueOffsets()
	data := buffer.Bytes()[offsets[from]:offsets[to]]
	return bytes.Contains(data, []byte("undefined")) || bytes.Contains(data, []byte("NaN")) || bytes.Contains(data, []byte("Infinity")) || bytes.Contains(data, []byte("inf"))
}
