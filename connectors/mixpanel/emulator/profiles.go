package emulator

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"
)

// Profile is what the project knows of a user, a company or another group.
type Profile struct {
	ID         string `json:"id"` // composite, such as "$company:acme|$user:alice"
	GroupKey   string `json:"group_key,omitempty"`
	GroupID    string `json:"group_id,omitempty"`
	CompanyID  string `json:"company_id,omitempty"`
	DistinctID string `json:"distinct_id,omitempty"` // of /engage
	// Properties hold string, json.Number, bool, nil, []any and map[string]any.
	Properties map[string]any `json:"properties"`
	Writes     int            `json:"writes"`             // updates applied since it was made
	LastSeen   time.Time      `json:"last_seen,omitzero"` // of the last update without $ignore_time
}

// profiles is what /groups and /engage have stored.
type profiles struct {
	byID map[string]*Profile
	keys *keySet // keys-only mode: the ids ever written
}

func newProfiles(keysOnly bool) *profiles {
	if keysOnly {
		return &profiles{keys: &keySet{}}
	}
	return &profiles{byID: map[string]*Profile{}}
}

func (p *profiles) len() int {
	if p.keys != nil {
		return p.keys.n
	}
	return len(p.byID)
}

// apply performs an update.
func (p *profiles) apply(u *update, now time.Time) {
	id := u.profile.ID
	if p.keys != nil {
		p.keys.add(hash128([]byte(id)), []byte(id))
		return
	}
	if u.op.name == "$delete" {
		delete(p.byID, id)
		return
	}
	known := p.byID[id]
	if known == nil {
		fresh := u.profile
		fresh.Properties = map[string]any{}
		known = &fresh
	}
	u.op.apply(known.Properties)
	if len(known.Properties) == 0 && p.byID[id] == nil {
		return // a profile comes into being with its first property
	}
	p.byID[id] = known
	known.Writes++
	if !u.ignoreTime {
		known.LastSeen = now
	}
}

// update is one record of /groups or /engage that can be applied.
type update struct {
	index      int
	profile    Profile // its ids
	op         operation
	ignoreTime bool
}

// serveEngage serves /engage, which knows JSONP besides.
func (s *Server) serveEngage(q *work) answer { return q.callback(s.serveProfiles(q)) }

// serveProfiles serves /groups and /engage: JSON in, 200 out, whatever is in it.
func (s *Server) serveProfiles(q *work) answer {
	if encoding := q.http.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		drain(q.http.Body)
		return refuse(http.StatusBadRequest, fmt.Sprintf("content encoding %q is not supported here", encoding))
	}
	b := batches.Get().(*batch)
	defer b.release()
	body, refusal := s.read(q, b.body, s.options.MaxBody)
	b.body = body
	if refusal != nil {
		return *refusal
	}
	if body, err := q.unwrapForm(b.body); err != nil {
		return refuse(http.StatusBadRequest, err.Error())
	} else {
		b.body = body
	}
	updates, total, err := s.parseUpdates(q, b)
	q.log.Records = total
	switch {
	case err != nil:
		return refuse(http.StatusBadRequest, err.Error())
	case total > s.options.MaxRecords:
		return s.tooMany()
	case !s.take(q, total):
		return refuse(http.StatusTooManyRequests, overRate)
	}
	if r := q.hit(FaultRefuseBatch); r != nil {
		s.fired(q, r.Kind)
		return s.refuseAll(q, total, r.Message)
	}
	message := ""
	if len(b.failed) > 0 {
		message = b.failed[0].Message
	}
	good := total - len(b.failed)
	if s.options.AtomicProfiles && message != "" {
		good, updates = 0, nil
	}
	by, lose := s.miscount(q)
	if lose {
		updates = updates[:max(len(updates)-by, 0)]
	}
	s.storeUpdates(q, updates, good)
	return updated(q.mode, max(good-by, 0), b.refused(), message)
}

// storeUpdates applies updates in order and counts them.
func (s *Server) storeUpdates(q *work, updates []update, good int) {
	q.log.Accepted, q.log.Refused = good, q.log.Records-good
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &s.counters
	c.Received += q.log.Records
	c.Accepted += good
	c.Refused += q.log.Refused
	c.ProfileWrites += len(updates)
	seen := make(map[string]bool, len(updates))
	for i := range updates {
		u := &updates[i]
		id := u.profile.ID
		switch {
		case seen[id]:
			q.note(DuplicateKey, u.index, id, "the profile is written twice in one request")
		case s.busy[id] > 0:
			q.note(ConcurrentKey, u.index, id, "another request that writes the profile is not yet answered")
		}
		if !seen[id] {
			seen[id] = true
			s.busy[id]++
			q.keys = append(q.keys, id)
		}
		s.profiles.apply(u, q.log.At)
	}
}

