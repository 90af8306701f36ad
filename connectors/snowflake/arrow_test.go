package snowflake

import (
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/connectors/warehouse/warehousetest"
)

// TestArrays converts the arrays that a column of one type can come as. The first
// value of each is cut off, so that offsets matter.
func TestArrays(t *testing.T) {
	t.Parallel()
	moment := func(fields ...string) arrow.DataType {
		var list []arrow.Field
		for _, f := range fields {
			var typ arrow.DataType
			if typ = arrow.PrimitiveTypes.Int32; f == "epoch" {
				typ = arrow.PrimitiveTypes.Int64
			}
			list = append(list, arrow.Field{Name: f, Type: typ, Nullable: true})
		}
		return arrow.StructOf(list...)
	}
	for _, test := range []struct {
		name   string
		column column
		typ    arrow.DataType
		json   string
		want   []string
	}{
		{"NUMBER as int8", column{typ: "fixed"}, arrow.PrimitiveTypes.Int8, `[9, -5, null]`, []string{"-5", "NULL"}},
		{"NUMBER as decimal", column{typ: "fixed"}, &arrow.Decimal128Type{Precision: 38}, `["9", "-9007199254740993", null]`, []string{"-9007199254740993", "NULL"}},
		{"NUMBER(5,2) as int8", column{typ: "fixed", scale: 2}, arrow.PrimitiveTypes.Int8, `[9, -5, null]`, []string{"-0.05", "NULL"}},
		{"NUMBER(5,2) as int16", column{typ: "fixed", scale: 2}, arrow.PrimitiveTypes.Int16, `[9, 1250, null]`, []string{"12.50", "NULL"}},
		{"NUMBER(38,2) as a decimal of another scale", column{typ: "fixed", scale: 2}, &arrow.Decimal128Type{Precision: 38}, `["9", "1250", null]`, []string{"12.50", "NULL"}},
		{"TIME(0) as int32", column{typ: "time"}, arrow.PrimitiveTypes.Int32, `[9, 45296, null]`, []string{"45296000000", "NULL"}},
		{"TIMESTAMP_NTZ(0)", column{typ: "timestamp_ntz"}, arrow.PrimitiveTypes.Int64, `[9, 1769860800, null]`, []string{"2026-01-31T12:00:00", "NULL"}},
		{"TIMESTAMP_NTZ(3) before 1970", column{typ: "timestamp_ntz", scale: 3}, arrow.PrimitiveTypes.Int64, `[9, -1, null]`, []string{"1969-12-31T23:59:59.999", "NULL"}},
		{"TIMESTAMP_NTZ(7) before 1970", column{typ: "timestamp_ntz", scale: 7}, arrow.PrimitiveTypes.Int64, `[9, -1, null]`, []string{"1969-12-31T23:59:59.9999999", "NULL"}},
		{"TIMESTAMP_LTZ(9)", column{typ: "timestamp_ltz", scale: 9}, moment("epoch", "fraction"), `[{"epoch": 9}, {"epoch": -1, "fraction": 999999999}, null]`, []string{"1969-12-31T23:59:59.999999999Z", "NULL"}},
		{"TIMESTAMP_TZ(3)", column{typ: "timestamp_tz", scale: 3}, moment("epoch", "timezone"), `[{"epoch": 9}, {"epoch": 1769860800500, "timezone": 1560}, null]`, []string{"2026-01-31T12:00:00.5Z", "NULL"}},
		{"TIMESTAMP_TZ(9)", column{typ: "timestamp_tz", scale: 9}, moment("epoch", "fraction", "timezone"), `[{"epoch": 9}, {"epoch": 1769860800, "fraction": 1, "timezone": 0}, null]`, []string{"2026-01-31T12:00:00.000000001Z", "NULL"}},
		{"structured OBJECT", column{typ: "object"}, arrow.StructOf(arrow.Field{Name: "a", Type: arrow.PrimitiveTypes.Int64, Nullable: true}), `[{"a": 9}, {"a": 1}, null]`, []string{`{"a":1}`, "NULL"}},
		{"MAP", column{typ: "map"}, arrow.MapOf(arrow.BinaryTypes.String, arrow.PrimitiveTypes.Int64), `[[], [{"key": "k", "value": 1}], null]`, []string{`{"k":1}`, "NULL"}},
		{"VARIANT", column{typ: "variant"}, arrow.BinaryTypes.String, `["9", "[undefined, NaN, -Infinity, \"NaN \\\" undefined\"]", null]`, []string{`[null,null,null,"NaN \" undefined"]`, "NULL"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			whole, _, err := array.FromJSON(memory.DefaultAllocator, test.typ, strings.NewReader(test.json), array.WithUseNumber())
			if err != nil {
				t.Fatal(err)
			}
			test.column.kind = test.column.kindOf()
			b := warehouse.NewBatch(schemaOf([]column{test.column}))
			b.Lend(2, func() {})
			if err := test.column.convert()(&b.Cols[0], array.NewSlice(whole, 1, 3), 0, 2); err != nil {
				t.Fatal(err)
			}
			var got []string
			for i := range b.Len() {
				got = append(got, warehousetest.RenderRow(b, i)[0])
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// An array of an unfit type is an error that names the column, never a wrong value.
func TestUnfitArrays(t *testing.T) {
	t.Parallel()
	a, _, err := array.FromJSON(memory.DefaultAllocator, arrow.StructOf(arrow.Field{Name: "x", Type: arrow.BinaryTypes.String}), strings.NewReader(`[{"x": "y"}]`))
	if err != nil {
		t.Fatal(err)
	}
	for _, typ := range []string{"fixed", "decfloat", "real", "boolean", "date", "time", "timestamp_ntz", "timestamp_tz", "text", "binary"} {
		c := column{name: "v", typ: typ}
		c.kind = c.kindOf()
		if err := c.convert()(&warehouse.Column{Kind: c.kind}, a, 0, 1); err == nil {
			t.Errorf("a struct of text for a column of type %s gives no error", typ)
		}
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	text := func(s string) *string { return &s }
	for _, test := range []struct {
		column column
		value  string
		want   string // empty: an error
	}{
		{column{typ: "timestamp_ntz"}, "-0.000000001", "1969-12-31T23:59:59.999999999"},
		{column{typ: "timestamp_ntz"}, "-1.500000000", "1969-12-31T23:59:58.5"},
		{column{typ: "timestamp_ntz"}, "1769860800", "2026-01-31T12:00:00"},
		{column{typ: "timestamp_tz"}, "1769860800.5 1560", "2026-01-31T12:00:00.5Z"},
		{column{typ: "timestamp_tz"}, "soon", ""},
		{column{typ: "decfloat"}, "1.25e3", "1250"},
		{column{typ: "decfloat"}, "-1.25E-4", "-0.000125"},
		{column{typ: "decfloat"}, "1e99999999", ""},
		{column{typ: "fixed", scale: 2}, "12.50", "12.50"},
		{column{typ: "fixed", scale: 2}, "x", ""},
		{column{typ: "fixed"}, "1.5", ""},
		{column{typ: "boolean"}, "0", "false"},
		{column{typ: "boolean"}, "maybe", ""},
		{column{typ: "binary"}, "0g", ""},
		{column{typ: "date"}, "-1", "1969-12-31"},
		{column{typ: "real"}, "NaN", "NaN"},
	} {
		test.column.kind = test.column.kindOf()
		columns := []column{test.column}
		b := warehouse.NewBatch(schemaOf(columns))
		err := appendLine(b, columns, []*string{text(test.value)})
		switch {
		case test.want == "" && err == nil:
			t.Errorf("%s %q gives no error", test.column.typ, test.value)
		case test.want != "" && err != nil:
			t.Errorf("%s %q: %v", test.column.typ, test.value, err)
		case test.want != "":
			if got := warehousetest.RenderRow(b, 0)[0]; got != test.want {
				t.Errorf("%s %q = %s, want %s", test.column.typ, test.value, got, test.want)
			}
		}
	}
	b := warehouse.NewBatch(schemaOf([]column{{typ: "fixed", kind: warehouse.Int}}))
	if err := appendLine(b, []column{{typ: "fixed", kind: warehouse.Int}}, nil); err == nil {
		t.Error("a row without its value gives no error")
	}
}
