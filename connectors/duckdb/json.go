//go:build cgo

package duckdb

import (
	"bytes"
	"encoding/base64"
	"math"
	"strconv"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/mapping/appendjson"
)

// appendJSON writes a value, or null.
//
// A list or array is an array, a struct an object (an array when its members
// have no names), a map an object by the text of its keys, and a union is
// whatever value it holds.
func (c *cell) appendJSON(dst []byte, row int) []byte {
	if c.isNull(row) {
		return append(dst, "null"...)
	}
	switch c.codec {
	case asList:
		e := values[entry](c.view)[row]
		return c.appendElements(dst, int(e.offset), int(e.length))
	case asArray:
		return c.appendElements(dst, row*c.size, c.size)
	case asMap:
		e := values[entry](c.view)[row]
		return c.appendPairs(dst, int(e.offset), int(e.length))
	case asStruct:
		return c.appendStruct(dst, row)
	case asUnion:
		if tag := int(values[uint8](c.parts[0].view)[row]); tag+1 < len(c.parts) {
			return c.parts[1+tag].appendJSON(dst, row)
		}
		return append(dst, "null"...)
	}
	return c.appendLeaf(dst, row)
}

func (c *cell) appendElements(dst []byte, from, count int) []byte {
	dst = append(dst, '[')
	for i := range count {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = c.parts[0].appendJSON(dst, from+i)
	}
	return append(dst, ']')
}

func (c *cell) appendStruct(dst []byte, row int) []byte {
	open, end := byte('{'), byte('}')
	if c.keys == nil {
		open, end = '[', ']'
	}
	dst = append(dst, open)
	for i := range c.parts {
		if i > 0 {
			dst = append(dst, ',')
		}
		if c.keys != nil {
			dst = append(dst, c.keys[i]...)
		}
		dst = c.parts[i].appendJSON(dst, row)
	}
	return append(dst, end)
}

func (c *cell) appendPairs(dst []byte, from, count int) []byte {
	key, value := &c.parts[0].parts[0], &c.parts[0].parts[1]
	dst = append(dst, '{')
	for i := range count {
		if i > 0 {
			dst = append(dst, ',')
		}
		start := len(dst)
		dst = key.appendJSON(dst, from+i)
		if dst[start] != '"' { // a number, or a nested value: its JSON is the name
			name := bytes.Clone(dst[start:])
			dst = appendjson.Whole(dst[:start], name)
		}
		dst = value.appendJSON(append(dst, ':'), from+i)
	}
	return append(dst, '}')
}

// A float64 holds every integer up to this one.
const maxExact = 1 << 53

func (c *cell) appendLeaf(dst []byte, row int) []byte {
	switch c.codec {
	case asBool:
		return strconv.AppendBool(dst, values[uint8](c.view)[row] != 0)
	case asInt8:
		return strconv.AppendInt(dst, int64(values[int8](c.view)[row]), 10)
	case asInt16:
		return strconv.AppendInt(dst, int64(values[int16](c.view)[row]), 10)
	case asInt32:
		return strconv.AppendInt(dst, int64(values[int32](c.view)[row]), 10)
	case asInt64:
		v := values[int64](c.view)[row]
		if v > maxExact || v < -maxExact {
			return append(strconv.AppendInt(append(dst, '"'), v, 10), '"')
		}
		return strconv.AppendInt(dst, v, 10)
	case asUint8:
		return strconv.AppendUint(dst, uint64(values[uint8](c.view)[row]), 10)
	case asUint16:
		return strconv.AppendUint(dst, uint64(values[uint16](c.view)[row]), 10)
	case asUint32:
		return strconv.AppendUint(dst, uint64(values[uint32](c.view)[row]), 10)
	case asFloat:
		return appendFloat(dst, float64(values[float32](c.view)[row]), 32)
	case asDouble:
		return appendFloat(dst, values[float64](c.view)[row], 64)
	case asText:
		return appendjson.Whole(dst, values[str](c.view)[row:][0].bytes())
	case asJSON:
		return append(dst, values[str](c.view)[row:][0].bytes()...)
	case asBlob:
		dst = base64.StdEncoding.AppendEncode(append(dst, '"'), values[str](c.view)[row:][0].bytes())
		return append(dst, '"')
	case asDate, asTime, asTimeNS, asTimestamp, asTimestampS, asTimestampMS, asTimestampNS:
		return c.appendTime(dst, row)
	case asUint64, asHuge, asUhuge, asBignum, asDecimal16, asDecimal32, asDecimal64, asDecimal128:
		start := len(dst)
		return quoteInexact(c.appendText(dst, row), start)
	case asEnum8, asEnum16, asEnum32:
		return appendjson.Whole(dst, c.label(row))
	}
	// What is left prints nothing that JSON escapes.
	return append(c.appendText(append(dst, '"'), row), '"')
}

// appendTime writes dates and times as properties have them, in UTC and without
// an offset. Infinite ones are null.
func (c *cell) appendTime(dst []byte, row int) []byte {
	var whole int64 // microseconds
	var sub int16
	switch c.codec {
	case asDate:
		whole = days(values[int32](c.view)[row])
	case asTimestampNS, asTimeNS:
		whole, sub = splitNanos(values[int64](c.view)[row])
	case asTimestampS:
		whole = micros(values[int64](c.view)[row], 1e6)
	case asTimestampMS:
		whole = micros(values[int64](c.view)[row], 1e3)
	default:
		whole = micros(values[int64](c.view)[row], 1)
	}
	if whole == warehouse.PosInfinity || whole == warehouse.NegInfinity {
		return append(dst, "null"...)
	}
	dst = append(dst, '"')
	era := ""
	switch c.codec {
	case asDate:
		dst, era = appendDate(dst, whole)
	case asTime, asTimeNS:
		dst = appendClock(dst, whole*1000+int64(sub))
	default:
		const perDay = 86_400_000_000
		day, clock := whole/perDay, whole%perDay
		if clock < 0 {
			day, clock = day-1, clock+perDay
		}
		dst, era = appendDate(dst, day)
		dst = appendClock(append(dst, 'T'), clock*1000+int64(sub))
	}
	return append(append(dst, era...), '"')
}

// appendFloat writes a float with the fewest digits that give it back, in
// exponents where Postgres would. What JSON has no number for is null.
func appendFloat(dst []byte, v float64, size int) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return append(dst, "null"...)
	}
	format, large := byte('f'), 1e15
	if size == 32 {
		large = 1e6
	}
	if abs := math.Abs(v); abs != 0 && (abs < 1e-4 || abs >= large) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, v, format, -1, size)
}

// quoteInexact makes the decimal number from start on a JSON number without
// trailing zeros if the shortest text of the nearest float64 is the same, else a
// string of all its digits.
func quoteInexact(dst []byte, start int) []byte {
	text := dst[start:]
	bare := text
	if bytes.IndexByte(text, '.') >= 0 {
		bare = bytes.TrimSuffix(bytes.TrimRight(text, "0"), []byte("."))
	}
	var short [400]byte
	v, err := strconv.ParseFloat(string(text), 64)
	if err == nil && bytes.Equal(strconv.AppendFloat(short[:0], v, 'f', -1, 64), bare) {
		return dst[:start+len(bare)]
	}
	dst = append(dst, '"', '"')
	copy(dst[start+1:], dst[start:len(dst)-2])
	dst[start] = '"'
	return dst
}
