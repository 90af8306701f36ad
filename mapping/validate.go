package mapping

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/mixsync/mixsync/mapping/identity"
)

// maxName is the length in bytes up to which Mixpanel keeps event and property names.
const maxName = 255

// Validate reports what is wrong with a Spec whatever the schema. The policies
// that are empty have their defaults: reject, and skip for Nulls.
func (s Spec) Validate() Faults {
	var f faults
	s.validateModel(&f)
	switch s.Type {
	case Event:
		s.validateEvent(&f)
	case Group, User:
		s.validateProfile(&f)
	case Lookup:
		f.add("type", "lookup tables are not sent by this version", "leave this sync out, or use another tool for it")
	default:
		f.add("type", fmt.Sprintf("unknown type %q", s.Type), "write event, group, user or lookup")
	}
	s.validateMapping(&f)
	s.validateProperties(&f)
	oneOf(&f, "identity.missing_company", s.MissingCompany, RejectRow, SendRow)
	oneOf(&f, "identity.missing_user", s.MissingUser, RejectRow, SendRow)
	oneOf(&f, "nulls", s.Nulls, NullsSkip, NullsUnset, NullsSend)
	oneOf(&f, "future", s.Future, RejectRow, HoldRow)
	return f.list
}

// faults collects what is wrong.
type faults struct{ list Faults }

func (f *faults) add(path, message, hint string) {
	f.list = append(f.list, Fault{Path: path, Message: message, Hint: hint})
}

func oneOf(f *faults, path, value string, allowed ...string) {
	if value != "" && !slices.Contains(allowed, value) {
		f.add(path, fmt.Sprintf("unknown value %q", value), "write "+strings.Join(allowed, " or "))
	}
}

func (s Spec) validateModel(f *faults) {
	switch s.Model {
	case Hierarchical:
		if s.Type == User {
			f.add("type", "user profiles of a hierarchical project do not go through /engage",
				"write type: group with group_key: $user_id")
		}
	case Standard:
		if s.Mapping.CompanyID != nil {
			f.add("mapping.company_id", "only a hierarchical project has companies",
				"in a standard project send the column as a property and name it under group_keys")
		}
	default:
		f.add("model", fmt.Sprintf("unknown model %q", s.Model), "write hierarchical or standard")
	}
}

func (s Spec) validateEvent(f *faults) {
	m := s.Mapping
	required(f, "event", m.Event)
	required(f, "time", m.Time)
	if s.Model == Hierarchical {
		required(f, "company_id", m.CompanyID)
		required(f, "user_id", m.UserID)
	}
	if m.InsertID == nil && len(s.PrimaryKey) == 0 {
		f.add("primary_key", "an event needs a primary key or mapping.insert_id, so that it is never counted twice",
			"name the columns that tell a row from all others")
	}
	foreign(f, "group_id", "groups", m.GroupID)
	for _, key := range s.GroupKeys {
		if key == "$company_id" || key == "$user_id" {
			f.add("group_keys", key+" comes from the mapping, not from a property", "remove it from group_keys")
		}
	}
}

func (s Spec) validateProfile(f *faults) {
	m := s.Mapping
	foreign(f, "event", "events", m.Event)
	foreign(f, "time", "events", m.Time)
	foreign(f, "insert_id", "events", m.InsertID)
	foreign(f, "device_id", "events", m.DeviceID)
	foreign(f, "ip", "events", m.IP)
	if s.Token == "" {
		f.add("project", "profiles need the project's token", "set token in the project")
	}
	if s.Type == User {
		required(f, "user_id", m.UserID)
		foreign(f, "group_id", "groups", m.GroupID)
		return
	}
	if s.GroupKey == "" {
		f.add("group_key", "a group needs its key", "write $company_id, $user_id or the key as registered in Mixpanel")
	}
	if len(s.GroupKey) > maxName || strings.TrimSpace(s.GroupKey) != s.GroupKey {
		f.add("group_key", "a key has at most 255 bytes and no space around it", "")
	}
	if s.Model == Hierarchical {
		required(f, "company_id", m.CompanyID)
	}
	if s.groupID() == nil && !(s.Model == Hierarchical && s.GroupKey == "$company_id") {
		required(f, "group_id", nil)
	}
	if s.Model == Hierarchical && s.GroupKey == "$company_id" && m.GroupID != nil && m.CompanyID != nil && *m.GroupID != *m.CompanyID {
		f.add("mapping.group_id", "of $company_id the group id is the company id", "leave group_id out")
	}
	if m.UserID != nil && s.GroupKey != "$user_id" {
		f.add("mapping.user_id", "a user id belongs to profiles of $user_id", "leave it out, or map group_id")
	}
}

