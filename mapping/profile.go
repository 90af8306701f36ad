package mapping

import (
	"bytes"
	"encoding/json"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/mapping/appendjson"
	"github.com/mixsync/mixsync/mapping/identity"
)

// appendProfile appends
//
//	{"$token":"T","$group_key":"k","$group_id":"g","$company_id":"c","$ip":"0","$ignore_time":true,"$set":{…}}
//
// where only hierarchical projects have $company_id, or for profiles of users
//
//	{"$token":"T","$distinct_id":"u","$ip":"0","$ignore_time":true,"$set":{…}}
func (p *Plan) appendProfile(dst []byte, b *warehouse.Batch, row int, out *Row) ([]byte, *Reject) {
	w, rej := p.identifyProfile(b, row)
	if rej != nil {
		return dst, rej
	}
	if rej := nullKey(p.keys, b, row); rej != nil {
		return dst, rej
	}
	digest := p.digestKey(b, row)
	out.Key = digest.Hash()
	p.derived = p.appendDerived(p.derived[:0], w)
	out.Lane = lane(p.derived)

	n := len(dst)
	dst = append(p.appendWhose(dst, w), p.behind...)
	dst = append(dst, `"$set":{`...)
	if dst, rej = p.appendProperties(dst, b, row, 0, maxProfileProperties); rej != nil {
		return dst, rej
	}
	dst = append(dst, '}', '}')
	out.More = p.more || len(p.constNull) > 0
	if !p.noHashes {
		// What $unset removes of columns is what $set lacks, so it is no news: a
		// new column that is NULL sends nothing again. A key of a flattened
		// object can be lacking without being removed.
		end := len(dst)
		if out.More {
			dst = p.appendUnsetLifted(dst, b, row)
		}
		out.Sent = identity.Hash(dst[n:])
		dst = dst[:end]
	}
	return dst, nil
}

// appendWhose appends the beginning of a profile record, up to its last id.
func (p *Plan) appendWhose(dst []byte, w who) []byte {
	dst = append(dst, p.head...)
	dst = appendjson.Whole(dst, w.group)
	if len(p.middle) > 0 {
		dst = append(dst, p.middle...)
		dst = appendjson.Whole(dst, w.company)
	}
	return append(dst, ',')
}

// AppendMore appends the second record of a row that Append said has one: it
// removes the properties that are NULL.
func (p *Plan) AppendMore(dst []byte, b *warehouse.Batch, row int) []byte {
	w, rej := p.whose(b, row)
	if rej != nil {
		return dst
	}
	return p.appendUnset(dst, b, row, w)
}

func (p *Plan) appendUnset(dst []byte, b *warehouse.Batch, row int, w who) []byte {
	dst = append(p.appendWhose(dst, w), p.behind...)
	dst = append(dst, `"$unset":[`...)
	for i := range p.properties {
		if pr := &p.properties[i]; p.lacking(dst, pr, b, row) {
			dst = appendElement(dst, pr.key[1:len(pr.key)-1])
		}
	}
	dst = p.appendUnsetLifted(dst, b, row)
	for _, name := range p.constNull {
		dst = appendElement(dst, name)
	}
	return append(dst, ']', '}')
}

// appendUnsetLifted appends the keys of all flattened objects whose value is null.
func (p *Plan) appendUnsetLifted(dst []byte, b *warehouse.Batch, row int) []byte {
	p.lifted = p.lifted[:0]
	for i := range p.flattened {
		dst = p.appendUnsetKeys(dst, &p.flattened[i], b, row)
	}
	return dst
}

// lacking reports whether $set has no value for a property: it is NULL, or it
// cannot be sent. Either way what was there before is outdated.
func (p *Plan) lacking(dst []byte, pr *property, b *warehouse.Batch, row int) bool {
	c := &b.Cols[pr.col]
	if isNull(pr.enc, c, row) {
		return true
	}
	stats, tally := p.stats, p.tally // Append has counted it
	_, f := p.appendValue(dst, pr.enc, c, row)
	p.stats, p.tally = stats, tally
	return f == omitted
}

// appendUnsetKeys appends the keys of a flattened object whose value is null.
func (p *Plan) appendUnsetKeys(dst []byte, pr *property, b *warehouse.Batch, row int) []byte {
	c := &b.Cols[pr.col]
	if isNull(pr.enc, c, row) {
		return dst
	}
	tally := p.tally
	object, _ := p.open(c, row)
	p.tally = tally // Append has counted them
	if !object {
		return dst
	}
	for i, m := range p.members {
		if string(m.value) != "null" || p.repeated(i) || p.kept(m.key) || p.taken(dst, m.key) {
			continue
		}
		dst = appendElement(dst, m.key)
		p.lifted = append(p.lifted, span{len(dst) - len(m.key), len(dst)})
	}
	return dst
}

func appendElement(dst, v []byte) []byte {
	if dst[len(dst)-1] != '[' {
		dst = append(dst, ',')
	}
	return append(dst, v...)
}

// Ident returns what is needed to delete the profile of a row, as compact JSON:
// its ids, the company's first. It is empty if they are not fit to be sent.
func (p *Plan) Ident(b *warehouse.Batch, row int) string {
	w, rej := p.whose(b, row)
	if rej != nil {
		return ""
	}
	ident := []byte{'['}
	if w.company != nil && p.group != nil {
		ident = append(appendjson.Whole(ident, w.company), ',')
	}
	return string(append(appendjson.Whole(ident, w.group), ']'))
}

// Delete appends the record that deletes the profile of an Ident, without a
// separator. It appends nothing for an ident that is not of this plan.
func (p *Plan) Delete(ident string, dst []byte) []byte {
	var ids []string
	if json.Unmarshal([]byte(ident), &ids) != nil || len(ids) == 0 {
		return dst
	}
	var w who
	w.group = []byte(ids[len(ids)-1])
	w.company = []byte(ids[0])
	if want := p.identLength(); len(ids) != want || bytes.ContainsRune(w.group, 0) {
		return dst
	}
	dst = p.appendWhose(dst, w)
	return append(dst, `"$delete":""}`...)
}

// identLength is the number of ids in an Ident.
func (p *Plan) identLength() int {
	if p.company != nil && p.group != nil {
		return 2
	}
	return 1
}
