package arrowbatch

import (
	"math/bits"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/mixsync/mixsync/mapping/appendjson"
)

// Decimals writes decimals of 128 or 256 bits in plain notation, with as many
// digits behind the point as the type's scale says.
func Decimals(dst []byte, a arrow.Array, i int) ([]byte, error) {
	switch a := a.(type) {
	case *array.Decimal128:
		v := a.Value(i)
		words := [4]uint64{v.LowBits(), uint64(v.HighBits())}
		if v.HighBits() < 0 {
			words[2], words[3] = ^uint64(0), ^uint64(0)
		}
		return appendWide(dst, words, int(a.DataType().(*arrow.Decimal128Type).Scale)), nil
	case *array.Decimal256:
		return appendWide(dst, a.Value(i).Array(), int(a.DataType().(*arrow.Decimal256Type).Scale)), nil
	}
	return dst, Unfit(a, "decimals")
}

// appendWide writes a number of 256 bits, least significant word first, in two's
// complement, divided by 10^scale. A negative scale multiplies.
func appendWide(dst []byte, words [4]uint64, scale int) []byte {
	start := len(dst)
	if int64(words[3]) < 0 {
		dst = append(dst, '-')
		carry := uint64(1)
		for i := range words {
			words[i], carry = bits.Add64(^words[i], 0, carry)
		}
	}
	// Groups of 18 digits, the last one first.
	const group = 1_000_000_000_000_000_000
	var groups [5]uint64
	n := 0
	for ; words != [4]uint64{}; n++ {
		var rest uint64
		for i := 3; i >= 0; i-- {
			words[i], rest = bits.Div64(rest, words[i], group)
		}
		groups[n] = rest
	}
	if n == 0 {
		n = 1
	}
	dst = strconv.AppendUint(dst, groups[n-1], 10)
	for i := n - 2; i >= 0; i-- {
		var digits [20]byte // a leading 1 keeps the zeros
		dst = append(dst, strconv.AppendUint(digits[:0], group+groups[i], 10)[1:]...)
	}
	return appendjson.PointAt(dst, start, scale)
}
