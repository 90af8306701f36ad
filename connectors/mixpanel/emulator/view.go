package emulator

import (
	"maps"
	"slices"
	"time"
)

// Event is one deduplicated event.
type Event struct {
	Name       string         `json:"event"`
	DistinctID string         `json:"distinct_id"` // as Mixpanel derives it, whatever was sent
	ResolvedID string         `json:"resolved_id"` // the same, with the event's device followed to whom it was linked
	Time       time.Time      `json:"time"`        // UTC, milliseconds
	InsertID   string         `json:"insert_id"`
	Properties map[string]any `json:"properties"` // as stored: see Profile.Properties for the types
	Copies     int            `json:"copies"`     // records received with this key
	Received   time.Time      `json:"received"`
	Raw        []byte         `json:"-"` // the record as received; do not modify
}

// Violation is something that Mixpanel accepts silently and that should not
// have been sent.
type Violation struct {
	Kind    string `json:"kind"`
	Request int    `json:"request"` // Request.ID
	Path    string `json:"path"`
	Index   int    `json:"index"` // of the record in the request
	Key     string `json:"key"`   // $insert_id or composite profile id
	Detail  string `json:"detail"`
}

// Request is one request to a write path, or a raw export, of which Records are
// the events found. It holds no credentials.
type Request struct {
	ID          int       `json:"id"` // 1, 2, 3, … in order of arrival
	At          time.Time `json:"at"`
	DurationMS  float64   `json:"duration_ms"`
	Path        string    `json:"path"`
	ProjectID   string    `json:"project_id,omitempty"`
	Strict      bool      `json:"strict"`
	Verbose     bool      `json:"verbose"`
	ContentType string    `json:"content_type,omitempty"`
	Encoding    string    `json:"encoding,omitempty"`
	BytesWire   int       `json:"bytes_wire"`
	BytesBody   int       `json:"bytes_body"` // uncompressed
	Records     int       `json:"records"`
	Accepted    int       `json:"accepted"` // in truth, whatever the answer said
	Refused     int       `json:"refused"`
	Status      int       `json:"status"` // 0 if the connection was dropped
	Faults      []string  `json:"faults,omitempty"`
}

// Counters add up since New or Reset.
type Counters struct {
	Requests      map[string]int `json:"requests"`       // by path
	Statuses      map[string]int `json:"statuses"`       // by HTTP status, "0" for dropped connections
	Received      int            `json:"received"`       // records in requests that were processed
	Accepted      int            `json:"accepted"`       // of these, valid
	Refused       int            `json:"refused"`        // of these, invalid
	Duplicates    int            `json:"duplicates"`     // events stored that had been stored before
	ProfileWrites int            `json:"profile_writes"` // updates applied
	Throttled     int            `json:"throttled"`      // requests over the rate limit, faults aside
	LinkConflicts int            `json:"link_conflicts"` // events that claim a device for a second user
	BytesWire     int64          `json:"bytes_wire"`
	BytesBody     int64          `json:"bytes_body"`
	Faults        map[string]int `json:"faults"`     // by kind: requests hit, or records for "refuse"
	Violations    map[string]int `json:"violations"` // by kind
}

func newCounters() Counters {
	return Counters{Requests: map[string]int{}, Statuses: map[string]int{}, Faults: map[string]int{}, Violations: map[string]int{}}
}

// Events returns the deduplicated events in the order of their latest arrival.
// Of several with equal (event, distinct_id, time, $insert_id) the latest
// stands. It is empty in keys-only mode.
func (s *Server) Events() []Event { return s.filter(eventFilter{limit: -1}).events }

// RawCount is how many events are stored, copies included.
func (s *Server) RawCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.events.raw
}

// Count is how many deduplicated events are stored.
func (s *Server) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.events.unique()
}

// InsertIDs returns the $insert_id of every deduplicated event, sorted. An id
// that stands there twice was sent under two different deduplication keys.
func (s *Server) InsertIDs() []string {
	var ids []string
	s.eachInsertID(func(id []byte) bool {
		ids = append(ids, string(id))
		return true
	})
	return ids
}

// ProfileIDs returns the composite id of every profile, sorted. In keys-only
// mode, deleted ones are still among them.
func (s *Server) ProfileIDs() []string {
	s.mu.Lock()
	if s.profiles.keys == nil {
		defer s.mu.Unlock()
		return slices.Sorted(maps.Keys(s.profiles.byID))
	}
	view := s.profiles.keys.view()
	s.mu.Unlock()
	view.sort()
	ids := make([]string, 0, len(view.refs))
	for _, ref := range view.refs {
		ids = append(ids, string(view.append(nil, ref)))
	}
	return ids
}

