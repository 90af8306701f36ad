package checkpoint

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

const sliceColumns = `run_id, n, bounds, status, position, reject_floor, hold_floor, reached, counts, judged_rows, judged_rejected, judged_restated, error`

func insertSlices(ctx context.Context, tx *tx, run string, windows []Window) error {
	const columns = 5
	n := 0
	for part := range slices.Chunk(windows, maxKeys/columns) {
		args := make([]any, 0, len(part)*columns)
		for _, w := range part {
			bounds, err := json.Marshal(w)
			if err != nil {
				return err
			}
			n++
			args = append(args, run, n, string(bounds), SlicePending, "{}")
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO slices (run_id, n, bounds, status, counts) VALUES `+placeholders(len(part), columns), args...); err != nil {
			return err
		}
	}
	return nil
}

// Claim takes the first slice that is to be done and that nobody alive is at;
// ordered, only if all before it are done. It fails with ErrNone when others are
// at what is left, ErrDone when nothing is left, ErrOver when the run has ended,
// and ErrTurn when the run is no incremental one and one of those wants its turn.
func (l *Lease) Claim(ctx context.Context, r *Run, ordered bool) (*Slice, error) {
	var s *Slice
	err := l.fenced(ctx, "claim slice", func(tx *tx) error {
		if err := running(ctx, tx, l.target.ID, r.ID); err != nil {
			return err
		}
		if s != nil { // of an earlier try: if that was committed, the slice is ours already
			n, err := affected(tx.ExecContext(ctx, `UPDATE slices SET token = ? WHERE run_id = ? AND n = ? AND token = ?`, l.token, s.RunID, s.N, l.token))
			if err != nil || n > 0 {
				return err
			}
		}
		if r.Kind != Incremental {
			var wanted bool
			err := tx.QueryRowContext(ctx, `SELECT turn_until > {now} FROM targets WHERE id = ?`, l.target.ID).Scan(&wanted)
			if err != nil {
				return err
			}
			if wanted {
				return ErrTurn
			}
		}
		// Without this a claim of somebody who died would count as alive.
		if _, err := l.s.members(ctx, tx, l.target.ID, l.token); err != nil {
			return err
		}
		var err error
		s, err = l.claim(ctx, tx, r, ordered)
		return err
	})
	return s, err
}

func (l *Lease) claim(ctx context.Context, tx *tx, r *Run, ordered bool) (*Slice, error) {
	const free = `(token IS NULL OR token NOT IN (SELECT token FROM leases WHERE target_id = ?))`
	s, err := scanSlice(tx.QueryRowContext(ctx, `SELECT `+sliceColumns+` FROM slices
		WHERE run_id = ? AND status = 'pending' AND `+free+` ORDER BY n LIMIT 1`, r.ID, l.target.ID))
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	var pending, before int
	n := 0
	if err == nil {
		n = s.N
	}
	err = tx.QueryRowContext(ctx, `SELECT COUNT(*), COUNT(CASE WHEN n < ? THEN 1 END) FROM slices WHERE run_id = ? AND status <> 'done'`, n, r.ID).Scan(&pending, &before)
	switch {
	case err != nil:
		return nil, err
	case s == nil:
		left := 0
		err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM slices WHERE run_id = ? AND status = 'pending'`, r.ID).Scan(&left)
		if err == nil {
			err = []error{ErrDone, ErrNone}[min(left, 1)]
		}
		return nil, err
	case ordered && before > 0:
		failed := 0
		err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM slices WHERE run_id = ? AND status = 'failed'`, r.ID).Scan(&failed)
		if err == nil {
			err = []error{ErrNone, ErrDone}[min(failed, 1)] // what comes after a failed one cannot be done
		}
		return nil, err
	}
	s.Total, s.Last = r.SlicesTotal, pending == 1
	if s.Elsewhere, err = elsewhere(ctx, tx, s); err != nil {
		return nil, err
	}
	_, err = tx.ExecContext(ctx, `UPDATE slices SET token = ? WHERE run_id = ? AND n = ?`, l.token, s.RunID, s.N)
	return s, err
}

// elsewhere sums up what the other slices of a run are judged by.
func elsewhere(ctx context.Context, tx *tx, s *Slice) (t Tally, err error) {
	err = tx.QueryRowContext(ctx, `SELECT CAST(COALESCE(SUM(judged_rows), 0) AS BIGINT), CAST(COALESCE(SUM(judged_rejected), 0) AS BIGINT),
		CAST(COALESCE(SUM(judged_restated), 0) AS BIGINT) FROM slices WHERE run_id = ? AND n <> ?`, s.RunID, s.N).Scan(&t.Rows, &t.Rejected, &t.Restated)
	return t, err
}

// holding runs fn in a transaction that holds only while the run is under way
// and the slice is ours. A slice that fn ends stays ours, since fn may be run again
// after a commit of which we did not hear.
func (l *Lease) holding(ctx context.Context, doing string, r *Run, s *Slice, fn func(*tx) error) error {
	return l.fenced(ctx, doing, func(tx *tx) error {
		if err := running(ctx, tx, l.target.ID, r.ID); err != nil {
			return err
		}
		var token sql.NullInt64
		err := tx.QueryRowContext(ctx, `SELECT token FROM slices WHERE run_id = ? AND n = ?`, s.RunID, s.N).Scan(&token)
		if err == nil && token.Int64 != l.token {
			err = ErrFenced
		}
		if err != nil {
			return err
		}
		return fn(tx)
	})
}

// Save keeps what became of newly settled rows of a slice: all of p, or on an
// error none of it. It returns the figures of the other slices, and leaves r and
// s as they are.
func (l *Lease) Save(ctx context.Context, r *Run, s *Slice, p Progress) (others Tally, err error) {
	counts, err := json.Marshal(p.Counts)
	if err != nil {
		return others, err
	}
	position, err1 := positionText(p.Position)
	floor, err2 := floorText(p.Floor)
	held, err3 := floorText(p.Held)
	if err := errors.Join(err1, err2, err3); err != nil {
		return others, err
	}
	items, err := itemsOf(p.Ledger, r.Seq)
	if err != nil {
		return others, usage("save: %w", err)
	}
	err = l.holding(ctx, "save progress", r, s, func(tx *tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE slices SET counts = ?, position = CASE WHEN ? = 1 THEN ? ELSE position END,
			reject_floor = COALESCE(?, reject_floor), hold_floor = COALESCE(?, hold_floor), reached = COALESCE(?, reached),
			judged_rows = ?, judged_rejected = ?, judged_restated = ? WHERE run_id = ? AND n = ?`,
			string(counts), bit(p.Position != nil), position, floor, held, p.Reached,
			p.Judged.Rows, p.Judged.Rejected, p.Judged.Restated, s.RunID, s.N)
		if err != nil {
			return err
		}
		if err := l.markSent(ctx, tx, p.Counts); err != nil {
			return err
		}
		if err := l.s.addLedger(ctx, tx, l.target.ID, items); err != nil {
			return err
		}
		if err := addHashes(ctx, tx, l.target.ID, r.Seq, p.Hashes); err != nil {
			return err
		}
		if err := seeHashes(ctx, tx, l.target.ID, r.Seq, p.Seen); err != nil {
			return err
		}
		// Resolved first: a row may be refused again after it was accepted.
		if err := eachIn(ctx, tx, `DELETE FROM rejects WHERE target_id = ? AND key_hash IN %`, []any{l.target.ID}, p.Resolved); err != nil {
			return err
		}
		if err := addRejects(ctx, tx, l.target.ID, r.ID, p.Rejects); err != nil {
			return err
		}
		others, err = elsewhere(ctx, tx, s)
		return err
	})
	return others, err
}

