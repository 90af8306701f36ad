package snowflake

import (
	"fmt"
	"strings"

	sf "github.com/snowflakedb/gosnowflake"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// column is a result's column as Snowflake describes it.
type column struct {
	name             string
	typ              string // lower case: fixed, timestamp_tz
	precision, scale int
	nullable         bool
	kind             warehouse.Kind
}

func columnsOf(result sf.ArrowStreamLoader) []column {
	types := result.RowTypes()
	columns := make([]column, len(types))
	for i, t := range types {
		c := column{name: t.Name, typ: strings.ToLower(t.Type), precision: int(t.Precision), scale: int(t.Scale), nullable: t.Nullable}
		c.kind = c.kindOf()
		columns[i] = c
	}
	return columns
}

// kindOf goes by the type alone. What is not known is text, which every type can be
// sent as.
func (c *column) kindOf() warehouse.Kind {
	switch c.typ {
	case "fixed":
		if c.scale > 0 || c.whole() {
			return warehouse.Decimal
		}
		return warehouse.Int
	case "decfloat":
		return warehouse.Decimal
	case "real":
		return warehouse.Float
	case "boolean":
		return warehouse.Bool
	case "date":
		return warehouse.Date
	case "time":
		return warehouse.Time
	case "timestamp_ntz":
		return warehouse.Timestamp
	case "timestamp_ltz", "timestamp_tz":
		return warehouse.TimestampTZ
	case "binary":
		return warehouse.Bytes
	case "variant", "object", "array", "map", "vector", "geography", "geometry":
		return warehouse.JSON
	}
	return warehouse.Text
}

// whole reports whether the column is a NUMBER of whole numbers that may be beyond
// 64 bits, as INT and NUMBER by themselves are. Its values are decimals, but where a
// batch asks for integers.
func (c *column) whole() bool {
	const int64Digits = 19
	return c.typ == "fixed" && c.scale == 0 && (c.precision <= 0 || c.precision > int64Digits)
}

// typeName is the type as SQL has it.
func (c *column) typeName() string {
	switch c.typ {
	case "fixed":
		if c.precision <= 0 {
			return fmt.Sprintf("NUMBER(38,%d)", c.scale)
		}
		return fmt.Sprintf("NUMBER(%d,%d)", c.precision, c.scale)
	case "real":
		return "FLOAT"
	case "text":
		return "VARCHAR"
	case "time", "timestamp_ntz", "timestamp_ltz", "timestamp_tz":
		return fmt.Sprintf("%s(%d)", strings.ToUpper(c.typ), c.scale)
	}
	return strings.ToUpper(c.typ)
}

func schemaOf(columns []column) *warehouse.Schema {
	schema := &warehouse.Schema{Fields: make([]warehouse.Field, len(columns))}
	for i, c := range columns {
		schema.Fields[i] = warehouse.Field{Name: c.name, Kind: c.kind, Type: c.typeName(), NotNull: !c.nullable,
			Sortable: c.kind != warehouse.JSON, Whole: c.whole()}
	}
	return schema
}

// tooLarge is a NUMBER without scale that 64 bits do not hold.
func (c *column) tooLarge(value string) error {
	return warehouse.Errorf(warehouse.ClassSchema,
		fmt.Sprintf("read it as text, in a query: SELECT * REPLACE (CAST(%s AS VARCHAR) AS %s) FROM …", quote(c.name), quote(c.name)),
		"column %q of type %s holds %s, which is beyond the 64 bits that mixsync reads whole numbers with", c.name, c.typeName(), value)
}

// unfit is a value that is not of the column's type.
func (c *column) unfit(value string) error {
	return warehouse.Errorf(warehouse.ClassQuery, "run again; if it persists, cast the column in a query", "column %q of type %s came with %s", c.name, c.typeName(), value)
}
