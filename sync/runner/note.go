package runner

import (
	"bytes"
	"slices"
	"sync"

	"github.com/mixsync/mixsync/connectors/mixpanel"
	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/mapping"
	"github.com/mixsync/mixsync/sync/checkpoint"
)

// note is what is to be remembered of one batch once its rows are settled. The
// encoder fills it while senders add refusals of the batch's first rows: they
// touch nothing but refused. The journal reads it when nobody else holds it any
// more, and gives its memory back to the encoder.
type note struct {
	enc    *encoder
	before *warehouse.Position // the place before the batch; empty: the start of the window

	rows, sent, unchanged, held, restated, waiting int64

	hold    *warehouse.Position // as checkpoint.Slice.Held; nil: no row is held
	reached *string             // the greatest cursor of the batch

	ledger   []checkpoint.Entry
	hashes   []checkpoint.HashEntry
	rejects  []checkpoint.Reject // of the encoder; settle adds those of Mixpanel
	resolved []uint64            // accepted rows that had an open reject
	seen     []uint64            // rows with no hash to keep, where a mirror must know that they are there

	// Keys of the rows that were sent, as JSON, so that a refusal can name its
	// row after the batch is gone. Row i's is keys[ends[i-1]:ends[i]]. Its hash
	// is 0 where it was not needed; then the text to make it of is at
	// texts[textEnds[i-1]:textEnds[i]].
	keys     []byte
	ends     []int32
	hash     []uint64
	texts    []byte
	textEnds []int32

	mu      sync.Mutex
	refused []refused
}

// refused is a row whose record Mixpanel did not store.
type refused struct {
	row    int
	record []byte
	why    mixpanel.Refusal
}

func (n *note) reset() {
	*n = note{
		enc: n.enc, ledger: n.ledger[:0], hashes: n.hashes[:0], resolved: n.resolved[:0], seen: n.seen[:0],
		keys: n.keys[:0], ends: n.ends[:0], hash: n.hash[:0], texts: n.texts[:0], textEnds: n.textEnds[:0],
	}
}

func (n *note) key(row int) []byte { return cut(n.keys, n.ends, row) }

func (n *note) keyHash(row int) uint64 {
	if n.hash[row] != 0 {
		return n.hash[row]
	}
	return mapping.HashKeyText(cut(n.texts, n.textEnds, row))
}

func cut(b []byte, ends []int32, i int) []byte {
	start := int32(0)
	if i > 0 {
		start = ends[i-1]
	}
	return b[start:ends[i]]
}

// Refuse notes the record that Mixpanel did not store. A row with two records
// is one reject.
func (n *note) Refuse(row int, record []byte, why mixpanel.Refusal) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if slices.ContainsFunc(n.refused, func(r refused) bool { return r.row == row }) {
		return
	}
	n.refused = append(n.refused, refused{row, n.enc.payloadOf(record), why})
	n.enc.judge.reject(refusalCode(why))
}

// settle turns refusals into rejects and what else is to be remembered of them.
func (n *note) settle() {
	if len(n.refused) == 0 {
		return
	}
	gone := make(map[uint64]bool, len(n.refused))
	for _, r := range n.refused {
		key := n.keyHash(r.row)
		gone[key] = true
		n.rejects = append(n.rejects, n.enc.refusal(bytes.Clone(n.key(r.row)), key, r))
		if n.enc.touch {
			n.seen = append(n.seen, key)
		}
	}
	for i := range n.ledger {
		if gone[n.ledger[i].Key] {
			n.ledger[i].Filed = true
		}
	}
	n.hashes = slices.DeleteFunc(n.hashes, func(h checkpoint.HashEntry) bool { return gone[h.Key] })
	n.resolved = slices.DeleteFunc(n.resolved, func(k uint64) bool { return gone[k] })
}

func (n *note) counts() checkpoint.Counts {
	c := checkpoint.Counts{
		Rows: n.rows, Sent: n.sent, Accepted: n.sent - int64(len(n.refused)), Rejected: int64(len(n.rejects)),
		Held: n.held, Unchanged: n.unchanged, Restated: n.restated, Waiting: n.waiting,
	}
	for i := range n.rejects {
		if c.RejectCounts == nil {
			c.RejectCounts = map[string]int64{}
		}
		c.RejectCounts[n.rejects[i].Code]++
	}
	return c
}

// unsaved is the notes between encoder and journal, so that a run that is
// stopped for its rejects can still show them. The pipeline bounds how many.
type unsaved struct {
	mu    sync.Mutex
	notes []*note
}

func (u *unsaved) add(n *note) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.notes = append(u.notes, n)
}

func (u *unsaved) remove(n *note) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.notes = slices.DeleteFunc(u.notes, func(x *note) bool { return x == n })
}

// rejects lists the rejects of the notes that are left, up to a limit. It is
// for the time after the pipeline.
func (u *unsaved) rejects(limit int) []checkpoint.Reject {
	u.mu.Lock()
	defer u.mu.Unlock()
	var list []checkpoint.Reject
	for _, n := range u.notes {
		n.settle()
		list = append(list, n.rejects[:min(len(n.rejects), limit-len(list))]...)
	}
	return list
}
