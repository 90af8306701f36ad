package runner

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"github.com/mixsync/mixsync/connectors/mixpanel"
	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/mapping"
	"github.com/mixsync/mixsync/sync/checkpoint"
	"github.com/mixsync/mixsync/sync/pipeline"
)

// memory is what the state knows of rows that were sent before.
type memory interface {
	Ledger(ctx context.Context, targetID int64, keys []uint64, into map[uint64]checkpoint.Entry) error
	Hashes(ctx context.Context, targetID int64, keys []uint64, into map[uint64]uint64) error
}

// encoder decides what becomes of each row: record, reject, or nothing because
// the same was sent before.
type encoder struct {
	plan    *mapping.Plan
	sync    *Sync
	target  *checkpoint.Target
	run     *checkpoint.Run
	memory  memory
	judge   *judge
	unsaved *unsaved
	live    *Live

	cursor int // index of the cursor column, -1 without one

	// Ledger. Rows at or beyond zone are remembered; rows at or before high may
	// be known from before, and are skipped if so unless skip is off (resync).
	ledger bool
	zone   int64
	high   int64
	skip   bool

	// Hashes of full and mirror modes.
	hashes bool
	touch  bool // a mirror that deletes must know which rows it has seen
	idents bool // and what to delete them by, which is not known of all yet

	open map[uint64]struct{} // keys with an open reject

	// Profiles of which this attempt has sent a row older than the one last
	// sent: that one must follow again, or the profile would end as the older.
	overtaken map[uint64]struct{}

	final    bool             // no other slice is left: shares of few rows can be judged
	furthest warehouse.Cursor // the greatest one so far, where rows come in no order

	batch *warehouse.Batch
	note  *note
	last  *warehouse.Position // of the batch before
	keys  []uint64
	known map[uint64]checkpoint.Entry
	sent  map[uint64]uint64
	free  chan *note
	news  []byte // scratch: what tells one reject from another
	out   mapping.Row
	twins []int // of the batch, those still to come
	ranks []int // of the batch's twins: how many rows of the same place came before
}

func (e *encoder) Open(ctx context.Context, b *warehouse.Batch) (pipeline.Note, error) {
	var n *note
	select {
	case n = <-e.free:
		n.reset()
	default:
		n = &note{enc: e}
	}
	e.unsaved.add(n)
	n.rows = int64(b.Len())
	n.before = e.last
	if b.Position != nil {
		e.last = b.Position
	}
	e.batch, e.note, e.twins = b, n, b.Twins
	e.rank()
	e.judge.rows.Add(n.rows)
	if e.cursor >= 0 {
		col := &b.Cols[e.cursor]
		e.live.reach(col.Int[0], col.Int[b.Len()-1])
		e.reach(col)
	}
	e.plan.SetHashes(e.needsHashes())
	if err := e.recall(ctx); err != nil {
		return nil, err
	}
	return n, e.judge.verdict(false)
}

// reach notes the greatest cursor of the batch: its last one where rows come in
// order.
func (e *encoder) reach(col *warehouse.Column) {
	last := warehouse.CursorAt(col, e.batch.Len()-1)
	if e.batch.Position == nil {
		for row := range e.batch.Len() {
			if c := warehouse.CursorAt(col, row); last.Before(c) {
				last = c
			}
		}
		if last.Before(e.furthest) {
			last = e.furthest
		}
		e.furthest = last
	}
	text := last.Text(col.Kind)
	e.note.reached = &text
}

// needsHashes reports whether anything will be looked up or remembered of the
// batch's rows.
func (e *encoder) needsHashes() bool {
	if !e.ledger || e.cursor < 0 || len(e.open) > 0 {
		return true
	}
	return slices.ContainsFunc(e.batch.Cols[e.cursor].Int, func(at int64) bool { return at >= e.zone || at <= e.high })
}

// recall looks up what is known of the batch's rows, all at once.
func (e *encoder) recall(ctx context.Context) error {
	e.keys = e.keys[:0]
	switch {
	case e.ledger && e.cursor >= 0:
		clear(e.known)
		col := &e.batch.Cols[e.cursor]
		for row := range e.batch.Len() {
			if col.Int[row] <= e.high {
				e.keys = append(e.keys, e.rowKey(row))
			}
		}
		if len(e.keys) > 0 {
			return e.memory.Ledger(ctx, e.target.ID, e.keys, e.known)
		}
	case e.hashes:
		clear(e.sent)
		for row := range e.batch.Len() {
			e.keys = append(e.keys, e.rowKey(row))
		}
		return e.memory.Hashes(ctx, e.target.ID, e.keys, e.sent)
	}
	return nil
}

