package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mixsync/mixsync/connectors/mixpanel"
	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/sync/pipeline"
)

var schema = &warehouse.Schema{Fields: []warehouse.Field{{Name: "id", Kind: warehouse.Int}}}

// world is a random shape of a run, and everything that happens in it. Row i is
// the i-th row in read order. The properties are checked where they can break:
// in Save (the mark never passes an unsettled row) and in Send (order within a
// lane, a key once a request, limits).
type world struct {
	t   *testing.T
	rng *rand.Rand

	rows, batch, perRequest, senders, lanes int
	skip, refuse, retry, split, bisect      float64
	more                                    bool
	latency                                 time.Duration
	failSend, failSave, failRead, stopAt    int // -1: never
	resumable                               bool

	mu       sync.Mutex
	settled  map[int]int // row → records delivered or refused
	expected map[int]int // row → records it makes; 0 for skipped rows
	lastIn   map[uint64]int
	inFlight map[uint64]bool
	sends    int
	saves    int
	ready    int // rows before this are settled, in order
	saved    int // and before this saved
	attempts map[string]int
	stop     chan struct{}
}

var errInjected = errors.New("injected")

func newWorld(t *testing.T, seed uint64) *world {
	rng := rand.New(rand.NewPCG(seed, 17))
	never := func(n int) int {
		if rng.IntN(4) > 0 {
			return -1
		}
		return rng.IntN(n)
	}
	w := &world{
		t: t, rng: rng,
		rows: rng.IntN(900), batch: 1 + rng.IntN(60), perRequest: 1 + rng.IntN(50), senders: 1 + rng.IntN(8),
		lanes: rng.IntN(3) * (1 + rng.IntN(40)), skip: rng.Float64() * 0.9, refuse: rng.Float64() * 0.1, retry: rng.Float64() * 0.3,
		split: rng.Float64() * 0.2, bisect: rng.Float64() * 0.2, more: rng.IntN(2) == 0,
		latency:  time.Duration(rng.IntN(400)) * time.Millisecond,
		failSend: never(40), failSave: never(6), failRead: never(20), stopAt: never(20), resumable: true,
		settled: map[int]int{}, expected: map[int]int{}, lastIn: map[uint64]int{}, inFlight: map[uint64]bool{}, attempts: map[string]int{},
		stop: make(chan struct{}),
	}
	return w
}

// Source.
type source struct {
	*world
	r             *rand.Rand
	next, batches int
}

func (s *source) Next(ctx context.Context, b *warehouse.Batch) error {
	if s.batches == s.failRead {
		return errInjected
	}
	if s.batches == s.stopAt {
		close(s.stop)
	}
	s.batches++
	if s.next >= s.rows {
		return io.EOF
	}
	select {
	case <-time.After(time.Duration(s.r.IntN(50)) * time.Millisecond):
	case <-ctx.Done():
		return ctx.Err()
	}
	for range min(s.batch, s.rows-s.next) {
		b.Cols[0].AppendInt(int64(s.next))
		b.EndRow()
		s.next++
	}
	text := strconv.Itoa(s.next)
	b.Position = &warehouse.Position{Cursor: &text}
	return nil
}

// Encoder.
type encoder struct {
	*world
	b *warehouse.Batch
	r *rand.Rand
}

type note struct {
	*world
	first int
	rows  int
}

func (n *note) Refuse(row int, _ []byte, _ mixpanel.Refusal) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.settled[n.first+row]++
}

func (e *encoder) Open(_ context.Context, b *warehouse.Batch) (pipeline.Note, error) {
	e.b = b
	return &note{world: e.world, first: int(b.Cols[0].Int[0]), rows: b.Len()}, nil
}

func (e *encoder) Append(dst []byte, row int, rec *pipeline.Record) ([]byte, error) {
	id := int(e.b.Cols[0].Int[row])
	e.mu.Lock()
	defer e.mu.Unlock()
	e.expected[id] = 0
	if e.r.Float64() < e.skip {
		return dst, nil
	}
	e.expected[id] = 1
	rec.Send = true
	if e.lanes > 0 {
		rec.Lane = uint64(id%e.lanes) + 1
		rec.More = e.more && id%5 == 0
		if rec.More {
			e.expected[id] = 2
		}
	}
	return fmt.Appendf(dst, "%d/%d", rec.Lane, id), nil
}

func (e *encoder) AppendMore(dst []byte, row int) []byte {
	id := int(e.b.Cols[0].Int[row])
	return fmt.Appendf(dst, "%d/%d", uint64(id%e.lanes)+1, id)
}

func (e *encoder) Close() error { return nil }