// Done notes that a slice is done. The mark of an incremental run moves along:
// to the greatest cursor in the slices from the first on that are done without
// a gap, up to the first that has a reject or a row that is held back. It brings
// the lease's target up to date.
func (l *Lease) Done(ctx context.Context, r *Run, s *Slice, d Done) error {
	counts, err := json.Marshal(d.Counts)
	if err != nil {
		return err
	}
	var mark *Mark
	var from *int64
	err = l.holding(ctx, "finish slice", r, s, func(tx *tx) (err error) {
		_, err = tx.ExecContext(ctx, `UPDATE slices SET status = 'done', counts = ?, reached = COALESCE(?, reached),
			judged_rows = ?, judged_rejected = ?, judged_restated = ? WHERE run_id = ? AND n = ?`,
			string(counts), d.Reached, d.Judged.Rows, d.Judged.Rejected, d.Judged.Restated, s.RunID, s.N)
		if err == nil {
			err = l.markSent(ctx, tx, d.Counts)
		}
		if err != nil || r.Kind != Incremental || s.Total <= 1 {
			return err
		}
		// Nothing new may mean that an earlier try has been committed: its mark stays.
		further, err := l.prefix(ctx, tx, r)
		if err != nil || further == nil {
			return err
		}
		mark = further
		if err := setMark(ctx, tx, l.target.ID, mark); err != nil {
			return err
		}
		if from = d.Lookback(mark.Text); from != nil {
			// Nothing is pruned: if the run is given up, rows may be looked up again.
			_, err = tx.ExecContext(ctx, `UPDATE targets SET ledger_from = ? WHERE id = ? AND (ledger_from IS NULL OR ledger_from < ?)`, *from, l.target.ID, *from)
		}
		return err
	})
	if err == nil && mark != nil {
		l.target.Mark = mark
		if from != nil && (l.target.LedgerFrom == nil || *l.target.LedgerFrom < *from) {
			l.target.LedgerFrom = from
		}
	}
	return err
}

