package arrowbatch_test

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/decimal256"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"github.com/mixsync/mixsync/connectors/internal/arrowbatch"
	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/connectors/warehouse/warehousetest"
)

// column is an Arrow column, how it is converted and what becomes of it.
type column struct {
	name    string
	kind    warehouse.Kind
	convert arrowbatch.Convert
	typ     arrow.DataType
	json    string // values as Arrow's JSON has them
	want    []string
}

func rendered(t testing.TB, typ arrow.DataType) arrowbatch.Convert {
	t.Helper()
	v, err := arrowbatch.JSON(arrow.Field{Name: "v", Type: typ, Nullable: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return arrowbatch.Rendered(v)
}

func columns(t testing.TB) []column {
	micros, nanos := &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}, &arrow.TimestampType{Unit: arrow.Nanosecond}
	list := arrow.ListOf(arrow.PrimitiveTypes.Int64)
	object := arrow.StructOf(arrow.Field{Name: "n", Type: arrow.PrimitiveTypes.Int64, Nullable: true}, arrow.Field{Name: `s"`, Type: arrow.BinaryTypes.String, Nullable: true},
		arrow.Field{Name: "at", Type: nanos, Nullable: true}, arrow.Field{Name: "list", Type: list, Nullable: true})
	maps := arrow.MapOf(arrow.PrimitiveTypes.Int32, arrow.PrimitiveTypes.Float64)
	deep := arrow.ListOf(arrow.StructOf(arrow.Field{Name: "d", Type: &arrow.Decimal128Type{Precision: 30, Scale: 2}, Nullable: true},
		arrow.Field{Name: "day", Type: arrow.FixedWidthTypes.Date32, Nullable: true}, arrow.Field{Name: "b", Type: arrow.BinaryTypes.Binary, Nullable: true}))
	return []column{
		{"int64", warehouse.Int, arrowbatch.Ints, arrow.PrimitiveTypes.Int64, `[9, 1, null, -9007199254740993]`, []string{"1", "NULL", "-9007199254740993"}},
		{"int32", warehouse.Int, arrowbatch.Ints, arrow.PrimitiveTypes.Int32, `[9, 1, null, -3]`, []string{"1", "NULL", "-3"}},
		{"int16", warehouse.Int, arrowbatch.Ints, arrow.PrimitiveTypes.Int16, `[9, null, 2, -3]`, []string{"NULL", "2", "-3"}},
		{"int8", warehouse.Int, arrowbatch.Ints, arrow.PrimitiveTypes.Int8, `[9, 1, 2, -3]`, []string{"1", "2", "-3"}},
		{"uint8", warehouse.Int, arrowbatch.Ints, arrow.PrimitiveTypes.Uint8, `[9, 255, 2, null]`, []string{"255", "2", "NULL"}},
		{"bool", warehouse.Bool, arrowbatch.Bools, arrow.FixedWidthTypes.Boolean, `[true, false, null, true]`, []string{"false", "NULL", "true"}},
		{"float64", warehouse.Float, arrowbatch.Floats, arrow.PrimitiveTypes.Float64, `[1, 0.1, null, -2.5]`, []string{"0.1", "NULL", "-2.5"}},
		{"string", warehouse.Text, arrowbatch.Texts, arrow.BinaryTypes.String, `["z", "Grüße", null, ""]`, []string{"Grüße", "NULL", ""}},
		{"binary", warehouse.Bytes, arrowbatch.Texts, arrow.BinaryTypes.Binary, `["AA==", "AP8=", null, ""]`, []string{"00ff", "NULL", ""}},
		{"date", warehouse.Date, arrowbatch.Dates, arrow.FixedWidthTypes.Date32, `["2026-01-01", "2026-01-31", null, "1969-12-31"]`, []string{"2026-01-31", "NULL", "1969-12-31"}},
		{"time64", warehouse.Time, arrowbatch.Times, arrow.FixedWidthTypes.Time64us, `["00:00:00", "12:34:56.5", null, "00:00:00.000001"]`, []string{"45296500000", "NULL", "1"}},
		{"time32", warehouse.Time, arrowbatch.Times, arrow.FixedWidthTypes.Time32s, `["00:00:00", "12:34:56", null, "00:00:01"]`, []string{"45296000000", "NULL", "1000000"}},
		{"timestamp", warehouse.TimestampTZ, arrowbatch.Timestamps, micros, `["2026-01-01", "2026-01-31T12:00:00.25Z", null, "1969-12-31T23:59:59.999999Z"]`,
			[]string{"2026-01-31T12:00:00.25Z", "NULL", "1969-12-31T23:59:59.999999Z"}},
		{"nanoseconds", warehouse.Timestamp, arrowbatch.Timestamps, nanos, `["2026-01-01", "2026-01-31T12:00:00", null, "1969-12-31T23:59:59.999999999"]`,
			[]string{"2026-01-31T12:00:00", "NULL", "1969-12-31T23:59:59.999999999"}},
		{"seconds", warehouse.Timestamp, arrowbatch.Timestamps, &arrow.TimestampType{Unit: arrow.Second}, `["2026-01-01", "2026-01-31T12:00:00", null, "1969-12-31T23:59:59"]`,
			[]string{"2026-01-31T12:00:00", "NULL", "1969-12-31T23:59:59"}},
		{"decimal", warehouse.Decimal, arrowbatch.Rendered(arrowbatch.Decimals), &arrow.Decimal128Type{Precision: 20, Scale: 3}, `["1", "-0.05", null, "12345678901234567.891"]`,
			[]string{"-0.050", "NULL", "12345678901234567.891"}},
		{"list", warehouse.JSON, rendered(t, list), list, `[[9], [1, null, 9007199254740993], null, []]`, []string{`[1,null,"9007199254740993"]`, "NULL", "[]"}},
		{"struct", warehouse.JSON, rendered(t, object), object,
			`[{}, {"n": 1, "s\"": "x", "at": "2026-01-31T12:00:00.000000001", "list": [1]}, null, {"n": null, "s\"": null, "at": null, "list": null}]`,
			[]string{`{"n":1,"s\"":"x","at":"2026-01-31T12:00:00.000000001","list":[1]}`, "NULL", `{"n":null,"s\"":null,"at":null,"list":null}`}},
		{"map", warehouse.JSON, rendered(t, maps), maps, `[[], [{"key": 1, "value": 0.5}, {"key": 2, "value": null}], null, []]`, []string{`{"1":0.5,"2":null}`, "NULL", "{}"}},
		{"deep", warehouse.JSON, rendered(t, deep), deep, `[[], [{"d": "1.50", "day": "2026-01-31", "b": "AP8="}, null], null, []]`,
			[]string{`[{"d":1.5,"day":"2026-01-31","b":"AP8="},null]`, "NULL", "[]"}},
	}
}

// The first value of each array is cut off by a slice, so that offsets matter.
func TestColumns(t *testing.T) {
	t.Parallel()
	for _, c := range columns(t) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			whole, _, err := array.FromJSON(memory.DefaultAllocator, c.typ, strings.NewReader(c.json), array.WithUseNumber())
			if err != nil {
				t.Fatal(err)
			}
			a := array.NewSlice(whole, 1, 4)
			record := array.NewRecordBatch(arrow.NewSchema([]arrow.Field{{Name: "v", Type: c.typ, Nullable: true}}, nil), []arrow.Array{a}, 3)
			schema := &warehouse.Schema{Fields: []warehouse.Field{{Name: "v", Kind: c.kind}}}
			b := warehouse.NewBatch(schema)
			f := arrowbatch.NewFiller([]arrowbatch.Convert{c.convert})
			for range 2 { // the second time in used columns
				record.Retain()
				f.Load(record, nil)
				var got []string
				for {
					ok, err := f.Fill(b)
					if err != nil {
						t.Fatal(err)
					}
					if !ok {
						break
					}
					for i := range b.Len() {
						got = append(got, warehousetest.RenderRow(b, i)[0])
					}
					b.Reset()
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestUnfitArrays(t *testing.T) {
	t.Parallel()
	a, _, err := array.FromJSON(memory.DefaultAllocator, arrow.ListOf(arrow.PrimitiveTypes.Int8), strings.NewReader(`[[1]]`))
	if err != nil {
		t.Fatal(err)
	}
	for name, convert := range map[string]arrowbatch.Convert{
		"ints": arrowbatch.Ints, "bools": arrowbatch.Bools, "floats": arrowbatch.Floats, "texts": arrowbatch.Texts, "dates": arrowbatch.Dates,
		"times": arrowbatch.Times, "timestamps": arrowbatch.Timestamps, "decimals": arrowbatch.Rendered(arrowbatch.Decimals),
		"struct": rendered(t, arrow.StructOf()), "map": rendered(t, arrow.MapOf(arrow.BinaryTypes.String, arrow.BinaryTypes.String)),
	} {
		err := convert(&warehouse.Column{}, a, 0, 1)
		if err == nil || !strings.Contains(err.Error(), "list<") {
			t.Errorf("%s from a list: error %v, want one that names the type", name, err)
		}
	}
	if _, err := arrowbatch.JSON(arrow.Field{Name: "v", Type: arrow.FixedWidthTypes.Float16}, nil); err == nil {
		t.Error("a type that cannot be written gives no error")
	}
}

// What a driver says of a field goes before its Arrow type, inside others too.
func TestSpecialFields(t *testing.T) {
	t.Parallel()
	typ := arrow.ListOf(arrow.StructOf(arrow.Field{Name: "raw", Type: arrow.BinaryTypes.String}))
	v, err := arrowbatch.JSON(arrow.Field{Name: "v", Type: typ}, func(f arrow.Field) arrowbatch.Value {
		if f.Name != "raw" {
			return nil
		}
		return func(dst []byte, a arrow.Array, i int) ([]byte, error) {
			return append(dst, a.(*array.String).Value(i)...), nil
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	a, _, err := array.FromJSON(memory.DefaultAllocator, typ, strings.NewReader(`[[{"raw": "{\"a\": 1}"}]]`))
	if err != nil {
		t.Fatal(err)
	}
	got, err := v(nil, a, 0)
	if err != nil || string(got) != `[{"raw":{"a": 1}}]` {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestDecimals(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		scale := rng.IntN(40)
		v := new(big.Int).SetBytes([]byte(fmt.Sprint(rng.Uint64(), rng.Uint64()))[:1+rng.IntN(31)])
		if rng.IntN(2) == 0 {
			v.Neg(v)
		}
		want := plain(v, scale)
		if v.BitLen() < 127 {
			b := array.NewDecimal128Builder(memory.DefaultAllocator, &arrow.Decimal128Type{Precision: 38, Scale: int32(scale)})
			b.Append(decimal128.FromBigInt(v))
			check(t, b.NewArray(), want)
		}
		b := array.NewDecimal256Builder(memory.DefaultAllocator, &arrow.Decimal256Type{Precision: 76, Scale: int32(scale)})
		b.Append(decimal256.FromBigInt(v))
		check(t, b.NewArray(), want)
	}
}

func check(t *testing.T, a arrow.Array, want string) {
	t.Helper()
	got, err := arrowbatch.Decimals([]byte("x"), a, 0)
	if err != nil || string(got) != "x"+want {
		t.Fatalf("Decimals = %s, %v, want x%s", got, err, want)
	}
}

// plain writes v / 10^scale by way of fmt.
func plain(v *big.Int, scale int) string {
	digits := new(big.Int).Abs(v).String()
	if len(digits) <= scale {
		digits = strings.Repeat("0", scale+1-len(digits)) + digits
	}
	if scale > 0 {
		digits = digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
	}
	if v.Sign() < 0 {
		return "-" + digits
	}
	return digits
}

// TestAllocs fills batches of every kind of column: a row costs no allocation.
func TestAllocs(t *testing.T) {
	const rows = warehouse.MaxBatchRows
	var fields []arrow.Field
	var arrays []arrow.Array
	var converts []arrowbatch.Convert
	schema := &warehouse.Schema{}
	for _, c := range columns(t) {
		one, _, err := array.FromJSON(memory.DefaultAllocator, c.typ, strings.NewReader(c.json), array.WithUseNumber())
		if err != nil {
			t.Fatal(err)
		}
		many := make([]arrow.Array, rows/4)
		for i := range many {
			many[i] = one
		}
		a, err := array.Concatenate(many, memory.DefaultAllocator)
		if err != nil {
			t.Fatal(err)
		}
		fields, arrays, converts = append(fields, arrow.Field{Name: c.name, Type: c.typ, Nullable: true}), append(arrays, a), append(converts, c.convert)
		schema.Fields = append(schema.Fields, warehouse.Field{Name: c.name, Kind: c.kind})
	}
	record := array.NewRecordBatch(arrow.NewSchema(fields, nil), arrays, rows)
	f, b := arrowbatch.NewFiller(converts), warehouse.NewBatch(schema)
	served := 0
	allocs := testing.AllocsPerRun(10, func() {
		record.Retain()
		f.Load(record, nil)
		for {
			ok, err := f.Fill(b)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			served += b.Len()
			b.Reset()
		}
	})
	if perRow := allocs / rows; served != 11*rows || perRow > 0.01 {
		t.Errorf("%d rows, %.0f allocations a record, %.3f a row: want only those of batches", served, allocs, perRow)
	}
}

// Wide rows are served few at a time.
func TestWideRows(t *testing.T) {
	t.Parallel()
	b := array.NewStringBuilder(memory.DefaultAllocator)
	for range 100 {
		b.Append(strings.Repeat("x", 1<<20))
	}
	record := array.NewRecordBatch(arrow.NewSchema([]arrow.Field{{Name: "v", Type: arrow.BinaryTypes.String}}, nil), []arrow.Array{b.NewArray()}, 100)
	f := arrowbatch.NewFiller([]arrowbatch.Convert{arrowbatch.Texts})
	f.Load(record, nil)
	batch := warehouse.NewBatch(&warehouse.Schema{Fields: []warehouse.Field{{Name: "v", Kind: warehouse.Text}}})
	rows := 0
	for {
		ok, err := f.Fill(batch)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		if batch.Len() > 4 {
			t.Fatalf("%d rows of 1 MiB at a time", batch.Len())
		}
		rows += batch.Len()
		batch.Reset()
	}
	if rows != 100 {
		t.Errorf("%d rows, want 100", rows)
	}
}
