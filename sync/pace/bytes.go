package pace

import (
	"context"

	"golang.org/x/sync/semaphore"
)

// Bytes bounds the memory of payloads between their making and their fate, so
// that huge records make for fewer payloads in flight and not for more memory.
// Create it with NewBytes.
type Bytes struct {
	max int64
	sem *semaphore.Weighted
}

// NewBytes makes a budget of so many bytes; 0 = 64 MiB, room for 32 requests of
// the 2 MB that profiles may take and for six of the largest of events.
func NewBytes(budget int64) *Bytes {
	if budget <= 0 {
		budget = 64 << 20
	}
	return &Bytes{max: budget, sem: semaphore.NewWeighted(budget)}
}

// Acquire waits until n bytes are free, first come, first served. More than the
// whole budget counts as the whole: such a payload travels alone. The result is
// what to give to Release; the error is the context's cause.
func (b *Bytes) Acquire(ctx context.Context, n int) (held int64, err error) {
	held = min(int64(n), b.max)
	if b.sem.Acquire(ctx, held) != nil {
		return 0, context.Cause(ctx)
	}
	return held, nil
}

// Release gives back what Acquire returned.
func (b *Bytes) Release(held int64) { b.sem.Release(held) }
