//go:build cgo

package duckdb

import (
	"math"
	"math/bits"
	"slices"

	bindings "github.com/duckdb/duckdb-go-bindings"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/mapping/appendjson"
)

// cell is a type with the vector that holds its values in the chunk at hand, and
// likewise for the parts of a nested type.
type cell struct {
	*dtype
	view
	parts []cell
	keys  [][]byte // of a struct with names: each as JSON, with its colon
}

func newCell(t *dtype) cell {
	c := cell{dtype: t}
	for _, name := range t.names {
		c.keys = append(c.keys, append(appendjson.Whole(nil, []byte(name)), ':'))
	}
	switch t.codec {
	case asMap: // a list of structs of key and value
		entry := cell{dtype: &dtype{codec: asStruct}}
		for _, child := range t.children {
			entry.parts = append(entry.parts, newCell(child))
		}
		c.parts = []cell{entry}
	case asUnion: // a struct whose first child says which of the others counts
		tag := plain[bindings.TypeUTinyInt]
		c.parts = append(c.parts, newCell(&tag))
		fallthrough
	default:
		for _, child := range t.children {
			c.parts = append(c.parts, newCell(child))
		}
	}
	return c
}

// load looks at a new chunk's vector and at those within it.
func (c *cell) load(v bindings.Vector, length int) {
	c.view = see(v, length)
	switch c.codec {
	case asList, asMap:
		c.parts[0].load(bindings.ListVectorGetChild(v), int(bindings.ListVectorGetSize(v)))
	case asArray:
		c.parts[0].load(bindings.ArrayVectorGetChild(v), length*c.size)
	case asStruct, asUnion:
		for i := range c.parts {
			c.parts[i].load(bindings.StructVectorGetChild(v, bindings.IdxT(i)), length)
		}
	}
}

// take copies at most wanted rows of the chunk, and as many as budget bytes of
// text hold but at least one. It returns how many, and their bytes of text.
func (r *rows) take(b *warehouse.Batch, wanted, budget int) (n, size int, err error) {
	n = r.within(wanted, budget)
	base := b.Len()
	r.used = r.used[:0]
	for i := range b.Cols {
		r.used = append(r.used, len(b.Cols[i].Data))
	}
	// Nested values are measured by writing them; whatever column is short of the
	// others in the end sets the length of all.
	for i := range b.Cols {
		if c := &b.Cols[i]; c.Kind == warehouse.JSON && r.cells[i].codec != asJSON {
			n = r.cells[i].appendTrees(c, r.at, n, budget)
		}
	}
	for i := range b.Cols {
		c, cell := &b.Cols[i], &r.cells[i]
		if c.Kind == warehouse.JSON && cell.codec != asJSON {
			c.Offsets = c.Offsets[:base+n+1]
			c.Data = c.Data[:c.Offsets[base+n]]
		} else {
			cell.appendTo(c, r.at, n)
		}
		appendValid(c, base, cell.valid, r.at, n)
		if len(c.Data) > math.MaxInt32 {
			return 0, 0, warehouse.Errorf(warehouse.ClassQuery, "leave it out, or shorten it in a query",
				"column %q: a value of %d bytes is too large", r.schema.Fields[i].Name, len(c.Data)-r.used[i])
		}
		size += len(c.Data) - r.used[i]
	}
	for range n {
		b.EndRow()
	}
	return n, size, nil
}

// within returns how many of the next rows hold no more than budget bytes in
// their columns of plain text, but at least one.
func (r *rows) within(wanted, budget int) int {
	total := 0
	for i := range r.cells {
		total += r.cells[i].textBytes(r.at, wanted)
	}
	if total <= budget {
		return wanted
	}
	for n := range wanted {
		for i := range r.cells {
			budget -= r.cells[i].textBytes(r.at+n, 1)
		}
		if budget < 0 {
			return max(n, 1)
		}
	}
	return wanted
}

// textBytes is the length of n values of plain text.
func (c *cell) textBytes(at, n int) int {
	if c.codec != asText && c.codec != asJSON && c.codec != asBlob {
		return 0
	}
	total := 0
	for i, s := range values[str](c.view)[at : at+n] {
		if c.valid == nil || !c.isNull(at+i) {
			total += int(s.length)
		}
	}
	return total
}

// appendTrees writes nested values as JSON until they use the budget up, and
// returns how many.
func (c *cell) appendTrees(col *warehouse.Column, at, n, budget int) int {
	limit := len(col.Data) + budget
	for i := range n {
		if i > 0 && len(col.Data) >= limit {
			return i
		}
		if !c.isNull(at + i) {
			col.Data = c.appendJSON(col.Data, at+i)
		}
		col.Offsets = append(col.Offsets, int32(min(len(col.Data), math.MaxInt32)))
	}
	return n
}

