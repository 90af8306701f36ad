package postgres

import (
	"encoding/binary"
	"encoding/hex"
	"math"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// Postgres counts from 2000-01-01, columns from 1970-01-01.
const (
	epochDays   = 10957
	epochMicros = epochDays * 86_400_000_000
)

// A JSON text can be six times as long as what it is made from, and a column's
// offsets end at 2 GiB.
const maxTreeBytes = 256 << 20

// appendCell decodes one value that is not NULL onto its column. It reports
// false when the bytes are no value of the type.
func appendCell(c *warehouse.Column, t *pgType, v []byte) bool {
	switch t.codec {
	case asText, asString, asBytea:
		c.AppendText(v)
		return true
	case asTree:
		if len(v) > maxTreeBytes {
			return false
		}
		data, ok := appendTree(c.Data, v, t.tree)
		if ok {
			c.Data = data
			c.EndText()
		}
		return ok
	case asNumeric:
		data, ok := appendNumeric(c.Data, v)
		if ok {
			c.Data = data
			c.EndText()
		}
		return ok
	case asJSONB:
		if len(v) < 2 || v[0] != 1 { // the format's version
			return false
		}
		c.AppendText(v[1:])
		return true
	case asUUID:
		if len(v) != 16 {
			return false
		}
		c.Data = appendUUID(c.Data, v)
		c.EndText()
		return true
	case asBool:
		if len(v) != 1 {
			return false
		}
		c.AppendInt(int64(v[0] & 1))
		return true
	case asInt2:
		if len(v) != 2 {
			return false
		}
		c.AppendInt(int64(int16(binary.BigEndian.Uint16(v))))
		return true
	case asFloat8:
		if len(v) != 8 {
			return false
		}
		c.AppendFloat(math.Float64frombits(binary.BigEndian.Uint64(v)))
		return true
	case asInt8, asTime, asTimestamp:
		if len(v) != 8 {
			return false
		}
		n := int64(binary.BigEndian.Uint64(v))
		if t.codec == asTimestamp {
			n = micros(n)
		}
		c.AppendInt(n)
		return true
	}
	return appendWord(c, t.codec, v)
}

// appendWord decodes the types of four bytes.
func appendWord(c *warehouse.Column, as codec, v []byte) bool {
	if len(v) != 4 {
		return false
	}
	word := binary.BigEndian.Uint32(v)
	switch as {
	case asInt4:
		c.AppendInt(int64(int32(word)))
	case asOID:
		c.AppendInt(int64(word))
	case asDate:
		c.AppendInt(days(int32(word)))
	case asFloat4:
		c.AppendFloat(float64(math.Float32frombits(word)))
	default:
		return false
	}
	return true
}

func days(n int32) int64 {
	switch n {
	case math.MaxInt32:
		return warehouse.PosInfinity
	case math.MinInt32:
		return warehouse.NegInfinity
	}
	return int64(n) + epochDays
}

// micros moves a timestamp to the epoch of columns. The last years that Postgres
// knows, from 294247 on, do not fit and become the last instant that does.
func micros(n int64) int64 {
	switch {
	case n == math.MaxInt64:
		return warehouse.PosInfinity
	case n == math.MinInt64:
		return warehouse.NegInfinity
	case n > math.MaxInt64-1-epochMicros:
		return math.MaxInt64 - 1
	}
	return n + epochMicros
}

func appendUUID(dst, v []byte) []byte {
	dst = hex.AppendEncode(dst, v[:4])
	dst = hex.AppendEncode(append(dst, '-'), v[4:6])
	dst = hex.AppendEncode(append(dst, '-'), v[6:8])
	dst = hex.AppendEncode(append(dst, '-'), v[8:10])
	return hex.AppendEncode(append(dst, '-'), v[10:16])
}
