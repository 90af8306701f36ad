package mapping

import (
	"fmt"
	"math"
	"strconv"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/mapping/appendjson"
	"github.com/mixsync/mixsync/mapping/identity"
)

// keyColumn is a column that tells a row from all others, as far as a set of
// them does.
type keyColumn struct {
	name string // as JSON
	col  int
	enc  encoding
	// Field of the reject when the value is NULL: the column.
	field string
}

// KeyColumns names the columns of the key in order: Spec.PrimaryKey, or else
// what stands for it: the column of insert_id for events, those of the company
// and group id for groups, that of the user id for users.
func (p *Plan) KeyColumns() []string {
	names := make([]string, len(p.keys))
	for i, k := range p.keys {
		names[i] = p.schema.Fields[k.col].Name
	}
	return names
}

// KeyHasNull reports whether the key of a row holds a NULL, so that it is no key.
func (p *Plan) KeyHasNull(b *warehouse.Batch, row int) bool {
	for i := range p.keys {
		if b.Cols[p.keys[i].col].IsNull(row) {
			return true
		}
	}
	return false
}

func nullKey(keys []keyColumn, b *warehouse.Batch, row int) *Reject {
	for i := range keys {
		if k := &keys[i]; b.Cols[k.col].IsNull(row) {
			return reject(CodeMissingID, k.field, fmt.Sprintf("column %s of the key is NULL", k.name))
		}
	}
	return nil
}

// KeyHash returns 64 bits of SHA-256 of the key of a row, the same as Row.Key. It
// depends on the values' texts only, not on names or types of columns.
func (p *Plan) KeyHash(b *warehouse.Batch, row int) uint64 {
	digest := p.digestKey(b, row)
	return digest.Hash()
}

func (p *Plan) digestKey(b *warehouse.Batch, row int) identity.KeyDigest {
	p.keyText = p.KeyText(b, row, p.keyText[:0])
	return identity.DigestKey(p.keyText)
}

// HashKeyText is the KeyHash of a row whose KeyText was kept.
func HashKeyText(text []byte) uint64 {
	digest := identity.DigestKey(text)
	return digest.Hash()
}

// KeyText appends what KeyHash is a hash of: less work than hashing, for rows
// that will most likely never be asked for it.
func (p *Plan) KeyText(b *warehouse.Batch, row int, text []byte) []byte {
	for i := range p.keys {
		k := &p.keys[i]
		c := &b.Cols[k.col]
		if c.IsNull(row) {
			text = identity.AppendNull(text)
			continue
		}
		switch k.enc {
		case asText, asBytes, asJSON:
			text = identity.AppendPart(text, c.Text(row))
		default:
			p.scratch = appendText(p.scratch[:0], k.enc, c, row)
			text = identity.AppendPart(text, p.scratch)
		}
	}
	return text
}

// appendText appends the canonical text of a value that is not stored as text,
// or not as a canonical one.
func appendText(dst []byte, enc encoding, c *warehouse.Column, row int) []byte {
	switch enc {
	case asBool:
		return appendjson.Bool(dst, c.Int[row] != 0)
	case asFloat64:
		return strconv.AppendFloat(dst, c.Float[row], 'g', -1, 64)
	case asFloat32:
		return strconv.AppendFloat(dst, c.Float[row], 'g', -1, 32)
	case asDecimal:
		return appendjson.DecimalText(dst, c.Text(row))
	}
	dst = strconv.AppendInt(dst, c.Int[row], 10)
	if c.Sub != nil && c.Sub[row] != 0 {
		dst = append(dst, '.')
		dst = strconv.AppendInt(dst, int64(c.Sub[row]), 10)
	}
	return dst
}

// Key appends the key of a row as a JSON object: {"id":1,"region":"eu"}.
func (p *Plan) Key(b *warehouse.Batch, row int, dst []byte) []byte {
	dst = append(dst, '{')
	for i := range p.keys {
		k := &p.keys[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(dst, k.name...), ':')
		dst = appendWhole(dst, k.enc, &b.Cols[k.col], row)
	}
	return append(dst, '}')
}

