// Package arrowbatch turns Arrow record batches into rows as mixsync reads them.
//
// A warehouse.Batch is laid out as Arrow lays out arrays, so what fits is lent
// and not copied: 64-bit integers, doubles, strings and validity. What does not
// (narrower numbers, decimals, times of another unit, nested values) is converted
// by a function that is chosen once a column, never once a value.
//
// The package knows no warehouse. What a driver's arrays mean beyond their Arrow
// type (scaled integers, times in structs, JSON in strings) the driver says with
// a Convert or a Value of its own.
package arrowbatch

import (
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// Convert sets an empty column to the values from, inclusive, to, exclusive, of
// an array. The array outlives the column's use of its memory.
type Convert func(c *warehouse.Column, a arrow.Array, from, to int) error

// Filler serves record batches as batches of rows. Its user loads a record, fills
// batches until there are no more rows, and loads the next.
type Filler struct {
	converts []Convert

	loan *loan // nil: no record
	at   int   // rows served
	step int   // rows at a time
}

// loan is a record whose memory is in use: by the Filler until it has served the
// last row, and by every batch that it lent some of.
type loan struct {
	record arrow.RecordBatch
	users  atomic.Int32
	give   func() // back, by one user
	unused func() // called after the last has given back; may be nil
}

func newLoan(r arrow.RecordBatch, unused func()) *loan {
	l := &loan{record: r, unused: unused}
	l.users.Store(1)
	l.give = func() {
		if l.users.Add(-1) > 0 {
			return
		}
		l.record.Release()
		if l.unused != nil {
			l.unused()
		}
	}
	return l
}

// NewFiller makes a Filler for records of as many columns.
func NewFiller(converts []Convert) *Filler { return &Filler{converts: converts} }

// Load takes over the caller's reference to a record; what is left of the one
// before is not served. unused, if not nil, is called when nobody uses the record's
// memory any more, from whichever goroutine was the last.
func (f *Filler) Load(r arrow.RecordBatch, unused func()) {
	f.Drop()
	f.loan, f.at, f.step = newLoan(r, unused), 0, warehouse.MaxBatchRows
	// What is converted is made anew for every batch, so that wide rows count:
	// their average says how many make a batch of the allowed size.
	if rows := r.NumRows(); rows > 0 {
		size := int64(0)
		for _, a := range r.Columns() {
			size += bytesIn(a.Data())
		}
		if size /= rows; size > warehouse.MaxBatchBytes/warehouse.MaxBatchRows {
			f.step = int(max(1, warehouse.MaxBatchBytes/size))
		}
	}
}

// bytesIn counts the memory of an array and those in it.
func bytesIn(d arrow.ArrayData) int64 {
	size := int64(0)
	for _, buffer := range d.Buffers() {
		if buffer != nil {
			size += int64(buffer.Len())
		}
	}
	for _, child := range d.Children() {
		size += bytesIn(child)
	}
	return size
}

// Drop gives the record back before its end.
func (f *Filler) Drop() {
	if f.loan != nil {
		f.loan.give()
		f.loan = nil
	}
}

// Fill sets an empty batch to the next rows of the record; false: there are none,
// and the record has been given back. The batch uses the record until it is reset.
func (f *Filler) Fill(b *warehouse.Batch) (bool, error) {
	if f.loan == nil {
		return false, nil
	}
	record := f.loan.record
	to := min(f.at+f.step, int(record.NumRows()))
	if f.at == to {
		f.Drop()
		return false, nil
	}
	f.loan.users.Add(1)
	b.Lend(to-f.at, f.loan.give)
	for i, convert := range f.converts {
		if err := convert(&b.Cols[i], record.Column(i), f.at, to); err != nil {
			return false, err
		}
	}
	f.at = to
	return true, nil
}

// LendValid gives a column the validity of an array's values from from on.
func LendValid(c *warehouse.Column, a arrow.Array, from int) {
	if a.NullN() == 0 {
		c.LendValid(nil, 0)
		return
	}
	c.LendValid(a.NullBitmapBytes(), a.Data().Offset()+from)
}
