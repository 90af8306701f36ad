//go:build cgo

package snowflaketest

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

const (
	dimensions = 3   // of every vector
	offset     = 120 // minutes, of every TIMESTAMP_TZ
)

var nanoseconds = []arrow.Field{{Name: "epoch", Type: arrow.PrimitiveTypes.Int64}, {Name: "fraction", Type: arrow.PrimitiveTypes.Int32}}

// arrowType is what the chunk's values are sent as.
func (c *column) arrowType() arrow.DataType {
	switch c.typ {
	case "fixed":
		if c.physical == wide {
			return &arrow.Decimal128Type{Precision: 38, Scale: int32(c.scale)}
		}
		return narrowest(c.ints)
	case "real":
		return arrow.PrimitiveTypes.Float64
	case "boolean":
		return arrow.FixedWidthTypes.Boolean
	case "date":
		return arrow.FixedWidthTypes.Date32
	case "time":
		return arrow.PrimitiveTypes.Int64
	case "timestamp_ntz", "timestamp_ltz":
		if c.scale == 9 {
			return arrow.StructOf(nanoseconds...)
		}
		return arrow.PrimitiveTypes.Int64
	case "timestamp_tz":
		return arrow.StructOf(append(nanoseconds[:2:2], arrow.Field{Name: "timezone", Type: arrow.PrimitiveTypes.Int32})...)
	case "binary":
		return arrow.BinaryTypes.Binary
	case "vector":
		return arrow.FixedSizeListOf(dimensions, arrow.PrimitiveTypes.Float32)
	case "decfloat":
		return arrow.StructOf(arrow.Field{Name: "exponent", Type: arrow.PrimitiveTypes.Int16}, arrow.Field{Name: "significand", Type: arrow.BinaryTypes.Binary})
	}
	return arrow.BinaryTypes.String
}

// narrowest is the integer type that holds the values, as Snowflake chooses it.
func narrowest(values []int64) arrow.DataType {
	least, most := int64(0), int64(0)
	for _, v := range values {
		least, most = min(least, v), max(most, v)
	}
	switch {
	case least >= math.MinInt8 && most <= math.MaxInt8:
		return arrow.PrimitiveTypes.Int8
	case least >= math.MinInt16 && most <= math.MaxInt16:
		return arrow.PrimitiveTypes.Int16
	case least >= math.MinInt32 && most <= math.MaxInt32:
		return arrow.PrimitiveTypes.Int32
	}
	return arrow.PrimitiveTypes.Int64
}

func (c *column) array(t arrow.DataType, from, to int) arrow.Array {
	b := array.NewBuilder(memory.DefaultAllocator, t)
	defer b.Release()
	b.Reserve(to - from)
	for i := from; i < to; i++ {
		if !c.valid[i] {
			b.AppendNull()
			continue
		}
		c.append(b, i)
	}
	return b.NewArray()
}

func (c *column) append(b array.Builder, i int) {
	switch b := b.(type) {
	case *array.Int8Builder:
		b.Append(int8(c.ints[i]))
	case *array.Int16Builder:
		b.Append(int16(c.ints[i]))
	case *array.Int32Builder:
		b.Append(int32(c.ints[i]))
	case *array.Int64Builder:
		b.Append(c.ints[i])
	case *array.Decimal128Builder:
		b.Append(decimal128.New(c.huges[i].upper, c.huges[i].lower))
	case *array.Float64Builder:
		b.Append(c.floats[i])
	case *array.BooleanBuilder:
		b.Append(c.ints[i] != 0)
	case *array.Date32Builder:
		b.Append(arrow.Date32(c.ints[i]))
	case *array.BinaryBuilder:
		b.AppendString(c.texts[i])
	case *array.StringBuilder:
		b.Append(c.texts[i])
	case *array.FixedSizeListBuilder:
		var values [dimensions]float32
		if err := json.Unmarshal([]byte(c.texts[i]), &values); err != nil {
			panic(err) // of a test's own literal
		}
		b.Append(true)
		b.ValueBuilder().(*array.Float32Builder).AppendValues(values[:], nil)
	case *array.StructBuilder:
		b.Append(true)
		if c.typ == "decfloat" {
			exponent, significand := c.significand(i)
			b.FieldBuilder(0).(*array.Int16Builder).Append(exponent)
			b.FieldBuilder(1).(*array.BinaryBuilder).Append(significand)
			return
		}
		seconds, nanos := c.moment(i)
		b.FieldBuilder(0).(*array.Int64Builder).Append(seconds)
		b.FieldBuilder(1).(*array.Int32Builder).Append(int32(nanos))
		if b.NumField() == 3 {
			b.FieldBuilder(2).(*array.Int32Builder).Append(1440 + offset)
		}
	}
}

// moment is a time in seconds, and nanoseconds beyond them.
func (c *column) moment(i int) (seconds, nanos int64) {
	per := int64(math.Pow10(c.scale))
	seconds, rest := c.ints[i]/per, c.ints[i]%per
	if rest < 0 {
		seconds, rest = seconds-1, rest+per
	}
	return seconds, rest * int64(math.Pow10(9-c.scale))
}

// significand takes a number without exponent apart.
func (c *column) significand(i int) (int16, []byte) {
	r, ok := new(big.Rat).SetString(c.texts[i])
	if !ok {
		panic(c.texts[i]) // a test's own literal
	}
	exponent := int16(0)
	for !r.IsInt() {
		r.Mul(r, big.NewRat(10, 1))
		exponent--
	}
	v := r.Num()
	if v.Sign() < 0 {
		v = new(big.Int).Add(v, new(big.Int).Lsh(big.NewInt(1), 128))
	}
	return exponent, v.FillBytes(make([]byte, 16+1))[1:]
}

// line is a value as a server that speaks JSON writes it; nil for NULL.
func (c *column) line(i int) *string {
	if !c.valid[i] {
		return nil
	}
	s := ""
	switch {
	case c.physical == wide:
		s = decimal128.New(c.huges[i].upper, c.huges[i].lower).ToString(int32(c.scale))
	case c.typ == "fixed":
		s = decimal128.FromI64(c.ints[i]).ToString(int32(c.scale))
	case c.typ == "real":
		s = strconv.FormatFloat(c.floats[i], 'g', -1, 64)
	case c.typ == "time", c.physical == whole && c.typ != "date" && c.typ != "boolean":
		seconds, nanos := c.moment(i)
		if seconds < 0 && nanos > 0 { // sign and size apart, as Snowflake writes it
			s = fmt.Sprintf("-%d.%09d", -(seconds + 1), 1_000_000_000-nanos)
		} else {
			s = fmt.Sprintf("%d.%09d", seconds, nanos)
		}
		if c.typ == "timestamp_tz" {
			s += fmt.Sprintf(" %d", 1440+offset)
		}
	case c.physical == whole:
		s = strconv.FormatInt(c.ints[i], 10)
	case c.typ == "binary":
		s = hex.EncodeToString([]byte(c.texts[i]))
	default:
		s = c.texts[i]
	}
	return &s
}
