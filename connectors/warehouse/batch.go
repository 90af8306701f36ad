package warehouse

// A batch is full at this many rows or bytes of variable-length data, whichever
// comes first: large enough that per-batch work vanishes, small enough that
// three of them and their records stay far below the memory promise even when
// rows are wide.
const (
	MaxBatchRows  = 8192
	MaxBatchBytes = 4 << 20
)

// Batch is a run of rows held by column. A Rows fills it; it is valid until the
// next Reset. Column memory may be lent by the driver: never keep a slice of it
// beyond the batch.
type Batch struct {
	Schema *Schema
	Cols   []Column

	// Position is the place of the last row, set by a Reader; nil when a read
	// cannot be resumed there.
	Position *Position
	// Twins are the rows, ascending, whose cursor and key repeat those of the
	// row before them, set by a Reader.
	Twins []int

	rows    int
	release func()
}

// NewBatch returns an empty batch for rows of the schema.
func NewBatch(s *Schema) *Batch {
	b := &Batch{Schema: s, Cols: make([]Column, len(s.Fields))}
	for i := range b.Cols {
		b.Cols[i].Kind = s.Fields[i].Kind
	}
	b.Reset()
	return b
}

// Len is the number of complete rows.
func (b *Batch) Len() int { return b.rows }

// Full reports whether a driver that appends row by row should stop.
func (b *Batch) Full() bool {
	if b.rows >= MaxBatchRows {
		return true
	}
	n := 0
	for i := range b.Cols {
		n += len(b.Cols[i].Data)
	}
	return n >= MaxBatchBytes
}

// Reset empties the batch, keeps its own buffers for reuse and gives lent ones back.
func (b *Batch) Reset() {
	if b.release != nil {
		b.release()
		b.release = nil
	}
	b.rows, b.Position, b.Twins = 0, nil, b.Twins[:0]
	for i := range b.Cols {
		b.Cols[i].reset()
	}
}

// EndRow completes a row: every column must have had exactly one append.
func (b *Batch) EndRow() { b.rows++ }

// Lend declares that n rows have been set in Cols, some of which use memory of
// the driver's; release is called once, when the batch is reset.
func (b *Batch) Lend(n int, release func()) {
	b.rows = n
	b.release = release
}

// slice keeps the rows from, inclusive, to, exclusive, without moving memory.
// Nothing may be appended to the batch before its next Reset.
func (b *Batch) slice(from, to int) {
	if from == 0 {
		b.rows = to
		return
	}
	for i := range b.Cols {
		c := &b.Cols[i]
		c.Offset += from
		c.Int = tail(c.Int, from)
		c.Sub = tail(c.Sub, from)
		c.Float = tail(c.Float, from)
		c.Offsets = tail(c.Offsets, from)
	}
	b.rows = to - from
}

// tail drops the first n values; a slice that its kind does not use is empty.
func tail[T any](s []T, n int) []T {
	if len(s) < n {
		return s
	}
	return s[n:]
}

// Column is one column of a batch, laid out as Arrow lays out arrays so that
// columnar drivers can lend their buffers instead of copying.
//
// Which slice holds the values depends on Kind; see the constants. Validity is
// a bitmap with the least significant bit first; nil means that no value is NULL.
type Column struct {
	Kind    Kind
	Valid   []byte
	Offset  int // index of row 0 within Valid
	Int     []int64
	Sub     []int16 // nanoseconds (0..999) beyond Int's microsecond; nil when there are none
	Float   []float64
	Data    []byte
	Offsets []int32 // value i is Data[Offsets[i]:Offsets[i+1]]

	n     int    // rows appended
	valid []byte // Valid's memory between batches

	// Lent memory is not ours to append to: it is let go when the batch is reset.
	lentValues, lentValid bool
}

// LendInts makes the column use the driver's own values; see Batch.Lend.
func (c *Column) LendInts(v []int64) { c.Int, c.lentValues = v, true }

// LendFloats makes the column use the driver's own values; see Batch.Lend.
func (c *Column) LendFloats(v []float64) { c.Float, c.lentValues = v, true }

// LendText makes the column use the driver's own bytes and their ends; see
// Batch.Lend. There is one offset more than there are values.
func (c *Column) LendText(data []byte, offsets []int32) {
	c.Data, c.Offsets, c.lentValues = data, offsets, true
}

// LendValid makes the column use the driver's own bitmap, in which offset is the
// bit of row 0; see Batch.Lend. Without one no value is NULL.
func (c *Column) LendValid(bitmap []byte, offset int) {
	c.Valid, c.Offset, c.lentValid = bitmap, offset, true
}

// IsNull reports whether the value in row i is NULL.
func (c *Column) IsNull(i int) bool {
	if c.Valid == nil {
		return false
	}
	i += c.Offset
	return c.Valid[i>>3]&(1<<(i&7)) == 0
}

// Text returns the bytes of row i of a Decimal, Text, Bytes or JSON column,
// valid as long as the batch.
func (c *Column) Text(i int) []byte { return c.Data[c.Offsets[i]:c.Offsets[i+1]] }

// AppendNull appends a NULL.
func (c *Column) AppendNull() {
	switch {
	case c.Kind == Float:
		c.Float = append(c.Float, 0)
	case c.Kind.isText():
		c.Offsets = append(c.Offsets, int32(len(c.Data)))
	default:
		c.Int = append(c.Int, 0)
	}
	if c.Valid == nil { // first NULL: everything before it is valid
		c.Valid = append(c.valid[:0], 0xff)
		for range c.n >> 3 {
			c.Valid = append(c.Valid, 0xff)
		}
	}
	c.mark(false)
}

// AppendInt appends to a Bool, Int, Date, Time, Timestamp or TimestampTZ column.
func (c *Column) AppendInt(v int64) {
	c.Int = append(c.Int, v)
	c.mark(true)
}

// AppendFloat appends to a Float column.
func (c *Column) AppendFloat(v float64) {
	c.Float = append(c.Float, v)
	c.mark(true)
}

// AppendText appends a copy of v to a Decimal, Text, Bytes or JSON column.
func (c *Column) AppendText(v []byte) {
	c.Data = append(c.Data, v...)
	c.EndText()
}

// EndText completes a value whose bytes the driver appended to Data itself.
func (c *Column) EndText() {
	c.Offsets = append(c.Offsets, int32(len(c.Data)))
	c.mark(true)
}

func (c *Column) mark(valid bool) {
	if c.Valid != nil {
		if c.n>>3 >= len(c.Valid) {
			c.Valid = append(c.Valid, 0xff)
		}
		if !valid {
			c.Valid[c.n>>3] &^= 1 << (c.n & 7)
		}
	}
	c.n++
}

// reset empties the column. A bitmap without NULLs is not worth reading, so
// Valid stays nil until the first one.
func (c *Column) reset() {
	if c.Valid != nil && !c.lentValid {
		c.valid = c.Valid
	}
	if c.lentValues {
		c.Int, c.Float, c.Data, c.Offsets = nil, nil, nil, nil
	}
	c.lentValues, c.lentValid = false, false
	c.n, c.Offset, c.Valid, c.Sub = 0, 0, nil, nil
	c.Int, c.Float, c.Data = c.Int[:0], c.Float[:0], c.Data[:0]
	if c.Kind.isText() {
		c.Offsets = append(c.Offsets[:0], 0)
	}
}
