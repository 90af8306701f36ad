package checkpoint_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mixsync/mixsync/sync/checkpoint"
)

func TestHashes(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *checkpoint.Store) {
		ctx := t.Context()
		l, target := lease(t, s, "users", "prod")
		other, _ := lease(t, s, "teams", "prod")
		hashes := func(want map[uint64]uint64) {
			t.Helper()
			got := map[uint64]uint64{}
			must(t, s.Hashes(ctx, target.ID, []uint64{0, 1, 2, 1 << 63, 1<<64 - 1, 5}, got))
			if !maps.Equal(got, want) {
				t.Errorf("Hashes = %v, want %v", got, want)
			}
		}
		r := begin(t, l, checkpoint.Incremental)
		must(t, checkpoint.SaveRun(ctx, l, r, checkpoint.Progress{Hashes: []checkpoint.HashEntry{
			{Key: 1 << 63, Hash: 1<<64 - 1, Ident: "c"}, {Key: 0, Hash: 9, Ident: "z"}, {Key: 1<<64 - 1, Hash: 1, Ident: "f"},
			{Key: 0, Hash: 10, Ident: "a"}, {Key: 1, Hash: 11, Ident: "b"},
		}}))
		or := begin(t, other, checkpoint.Incremental)
		must(t, checkpoint.SaveRun(ctx, other, or, checkpoint.Progress{Hashes: []checkpoint.HashEntry{{Key: 5, Hash: 5}}}))
		hashes(map[uint64]uint64{0: 10, 1: 11, 1 << 63: 1<<64 - 1, 1<<64 - 1: 1})
		must(t, checkpoint.FinishRun(ctx, l, r, checkpoint.Outcome{Status: checkpoint.Succeeded}))

		// The second run sees key 0 unchanged and files key 1; the rest is gone.
		r = begin(t, l, checkpoint.Incremental)
		must(t, checkpoint.SaveRun(ctx, l, r, checkpoint.Progress{Seen: []uint64{0, 77}}))
		must(t, checkpoint.SaveRun(ctx, l, r, checkpoint.Progress{Hashes: []checkpoint.HashEntry{{Key: 1, Hash: 12, Filed: true}}}))
		hashes(map[uint64]uint64{0: 10, 1: 12, 1 << 63: 1<<64 - 1, 1<<64 - 1: 1})
		var gone []checkpoint.HashEntry
		for after := uint64(0); ; {
			page, err := s.Unseen(ctx, target.ID, r.Seq, after, 1)
			must(t, err)
			if len(page) == 0 {
				break
			}
			gone, after = append(gone, page...), page[0].Key
		}
		want := []checkpoint.HashEntry{{Key: 1 << 63, Hash: 1<<64 - 1, Ident: "c"}, {Key: 1<<64 - 1, Hash: 1, Ident: "f"}}
		if d := cmp.Diff(want, gone); d != "" {
			t.Errorf("Unseen (-want +got):\n%s", d)
		}
		must(t, l.ForgetHashes(ctx, []uint64{1 << 63}))

		// Rewound, the filed row is sent again, and its profile is still known.
		must(t, checkpoint.FinishRun(ctx, l, r, checkpoint.Outcome{Status: checkpoint.Failed, Rewind: true}))
		hashes(map[uint64]uint64{0: 10, 1<<64 - 1: 1})
		page, err := s.Unseen(ctx, target.ID, 99, 0, 10)
		must(t, err)
		want = []checkpoint.HashEntry{{Key: 0, Hash: 10, Ident: "a"}, {Key: 1, Ident: "b"}, {Key: 1<<64 - 1, Hash: 1, Ident: "f"}}
		if d := cmp.Diff(want, page); d != "" {
			t.Errorf("Unseen after a rewind (-want +got):\n%s", d)
		}
		must(t, l.ClearHashes(ctx))
		hashes(map[uint64]uint64{})
		page, err = s.Unseen(ctx, target.ID, 99, 0, 10)
		must(t, err)
		want = []checkpoint.HashEntry{{Key: 0, Ident: "a"}, {Key: 1, Ident: "b"}, {Key: 1<<64 - 1, Ident: "f"}}
		if d := cmp.Diff(want, page); d != "" {
			t.Errorf("Unseen after all is cleared (-want +got):\n%s", d)
		}
		left, err := s.Unseen(ctx, other.Target().ID, 99, 0, 10)
		if err != nil || len(left) != 1 {
			t.Errorf("another target's hashes: %v, %v", left, err)
		}
	})
}

// Statements hold a limited number of keys; callers need not know.
func TestManyKeys(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *checkpoint.Store) {
		ctx := t.Context()
		l, target := lease(t, s, "users", "prod")
		r := begin(t, l, checkpoint.Incremental)
		const n = 1300
		var p checkpoint.Progress
		var keys []uint64
		for i := range uint64(n) {
			keys = append(keys, i)
			p.Hashes = append(p.Hashes, checkpoint.HashEntry{Key: i, Hash: i})
			p.Rejects = append(p.Rejects, checkpoint.Reject{ID: fmt.Sprint(i), Key: []byte(`1`), KeyHash: i})
		}
		must(t, checkpoint.SaveRun(ctx, l, r, p))
		for _, want := range []int{n, 0} {
			got := map[uint64]uint64{}
			must(t, s.Hashes(ctx, target.ID, keys, got))
			open, err := s.OpenRejectKeys(ctx, target.ID, 2*n)
			if err != nil || len(got) != want || len(open) != want {
				t.Errorf("%d hashes, %d rejects, %v, want %d", len(got), len(open), err, want)
			}
			must(t, checkpoint.SaveRun(ctx, l, r, checkpoint.Progress{Seen: keys}))
			must(t, l.ForgetHashes(ctx, keys))
			must(t, checkpoint.SaveRun(ctx, l, r, checkpoint.Progress{Resolved: keys}))
		}
	})
}

