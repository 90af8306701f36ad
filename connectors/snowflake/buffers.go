package snowflake

import (
	"sync"

	"github.com/apache/arrow-go/v18/arrow/memory"
)

const (
	// Buffers from this size on are used again: a result's chunks are much of a
	// size, and without it each would be garbage of tens of megabytes.
	recycledBytes = 64 << 10
	maxFree       = 4 // buffers
)

// buffers is the memory of a result's records. It counts what is in use, and keeps
// what is not for the next chunk.
type buffers struct {
	make memory.Allocator

	mu   sync.Mutex
	used int64
	kept int64
	free [][]byte
}

var _ memory.Allocator = (*buffers)(nil)

func newBuffers() *buffers { return &buffers{make: memory.NewGoAllocator()} }

// held is how many bytes are in use.
func (m *buffers) held() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used
}

// count takes note of memory that was not had from here.
func (m *buffers) count(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used += n
}

// Allocate returns size bytes.
func (m *buffers) Allocate(size int) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	if size >= recycledBytes {
		for i, b := range m.free {
			if cap(b) >= size && cap(b) <= size+size/2 {
				m.free[i] = m.free[len(m.free)-1]
				m.free = m.free[:len(m.free)-1]
				m.kept -= int64(cap(b))
				m.used += int64(cap(b))
				b = b[:size]
				clear(b)
				return b
			}
		}
	}
	b := m.make.Allocate(size)
	m.used += int64(cap(b))
	return b
}

// Reallocate returns the bytes in a slice of size bytes.
func (m *buffers) Reallocate(size int, b []byte) []byte {
	if size <= cap(b) {
		return b[:size]
	}
	larger := m.Allocate(size)
	copy(larger, b)
	m.Free(b)
	return larger
}

// Free takes bytes back.
func (m *buffers) Free(b []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	size := int64(cap(b))
	m.used -= size
	if size >= recycledBytes && len(m.free) < maxFree && (m.kept == 0 || m.kept+size <= aheadBytes) {
		m.free = append(m.free, b)
		m.kept += size
	}
}
