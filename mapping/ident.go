package mapping

import (
	"fmt"
	"strconv"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/mapping/appendjson"
	"github.com/mixsync/mixsync/mapping/identity"
)

// ident is the source of an id, or of other text with a meaning.
type ident struct {
	field    string // key of the mapping
	col      int    // -1: constant
	kind     warehouse.Kind
	constant []byte
	room     []byte // memory for the text of numbers
}

// read returns the text of the id in a row, nil if it is NULL, and whether it
// could be an id at all: a number with a fraction could not.
func (s *ident) read(b *warehouse.Batch, row int) (id []byte, ok bool) {
	if s.col < 0 {
		return s.constant, true
	}
	c := &b.Cols[s.col]
	if c.IsNull(row) {
		return nil, true
	}
	switch s.kind {
	case warehouse.Int:
		s.room = strconv.AppendInt(s.room[:0], c.Int[row], 10)
		return s.room, true
	case warehouse.Decimal:
		s.room = appendjson.DecimalText(s.room[:0], c.Text(row))
		return s.room, integral(s.room)
	}
	if text := c.Text(row); text != nil {
		return text, true
	}
	return s.room[:0], true // empty, but not NULL
}

func integral(text []byte) bool {
	if len(text) > 0 && text[0] == '-' {
		text = text[1:]
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(text) > 0
}

// fit reads an id that is to be sent bare and judges it. NULL is nil and fit.
func (s *ident) fit(b *warehouse.Batch, row int) ([]byte, *Reject) {
	id, ok := s.read(b, row)
	if !ok {
		return nil, reject(CodeUnencodable, s.field, fmt.Sprintf("%q is not an integer, and ids are never rounded", id))
	}
	if id == nil || s.col < 0 {
		return id, nil // constants were judged by Validate
	}
	switch problem := identity.Check(id); problem {
	case identity.OK:
		return id, nil
	case identity.Blank:
		return nil, reject(CodeBlankID, s.field, "the id is blank")
	case identity.Junk:
		return nil, reject(CodeJunkID, s.field, fmt.Sprintf("%q is %s", id, problem))
	case identity.Prefixed:
		return nil, reject(CodePrefixedID, s.field, fmt.Sprintf("%q is %s", id, problem))
	default:
		return nil, reject(CodeUnencodable, s.field, "the id is "+problem.String())
	}
}

// who is the bare ids of a row; nil where there is none.
type who struct{ company, user, device, group []byte }

// identify reads and judges the ids of an event.
func (p *Plan) identify(b *warehouse.Batch, row int) (w who, rej *Reject) {
	if p.company != nil {
		if w.company, rej = p.company.fit(b, row); rej != nil {
			return w, rej
		}
	}
	if p.user != nil {
		if w.user, rej = p.user.fit(b, row); rej != nil {
			return w, rej
		}
	}
	if p.device != nil {
		if w.device, rej = p.device.fit(b, row); rej != nil {
			return w, rej
		}
	}
	if p.spec.Model == Standard {
		return w, nil // an event of nobody is legal there
	}
	anonymous := w.device != nil && w.user == nil
	switch {
	case w.company == nil && !anonymous && p.spec.MissingCompany == RejectRow:
		return w, reject(CodeMissingCompany, "company_id", "the company id is NULL")
	case w.user == nil && !anonymous && p.spec.MissingUser == RejectRow:
		return w, reject(CodeMissingUser, "user_id", "the user id is NULL")
	case w.company == nil && w.user == nil && w.device == nil:
		return w, reject(CodeMissingID, "company_id", "the row has neither a company nor a user nor a device id")
	}
	return w, nil
}

// identifyProfile reads and judges the ids of a profile. The group of a
// company's profile is the company, that of a user profile the user.
func (p *Plan) identifyProfile(b *warehouse.Batch, row int) (w who, rej *Reject) {
	if p.company != nil {
		if w.company, rej = p.company.fit(b, row); rej != nil {
			return w, rej
		}
		if w.company == nil {
			return w, reject(CodeMissingCompany, p.company.field, "the company id is NULL")
		}
	}
	if p.group == nil {
		w.group = w.company
		return w, nil
	}
	if w.group, rej = p.group.fit(b, row); rej != nil {
		return w, rej
	}
	if w.group == nil {
		return w, reject(CodeMissingID, p.group.field, "the id of the profile is NULL")
	}
	return w, nil
}

// appendDerived appends the id that Mixpanel derives from the row's ids.
func (p *Plan) appendDerived(dst []byte, w who) []byte {
	switch {
	case p.spec.Type == Event && p.spec.Model == Hierarchical:
		return identity.AppendEvent(dst, w.company, w.user, w.device)
	case p.spec.Type == Event:
		return identity.AppendStandard(dst, w.user, w.device)
	case p.spec.Type == Group && p.spec.Model == Hierarchical:
		return identity.AppendGroup(dst, w.company, p.spec.GroupKey, w.group)
	case p.spec.Type == Group:
		dst = append(append(dst, p.spec.GroupKey...), ':')
	}
	return append(dst, w.group...)
}

// DerivedID appends the id that Mixpanel derives for a row, the one by which
// mixsync reports it; nothing if the row's ids are not fit to be sent.
func (p *Plan) DerivedID(b *warehouse.Batch, row int, dst []byte) []byte {
	w, rej := p.whose(b, row)
	if rej != nil {
		return dst
	}
	return p.appendDerived(dst, w)
}

func (p *Plan) whose(b *warehouse.Batch, row int) (who, *Reject) {
	if p.spec.Type == Event {
		return p.identify(b, row)
	}
	return p.identifyProfile(b, row)
}

// lane turns an id into a lane: FNV-1a, but never 0.
func lane(id []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range id {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return max(h, 1)
}