// groupID is the source of a group's id, nil where the company's stands for it.
func (s Spec) groupID() *Source {
	switch {
	case s.Model == Hierarchical && s.GroupKey == "$company_id":
		return nil
	case s.Mapping.GroupID != nil:
		return s.Mapping.GroupID
	case s.GroupKey == "$user_id":
		return s.Mapping.UserID
	}
	return nil
}

func required(f *faults, name string, src *Source) {
	if src == nil {
		f.add("mapping."+name, "is required", fmt.Sprintf("name a column: %s: %s", name, name))
	}
}

func foreign(f *faults, name, owner string, src *Source) {
	if src != nil {
		f.add("mapping."+name, "is for "+owner, "remove it")
	}
}

func (s Spec) validateMapping(f *faults) {
	m := s.Mapping
	if m.Event != nil && m.Event.IsConst {
		if why := eventNameProblem([]byte(m.Event.Constant)); why != "" {
			f.add("mapping.event", why, "")
		} else if len(m.Event.Constant) > maxName {
			f.add("mapping.event", "an event name has at most 255 bytes", "")
		}
	}
	if m.Time != nil && m.Time.IsConst {
		f.add("mapping.time", "every event has a time of its own", "name a column")
	}
	if m.InsertID != nil && m.InsertID.IsConst {
		f.add("mapping.insert_id", "Mixpanel would take all events with one insert id for the same", "name a column, or leave it out and set primary_key")
	}
	for _, id := range s.ids() {
		if id.src.IsConst {
			if p := identity.Check([]byte(id.src.Constant)); p != identity.OK {
				f.add("mapping."+id.name, fmt.Sprintf("%q is %s", id.src.Constant, p), "")
			}
		}
	}
	if c, u := m.CompanyID, m.UserID; c != nil && u != nil && !c.IsConst && !u.IsConst && c.Column == u.Column {
		f.add("mapping.user_id", fmt.Sprintf("column %q is the company's id already", u.Column), "")
	}
	for _, x := range s.mapped() {
		if x.src.Unit == "" {
			continue
		}
		if x.name != "time" {
			f.add("mapping."+x.name, "a unit belongs to time", "remove it")
		} else if _, ok := unitOf(x.src.Unit); !ok {
			f.add("mapping.time", fmt.Sprintf("unknown unit %q", x.src.Unit), "write s, ms or us")
		}
	}
}

// named is a source and its key in the mapping.
type named struct {
	name string
	src  *Source
}

// mapped lists the sources that are set, in a fixed order.
func (s Spec) mapped() []named {
	m := s.Mapping
	all := []named{
		{"event", m.Event}, {"time", m.Time}, {"company_id", m.CompanyID}, {"user_id", m.UserID},
		{"device_id", m.DeviceID}, {"insert_id", m.InsertID}, {"group_id", m.GroupID}, {"ip", m.IP}, {"key", m.Key},
	}
	return slices.DeleteFunc(all, func(x named) bool { return x.src == nil })
}

// ids lists the sources that identify somebody.
func (s Spec) ids() []named {
	return slices.DeleteFunc(s.mapped(), func(x named) bool {
		return x.name != "company_id" && x.name != "user_id" && x.name != "device_id" && x.name != "group_id"
	})
}

var typeNames = []string{"string", "number", "boolean", "datetime", "json"}

func (s Spec) validateProperties(f *faults) {
	p := s.Properties
	for _, column := range sortedKeys(p.Rename) {
		validateName(f, "properties.rename."+column, p.Rename[column])
	}
	for _, column := range sortedKeys(p.Types) {
		oneOf(f, "properties.types."+column, p.Types[column], typeNames...)
	}
	for i, c := range p.Constants {
		path := "properties.constants." + c.Name
		validateName(f, path, c.Name)
		if slices.ContainsFunc(p.Constants[:i], func(x Constant) bool { return x.Name == c.Name }) {
			f.add(path, "is given twice", "")
		}
		switch v := c.Value.(type) {
		case nil, string, int, int64, bool:
		case float64:
			if math.IsNaN(v) || math.IsInf(v, 0) {
				f.add(path, "is no number that JSON can hold", "")
			}
		default:
			f.add(path, "must be a string, a number, true, false or null", "")
		}
	}
}

func validateName(f *faults, path, name string) {
	switch {
	case identity.IsBlank([]byte(name)):
		f.add(path, "a property needs a name", "")
	case len(name) > maxName:
		f.add(path, fmt.Sprintf("property name of %d bytes: Mixpanel keeps 255", len(name)), "choose a shorter one with rename")
	}
}
