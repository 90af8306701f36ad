package bigquery

import (
	"bytes"

	"cloud.google.com/go/bigquery"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/mixsync/mixsync/connectors/internal/arrowbatch"
	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/mapping/appendjson"
)

// converters chooses how each column of record batches becomes one of a batch.
func converters(schema bigquery.Schema, wire *arrow.Schema) ([]arrowbatch.Convert, error) {
	if wire.NumFields() != len(schema) {
		return nil, warehouse.Errorf(warehouse.ClassQuery, "run again", "the result has %d columns, and its record batches %d", len(schema), wire.NumFields())
	}
	converts := make([]arrowbatch.Convert, len(schema))
	for i, f := range schema {
		var err error
		if converts[i], err = converter(f, wire.Field(i)); err != nil {
			return nil, warehouse.Errorf(warehouse.ClassSchema, "cast it to STRING in a query", "column %q: %w", f.Name, err)
		}
	}
	return converts, nil
}

func converter(f *bigquery.FieldSchema, wire arrow.Field) (arrowbatch.Convert, error) {
	if f.Repeated || f.Type == bigquery.RecordFieldType {
		value, err := arrowbatch.JSON(marked(f, wire), special)
		if err != nil {
			return nil, err
		}
		return arrowbatch.Rendered(value), nil
	}
	switch f.Type {
	case bigquery.IntegerFieldType:
		return arrowbatch.Ints, nil
	case bigquery.FloatFieldType:
		return arrowbatch.Floats, nil
	case bigquery.BooleanFieldType:
		return arrowbatch.Bools, nil
	case bigquery.DateFieldType:
		return arrowbatch.Dates, nil
	case bigquery.TimeFieldType:
		return arrowbatch.Times, nil
	case bigquery.DateTimeFieldType, bigquery.TimestampFieldType:
		return arrowbatch.Timestamps, nil
	case bigquery.NumericFieldType, bigquery.BigNumericFieldType:
		return arrowbatch.Rendered(decimalText), nil
	case bigquery.IntervalFieldType:
		return arrowbatch.Rendered(intervalText), nil
	case bigquery.RangeFieldType:
		return arrowbatch.Rendered(rangeText), nil
	}
	return arrowbatch.Texts, nil
}

// The type of BigQuery that an Arrow field has is kept by this key in its metadata.
const typeKey = "bigquery.type"

// marked is an Arrow field whose parts tell their types of BigQuery, which say
// more: a JSON value and a string are the same to Arrow.
func marked(f *bigquery.FieldSchema, wire arrow.Field) arrow.Field {
	if list, ok := wire.Type.(*arrow.ListType); ok && f.Repeated {
		element := *f
		element.Repeated = false
		wire.Type = arrow.ListOfField(marked(&element, list.ElemField()))
		return wire
	}
	if s, ok := wire.Type.(*arrow.StructType); ok && f.Type == bigquery.RecordFieldType && s.NumFields() == len(f.Schema) {
		parts := make([]arrow.Field, s.NumFields())
		for i, part := range s.Fields() {
			parts[i] = marked(f.Schema[i], part)
		}
		wire.Type = arrow.StructOf(parts...)
		return wire
	}
	wire.Metadata = arrow.NewMetadata([]string{typeKey}, []string{string(f.Type)})
	return wire
}

// special writes the values within others that are not what their Arrow type says.
func special(f arrow.Field) arrowbatch.Value {
	name, _ := f.Metadata.GetValue(typeKey)
	switch bigquery.FieldType(name) {
	case bigquery.JSONFieldType:
		return rawText
	case bigquery.IntervalFieldType:
		return inQuotes(intervalText)
	case bigquery.RangeFieldType:
		return inQuotes(rangeText)
	}
	return nil
}

// inQuotes makes a JSON string of text that JSON does not escape.
func inQuotes(value arrowbatch.Value) arrowbatch.Value {
	return func(dst []byte, a arrow.Array, i int) ([]byte, error) {
		dst, err := value(append(dst, '"'), a, i)
		return append(dst, '"'), err
	}
}

func rawText(dst []byte, a arrow.Array, i int) ([]byte, error) {
	text, ok := a.(*array.String)
	if !ok {
		return dst, arrowbatch.Unfit(a, string(bigquery.JSONFieldType))
	}
	return append(dst, text.Value(i)...), nil
}

// decimalText writes a number as BigQuery prints it, without trailing zeros.
func decimalText(dst []byte, a arrow.Array, i int) ([]byte, error) {
	start := len(dst)
	dst, err := arrowbatch.Decimals(dst, a, i)
	if err != nil || bytes.IndexByte(dst[start:], '.') < 0 {
		return dst, err
	}
	return bytes.TrimSuffix(bytes.TrimRight(dst, "0"), []byte(".")), nil
}

// intervalText writes an interval by ISO 8601, every part with its own sign: P1Y2M-3DT4H.
func intervalText(dst []byte, a arrow.Array, i int) ([]byte, error) {
	intervals, ok := a.(*array.MonthDayNanoInterval)
	if !ok {
		return dst, arrowbatch.Unfit(a, string(bigquery.IntervalFieldType))
	}
	v := intervals.Value(i)
	return appendjson.IntervalText(dst, int64(v.Months), int64(v.Days), v.Nanoseconds/1000, int16(v.Nanoseconds%1000)), nil
}

// rangeText writes a range as BigQuery does, with times as mixsync has them.
func rangeText(dst []byte, a arrow.Array, i int) ([]byte, error) {
	s, ok := a.(*array.Struct)
	if !ok || s.NumField() != 2 {
		return dst, arrowbatch.Unfit(a, string(bigquery.RangeFieldType))
	}
	dst, err := appendBound(append(dst, '['), s.Field(0), i)
	if err != nil {
		return dst, err
	}
	dst, err = appendBound(append(dst, ", "...), s.Field(1), i)
	return append(dst, ')'), err
}

func appendBound(dst []byte, a arrow.Array, i int) ([]byte, error) {
	if a.IsNull(i) {
		return append(dst, "UNBOUNDED"...), nil
	}
	switch a := a.(type) {
	case *array.Date32:
		return append(dst, warehouse.Cursor{Ticks: int64(a.Value(i))}.Text(warehouse.Date)...), nil
	case *array.Timestamp:
		kind, micros := warehouse.Timestamp, int64(a.Value(i))
		if a.DataType().(*arrow.TimestampType).TimeZone != "" {
			kind = warehouse.TimestampTZ
		}
		return append(dst, warehouse.Cursor{Ticks: micros}.Text(kind)...), nil
	}
	return dst, arrowbatch.Unfit(a, string(bigquery.RangeFieldType))
}