// prefix is the mark that a run in progress has come to; nil: no further than
// the target's.
func (l *Lease) prefix(ctx context.Context, tx *tx, r *Run) (*Mark, error) {
	var kind, mark, reached sql.NullString
	err := tx.QueryRowContext(ctx, `SELECT reached FROM slices WHERE run_id = ? AND reached IS NOT NULL AND n < COALESCE(
		(SELECT MIN(n) FROM slices WHERE run_id = ? AND (status <> 'done' OR reject_floor IS NOT NULL OR hold_floor IS NOT NULL)), n + 1)
		ORDER BY n DESC LIMIT 1`, r.ID, r.ID).Scan(&reached)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := tx.QueryRowContext(ctx, `SELECT mark_kind, mark FROM targets WHERE id = ?`, l.target.ID).Scan(&kind, &mark); err != nil {
		return nil, err
	}
	is := r.CursorKind
	to, err := warehouse.ParseCursor(is, reached.String)
	if err != nil {
		return nil, err
	}
	if mark.Valid {
		if old, err := warehouse.ParseCursor(is, mark.String); err != nil || kind.String != is.String() || !old.Before(to) {
			return nil, err
		}
	}
	return &Mark{Kind: is, Text: reached.String}, nil
}

// Yield gives a slice back as far as it was saved.
func (l *Lease) Yield(ctx context.Context, s *Slice) error {
	return l.fenced(ctx, "give slice back", func(tx *tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE slices SET token = NULL WHERE run_id = ? AND n = ? AND token = ?`, s.RunID, s.N, l.token)
		return err
	})
}

// FailSlice notes why a slice cannot be done now. What was saved of it is kept.
func (l *Lease) FailSlice(ctx context.Context, r *Run, s *Slice, why json.RawMessage) error {
	return l.holding(ctx, "fail slice", r, s, func(tx *tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE slices SET status = 'failed', error = ? WHERE run_id = ? AND n = ?`, textOf(why), s.RunID, s.N)
		return err
	})
}

// Slices loads the slices of a run, in order. Those of a run that ended well are gone.
func (s *Store) Slices(ctx context.Context, runID string) ([]Slice, error) {
	list, err := slicesOf(ctx, s.r, runID)
	return list, s.fail("load slices", err)
}

func slicesOf(ctx context.Context, q querier, runID string) ([]Slice, error) {
	var list []Slice
	err := each(ctx, q, `SELECT `+sliceColumns+` FROM slices WHERE run_id = ? ORDER BY n`, []any{runID}, func(rows *sql.Rows) error {
		s, err := scanSlice(rows)
		if err == nil {
			list = append(list, *s)
		}
		return err
	})
	for i := range list {
		list[i].Total = len(list)
	}
	return list, err
}

// sumSlices brings a run's counts and slices up to date.
func sumSlices(ctx context.Context, q querier, r *Run) error {
	list, err := slicesOf(ctx, q, r.ID)
	if err != nil || len(list) == 0 {
		return err
	}
	r.Counts, r.SlicesDone, r.SlicesTotal = Counts{}, 0, len(list)
	for _, s := range list {
		r.Counts.Add(s.Counts)
		if s.Status == SliceDone {
			r.SlicesDone++
		}
	}
	return nil
}

// Add adds the figures of b.
func (c *Counts) Add(b Counts) {
	c.Rows += b.Rows
	c.Sent += b.Sent
	c.Accepted += b.Accepted
	c.Rejected += b.Rejected
	c.Held += b.Held
	c.Unchanged += b.Unchanged
	c.Restated += b.Restated
	c.Waiting += b.Waiting
	c.Requests += b.Requests
	c.Retries += b.Retries
	c.BytesJSON += b.BytesJSON
	c.BytesWire += b.BytesWire
	for code, n := range b.RejectCounts {
		if c.RejectCounts == nil {
			c.RejectCounts = map[string]int64{}
		}
		c.RejectCounts[code] += n
	}
}

func scanSlice(row scanner) (*Slice, error) {
	var (
		s                          Slice
		bounds, counts             string
		position, floor, held, bad sql.NullString
		reached                    sql.NullString
	)
	err := row.Scan(&s.RunID, &s.N, &bounds, &s.Status, &position, &floor, &held, &reached, &counts, &s.Judged.Rows, &s.Judged.Rejected, &s.Judged.Restated, &bad)
	if err != nil {
		return nil, err
	}
	errs := []error{json.Unmarshal([]byte(bounds), &s.Window), json.Unmarshal([]byte(counts), &s.Counts)}
	place := func(text sql.NullString, at **warehouse.Position) {
		if text.Valid {
			*at = new(warehouse.Position)
			errs = append(errs, json.Unmarshal([]byte(text.String), *at))
		}
	}
	place(position, &s.Position)
	place(floor, &s.Floor)
	place(held, &s.Held)
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("slice %d of run %s: %w", s.N, s.RunID, err)
	}
	if reached.Valid {
		s.Reached = &reached.String
	}
	s.Error = jsonOf(bad)
	return &s, nil
}
