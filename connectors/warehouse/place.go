package warehouse

import (
	"bytes"
	"encoding/hex"
	"math"
	"slices"
	"strconv"
)

// dropped counts the leading rows of a batch that were read before the read was
// resumed: those that equal the position, as long as some are left to drop.
func (r *Reader) dropped(b *Batch) int {
	n := 0
	for r.drop > 0 && n < b.Len() {
		if !r.at(b, n) {
			r.drop = 0 // the row is gone; what follows it has not been read
			break
		}
		r.drop--
		n++
	}
	return n
}

// locate sets the batch's Position and Twins and moves the reader there.
func (r *Reader) locate(b *Batch) {
	if r.pos != nil && r.at(b, 0) && !r.nullKey(b, 0) {
		b.Twins = append(b.Twins, 0)
	}
	for i := 1; i < b.Len(); i++ {
		if r.same(b, i) && !r.nullKey(b, i) {
			b.Twins = append(b.Twins, i)
		}
	}
	last := b.Len() - 1
	first := last // of the rows that share the last one's place
	for first > 0 && r.same(b, first) {
		first--
	}
	pos := &Position{Seen: last - first + 1}
	if first == 0 && r.pos != nil && r.at(b, 0) {
		pos.Seen += r.pos.Seen
	}
	if r.cursor >= 0 {
		pos.Cursor = r.text(b, r.cursor, last)
	}
	for _, k := range r.keys {
		pos.Keys = append(pos.Keys, r.text(b, k, last))
	}
	r.pos = pos
	b.Position = pos
}

// same reports whether a row has the cursor and the keys of the row before it.
func (r *Reader) same(b *Batch, row int) bool {
	if r.cursor >= 0 && !sameValue(&b.Cols[r.cursor], row) {
		return false
	}
	for _, k := range r.keys {
		if !sameValue(&b.Cols[k], row) {
			return false
		}
	}
	return true
}

// sameValue compares a value with the one before it; NULL equals NULL.
func sameValue(c *Column, i int) bool {
	if null := c.IsNull(i); null || c.IsNull(i-1) {
		return null && c.IsNull(i-1)
	}
	switch {
	case c.Kind == Float:
		return math.Float64bits(c.Float[i]) == math.Float64bits(c.Float[i-1])
	case c.Kind.isText():
		return bytes.Equal(c.Text(i), c.Text(i-1))
	}
	return c.Int[i] == c.Int[i-1] && (c.Sub == nil || c.Sub[i] == c.Sub[i-1])
}

// at reports whether a row is at the reader's position.
func (r *Reader) at(b *Batch, row int) bool {
	if r.cursor >= 0 && !r.hasText(b, r.cursor, row, r.pos.Cursor) {
		return false
	}
	for i, k := range r.keys {
		if !r.hasText(b, k, row, r.pos.Keys[i]) {
			return false
		}
	}
	return true
}

func (r *Reader) hasText(b *Batch, column, row int, text *string) bool {
	c := &b.Cols[column]
	if text == nil || c.IsNull(row) {
		return text == nil && c.IsNull(row)
	}
	r.scratch = appendText(r.scratch[:0], c, r.schema.Fields[column], row)
	return string(r.scratch) == *text
}

func (r *Reader) nullKey(b *Batch, row int) bool {
	return slices.ContainsFunc(r.keys, func(k int) bool { return b.Cols[k].IsNull(row) })
}

// text is a value as a position keeps it: nil for NULL.
func (r *Reader) text(b *Batch, column, row int) *string {
	c := &b.Cols[column]
	if c.IsNull(row) {
		return nil
	}
	s := string(appendText(nil, c, r.schema.Fields[column], row))
	return &s
}

// appendText writes a value that is not NULL as Dialect.Bind expects arguments.
func appendText(dst []byte, c *Column, f Field, row int) []byte {
	switch c.Kind {
	case Bool:
		return strconv.AppendBool(dst, c.Int[row] != 0)
	case Int, Date, Timestamp, TimestampTZ:
		return CursorAt(c, row).append(dst, c.Kind)
	case Time:
		var sub int16
		if c.Sub != nil {
			sub = c.Sub[row]
		}
		return appendClock(dst, c.Int[row], sub)
	case Float:
		return appendFloat(dst, c.Float[row], f.Float32)
	case Bytes:
		return hex.AppendEncode(dst, c.Text(row))
	}
	return append(dst, c.Text(row)...)
}

func appendFloat(dst []byte, v float64, single bool) []byte {
	switch {
	case math.IsNaN(v):
		return append(dst, "NaN"...)
	case math.IsInf(v, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(v, -1):
		return append(dst, "-Infinity"...)
	case single:
		return strconv.AppendFloat(dst, v, 'g', -1, 32)
	}
	return strconv.AppendFloat(dst, v, 'g', -1, 64)
}
