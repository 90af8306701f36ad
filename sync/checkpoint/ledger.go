package checkpoint

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
)

// The ledger of a target is a short list of segments, newest first in effect:
// what a newer segment says of a key hides what older ones say. A Save adds one
// segment; as soon as the segment before it is less than twice its size, the
// two become one, so that sizes fall at least by half from old to new and every
// entry is rewritten a handful of times at most.
//
// Rows of a table, one for each entry, were tried first: their keys are random,
// so every Save dirtied nearly every page of the table, ten times the cost.

// segmentInfo is a ledger row without its entries.
type segmentInfo struct {
	seq, entries, filed, cursorMax int64
}

// listSegments lists a target's segments, newest first, and the cursor from
// which on entries count.
func listSegments(ctx context.Context, db querier, target int64) (list []segmentInfo, floor int64, err error) {
	floor = math.MinInt64
	err = each(ctx, db, `SELECT l.seq, l.entries, l.filed, l.cursor_max, t.ledger_from
		FROM ledger l JOIN targets t ON t.id = l.target_id WHERE l.target_id = ? ORDER BY l.seq DESC`,
		[]any{target}, func(rows *sql.Rows) error {
			var i segmentInfo
			var from sql.NullInt64
			err := rows.Scan(&i.seq, &i.entries, &i.filed, &i.cursorMax, &from)
			if from.Valid {
				floor = from.Int64
			}
			list = append(list, i)
			return err
		})
	return list, floor, err
}

// segment reads one segment. What a transaction reads is not kept: it may yet
// be rolled back, and its number be given to another.
func (s *Store) segment(ctx context.Context, db querier, target int64, i segmentInfo) (segment, error) {
	if seg := s.segments.find(target, i.seq); seg != nil {
		return seg, nil
	}
	var seg segment
	err := db.QueryRowContext(ctx, `SELECT packed FROM ledger WHERE target_id = ? AND seq = ?`, target, i.seq).Scan((*[]byte)(&seg))
	if err != nil {
		return nil, err
	}
	if len(seg) != int(i.entries)*entrySize {
		return nil, &Error{Kind: KindCorrupt, Path: s.name(), Hint: hints[KindCorrupt], Err: errSegment}
	}
	if _, inside := db.(*tx); !inside {
		s.segments.keep(target, i.seq, seg)
	}
	return seg, nil
}

// Ledger looks keys up and adds what it finds to into.
func (s *Store) Ledger(ctx context.Context, targetID int64, keys []uint64, into map[uint64]Entry) error {
	err := s.lookUp(ctx, targetID, keys, into)
	return s.fail("read ledger", err)
}

func (s *Store) lookUp(ctx context.Context, target int64, keys []uint64, into map[uint64]Entry) error {
	list, floor, err := listSegments(ctx, s.r, target)
	if err != nil || len(list) == 0 {
		return err
	}
	s.segments.retain(target, list)
	left := slices.Clone(keys)
	slices.Sort(left)
	left = slices.Compact(left)
	for _, i := range list {
		seg, err := s.segment(ctx, s.r, target, i)
		if err != nil {
			return err
		}
		at, missed := 0, left[:0]
		for _, k := range left {
			at = seg.seek(at, k)
			if at == seg.len() || seg.key(at) != k {
				missed = append(missed, k)
				continue
			}
			if it := seg.item(at); it.filed != forgotten && it.cursor >= floor {
				into[k] = Entry{Key: k, Cursor: it.cursor, Hash: it.hash, Filed: it.filed != 0}
			}
		}
		left = missed
	}
	return nil
}

// LedgerHigh returns the greatest cursor in a target's ledger and how many
// entries it has; ok is false when it has none. Both may be too great, never
// too small, because entries that were replaced count until they are merged.
func (s *Store) LedgerHigh(ctx context.Context, targetID int64) (high, n int64, ok bool, err error) {
	list, floor, err := listSegments(ctx, s.r, targetID)
	if err != nil {
		return 0, 0, false, s.fail("read ledger", err)
	}
	high = math.MinInt64
	for _, i := range list {
		n += i.entries
		high = max(high, i.cursorMax)
	}
	if len(list) == 0 || high < floor {
		return 0, 0, false, nil
	}
	return high, n, true, nil
}

