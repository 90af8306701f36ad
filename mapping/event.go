package mapping

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/mapping/appendjson"
	"github.com/mixsync/mixsync/mapping/identity"
)

// earliest is 1971-01-01 UTC in ms: Mixpanel refuses events before it.
const earliest = 365 * 24 * 60 * 60 * 1000

// appendEvent appends
//
//	{"event":"X","properties":{"time":1690000000000,"distinct_id":"$company:c|$user:u",
//	 "$insert_id":"…","$company_id":"c","$user_id":"u","$device_id":"d","ip":0,…}}
//
// on one line, without the ids that the row does not have.
func (p *Plan) appendEvent(dst []byte, b *warehouse.Batch, row int, out *Row) ([]byte, *Reject) {
	if rej := nullKey(p.keysFirst, b, row); rej != nil {
		return dst, rej
	}
	w, rej := p.identify(b, row)
	if rej != nil {
		return dst, rej
	}
	if rej := nullKey(p.keysLast, b, row); rej != nil {
		return dst, rej
	}
	ms, rej := p.eventTime(b, row, out)
	if rej != nil {
		return dst, rej
	}
	var digest identity.KeyDigest
	if p.insert == nil || !p.noHashes {
		digest = p.digestKey(b, row)
		out.Key = digest.Hash()
	}
	if rej := p.readInsertID(b, row, &digest); rej != nil {
		return dst, rej
	}
	p.derived = p.appendDerived(p.derived[:0], w)

	dst = append(dst, `{"event":`...)
	n := len(dst)
	if dst, rej = p.appendName(dst, b, row); rej != nil {
		return dst, rej
	}
	if !p.noHashes {
		out.Sent = p.hashEvent(dst[n:], ms)
	}
	if w.device != nil && w.user != nil {
		out.Lane = lane(w.device)
	}

	dst = append(dst, `,"properties":{"time":`...)
	dst = strconv.AppendInt(dst, ms, 10)
	dst = append(dst, `,"distinct_id":`...)
	dst = appendjson.Whole(dst, p.derived)
	dst = append(dst, `,"$insert_id":"`...)
	dst = append(append(dst, p.insertID...), '"')
	count := 4
	if w.company != nil {
		dst = appendjson.Whole(append(dst, `,"$company_id":`...), w.company)
		count++
	}
	if w.user != nil {
		dst = appendjson.Whole(append(dst, `,"$user_id":`...), w.user)
		count++
	}
	if w.device != nil {
		dst = appendjson.Whole(append(dst, `,"$device_id":`...), w.device)
		count++
	}
	dst = p.appendIP(dst, b, row)
	if dst, rej = p.appendProperties(dst, b, row, count, maxEventProperties); rej != nil {
		return dst, rej
	}
	return append(dst, '}', '}'), nil
}

// hashEvent hashes what Mixpanel deduplicates by.
func (p *Plan) hashEvent(name []byte, ms int64) uint64 {
	h := identity.AppendPart(p.hashed[:0], name)
	h = binary.BigEndian.AppendUint64(h, uint64(ms))
	h = identity.AppendPart(h, p.derived)
	h = identity.AppendPart(h, p.insertID)
	p.hashed = h
	return identity.Hash(h)
}

func (p *Plan) appendName(dst []byte, b *warehouse.Batch, row int) ([]byte, *Reject) {
	if p.name == nil {
		return append(dst, p.nameJSON...), nil
	}
	name, _ := p.name.read(b, row)
	if why := eventNameProblem(name); why != "" {
		return dst, reject(CodeBadEventName, "event", why)
	}
	return appendjson.String(dst, name, maxName, &p.tally), nil
}

// eventNameProblem says why a name, nil for NULL, cannot be that of an event.
func eventNameProblem(name []byte) string {
	switch {
	case name == nil:
		return "the event name is NULL"
	case identity.IsBlank(name):
		return "the event name is blank"
	case name[0] == '$' && slices.Contains(verbs, string(name)):
		return fmt.Sprintf("%s acts on identities: Mixpanel refuses the whole request with it", name)
	}
	return ""
}

func (p *Plan) appendIP(dst []byte, b *warehouse.Batch, row int) []byte {
	dst = append(dst, `,"ip":`...)
	if p.ip == nil {
		return append(dst, p.ipJSON...)
	}
	ip, _ := p.ip.read(b, row)
	if len(ip) == 0 {
		return append(dst, '0')
	}
	return appendjson.String(dst, ip, maxString, &p.tally)
}

func (p *Plan) readInsertID(b *warehouse.Batch, row int, key *identity.KeyDigest) *Reject {
	if p.insert == nil {
		p.insertID = p.namespace.AppendInsertID(p.insertID[:0], key)
		return nil
	}
	id, _ := p.insert.read(b, row) // any number is fit: if Mixpanel does not take it, its hash is sent
	if identity.IsBlank(id) {
		return reject(CodeBadInsertID, "insert_id", "the insert id is NULL or blank")
	}
	p.insertID = identity.AppendInsertIDOf(p.insertID[:0], id)
	return nil
}

// timeSource is the column of event times.
type timeSource struct {
	col  int
	kind warehouse.Kind
	unit int64 // of integers: microseconds in one
}

func unitOf(name string) (micros int64, ok bool) {
	switch name {
	case "s":
		return 1_000_000, true
	case "ms":
		return 1000, true
	case "us":
		return 1, true
	}
	return 0, false
}

// eventTime returns the time of an event in ms since 1970 UTC, rounded down.
func (p *Plan) eventTime(b *warehouse.Batch, row int, out *Row) (int64, *Reject) {
	c := &b.Cols[p.time.col]
	if c.IsNull(row) {
		return 0, reject(CodeBadTime, "time", "the time is NULL")
	}
	var v int64
	if p.time.kind == warehouse.Decimal {
		var err error
		if p.scratch = appendjson.DecimalText(p.scratch[:0], c.Text(row)); !integral(p.scratch) {
			return 0, reject(CodeBadTime, "time", fmt.Sprintf("%q is not an integer", p.scratch))
		}
		if v, err = strconv.ParseInt(string(p.scratch), 10, 64); err != nil {
			return 0, outOfRange()
		}
	} else {
		v = c.Int[row]
	}
	switch p.time.kind {
	case warehouse.Int, warehouse.Decimal:
		if far := maxMicros / p.time.unit; v > far || v < -far {
			return 0, outOfRange()
		}
		v *= p.time.unit
	default:
		if v == warehouse.PosInfinity || v == warehouse.NegInfinity {
			return 0, reject(CodeBadTime, "time", "the time is infinite")
		}
		if p.time.kind == warehouse.Date {
			if v > maxDays || v < -maxDays {
				return 0, outOfRange()
			}
			v *= microsPerDay
		}
		if p.time.kind != warehouse.TimestampTZ {
			v = p.zone.utc(v)
		}
	}
	ms := floorDiv(v, 1000)
	if ms < earliest {
		return 0, reject(CodeTimeOutOfRange, "time", "the time is before 1971, which Mixpanel refuses")
	}
	if p.limit != 0 && ms > p.limit {
		if p.spec.Future != HoldRow {
			ahead := reject(CodeTimeOutOfRange, "time", "the time is more than an hour ahead, which Mixpanel refuses")
			ahead.Ahead = true
			return 0, ahead
		}
		out.Hold = true
	}
	return ms, nil
}

const maxMicros = 1 << 62

func outOfRange() *Reject {
	return reject(CodeTimeOutOfRange, "time", "the time is beyond what Mixpanel takes")
}
