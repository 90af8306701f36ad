package mapping

import (
	"bytes"
	"errors"
	"slices"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/mapping/appendjson"
)

// member is one member of a flattened object, as slices of Plan.scratch. The key
// has its quotes.
type member struct{ key, value []byte }

// span is a part of the record.
type span struct{ start, end int }

// appendFlattened lifts the keys of the flattened columns into the record. Of
// equal keys of one object the last counts, as in every JSON reader; of several
// columns the first; and every other property beats them. Keys that cannot be
// properties, because the name is Mixpanel's, would be cut, or is a flattened
// column's, stay in an object under their column's name. A value that is no
// object goes there whole.
func (p *Plan) appendFlattened(dst []byte, b *warehouse.Batch, row, count int) ([]byte, int, *Reject) {
	p.lifted = p.lifted[:0]
	for i := range p.flattened {
		pr := &p.flattened[i]
		c := &b.Cols[pr.col]
		if isNull(pr.enc, c, row) {
			continue // which keys it does not have, nobody knows
		}
		object, err := p.open(c, row)
		if errors.Is(err, appendjson.ErrTooMany) {
			return dst, count, tooManyIn(pr.name)
		}
		if !object {
			dst = appendKey(dst, pr.key)
			if err != nil {
				dst = appendjson.String(dst, c.Text(row), maxString, &p.tally)
			} else {
				dst = append(dst, p.scratch...)
			}
			count++
			continue
		}
		dst, count = p.lift(dst, count)
		if before := len(dst); p.keepsAny() {
			dst = p.appendKept(appendKey(dst, pr.key))
			if len(dst) > before {
				count++
			}
		}
	}
	return dst, count, nil
}

// open compacts the value of a flattened column into scratch and, if it is an
// object, lists its members. Equal keys have equal text there.
func (p *Plan) open(c *warehouse.Column, row int) (object bool, err error) {
	p.members = p.members[:0]
	p.scratch, err = appendjson.JSON(p.scratch[:0], c.Text(row), limits, &p.tally)
	if err != nil || p.scratch[0] != '{' {
		return false, err
	}
	for next := 1; ; {
		var m member
		if m.key, m.value, next = appendjson.Member(p.scratch, next); m.key == nil {
			return true, nil
		}
		p.members = append(p.members, m)
	}
}

// lift appends the members that can be properties.
func (p *Plan) lift(dst []byte, count int) ([]byte, int) {
	for i, m := range p.members {
		if p.repeated(i) || p.kept(m.key) || p.taken(dst, m.key) {
			continue
		}
		value := m.value
		if string(value) == "null" {
			if p.spec.Nulls == NullsUnset {
				p.more = true
			}
			if p.spec.Nulls != NullsSend {
				continue
			}
		}
		if dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
		start := len(dst)
		dst = append(dst, m.key...)
		p.lifted = append(p.lifted, span{start, len(dst)})
		dst = append(dst, ':')
		dst = append(dst, value...)
		count++
	}
	return dst, count
}

// repeated reports whether a later member has the key of member i.
func (p *Plan) repeated(i int) bool {
	key := p.members[i].key
	for _, later := range p.members[i+1:] {
		if bytes.Equal(later.key, key) {
			return true
		}
	}
	return false
}

// kept reports whether a key must stay below its column.
func (p *Plan) kept(key []byte) bool {
	if len(key) > maxName+len(`""`) || len(bytes.TrimSpace(key[1:len(key)-1])) == 0 {
		return true
	}
	_, found := slices.BinarySearchFunc(p.reserved, key, bytes.Compare)
	return found
}

// taken reports whether the record has, or may have, a property of this name.
func (p *Plan) taken(dst, key []byte) bool {
	if _, found := slices.BinarySearchFunc(p.fixed, key, bytes.Compare); found {
		return true
	}
	for _, s := range p.lifted {
		if bytes.Equal(dst[s.start:s.end], key) {
			return true
		}
	}
	return false
}

func (p *Plan) keepsAny() bool {
	return slices.ContainsFunc(p.members, func(m member) bool { return p.kept(m.key) })
}

// appendKept appends an object of the members that stay.
func (p *Plan) appendKept(dst []byte) []byte {
	dst = append(dst, '{')
	for i, m := range p.members {
		if !p.kept(m.key) || p.repeated(i) {
			continue
		}
		if dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
		dst = append(dst, m.key...)
		dst = append(dst, ':')
		dst = append(dst, m.value...)
	}
	return append(dst, '}')
}