// Sink.
func (w *world) Send(ctx context.Context, p *mixpanel.Payload) mixpanel.Outcome {
	lanes := w.arrive(p)
	w.mu.Lock()
	r := rand.New(rand.NewPCG(w.rng.Uint64(), 1))
	n := w.sends
	w.sends++
	w.mu.Unlock()
	if r.IntN(2) == 0 { // also a sink that never says so is served
		p.Packed()
	}
	select {
	case <-time.After(time.Duration(r.Int64N(int64(w.latency) + 1))):
	case <-ctx.Done():
		w.leave(lanes)
		return mixpanel.Outcome{Verdict: mixpanel.Retry, Err: ctx.Err()}
	}
	w.leave(lanes)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch x := r.Float64(); {
	case n == w.failSend:
		return mixpanel.Outcome{Verdict: mixpanel.Halt, Err: errInjected}
	case x < w.retry:
		return mixpanel.Outcome{Verdict: mixpanel.Retry, Err: errInjected}
	case p.Len() > 1 && x < w.retry+w.split:
		return mixpanel.Outcome{Verdict: mixpanel.Split, Err: errInjected, Limit: r.IntN(2) * len(p.Body) / 3}
	case p.Len() > 1 && x < w.retry+w.split+w.bisect:
		return mixpanel.Outcome{Verdict: mixpanel.Bisect, Err: errInjected}
	}
	o := mixpanel.Outcome{Verdict: mixpanel.Settled}
	for i := range p.Len() {
		if r.Float64() < w.refuse {
			o.Refused = append(o.Refused, mixpanel.Refusal{Index: i})
			continue
		}
		o.Accepted++
		_, id := parse(w.t, p.Record(i))
		w.settled[id]++
	}
	return o
}

// arrive checks what a request may hold while others are under way.
func (w *world) arrive(p *mixpanel.Payload) []uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.Len() == 0 || p.Len() > w.perRequest {
		w.t.Errorf("a request holds %d records, at most %d may", p.Len(), w.perRequest)
	}
	var lanes []uint64
	for i := range p.Len() {
		lane, id := parse(w.t, p.Record(i))
		if lane == 0 {
			continue
		}
		if slices.Contains(lanes, lane) {
			w.t.Errorf("lane %d is twice in one request", lane)
		}
		lanes = append(lanes, lane)
		if w.inFlight[lane] {
			w.t.Errorf("lane %d is in two requests at once", lane)
		}
		w.inFlight[lane] = true
		if id < w.lastIn[lane] {
			w.t.Errorf("lane %d: row %d was sent after row %d", lane, id, w.lastIn[lane])
		}
		w.lastIn[lane] = id
	}
	return lanes
}

func (w *world) leave(lanes []uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range lanes {
		delete(w.inFlight, l)
	}
}

func parse(t *testing.T, record []byte) (lane uint64, id int) {
	a, b, ok := strings.Cut(string(record), "/")
	lane, err1 := strconv.ParseUint(a, 10, 64)
	id, err2 := strconv.Atoi(b)
	if !ok || err1 != nil || err2 != nil {
		t.Errorf("a record was torn: %q", record)
	}
	return lane, id
}

// Journal.
func (w *world) Settle(x pipeline.Note) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := x.(*note)
	if n.first != w.ready {
		w.t.Errorf("the note of row %d was settled after %d rows", n.first, w.ready)
	}
	w.ready = n.first + n.rows
}

func (w *world) Save(_ context.Context, position *warehouse.Position) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.saves++
	if w.saves-1 == w.failSave {
		return errInjected
	}
	w.saved = w.ready
	if got := *position.Cursor; got != strconv.Itoa(w.saved) {
		w.t.Errorf("saved position %s after row %d", got, w.saved)
	}
	for row := range w.saved {
		if w.settled[row] < w.expected[row] {
			w.t.Errorf("row %d is saved but has %d of %d records settled", row, w.settled[row], w.expected[row])
		}
	}
	return nil
}

// Pacer.
func (w *world) Acquire(ctx context.Context) error { return ctx.Err() }
func (w *world) Release(*mixpanel.Outcome)         {}
func (w *world) Wait(ctx context.Context, n int, _ time.Time, _ *mixpanel.Outcome) error {
	select {
	case <-time.After(time.Duration(n) * time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *world) do(ctx context.Context) error { return w.run().Do(ctx) }

func (w *world) run() *pipeline.Run {
	return &pipeline.Run{
		Source: &source{world: w, r: rand.New(rand.NewPCG(5, uint64(w.rows)))}, Schema: schema, Encoder: &encoder{world: w, r: rand.New(rand.NewPCG(3, uint64(w.rows)))},
		Sink: w, Journal: w, Pacer: w, Endpoint: mixpanel.Groups, Senders: w.senders, Stop: w.stop, Every: 100 * time.Millisecond,
		Limits: mixpanel.Limits{Records: w.perRequest, Bytes: 1000, Record: 1000},
	}
}

func TestNothingUnsettledIsEverSaved(t *testing.T) {
	t.Parallel()
	for seed := range uint64(600) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, seed)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			cancelled := seed%7 == 0
			if cancelled {
				time.AfterFunc(time.Duration(w.rng.IntN(3000))*time.Millisecond, cancel)
			}
			err := w.do(ctx)
			switch {
			case err == nil:
				if w.saved != w.rows {
					t.Errorf("seed %d: all is well with %d of %d rows saved", seed, w.saved, w.rows)
				}
			case errors.Is(err, pipeline.ErrStopped) && w.stopAt >= 0:
				// A soft stop delivers and saves whatever was read.
				if n := min(w.rows, w.stopAt*w.batch); w.saved < n {
					t.Errorf("seed %d: stopped with %d rows saved of %d read", seed, w.saved, n)
				}
			case errors.Is(err, errInjected), cancelled && errors.Is(err, context.Canceled):
			default:
				t.Errorf("seed %d: Do() = %v", seed, err)
			}
			if t.Failed() {
				t.Fatalf("seed %d: %+v", seed, w.shape())
			}
		})
	}
}

