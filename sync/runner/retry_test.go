package runner_test

import (
	"encoding/json"
	"testing"

	"github.com/mixsync/mixsync/sync/checkpoint"
	"github.com/mixsync/mixsync/sync/runner"
)

// Many rejects are read again in few statements: a warehouse may scan the whole
// table for each.
func TestRetryAsksForManyRowsAtOnce(t *testing.T) {
	t.Parallel()
	w, x := tellingWorld(t, eventSync())
	w.exec(`WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 509) INSERT INTO t SELECT i, i, 1700000000, 'acme', 'p', 'bad' FROM n`)
	if rep := w.good(runner.Options{}); rep.Rejected != 500 {
		t.Fatalf("first run: %+v", rep)
	}
	list, err := w.store.Rejects(t.Context(), checkpoint.RejectFilter{})
	if err != nil {
		t.Fatal(err)
	}
	var keys []json.RawMessage
	for _, r := range list {
		keys = append(keys, r.Key)
	}
	w.exec(`UPDATE t SET val = 'good' WHERE id < 500`)
	w.exec(`DELETE FROM t WHERE id >= 500`)
	x.queries = 0
	rep := w.good(runner.Options{Keys: keys})
	if rep.Accepted != 490 || rep.Rows != 490 || len(rep.Notes) != 1 || x.queries > 8 {
		t.Errorf("%d of 490 rows were accepted in %d statements: %+v", rep.Accepted, x.queries, rep)
	}
	if left := w.rejects(); len(left) != 10 {
		t.Errorf("%d rejects are open, want those of the 10 rows that are gone", len(left))
	}
}
