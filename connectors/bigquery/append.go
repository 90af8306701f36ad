package bigquery

import (
	"fmt"

	"cloud.google.com/go/bigquery"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// appender puts a cell of a page into an array: text, a list of cells for an array,
// a row of them for a struct, nil for NULL.
type appender func(b array.Builder, v any) error

// Digits of a NUMERIC and a BIGNUMERIC, and those behind the point.
const (
	numericDigits, numericScale       = 38, 9
	bigNumericDigits, bigNumericScale = 76, 38
)

var arrowTypes = map[bigquery.FieldType]arrow.DataType{
	bigquery.StringFieldType:     arrow.BinaryTypes.String,
	bigquery.BytesFieldType:      arrow.BinaryTypes.Binary,
	bigquery.IntegerFieldType:    arrow.PrimitiveTypes.Int64,
	bigquery.FloatFieldType:      arrow.PrimitiveTypes.Float64,
	bigquery.BooleanFieldType:    arrow.FixedWidthTypes.Boolean,
	bigquery.TimestampFieldType:  arrow.FixedWidthTypes.Timestamp_us,
	bigquery.DateTimeFieldType:   &arrow.TimestampType{Unit: arrow.Microsecond},
	bigquery.DateFieldType:       arrow.FixedWidthTypes.Date32,
	bigquery.TimeFieldType:       arrow.FixedWidthTypes.Time64us,
	bigquery.NumericFieldType:    &arrow.Decimal128Type{Precision: numericDigits, Scale: numericScale},
	bigquery.BigNumericFieldType: &arrow.Decimal256Type{Precision: bigNumericDigits, Scale: bigNumericScale},
	bigquery.GeographyFieldType:  arrow.BinaryTypes.String,
	bigquery.IntervalFieldType:   arrow.FixedWidthTypes.MonthDayNanoInterval,
	bigquery.JSONFieldType:       arrow.BinaryTypes.String,
}

// arrowSchema is the columns as the Storage Read API would have them.
func arrowSchema(schema bigquery.Schema) (*arrow.Schema, error) {
	fields, err := arrowFields(schema)
	if err != nil {
		return nil, err
	}
	return arrow.NewSchema(fields, nil), nil
}

func arrowFields(schema bigquery.Schema) ([]arrow.Field, error) {
	fields := make([]arrow.Field, len(schema))
	for i, f := range schema {
		t := arrowTypes[f.Type]
		switch {
		case f.Type == bigquery.RecordFieldType:
			parts, err := arrowFields(f.Schema)
			if err != nil {
				return nil, err
			}
			t = arrow.StructOf(parts...)
		case f.Type == bigquery.RangeFieldType && f.RangeElementType != nil && arrowTypes[f.RangeElementType.Type] != nil:
			bound := arrowTypes[f.RangeElementType.Type]
			t = arrow.StructOf(arrow.Field{Name: "start", Type: bound, Nullable: true}, arrow.Field{Name: "end", Type: bound, Nullable: true})
		case t == nil:
			return nil, fmt.Errorf("column %q has type %s, which cannot be read", f.Name, f.Type)
		}
		if f.Repeated {
			t = arrow.ListOf(t)
		}
		fields[i] = arrow.Field{Name: f.Name, Type: t, Nullable: true}
	}
	return fields, nil
}

// appenderOf chooses how cells of a field are put into its array.
func appenderOf(f *bigquery.FieldSchema) appender {
	put := appendText
	switch f.Type {
	case bigquery.RecordFieldType:
		put = structAppender(f.Schema)
	case bigquery.RangeFieldType:
		put = appendRange
	}
	put = orNull(put)
	if !f.Repeated {
		return put
	}
	return orNull(func(b array.Builder, v any) error {
		cells, ok := v.([]any)
		if !ok {
			return unexpected(v)
		}
		list := b.(*array.ListBuilder)
		list.Append(true)
		for _, cell := range cells {
			inner, err := inCell(cell)
			if err != nil {
				return err
			}
			if err := put(list.ValueBuilder(), inner); err != nil {
				return err
			}
		}
		return nil
	})
}

func orNull(put appender) appender {
	return func(b array.Builder, v any) error {
		if v == nil {
			b.AppendNull()
			return nil
		}
		return put(b, v)
	}
}

func structAppender(schema bigquery.Schema) appender {
	parts := make([]appender, len(schema))
	for i, f := range schema {
		parts[i] = appenderOf(f)
	}
	return func(b array.Builder, v any) error {
		row, ok := v.(map[string]any)
		if !ok {
			return unexpected(v)
		}
		cells, ok := row["f"].([]any)
		if !ok || len(cells) != len(parts) {
			return unexpected(row["f"])
		}
		s := b.(*array.StructBuilder)
		s.Append(true)
		for i, cell := range cells {
			inner, err := inCell(cell)
			if err != nil {
				return err
			}
			if err := parts[i](s.FieldBuilder(i), inner); err != nil {
				return err
			}
		}
		return nil
	}
}

// inCell takes a value out of a cell within another.
func inCell(cell any) (any, error) {
	wrapped, ok := cell.(map[string]any)
	if !ok {
		return nil, unexpected(cell)
	}
	return wrapped["v"], nil
}

func unexpected(v any) error { return fmt.Errorf("an unexpected value of %T came", v) }
