package checkpoint

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// unfinished lists the statuses of runs whose window is not finished. It is
// spelled as in the index runs_unfinished, which allows one of a kind.
const unfinished = `('running', 'failed', 'interrupted')`

// keepRuns is how many runs of a target are remembered.
const keepRuns = 1000

// Begin starts a run, cut into slices: it fills ID, TargetID, Seq, Status and
// StartedAt; an ID that is there already stays. A run that has a Seq, from
// Unfinished, is taken up again: its slices are as they were left, and those that
// had failed are to be done once more. A second unfinished run of a kind is refused.
func (l *Lease) Begin(ctx context.Context, r *Run, slices []Window) error {
	if r.Kind != Incremental && r.Kind != Resync && r.Kind != Range {
		return usage("begin: unknown kind of run %q", r.Kind)
	}
	began := *r
	began.TargetID, began.Status, began.FinishedAt, began.Error = l.target.ID, Running, nil, nil
	again := r.Seq != 0
	if !again {
		began.ID = cmp.Or(r.ID, NewRunID())
		began.StartedAt, began.SlicesTotal, began.Attempts = time.Now().UTC().Truncate(time.Microsecond), len(slices), 1
	}
	err := l.fenced(ctx, "begin run", func(tx *tx) error {
		if len(began.Fingerprint) > 0 {
			_, err := tx.ExecContext(ctx, `UPDATE targets SET fingerprint = ? WHERE id = ?`, textOf(began.Fingerprint), l.target.ID)
			if err != nil {
				return err
			}
		}
		if again {
			return l.takeUp(ctx, tx, &began)
		}
		return l.insertRun(ctx, tx, &began, slices)
	})
	if err != nil {
		return err
	}
	*r = began
	if len(began.Fingerprint) > 0 {
		l.target.Fingerprint = began.Fingerprint
	}
	return nil
}

// NewRunID makes the id of a run: a UUID of version 7, so that ids sort by time.
func NewRunID() string { return uuid.Must(uuid.NewV7()).String() }

// Refuse remembers a run that could not begin, and why. It has no window, so
// there is nothing of it to finish.
func (s *Store) Refuse(ctx context.Context, t *Target, r *Run) error {
	return s.remember(ctx, t, r, Refused)
}

// Skip remembers a run that was not needed; its Reason says why.
func (s *Store) Skip(ctx context.Context, t *Target, r *Run) error {
	return s.remember(ctx, t, r, Skipped)
}

