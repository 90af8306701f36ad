package arrowbatch

import (
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// Unfit is an array of another type than the schema promised.
func Unfit(a arrow.Array, want string) error {
	return warehouse.Errorf(warehouse.ClassQuery, "run again; if it persists, report it with the column's type",
		"an array of %s came for a column of %s", a.DataType(), want)
}

// integer is what is copied into a column of Int.
type integer interface {
	~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32
}

func copyInts[T integer](c *warehouse.Column, values []T) {
	for _, v := range values {
		c.Int = append(c.Int, int64(v))
	}
}

// Ints sets a column of kind Int from integers of any width that an int64 holds.
func Ints(c *warehouse.Column, a arrow.Array, from, to int) error {
	switch a := a.(type) {
	case *array.Int64:
		c.LendInts(a.Int64Values()[from:to])
	case *array.Int32:
		copyInts(c, a.Int32Values()[from:to])
	case *array.Int16:
		copyInts(c, a.Int16Values()[from:to])
	case *array.Int8:
		copyInts(c, a.Int8Values()[from:to])
	case *array.Uint32:
		copyInts(c, a.Uint32Values()[from:to])
	case *array.Uint16:
		copyInts(c, a.Uint16Values()[from:to])
	case *array.Uint8:
		copyInts(c, a.Uint8Values()[from:to])
	default:
		return Unfit(a, "integers")
	}
	LendValid(c, a, from)
	return nil
}

// Bools sets a column of kind Bool.
func Bools(c *warehouse.Column, a arrow.Array, from, to int) error {
	bools, ok := a.(*array.Boolean)
	if !ok {
		return Unfit(a, "booleans")
	}
	for i := from; i < to; i++ {
		v := int64(0)
		if bools.IsValid(i) && bools.Value(i) {
			v = 1
		}
		c.Int = append(c.Int, v)
	}
	LendValid(c, a, from)
	return nil
}

// Floats sets a column of kind Float.
func Floats(c *warehouse.Column, a arrow.Array, from, to int) error {
	switch a := a.(type) {
	case *array.Float64:
		c.LendFloats(a.Float64Values()[from:to])
	case *array.Float32:
		for _, v := range a.Float32Values()[from:to] {
			c.Float = append(c.Float, float64(v))
		}
	default:
		return Unfit(a, "floats")
	}
	LendValid(c, a, from)
	return nil
}

// Texts sets a column of kind Text, Bytes, JSON or Decimal from strings or bytes.
func Texts(c *warehouse.Column, a arrow.Array, from, to int) error {
	switch a := a.(type) {
	case *array.String:
		lendText(c, a, a.ValueOffsets(), from, to)
	case *array.Binary:
		lendText(c, a, a.ValueOffsets(), from, to)
	default:
		return Unfit(a, "text")
	}
	LendValid(c, a, from)
	return nil
}

// lendText lends what lies between offsets, which count from the buffer's start.
func lendText(c *warehouse.Column, a arrow.Array, offsets []int32, from, to int) {
	var data []byte
	if buffer := a.Data().Buffers()[2]; buffer != nil {
		data = buffer.Bytes()
	}
	c.LendText(data, offsets[from:to+1])
}

// Dates sets a column of kind Date.
func Dates(c *warehouse.Column, a arrow.Array, from, to int) error {
	dates, ok := a.(*array.Date32)
	if !ok {
		return Unfit(a, "dates")
	}
	copyInts(c, dates.Date32Values()[from:to])
	LendValid(c, a, from)
	return nil
}

// Times sets a column of kind Time.
func Times(c *warehouse.Column, a arrow.Array, from, to int) error {
	switch a := a.(type) {
	case *array.Time64:
		scaled(c, a.Time64Values()[from:to], a.DataType().(*arrow.Time64Type).Unit)
	case *array.Time32:
		scaled(c, a.Time32Values()[from:to], a.DataType().(*arrow.Time32Type).Unit)
	default:
		return Unfit(a, "times")
	}
	LendValid(c, a, from)
	return nil
}

// Timestamps sets a column of kind Timestamp or TimestampTZ. What is beyond the
// range of microseconds in an int64 becomes its end.
func Timestamps(c *warehouse.Column, a arrow.Array, from, to int) error {
	stamps, ok := a.(*array.Timestamp)
	if !ok {
		return Unfit(a, "timestamps")
	}
	scaled(c, stamps.TimestampValues()[from:to], stamps.DataType().(*arrow.TimestampType).Unit)
	LendValid(c, a, from)
	return nil
}

// scaled copies times of a unit as microseconds, and nanoseconds beyond them.
func scaled[T integer](c *warehouse.Column, values []T, unit arrow.TimeUnit) {
	switch unit {
	case arrow.Microsecond:
		copyInts(c, values)
	case arrow.Nanosecond:
		for _, v := range values {
			AppendNanos(c, int64(v))
		}
	default:
		per := int64(1000)
		if unit == arrow.Second {
			per = 1_000_000
		}
		for _, v := range values {
			c.Int = append(c.Int, times(int64(v), per))
		}
	}
}

// times multiplies without overflow: beyond int64 lies its end.
func times(v, per int64) int64 {
	switch {
	case v > math.MaxInt64/per:
		return math.MaxInt64 - 1 // the very end means infinity
	case v < math.MinInt64/per:
		return math.MinInt64 + 1
	}
	return v * per
}

// AppendNanos appends a time in nanoseconds to a column whose validity is lent:
// microseconds, and what is beyond them, from the first value on that has any.
func AppendNanos(c *warehouse.Column, nanos int64) {
	micros, sub := splitNanos(nanos)
	AppendTime(c, micros, sub)
}

// splitNanos splits nanoseconds into microseconds and what is beyond, 0 to 999.
func splitNanos(nanos int64) (micros int64, sub int16) {
	micros, sub = nanos/1000, int16(nanos%1000)
	if sub < 0 {
		micros, sub = micros-1, sub+1000
	}
	return micros, sub
}

// AppendTime appends microseconds and the nanoseconds (0 to 999) beyond them to a
// column whose validity is lent.
func AppendTime(c *warehouse.Column, micros int64, sub int16) {
	if sub != 0 && c.Sub == nil {
		c.Sub = make([]int16, len(c.Int), warehouse.MaxBatchRows)
	}
	c.Int = append(c.Int, micros)
	if c.Sub != nil {
		c.Sub = append(c.Sub, sub)
	}
}

// Rendered sets a column of a kind that is text with what a Value writes.
func Rendered(value Value) Convert {
	return func(c *warehouse.Column, a arrow.Array, from, to int) error {
		for i := from; i < to; i++ {
			if a.IsNull(i) {
				c.AppendNull()
				continue
			}
			var err error
			if c.Data, err = value(c.Data, a, i); err != nil {
				return err
			}
			if len(c.Data) > math.MaxInt32 {
				return fmt.Errorf("%d rows hold more than 2 GiB of text", i-from+1)
			}
			c.EndText()
		}
		return nil
	}
}
