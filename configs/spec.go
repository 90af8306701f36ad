package configs

import (
	"github.com/mixsync/mixsync/mapping"
)

// MappingSpec is the part of the sync that decides what its records look like
// when they go to p, one of its projects. It shares memory with the sync.
func (s *Sync) MappingSpec(p *Project) mapping.Spec {
	spec := mapping.Spec{
		Sync:           s.Name,
		Namespace:      s.Namespace,
		Type:           s.Type,
		Model:          p.Model,
		Token:          p.Token.Reveal(),
		PrimaryKey:     s.PrimaryKey,
		GroupKey:       s.GroupKey,
		GroupKeys:      s.GroupKeys,
		Mapping:        s.Mapping,
		Properties:     s.Properties,
		MissingCompany: s.Identity.MissingCompany,
		MissingUser:    s.Identity.MissingUser,
		Nulls:          s.Nulls,
		Future:         s.Future,
		Location:       s.Location,
	}
	if s.Cursor != nil {
		spec.Cursor = s.Cursor.Column
	}
	return spec
}

// derive fills in what follows from other keys.
func (s *Sync) derive() {
	if s.Namespace == "" {
		s.Namespace = s.Name
	}
	if s.Mode == "" && s.Type == mapping.Lookup {
		s.Mode = Full
	}
	if len(s.PrimaryKey) == 0 {
		s.PrimaryKey = s.identifying()
	}
	s.Location, _ = location(s.Timezone) // a bad zone has its fault already
}

// identifying lists the columns whose values identify the record: its key where
// primary_key is left out.
func (s *Sync) identifying() []string {
	m := &s.Mapping
	var sources []*mapping.Source
	switch s.Type {
	case mapping.Event:
		sources = []*mapping.Source{m.InsertID}
	case mapping.Group:
		sources = []*mapping.Source{m.CompanyID, m.GroupID, m.UserID}
	case mapping.User:
		sources = []*mapping.Source{m.UserID}
	case mapping.Lookup:
		sources = []*mapping.Source{m.Key}
	}
	var columns []string
	for _, src := range sources {
		if src != nil && !src.IsConst && src.Column != "" && (len(columns) == 0 || columns[0] != src.Column) {
			columns = append(columns, src.Column)
		}
	}
	return columns
}