// parseUpdates reads every record. Those to apply are returned; invalid ones go
// to b.failed, and those that Mixpanel would silently lose are noted.
func (s *Server) parseUpdates(q *work, b *batch) (updates []update, total int, err error) {
	targets := q.targets()
	read := func(sc *scanner, at int) int {
		start := at
		sc.measure()
		if _, at = sc.scan(at, 0); at < 0 {
			return at
		}
		index := total
		if total++; total > s.options.MaxRecords {
			return at
		}
		u, f := s.parseUpdate(q, sc.src[start:at], sc.badUTF8, targets, index)
		switch {
		case f.field != "":
			b.failed = append(b.failed, s.failed(index, value{}, f))
		case u != nil:
			updates = append(updates, *u)
		}
		return at
	}
	sc := &scanner{src: b.body}
	start := sc.space(0)
	if start < len(b.body) && b.body[start] == '{' { // one record without its array is tolerated
		if at := read(sc, start); at < 0 || sc.space(at) < len(b.body) {
			err = errors.New("body is not JSON")
		}
		return updates, total, err
	}
	err = each(b.body, jsonArray, read)
	return updates, total, err
}

// outer is the members of a record around its operation.
type outer struct {
	token, groupKey, groupID, companyID, distinctID, ignoreTime value
	ops                                                         []string
	op                                                          value
}

func readOuter(raw []byte) (o outer) {
	s := scanner{src: raw}
	i, more := s.enter(0)
	for more {
		var name, v value
		name, i = s.key(i)
		v, i = s.scan(i, 1)
		switch text := string(name.text()); text {
		case "$token":
			o.token = v
		case "$group_key":
			o.groupKey = v
		case "$group_id":
			o.groupID = v
		case "$company_id":
			o.companyID = v
		case "$distinct_id":
			o.distinctID = v
		case "$ignore_time":
			o.ignoreTime = v
		default:
			if _, isOp := operations[text]; isOp {
				o.ops, o.op = append(o.ops, text), v
			}
		}
		i, more = s.next(i)
	}
	return o
}

// parseUpdate reads one record, which was scanned before. Neither an update nor
// a failure means that the record is accepted and lost.
func (s *Server) parseUpdate(q *work, raw []byte, badUTF8 bool, targets []*armed, index int) (*update, failure) {
	if raw[0] != '{' {
		return nil, failure{"record", "record must be an object"}
	}
	if len(raw) >= s.options.MaxRecord {
		return nil, failure{"record", fmt.Sprintf("record is too large: must be less than %d bytes", s.options.MaxRecord)}
	}
	if badUTF8 {
		return nil, failure{"record", "record is invalid: string should be valid utf8"}
	}
	o := readOuter(raw)
	users := q.path == "/engage"
	required := map[string]value{"$token": o.token, "$group_key": o.groupKey, "$group_id": o.groupID}
	if users {
		required = map[string]value{"$token": o.token, "$distinct_id": o.distinctID}
	}
	for _, name := range slices.Sorted(maps.Keys(required)) {
		if v := required[name]; !v.isString() || blank(v.text()) {
			return nil, failure{name, "'" + name + "' must be a string and must not be missing or blank"}
		}
	}
	if len(o.ops) != 1 {
		return nil, failure{"record", fmt.Sprintf("record must have exactly one operation, has %d", len(o.ops))}
	}
	op, message := parseOperation(o.ops[0], o.op, users)
	if message != "" {
		return nil, failure{o.ops[0], message}
	}
	u := &update{index: index, op: op, ignoreTime: string(o.ignoreTime.raw) == "true", profile: s.whose(&o, users)}
	if f := s.target(q, targets, index, u.profile.ID, o.op.raw, raw); f.field != "" {
		return nil, f
	}
	if kind, detail := s.stuck(&o, users); kind != "" {
		q.note(kind, index, u.profile.ID, detail)
		return nil, failure{}
	}
	return u, failure{}
}

// whose returns the ids of the profile that a record is about.
func (s *Server) whose(o *outer, users bool) (p Profile) {
	text := func(v value) string {
		if v.kind == null {
			return ""
		}
		return string(truncate(v.text()))
	}
	if users {
		id := text(o.distinctID)
		return Profile{ID: id, DistinctID: id}
	}
	p.GroupKey, p.GroupID = text(o.groupKey), text(o.groupID)
	hierarchical := s.options.Model == Hierarchical
	if hierarchical {
		p.CompanyID = text(o.companyID)
	}
	p.ID = composite(hierarchical, p.GroupKey, p.GroupID, p.CompanyID)
	return p
}

// stuck tells why Mixpanel would accept a valid record and not store it where
// anybody finds it.
func (s *Server) stuck(o *outer, users bool) (kind, detail string) {
	hierarchical := s.options.Model == Hierarchical
	company := o.companyID.text()
	switch {
	case s.options.Token != "" && string(o.token.text()) != s.options.Token:
		return WrongToken, "$token is not this project's"
	case users && hierarchical:
		return WrongEndpoint, "profiles of a hierarchical project go to /groups"
	case users && isJunk(o.distinctID.text()), !users && isJunk(o.groupID.text()):
		return JunkID, "the id is a placeholder"
	case !hierarchical:
		return "", ""
	case !o.companyID.isString() || blank(company):
		return MissingCompany, "no $company_id beside $group_key and $group_id"
	case isJunk(company):
		return JunkID, "$company_id is a placeholder"
	case isPrefixed(o.groupID.text()) || isPrefixed(company):
		return PrefixedID, "ids must be sent bare"
	case string(o.groupKey.text()) == "$company_id" && string(o.groupID.text()) != string(company):
		return CompanyMismatch, "$group_id and $company_id of a company must be the same"
	}
	return "", ""
}