// remember keeps a run that is over without having begun.
func (s *Store) remember(ctx context.Context, t *Target, r *Run, status string) error {
	over, now := *r, time.Now().UTC().Truncate(time.Microsecond)
	over.ID, over.TargetID, over.Status = cmp.Or(r.ID, NewRunID()), t.ID, status
	over.StartedAt, over.FinishedAt, over.Attempts = now, &now, 1
	err := s.write(ctx, "remember run", func(tx *tx) error {
		var open int
		if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM runs WHERE id = ?`, over.ID).Scan(&open); err != nil || open > 0 {
			return err
		}
		err := tx.QueryRowContext(ctx, `UPDATE targets SET run_seq = run_seq + 1 WHERE id = ? RETURNING run_seq`, t.ID).Scan(&over.Seq)
		if err != nil {
			return err
		}
		bounds, counts, err := runJSON(&over)
		if err != nil {
			return err
		}
		reason := sql.NullString{String: over.Reason, Valid: over.Reason != ""}
		_, err = tx.ExecContext(ctx, `INSERT INTO runs (id, target_id, seq, kind, status, bounds, shape, counts, started_at, finished_at, mark_before, mark_after, error, reason)
			VALUES (?, ?, ?, ?, ?, ?, '', ?, ?, ?, ?, ?, ?, ?)`, over.ID, t.ID, over.Seq, over.Kind, over.Status, bounds, counts,
			now.UnixMicro(), now.UnixMicro(), over.MarkBefore, over.MarkBefore, textOf(over.Error), reason)
		if err != nil {
			return err
		}
		return forgetOldRuns(ctx, tx, t.ID, over.Seq)
	})
	if err == nil {
		*r = over
	}
	return err
}

func forgetOldRuns(ctx context.Context, tx *tx, target, newest int64) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM runs WHERE target_id = ? AND seq <= ? AND status NOT IN `+unfinished, target, newest-keepRuns)
	return err
}

func (l *Lease) insertRun(ctx context.Context, tx *tx, r *Run, slices []Window) error {
	var open string
	err := tx.QueryRowContext(ctx, `SELECT id FROM runs WHERE target_id = ? AND kind = ? AND status IN `+unfinished,
		r.TargetID, r.Kind).Scan(&open)
	if err == nil && open == r.ID {
		return nil // it was committed although we did not hear of it
	}
	if err == nil {
		return usage("begin: the %s run %s is unfinished: go on with it or abandon it first", r.Kind, open)
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	// Whoever asked for the run knows it by its id: given up because the sync was
	// changed, it begins anew under the same one.
	if _, err := tx.ExecContext(ctx, `DELETE FROM runs WHERE id = ? AND target_id = ? AND status = 'abandoned'`, r.ID, r.TargetID); err != nil {
		return err
	}
	err = tx.QueryRowContext(ctx, `UPDATE targets SET run_seq = run_seq + 1 WHERE id = ? RETURNING run_seq`, r.TargetID).Scan(&r.Seq)
	if err != nil {
		return err
	}
	bounds, counts, err := runJSON(r)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO runs (id, target_id, seq, kind, status, bounds, shape, counts, slices_total, started_at, mark_before)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.ID, r.TargetID, r.Seq, r.Kind, r.Status, bounds, r.Shape, counts, len(slices), r.StartedAt.UnixMicro(), r.MarkBefore)
	if err != nil {
		return err
	}
	return insertSlices(ctx, tx, r.ID, slices)
}

func (l *Lease) takeUp(ctx context.Context, tx *tx, r *Run) error {
	// Only a failure makes it one more attempt: an interrupted run is not waited for.
	err := tx.QueryRowContext(ctx, `UPDATE runs SET attempts = attempts + CASE WHEN status = 'failed' THEN 1 ELSE 0 END, status = ?, shape = ?,
		mark_before = ?, finished_at = NULL, error = NULL WHERE id = ? AND target_id = ? AND kind = ? AND status IN `+unfinished+` RETURNING attempts`,
		r.Status, r.Shape, r.MarkBefore, r.ID, r.TargetID, r.Kind).Scan(&r.Attempts)
	if errors.Is(err, sql.ErrNoRows) {
		err = usage("begin: there is no unfinished %s run %s", r.Kind, r.ID)
	}
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE slices SET token = NULL, error = NULL, status = CASE WHEN status = 'failed' THEN 'pending' ELSE status END
		WHERE run_id = ?`, r.ID)
	return err
}

// Finish ends an attempt at a run, with everything its outcome says, at once.
// It brings *r and the lease's target up to date. It fails with ErrOver when
// somebody else has ended the run. An interrupted run that has other members is
// theirs to go on with: nothing but our claims is given up.
func (l *Lease) Finish(ctx context.Context, r *Run, o Outcome) error {
	switch o.Status {
	case Succeeded, Partial, Failed, Interrupted:
	default:
		return usage("finish: a run cannot end as %q", o.Status)
	}
	ended, now := *r, time.Now().UTC().Truncate(time.Microsecond)
	ended.Status, ended.Error, ended.FinishedAt = o.Status, o.Error, &now
	ended.MarkAfter = o.MarkAfter
	if o.Mark != nil {
		ended.MarkAfter = &o.Mark.Text
	}
	ours := true
	err := l.fenced(ctx, "finish run", func(tx *tx) error {
		if o.Status == Interrupted {
			held, err := l.s.members(ctx, tx, l.target.ID, l.token)
			if err != nil {
				return err
			}
			if ours = held == nil || held.RunID != r.ID; !ours {
				_, err := tx.ExecContext(ctx, `UPDATE slices SET token = NULL WHERE run_id = ? AND token = ?`, r.ID, l.token)
				return err
			}
		}
		return l.finish(ctx, tx, &ended, o)
	})
	if err != nil || !ours {
		return err
	}
	*r = ended
	l.adopt(o, ended.Kind, ended.Counts)
	return nil
}

func (l *Lease) finish(ctx context.Context, tx *tx, r *Run, o Outcome) error {
	if err := running(ctx, tx, l.target.ID, r.ID); err != nil { // of one that has ended the slices are gone
		return err
	}
	if err := sumSlices(ctx, tx, r); err != nil {
		return err
	}
	whole := o.Status == Succeeded || o.Status == Partial
	if whole && r.SlicesDone < r.SlicesTotal {
		return usage("finish: %d of %d slices of run %s are done", r.SlicesDone, r.SlicesTotal, r.ID)
	}
	_, counts, err := runJSON(r)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE runs SET status = ?, counts = ?, slices_done = ?, error = ?, finished_at = ?, mark_after = ?
		WHERE id = ? AND target_id = ?`,
		r.Status, counts, r.SlicesDone, textOf(r.Error), r.FinishedAt.UnixMicro(), r.MarkAfter, r.ID, l.target.ID)
	if err != nil {
		return err
	}
	if err := l.markSent(ctx, tx, r.Counts); err != nil {
		return err
	}
	if o.Mark != nil {
		if err := setMark(ctx, tx, l.target.ID, o.Mark); err != nil {
			return err
		}
	}
	if len(o.Fingerprint) > 0 || o.Columns != nil {
		columns, err := json.Marshal(o.Columns)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE targets SET fingerprint = COALESCE(?, fingerprint), columns = COALESCE(?, columns), updated_at = ?
			WHERE id = ?`, textOf(o.Fingerprint), textOf(columns), r.FinishedAt.UnixMicro(), l.target.ID)
		if err != nil {
			return err
		}
	}
	if whole && r.Kind != Range {
		source := sql.NullString{String: o.Source, Valid: o.Source != ""}
		if _, err := tx.ExecContext(ctx, `UPDATE targets SET source = ? WHERE id = ?`, source, l.target.ID); err != nil {
			return err
		}
	}
	if o.Rewind {
		if err := l.rewind(ctx, tx, r); err != nil {
			return err
		}
	}
	if o.LedgerFrom != nil {
		if err := l.s.pruneLedger(ctx, tx, l.target.ID, *o.LedgerFrom); err != nil {
			return err
		}
	}
	if whole {
		if _, err := tx.ExecContext(ctx, `DELETE FROM slices WHERE run_id = ?`, r.ID); err != nil {
			return err
		}
	}
	return forgetOldRuns(ctx, tx, l.target.ID, r.Seq)
}

// rewind puts every slice back to before its first reject.
func (l *Lease) rewind(ctx context.Context, tx *tx, r *Run) error {
	_, err := tx.ExecContext(ctx, `UPDATE slices SET status = 'pending', token = NULL, position = CASE WHEN reject_floor = '{}' THEN NULL ELSE reject_floor END,
		reject_floor = NULL, reached = NULL, judged_rows = 0, judged_rejected = 0, judged_restated = 0
		WHERE run_id = ? AND reject_floor IS NOT NULL`, r.ID)
	if err != nil {
		return err
	}
	if err := l.s.forgetFiled(ctx, tx, l.target.ID, r.Seq); err != nil {
		return err
	}
	return forgetFiledHashes(ctx, tx, l.target.ID, r.Seq)
}

// adopt brings the lease's target up to date with a saved outcome.
func (l *Lease) adopt(o Outcome, kind string, counts Counts) {
	t := l.target
	t.Sent = t.Sent || counts.Accepted > 0
	if o.Mark != nil {
		t.Mark = o.Mark
	}
	if len(o.Fingerprint) > 0 {
		t.Fingerprint = o.Fingerprint
	}
	if o.LedgerFrom != nil {
		t.LedgerFrom = o.LedgerFrom
	}
	if o.Columns != nil {
		t.Columns = o.Columns
	}
	if (o.Status == Succeeded || o.Status == Partial) && kind != Range {
		t.Source = o.Source
	}
}

// Abandon gives up an unfinished run of the target.
func (l *Lease) Abandon(ctx context.Context, runID string, reason json.RawMessage) error {
	return l.fenced(ctx, "abandon run", func(tx *tx) error {
		n, err := affected(tx.ExecContext(ctx, `UPDATE runs SET status = 'abandoned', error = ?, finished_at = COALESCE(finished_at, ?)
			WHERE id = ? AND target_id = ? AND status IN `+unfinished, textOf(reason), time.Now().UnixMicro(), runID, l.target.ID))
		if err == nil && n == 0 {
			err = usage("abandon: there is no unfinished run %s", runID)
		}
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM slices WHERE run_id = ?`, runID)
		return err
	})
}

