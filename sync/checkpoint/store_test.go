package checkpoint_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mixsync/mixsync/connectors/postgres/postgrestest"
	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/sync/checkpoint"
)

func ptr[T any](v T) *T { return &v }

// open opens a state file and closes it with the test.
func open(t *testing.T, url string, o checkpoint.Options) *checkpoint.Store {
	t.Helper()
	s, err := checkpoint.Open(t.Context(), url, o)
	if err != nil {
		t.Fatalf("Open(%q): %v", url, err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func fileURL(t *testing.T) string { return "sqlite:" + t.TempDir() + "/state.db" }

// lease acquires the lease of a target and releases it with the test.
func lease(t *testing.T, s *checkpoint.Store, sync, project string) (*checkpoint.Lease, *checkpoint.Target) {
	t.Helper()
	target, err := s.Target(t.Context(), sync, project)
	if err != nil {
		t.Fatalf("Target: %v", err)
	}
	l, err := s.Acquire(t.Context(), target)
	if err != nil {
		t.Fatalf("Acquire: %v", err)
	}
	t.Cleanup(func() {
		if err := l.Release(); err != nil {
			t.Errorf("Release: %v", err)
		}
	})
	return l, target
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func begin(t *testing.T, l *checkpoint.Lease, kind string) *checkpoint.Run {
	t.Helper()
	r := &checkpoint.Run{Kind: kind}
	must(t, checkpoint.StartRun(t.Context(), l, r))
	return r
}

// Every test that does not need a file runs on all kinds of store.
func onBoth(t *testing.T, test func(t *testing.T, s *checkpoint.Store)) {
	t.Run("file", func(t *testing.T) {
		t.Parallel()
		test(t, open(t, fileURL(t), checkpoint.Options{}))
	})
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		test(t, open(t, "sqlite::memory:", checkpoint.Options{}))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, open(t, postgrestest.Start(t), checkpoint.Options{}))
	})
}

func TestRunFromBeginToEnd(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *checkpoint.Store) {
		ctx := t.Context()
		l, target := lease(t, s, "usage", "prod")

		r := &checkpoint.Run{
			Kind:        checkpoint.Incremental,
			Window:      checkpoint.Window{From: ptr("1"), To: ptr("9")},
			Shape:       "abc",
			MarkBefore:  ptr("1"),
			Fingerprint: []byte(`{"v":1}`),
		}
		must(t, checkpoint.StartRun(ctx, l, r))
		if r.ID == "" || r.Seq != 1 || r.Status != checkpoint.Running || r.TargetID != target.ID || r.StartedAt.IsZero() {
			t.Fatalf("Begin left the run at %+v", r)
		}

		position := &warehouse.Position{Cursor: ptr("5"), Keys: []*string{ptr("k"), nil}, Seen: 2}
		counts := checkpoint.Counts{Rows: 5, Accepted: 4, Rejected: 1, RejectCounts: map[string]int64{"bad_time": 1}}
		must(t, checkpoint.SaveRun(ctx, l, r, checkpoint.Progress{Position: position, Counts: counts}))
		must(t, checkpoint.SaveRun(ctx, l, r, checkpoint.Progress{Counts: counts})) // keeps the position

		got, err := l.Unfinished(ctx, checkpoint.Incremental)
		must(t, err)
		want := *r
		want.Counts, want.Fingerprint, want.CursorKind = counts, nil, 0
		if d := cmp.Diff(&want, got); d != "" {
			t.Errorf("Unfinished after Save (-want +got):\n%s", d)
		}
		if part, err := checkpoint.SavedSlice(ctx, s, r); err != nil || !cmp.Equal(part.Position, position) {
			t.Errorf("position = %v, %v, want %v", part.Position, err, position)
		}
		if other, err := l.Unfinished(ctx, checkpoint.Resync); err != nil || other != nil {
			t.Errorf("Unfinished(resync) = %v, %v, want none", other, err)
		}

		mark := &checkpoint.Mark{Kind: warehouse.TimestampTZ, Text: "9"}
		must(t, checkpoint.FinishRun(ctx, l, got, checkpoint.Outcome{
			Status: checkpoint.Partial, Mark: mark, LedgerFrom: ptr(int64(7)), Columns: []string{"a", "b"},
		}))
		if left, err := l.Unfinished(ctx, checkpoint.Incremental); err != nil || left != nil {
			t.Errorf("Unfinished after Finish = %v, %v, want none", left, err)
		}
		stored, err := s.Run(ctx, r.ID)
		must(t, err)
		got.Fingerprint = nil
		if d := cmp.Diff(got, stored); d != "" {
			t.Errorf("Run after Finish (-as Finish left it +stored):\n%s", d)
		}
		if stored.MarkAfter == nil || *stored.MarkAfter != "9" || stored.FinishedAt == nil {
			t.Errorf("a finished run is %+v", stored)
		}

		again, err := s.Target(ctx, "usage", "prod")
		must(t, err)
		if d := cmp.Diff(&checkpoint.Target{
			ID: target.ID, Sync: "usage", Project: "prod", Mark: mark, Fingerprint: []byte(`{"v":1}`),
			LedgerFrom: ptr(int64(7)), Sent: true, Columns: []string{"a", "b"}, UpdatedAt: again.UpdatedAt,
		}, again); d != "" {
			t.Errorf("Target after Finish (-want +got):\n%s", d)
		}
		target.UpdatedAt = again.UpdatedAt
		if d := cmp.Diff(again, target); d != "" {
			t.Errorf("the lease's target was not brought up to date:\n%s", d)
		}
	})
}

