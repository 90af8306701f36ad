package postgres

import "github.com/mixsync/mixsync/connectors/warehouse"

// codec says how a value of a type arrives and how it goes into a column.
type codec uint8

const (
	asText codec = iota // in text format, as the type prints itself
	asTree              // in text format, to JSON: arrays, composites, hstore

	// The following arrive in binary format.
	asBool
	asInt2
	asInt4
	asInt8
	asOID
	asFloat4
	asFloat8
	asNumeric
	asString // binary and text format are the same
	asJSONB
	asBytea
	asUUID
	asDate
	asTime
	asTimestamp
)

// format is the code by which the result's format is asked for.
func (c codec) format() int16 {
	if c < asBool {
		return 0
	}
	return 1
}

// pgType is what the driver knows of a Postgres type.
type pgType struct {
	name     string // fit for a CAST
	kind     warehouse.Kind
	codec    codec
	sortable bool
	tree     *node // of asTree
}

func (t *pgType) field(name string) warehouse.Field {
	return warehouse.Field{Name: name, Kind: t.kind, Type: t.name, Float32: t.codec == asFloat4, Sortable: t.sortable}
}

// builtin holds the types whose oids are the same in every database and that
// tables are made of. All others are looked up in the catalogue, once a query.
var builtin = map[uint32]*pgType{
	16:   {name: "boolean", kind: warehouse.Bool, codec: asBool, sortable: true},
	17:   {name: "bytea", kind: warehouse.Bytes, codec: asBytea, sortable: true},
	18:   {name: `"char"`, kind: warehouse.Text, codec: asText, sortable: true},
	19:   {name: "name", kind: warehouse.Text, codec: asString, sortable: true},
	20:   {name: "bigint", kind: warehouse.Int, codec: asInt8, sortable: true},
	21:   {name: "smallint", kind: warehouse.Int, codec: asInt2, sortable: true},
	23:   {name: "integer", kind: warehouse.Int, codec: asInt4, sortable: true},
	25:   {name: "text", kind: warehouse.Text, codec: asString, sortable: true},
	26:   {name: "oid", kind: warehouse.Int, codec: asOID, sortable: true},
	114:  {name: "json", kind: warehouse.JSON, codec: asString},
	142:  {name: "xml", kind: warehouse.Text, codec: asText},
	650:  {name: "cidr", kind: warehouse.Text, codec: asText, sortable: true}, // by the order of inet
	700:  {name: "real", kind: warehouse.Float, codec: asFloat4, sortable: true},
	701:  {name: "double precision", kind: warehouse.Float, codec: asFloat8, sortable: true},
	705:  {name: "text", kind: warehouse.Text, codec: asText, sortable: true}, // unknown: a literal without a type
	1042: {name: "bpchar", kind: warehouse.Text, codec: asString, sortable: true},
	1043: {name: "character varying", kind: warehouse.Text, codec: asString, sortable: true},
	1082: {name: "date", kind: warehouse.Date, codec: asDate, sortable: true},
	1083: {name: "time", kind: warehouse.Time, codec: asTime, sortable: true},
	1114: {name: "timestamp", kind: warehouse.Timestamp, codec: asTimestamp, sortable: true},
	1184: {name: "timestamp with time zone", kind: warehouse.TimestampTZ, codec: asTimestamp, sortable: true},
	1186: {name: "interval", kind: warehouse.Text, codec: asText, sortable: true},
	1700: {name: "numeric", kind: warehouse.Decimal, codec: asNumeric, sortable: true},
	2950: {name: "uuid", kind: warehouse.Text, codec: asUUID, sortable: true},
	3802: {name: "jsonb", kind: warehouse.JSON, codec: asJSONB},
}