// appendValid copies a part of a vector's validity to a column that has base rows.
func appendValid(c *warehouse.Column, base int, valid []uint64, at, n int) {
	if valid == nil {
		return
	}
	for done := 0; done < n; {
		from := at + done
		word := ^valid[from>>6] >> (from & 63) // NULLs are the ones
		length := min(64-from&63, n-done)
		if length < 64 {
			word &= 1<<length - 1
		}
		if word != 0 && c.Valid == nil {
			c.Valid = make([]byte, (warehouse.MaxBatchRows+7)/8)
			for i := range c.Valid {
				c.Valid[i] = 0xff
			}
		}
		for ; word != 0; word &= word - 1 {
			row := base + done + bits.TrailingZeros64(word)
			c.Valid[row>>3] &^= 1 << (row & 7)
		}
		done += length
	}
}

// appendTo copies n values to a column. What stands in place of a NULL is
// anything in columns of numbers, and nothing in columns of text.
func (c *cell) appendTo(col *warehouse.Column, at, n int) {
	switch c.codec {
	case asBool:
		for _, v := range values[uint8](c.view)[at : at+n] {
			col.Int = append(col.Int, int64(min(v, 1)))
		}
	case asInt8:
		col.Int = appendInts[int8](col.Int, c.view, at, n)
	case asInt16:
		col.Int = appendInts[int16](col.Int, c.view, at, n)
	case asInt32:
		col.Int = appendInts[int32](col.Int, c.view, at, n)
	case asInt64, asTime:
		col.Int = append(col.Int, values[int64](c.view)[at:at+n]...)
	case asUint8:
		col.Int = appendInts[uint8](col.Int, c.view, at, n)
	case asUint16:
		col.Int = appendInts[uint16](col.Int, c.view, at, n)
	case asUint32:
		col.Int = appendInts[uint32](col.Int, c.view, at, n)
	case asFloat:
		for _, v := range values[float32](c.view)[at : at+n] {
			col.Float = append(col.Float, float64(v))
		}
	case asDouble:
		col.Float = append(col.Float, values[float64](c.view)[at:at+n]...)
	case asDate:
		for _, v := range values[int32](c.view)[at : at+n] {
			col.Int = append(col.Int, days(v))
		}
	case asTimestamp, asTimestampS, asTimestampMS:
		c.appendTimes(col, at, n)
	case asTimestampNS, asTimeNS:
		c.appendNanos(col, at, n)
	case asText, asJSON, asBlob:
		c.appendTexts(col, at, n)
	default:
		for row := at; row < at+n; row++ {
			if !c.isNull(row) {
				col.Data = c.appendText(col.Data, row)
			}
			col.Offsets = append(col.Offsets, int32(min(len(col.Data), math.MaxInt32)))
		}
	}
}

func appendInts[T int8 | int16 | int32 | uint8 | uint16 | uint32](dst []int64, v view, at, n int) []int64 {
	for _, x := range values[T](v)[at : at+n] {
		dst = append(dst, int64(x))
	}
	return dst
}

func (c *cell) appendTimes(col *warehouse.Column, at, n int) {
	unit := int64(1)
	switch c.codec {
	case asTimestampS:
		unit = 1e6
	case asTimestampMS:
		unit = 1e3
	}
	for _, v := range values[int64](c.view)[at : at+n] {
		col.Int = append(col.Int, micros(v, unit))
	}
}

// appendNanos splits nanoseconds into a column's microseconds and what is beyond.
func (c *cell) appendNanos(col *warehouse.Column, at, n int) {
	// A batch owns its nanoseconds: its next Reset forgets them.
	for len(col.Sub) < len(col.Int) {
		col.Sub = append(col.Sub, 0)
	}
	for _, v := range values[int64](c.view)[at : at+n] {
		whole, sub := splitNanos(v)
		col.Int, col.Sub = append(col.Int, whole), append(col.Sub, sub)
	}
}

func (c *cell) appendTexts(col *warehouse.Column, at, n int) {
	data := slices.Grow(col.Data, c.textBytes(at, n)+inlined)
	refs := values[str](c.view)
	for row := at; row < at+n; row++ {
		if !c.isNull(row) {
			s := &refs[row]
			end := len(data)
			if s.length <= inlined {
				// A copy of fixed size is a few instructions and no call.
				*(*[inlined]byte)(data[end : end+inlined]) = *s.short()
				data = data[:end+int(s.length)]
			} else {
				data = append(data, s.bytes()...)
			}
		}
		col.Offsets = append(col.Offsets, int32(min(len(data), math.MaxInt32)))
	}
	col.Data = data
}
