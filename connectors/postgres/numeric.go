package postgres

import "encoding/binary"

// Signs of a binary numeric.
const (
	numericPos    = 0x0000
	numericNeg    = 0x4000
	numericNaN    = 0xC000
	numericPosInf = 0xD000
	numericNegInf = 0xF000
)

// appendNumeric writes a binary numeric in plain decimal notation with as many
// fractional digits as its scale says, or NaN, Infinity, -Infinity.
//
// The value is header (digit count, weight, sign, scale; 2 bytes each) and
// digits in base 10,000, the first of which counts 10,000^weight.
func appendNumeric(dst, v []byte) ([]byte, bool) {
	if len(v) < 8 {
		return dst, false
	}
	count := int(binary.BigEndian.Uint16(v))
	weight := int(int16(binary.BigEndian.Uint16(v[2:])))
	sign := binary.BigEndian.Uint16(v[4:])
	scale := int(binary.BigEndian.Uint16(v[6:]))
	digits := v[8:]
	if len(digits) != 2*count {
		return dst, false
	}
	switch sign {
	case numericPos:
	case numericNeg:
		dst = append(dst, '-')
	case numericNaN:
		return append(dst, "NaN"...), true
	case numericPosInf:
		return append(dst, "Infinity"...), true
	case numericNegInf:
		return append(dst, "-Infinity"...), true
	default:
		return dst, false
	}

	// digit is base-10,000 digit number i; those left out at both ends are zero.
	digit := func(i int) uint16 {
		if i < 0 || i >= count {
			return 0
		}
		return binary.BigEndian.Uint16(digits[2*i:])
	}
	if weight < 0 {
		dst = append(dst, '0')
	}
	for i := 0; i <= weight; i++ {
		d := digit(i)
		if d > 9999 {
			return dst, false
		}
		if i == 0 {
			dst = appendLeading(dst, d)
		} else {
			dst = append(dst, byte('0'+d/1000), byte('0'+d/100%10), byte('0'+d/10%10), byte('0'+d%10))
		}
	}
	if scale == 0 {
		return dst, true
	}
	dst = append(dst, '.')
	for i, left := weight+1, scale; left > 0; i, left = i+1, left-4 {
		d := digit(i)
		if d > 9999 {
			return dst, false
		}
		four := [4]byte{byte('0' + d/1000), byte('0' + d/100%10), byte('0' + d/10%10), byte('0' + d%10)}
		dst = append(dst, four[:min(4, left)]...)
	}
	return dst, true
}

// appendLeading writes a base-10,000 digit without leading zeros.
func appendLeading(dst []byte, d uint16) []byte {
	if d >= 1000 {
		dst = append(dst, byte('0'+d/1000))
	}
	if d >= 100 {
		dst = append(dst, byte('0'+d/100%10))
	}
	if d >= 10 {
		dst = append(dst, byte('0'+d/10%10))
	}
	return append(dst, byte('0'+d%10))
}
