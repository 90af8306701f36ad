package mapping

import (
	"bytes"
	"fmt"
	"time"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/mapping/appendjson"
	"github.com/mixsync/mixsync/mapping/identity"
)

// Plan writes the rows of one schema as the records of one Spec. Everything that
// does not depend on the row was decided by Compile. A Plan keeps scratch memory
// and counts, so it serves one goroutine.
type Plan struct {
	spec   Spec // with its defaults
	schema *warehouse.Schema

	// Identity.
	company, user, device, group *ident             // nil: not mapped
	insert                       *ident             // nil: made of the key
	namespace                    identity.Namespace // of such insert ids
	keys                         []keyColumn
	keysFirst, keysLast          []keyColumn // the same, by when a NULL in them is looked for

	// Events.
	name     *ident // nil: constant
	nameJSON []byte
	time     timeSource
	ip       *ident // nil: constant
	ipJSON   []byte

	// Profiles: what stands before the ids, between them and behind.
	head, middle, behind []byte

	properties []property
	flattened  []property
	constants  []byte   // `,"a":1,"b":"x"`
	constCount int      // in constants
	constNull  [][]byte // names, as JSON, of constants that are null and to be unset
	fixed      [][]byte // names of all properties known beforehand, as JSON, sorted
	reserved   [][]byte // names that no flattened key may have, as JSON, sorted
	list       []Property

	zone  zone
	limit int64 // greatest time of an event in ms; 0: none

	stats    Stats
	tally    appendjson.Tally
	noHashes bool

	// Scratch, of one row.
	derived, insertID, keyText, hashed, scratch []byte
	members                                     []member
	lifted                                      []span
	more                                        bool
}

// property is a column that is sent as a property.
type property struct {
	name   string
	column string
	col    int
	enc    encoding
	key    []byte // `,"name":`
}

// Property is a property that will be sent. Column is empty for a constant; the
// keys of a flattened column, which only its rows know, have the Name "*".
type Property struct {
	Name   string `json:"name"`
	Column string `json:"column"`
	Type   string `json:"type"` // string, number, boolean, datetime, date, json or null
}

// Append appends the record of a row to dst, without a separator, and tells
// about it in out. If the row cannot be sent, dst comes back as it was. It does
// not allocate for a row that is sent.
func (p *Plan) Append(dst []byte, b *warehouse.Batch, row int, out *Row) ([]byte, *Reject) {
	*out = Row{}
	p.more = false
	stats, tally := p.stats, p.tally
	n := len(dst)
	var rej *Reject
	if p.spec.Type == Event {
		dst, rej = p.appendEvent(dst, b, row, out)
	} else {
		dst, rej = p.appendProfile(dst, b, row, out)
	}
	if rej == nil && len(dst)-n > maxRecord {
		rej = reject(CodeTooLarge, "", fmt.Sprintf("the record is %d bytes long, Mixpanel takes %d", len(dst)-n, maxRecord))
	}
	if rej != nil {
		// What was changed in a record that is not sent is of no interest.
		p.stats, p.tally = stats, tally
		return dst[:n], rej
	}
	return dst, nil
}

func reject(code, field, message string) *Reject {
	return &Reject{Code: code, Field: field, Message: message}
}

// Stats counts what was changed in the records appended so far.
func (p *Plan) Stats() Stats {
	s := p.stats
	s.Truncated, s.Replaced = p.tally.Truncated, p.tally.Replaced
	return s
}

// SetHashes says whether Append fills Row.Sent and Row.Key, as it does at first.
// Where no ledger asks for them they are the largest part of a row's cost. Off,
// Sent is 0, and Key is where it does not fall off the insert id anyway.
func (p *Plan) SetHashes(on bool) { p.noHashes = !on }

// SetNow sets the time by which events in the future are told; nothing of it
// gets into a record. Without it no event is in the future.
func (p *Plan) SetNow(t time.Time) { p.limit = t.Add(time.Hour).UnixMilli() }

// Properties lists every property that will be sent, in the order of the record.
func (p *Plan) Properties() []Property { return p.list }

// appendProperties appends the properties of a row, each after a comma unless
// it is the first of its object. count is the number of members before them.
func (p *Plan) appendProperties(dst []byte, b *warehouse.Batch, row, count, most int) ([]byte, *Reject) {
	for i := range p.properties {
		pr := &p.properties[i]
		c := &b.Cols[pr.col]
		if isNull(pr.enc, c, row) {
			switch p.spec.Nulls {
			case NullsUnset:
				p.more = true
			case NullsSend:
				dst = append(appendKey(dst, pr.key), "null"...)
				count++
			}
			continue
		}
		n := len(dst)
		var f fate
		dst, f = p.appendValue(appendKey(dst, pr.key), pr.enc, c, row)
		switch f {
		case written:
			count++
		case omitted:
			dst = dst[:n]
			p.more = p.more || p.spec.Nulls == NullsUnset
		case tooMany:
			return dst, tooManyIn(pr.name)
		}
	}
	if len(p.flattened) > 0 {
		var rej *Reject
		if dst, count, rej = p.appendFlattened(dst, b, row, count); rej != nil {
			return dst, rej
		}
	}
	if len(p.constants) > 0 {
		dst = appendKey(dst, p.constants)
		count += p.constCount
	}
	if count > most {
		return dst, reject(CodeTooManyProperties, "properties", fmt.Sprintf("the record has %d properties, Mixpanel takes %d", count, most))
	}
	return dst, nil
}

func tooManyIn(name string) *Reject {
	return reject(CodeTooManyProperties, name, fmt.Sprintf("a list or object in %q has more than %d elements", name, maxElements))
}

// appendKey appends `,"name":`, without the comma at the beginning of an object.
func appendKey(dst, key []byte) []byte {
	if dst[len(dst)-1] == '{' {
		key = key[1:]
	}
	return append(dst, key...)
}

// isNull reports whether a value is NULL, or the JSON word for it.
func isNull(enc encoding, c *warehouse.Column, row int) bool {
	if c.IsNull(row) {
		return true
	}
	switch enc {
	case asJSON, textToJSON, jsonToString:
		return string(bytes.TrimSpace(c.Text(row))) == "null"
	}
	return false
}
