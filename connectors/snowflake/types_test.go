package snowflake_test

import (
	"fmt"
	"strings"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/connectors/warehouse/warehousetest"
)

// types are Snowflake's, each with a value.
var types = []warehousetest.Type{
	{Name: "NUMBER(38,0)", Literal: "CAST(42 AS NUMBER(38,0))", Kind: warehouse.Decimal, Want: "42"},
	{Name: "NUMBER(38,0), all of it", Literal: "CAST(-99999999999999999999999999999999999999 AS NUMBER(38,0))", Kind: warehouse.Decimal, Want: "-99999999999999999999999999999999999999"},
	{Name: "NUMBER(19,0), 64 bits of it", Literal: "CAST(-9223372036854775808 AS NUMBER(19,0))", Kind: warehouse.Int, Want: "-9223372036854775808"},
	{Name: "NUMBER(9,0)", Literal: "CAST(-7 AS NUMBER(9,0))", Kind: warehouse.Int, Want: "-7"},
	{Name: "NUMBER(10,2)", Literal: "CAST(-0.05 AS NUMBER(10,2))", Kind: warehouse.Decimal, Want: "-0.05"},
	{Name: "NUMBER(38,10)", Literal: "CAST(1234567890123456789012345678.0123456789 AS NUMBER(38,10))", Kind: warehouse.Decimal, Want: "1234567890123456789012345678.0123456789"},
	{Name: "DECFLOAT", Literal: "TO_DECFLOAT('-12.5')", Kind: warehouse.Decimal, Want: "-12.5"},
	{Name: "FLOAT", Literal: "CAST(0.1 AS FLOAT)", Kind: warehouse.Float, Want: "0.1"},
	{Name: "VARCHAR", Literal: "CAST('Grüße' AS VARCHAR)", Kind: warehouse.Text, Want: "Grüße"},
	{Name: "BOOLEAN", Literal: "CAST(1 AS BOOLEAN)", Kind: warehouse.Bool, Want: "true"},
	{Name: "BINARY", Literal: "TO_BINARY('00FF')", Kind: warehouse.Bytes, Want: "00ff"},
	{Name: "DATE", Literal: "CAST('1969-12-31' AS DATE)", Kind: warehouse.Date, Want: "1969-12-31"},
	{Name: "DATE, far away", Literal: "CAST('9999-12-31' AS DATE)", Kind: warehouse.Date, Want: "9999-12-31"},
	{Name: "TIME", Literal: "CAST('12:34:56.000001' AS TIME)", Kind: warehouse.Time, Want: "45296000001"},
	{Name: "TIMESTAMP_NTZ", Literal: "TO_TIMESTAMP_NTZ('2026-01-31 12:00:00.123456789')", Kind: warehouse.Timestamp, Want: "2026-01-31T12:00:00.123456789"},
	{Name: "TIMESTAMP_NTZ(6), far away", Literal: "CAST('9999-12-31 23:59:59.999999' AS TIMESTAMP_NTZ)", Kind: warehouse.Timestamp, Want: "9999-12-31T23:59:59.999999"},
	{Name: "TIMESTAMP_NTZ before 1970", Literal: "TO_TIMESTAMP_NTZ('1969-12-31 23:59:59.999999999')", Kind: warehouse.Timestamp, Want: "1969-12-31T23:59:59.999999999"},
	{Name: "TIMESTAMP_LTZ", Literal: "TO_TIMESTAMP_LTZ('2026-01-31T12:00:00.000000001Z')", Kind: warehouse.TimestampTZ, Want: "2026-01-31T12:00:00.000000001Z"},
	{Name: "TIMESTAMP_LTZ(6)", Literal: "CAST('2026-01-31T12:00:00.000001Z' AS TIMESTAMP_LTZ)", Kind: warehouse.TimestampTZ, Want: "2026-01-31T12:00:00.000001Z"},
	{Name: "TIMESTAMP_TZ", Literal: "TO_TIMESTAMP_TZ('2026-01-31T14:00:00.5+02:00')", Kind: warehouse.TimestampTZ, Want: "2026-01-31T12:00:00.5Z"},
	{Name: "VARIANT", Literal: `PARSE_JSON('{"a": [1, undefined], "b": "undefined"}')`, Kind: warehouse.JSON, Want: `{"a":[1,null],"b":"undefined"}`, Unsortable: true},
	{Name: "OBJECT", Literal: `TO_OBJECT(PARSE_JSON('{"a": {"b": "ü"}}'))`, Kind: warehouse.JSON, Want: `{"a":{"b":"ü"}}`, Unsortable: true},
	{Name: "ARRAY", Literal: `TO_ARRAY(PARSE_JSON('[1, "x", null]'))`, Kind: warehouse.JSON, Want: `[1,"x",null]`, Unsortable: true},
	{Name: "GEOGRAPHY", Literal: `TO_GEOGRAPHY('{"coordinates": [13.4, 52.5], "type": "Point"}')`, Kind: warehouse.JSON, Want: `{"coordinates":[13.4,52.5],"type":"Point"}`, Unsortable: true},
	{Name: "VECTOR", Literal: "TO_VECTOR('[1, 0.5, -2]')", Kind: warehouse.JSON, Want: "[1,0.5,-2]", Unsortable: true},
}

var typeNames = map[warehouse.Kind]string{
	warehouse.Int: "NUMBER(38,0)", warehouse.Text: "VARCHAR", warehouse.Date: "DATE",
	warehouse.Timestamp: "TIMESTAMP_NTZ", warehouse.TimestampTZ: "TIMESTAMP_LTZ",
}

func createTable(name string, columns []warehousetest.Column, rows [][]*string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE TABLE %s (", name)
	for i, c := range columns {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, `"%s" %s`, strings.ReplaceAll(c.Name, `"`, `""`), typeNames[c.Kind])
		if c.NotNull {
			b.WriteString(" NOT NULL")
		}
	}
	b.WriteString(");\n")
	for _, row := range rows {
		values := make([]string, len(row))
		for i, v := range row {
			values[i] = "NULL"
			if v != nil {
				values[i] = "'" + strings.ReplaceAll(*v, "'", "''") + "'"
			}
		}
		fmt.Fprintf(&b, "INSERT INTO %s VALUES (%s);\n", name, strings.Join(values, ", "))
	}
	return b.String()
}
