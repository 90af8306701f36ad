package identity

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// AppendPart appends a value to an encoding of several such that different
// lists of values never have the same encoding: its length plus one, then it.
func AppendPart(dst, value []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(value))+1)
	return append(dst, value...)
}

// AppendNull appends a NULL to an encoding made by AppendPart; it differs from
// every value.
func AppendNull(dst []byte) []byte { return append(dst, 0) }

// Hash returns the first 64 bits of the SHA-256 of b.
func Hash(b []byte) uint64 {
	sum := sha256.Sum256(b)
	return binary.BigEndian.Uint64(sum[:8])
}

// MaxInsertID is the greatest length of an $insert_id in bytes.
const MaxInsertID = 36

// LegalInsertID reports whether Mixpanel takes a value as $insert_id.
func LegalInsertID(id []byte) bool {
	if len(id) == 0 || len(id) > MaxInsertID {
		return false
	}
	for _, c := range id {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '-':
		default:
			return false
		}
	}
	return !IsJunk(id)
}

// Domains keep the hashes of different inputs apart.
var (
	keyDomain    = []byte("insert-id/key/1")
	columnDomain = []byte("insert-id/column/1")
)

// AppendInsertID appends an $insert_id made from a namespace and the key of a
// row: 128 bits of SHA-256 in hex. key is an encoding made by AppendPart.
func AppendInsertID(dst []byte, namespace string, key []byte) []byte {
	var room [256]byte
	in := AppendPart(room[:0], keyDomain)
	in = binary.AppendUvarint(in, uint64(len(namespace))+1)
	in = append(in, namespace...)
	in = append(in, key...)
	return appendHash(dst, in)
}

// AppendInsertIDOf appends the $insert_id for a value that was given for it:
// the value itself if it is legal, else 128 bits of its SHA-256 in hex.
func AppendInsertIDOf(dst, value []byte) []byte {
	if LegalInsertID(value) {
		return append(dst, value...)
	}
	var room [256]byte
	in := AppendPart(room[:0], columnDomain)
	return appendHash(dst, AppendPart(in, value))
}

func appendHash(dst, in []byte) []byte {
	sum := sha256.Sum256(in)
	return hex.AppendEncode(dst, sum[:16])
}
