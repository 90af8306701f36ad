package checkpoint

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
)

// Row hashes say what was last sent, or filed, for each row of a sync that
// reads its whole table every time. Unlike the ledger's, their entries are
// looked at one by one (which were not seen by a run?), so they are plain rows.

// Hashes looks keys up and adds the hashes it finds to into.
func (s *Store) Hashes(ctx context.Context, targetID int64, keys []uint64, into map[uint64]uint64) error {
	keys = slices.Clone(keys)
	slices.Sort(keys) // neighbours share pages
	for part := range slices.Chunk(keys, maxKeys) {
		args := []any{targetID}
		for _, k := range part {
			args = append(args, keyIn(k))
		}
		err := each(ctx, s.r, `SELECT key, hash FROM hashes WHERE target_id = ? AND hash IS NOT NULL AND key IN `+placeholders(1, len(part)),
			args, func(rows *sql.Rows) error {
				var k, h int64
				err := rows.Scan(&k, &h)
				into[keyOut(k)] = uint64(h)
				return err
			})
		if err != nil {
			return s.fail("read row hashes", err)
		}
	}
	return nil
}

// addHashes keeps the hashes of rows a run has sent or filed. Of several for
// one key the last counts. An Ident once known is kept until a new one comes.
func addHashes(ctx context.Context, tx *tx, target, run int64, hashes []HashEntry) error {
	hashes = slices.Clone(hashes)
	slices.SortStableFunc(hashes, func(a, b HashEntry) int { return cmp.Compare(a.Key, b.Key) })
	last := hashes[:0]
	for i, h := range hashes {
		if i+1 == len(hashes) || hashes[i+1].Key != h.Key {
			last = append(last, h)
		}
	}
	const rowsEach = maxKeys / 6
	for part := range slices.Chunk(last, rowsEach) {
		args := make([]any, 0, 6*rowsEach)
		for _, h := range part {
			filed := int64(0)
			if h.Filed {
				filed = run
			}
			args = append(args, target, keyIn(h.Key), int64(h.Hash), h.Ident, filed, run)
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO hashes (target_id, key, hash, ident, filed, seen) VALUES `+placeholders(len(part), 6)+`
			ON CONFLICT (target_id, key) DO UPDATE SET hash = excluded.hash, filed = excluded.filed, seen = excluded.seen,
				ident = CASE WHEN excluded.ident = '' THEN hashes.ident ELSE excluded.ident END`, args...)
		if err != nil {
			return err
		}
	}
	return nil
}

// seeHashes notes that a run has read rows that had not changed.
func seeHashes(ctx context.Context, tx *tx, target, run int64, keys []uint64) error {
	return eachIn(ctx, tx, `UPDATE hashes SET seen = ? WHERE target_id = ? AND key IN %`,
		[]any{run, target}, slices.Sorted(slices.Values(keys)))
}

// Unseen returns up to limit row hashes that a run has not seen, in order of
// their keys, from the one after the given key on; 0 begins.
func (s *Store) Unseen(ctx context.Context, targetID, seq int64, after uint64, limit int) ([]HashEntry, error) {
	than := "> ?"
	if after == 0 {
		than = ">= ?"
	}
	var all []HashEntry
	err := each(ctx, s.r, `SELECT key, COALESCE(hash, 0), ident, filed FROM hashes
		WHERE target_id = ? AND seen <> ? AND key `+than+` ORDER BY key LIMIT ?`,
		[]any{targetID, seq, keyIn(after), limit}, func(rows *sql.Rows) error {
			var k, h, filed int64
			var e HashEntry
			err := rows.Scan(&k, &h, &e.Ident, &filed)
			e.Key, e.Hash, e.Filed = keyOut(k), uint64(h), filed != 0
			all = append(all, e)
			return err
		})
	return all, s.fail("read row hashes", err)
}

// LacksIdent reports whether the profile of some row cannot be deleted because
// the row was remembered before deletion was asked for.
func (s *Store) LacksIdent(ctx context.Context, targetID int64) (lacks bool, err error) {
	err = s.r.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM hashes WHERE target_id = ? AND ident = '')`, targetID).Scan(&lacks)
	return lacks, s.fail("read row hashes", err)
}

// ForgetHashes forgets rows, for example because their profiles were deleted.
func (l *Lease) ForgetHashes(ctx context.Context, keys []uint64) error {
	return l.fenced(ctx, "forget row hashes", func(tx *tx) error {
		return eachIn(ctx, tx, `DELETE FROM hashes WHERE target_id = ? AND key IN %`, []any{l.target.ID}, keys)
	})
}

// ClearHashes forgets what was sent of all rows of the target, so that all are
// sent again. The rows stay known: profiles of those that are gone must still be
// deletable.
func (l *Lease) ClearHashes(ctx context.Context) error {
	return l.fenced(ctx, "clear row hashes", func(tx *tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE hashes SET hash = NULL, filed = 0 WHERE target_id = ?`, l.target.ID)
		return err
	})
}

// forgetFiledHashes forgets the hashes of rows that a run filed. The rows stay
// known: a profile sent earlier must still be deletable.
func forgetFiledHashes(ctx context.Context, tx *tx, target, run int64) error {
	_, err := tx.ExecContext(ctx, `UPDATE hashes SET hash = NULL, filed = 0 WHERE target_id = ? AND filed = ? AND filed <> 0`, target, run)
	return err
}