func TestRejects(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *checkpoint.Store) {
		ctx := t.Context()
		l, target := lease(t, s, "usage", "prod")
		first := time.Date(2026, 1, 31, 12, 0, 0, 123456000, time.UTC)
		j := checkpoint.Reject{
			ID: "a", Key: json.RawMessage(`{"id":1}`), KeyHash: 1 << 63, Code: "bad_time", Field: "time", Message: "no time",
			FirstSeen: first, Payload: json.RawMessage(`{"x":1}`),
		}
		r := begin(t, l, checkpoint.Incremental)
		must(t, checkpoint.SaveRun(ctx, l, r, checkpoint.Progress{Rejects: []checkpoint.Reject{
			j, {ID: "b", Key: json.RawMessage(`{"id":2}`), KeyHash: 2, Code: "bad_time"}, {ID: "c", Key: json.RawMessage(`{"id":2}`), KeyHash: 2, Code: "too_large"},
		}}))
		must(t, checkpoint.FinishRun(ctx, l, r, checkpoint.Outcome{Status: checkpoint.Partial}))

		// The next run files a again, and c's row is accepted, then refused again.
		r = begin(t, l, checkpoint.Incremental)
		again := j
		again.FirstSeen, again.Message, again.Payload = first.Add(time.Hour), "still no time", nil
		must(t, checkpoint.SaveRun(ctx, l, r, checkpoint.Progress{
			Resolved: []uint64{2},
			Rejects:  []checkpoint.Reject{again, {ID: "c", Key: json.RawMessage(`{"id":2}`), KeyHash: 2, Code: "too_large", FirstSeen: first}},
		}))
		j.TargetID, j.Sync, j.Project, j.RunID, j.Attempts, j.Message, j.Payload = target.ID, "usage", "prod", r.ID, 2, "still no time", nil
		got, err := s.Reject(ctx, "a")
		must(t, err)
		if d := cmp.Diff(&j, got); d != "" {
			t.Errorf("Reject (-want +got):\n%s", d)
		}
		if none, err := s.Reject(ctx, "b"); err != nil || none != nil {
			t.Errorf("a resolved reject is still there: %v, %v", none, err)
		}

		other, _ := lease(t, s, "accounts", "prod")
		or := begin(t, other, checkpoint.Incremental)
		must(t, checkpoint.SaveRun(ctx, other, or, checkpoint.Progress{Rejects: []checkpoint.Reject{{ID: "d", Key: json.RawMessage(`3`), KeyHash: 2, Code: "bad_time"}}}))
		must(t, checkpoint.SaveRun(ctx, other, or, checkpoint.Progress{Resolved: []uint64{1 << 63}})) // usage's a is none of its business

		for _, test := range []struct {
			f    checkpoint.RejectFilter
			want string
		}{
			{checkpoint.RejectFilter{}, "a c d "},
			{checkpoint.RejectFilter{Sync: "usage"}, "a c "},
			{checkpoint.RejectFilter{Project: "test"}, ""},
			{checkpoint.RejectFilter{Project: "prod", Code: "bad_time"}, "a d "},
			{checkpoint.RejectFilter{IDs: []string{"d", "c", "x"}}, "c d "},
			{checkpoint.RejectFilter{AfterID: "a", Limit: 1}, "c "},
		} {
			list, err := s.Rejects(ctx, test.f)
			must(t, err)
			ids := ""
			for _, j := range list {
				ids += j.ID + " "
			}
			if ids != test.want {
				t.Errorf("Rejects(%+v) = %s, want %s", test.f, ids, test.want)
			}
		}
		counts, err := s.RejectCounts(ctx)
		must(t, err)
		wantCounts := []checkpoint.RejectCount{
			{TargetID: other.Target().ID, Sync: "accounts", Project: "prod", Code: "bad_time", N: 1},
			{TargetID: target.ID, Sync: "usage", Project: "prod", Code: "bad_time", N: 1},
			{TargetID: target.ID, Sync: "usage", Project: "prod", Code: "too_large", N: 1},
		}
		if d := cmp.Diff(wantCounts, counts); d != "" {
			t.Errorf("RejectCounts (-want +got):\n%s", d)
		}
		if keys, err := s.OpenRejectKeys(ctx, target.ID, 1); err != nil || len(keys) != 1 {
			t.Errorf("OpenRejectKeys = %v, %v", keys, err)
		}
		if n, err := s.DropRejects(ctx, checkpoint.RejectFilter{Sync: "usage", IDs: []string{"a", "d"}}); n != 1 || err != nil {
			t.Errorf("DropRejects = %d, %v, want 1", n, err)
		}
		if n, err := s.DropRejects(ctx, checkpoint.RejectFilter{}); n != 2 || err != nil {
			t.Errorf("DropRejects = %d, %v, want 2", n, err)
		}
	})
}
