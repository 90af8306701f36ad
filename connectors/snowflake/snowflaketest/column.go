//go:build cgo

package snowflaketest

import (
	"fmt"
	"strings"

	bindings "github.com/duckdb/duckdb-go-bindings"
)

// physical are the types that values are read in.
type physical uint8

const (
	whole  physical = iota // BIGINT
	wide                   // HUGEINT
	float                  // DOUBLE
	letter                 // VARCHAR or BLOB
)

// column is a column of a result: Snowflake's type, how DuckDB is to hand it out,
// and the values of the chunk that is being collected.
type column struct {
	name             string
	typ              string // Snowflake's, lower case
	precision, scale int
	expr             string // with %s for the column
	physical         physical

	valid  []bool
	ints   []int64
	huges  []huge
	floats []float64
	texts  []string
}

func (c *column) reset() {
	c.valid, c.ints, c.huges, c.floats, c.texts = c.valid[:0], c.ints[:0], c.huges[:0], c.floats[:0], c.texts[:0]
}

func columnOf(name string, lt bindings.LogicalType) *column {
	c := &column{name: name, typ: "text", expr: "CAST(%s AS VARCHAR)", physical: letter}
	switch id := bindings.GetTypeId(lt); id {
	case bindings.TypeBoolean:
		c.typ, c.expr, c.physical = "boolean", "CAST(%s AS BIGINT)", whole
	case bindings.TypeTinyInt, bindings.TypeSmallInt, bindings.TypeInteger, bindings.TypeBigInt, bindings.TypeUTinyInt, bindings.TypeUSmallInt, bindings.TypeUInteger:
		c.typ, c.precision, c.expr, c.physical = "fixed", 38, "CAST(%s AS BIGINT)", whole
	case bindings.TypeUBigInt, bindings.TypeHugeInt:
		c.typ, c.precision, c.expr, c.physical = "fixed", 38, "CAST(%s AS HUGEINT)", wide
	case bindings.TypeDecimal:
		c.typ, c.precision, c.scale, c.physical = "fixed", int(bindings.DecimalWidth(lt)), int(bindings.DecimalScale(lt)), wide
		c.expr = "CAST(replace(CAST(%s AS VARCHAR), '.', '') AS HUGEINT)"
		if c.precision <= 18 {
			c.expr, c.physical = "CAST(replace(CAST(%s AS VARCHAR), '.', '') AS BIGINT)", whole
		}
	case bindings.TypeFloat, bindings.TypeDouble:
		c.typ, c.expr, c.physical = "real", "CAST(%s AS DOUBLE)", float
	case bindings.TypeVarchar:
		if bindings.LogicalTypeGetAlias(lt) == "JSON" {
			c.typ = "variant"
		}
	case bindings.TypeBlob:
		c.typ, c.expr = "binary", "%s"
	case bindings.TypeDate:
		c.typ, c.expr, c.physical = "date", "CAST(%s - DATE '1970-01-01' AS BIGINT)", whole
	case bindings.TypeTime:
		c.typ, c.scale, c.expr, c.physical = "time", 9, "epoch_ns(%s)", whole
	case bindings.TypeTimestamp, bindings.TypeTimestampS, bindings.TypeTimestampMS:
		c.typ, c.scale, c.expr, c.physical = "timestamp_ntz", 6, "epoch_us(%s)", whole
	case bindings.TypeTimestampNS:
		c.typ, c.scale, c.expr, c.physical = "timestamp_ntz", 9, "epoch_ns(%s)", whole
	case bindings.TypeTimestampTZ:
		c.typ, c.scale, c.expr, c.physical = "timestamp_ltz", 6, "epoch_us(%s)", whole
	case bindings.TypeList, bindings.TypeArray:
		c.typ, c.expr = "array", "CAST(to_json(%s) AS VARCHAR)"
	case bindings.TypeStruct, bindings.TypeMap:
		c.typ, c.expr = "object", "CAST(to_json(%s) AS VARCHAR)"
	case bindings.TypeUnion:
		c.member(bindings.UnionTypeMemberName(lt, 0))
	}
	return c
}

// member is a union's only member, by which a type is told.
func (c *column) member(name string) {
	c.typ, c.expr = name, fmt.Sprintf(`%%s."%s"`, name)
	if name == "ltz" || name == "tz" {
		c.typ, c.scale, c.expr, c.physical = "timestamp_"+name, 9, fmt.Sprintf(`epoch_ns(%%s."%s")`, name), whole
	}
}

// rowType describes the column as the server does.
func (c *column) rowType() map[string]any {
	t := map[string]any{"name": c.name, "type": c.typ, "nullable": true, "length": nil, "byteLength": nil, "precision": nil, "scale": nil}
	switch {
	case c.typ == "fixed":
		t["precision"], t["scale"] = c.precision, c.scale
	case strings.HasPrefix(c.typ, "time"):
		t["precision"], t["scale"] = 0, c.scale
	case c.typ == "text", c.typ == "binary":
		t["length"], t["byteLength"] = 16_777_216, 16_777_216
	}
	return t
}

// take appends a vector's values.
func (c *column) take(v vector) {
	for row := range v.rows {
		c.valid = append(c.valid, !v.isNull(row))
	}
	switch c.physical {
	case whole:
		c.ints = append(c.ints, valuesOf[int64](v)...)
	case wide:
		c.huges = append(c.huges, valuesOf[huge](v)...)
	case float:
		c.floats = append(c.floats, valuesOf[float64](v)...)
	case letter:
		values := valuesOf[text](v)
		for row := range values {
			s := ""
			if !v.isNull(row) {
				s = values[row].string()
			}
			c.texts = append(c.texts, s)
		}
	}
}