// rank counts the twins of each place, across batches.
func (e *encoder) rank() {
	e.ranks = e.ranks[:0]
	for i, row := range e.batch.Twins {
		rank := 1
		switch {
		case row == 0 && e.note.before != nil:
			rank = e.note.before.Seen
		case i > 0 && e.batch.Twins[i-1] == row-1:
			rank = e.ranks[i-1] + 1
		}
		e.ranks = append(e.ranks, rank)
	}
}

// rowKey is the row's key in ledger and hashes. Rows without a usable key of
// their own must be known again without standing in for another row: one with a
// NULL goes by its whole content, a twin by the key and how many came before it,
// since the warehouse may return twins in another order each time.
func (e *encoder) rowKey(row int) uint64 {
	if i, twin := slices.BinarySearch(e.batch.Twins, row); twin {
		text := binary.BigEndian.AppendUint64([]byte("twin\x00"), e.plan.KeyHash(e.batch, row))
		sum := sha256.Sum256(binary.BigEndian.AppendUint64(text, uint64(e.ranks[i])))
		return binary.BigEndian.Uint64(sum[:])
	}
	if e.plan.KeyHasNull(e.batch, row) {
		return e.contentHash(row)
	}
	return e.plan.KeyHash(e.batch, row)
}

func (e *encoder) contentHash(row int) uint64 {
	sum := sha256.Sum256(e.plan.Payload(e.batch, row, []byte("content\x00")))
	return binary.BigEndian.Uint64(sum[:])
}

func (e *encoder) Append(dst []byte, row int, rec *pipeline.Record) ([]byte, error) {
	n := e.note
	twin := len(e.twins) > 0 && e.twins[0] == row
	if twin {
		e.twins = e.twins[1:]
		e.reject(row, &mapping.Reject{Code: mapping.CodeDuplicateKey,
			Message: "another row has the same cursor and primary key; make the primary key unique"})
		return dst, nil
	}
	mark := len(dst)
	dst, bad := e.plan.Append(dst, e.batch, row, &e.out)
	if bad != nil {
		e.reject(row, bad)
		return dst, nil
	}
	if e.out.Hold {
		e.hold(row)
		n.skipKey()
		return dst[:mark], nil
	}
	_, open := e.open[e.out.Key]
	if !e.remember(row, e.out.Key, e.out.Sent, false) {
		if was, known := e.known[e.out.Key]; open && known && !was.Filed { // another process filed it as it had been before
			n.resolved = append(n.resolved, e.out.Key)
		}
		n.unchanged++
		n.skipKey()
		return dst[:mark], nil
	}
	if open {
		n.resolved = append(n.resolved, e.out.Key)
	}
	n.sent++
	n.keys = e.plan.Key(e.batch, row, n.keys)
	if e.out.Key == 0 {
		n.texts = e.plan.KeyText(e.batch, row, n.texts)
	}
	n.endKey(e.out.Key)
	rec.Send, rec.Lane, rec.More = true, e.out.Lane, e.out.More
	return dst, nil
}

func (n *note) endKey(hash uint64) {
	n.ends = append(n.ends, int32(len(n.keys)))
	n.textEnds = append(n.textEnds, int32(len(n.texts)))
	n.hash = append(n.hash, hash)
}

func (n *note) skipKey() { n.endKey(0) }

// remember notes what is about to become of a row and reports whether that is
// news: false when the same was sent or filed before.
func (e *encoder) remember(row int, key, hash uint64, filed bool) bool {
	n := e.note
	switch {
	case e.ledger && e.cursor >= 0:
		col := &e.batch.Cols[e.cursor]
		at := col.Int[row]
		if col.Sub != nil {
			hash += uint64(col.Sub[row]) // the ledger's cursor holds microseconds
		}
		if at <= e.high {
			if was, ok := e.known[key]; ok {
				_, again := e.overtaken[key]
				same := was.Hash == hash || !was.Filed && e.leads(row)
				if e.skip && was.Cursor == at && same && !again {
					return false
				}
				if e.skip && was.Cursor > at && e.sync.Spec.Type != mapping.Event {
					e.overtaken[key] = struct{}{}
				}
				if was.Hash != hash && !was.Filed && !filed && e.sync.Spec.Type == mapping.Event {
					n.restated++
					e.judge.restated.Add(1)
				}
			}
		}
		if at >= e.zone {
			n.ledger = append(n.ledger, checkpoint.Entry{Key: key, Cursor: at, Hash: hash, Filed: filed})
		}
	case e.hashes && !filed:
		if was, ok := e.sent[key]; ok && was == hash {
			switch {
			case e.idents:
				n.hashes = append(n.hashes, e.hashEntry(row, key, hash))
			case e.touch:
				n.seen = append(n.seen, key)
			}
			return false
		}
		n.hashes = append(n.hashes, e.hashEntry(row, key, hash))
	}
	return true
}

