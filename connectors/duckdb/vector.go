//go:build cgo

package duckdb

import (
	"unsafe"

	bindings "github.com/duckdb/duckdb-go-bindings"
)

// This file is the one place that uses unsafe: DuckDB hands out vectors as bare
// pointers into its own memory, laid out as its C interface documents. Views of
// them are valid until the chunk is destroyed, and rows never keep one longer.

// view is the memory of one vector.
type view struct {
	data   unsafe.Pointer
	valid  []uint64 // a bit a row, least significant first, 1 for a value; nil: no NULLs
	length int      // rows
}

// see takes the view of a vector of so many rows.
func see(v bindings.Vector, length int) view {
	seen := view{data: bindings.VectorGetData(v), length: length}
	if mask := bindings.VectorGetValidity(v); mask != nil {
		seen.valid = unsafe.Slice((*uint64)(mask), (length+63)/64)
	}
	return seen
}

// values are the rows of a vector whose elements are laid out as T.
func values[T any](v view) []T {
	if v.data == nil {
		return nil
	}
	return unsafe.Slice((*T)(v.data), v.length)
}

func (v *view) isNull(row int) bool {
	return v.valid != nil && v.valid[row>>6]&(1<<(row&63)) == 0
}

// str is duckdb_string_t: up to inlined bytes follow the length at once; of more
// the address is kept behind the first four. It must stay where it is, because
// what looks like an address may be text.
type str struct {
	length uint32
	prefix [4]byte
	rest   [8]byte
}

const inlined = 12

// bytes are the text's own memory.
func (s *str) bytes() []byte {
	if s.length <= inlined {
		return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(s), 4)), s.length)
	}
	return unsafe.Slice(*(**byte)(unsafe.Pointer(&s.rest)), s.length)
}

// short is the memory of an inlined text, of which length bytes count.
func (s *str) short() *[inlined]byte {
	return (*[inlined]byte)(unsafe.Pointer(&s.prefix))
}

// interval is duckdb_interval.
type interval struct {
	months, days int32
	micros       int64
}

// hugeint is duckdb_hugeint and duckdb_uhugeint, a number in two's complement.
type hugeint struct{ lower, upper uint64 }

// entry is duckdb_list_entry: where a list's elements are in the child vector.
type entry struct{ offset, length uint64 }
