package checkpoint

import (
	"context"
	"sync"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// Most tests are about runs of one slice. These begin, save and finish such a
// run as the runner does, and know the slice by the run.
var slicesByRun sync.Map // run id → *Slice

// StartRun begins a run of one slice, or takes one up again, and claims the slice.
func StartRun(ctx context.Context, l *Lease, r *Run) error {
	r.CursorKind = warehouse.Int
	var whole []Window
	if r.ID == "" {
		whole = []Window{r.Window}
	}
	if err := l.Begin(ctx, r, whole); err != nil {
		return err
	}
	s, err := l.Claim(ctx, r, false)
	if err == nil {
		slicesByRun.Store(r.ID, s)
	}
	return err
}

func sliceOf(r *Run) *Slice {
	s, _ := slicesByRun.Load(r.ID)
	return s.(*Slice)
}

// SaveRun saves progress of the run's slice.
func SaveRun(ctx context.Context, l *Lease, r *Run, p Progress) error {
	s := sliceOf(r)
	_, err := l.Save(ctx, r, s, p)
	if err == nil {
		s.Counts = p.Counts
	}
	return err
}

// FinishRun ends the run, its slice being done if it ended well.
func FinishRun(ctx context.Context, l *Lease, r *Run, o Outcome) error {
	if o.Status == Succeeded || o.Status == Partial {
		s := sliceOf(r)
		if err := l.Done(ctx, r, s, Done{Counts: s.Counts, Lookback: func(string) *int64 { return nil }}); err != nil {
			return err
		}
	}
	return l.Finish(ctx, r, o)
}

// SavedSlice is the run's slice as the state has it.
func SavedSlice(ctx context.Context, s *Store, r *Run) (*Slice, error) {
	list, err := s.Slices(ctx, r.ID)
	if err != nil || len(list) != 1 {
		return &Slice{}, err
	}
	return &list[0], nil
}