// markSent notes that the target has sent something, with the first Save that
// says so: a killed run's records count.
func (l *Lease) markSent(ctx context.Context, tx *tx, c Counts) error {
	if c.Accepted == 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, `UPDATE targets SET sent = 1 WHERE id = ? AND sent = 0`, l.target.ID)
	return err
}

// runJSON encodes the parts of a run that are kept as JSON.
func runJSON(r *Run) (bounds, counts string, err error) {
	b, err1 := json.Marshal(r.Window)
	c, err2 := json.Marshal(r.Counts)
	return string(b), string(c), errors.Join(err1, err2)
}

// positionText encodes a position; the start is NULL.
func positionText(p *warehouse.Position) (sql.NullString, error) {
	if p == nil || start(p) {
		return sql.NullString{}, nil
	}
	b, err := json.Marshal(p)
	return sql.NullString{String: string(b), Valid: true}, err
}

// floorText encodes a floor, which unlike a position can be the start: {}.
func floorText(p *warehouse.Position) (sql.NullString, error) {
	if p == nil {
		return sql.NullString{}, nil
	}
	b, err := json.Marshal(p)
	return sql.NullString{String: string(b), Valid: true}, err
}

func start(p *warehouse.Position) bool { return p.Cursor == nil && len(p.Keys) == 0 && p.Seen == 0 }

func bit(on bool) int {
	if on {
		return 1
	}
	return 0
}
