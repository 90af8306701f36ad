package emulator

import (
	"encoding/binary"
	"hash/maphash"
)

// record is an event that passed validation, on its way into the store. Its
// slices are borrowed from the request's body.
type record struct {
	raw      []byte
	name     []byte
	insertID []byte
	millis   int64
	who      identity
	key      [16]byte // of (event, distinct_id, time, $insert_id)
}

var seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

// hash128 is a 16-byte hash that holds within this process.
func hash128(b []byte) (h [16]byte) {
	binary.LittleEndian.PutUint64(h[:8], maphash.Bytes(seeds[0], b))
	binary.LittleEndian.PutUint64(h[8:], maphash.Bytes(seeds[1], b))
	return h
}

// setKey computes the deduplication key, with scratch as working memory.
func (r *record) setKey(scratch []byte) []byte {
	for _, part := range [...][]byte{r.name, r.who.id, r.insertID} {
		scratch = append(binary.AppendUvarint(scratch, uint64(len(part))), part...)
	}
	scratch = binary.LittleEndian.AppendUint64(scratch, uint64(r.millis))
	r.key = hash128(scratch)
	return scratch
}

// entry is one event of the raw log.
type entry struct {
	raw        []byte // as received
	distinctID []byte // as derived
	insertID   []byte // as received or, without strict, made up
	millis     int64
	received   int64 // epoch milliseconds
	key        [16]byte
}

// place is what the log holds of one deduplication key.
type place struct {
	last   int // its latest entry
	copies int
}

// events is what /import has stored: a raw log with its deduplicated view, or
// keys alone.
type events struct {
	raw  int // stored, copies included
	keys *keySet

	log   []entry
	index map[[16]byte]place

	links     map[string]string // device id to the id it was first linked to
	conflicts int               // later links of a device to somebody else
}

func newEvents(keysOnly bool) *events {
	if keysOnly {
		return &events{keys: &keySet{}}
	}
	return &events{index: map[[16]byte]place{}, links: map[string]string{}}
}

// unique is the number of deduplicated events.
func (s *events) unique() int {
	if s.keys != nil {
		return s.keys.n
	}
	return len(s.index)
}

// add stores the records of one request and returns how many had been stored before.
func (s *events) add(records []record, received int64) (again int) {
	s.raw += len(records)
	if s.keys != nil {
		for i := range records {
			if !s.keys.add(records[i].key, records[i].insertID) {
				again++
			}
		}
		return again
	}
	size := 0
	for i := range records {
		size += len(records[i].raw) + len(records[i].who.id) + len(records[i].insertID)
	}
	slab := make([]byte, 0, size) // one allocation a request, of just the size needed
	keep := func(b []byte) []byte {
		start := len(slab)
		slab = append(slab, b...)
		return slab[start:len(slab):len(slab)]
	}
	for i := range records {
		r := &records[i]
		p := s.index[r.key]
		if p.copies > 0 {
			again++
		}
		s.index[r.key] = place{last: len(s.log), copies: p.copies + 1}
		s.log = append(s.log, entry{
			raw: keep(r.raw), distinctID: keep(r.who.id), insertID: keep(r.insertID),
			millis: r.millis, received: received, key: r.key,
		})
		if r.who.links {
			s.link(string(r.who.device), string(r.who.id))
		}
	}
	return again
}

// link notes that a device is somebody; the first to claim a device keeps it.
func (s *events) link(device, id string) {
	switch first, known := s.links[device]; {
	case !known:
		s.links[device] = id
	case first != id:
		s.conflicts++
	}
}