// Payload appends a row as a JSON object, column to value, whole: for people who
// are to find out why it could not be sent. Values are written as in a record,
// except that nothing is cut, left out or converted between time zones.
func (p *Plan) Payload(b *warehouse.Batch, row int, dst []byte) []byte {
	return p.appendRow(dst, b, row, appendjson.NoLimit)
}

// Excerpt is Payload with each value that is longer than max bytes as a string,
// cut to so many: a few rejects with large documents must not fill memory and state.
func (p *Plan) Excerpt(b *warehouse.Batch, row int, dst []byte, max int) []byte {
	return p.appendRow(dst, b, row, max)
}

func (p *Plan) appendRow(dst []byte, b *warehouse.Batch, row, max int) []byte {
	dst = append(dst, '{')
	for i := range p.schema.Fields {
		f := &p.schema.Fields[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendjson.Whole(dst, []byte(f.Name)), ':')
		enc, _ := ownEncoding(f)
		dst = appendUpTo(dst, enc, &b.Cols[i], row, max)
	}
	return append(dst, '}')
}

// appendUpTo is appendWhole for values of up to max bytes.
func appendUpTo(dst []byte, enc encoding, c *warehouse.Column, row, max int) []byte {
	var none appendjson.Tally
	switch enc {
	case asText, asJSON, asDecimal:
		if !c.IsNull(row) && len(c.Text(row)) > max {
			return appendjson.String(dst, c.Text(row), max, &none)
		}
	case asBytes:
		if !c.IsNull(row) {
			return appendjson.Base64(dst, c.Text(row), max, &none)
		}
	}
	return appendWhole(dst, enc, c, row)
}

func appendWhole(dst []byte, enc encoding, c *warehouse.Column, row int) []byte {
	if enc == unfit || c.IsNull(row) {
		return append(dst, "null"...)
	}
	var none appendjson.Tally
	switch enc {
	case asBool:
		return appendjson.Bool(dst, c.Int[row] != 0)
	case asInt:
		return appendjson.Int(dst, c.Int[row])
	case asFloat64, asFloat32:
		return appendWholeFloat(dst, enc, c.Float[row])
	case asDecimal:
		if out, ok := appendjson.Decimal(dst, c.Text(row), &none); ok {
			return out
		}
		return appendjson.String(dst, c.Text(row), appendjson.NoLimit, &none)
	case asBytes:
		return appendjson.Base64(dst, c.Text(row), appendjson.NoLimit, &none)
	case asJSON:
		if out, err := appendjson.JSON(dst, c.Text(row), appendjson.Unlimited, &none); err == nil {
			return out
		}
		return appendjson.String(dst, c.Text(row), appendjson.NoLimit, &none)
	case asDate, asTime, asTimestamp, asTimestampTZ:
		return appendWholeTime(dst, enc, c, row)
	}
	return appendjson.String(dst, c.Text(row), appendjson.NoLimit, &none)
}

func appendWholeFloat(dst []byte, enc encoding, v float64) []byte {
	bits := 64
	if enc == asFloat32 {
		bits = 32
	}
	if out, ok := appendjson.Float(dst, v, bits); ok {
		return out
	}
	switch {
	case math.IsNaN(v):
		return append(dst, `"NaN"`...)
	case v < 0:
		return append(dst, `"-Infinity"`...)
	}
	return append(dst, `"Infinity"`...)
}

func appendWholeTime(dst []byte, enc encoding, c *warehouse.Column, row int) []byte {
	v := c.Int[row]
	var sub int16
	if c.Sub != nil {
		sub = c.Sub[row]
	}
	switch {
	case v == warehouse.PosInfinity:
		return append(dst, `"infinity"`...)
	case v == warehouse.NegInfinity:
		return append(dst, `"-infinity"`...)
	case enc == asDate:
		return appendjson.Date(dst, v)
	case enc == asTime:
		return appendjson.Time(dst, v, sub)
	}
	dst = appendjson.Timestamp(dst, v, sub)
	if enc == asTimestampTZ {
		dst = append(dst[:len(dst)-1], 'Z', '"')
	}
	return dst
}