// leads reports whether the next row of the batch is a twin of this one. Which
// of twins comes first may change from read to read: then another row than the
// one that was sent leads, which is no news.
func (e *encoder) leads(row int) bool { return len(e.twins) > 0 && e.twins[0] == row+1 }

func (e *encoder) hashEntry(row int, key, hash uint64) checkpoint.HashEntry {
	h := checkpoint.HashEntry{Key: key, Hash: hash}
	if e.touch {
		h.Ident = e.plan.Ident(e.batch, row)
	}
	return h
}

// maxPayloadValue is how much of one value a reject keeps, in bytes. It is far
// more than Mixpanel takes of one.
const maxPayloadValue = 16 << 10

// reject files a row that cannot become a record, once: filed again unchanged
// it is no news.
func (e *encoder) reject(row int, bad *mapping.Reject) {
	n := e.note
	defer n.skipKey()
	if bad.Ahead {
		n.waiting++ // also when it is filed already
	}
	e.news = append(append(e.news[:0], bad.Code...), 0)
	if bad.Code != mapping.CodeDuplicateKey { // which of the twins it is does not matter
		e.news = e.plan.Payload(e.batch, row, e.news)
	}
	sum := sha256.Sum256(e.news)
	key := e.rowKey(row)
	if e.touch {
		n.seen = append(n.seen, key) // it is there: its profile is not to be deleted
	}
	if !e.remember(row, key, binary.BigEndian.Uint64(sum[:]), true) {
		n.unchanged++
		return
	}
	var payload []byte
	if !e.sync.KeysOnly {
		payload = e.plan.Excerpt(e.batch, row, nil, maxPayloadValue)
	}
	x := e.filed(e.plan.Key(e.batch, row, nil), key, bad.Code, bad.Field, bad.Message, payload)
	n.rejects = append(n.rejects, x)
	if e.open == nil {
		e.open = map[uint64]struct{}{}
	}
	if len(e.open) < maxOpenRejects {
		e.open[key] = struct{}{} // the row may come again, mended, before the run is over
	}
	e.judge.reject(bad.Code)
}

func refusalCode(why mixpanel.Refusal) string {
	if why.TooLarge {
		return mapping.CodeTooLarge
	}
	return mapping.CodeRefused
}

// payloadOf copies what is to be kept of a record that was refused.
func (e *encoder) payloadOf(record []byte) []byte {
	switch {
	case e.sync.KeysOnly:
		return nil
	case e.sync.Spec.Token != "": // profile records carry it
		return bytes.ReplaceAll(record, []byte(e.sync.Spec.Token), []byte("***"))
	}
	return bytes.Clone(record)
}

func (e *encoder) refusal(key []byte, hash uint64, r refused) checkpoint.Reject {
	return e.filed(key, hash, refusalCode(r.why), r.why.Field, r.why.Message, r.record)
}

func (e *encoder) filed(key []byte, hash uint64, code, field, message string, payload []byte) checkpoint.Reject {
	h := sha256.New()
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(e.target.ID)))
	h.Write(binary.BigEndian.AppendUint64(nil, hash))
	h.Write([]byte(code))
	x := checkpoint.Reject{
		ID:       hex.EncodeToString(h.Sum(nil)[:8]),
		TargetID: e.target.ID, Sync: e.sync.Name, Project: e.sync.Project,
		Key: json.RawMessage(key), KeyHash: hash, Code: code, Field: field, Message: message,
		RunID: e.run.ID, FirstSeen: time.Now().UTC(), Attempts: 1,
	}
	if !e.sync.KeysOnly {
		x.Payload = json.RawMessage(payload)
	}
	return x
}

// hold notes the greatest cursor below that of the batch's first row that is not
// due: the mark may go no further. Where it is not known, because rows come in
// no order or the cursor has not changed since the batch before, it is the start.
func (e *encoder) hold(row int) {
	n := e.note
	n.held++
	if e.cursor < 0 || n.hold != nil {
		return
	}
	n.hold = &warehouse.Position{}
	if e.batch.Position == nil {
		return
	}
	col := &e.batch.Cols[e.cursor]
	at := warehouse.CursorAt(col, row)
	for i := row - 1; i >= 0; i-- {
		if c := warehouse.CursorAt(col, i); c != at {
			text := c.Text(col.Kind)
			n.hold.Cursor = &text
			return
		}
	}
	if n.before != nil && n.before.Cursor != nil && *n.before.Cursor != at.Text(col.Kind) {
		n.hold.Cursor = n.before.Cursor
	}
}

func (e *encoder) AppendMore(dst []byte, row int) []byte {
	return e.plan.AppendMore(dst, e.batch, row)
}

// Close judges the whole before the last payloads leave.
func (e *encoder) Close() error { return e.judge.verdict(e.final) }
