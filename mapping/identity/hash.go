package identity

import (
	"crypto/sha256"
	"crypto/subtle"
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

// KeyDigest is the SHA-256 of the key of a row. Two things are made of it, from
// different bits, so that a row costs one hash: what the state knows the row by,
// and its $insert_id.
type KeyDigest [sha256.Size]byte

// DigestKey hashes a key, which is an encoding made by AppendPart.
func DigestKey(key []byte) KeyDigest { return sha256.Sum256(key) }

// Hash returns 64 bits of the digest, the same as Hash of the key.
func (d *KeyDigest) Hash() uint64 { return binary.BigEndian.Uint64(d[:8]) }

// Namespace keeps the insert ids of syncs apart whose keys are alike.
type Namespace [insertIDSize]byte

const insertIDSize = 16

// NewNamespace returns the namespace of a name.
func NewNamespace(name string) Namespace {
	in := AppendPart([]byte("mixsync/namespace/1"), []byte(name))
	sum := sha256.Sum256(in)
	return Namespace(sum[:insertIDSize])
}

// AppendInsertID appends the $insert_id of a key in a namespace: 128 bits of the
// key's SHA-256 xored with 128 of the namespace's, in hex. As either is uniform,
// two pairs of key and namespace meet as seldom as two hashes do.
func (n *Namespace) AppendInsertID(dst []byte, d *KeyDigest) []byte {
	var id [insertIDSize]byte
	subtle.XORBytes(id[:], d[8:8+insertIDSize], n[:])
	return hex.AppendEncode(dst, id[:])
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

// AppendInsertIDOf appends the $insert_id for a value that was given for it:
// the value itself if it is legal, else 128 bits of its SHA-256 in hex.
func AppendInsertIDOf(dst, value []byte) []byte {
	if LegalInsertID(value) {
		return append(dst, value...)
	}
	sum := sha256.Sum256(value)
	return hex.AppendEncode(dst, sum[:insertIDSize])
}
