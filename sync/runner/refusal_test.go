package runner_test

import (
	"testing"

	"github.com/mixsync/mixsync/sync/checkpoint"
	"github.com/mixsync/mixsync/sync/runner"
)

// Requests are refused while the rest of their batch is still being encoded:
// every reject names its own row.
func TestRefusalsWhileABatchIsEncoded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, profileSync(), 1)
	defer w.close()
	w.rows = 0 // as many as a batch takes: several requests' worth
	w.exec(`INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
		SELECT i, i, 0, CASE WHEN i % 10 = 1 THEN NULL ELSE 'c' || i END, 'p', CASE WHEN i % 10 = 0 THEN 'bad' ELSE 'A' END FROM n`)
	rep := w.good(runner.Options{})
	if rep.Rejected != 4000 || rep.RejectCounts["refused_by_mixpanel"] != 2000 || rep.RejectCounts["missing_company"] != 2000 {
		t.Errorf("rejects = %v, want 2000 refused and 2000 without company", rep.RejectCounts)
	}
	for id := range w.rejects() {
		if id%10 > 1 {
			t.Errorf("row %d is good but has a reject", id)
		}
	}
	list, err := w.store.Rejects(t.Context(), checkpoint.RejectFilter{Code: "refused_by_mixpanel"})
	if err != nil || len(list) != 2000 {
		t.Errorf("%d refusals are filed, %v, want 2000", len(list), err)
	}
}

// A row that is rejected is there: a mirror deletes only what is gone.
func TestMirrorKeepsTheProfilesOfRejectedRows(t *testing.T) {
	t.Parallel()
	s := profileSync()
	s.Mode, s.Cursor, s.DeleteGone = runner.Mirror, nil, true
	s.Spec.Cursor = ""
	w := newWorld(t, s, 1)
	defer w.close()
	w.exec(`INSERT INTO t VALUES (1, 0, 0, 'c1', 'p', 'A'), (2, 0, 0, 'c2', 'p', 'A'), (3, 0, 0, 'c3', 'p', 'A'), (4, 0, 0, 'c4', 'p', 'A')`)
	w.good(runner.Options{})
	w.exec(`UPDATE t SET val = 'bad' WHERE id = 2`)
	w.exec(`UPDATE t SET company = NULL WHERE id = 3`)
	w.exec(`DELETE FROM t WHERE id = 4`)
	rep := w.good(runner.Options{})
	if rep.Deleted != 1 || len(w.deleted) != 1 || w.deleted[0] != "c4" {
		t.Errorf("deleted %d profiles: %v, want that of c4 alone", rep.Deleted, w.deleted)
	}
	// All is sent again, and what is gone is still known.
	w.exec(`DELETE FROM t WHERE id = 1`)
	rep = w.good(runner.Options{Resync: true})
	if rep.Deleted != 1 || len(w.deleted) != 2 || w.deleted[1] != "c1" {
		t.Errorf("the resync deleted %d profiles: %v, want that of c1", rep.Deleted, w.deleted)
	}
}
