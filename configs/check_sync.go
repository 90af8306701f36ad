package configs

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mixsync/mixsync/mapping"
)

// syncCheck checks one sync, as far as its YAML tells.
type syncCheck struct {
	*decoder
	file *File
	sync *Sync
	path string
}

func (c *syncCheck) all() {
	c.file.checkNames(c.decoder, c.path, c.sync)
	c.checkPlaces()
	c.checkSource()
	c.checkMode()
	for i, name := range c.sync.Projects {
		if p := c.file.Projects[name]; p != nil && !slices.Contains(c.sync.Projects[:i], name) {
			c.checkModel(p)
		}
	}
	c.checkMapped()
	c.checkIdentifiers()
	c.checkProperties()
	c.checkKey()
}

func (c *syncCheck) at(key string) string { return join(c.path, key) }

func (c *syncCheck) fault(key, hint, format string, args ...any) {
	c.faultAt(c.at(key), hint, format, args...)
}

// given reports whether a key stands on the sync or in the defaults.
func (c *syncCheck) given(key string) bool { return c.has(c.at(key)) }

// checkPlaces asks where the rows come from and go to.
func (c *syncCheck) checkPlaces() {
	if !c.given("warehouse") {
		c.fault("warehouse", "name one of warehouses, here or under defaults", "is missing")
	}
	if !c.given("project") {
		c.fault("project", "name one of projects, here or under defaults", "is missing")
	}
}

func (c *syncCheck) checkSource() {
	table, query := c.given("table"), c.given("query")
	switch {
	case !table && !query:
		c.faultAt(c.path, "table: schema.name, or query: SELECT …", "has neither table nor query")
	case table && query:
		c.fault("query", "keep one of them", "stands beside table")
	case c.sync.Query != "" && !c.isOpen(c.at("query")):
		kind := ""
		if w := c.file.Warehouses[c.sync.Warehouse]; w != nil {
			kind = w.Type
		}
		query, err := oneSelect(c.sync.Query, kind)
		if err != nil {
			message, hint, _ := strings.Cut(err.Error(), "\n")
			c.fault("query", hint, "%s", message)
			return
		}
		c.sync.Query = query
	}
}

// modesOf lists the modes that a type of sync has.
func modesOf(t mapping.Type) []Mode {
	switch t {
	case mapping.Event:
		return []Mode{Append, Full}
	case mapping.Lookup:
		return []Mode{Full}
	}
	return []Mode{Upsert, Full, Mirror}
}

func (c *syncCheck) checkMode() {
	s := c.sync
	if s.Type == "" || c.isOpen(c.at("type")) {
		return
	}
	modes := modesOf(s.Type)
	words := make([]string, len(modes))
	for i, m := range modes {
		words[i] = string(m)
	}
	offer := strings.Join(words, " or ")
	switch {
	case !c.given("mode") && s.Mode == "":
		c.fault("mode", "mode: "+strings.Join(words, ", "), "is missing")
	case s.Mode == "": // its fault is filed, or it is open
	case !slices.Contains(modes, s.Mode):
		c.fault("mode", "write "+offer, "%s is not a mode of type %s", s.Mode, s.Type)
	case (s.Mode == Append || s.Mode == Upsert) && !c.given("cursor"):
		c.fault("cursor", cursorHint, "is missing; mode %s reads what is new by it", s.Mode)
	}
	if s.Type == mapping.Lookup && !c.given("lookup_table_id") {
		c.fault("lookup_table_id", "the table's id in Mixpanel, a UUID", "is missing")
	}
	if s.Type == mapping.Group && !c.given("group_key") {
		c.fault("group_key", "group_key: $company_id, $user_id or the key as registered in Mixpanel", "is missing")
	}
}

// mappedBy lists the members that a type of sync has. The group's are those of
// either model.
var mappedBy = map[mapping.Type][]string{
	mapping.Event:  {"event", "time", "company_id", "user_id", "device_id", "insert_id", "ip"},
	mapping.Group:  {"company_id", "group_id", "user_id"},
	mapping.User:   {"user_id"},
	mapping.Lookup: {"key"},
}

// checkMapped refuses members that the type does not have and asks for those it
// needs in any model.
func (c *syncCheck) checkMapped() {
	s := c.sync
	known := mappedBy[s.Type]
	if known == nil {
		return
	}
	for _, key := range mappingObject.keys() {
		if c.mapped(key) && !slices.Contains(known, key) {
			c.fault("mapping."+key, "type "+string(s.Type)+" maps "+strings.Join(known, ", "), "has no meaning for type %s", s.Type)
		}
	}
	switch s.Type {
	case mapping.Event:
		c.needs("event", mappedEvent)
		c.needs("time", mappedTime)
	case mapping.User:
		c.needs("user_id", "write mapping: {user_id: column}")
	case mapping.Lookup:
		c.needs("key", "write mapping: {key: column}, the column whose values the property holds")
	}
}

