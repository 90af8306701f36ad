package configs

import (
	"fmt"

	"github.com/mixsync/mixsync/mapping"
)

// maxPropertyName is the length in bytes to which Mixpanel cuts names.
const maxPropertyName = 255

// checkProperties refuses property names that Mixpanel keeps for itself and
// names that two columns would share.
func (c *syncCheck) checkProperties() {
	p := &c.sync.Properties
	from := map[string]string{} // property → what makes it
	for _, column := range sortedKeys(p.Rename) {
		at := "properties.rename." + column
		if !c.isOpen(c.at(at)) {
			c.checkProperty(at, p.Rename[column], fmt.Sprintf("column %q", column), from)
		}
		if c.isMapped(column) {
			c.fault(at, "remove it: what is mapped is not a property besides", "column %q is used in the mapping", column)
		}
	}
	for _, k := range p.Constants {
		c.checkProperty("properties.constants."+k.Name, k.Name, "a constant", from)
	}
}

func (c *syncCheck) checkProperty(at, name, by string, from map[string]string) {
	if name == "" {
		return
	}
	if message, hint := reservedName(c.sync.Type, name); message != "" {
		c.fault(at, hint, "property %q %s", name, message)
	}
	if len(name) > maxPropertyName {
		c.fault(at, "choose a shorter one", "the property's name is %d bytes long; Mixpanel keeps %d", len(name), maxPropertyName)
	}
	if first := from[name]; first != "" {
		c.fault(at, "give each a name of its own", "property %q comes from %s already", name, first)
	}
	from[name] = by
}

// isMapped reports whether the mapping uses the column.
func (c *syncCheck) isMapped(column string) bool {
	m := &c.sync.Mapping
	for _, src := range []*mapping.Source{m.Event, m.Time, m.CompanyID, m.UserID, m.DeviceID, m.InsertID, m.GroupID, m.IP, m.Key} {
		if src != nil && !src.IsConst && src.Column == column {
			return true
		}
	}
	return false
}
