package mapping

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// properties decides which columns are sent, under which names and how.
func (c *compiler) properties() {
	p, s := c.plan, &c.plan.spec
	rename := resolve(c, "properties.rename", s.Properties.Rename)
	types := resolve(c, "properties.types", s.Properties.Types)
	flatten := map[int]bool{}
	for _, name := range s.Properties.Flatten {
		if col := c.column("properties.flatten", name); col >= 0 {
			flatten[col] = true
		}
	}
	for _, glob := range s.Properties.Include {
		if !strings.ContainsAny(glob, "*?") {
			c.column("properties.include", glob)
		}
	}
	c.members()
	owner := map[string]string{} // property → column
	for col := range c.schema.Fields {
		f := &c.schema.Fields[col]
		if c.used[col] || !c.included(f.Name) {
			continue
		}
		path, name := "properties", f.Name
		if to, ok := rename[col]; ok {
			path, name = "properties.rename."+f.Name, to
		}
		pr := property{name: name, column: f.Name, col: col, key: fmt.Appendf(nil, ",%s:", jsonOf(name))}
		c.name(path, name, f.Name)
		if first, ok := owner[name]; ok {
			c.collision(path, name, first, f.Name)
		}
		owner[name] = f.Name
		typ := types[col]
		if typ == "" && slices.Contains(s.GroupKeys, name) {
			typ = c.groupKeyType(f)
		}
		var sent string
		if pr.enc, sent = encodingOf(f, typ); pr.enc == unfit {
			c.unfit(f, typ)
			continue
		}
		if pr.enc == decimalToString && types[col] == "" {
			pr.enc = decimalToID
		}
		if flatten[col] {
			if pr.enc != asJSON && pr.enc != textToJSON {
				c.faults.add("properties.flatten", fmt.Sprintf("column %q is a %s, not JSON", f.Name, kindOf(f)),
					fmt.Sprintf("if its text is JSON, write types: {%s: json}", f.Name))
			}
			p.flattened = append(p.flattened, pr)
			p.reserved = append(p.reserved, jsonOf(name)) // for keys that stay
			continue
		}
		p.fixed = append(p.fixed, jsonOf(name))
		p.properties = append(p.properties, pr)
		p.list = append(p.list, Property{Name: name, Column: f.Name, Type: sent})
	}
	slices.SortStableFunc(p.flattened, func(a, b property) int {
		return order(s.Properties.Flatten, a.column) - order(s.Properties.Flatten, b.column)
	})
	for _, pr := range p.flattened {
		p.list = append(p.list, Property{Name: "*", Column: pr.column, Type: "json"})
	}
	c.constants(owner)
	c.groupKeys(owner)
	sortNames(p.fixed)
	for _, name := range reservedNames(s.Type) {
		p.reserved = append(p.reserved, jsonOf(name))
	}
	sortNames(p.reserved)
}

func order(names []string, column string) int {
	return slices.IndexFunc(names, func(n string) bool { return strings.EqualFold(n, column) })
}

// resolve turns a map by column name into one by position.
func resolve(c *compiler, path string, byName map[string]string) map[int]string {
	byCol := map[int]string{}
	for _, name := range sortedKeys(byName) {
		if col := c.column(path+"."+name, name); col >= 0 {
			byCol[col] = byName[name]
		}
	}
	return byCol
}

func (c *compiler) included(name string) bool {
	pr := c.plan.spec.Properties
	return (len(pr.Include) == 0 || matchAny(pr.Include, name)) && !matchAny(pr.Exclude, name)
}

// members lists the properties that the mapping makes.
func (c *compiler) members() {
	p, s := c.plan, &c.plan.spec
	if s.Type != Event {
		return
	}
	add := func(name string, src *Source, typ string) {
		column := ""
		if src != nil && !src.IsConst {
			if col := c.schema.Index(src.Column); col >= 0 {
				column = c.schema.Fields[col].Name
			}
		}
		p.list = append(p.list, Property{Name: name, Column: column, Type: typ})
	}
	m := s.Mapping
	add("time", m.Time, "datetime")
	add("distinct_id", nil, "string")
	add("$insert_id", m.InsertID, "string")
	for _, x := range []struct {
		name string
		src  *Source
	}{{"$company_id", m.CompanyID}, {"$user_id", m.UserID}, {"$device_id", m.DeviceID}, {"ip", m.IP}} {
		if x.src != nil {
			add(x.name, x.src, "string")
		}
	}
}