func TestOneUnfinishedRunOfAKind(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *checkpoint.Store) {
		ctx := t.Context()
		l, _ := lease(t, s, "usage", "prod")
		first := begin(t, l, checkpoint.Incremental)
		begin(t, l, checkpoint.Resync)

		wantKind(t, checkpoint.StartRun(ctx, l, &checkpoint.Run{Kind: checkpoint.Incremental}), checkpoint.KindUsage)
		must(t, checkpoint.FinishRun(ctx, l, first, checkpoint.Outcome{Status: checkpoint.Failed, Error: []byte(`{"code":"x"}`)}))
		wantKind(t, checkpoint.StartRun(ctx, l, &checkpoint.Run{Kind: checkpoint.Incremental}), checkpoint.KindUsage)

		again, err := l.Unfinished(ctx, checkpoint.Incremental)
		must(t, err)
		if again.ID != first.ID || string(again.Error) != `{"code":"x"}` {
			t.Fatalf("Unfinished = %+v, want the failed run %s", again, first.ID)
		}
		must(t, checkpoint.StartRun(ctx, l, again))
		if again.Status != checkpoint.Running || again.Seq != first.Seq || again.FinishedAt != nil || again.Error != nil {
			t.Errorf("a run taken up again is %+v", again)
		}
		must(t, l.Abandon(ctx, again.ID, []byte(`{"code":"superseded"}`)))
		if err := checkpoint.SaveRun(ctx, l, again, checkpoint.Progress{}); !errors.Is(err, checkpoint.ErrOver) {
			t.Errorf("Save of an abandoned run = %v, want ErrOver", err)
		}
		wantKind(t, l.Abandon(ctx, again.ID, nil), checkpoint.KindUsage)
		// Whoever asked for it knows it by its id.
		anew := &checkpoint.Run{ID: again.ID, Kind: checkpoint.Incremental}
		must(t, l.Begin(ctx, anew, []checkpoint.Window{{}}))
		if anew.ID != again.ID || anew.Seq != 3 || anew.Status != checkpoint.Running {
			t.Errorf("begun anew under its id it is %+v", anew)
		}
		runs, err := s.Runs(ctx, checkpoint.RunFilter{Sync: "usage", Limit: 2})
		must(t, err)
		if len(runs) != 2 || runs[0].Seq != 3 || runs[1].Seq != 2 {
			t.Errorf("Runs = %v, want numbers 3 and 2", runs)
		}
	})
}

func wantKind(t *testing.T, err error, kind checkpoint.Kind) {
	t.Helper()
	if e, ok := errors.AsType[*checkpoint.Error](err); !ok || e.Kind != kind {
		t.Errorf("got error %v, want one of kind %s", err, kind)
	}
}

// The places before a run's first reject and before its first row that is held
// outlive its process. A rewind clears the first: what is rejected then counts
// anew. What is held stays held.
func TestFloor(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *checkpoint.Store) {
		ctx := t.Context()
		l, _ := lease(t, s, "usage", "prod")
		r := begin(t, l, checkpoint.Incremental)
		for _, floor := range []*warehouse.Position{{}, {Cursor: ptr("5"), Seen: 1}} {
			must(t, checkpoint.SaveRun(ctx, l, r, checkpoint.Progress{Floor: floor, Held: floor}))
			must(t, checkpoint.SaveRun(ctx, l, r, checkpoint.Progress{Position: &warehouse.Position{Cursor: ptr("7")}})) // keeps the floor
			got, err := checkpoint.SavedSlice(ctx, s, r)
			must(t, err)
			if d := cmp.Diff([]*warehouse.Position{floor, floor}, []*warehouse.Position{got.Floor, got.Held}); d != "" {
				t.Errorf("floor and held (-saved +loaded):\n%s", d)
			}
		}
		must(t, checkpoint.FinishRun(ctx, l, r, checkpoint.Outcome{Status: checkpoint.Failed, Rewind: true}))
		got, err := checkpoint.SavedSlice(ctx, s, r)
		must(t, err)
		if got.Floor != nil || got.Held == nil || got.Position == nil || *got.Position.Cursor != "5" {
			t.Errorf("after a rewind floor = %v, held = %v, position = %v", got.Floor, got.Held, got.Position)
		}
	})
}

// Every attempt that fails is counted, also where the run is taken up in another
// process; interruptions are not.
func TestAttempts(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *checkpoint.Store) {
		ctx := t.Context()
		l, target := lease(t, s, "usage", "prod")
		r := begin(t, l, checkpoint.Incremental)
		want := 1
		for _, status := range []string{checkpoint.Failed, checkpoint.Interrupted, checkpoint.Failed, checkpoint.Failed} {
			must(t, checkpoint.FinishRun(ctx, l, r, checkpoint.Outcome{Status: status}))
			recent, err := s.Recent(ctx, 1)
			must(t, err)
			if got := recent[target.ID][0].Attempts; got != want || r.Attempts != want {
				t.Errorf("%s: saved are %d attempts, the run has %d, want %d", status, got, r.Attempts, want)
			}
			if status == checkpoint.Failed {
				want++
			}
			again, err := l.Unfinished(ctx, checkpoint.Incremental)
			must(t, err)
			must(t, checkpoint.StartRun(ctx, l, again))
			r = again
		}
		if r.Attempts != want {
			t.Errorf("taken up again the run has %d attempts, want %d", r.Attempts, want)
		}
	})
}
