//go:build cgo

package duckdb

import (
	"strconv"
	"strings"

	bindings "github.com/duckdb/duckdb-go-bindings"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// codec says how the values of a vector are laid out and what they mean.
type codec uint8

const (
	asBool codec = iota
	asInt8
	asInt16
	asInt32
	asInt64
	asUint8
	asUint16
	asUint32
	asUint64
	asHuge
	asUhuge
	asFloat
	asDouble
	asDecimal16
	asDecimal32
	asDecimal64
	asDecimal128
	asText
	asJSON
	asBlob
	asBit
	asBignum
	asDate
	asTime
	asTimeNS
	asTimeTZ
	asTimestamp // with and without zone: microseconds
	asTimestampS
	asTimestampMS
	asTimestampNS
	asInterval
	asUUID
	asEnum8
	asEnum16
	asEnum32
	asNull
	asList
	asArray
	asStruct
	asMap
	asUnion
)

// dtype is what the driver knows of a type of a result.
type dtype struct {
	name     string // fit for a CAST
	kind     warehouse.Kind
	codec    codec
	sortable bool
	scale    int      // of a decimal: digits behind the point
	labels   [][]byte // of an enum, by number
	size     int      // of an array: elements of each
	names    []string // of a struct's children; nil for one without names
	children []*dtype // a list's or array's element; a map's key and value; a struct's or union's members
}

func (t *dtype) field(name string) warehouse.Field {
	return warehouse.Field{Name: name, Kind: t.kind, Type: t.name, Float32: t.codec == asFloat, Sortable: t.sortable}
}

// plain holds the types that have no parameters.
var plain = map[bindings.Type]dtype{
	bindings.TypeBoolean:     {name: "BOOLEAN", kind: warehouse.Bool, codec: asBool, sortable: true},
	bindings.TypeTinyInt:     {name: "TINYINT", kind: warehouse.Int, codec: asInt8, sortable: true},
	bindings.TypeSmallInt:    {name: "SMALLINT", kind: warehouse.Int, codec: asInt16, sortable: true},
	bindings.TypeInteger:     {name: "INTEGER", kind: warehouse.Int, codec: asInt32, sortable: true},
	bindings.TypeBigInt:      {name: "BIGINT", kind: warehouse.Int, codec: asInt64, sortable: true},
	bindings.TypeUTinyInt:    {name: "UTINYINT", kind: warehouse.Int, codec: asUint8, sortable: true},
	bindings.TypeUSmallInt:   {name: "USMALLINT", kind: warehouse.Int, codec: asUint16, sortable: true},
	bindings.TypeUInteger:    {name: "UINTEGER", kind: warehouse.Int, codec: asUint32, sortable: true},
	bindings.TypeUBigInt:     {name: "UBIGINT", kind: warehouse.Decimal, codec: asUint64, sortable: true}, // beyond an int64
	bindings.TypeHugeInt:     {name: "HUGEINT", kind: warehouse.Decimal, codec: asHuge, sortable: true},
	bindings.TypeUHugeInt:    {name: "UHUGEINT", kind: warehouse.Decimal, codec: asUhuge, sortable: true},
	bindings.TypeBigNum:      {name: "BIGNUM", kind: warehouse.Decimal, codec: asBignum, sortable: true},
	bindings.TypeFloat:       {name: "FLOAT", kind: warehouse.Float, codec: asFloat, sortable: true},
	bindings.TypeDouble:      {name: "DOUBLE", kind: warehouse.Float, codec: asDouble, sortable: true},
	bindings.TypeVarchar:     {name: "VARCHAR", kind: warehouse.Text, codec: asText, sortable: true},
	bindings.TypeBlob:        {name: "BLOB", kind: warehouse.Bytes, codec: asBlob, sortable: true},
	bindings.TypeBit:         {name: "BIT", kind: warehouse.Text, codec: asBit, sortable: true},
	bindings.TypeDate:        {name: "DATE", kind: warehouse.Date, codec: asDate, sortable: true},
	bindings.TypeTime:        {name: "TIME", kind: warehouse.Time, codec: asTime, sortable: true},
	bindings.TypeTimeNS:      {name: "TIME_NS", kind: warehouse.Time, codec: asTimeNS, sortable: true},
	bindings.TypeTimeTZ:      {name: "TIME WITH TIME ZONE", kind: warehouse.Text, codec: asTimeTZ, sortable: true},
	bindings.TypeTimestamp:   {name: "TIMESTAMP", kind: warehouse.Timestamp, codec: asTimestamp, sortable: true},
	bindings.TypeTimestampS:  {name: "TIMESTAMP_S", kind: warehouse.Timestamp, codec: asTimestampS, sortable: true},
	bindings.TypeTimestampMS: {name: "TIMESTAMP_MS", kind: warehouse.Timestamp, codec: asTimestampMS, sortable: true},
	bindings.TypeTimestampNS: {name: "TIMESTAMP_NS", kind: warehouse.Timestamp, codec: asTimestampNS, sortable: true},
	bindings.TypeTimestampTZ: {name: "TIMESTAMP WITH TIME ZONE", kind: warehouse.TimestampTZ, codec: asTimestamp, sortable: true},
	bindings.TypeInterval:    {name: "INTERVAL", kind: warehouse.Text, codec: asInterval}, // whose ISO form DuckDB does not read
	bindings.TypeUUID:        {name: "UUID", kind: warehouse.Text, codec: asUUID, sortable: true},
	bindings.TypeSQLNull:     {name: "VARCHAR", kind: warehouse.Text, codec: asNull, sortable: true},
}

const (
	// maxDepth bounds how deep a type may be made of others.
	maxDepth = 64
	// maxEnumKey is how many labels an enum may have to be a key: they are all
	// written into the statement that resumes a read.
	maxEnumKey = 1000
)

// compile reads a logical type. It reports the part that the driver cannot read, if any.
func compile(lt bindings.LogicalType, depth int) (_ *dtype, unknown string) {
	id := bindings.GetTypeId(lt)
	if t, ok := plain[id]; ok {
		if id == bindings.TypeVarchar && bindings.LogicalTypeGetAlias(lt) == "JSON" {
			return &dtype{name: "JSON", kind: warehouse.JSON, codec: asJSON}, ""
		}
		return &t, ""
	}
	if depth == 0 {
		return nil, "a type of more than " + strconv.Itoa(maxDepth) + " levels"
	}
	switch id {
	case bindings.TypeDecimal:
		return decimal(lt)
	case bindings.TypeEnum:
		return enum(lt)
	case bindings.TypeList:
		return nested(asList, depth, bindings.ListTypeChildType(lt))
	case bindings.TypeArray:
		t, unknown := nested(asArray, depth, bindings.ArrayTypeChildType(lt))
		if t != nil {
			t.size = int(bindings.ArrayTypeArraySize(lt))
			t.name = strings.TrimSuffix(t.name, "]") + strconv.Itoa(t.size) + "]"
		}
		return t, unknown
	case bindings.TypeMap:
		return nested(asMap, depth, bindings.MapTypeKeyType(lt), bindings.MapTypeValueType(lt))
	case bindings.TypeStruct:
		return structure(lt, depth)
	case bindings.TypeUnion:
		return union(lt, depth)
	case bindings.TypeVariant:
		return nil, "VARIANT"
	case bindings.TypeGeometry:
		return nil, "GEOMETRY"
	}
	return nil, "a type of number " + strconv.Itoa(int(id)) + " in DuckDB's interface"
}

func decimal(lt bindings.LogicalType) (*dtype, string) {
	scale := int(bindings.DecimalScale(lt))
	t := &dtype{kind: warehouse.Decimal, scale: scale, sortable: true}
	t.name = "DECIMAL(" + strconv.Itoa(int(bindings.DecimalWidth(lt))) + ", " + strconv.Itoa(scale) + ")"
	switch bindings.DecimalInternalType(lt) {
	case bindings.TypeSmallInt:
		t.codec = asDecimal16
	case bindings.TypeInteger:
		t.codec = asDecimal32
	case bindings.TypeBigInt:
		t.codec = asDecimal64
	default:
		t.codec = asDecimal128
	}
	return t, ""
}

func enum(lt bindings.LogicalType) (*dtype, string) {
	t := &dtype{name: "VARCHAR", kind: warehouse.Text}
	switch bindings.EnumInternalType(lt) {
	case bindings.TypeUTinyInt:
		t.codec = asEnum8
	case bindings.TypeUSmallInt:
		t.codec = asEnum16
	default:
		t.codec = asEnum32
	}
	t.labels = make([][]byte, bindings.EnumDictionarySize(lt))
	for i := range t.labels {
		t.labels[i] = []byte(bindings.EnumDictionaryValue(lt, bindings.IdxT(i)))
	}
	if len(t.labels) > maxEnumKey {
		return t, ""
	}
	quoted := make([]string, len(t.labels))
	for i, label := range t.labels {
		quoted[i] = quoteText(string(label))
	}
	t.name, t.sortable = "ENUM("+strings.Join(quoted, ", ")+")", true
	return t, ""
}

// nested compiles a list, array or map and destroys the types of its parts.
func nested(as codec, depth int, parts ...bindings.LogicalType) (_ *dtype, unknown string) {
	t := &dtype{kind: warehouse.JSON, codec: as}
	for i := range parts {
		child, not := compile(parts[i], depth-1)
		bindings.DestroyLogicalType(&parts[i])
		if not != "" {
			unknown = not
		}
		t.children = append(t.children, child)
	}
	switch {
	case unknown != "":
		return nil, unknown
	case as == asMap:
		t.name = "MAP(" + t.children[0].name + ", " + t.children[1].name + ")"
	default:
		t.name = t.children[0].name + "[]"
	}
	return t, ""
}

func structure(lt bindings.LogicalType, depth int) (_ *dtype, unknown string) {
	t := &dtype{kind: warehouse.JSON, codec: asStruct}
	count := bindings.StructTypeChildCount(lt)
	named := false
	for i := range count {
		name := bindings.StructTypeChildName(lt, i)
		named = named || name != ""
		t.names = append(t.names, name)
		if unknown := t.member(bindings.StructTypeChildType(lt, i), depth); unknown != "" {
			return nil, unknown
		}
	}
	t.name = "STRUCT(" + t.members() + ")"
	if !named {
		t.names = nil
	}
	return t, ""
}

func union(lt bindings.LogicalType, depth int) (_ *dtype, unknown string) {
	t := &dtype{kind: warehouse.JSON, codec: asUnion}
	for i := range bindings.UnionTypeMemberCount(lt) {
		t.names = append(t.names, bindings.UnionTypeMemberName(lt, i))
		if unknown := t.member(bindings.UnionTypeMemberType(lt, i), depth); unknown != "" {
			return nil, unknown
		}
	}
	t.name = "UNION(" + t.members() + ")"
	return t, ""
}

// member compiles one member and destroys its type.
func (t *dtype) member(lt bindings.LogicalType, depth int) (unknown string) {
	child, unknown := compile(lt, depth-1)
	bindings.DestroyLogicalType(&lt)
	t.children = append(t.children, child)
	return unknown
}

func (t *dtype) members() string {
	list := make([]string, len(t.children))
	for i, child := range t.children {
		list[i] = quote(t.names[i]) + " " + child.name
	}
	return strings.Join(list, ", ")
}
