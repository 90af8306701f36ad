package mapping

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/mapping/appendjson"
	"github.com/mixsync/mixsync/mapping/identity"
)

// Compile holds a Spec against the live schema. The error is Faults: everything
// that is wrong, with what Validate finds.
func Compile(s Spec, schema *warehouse.Schema) (*Plan, error) {
	c := compiler{
		faults: faults{list: s.Validate()},
		schema: schema,
		used:   map[int]bool{},
		plan:   &Plan{spec: withDefaults(s), schema: schema},
	}
	if s.Type != Event && s.Type != Group && s.Type != User {
		return nil, c.faults.list
	}
	c.doubled = doubled(schema)
	c.mapping()
	c.keys()
	c.properties()
	c.frame()
	if len(c.faults.list) > 0 {
		return nil, c.faults.list
	}
	return c.plan, nil
}

type compiler struct {
	faults  faults
	schema  *warehouse.Schema
	doubled []string     // names that several columns have
	used    map[int]bool // columns that the mapping uses
	plan    *Plan
}

func withDefaults(s Spec) Spec {
	or := func(v *string, std string) {
		if *v == "" {
			*v = std
		}
	}
	or(&s.Namespace, s.Sync)
	or(&s.MissingCompany, RejectRow)
	or(&s.MissingUser, RejectRow)
	or(&s.Future, RejectRow)
	or(&s.Nulls, NullsSkip)
	if s.Type == Event {
		s.Nulls = NullsSkip // an event has nothing to unset
	}
	if s.Location == nil {
		s.Location = time.UTC
	}
	return s
}

func doubled(schema *warehouse.Schema) []string {
	names := schema.Names()
	var twice []string
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			twice = append(twice, name)
		}
	}
	return twice
}

// mapping resolves the sources and checks that their columns are fit.
func (c *compiler) mapping() {
	p, s := c.plan, &c.plan.spec
	p.namespace = identity.NewNamespace(s.Namespace)
	p.zone = zone{loc: s.Location, lo: math.MaxInt64}
	for _, x := range s.mapped() {
		id := c.source(x)
		if id == nil {
			continue
		}
		switch x.name {
		case "event":
			p.name = id
			if x.src.IsConst {
				p.name, p.nameJSON = nil, jsonOf(x.src.Constant)
			}
		case "time":
			unit, _ := unitOf(x.src.Unit)
			p.time = timeSource{col: id.col, kind: id.kind, unit: max(unit, 1)}
		case "company_id":
			p.company = id
		case "user_id":
			p.user = id
		case "device_id":
			p.device = id
		case "insert_id":
			p.insert = id
		case "ip":
			p.ip = id
		}
		if x.src == s.groupID() {
			p.group = id
		}
	}
	if s.Type == User {
		p.group = p.user
	}
	p.ipJSON = []byte("0")
	if p.ip != nil && p.ip.col < 0 {
		p.ipJSON, p.ip = jsonOf(string(p.ip.constant)), nil
	}
}

// source resolves one source; nil if that cannot be.
func (c *compiler) source(x named) *ident {
	if x.src.IsConst {
		return &ident{field: x.name, col: -1, kind: warehouse.Text, constant: []byte(x.src.Constant)}
	}
	path := "mapping." + x.name
	before := len(c.faults.list)
	col := c.column(path, x.src.Column)
	if col < 0 {
		if x.name == "event" {
			last := &c.faults.list[before]
			last.Hint += fmt.Sprintf("; for a fixed event name write event: {value: %q}", x.src.Column)
		}
		return nil
	}
	c.used[col] = true
	f := &c.schema.Fields[col]
	switch x.name {
	case "event", "ip":
		if f.Kind != warehouse.Text {
			c.faults.add(path, fmt.Sprintf("column %q is a %s, not text", f.Name, kindOf(f)), "cast it to text in a query")
		}
	case "time":
		c.timeColumn(path, f, x.src.Unit)
	default:
		c.idColumn(path, f)
	}
	return &ident{field: x.name, col: col, kind: f.Kind, room: make([]byte, 0, 64)}
}

func (c *compiler) idColumn(path string, f *warehouse.Field) {
	switch f.Kind {
	case warehouse.Int, warehouse.Decimal, warehouse.Text:
	case warehouse.Float:
		c.faults.add(path, fmt.Sprintf("column %q is a %s: a float is no id, it may come out rounded", f.Name, kindOf(f)),
			"cast it to an integer or to text in a query, where its exact form is known")
	default:
		c.faults.add(path, fmt.Sprintf("column %q is a %s, which is no id", f.Name, kindOf(f)), "name a text or integer column, or cast it in a query")
	}
}