// Profiles returns the profiles by composite id: "$company:acme",
// "$company:acme|$user:alice", "$company:acme|team_id:7"; in a standard project
// "team_id:7", and the bare id of a user. It is empty in keys-only mode.
func (s *Server) Profiles() map[string]Profile {
	s.mu.Lock()
	defer s.mu.Unlock()
	copies := make(map[string]Profile, len(s.profiles.byID))
	for id, p := range s.profiles.byID {
		c := *p
		c.Properties = maps.Clone(p.Properties)
		copies[id] = c
	}
	return copies
}

// Links returns whom each device was first linked to.
func (s *Server) Links() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.events.links)
}

// HotShards returns the ids with more events in a day than Mixpanel keeps apart.
func (s *Server) HotShards() []HotShard {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heat.list()
}

// Violations returns the latest violations, oldest first.
func (s *Server) Violations() []Violation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.problems.list()
}

// Requests returns the latest answered requests, oldest first.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests.list()
}

// Counters returns a copy of the counts.
func (s *Server) Counters() Counters {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.counters
	c.LinkConflicts = s.events.conflicts
	c.Requests, c.Statuses = maps.Clone(c.Requests), maps.Clone(c.Statuses)
	c.Faults, c.Violations = maps.Clone(c.Faults), maps.Clone(c.Violations)
	return c
}

// eachInsertID calls do with every $insert_id in order until it returns false.
func (s *Server) eachInsertID(do func(id []byte) bool) {
	s.mu.Lock()
	if s.events.keys == nil {
		ids := make([]string, 0, len(s.events.index))
		for _, place := range s.events.index {
			ids = append(ids, string(s.events.log[place.last].insertID))
		}
		s.mu.Unlock()
		slices.Sort(ids)
		for _, id := range ids {
			if !do([]byte(id)) {
				return
			}
		}
		return
	}
	view := s.events.keys.view()
	s.mu.Unlock()
	view.sort()
	var id []byte
	for _, ref := range view.refs {
		if id = view.append(id[:0], ref); !do(id) {
			return
		}
	}
}

// eventFilter picks events; an empty text matches all, a negative limit is none.
type eventFilter struct {
	name, distinctID, insertID string
	offset, limit              int
}

type eventPage struct {
	total  int // events that match
	events []Event
}

func (s *Server) filter(f eventFilter) eventPage {
	s.mu.Lock()
	defer s.mu.Unlock()
	page := eventPage{events: []Event{}}
	for i := range s.events.log {
		en := &s.events.log[i]
		at := s.events.index[en.key]
		if at.last != i || f.insertID != "" && f.insertID != string(en.insertID) {
			continue
		}
		resolved := s.events.resolve(en)
		if f.distinctID != "" && f.distinctID != string(en.distinctID) && f.distinctID != resolved {
			continue
		}
		name := en.name()
		if f.name != "" && f.name != name {
			continue
		}
		page.total++
		if page.total <= f.offset || f.limit >= 0 && len(page.events) >= f.limit {
			continue
		}
		page.events = append(page.events, en.event(name, resolved, at.copies))
	}
	return page
}

// resolve returns an entry's distinct_id, with its device followed if it was linked.
func (s *events) resolve(en *entry) string {
	id := string(en.distinctID)
	if at := deviceAt(id); at >= 0 {
		if linked, ok := s.links[id[at:]]; ok {
			return linked
		}
	}
	return id
}

// name is the event's name as stored.
func (en *entry) name() string {
	var e event
	sc := scanner{src: en.raw}
	sc.scanEvent(0, &e)
	return truncate(string(e.name.text()))
}

// properties decodes the event's properties as stored.
func (en *entry) properties() map[string]any {
	properties := decodeObject(find(en.raw, "properties").raw)
	delete(properties, "ip") // used for geolocation, never stored
	properties["distinct_id"] = string(en.distinctID)
	properties["$insert_id"] = string(en.insertID)
	return properties
}

func (en *entry) event(name, resolved string, copies int) Event {
	return Event{
		Name: name, DistinctID: string(en.distinctID), ResolvedID: resolved, InsertID: string(en.insertID),
		Time: time.UnixMilli(en.millis).UTC(), Received: time.UnixMilli(en.received).UTC(),
		Properties: en.properties(), Copies: copies, Raw: en.raw,
	}
}
