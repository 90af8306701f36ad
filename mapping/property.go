package mapping

import (
	"errors"
	"math"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/mapping/appendjson"
)

// Mixpanel's limits on what a record holds. "Fewer than 255" is how it words the
// ones for lists, objects and the properties of an event.
const (
	maxString            = 255 // bytes
	maxElements          = 254
	maxEventProperties   = 254 // all members of "properties"
	maxProfileProperties = 2000
	maxRecord            = 1_000_000 // bytes
)

var limits = appendjson.Limits{String: maxString, Elements: maxElements}

// encoding is how a column's values are written.
type encoding uint8

const (
	unfit encoding = iota // there is none

	// Each kind as itself.
	asBool
	asInt
	asFloat64
	asFloat32
	asDecimal
	asText
	asBytes
	asJSON
	asDate
	asTime
	asTimestamp
	asTimestampTZ

	wholeNumber // a decimal without a fraction: as integers are

	// As another type than the column's own, on request.
	boolToString
	intToString
	float64ToString
	float32ToString
	decimalToString
	decimalToID // without zeros behind the point, as ids are everywhere
	jsonToString
	boolToNumber
	textToNumber
	intToBoolean
	textToBoolean
	dateToDatetime
	textToDatetime
	textToJSON
)

// encodingOf chooses how a column is written; typ is a word of properties.types
// or empty. The second result is the type that Mixpanel will see.
func encodingOf(f *warehouse.Field, typ string) (encoding, string) {
	own, name := ownEncoding(f)
	if typ == "" || typ == name {
		if f.Whole && own == asDecimal {
			own = wholeNumber
		}
		return own, name
	}
	type pair struct {
		own encoding
		typ string
	}
	switch (pair{own, typ}) {
	case pair{asBool, "string"}:
		return boolToString, typ
	case pair{asInt, "string"}:
		return intToString, typ
	case pair{asFloat64, "string"}:
		return float64ToString, typ
	case pair{asFloat32, "string"}:
		return float32ToString, typ
	case pair{asDecimal, "string"}:
		return decimalToString, typ
	case pair{asJSON, "string"}:
		return jsonToString, typ
	case pair{asDate, "string"}, pair{asTimestamp, "string"}, pair{asTimestampTZ, "string"}:
		return own, name // Mixpanel tells dates by their form: there is no way to send one as text
	case pair{asBool, "number"}:
		return boolToNumber, typ
	case pair{asText, "number"}:
		return textToNumber, typ
	case pair{asInt, "boolean"}:
		return intToBoolean, typ
	case pair{asText, "boolean"}, pair{asDecimal, "boolean"}:
		return textToBoolean, typ
	case pair{asDate, "datetime"}:
		return dateToDatetime, typ
	case pair{asText, "datetime"}:
		return textToDatetime, typ
	case pair{asText, "json"}:
		return textToJSON, typ
	}
	return unfit, ""
}

func ownEncoding(f *warehouse.Field) (encoding, string) {
	switch f.Kind {
	case warehouse.Bool:
		return asBool, "boolean"
	case warehouse.Int:
		return asInt, "number"
	case warehouse.Float:
		if f.Float32 {
			return asFloat32, "number"
		}
		return asFloat64, "number"
	case warehouse.Decimal:
		return asDecimal, "number"
	case warehouse.Text:
		return asText, "string"
	case warehouse.Bytes:
		return asBytes, "string"
	case warehouse.JSON:
		return asJSON, "json"
	case warehouse.Date:
		return asDate, "date"
	case warehouse.Time:
		return asTime, "string"
	case warehouse.Timestamp:
		return asTimestamp, "datetime"
	case warehouse.TimestampTZ:
		return asTimestampTZ, "datetime"
	}
	return unfit, ""
}

// fate is what became of a value.
type fate uint8

const (
	written fate = iota
	omitted      // it cannot be sent, and was counted
	tooMany      // a list or object in it is over the limit
)

// appendValue appends the value of a column in a row, which is not NULL. Unless
// it was written, dst comes back as it was.
func (p *Plan) appendValue(dst []byte, enc encoding, c *warehouse.Column, row int) ([]byte, fate) {
	switch enc {
	case asBool:
		return appendjson.Bool(dst, c.Int[row] != 0), written
	case asInt:
		return appendjson.Int(dst, c.Int[row]), written
	case asFloat64, asFloat32, float64ToString, float32ToString:
		return p.appendFloat(dst, enc, c.Float[row])
	case asDecimal:
		out, ok := appendjson.Decimal(dst, c.Text(row), &p.tally)
		return out, p.finite(ok)
	case wholeNumber:
		return appendjson.Integer(dst, c.Text(row)), written
	case asText:
		return appendjson.String(dst, c.Text(row), maxString, &p.tally), written
	case asBytes:
		return appendjson.Base64(dst, c.Text(row), maxString, &p.tally), written
	case asJSON, textToJSON:
		return p.appendJSON(dst, c.Text(row))
	case asDate, asTime, asTimestamp, asTimestampTZ, dateToDatetime:
		return p.appendTime(dst, enc, c, row)
	}
	return p.appendCoerced(dst, enc, c, row)
}

func (p *Plan) appendFloat(dst []byte, enc encoding, v float64) ([]byte, fate) {
	bits := 64
	if enc == asFloat32 || enc == float32ToString {
		bits = 32
	}
	quoted := enc == float64ToString || enc == float32ToString
	n := len(dst)
	if quoted {
		dst = append(dst, '"')
	}
	dst, ok := appendjson.Float(dst, v, bits)
	if !ok {
		return dst[:n], p.finite(false)
	}
	if quoted {
		dst = append(dst, '"')
	}
	return dst, written
}

func (p *Plan) finite(ok bool) fate {
	if ok {
		return written
	}
	p.stats.NonFinite++
	return omitted
}

// appendJSON appends a JSON value; text that is not JSON becomes a string.
func (p *Plan) appendJSON(dst, text []byte) ([]byte, fate) {
	dst, err := appendjson.JSON(dst, text, limits, &p.tally)
	switch {
	case errors.Is(err, appendjson.ErrTooMany):
		return dst, tooMany
	case err != nil:
		return appendjson.String(dst, text, maxString, &p.tally), written
	}
	return dst, written
}

func (p *Plan) appendTime(dst []byte, enc encoding, c *warehouse.Column, row int) ([]byte, fate) {
	v := c.Int[row]
	if v == warehouse.PosInfinity || v == warehouse.NegInfinity {
		return dst, p.finite(false)
	}
	var sub int16
	if c.Sub != nil {
		sub = c.Sub[row]
	}
	switch enc {
	case asDate:
		return appendjson.Date(dst, v), written
	case asTime:
		return appendjson.Time(dst, v, sub), written
	case asTimestamp:
		v = p.zone.utc(v)
	case dateToDatetime:
		if v > maxDays || v < -maxDays {
			return p.misfit(dst)
		}
		v = p.zone.utc(v * microsPerDay)
	}
	return appendjson.Timestamp(dst, v, sub), written
}

const (
	microsPerDay = 24 * 60 * 60 * 1_000_000
	maxDays      = math.MaxInt64/microsPerDay - 2 // whose microseconds an int64 holds, in every zone
)
