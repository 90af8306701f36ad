package checkpoint

import (
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

// Begin starts a run: it fills ID, TargetID, Seq, Status and StartedAt. A run
// that has an ID, from Unfinished, is taken up again with the window, shape and
// position r has now. A second unfinished run of a kind is refused.
func (l *Lease) Begin(ctx context.Context, r *Run) error {
	if r.Kind != Incremental && r.Kind != Resync && r.Kind != Range {
		return usage("begin: unknown kind of run %q", r.Kind)
	}
	began := *r
	began.TargetID, began.Status, began.FinishedAt, began.Error = l.target.ID, Running, nil, nil
	again := r.ID != ""
	if !again {
		id, err := uuid.NewV7()
		if err != nil {
			return err
		}
		began.ID, began.StartedAt = id.String(), time.Now().UTC().Truncate(time.Microsecond)
	}
	err := l.fenced(ctx, "begin run", func(tx *sql.Tx) error {
		if len(began.Fingerprint) > 0 {
			_, err := tx.ExecContext(ctx, `UPDATE targets SET fingerprint = ? WHERE id = ?`, textOf(began.Fingerprint), l.target.ID)
			if err != nil {
				return err
			}
		}
		if again {
			return l.takeUp(ctx, tx, &began)
		}
		return l.insertRun(ctx, tx, &began)
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

func (l *Lease) insertRun(ctx context.Context, tx *sql.Tx, r *Run) error {
	var open string
	err := tx.QueryRowContext(ctx, `SELECT id FROM runs WHERE target_id = ? AND kind = ? AND status IN `+unfinished,
		r.TargetID, r.Kind).Scan(&open)
	if err == nil {
		return usage("begin: the %s run %s is unfinished: go on with it or abandon it first", r.Kind, open)
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	err = tx.QueryRowContext(ctx, `UPDATE targets SET run_seq = run_seq + 1 WHERE id = ? RETURNING run_seq`, r.TargetID).Scan(&r.Seq)
	if err != nil {
		return err
	}
	bounds, position, counts, err := runJSON(r)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO runs (id, target_id, seq, kind, status, bounds, shape, position, counts, started_at, mark_before)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.ID, r.TargetID, r.Seq, r.Kind, r.Status, bounds, r.Shape, position, counts, r.StartedAt.UnixMicro(), r.MarkBefore)
	return err
}

func (l *Lease) takeUp(ctx context.Context, tx *sql.Tx, r *Run) error {
	bounds, position, _, err := runJSON(r)
	if err != nil {
		return err
	}
	n, err := affected(tx.ExecContext(ctx, `UPDATE runs SET status = ?, bounds = ?, shape = ?, position = ?, mark_before = ?,
		finished_at = NULL, error = NULL WHERE id = ? AND target_id = ? AND kind = ? AND status IN `+unfinished,
		r.Status, bounds, r.Shape, position, r.MarkBefore, r.ID, r.TargetID, r.Kind))
	if err == nil && n == 0 {
		err = usage("begin: there is no unfinished %s run %s", r.Kind, r.ID)
	}
	return err
}

// Save keeps what became of newly settled rows: all of p, or on an error none
// of it. It leaves r as it is.
func (l *Lease) Save(ctx context.Context, r *Run, p Progress) error {
	counts, err := json.Marshal(p.Counts)
	if err != nil {
		return err
	}
	position, err := positionText(p.Position)
	if err != nil {
		return err
	}
	floor, err1 := floorText(p.Floor)
	held, err2 := floorText(p.Held)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	items, err := itemsOf(p.Ledger, r.Seq)
	if err != nil {
		return usage("save: %w", err)
	}
	return l.fenced(ctx, "save progress", func(tx *sql.Tx) error {
		n, err := affected(tx.ExecContext(ctx, `UPDATE runs SET counts = ?, position = CASE WHEN ? = 1 THEN ? ELSE position END,
			reject_floor = COALESCE(?, reject_floor), hold_floor = COALESCE(?, hold_floor)
			WHERE id = ? AND target_id = ? AND status = 'running'`,
			string(counts), bit(p.Position != nil), position, floor, held, r.ID, l.target.ID))
		if err != nil {
			return err
		}
		if n == 0 {
			return usage("save: run %s is not running", r.ID)
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
		return addRejects(ctx, tx, l.target.ID, r.ID, p.Rejects)
	})
}

// Finish ends an attempt at a run, with everything its outcome says, at once.
// It brings *r and the lease's target up to date.
func (l *Lease) Finish(ctx context.Context, r *Run, o Outcome) error {
	switch o.Status {
	case Succeeded, Partial, Failed, Interrupted:
	default:
		return usage("finish: a run cannot end as %q", o.Status)
	}
	ended, now := *r, time.Now().UTC().Truncate(time.Microsecond)
	ended.Status, ended.Counts, ended.Error, ended.FinishedAt = o.Status, o.Counts, o.Error, &now
	if o.Mark != nil {
		ended.MarkAfter = &o.Mark.Text
	}
	if o.Rewind != nil {
		ended.Position, ended.Floor = o.Rewind, nil
		if start(o.Rewind) {
			ended.Position = nil
		}
	}
	err := l.fenced(ctx, "finish run", func(tx *sql.Tx) error { return l.finish(ctx, tx, &ended, o) })
	if err != nil {
		return err
	}
	*r = ended
	l.adopt(o)
	return nil
}

func (l *Lease) finish(ctx context.Context, tx *sql.Tx, r *Run, o Outcome) error {
	_, position, counts, err := runJSON(r)
	if err != nil {
		return err
	}
	n, err := affected(tx.ExecContext(ctx, `UPDATE runs SET status = ?, counts = ?, error = ?, finished_at = ?, mark_after = ?,
		position = CASE WHEN ? = 1 THEN ? ELSE position END, reject_floor = CASE WHEN ? = 1 THEN NULL ELSE reject_floor END
		WHERE id = ? AND target_id = ? AND status = 'running'`,
		r.Status, counts, textOf(r.Error), r.FinishedAt.UnixMicro(), r.MarkAfter, bit(o.Rewind != nil), position, bit(o.Rewind != nil), r.ID, l.target.ID))
	if err != nil {
		return err
	}
	if n == 0 {
		return usage("finish: run %s is not running", r.ID)
	}
	if err := l.markSent(ctx, tx, o.Counts); err != nil {
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
	if o.Rewind != nil {
		if err := l.s.forgetFiled(ctx, tx, l.target.ID, r.Seq); err != nil {
			return err
		}
		if err := forgetFiledHashes(ctx, tx, l.target.ID, r.Seq); err != nil {
			return err
		}
	}
	if o.LedgerFrom != nil {
		if err := l.s.pruneLedger(ctx, tx, l.target.ID, *o.LedgerFrom); err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM runs WHERE target_id = ? AND seq <= ? AND status NOT IN `+unfinished,
		l.target.ID, r.Seq-keepRuns)
	return err
}

// adopt brings the lease's target up to date with a saved outcome.
func (l *Lease) adopt(o Outcome) {
	t := l.target
	t.Sent = t.Sent || o.Counts.Accepted > 0
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
}

// Abandon gives up an unfinished run of the target.
func (l *Lease) Abandon(ctx context.Context, runID string, reason json.RawMessage) error {
	return l.fenced(ctx, "abandon run", func(tx *sql.Tx) error {
		n, err := affected(tx.ExecContext(ctx, `UPDATE runs SET status = 'abandoned', error = ?, finished_at = COALESCE(finished_at, ?)
			WHERE id = ? AND target_id = ? AND status IN `+unfinished, textOf(reason), time.Now().UnixMicro(), runID, l.target.ID))
		if err == nil && n == 0 {
			err = usage("abandon: there is no unfinished run %s", runID)
		}
		return err
	})
}

// markSent notes that the target has sent something, with the first Save that
// says so: a killed run's records count.
func (l *Lease) markSent(ctx context.Context, tx *sql.Tx, c Counts) error {
	if c.Accepted == 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, `UPDATE targets SET sent = 1 WHERE id = ? AND sent = 0`, l.target.ID)
	return err
}

// runJSON encodes the parts of a run that are kept as JSON.
func runJSON(r *Run) (bounds string, position sql.NullString, counts string, err error) {
	b, err1 := json.Marshal(r.Window)
	c, err2 := json.Marshal(r.Counts)
	position, err3 := positionText(r.Position)
	return string(b), position, string(c), errors.Join(err1, err2, err3)
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
