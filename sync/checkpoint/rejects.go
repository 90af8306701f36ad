package checkpoint

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"
)

const rejectColumns = `j.id, j.target_id, t.sync, t.project, j.key, j.key_hash, j.code, j.field, j.message,
	j.run_id, j.first_seen, j.attempts, j.payload`

// RejectFilter selects open rejects; zero fields select all.
type RejectFilter struct {
	Sync    string
	Project string
	Code    string
	IDs     []string // at most a few hundred
	AfterID string   // the page after this reject
	Limit   int
}

func (f RejectFilter) where() where {
	var w where
	w.add("t.sync = ?", f.Sync, f.Sync != "")
	w.add("t.project = ?", f.Project, f.Project != "")
	w.add("j.code = ?", f.Code, f.Code != "")
	w.add("j.id > ?", f.AfterID, f.AfterID != "")
	if len(f.IDs) > 0 {
		w.terms = append(w.terms, "j.id IN "+placeholders(1, len(f.IDs)))
		for _, id := range f.IDs {
			w.args = append(w.args, id)
		}
	}
	return w
}

// Rejects loads open rejects in order of their ids.
func (s *Store) Rejects(ctx context.Context, f RejectFilter) ([]Reject, error) {
	w := f.where()
	var all []Reject
	err := each(ctx, s.r, `SELECT `+rejectColumns+` FROM rejects j JOIN targets t ON t.id = j.target_id`+
		w.clause()+` ORDER BY j.id`+limit(f.Limit), w.args, func(rows *sql.Rows) error {
		j, err := scanReject(rows)
		all = append(all, j)
		return err
	})
	return all, s.fail("load rejects", err)
}

// Reject loads one reject; nil when there is none of that id.
func (s *Store) Reject(ctx context.Context, id string) (*Reject, error) {
	j, err := scanReject(s.r.QueryRowContext(ctx, `SELECT `+rejectColumns+` FROM rejects j
		JOIN targets t ON t.id = j.target_id WHERE j.id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return &j, s.fail("load reject", err)
}

// DropRejects forgets open rejects and returns how many. The rows are not sent.
func (s *Store) DropRejects(ctx context.Context, f RejectFilter) (dropped int64, err error) {
	w := f.where()
	err = s.write(ctx, "drop rejects", func(tx *tx) (err error) {
		dropped, err = affected(tx.ExecContext(ctx, `DELETE FROM rejects WHERE id IN (SELECT j.id FROM rejects j
			JOIN targets t ON t.id = j.target_id`+w.clause()+` ORDER BY j.id`+limit(f.Limit)+`)`, w.args...))
		return err
	})
	return dropped, err
}

// RejectCount is how many open rejects a target has under a code.
type RejectCount struct {
	TargetID int64
	Sync     string
	Project  string
	Code     string
	N        int64
}

// RejectCounts counts open rejects by target and code.
func (s *Store) RejectCounts(ctx context.Context) ([]RejectCount, error) {
	var all []RejectCount
	err := each(ctx, s.r, `SELECT t.id, t.sync, t.project, j.code, COUNT(*) FROM rejects j JOIN targets t ON t.id = j.target_id
		GROUP BY t.id, t.sync, t.project, j.code ORDER BY t.sync, t.project, j.code`, nil, func(rows *sql.Rows) error {
		var c RejectCount
		err := rows.Scan(&c.TargetID, &c.Sync, &c.Project, &c.Code, &c.N)
		all = append(all, c)
		return err
	})
	return all, s.fail("count rejects", err)
}

// OpenRejectKeys returns the key hashes of a target's open rejects. When there
// are limit of them there may be more.
func (s *Store) OpenRejectKeys(ctx context.Context, targetID int64, limit int) (map[uint64]struct{}, error) {
	keys := map[uint64]struct{}{}
	err := each(ctx, s.r, `SELECT DISTINCT key_hash FROM rejects WHERE target_id = ? LIMIT ?`, []any{targetID, limit}, func(rows *sql.Rows) error {
		var k int64
		err := rows.Scan(&k)
		keys[keyOut(k)] = struct{}{}
		return err
	})
	return keys, s.fail("load rejects", err)
}

// addRejects files rejects. One that is there already keeps when it was first
// seen and has one attempt more.
func addRejects(ctx context.Context, tx *tx, target int64, run string, rejects []Reject) error {
	if len(rejects) == 0 {
		return nil
	}
	st, err := tx.PrepareContext(ctx, `INSERT INTO rejects (id, target_id, key, key_hash, code, field, message, run_id, first_seen, attempts, payload)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?)
		ON CONFLICT (id) DO UPDATE SET key = excluded.key, key_hash = excluded.key_hash, code = excluded.code, field = excluded.field,
			message = excluded.message, run_id = excluded.run_id, attempts = rejects.attempts + 1, payload = excluded.payload`)
	if err != nil {
		return err
	}
	defer st.Close()
	now := time.Now()
	for _, j := range rejects {
		if j.FirstSeen.IsZero() {
			j.FirstSeen = now
		}
		_, err := st.ExecContext(ctx, j.ID, target, string(j.Key), keyIn(j.KeyHash), j.Code, j.Field, j.Message,
			run, j.FirstSeen.UnixMicro(), textOf(j.Payload))
		if err != nil {
			return err
		}
	}
	return nil
}

func scanReject(row scanner) (Reject, error) {
	var (
		j           Reject
		key         string
		hash, first int64
		payload     sql.NullString
	)
	err := row.Scan(&j.ID, &j.TargetID, &j.Sync, &j.Project, &key, &hash, &j.Code, &j.Field, &j.Message,
		&j.RunID, &first, &j.Attempts, &payload)
	j.Key, j.KeyHash, j.FirstSeen, j.Payload = json.RawMessage(key), keyOut(hash), micros(first), jsonOf(payload)
	return j, err
}
