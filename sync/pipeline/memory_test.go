package pipeline_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mixsync/mixsync/connectors/mixpanel"
	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/sync/pipeline"
)

// steady is a world in which nothing goes wrong.
func steady(t *testing.T, rows int) *world {
	w := newWorld(t, 1)
	w.rows, w.batch, w.perRequest, w.senders, w.lanes, w.skip = rows, 10, 5, 8, 0, 0
	w.retry, w.split, w.bisect, w.refuse, w.latency = 0, 0, 0, 0, 0
	w.failRead, w.failSend, w.failSave, w.stopAt = -1, -1, -1, -1
	return w
}

// A pass works with the batches and payloads of the one before, and with nothing
// that was left in them.
func TestMemoryGoesFromPassToPass(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory := &pipeline.Memory{}
		batches, bodies := map[*warehouse.Batch]bool{}, map[*byte]bool{}
		pass := func(rows int) (newBatches, newBodies int) {
			w := steady(t, rows)
			w.senders, w.latency = 2, time.Second // always behind: every payload there may be is in use
			run := w.run()
			run.Memory = memory
			seen, sent := len(batches), len(bodies)
			run.Source = watched{run.Source, batches}
			run.Sink = bodyWatch{w, bodies}
			if err := run.Do(t.Context()); err != nil {
				t.Fatal(err)
			}
			if w.saved != rows {
				t.Errorf("%d rows are saved, want %d", w.saved, rows)
			}
			return len(batches) - seen, len(bodies) - sent
		}
		if b, x := pass(500); b == 0 || x == 0 {
			t.Fatalf("the first pass was seen to use %d batches and %d payloads", b, x)
		}
		if b, x := pass(300); b != 0 || x != 0 {
			t.Errorf("the second pass made %d batches and %d payloads, want none", b, x)
		}
	})
}

type watched struct {
	pipeline.Source
	seen map[*warehouse.Batch]bool
}

func (s watched) Next(ctx context.Context, b *warehouse.Batch) error {
	if b.Len() != 0 || b.Position != nil {
		panic("a batch was handed out with rows of an earlier pass")
	}
	s.seen[b] = true
	return s.Source.Next(ctx, b)
}

// bodyWatch knows payloads by where their memory begins.
type bodyWatch struct {
	*world
	seen map[*byte]bool
}

func (s bodyWatch) Send(ctx context.Context, p *mixpanel.Payload) mixpanel.Outcome {
	s.mu.Lock()
	s.seen[&p.Body[0]] = true
	s.mu.Unlock()
	return s.world.Send(ctx, p)
}

// Payloads that wait to be compressed are few; the network is given as many as
// there are senders.
func TestPayloadsDoNotQueueForProcessors(t *testing.T) {
	t.Parallel()
	for _, packs := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := steady(t, 1000)
			w.senders = runtime.GOMAXPROCS(0) + 8
			s := &held{world: w, packs: packs, until: make(chan struct{})}
			run := w.run()
			run.Sink = s
			time.AfterFunc(time.Minute, func() { close(s.until) })
			ended := make(chan error, 1)
			go func() { ended <- run.Do(t.Context()) }()
			time.Sleep(30 * time.Second)
			synctest.Wait()
			want := runtime.GOMAXPROCS(0) + 1
			if packs {
				want = w.senders
			}
			if w.mu.Lock(); s.now != want {
				t.Errorf("packed %t: %d payloads are in the sink's hands, want %d", packs, s.now, want)
			}
			w.mu.Unlock()
			if err := <-ended; err != nil || w.saved != w.rows {
				t.Errorf("Do() = %v with %d rows saved, want all %d", err, w.saved, w.rows)
			}
		})
	}
}

// held is a sink that keeps what it is given until it is told to go on.
type held struct {
	*world
	packs bool
	now   int
	until chan struct{}
}

func (s *held) Send(ctx context.Context, p *mixpanel.Payload) mixpanel.Outcome {
	s.mu.Lock()
	s.now++
	s.mu.Unlock()
	if s.packs {
		p.Packed()
	}
	<-s.until
	return s.world.Send(ctx, p)
}
