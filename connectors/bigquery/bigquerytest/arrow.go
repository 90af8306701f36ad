//go:build cgo

package bigquerytest

import (
	"math/big"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/decimal256"
	"github.com/duckdb/duckdb-go/v2"
	bq "google.golang.org/api/bigquery/v2"
)

// appendValue puts a value of the engine's into an array. The engine's results
// have the types that fieldOf was told: what does not fit panics.
func appendValue(b array.Builder, f *bq.TableFieldSchema, v any) {
	if f.Mode == "REPEATED" {
		element := *f
		element.Mode = "NULLABLE"
		list := b.(*array.ListBuilder)
		list.Append(true) // an array that is NULL is an empty one in a result
		values, _ := v.([]any)
		for _, v := range values {
			appendValue(list.ValueBuilder(), &element, v)
		}
		return
	}
	if v == nil {
		b.AppendNull()
		return
	}
	switch f.Type {
	case "RECORD":
		s := b.(*array.StructBuilder)
		s.Append(true)
		for i, part := range f.Fields {
			appendValue(s.FieldBuilder(i), part, v.(map[string]any)[part.Name])
		}
		return
	case "RANGE":
		s := b.(*array.StructBuilder)
		s.Append(true)
		bound := &bq.TableFieldSchema{Type: f.RangeElementType.Type}
		appendValue(s.FieldBuilder(0), bound, v.(map[string]any)[markStart])
		appendValue(s.FieldBuilder(1), bound, v.(map[string]any)[markEnd])
		return
	}
	appendScalar(b, v)
}

func appendScalar(b array.Builder, v any) {
	if wrapped, ok := v.(map[string]any); ok { // of a type that the engine has not
		for _, inner := range wrapped {
			v = inner
		}
	}
	switch b := b.(type) {
	case *array.StringBuilder:
		b.Append(v.(string))
	case *array.BinaryBuilder:
		b.Append(v.([]byte))
	case *array.Int64Builder:
		b.Append(integer(v))
	case *array.Float64Builder:
		if single, ok := v.(float32); ok {
			v = float64(single)
		}
		b.Append(v.(float64))
	case *array.BooleanBuilder:
		b.Append(v.(bool))
	case *array.Decimal128Builder:
		d := v.(duckdb.Decimal)
		n := new(big.Int).Exp(big.NewInt(10), big.NewInt(9-int64(d.Scale)), nil)
		b.Append(decimal128.FromBigInt(n.Mul(n, d.Value)))
	case *array.Decimal256Builder:
		n, err := decimal256.FromString(v.(string), 76, 38)
		if err != nil {
			panic(err)
		}
		b.Append(n)
	case *array.Date32Builder:
		b.Append(arrow.Date32FromTime(v.(time.Time)))
	case *array.Time64Builder:
		t := v.(time.Time).UTC()
		b.Append(arrow.Time64(t.Sub(time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)).Microseconds()))
	case *array.TimestampBuilder:
		b.Append(arrow.Timestamp(v.(time.Time).UnixMicro()))
	case *array.MonthDayNanoIntervalBuilder:
		i := v.(duckdb.Interval)
		b.Append(arrow.MonthDayNanoInterval{Months: i.Months, Days: i.Days, Nanoseconds: i.Micros * 1000})
	}
}

func integer(v any) int64 {
	switch v := v.(type) {
	case int64:
		return v
	case int32:
		return int64(v)
	case int16:
		return int64(v)
	case int8:
		return int64(v)
	case *big.Int:
		return v.Int64()
	}
	panic("an integer of another type")
}