func (c *compiler) timeColumn(path string, f *warehouse.Field, unit string) {
	switch f.Kind {
	case warehouse.Timestamp, warehouse.TimestampTZ, warehouse.Date:
		if unit != "" {
			c.faults.add(path, fmt.Sprintf("column %q is a %s and has no unit", f.Name, kindOf(f)), "remove unit")
		}
	case warehouse.Int, warehouse.Decimal:
		if unit == "" {
			c.faults.add(path, fmt.Sprintf("column %q is a %s: what does it count?", f.Name, kindOf(f)),
				fmt.Sprintf("write time: {column: %s, unit: s}, or ms or us", f.Name))
		}
	default:
		c.faults.add(path, fmt.Sprintf("column %q is a %s, not a time", f.Name, kindOf(f)),
			fmt.Sprintf("cast it to a timestamp in a query: CAST(%s AS timestamp) AS %s", f.Name, f.Name))
	}
}

func kindOf(f *warehouse.Field) string {
	if f.Type != "" {
		return f.Type
	}
	return f.Kind.String()
}

// keys resolves the key. A NULL in a column that is mapped as an id is left to
// the identity rules, which have a better name for it; all others are looked
// for first, because a row without a key is a fault of the table.
func (c *compiler) keys() {
	p, s := c.plan, &c.plan.spec
	names, path := s.PrimaryKey, "primary_key"
	if len(names) == 0 {
		names, path = c.standIns(), ""
	}
	if len(names) == 0 && len(c.faults.list) == 0 {
		c.faults.add("primary_key", "no column tells one row from another", "name the columns of the key")
	}
	var ids []int
	for _, id := range []*ident{p.company, p.user, p.device, p.group, p.insert} {
		if id != nil && id.col >= 0 {
			ids = append(ids, id.col)
		}
	}
	var seen []int
	for _, name := range names {
		col := c.schema.Index(name)
		if path != "" {
			col = c.column(path, name)
		}
		if col < 0 {
			continue
		}
		f := &c.schema.Fields[col]
		if slices.Contains(seen, col) {
			if path != "" {
				c.faults.add(path, fmt.Sprintf("column %q is named twice", f.Name), "")
			}
			continue
		}
		seen = append(seen, col)
		enc, _ := ownEncoding(f)
		if enc == unfit {
			c.faults.add(path, fmt.Sprintf("column %q is a %s, which cannot be a key", f.Name, kindOf(f)), "")
		}
		k := keyColumn{name: string(jsonOf(f.Name)), col: col, enc: enc, field: f.Name}
		p.keys = append(p.keys, k)
		if slices.Contains(ids, col) && !(p.insert != nil && p.insert.col == col) {
			p.keysLast = append(p.keysLast, k)
		} else if path != "" {
			p.keysFirst = append(p.keysFirst, k)
		}
	}
}

// standIns names the columns that are the key when none is declared.
func (c *compiler) standIns() []string {
	p, s := c.plan, &c.plan.spec
	from := []*ident{p.insert}
	if s.Type != Event {
		from = []*ident{p.company, p.group}
	}
	var names []string
	for _, id := range from {
		if id != nil && id.col >= 0 {
			names = append(names, c.schema.Fields[id.col].Name)
		}
	}
	return names
}

// frame prepares what stands around the ids of a profile.
func (c *compiler) frame() {
	p, s := c.plan, &c.plan.spec
	switch s.Type {
	case User:
		p.head = fmt.Appendf(nil, `{"$token":%s,"$distinct_id":`, jsonOf(s.Token))
	case Group:
		p.head = fmt.Appendf(nil, `{"$token":%s,"$group_key":%s,"$group_id":`, jsonOf(s.Token), jsonOf(s.GroupKey))
		if s.Model == Hierarchical {
			p.middle = []byte(`,"$company_id":`)
		}
	}
	p.behind = []byte(`"$ip":"0","$ignore_time":true,`)
}

// jsonOf is a string as it stands in a record.
func jsonOf(s string) []byte { return appendjson.Whole(nil, []byte(s)) }

// constantJSON is a constant as it stands in a record, and its type.
func constantJSON(v any) ([]byte, string) {
	switch v := v.(type) {
	case string:
		var none appendjson.Tally
		return appendjson.String(nil, []byte(v), maxString, &none), "string"
	case int:
		return appendjson.Int(nil, int64(v)), "number"
	case int64:
		return appendjson.Int(nil, v), "number"
	case float64:
		text, _ := appendjson.Float(nil, v, 64)
		return text, "number"
	case bool:
		return appendjson.Bool(nil, v), "boolean"
	}
	return []byte("null"), "null"
}

// sortNames sorts names for binary search.
func sortNames(names [][]byte) [][]byte {
	slices.SortFunc(names, bytes.Compare)
	return names
}
