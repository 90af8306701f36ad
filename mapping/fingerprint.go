package mapping

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// fingerprintVersion changes when the same mapping comes to give other records
// in what Mixpanel deduplicates by.
const fingerprintVersion = 1

// fingerprint is what feeds Mixpanel's deduplication, in the order of its JSON.
// What has no influence is null, so that changing it is no change.
type fingerprint struct {
	V          int            `json:"v"`
	Type       Type           `json:"type"`
	Model      Model          `json:"model"`
	GroupKey   *string        `json:"group_key"`
	Event      *sourcePrint   `json:"event"`
	Time       *sourcePrint   `json:"time"`
	Timezone   *string        `json:"timezone"` // only where the time has no zone of its own
	CompanyID  *sourcePrint   `json:"company_id"`
	UserID     *sourcePrint   `json:"user_id"`
	DeviceID   *sourcePrint   `json:"device_id"`
	GroupID    *sourcePrint   `json:"group_id"`
	InsertID   *sourcePrint   `json:"insert_id"`
	Namespace  *string        `json:"namespace"` // only where insert ids are made from the key
	PrimaryKey []*sourcePrint `json:"primary_key"`
}

// sourcePrint is a column with what its values mean, or a constant.
type sourcePrint struct {
	Column   string  `json:"column,omitempty"`
	Kind     string  `json:"kind,omitempty"`
	Unit     string  `json:"unit,omitempty"`
	Constant *string `json:"constant,omitempty"`
}

// Fingerprint describes what feeds Mixpanel's deduplication, as a JSON object
// that is the same byte for byte for equal mappings.
func (p *Plan) Fingerprint() json.RawMessage {
	s, m := p.spec, p.spec.Mapping
	f := fingerprint{
		V: fingerprintVersion, Type: s.Type, Model: s.Model,
		Event: p.print(m.Event), Time: p.print(m.Time), CompanyID: p.print(m.CompanyID), UserID: p.print(m.UserID),
		DeviceID: p.print(m.DeviceID), GroupID: p.print(m.GroupID), InsertID: p.print(m.InsertID),
	}
	if s.Type == Group {
		f.GroupKey = &s.GroupKey
	}
	if s.Type == Event {
		if k := p.time.kind; k == warehouse.Timestamp || k == warehouse.Date {
			name := s.Location.String()
			f.Timezone = &name
		}
		if m.InsertID == nil {
			f.Namespace = &s.Namespace
		}
	}
	for _, k := range p.keys {
		f.PrimaryKey = append(f.PrimaryKey, p.print(&Source{Column: p.schema.Fields[k.col].Name}))
	}
	text, err := json.Marshal(f)
	if err != nil {
		panic("mapping: a fingerprint is made of text only: " + err.Error())
	}
	return text
}

func (p *Plan) print(src *Source) *sourcePrint {
	if src == nil {
		return nil
	}
	if src.IsConst {
		return &sourcePrint{Constant: &src.Constant}
	}
	f := p.schema.Fields[p.schema.Index(src.Column)]
	return &sourcePrint{Column: f.Name, Kind: f.Kind.String(), Unit: src.Unit}
}

// String gives `column "ts" (int, ms)` or `constant "x"`.
func (s *sourcePrint) String() string {
	switch {
	case s == nil:
		return "nothing"
	case s.Constant != nil:
		return fmt.Sprintf("constant %q", *s.Constant)
	}
	text := fmt.Sprintf("column %q (%s", s.Column, s.Kind)
	if s.Unit != "" {
		text += ", " + s.Unit
	}
	return text + ")"
}

// brief gives `column "ts"` where that is enough to tell it from another.
func (s *sourcePrint) brief(other *sourcePrint) string {
	if s == nil || s.Constant != nil || other != nil && other.Constant == nil && s.Column == other.Column {
		return s.String()
	}
	return fmt.Sprintf("column %q", s.Column)
}

// DiffFingerprint tells what changed between two fingerprints, a line for each
// change: `time: column "occurred_at" → column "created_at"`. No lines: nothing did.
func DiffFingerprint(old, new json.RawMessage) []string {
	if bytes.Equal(old, new) {
		return nil
	}
	var a, b fingerprint
	if json.Unmarshal(old, &a) != nil || json.Unmarshal(new, &b) != nil {
		return []string{"fingerprint: one of the two cannot be read"}
	}
	var lines []string
	differ := func(name, from, to string) {
		if from != to {
			lines = append(lines, fmt.Sprintf("%s: %s → %s", name, from, to))
		}
	}
	sources := func(name string, from, to *sourcePrint) {
		if from.String() != to.String() {
			differ(name, from.brief(to), to.brief(from))
		}
	}
	differ("v", fmt.Sprint(a.V), fmt.Sprint(b.V))
	differ("type", string(a.Type), string(b.Type))
	differ("model", string(a.Model), string(b.Model))
	differ("group_key", quoted(a.GroupKey), quoted(b.GroupKey))
	sources("event", a.Event, b.Event)
	sources("time", a.Time, b.Time)
	differ("timezone", quoted(a.Timezone), quoted(b.Timezone))
	sources("company_id", a.CompanyID, b.CompanyID)
	sources("user_id", a.UserID, b.UserID)
	sources("device_id", a.DeviceID, b.DeviceID)
	sources("group_id", a.GroupID, b.GroupID)
	sources("insert_id", a.InsertID, b.InsertID)
	differ("namespace", quoted(a.Namespace), quoted(b.Namespace))
	differ("primary_key", join(a.PrimaryKey), join(b.PrimaryKey))
	return lines
}

func quoted(s *string) string {
	if s == nil {
		return "nothing"
	}
	return fmt.Sprintf("%q", *s)
}

func join(sources []*sourcePrint) string {
	texts := make([]string, len(sources))
	for i, s := range sources {
		texts[i] = s.String()
	}
	return strings.Join(texts, ", ")
}
