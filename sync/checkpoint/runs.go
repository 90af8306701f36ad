package checkpoint

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

const runColumns = `r.id, r.target_id, r.kind, r.status, r.bounds, r.shape, r.seq, r.counts, r.slices_done, r.slices_total,
	r.attempts, r.started_at, r.finished_at, r.mark_before, r.mark_after, r.error, r.usage, r.reason`

// RunFilter selects runs; zero fields select all.
type RunFilter struct {
	TargetID int64
	Sync     string
	Project  string
	Status   string
	Limit    int
}

// Runs loads runs, newest first.
func (s *Store) Runs(ctx context.Context, f RunFilter) ([]*Run, error) {
	var w where
	w.add("r.target_id = ?", f.TargetID, f.TargetID != 0)
	w.add("t.sync = ?", f.Sync, f.Sync != "")
	w.add("t.project = ?", f.Project, f.Project != "")
	w.add("r.status = ?", f.Status, f.Status != "")
	var all []*Run
	err := each(ctx, s.r, `SELECT `+runColumns+` FROM runs r JOIN targets t ON t.id = r.target_id`+
		w.clause()+` ORDER BY r.started_at DESC, r.seq DESC`+limit(f.Limit), w.args, func(rows *sql.Rows) error {
		r, err := scanRun(rows)
		all = append(all, r)
		return err
	})
	for _, r := range all {
		if err == nil {
			err = s.upToDate(ctx, r)
		}
	}
	return all, s.fail("load runs", err)
}

// Waiting loads the unfinished runs of targets that nobody is at, oldest first.
// Their windows are as they were begun, their counts not summed up.
func (s *Store) Waiting(ctx context.Context) ([]*Run, error) {
	var all []*Run
	err := each(ctx, s.r, `SELECT `+runColumns+` FROM runs r WHERE r.status IN `+unfinished+`
		AND NOT EXISTS (SELECT 1 FROM leases l WHERE l.target_id = r.target_id AND l.expires_at > ?) ORDER BY r.started_at`,
		[]any{time.Now().UnixMicro()}, func(rows *sql.Rows) error {
			r, err := scanRun(rows)
			all = append(all, r)
			return err
		})
	return all, s.fail("load runs", err)
}

// Recent loads the newest n runs of every target, newest first, by target id. It
// is for schedules: their windows are as they were begun, their counts not summed up.
func (s *Store) Recent(ctx context.Context, n int) (map[int64][]*Run, error) {
	all := map[int64][]*Run{}
	err := each(ctx, s.r, `SELECT `+runColumns+` FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY target_id ORDER BY seq DESC) AS nth FROM runs) r
		WHERE r.nth <= ? ORDER BY r.target_id, r.nth`, []any{n}, func(rows *sql.Rows) error {
		r, err := scanRun(rows)
		if err == nil {
			all[r.TargetID] = append(all[r.TargetID], r)
		}
		return err
	})
	return all, s.fail("load runs", err)
}

// LeftOver returns the newest unfinished run of a kind, nil if there is none. It
// may be at work.
func (s *Store) LeftOver(ctx context.Context, targetID int64, kind string) (*Run, error) {
	return s.oneRun(ctx, `WHERE r.target_id = ? AND r.kind = ? AND r.status IN `+unfinished+` ORDER BY r.seq DESC LIMIT 1`, targetID, kind)
}

// HasUnfinished reports whether a target has a run whose window is not finished,
// other than of a range.
func (s *Store) HasUnfinished(ctx context.Context, targetID int64) (bool, error) {
	var n int
	err := s.r.QueryRowContext(ctx, `SELECT COUNT(*) FROM runs WHERE target_id = ? AND kind <> ? AND status IN `+unfinished, targetID, Range).Scan(&n)
	return n > 0, s.fail("look for unfinished runs", err)
}

// upToDate sums up what the slices of a run that has not ended know.
func (s *Store) upToDate(ctx context.Context, r *Run) error {
	switch r.Status {
	case Running, Failed, Interrupted:
		return sumSlices(ctx, s.r, r)
	}
	return nil
}

// Run loads one run; nil when there is none of that id.
func (s *Store) Run(ctx context.Context, id string) (*Run, error) {
	return s.oneRun(ctx, `WHERE r.id = ?`, id)
}

// Unfinished returns the newest run of a kind whose window is not finished, nil
// if there is none. One that is running is a dead process's.
func (l *Lease) Unfinished(ctx context.Context, kind string) (*Run, error) {
	return l.s.LeftOver(ctx, l.target.ID, kind)
}

func (s *Store) oneRun(ctx context.Context, where string, args ...any) (*Run, error) {
	r, err := scanRun(s.r.QueryRowContext(ctx, `SELECT `+runColumns+` FROM runs r `+where, args...))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err == nil {
		err = s.upToDate(ctx, r)
	}
	return r, s.fail("load run", err)
}

func scanRun(row scanner) (*Run, error) {
	var (
		r              Run
		bounds, counts string
		before         sql.NullString
		after, fault   sql.NullString
		usage, reason  sql.NullString
		started        int64
		finished       sql.NullInt64
	)
	err := row.Scan(&r.ID, &r.TargetID, &r.Kind, &r.Status, &bounds, &r.Shape, &r.Seq, &counts, &r.SlicesDone, &r.SlicesTotal,
		&r.Attempts, &started, &finished, &before, &after, &fault, &usage, &reason)
	if err != nil {
		return nil, err
	}
	errs := []error{json.Unmarshal([]byte(bounds), &r.Window), json.Unmarshal([]byte(counts), &r.Counts)}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("run %s: %w", r.ID, err)
	}
	if r.Usage, err = usageOf(usage); err != nil {
		return nil, fmt.Errorf("run %s: %w", r.ID, err)
	}
	r.Reason = reason.String
	r.StartedAt = micros(started)
	if finished.Valid {
		at := micros(finished.Int64)
		r.FinishedAt = &at
	}
	if before.Valid {
		r.MarkBefore = &before.String
	}
	if after.Valid {
		r.MarkAfter = &after.String
	}
	r.Error = jsonOf(fault)
	return &r, nil
}

// where collects the conditions of a filter.
type where struct {
	terms []string
	args  []any
}

func (w *where) add(term string, arg any, used bool) {
	if used {
		w.terms, w.args = append(w.terms, term), append(w.args, arg)
	}
}

func (w *where) clause() string {
	if len(w.terms) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.terms, " AND ")
}

func limit(n int) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf(" LIMIT %d", n)
}