func (c *syncCheck) mapped(key string) bool { return c.given("mapping." + key) }

func (c *syncCheck) needs(key, hint string) {
	if !c.mapped(key) {
		c.fault("mapping."+key, hint, "is missing")
	}
}

// checkModel asks for what the identity model of a project needs.
func (c *syncCheck) checkModel(p *Project) {
	s := c.sync
	switch p.Model {
	case mapping.Standard:
		if c.mapped("company_id") && (s.Type == mapping.Event || s.Type == mapping.Group) {
			c.fault("mapping.company_id", "send the column as a property, and name the property under group_keys", "is for hierarchical projects; %q is standard", p.Name)
		}
		if s.Type == mapping.Group {
			c.checkGroupStandard()
		}
		return
	case mapping.Hierarchical:
	default: // its fault is filed, or it is open
		return
	}
	switch s.Type {
	case mapping.User:
		c.fault("type", "write type: group with group_key: $user_id", "project %q is hierarchical: its user profiles are groups", p.Name)
	case mapping.Event:
		c.needs("company_id", "events of a hierarchical project need company and user; identity: {missing_company: send} lets rows without one pass")
		c.needs("user_id", "events of a hierarchical project need company and user; identity: {missing_user: send} lets company-level events pass")
	case mapping.Group:
		c.checkGroupHierarchical()
	}
}

func (c *syncCheck) checkGroupStandard() {
	if c.sync.GroupKey == "$user_id" {
		c.fault("group_key", "write type: user with mapping: {user_id: column}", "$user_id is a group of hierarchical projects only")
		return
	}
	c.needs("group_id", "write mapping: {group_id: column}")
}

func (c *syncCheck) checkGroupHierarchical() {
	s := c.sync
	c.needs("company_id", "every group of a hierarchical project belongs to a company")
	if c.isOpen(c.at("group_key")) {
		return
	}
	m := &s.Mapping
	switch s.GroupKey {
	case "":
	case "$company_id":
		if m.GroupID != nil && m.CompanyID != nil && *m.GroupID != *m.CompanyID {
			c.fault("mapping.group_id", "leave it out", "must be the company's id, %s: that is what $company_id groups by", describeSource(m.CompanyID))
		}
	case "$user_id":
		if c.mapped("group_id") && c.mapped("user_id") {
			c.fault("mapping.user_id", "keep one of them", "stands beside group_id; with group_key $user_id they mean the same")
		} else if !c.mapped("user_id") {
			c.needs("group_id", "write mapping: {user_id: column}")
		}
		return
	default:
		c.needs("group_id", "write mapping: {group_id: column}")
		if sameColumn(m.GroupID, m.CompanyID) {
			c.fault("mapping.group_id", "each is a column of its own", "is mapped to the company's column, %q", m.CompanyID.Column)
		}
	}
	if s.GroupKey != "" && c.mapped("user_id") {
		c.fault("mapping.user_id", "write group_id", "stands for group_id only with group_key $user_id")
	}
}

func sameColumn(a, b *mapping.Source) bool {
	return a != nil && b != nil && !a.IsConst && !b.IsConst && a.Column == b.Column
}

// checkIdentifiers refuses one column in two roles of which one must be wrong.
func (c *syncCheck) checkIdentifiers() {
	m := &c.sync.Mapping
	if c.sync.Type == mapping.Event || c.sync.Type == mapping.Group {
		if sameColumn(m.UserID, m.CompanyID) {
			c.fault("mapping.user_id", "each is a column of its own", "is mapped to the company's column, %q", m.CompanyID.Column)
		}
	}
	for i, key := range c.sync.GroupKeys {
		if key == "$company_id" || key == "$user_id" {
			c.fault(fmt.Sprintf("group_keys[%d]", i), "remove it", "%s comes from the mapping", key)
		}
	}
}

// checkKey asks for a primary key where nothing else identifies a row.
func (c *syncCheck) checkKey() {
	s := c.sync
	if s.Type == "" || c.given("primary_key") || len(s.PrimaryKey) > 0 {
		return
	}
	switch {
	case s.Type == mapping.Event && !c.mapped("insert_id"):
		c.fault("primary_key", keyHint+", or map insert_id: one of them tells an event that was sent before", "is missing")
	case s.Type != mapping.Event && !c.given("mapping"): // that is the fault to mend
	case s.Type != mapping.Event && c.constantIDs():
		c.fault("primary_key", keyHint, "is missing, and no column identifies a row")
	}
}

// constantIDs reports whether ids are mapped, but to constants alone.
func (c *syncCheck) constantIDs() bool {
	m := &c.sync.Mapping
	any := false
	for _, src := range []*mapping.Source{m.CompanyID, m.GroupID, m.UserID, m.Key} {
		if src != nil {
			if !src.IsConst {
				return false
			}
			any = true
		}
	}
	return any
}
