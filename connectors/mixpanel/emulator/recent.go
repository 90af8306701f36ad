package emulator

import (
	"bytes"
	"maps"
	"slices"
)

// latest returns a part of the deduplicated events that match, latest arrival
// first, and how many match. A nil match is all.
func (s *Server) latest(offset, limit int, match func(*entry) bool) (part []Event, total int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.events.log) - 1; i >= 0; i-- {
		en := &s.events.log[i]
		if match == nil && len(part) == limit {
			break // the rest only counts, and is counted
		}
		if match != nil && !match(en) {
			continue
		}
		at := s.events.index[en.key]
		if at.last != i {
			continue
		}
		if total++; total > offset && len(part) < limit {
			part = append(part, en.event(en.name(), s.events.resolve(en), at.copies))
		}
	}
	if match == nil {
		total = s.events.unique()
	}
	return part, total
}

// sortedProfiles returns a part of the profiles that match, in the order of
// their ids, and how many match. A nil match is all.
func (s *Server) sortedProfiles(offset, limit int, match func(*Profile) bool) (part []Profile, total int) {
	s.mu.Lock()
	ids := make([]string, 0, len(s.profiles.byID))
	for id, p := range s.profiles.byID {
		if match == nil || match(p) {
			ids = append(ids, id)
		}
	}
	total = s.profiles.len()
	s.mu.Unlock()
	if match != nil {
		total = len(ids)
	}
	slices.Sort(ids)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids[min(offset, len(ids)):min(offset+limit, len(ids))] {
		if p := s.profiles.byID[id]; p != nil { // not deleted meanwhile
			c := *p
			c.Properties = maps.Clone(p.Properties)
			part = append(part, c)
		}
	}
	return part, total
}

// found is what the project holds of one key.
type found struct {
	Events      []eventRow
	EventCount  int
	Profiles    []profileRow
	ProfileHits int
	Linked      string // whom the device of this id was first linked to
	Violations  []Violation

	// Keys-only mode knows how many, and nothing else.
	KeptEvents, KeptProfiles int
}

// Nothing tells whether the key is not known at all.
func (f *found) Nothing() bool {
	return f.EventCount+f.ProfileHits+len(f.Violations)+f.KeptEvents+f.KeptProfiles == 0 && f.Linked == ""
}

// lookUp finds a key: an $insert_id, a distinct_id as stored or as resolved
// through its device, a profile's composite or bare id, a device.
func (s *Server) lookUp(key string) *found {
	f := new(found)
	id := []byte(key)
	if s.options.KeysOnly {
		s.mu.Lock()
		f.KeptEvents, f.KeptProfiles = s.events.keys.count(id), s.profiles.keys.count(id)
		s.mu.Unlock()
	} else {
		var events []Event
		events, f.EventCount = s.latest(0, foundRows, func(en *entry) bool {
			return bytes.Equal(en.insertID, id) || bytes.Equal(en.distinctID, id) ||
				bytes.Contains(en.distinctID, []byte("$device:")) && s.events.resolve(en) == key
		})
		f.Events = eventRows(events)
		var profiles []Profile
		profiles, f.ProfileHits = s.sortedProfiles(0, foundRows, func(p *Profile) bool { return p.ID == key || p.GroupID == key })
		f.Profiles = profileRows(profiles)
		s.mu.Lock()
		f.Linked = s.events.links[key]
		s.mu.Unlock()
	}
	for _, v := range s.Violations() {
		if v.Key == key && len(f.Violations) < foundRows {
			f.Violations = append(f.Violations, v)
		}
	}
	return f
}