func (w *world) shape() string {
	return fmt.Sprintf("rows %d batch %d request %d senders %d lanes %d failSend %d failSave %d failRead %d stopAt %d",
		w.rows, w.batch, w.perRequest, w.senders, w.lanes, w.failSend, w.failSave, w.failRead, w.stopAt)
}

// A source that fails leaves what was read delivered and saved.
func TestReadErrorKeepsProgress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.rows, w.batch, w.failRead, w.failSend, w.failSave, w.stopAt = 500, 10, 20, -1, -1, -1
		if err := w.do(t.Context()); !errors.Is(err, errInjected) {
			t.Fatalf("Do() = %v, want %v", err, errInjected)
		}
		if w.saved != 200 {
			t.Errorf("%d rows saved, want the 200 that were read", w.saved)
		}
	})
}

// A run that halts while progress is being saved keeps that progress and tells
// why it halted.
func TestHaltDuringASave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.rows, w.batch, w.perRequest, w.senders, w.lanes, w.skip = 500, 10, 5, 4, 0, 0
		w.latency, w.retry, w.split, w.bisect, w.refuse = 20*time.Millisecond, 0, 0, 0, 0
		w.failSend, w.failSave, w.failRead, w.stopAt = -1, -1, -1, -1
		saving := make(chan struct{})
		run := w.run()
		run.Journal = slowJournal{w, sync.OnceFunc(func() { close(saving) })}
		run.Sink = haltAfter{w, saving}
		if err := run.Do(t.Context()); !errors.Is(err, errInjected) {
			t.Errorf("Do() = %v, want the error that halted the run", err)
		}
		if w.saved == 0 || w.saved != w.ready {
			t.Errorf("%d rows are saved of %d that are settled", w.saved, w.ready)
		}
	})
}

// slowJournal takes its time to save, unless its context ends.
type slowJournal struct {
	*world
	began func()
}

func (j slowJournal) Save(ctx context.Context, position *warehouse.Position) error {
	j.began()
	select {
	case <-time.After(time.Second):
		return j.world.Save(ctx, position)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// haltAfter is a sink that halts the run once a channel is closed.
type haltAfter struct {
	*world
	from <-chan struct{}
}

func (s haltAfter) Send(ctx context.Context, p *mixpanel.Payload) mixpanel.Outcome {
	select {
	case <-s.from:
		return mixpanel.Outcome{Verdict: mixpanel.Halt, Err: errInjected}
	default:
		return s.world.Send(ctx, p)
	}
}

// refusing is a Mixpanel that refuses every batch without saying why.
type refusing struct{ *world }

func (r refusing) Send(_ context.Context, p *mixpanel.Payload) mixpanel.Outcome {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sends++
	if p.Len() > 1 {
		return mixpanel.Outcome{Verdict: mixpanel.Bisect, Err: errInjected}
	}
	_, id := parse(r.t, p.Record(0))
	r.attempts[strconv.Itoa(id)]++
	return mixpanel.Outcome{Verdict: mixpanel.Settled, Refused: []mixpanel.Refusal{{}}}
}

// A batch that is wrong throughout is given up when the rejects are too many,
// not bisected to its last record.
func TestBisectionIsJudged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.rows, w.batch, w.perRequest, w.senders, w.lanes, w.skip = 1000, 1000, 1000, 1, 0, 0
		w.failRead, w.failSend, w.failSave, w.stopAt = -1, -1, -1, -1
		run := w.run()
		run.Sink, run.Limits.Bytes = refusing{w}, 1<<20
		run.Judge = func() error {
			w.mu.Lock()
			defer w.mu.Unlock()
			if len(w.attempts) >= 10 {
				return errInjected
			}
			return nil
		}
		if err := run.Do(t.Context()); !errors.Is(err, errInjected) {
			t.Fatalf("Do() = %v, want %v", err, errInjected)
		}
		if w.sends > 60 || w.saved != 0 {
			t.Errorf("%d requests and %d rows saved, want few and none", w.sends, w.saved)
		}
	})
}
