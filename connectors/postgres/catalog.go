package postgres

import (
	"context"
	"encoding/json"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// typesSQL describes types and all that they are made of: elements of arrays,
// bases of domains, attributes of composites. A range over any type sorts.
const typesSQL = `
WITH RECURSIVE need(oid) AS (
  SELECT unnest(CAST($1 AS oid[]))
  UNION
  SELECT part.oid
  FROM need
  JOIN pg_catalog.pg_type t ON t.oid = need.oid
  CROSS JOIN LATERAL (
    SELECT t.typelem WHERE t.typelem <> 0
    UNION ALL SELECT t.typbasetype WHERE t.typtype = 'd'
    UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a
      WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
  ) AS part(oid)
)
SELECT t.oid, pg_catalog.format_type(t.oid, -1), t.typname, t.typtype,
  EXISTS (SELECT FROM pg_catalog.pg_type e WHERE e.oid = t.typelem AND e.typarray = t.oid),
  t.typelem, t.typdelim, t.typbasetype,
  (SELECT json_agg(json_build_array(a.attname, a.atttypid::int8) ORDER BY a.attnum)
   FROM pg_catalog.pg_attribute a
   WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped),
  t.typtype IN ('e', 'r', 'm') OR t.typtype <> 'p' AND EXISTS (
    SELECT FROM pg_catalog.pg_opclass o JOIN pg_catalog.pg_am m ON m.oid = o.opcmethod
    WHERE m.amname = 'btree' AND o.opcdefault AND o.opcintype = t.oid)
FROM need JOIN pg_catalog.pg_type t ON t.oid = need.oid`

// entry is a row of typesSQL.
type entry struct {
	name      string // fit for a CAST
	bare      string // as the catalogue has it
	class     byte   // base, composite, domain, enum, pseudo, range, multirange
	array     bool
	elem      uint32
	delimiter byte
	base      uint32
	fields    []attribute
	sortable  bool
}

type attribute struct {
	name string
	oid  uint32
}

// UnmarshalJSON reads [name, oid].
func (a *attribute) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&a.name, &a.oid})
}

// lookUp asks the catalogue about types that are not built in.
func lookUp(ctx context.Context, conn *pgconn.PgConn, oids []uint32) (map[uint32]*pgType, error) {
	found, err := askOn(ctx, conn, typesSQL, oidList(oids))
	if err != nil {
		return nil, err
	}
	entries := make(map[uint32]*entry, len(found))
	for _, row := range found {
		e := &entry{name: string(row[1]), bare: string(row[2]), class: row[3][0], array: isTrue(row[4]), elem: oid(row[5]),
			delimiter: row[6][0], base: oid(row[7]), sortable: isTrue(row[9])}
		if row[8] != nil {
			if err := json.Unmarshal(row[8], &e.fields); err != nil {
				return nil, warehouse.Errorf(warehouse.ClassQuery, "", "attributes of type %s: %w", e.name, err)
			}
		}
		entries[oid(row[0])] = e
	}
	types := make(map[uint32]*pgType, len(oids))
	for _, id := range oids {
		if e := entries[id]; e != nil {
			types[id] = e.pgType(id, entries)
		}
	}
	return types, nil
}

// maxDepth bounds how deep a type may be made of others; what lies deeper stays text.
const maxDepth = 32

func (e *entry) pgType(id uint32, entries map[uint32]*entry) *pgType {
	tree := newNode(id, entries, maxDepth)
	if tree.shape == leaf {
		return &pgType{name: e.name, kind: warehouse.Text, codec: asText, sortable: e.sortable}
	}
	return &pgType{name: e.name, kind: warehouse.JSON, codec: asTree, tree: tree}
}

// newNode builds the plan by which a type's text becomes JSON.
func newNode(id uint32, entries map[uint32]*entry, depth int) *node {
	if t := builtin[id]; t != nil {
		return &node{shape: leaf, leaf: t.codec, json: t.kind == warehouse.JSON, zoned: t.kind == warehouse.TimestampTZ}
	}
	e := entries[id]
	switch {
	case e == nil || depth == 0:
	case e.class == 'd':
		return newNode(e.base, entries, depth-1)
	case e.array:
		return &node{shape: list, delimiter: e.delimiter, elem: newNode(e.elem, entries, depth-1)}
	case e.class == 'c':
		n := &node{shape: object}
		for _, f := range e.fields {
			n.names = append(n.names, f.name)
			n.fields = append(n.fields, newNode(f.oid, entries, depth-1))
		}
		return n
	case e.bare == "hstore":
		return &node{shape: pairs}
	}
	return &node{shape: leaf}
}

func isTrue(v []byte) bool { return len(v) == 1 && v[0] == 't' }

func oid(v []byte) uint32 {
	n, _ := strconv.ParseUint(string(v), 10, 32) // the server prints nothing else
	return uint32(n)
}
