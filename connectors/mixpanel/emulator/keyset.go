package emulator

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// keySet is a set of deduplication keys that remembers one id (an $insert_id,
// or a profile's composite id) with each. A key is a 16-byte hash; of it, one
// byte picks a shard, eight are stored beside the id and compared together with
// it, so that two keys fall together only if their ids are equal too.
//
// Entries take 9 bytes and the id, which is packed: 16 bytes for 32 hex digits
// or a UUID, half a byte for each digit of a number. Tables grow one shard at a
// time, so growing never needs twice the memory. Entries never move: a view
// taken once stays readable while the set grows.
type keySet struct {
	shards  [256]keyShard
	n       int
	scratch []byte
}

type keyShard struct {
	slots  []uint32 // offset of an entry plus one; 0 is free
	n      int
	chunks [][]byte // entries, none across two chunks
}

const (
	chunkBits = 12 // small, so that 256 half-empty ones are nothing
	chunkSize = 1 << chunkBits
)

// add puts a key with its id into the set, unless it is there. Ids are at most
// a few hundred bytes.
func (k *keySet) add(key [16]byte, id []byte) (added bool) {
	k.scratch = appendPacked(append(k.scratch[:0], key[1:9]...), id)
	sh := &k.shards[key[0]]
	if 4*(sh.n+1) > 3*len(sh.slots) {
		sh.grow()
	}
	mask := uint64(len(sh.slots) - 1)
	at := binary.LittleEndian.Uint64(key[1:9]) & mask
	for ; sh.slots[at] != 0; at = (at + 1) & mask {
		if bytes.HasPrefix(sh.entry(sh.slots[at]-1), k.scratch) {
			return false
		}
	}
	sh.slots[at] = sh.push(k.scratch) + 1
	sh.n++
	k.n++
	return true
}

// count is how many keys have the given id.
func (k *keySet) count(id []byte) (n int) {
	packed := appendPacked(nil, id)
	for i := range k.shards {
		sh := &k.shards[i]
		for _, slot := range sh.slots {
			if slot != 0 && bytes.HasPrefix(sh.entry(slot - 1)[8:], packed) {
				n++
			}
		}
	}
	return n
}

func (sh *keyShard) entry(at uint32) []byte { return sh.chunks[at>>chunkBits][at&(chunkSize-1):] }

func (sh *keyShard) push(entry []byte) (at uint32) {
	last := len(sh.chunks) - 1
	if last < 0 || len(sh.chunks[last])+len(entry) > chunkSize {
		sh.chunks = append(sh.chunks, make([]byte, 0, chunkSize))
		last++
	}
	at = uint32(last)<<chunkBits | uint32(len(sh.chunks[last]))
	sh.chunks[last] = append(sh.chunks[last], entry...)
	return at
}

func (sh *keyShard) grow() {
	old := sh.slots
	sh.slots = make([]uint32, max(64, 2*len(old)))
	mask := uint64(len(sh.slots) - 1)
	for _, slot := range old {
		if slot == 0 {
			continue
		}
		at := binary.LittleEndian.Uint64(sh.entry(slot-1)) & mask
		for sh.slots[at] != 0 {
			at = (at + 1) & mask
		}
		sh.slots[at] = slot
	}
}

// keyView is the contents of a keySet at one moment. It is safe to read while
// the set grows.
type keyView struct {
	chunks [256][][]byte
	refs   []keyRef
}

type keyRef struct {
	offset uint32
	shard  uint8
}

// view copies the places of all entries, not the entries.
func (k *keySet) view() *keyView {
	v := &keyView{refs: make([]keyRef, 0, k.n)}
	for i := range k.shards {
		sh := &k.shards[i]
		v.chunks[i] = slices.Clone(sh.chunks)
		for _, slot := range sh.slots {
			if slot != 0 {
				v.refs = append(v.refs, keyRef{slot - 1, uint8(i)})
			}
		}
	}
	return v
}

// append appends the id of one entry to dst.
func (v *keyView) append(dst []byte, ref keyRef) []byte {
	chunk := v.chunks[ref.shard][ref.offset>>chunkBits]
	return appendUnpacked(dst, chunk[ref.offset&(chunkSize-1)+8:])
}

// sort brings the entries into the order of their ids.
func (v *keyView) sort() {
	var a, b []byte
	slices.SortFunc(v.refs, func(x, y keyRef) int {
		a, b = v.append(a[:0], x), v.append(b[:0], y)
		return bytes.Compare(a, b)
	})
}

// The first byte of a packed id is its form and, below 64, its length in
// characters; 63 says that the length follows as a varint.
const (
	formRaw  = 0 << 6
	formHex  = 1 << 6 // lower-case hex digits, two in a byte
	formUUID = 2 << 6 // the same with hyphens at their four places
	longText = 63
)

func appendPacked(dst, id []byte) []byte {
	if len(id) >= longText {
		dst = append(dst, formRaw|longText)
		return append(binary.AppendUvarint(dst, uint64(len(id))), id...)
	}
	form := byte(formHex)
	if isUUID := len(id) == 36 && id[8] == '-' && id[13] == '-' && id[18] == '-' && id[23] == '-'; isUUID {
		form = formUUID
	}
	for i, c := range id {
		if hexValue(c) < 0 && (form != formUUID || !isHyphen(i)) {
			return append(append(dst, formRaw|byte(len(id))), id...)
		}
	}
	dst = append(dst, form|byte(len(id)))
	half := -1
	for i, c := range id {
		switch d := hexValue(c); {
		case form == formUUID && isHyphen(i):
		case half < 0:
			half = d
		default:
			dst = append(dst, byte(half<<4|d))
			half = -1
		}
	}
	if half >= 0 {
		dst = append(dst, byte(half<<4))
	}
	return dst
}

func appendUnpacked(dst, packed []byte) []byte {
	form, n := packed[0]&^longText, int(packed[0]&longText)
	packed = packed[1:]
	if form == formRaw {
		if n == longText {
			long, size := binary.Uvarint(packed)
			packed, n = packed[size:], int(long)
		}
		return append(dst, packed[:n]...)
	}
	digit := 0
	for i := range n {
		if form == formUUID && isHyphen(i) {
			dst = append(dst, '-')
			continue
		}
		b := packed[digit/2]
		if digit%2 == 0 {
			b >>= 4
		}
		dst = append(dst, "0123456789abcdef"[b&15])
		digit++
	}
	return dst
}

func isHyphen(i int) bool { return i == 8 || i == 13 || i == 18 || i == 23 }

// hexValues holds the value of each lower-case hex digit, -1 for other bytes.
var hexValues = func() (t [256]int8) {
	for c := range t {
		t[c] = -1
	}
	for i, c := range []byte("0123456789abcdef") {
		t[c] = int8(i)
	}
	return t
}()

func hexValue(c byte) int { return int(hexValues[c]) }