// name checks the name of a property that comes from a column.
func (c *compiler) name(path, name, column string) {
	if path == "properties" { // Validate has looked at the names of rename
		validateName(&c.faults, path, name)
	}
	if why := reserved(c.plan.spec.Type, name); why != "" {
		c.faults.add(path, fmt.Sprintf("column %q would be sent as the property %q, which %s", column, name, why),
			fmt.Sprintf("map it, rename it (rename: {%s: other_name}) or leave it out (exclude: [%q])", column, column))
	}
}

func (c *compiler) collision(path, name, first, second string) {
	if first == second {
		c.faults.add(path, fmt.Sprintf("the result has column %q more than once", first), "give each column of the query a name of its own")
		return
	}
	c.faults.add(path, fmt.Sprintf("columns %q and %q would both be sent as the property %q", first, second, name), "rename or exclude one of them")
}

func (c *compiler) unfit(f *warehouse.Field, typ string) {
	if typ == "" {
		c.faults.add("properties", fmt.Sprintf("column %q is a %s, which cannot be sent", f.Name, kindOf(f)), fmt.Sprintf("leave it out: exclude: [%q]", f.Name))
		return
	}
	if slices.Contains(typeNames, typ) {
		c.faults.add("properties.types."+f.Name, fmt.Sprintf("column %q is a %s, which cannot be sent as %s", f.Name, kindOf(f), typ), "cast it in a query")
	}
}

// groupKeyType makes the ids of groups strings, as they are on the groups'
// profiles: Mixpanel does not take 7 and "7" for one group.
func (c *compiler) groupKeyType(f *warehouse.Field) string {
	switch f.Kind {
	case warehouse.Int, warehouse.Decimal:
		return "string"
	case warehouse.Float:
		c.faults.add("group_keys", fmt.Sprintf("column %q is a %s: a float is no id, it may come out rounded", f.Name, kindOf(f)),
			"cast it to an integer or to text in a query, where its exact form is known")
	}
	return ""
}

func (c *compiler) constants(owner map[string]string) {
	p, s := c.plan, &c.plan.spec
	for _, k := range s.Properties.Constants {
		path := "properties.constants." + k.Name
		if why := reserved(s.Type, k.Name); why != "" {
			c.faults.add(path, fmt.Sprintf("the property %q %s", k.Name, why), "choose another name")
		}
		if column, ok := owner[k.Name]; ok {
			c.faults.add(path, fmt.Sprintf("column %q would be sent as the property %q as well", column, k.Name), "rename or exclude the column, or choose another name")
		}
		value, typ := constantJSON(k.Value)
		p.fixed = append(p.fixed, jsonOf(k.Name))
		if k.Value == nil && s.Nulls != NullsSend {
			if s.Nulls == NullsUnset {
				p.constNull = append(p.constNull, jsonOf(k.Name))
			}
			continue
		}
		p.constants = fmt.Appendf(p.constants, ",%s:%s", jsonOf(k.Name), value)
		p.constCount++
		p.list = append(p.list, Property{Name: k.Name, Type: typ})
	}
}

// groupKeys checks that the other group keys are sent, since an event without
// them is in no such group.
func (c *compiler) groupKeys(owner map[string]string) {
	s := &c.plan.spec
	if s.Type != Event {
		return
	}
	for _, key := range s.GroupKeys {
		_, ok := owner[key]
		if ok || slices.ContainsFunc(s.Properties.Constants, func(k Constant) bool { return k.Name == key }) {
			continue
		}
		hint := warehouse.Suggest(key, c.schema.Names())
		if col := c.schema.Index(key); col >= 0 {
			switch name := c.schema.Fields[col].Name; {
			case c.used[col]:
				hint = fmt.Sprintf("column %q is used in the mapping, so it is not sent under its own name", name)
			case !c.included(name):
				hint = fmt.Sprintf("column %q is left out by include or exclude", name)
			default:
				hint = fmt.Sprintf("column %q is sent under another name: rename it to %q", name, key)
			}
		}
		c.faults.add("group_keys", fmt.Sprintf("no property %q is sent", key), hint)
	}
}
