package bigquery

import (
	"time"

	"cloud.google.com/go/bigquery"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// typeOf is how a type of BigQuery is read, and its name in GoogleSQL.
type typeOf struct {
	kind     warehouse.Kind
	name     string
	sortable bool
}

var types = map[bigquery.FieldType]typeOf{
	bigquery.StringFieldType:     {warehouse.Text, "STRING", true},
	bigquery.BytesFieldType:      {warehouse.Bytes, "BYTES", true},
	bigquery.IntegerFieldType:    {warehouse.Int, "INT64", true},
	bigquery.FloatFieldType:      {warehouse.Float, "FLOAT64", true},
	bigquery.BooleanFieldType:    {warehouse.Bool, "BOOL", true},
	bigquery.TimestampFieldType:  {warehouse.TimestampTZ, "TIMESTAMP", true},
	bigquery.DateTimeFieldType:   {warehouse.Timestamp, "DATETIME", true},
	bigquery.DateFieldType:       {warehouse.Date, "DATE", true},
	bigquery.TimeFieldType:       {warehouse.Time, "TIME", true},
	bigquery.NumericFieldType:    {warehouse.Decimal, "NUMERIC", true},
	bigquery.BigNumericFieldType: {warehouse.Decimal, "BIGNUMERIC", true},
	bigquery.GeographyFieldType:  {warehouse.Text, "GEOGRAPHY", false}, // as WKT, which BigQuery prints
	bigquery.IntervalFieldType:   {warehouse.Text, "INTERVAL", true},
	bigquery.RangeFieldType:      {warehouse.Text, "RANGE", true},
	bigquery.JSONFieldType:       {warehouse.JSON, "JSON", false},
	bigquery.RecordFieldType:     {warehouse.JSON, "STRUCT", false},
}

// describe says a result's columns in mixsync's words.
func describe(schema bigquery.Schema) (*warehouse.Schema, error) {
	s := &warehouse.Schema{Fields: make([]warehouse.Field, len(schema))}
	for i, f := range schema {
		t, ok := types[f.Type]
		if !ok {
			return nil, warehouse.Errorf(warehouse.ClassSchema, "cast it to STRING in a query", "column %q has type %s, which this version of mixsync does not know", f.Name, f.Type)
		}
		if f.Repeated {
			t = typeOf{warehouse.JSON, "ARRAY<" + t.name + ">", false}
		}
		s.Fields[i] = warehouse.Field{Name: f.Name, Kind: t.kind, Type: t.name, NotNull: f.Required, Sortable: t.sortable}
	}
	return s, nil
}

func microTime(micros int64) time.Time { return time.UnixMicro(micros).UTC() }