// addLedger adds entries, which replace those of the same keys.
func (s *Store) addLedger(ctx context.Context, tx *tx, target int64, items []item) error {
	if len(items) == 0 {
		return nil
	}
	list, _, err := listSegments(ctx, tx, target)
	if err != nil {
		return err
	}
	items = sortItems(items)
	for _, older := range list {
		if int(older.entries) >= 2*len(items) || int(older.entries)+len(items) > maxSegment {
			break
		}
		seg, err := s.segment(ctx, tx, target, older)
		if err != nil {
			return err
		}
		items = merge(seg, items)
		if err := deleteSegment(ctx, tx, target, older.seq); err != nil {
			return err
		}
	}
	// A Save may be larger than a segment should be.
	for portion := range slices.Chunk(items, maxSegment) {
		if err := insertSegment(ctx, tx, target, portion); err != nil {
			return err
		}
	}
	return nil
}

func insertSegment(ctx context.Context, tx *tx, target int64, items []item) error {
	i := segmentInfo{entries: int64(len(items)), cursorMax: math.MinInt64}
	for _, it := range items {
		if it.filed == forgotten {
			continue
		}
		i.filed = max(i.filed, int64(it.filed))
		i.cursorMax = max(i.cursorMax, it.cursor)
	}
	err := tx.QueryRowContext(ctx, `UPDATE targets SET ledger_seq = ledger_seq + 1 WHERE id = ? RETURNING ledger_seq`, target).Scan(&i.seq)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO ledger (target_id, seq, entries, filed, cursor_max, packed) VALUES (?, ?, ?, ?, ?, ?)`,
		target, i.seq, i.entries, i.filed, i.cursorMax, []byte(pack(items)))
	return err
}

func deleteSegment(ctx context.Context, tx *tx, target, seq int64) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM ledger WHERE target_id = ? AND seq = ?`, target, seq)
	return err
}

// pruneLedger declares the ledger complete from a cursor on. Entries below it
// are no longer found. Their space is given back from the oldest segment on,
// which alone hides nothing, once all of it is below: where cursors grow with
// time, a ledger takes at most about four times the space of what is found in it.
func (s *Store) pruneLedger(ctx context.Context, tx *tx, target, from int64) error {
	if _, err := tx.ExecContext(ctx, `UPDATE targets SET ledger_from = ? WHERE id = ?`, from, target); err != nil {
		return err
	}
	list, _, err := listSegments(ctx, tx, target)
	if err != nil {
		return err
	}
	for _, oldest := range slices.Backward(list) {
		if oldest.cursorMax >= from {
			break
		}
		if err := deleteSegment(ctx, tx, target, oldest.seq); err != nil {
			return err
		}
	}
	return nil
}

// forgetFiled forgets the entries of rows that a run filed.
func (s *Store) forgetFiled(ctx context.Context, tx *tx, target, run int64) error {
	list, _, err := listSegments(ctx, tx, target)
	if err != nil {
		return err
	}
	var newer []segment
	var gone []item
	for _, i := range list {
		seg, err := s.segment(ctx, tx, target, i)
		if err != nil {
			return err
		}
		for n := range seg.len() {
			it := seg.item(n)
			hidden := func(by segment) bool {
				at := by.seek(0, it.key)
				return at < by.len() && by.key(at) == it.key
			}
			if int64(it.filed) == run && !slices.ContainsFunc(newer, hidden) {
				gone = append(gone, item{key: it.key, filed: forgotten})
			}
		}
		newer = append(newer, seg)
	}
	return s.addLedger(ctx, tx, target, gone)
}

// itemsOf prepares a Save's entries for a run.
func itemsOf(entries []Entry, run int64) ([]item, error) {
	if run <= 0 || run >= forgotten {
		return nil, fmt.Errorf("run number %d is out of range", run)
	}
	items := make([]item, len(entries))
	for i, e := range entries {
		items[i] = item{key: e.Key, cursor: e.Cursor, hash: e.Hash}
		if e.Filed {
			items[i].filed = uint32(run)
		}
	}
	return items, nil
}
