package checkpoint

import (
	"encoding/binary"
	"errors"
	"slices"
	"sync"
)

// A segment is some of a target's ledger in one value: entries sorted by key,
// each key once, column by column, little-endian:
//
//	n × key uint64 | n × cursor int64 | n × hash uint64 | n × filed uint32
//
// filed is the sequence number of the run that filed the row, 0 if it was
// sent, and forgotten for an entry that only hides older ones of its key.
type segment []byte

const (
	entrySize = 8 + 8 + 8 + 4
	forgotten = 1<<32 - 1
)

// maxSegment is how many entries a segment may grow to by merging: 3.5 MB.
// Larger ones would make fewer reads of large ledgers, and dearer merges.
const maxSegment = 1 << 17

// item is an entry as segments keep it.
type item struct {
	key    uint64
	cursor int64
	hash   uint64
	filed  uint32
}

var errSegment = errors.New("a ledger segment is damaged")

// pack makes a segment of items sorted by key.
func pack(items []item) segment {
	n := len(items)
	s := make(segment, n*entrySize)
	for i, it := range items {
		binary.LittleEndian.PutUint64(s[8*i:], it.key)
		binary.LittleEndian.PutUint64(s[8*(n+i):], uint64(it.cursor))
		binary.LittleEndian.PutUint64(s[8*(2*n+i):], it.hash)
		binary.LittleEndian.PutUint32(s[24*n+4*i:], it.filed)
	}
	return s
}

func (s segment) len() int         { return len(s) / entrySize }
func (s segment) key(i int) uint64 { return binary.LittleEndian.Uint64(s[8*i:]) }

func (s segment) item(i int) item {
	n := s.len()
	return item{
		key:    s.key(i),
		cursor: int64(binary.LittleEndian.Uint64(s[8*(n+i):])),
		hash:   binary.LittleEndian.Uint64(s[8*(2*n+i):]),
		filed:  binary.LittleEndian.Uint32(s[24*n+4*i:]),
	}
}

// seek returns the first index from i on whose key is not below k. It gallops,
// so that looking up sorted keys costs by the distance between them.
func (s segment) seek(i int, k uint64) int {
	n, step := s.len(), 1
	for i+step < n && s.key(i+step) < k {
		i += step
		step *= 2
	}
	hi := min(i+step, n)
	for i < hi {
		if mid := int(uint(i+hi) >> 1); s.key(mid) < k {
			i = mid + 1
		} else {
			hi = mid
		}
	}
	return i
}

// sortItems sorts by key and keeps the last item of each key.
func sortItems(items []item) []item {
	slices.SortStableFunc(items, func(a, b item) int {
		switch {
		case a.key < b.key:
			return -1
		case a.key > b.key:
			return 1
		}
		return 0
	})
	kept := items[:0]
	for i, it := range items {
		if i+1 == len(items) || items[i+1].key != it.key {
			kept = append(kept, it)
		}
	}
	return kept
}

// merge merges a segment with the sorted items that came after it: theirs win.
func merge(older segment, newer []item) []item {
	out := make([]item, 0, older.len()+len(newer))
	for i, j := 0, 0; i < older.len() || j < len(newer); {
		switch {
		case j == len(newer) || i < older.len() && older.key(i) < newer[j].key:
			out = append(out, older.item(i))
			i++
		default:
			if i < older.len() && older.key(i) == newer[j].key {
				i++
			}
			out = append(out, newer[j])
			j++
		}
	}
	return out
}

// maxCached bounds the segments kept in memory between lookups: a ledger of a
// million entries fits. Of larger ones the rest is read again for every batch.
const maxCached = 32 << 20

// segmentCache keeps segments that were read from the state. A segment never
// changes and its number is never given to another, so nothing goes stale.
type segmentCache struct {
	limit int // bytes

	mu    sync.Mutex
	bytes int
	by    map[int64]map[int64]segment // target, then seq
}

func (c *segmentCache) find(target, seq int64) segment {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.by[target][seq]
}

func (c *segmentCache) keep(target, seq int64, s segment) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by[target][seq] != nil || c.bytes+len(s) > c.limit {
		return
	}
	if c.by == nil {
		c.by = map[int64]map[int64]segment{}
	}
	if c.by[target] == nil {
		c.by[target] = map[int64]segment{}
	}
	c.by[target][seq] = s
	c.bytes += len(s)
}

// retain drops a target's segments other than those listed.
func (c *segmentCache) retain(target int64, list []segmentInfo) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for seq, s := range c.by[target] {
		if !slices.ContainsFunc(list, func(i segmentInfo) bool { return i.seq == seq }) {
			c.bytes -= len(s)
			delete(c.by[target], seq)
		}
	}
}

func (c *segmentCache) forget(target int64) {
	c.retain(target, nil)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.by, target)
}
