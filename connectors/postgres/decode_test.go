package postgres

import (
	"encoding/binary"
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// FuzzNumeric compares the numeric decoder with pgtype's.
func FuzzNumeric(f *testing.F) {
	numeric := func(weight int16, sign uint16, scale uint16, digits ...uint16) []byte {
		v := binary.BigEndian.AppendUint16(nil, uint16(len(digits)))
		for _, w := range append([]uint16{uint16(weight), sign, scale}, digits...) {
			v = binary.BigEndian.AppendUint16(v, w)
		}
		return v
	}
	f.Add(numeric(0, numericPos, 0))
	f.Add(numeric(0, numericPos, 3, 1, 5000))
	f.Add(numeric(-3, numericNeg, 14, 1200))
	f.Add(numeric(5, numericNeg, 2, 1, 2, 3))
	f.Add(numeric(0, numericNaN, 0))
	f.Add(numeric(0, numericPosInf, 32))
	f.Add(numeric(0, numericNegInf, 32))
	f.Add([]byte{0, 1, 0})
	f.Fuzz(func(t *testing.T, v []byte) {
		got, ok := appendNumeric(nil, v)
		if !ok {
			return // pgtype is less strict about what no server sends
		}
		var want pgtype.Numeric
		if err := (pgtype.NumericCodec{}).PlanScan(nil, pgtype.NumericOID, pgtype.BinaryFormatCode, &want).Scan(v, &want); err != nil {
			t.Fatalf("appendNumeric(% x) = %s; pgtype refuses it: %v", v, got, err)
		}
		switch {
		case want.NaN:
			if string(got) != "NaN" {
				t.Errorf("appendNumeric(% x) = %s, want NaN", v, got)
			}
			return
		case want.InfinityModifier != pgtype.Finite:
			if text := strings.Replace(want.InfinityModifier.String(), "i", "I", 1); string(got) != text {
				t.Errorf("appendNumeric(% x) = %s, want %s", v, got, text)
			}
			return
		}
		// A server never sends digits beyond the scale, which would be cut.
		_, fraction, _ := strings.Cut(string(got), ".")
		exact := new(big.Rat).SetFrac(new(big.Int).Mul(want.Int, pow10(max(want.Exp, 0))), pow10(max(-want.Exp, 0)))
		mine, valid := new(big.Rat).SetString(string(got))
		if !valid {
			t.Fatalf("appendNumeric(% x) = %s, which is no number", v, got)
		}
		if diff := new(big.Rat).Sub(exact, mine); diff.Abs(diff).Cmp(new(big.Rat).SetFrac(big.NewInt(1), pow10(int32(len(fraction))))) >= 0 {
			t.Errorf("appendNumeric(% x) = %s, want %s", v, got, exact)
		}
	})
}

func pow10(n int32) *big.Int {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil)
}

// FuzzTree checks that text that no server sends is refused or becomes something, without a panic.
func FuzzTree(f *testing.F) {
	tree := &node{shape: list, delimiter: ',', elem: &node{shape: object, names: []string{"a", "b"}, fields: []*node{
		{shape: leaf, leaf: asString}, {shape: list, delimiter: ',', elem: &node{shape: leaf, leaf: asNumeric}}}}}
	for _, s := range []string{`{"(a,\"{1,2}\")",NULL}`, `[0:1]={"(,)","(\"x\"\"y\",{})"}`, "{}", "", "{", `{"`, `{"\`, "[1", "{{}}"} {
		f.Add([]byte(s))
	}
	pairsOnly := &node{shape: pairs}
	f.Fuzz(func(t *testing.T, text []byte) {
		before := string(text)
		appendTree(nil, text, tree)
		appendTree(nil, text, pairsOnly)
		if string(text) != before {
			t.Error("the text was changed")
		}
	})
}

// cells is a value of every type that is decoded from binary.
func cells() map[uint32][]byte {
	be := binary.BigEndian
	numeric := []byte{0, 3, 0, 1, 0, 0, 0, 2, 0, 12, 13, 27, 0, 100} // 123355.01
	return map[uint32][]byte{
		pgtype.BoolOID:        {1},
		pgtype.Int2OID:        {0, 1},
		pgtype.Int4OID:        {0, 0, 0, 1},
		pgtype.Int8OID:        {0, 0, 0, 0, 0, 0, 0, 1},
		pgtype.OIDOID:         {0, 0, 0, 1},
		pgtype.Float4OID:      be.AppendUint32(nil, math.Float32bits(0.1)),
		pgtype.Float8OID:      be.AppendUint64(nil, math.Float64bits(0.1)),
		pgtype.NumericOID:     numeric,
		pgtype.TextOID:        []byte("hello"),
		pgtype.VarcharOID:     []byte("hello"),
		pgtype.JSONOID:        []byte(`{"a":1}`),
		pgtype.JSONBOID:       []byte("\x01{\"a\":1}"),
		pgtype.ByteaOID:       {0, 1, 2},
		pgtype.UUIDOID:        make([]byte, 16),
		pgtype.DateOID:        {0, 0, 0, 1},
		pgtype.TimeOID:        make([]byte, 8),
		pgtype.TimestampOID:   make([]byte, 8),
		pgtype.TimestamptzOID: make([]byte, 8),
		pgtype.IntervalOID:    []byte("P1D"),
	}
}

func TestDecodingAllocatesNothing(t *testing.T) {
	for oid, v := range cells() {
		typ := builtin[oid]
		b := warehouse.NewBatch(&warehouse.Schema{Fields: []warehouse.Field{typ.field("v")}})
		decode := func() {
			b.Reset()
			for range 1000 {
				if !appendCell(&b.Cols[0], typ, v) {
					t.Fatalf("a value of %s is refused", typ.name)
				}
				b.EndRow()
			}
		}
		decode() // the column grows once
		if n := testing.AllocsPerRun(10, decode); n > 0 {
			t.Errorf("1000 values of %s cost %g allocations, want none", typ.name, n)
		}
	}
}

// Values cut short or too long are refused, not read past their end.
func TestMalformedValues(t *testing.T) {
	t.Parallel()
	for oid, v := range cells() {
		typ := builtin[oid]
		switch typ.codec {
		case asText, asString, asBytea: // any bytes will do
			continue
		}
		for _, bad := range [][]byte{{}, v[:len(v)-1], append(v[:len(v):len(v)], 0)} {
			if typ.codec == asJSONB && len(bad) > 1 {
				continue
			}
			b := warehouse.NewBatch(&warehouse.Schema{Fields: []warehouse.Field{typ.field("v")}})
			if appendCell(&b.Cols[0], typ, bad) {
				t.Errorf("a %s of %d bytes is accepted", typ.name, len(bad))
			}
		}
	}
}

func TestTimesBeyondTheColumn(t *testing.T) {
	t.Parallel()
	for in, want := range map[int64]int64{
		math.MaxInt64:       warehouse.PosInfinity,
		math.MinInt64:       warehouse.NegInfinity,
		0:                   epochMicros,
		9223371331199999999: math.MaxInt64 - 1, // 294276-12-31 23:59:59.999999, the last that Postgres has
	} {
		if got := micros(in); got != want {
			t.Errorf("micros(%d) = %d, want %d", in, got, want)
		}
	}
}
