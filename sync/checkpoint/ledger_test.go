package checkpoint_test

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/sync/checkpoint"
)

// modelLedger is the ledger as anyone would write it who had no million rows.
type modelLedger struct {
	entries map[uint64]checkpoint.Entry
	filedBy map[uint64]int64 // the run that filed a key's entry
	from    int64
}

func (m *modelLedger) save(run int64, entries []checkpoint.Entry) {
	for _, e := range entries {
		m.entries[e.Key] = e
		delete(m.filedBy, e.Key)
		if e.Filed {
			m.filedBy[e.Key] = run
		}
	}
}

func (m *modelLedger) rewind(run int64) {
	for k, by := range m.filedBy {
		if by == run {
			delete(m.entries, k)
			delete(m.filedBy, k)
		}
	}
}

func (m *modelLedger) prune(from int64) {
	m.from = from
	for k, e := range m.entries {
		if e.Cursor < from {
			delete(m.entries, k)
			delete(m.filedBy, k)
		}
	}
}

// Random saves, rewinds, prunes and reopenings: the ledger always answers as
// the model does.
func TestLedgerIsAMap(t *testing.T) {
	t.Parallel()
	for seed := range uint64(9) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(seed, 0))
			// Few keys make replacements, many make many segments.
			keys := 1 + rnd.Uint64N([]uint64{20, 500, 20_000}[seed%3])
			key := func() uint64 { return rnd.Uint64N(keys) * (math.MaxUint64 / keys) }
			url := fileURL(t)
			m := modelLedger{entries: map[uint64]checkpoint.Entry{}, filedBy: map[uint64]int64{}, from: math.MinInt64}
			now := int64(rnd.IntN(1000)) - 500
			for range 3 {
				ledgerRuns(t, url, rnd, key, &m, &now)
			}
		})
	}
}

func ledgerRuns(t *testing.T, url string, rnd *rand.Rand, key func() uint64, m *modelLedger, now *int64) {
	ctx := t.Context()
	s, err := checkpoint.Open(ctx, url, checkpoint.Options{})
	must(t, err)
	defer s.Close()
	l, target := lease(t, s, "usage", "prod")
	defer l.Release()
	for range 6 {
		r, err := l.Unfinished(ctx, checkpoint.Incremental)
		must(t, err)
		if r == nil {
			r = &checkpoint.Run{Kind: checkpoint.Incremental}
		}
		must(t, checkpoint.StartRun(ctx, l, r))
		for range rnd.IntN(8) {
			entries := make([]checkpoint.Entry, rnd.IntN(1<<rnd.IntN(12)))
			for i := range entries {
				*now += int64(rnd.IntN(3))
				entries[i] = checkpoint.Entry{
					Key: key(), Cursor: *now - int64(rnd.IntN(1<<rnd.IntN(10))), Hash: rnd.Uint64(), Filed: rnd.IntN(5) == 0,
				}
			}
			// What lies below the start of the ledger is not found; the model
			// has no word for that.
			for i := range entries {
				entries[i].Cursor = max(entries[i].Cursor, m.from)
			}
			must(t, checkpoint.SaveRun(ctx, l, r, checkpoint.Progress{Ledger: entries}))
			m.save(r.Seq, entries)
			compareLedger(t, s, target.ID, rnd, key, m)
		}
		o := checkpoint.Outcome{Status: checkpoint.Succeeded}
		if rnd.IntN(3) == 0 {
			o.Status, o.Rewind = checkpoint.Failed, true
			m.rewind(r.Seq)
		}
		if rnd.IntN(2) == 0 {
			from := max(m.from, *now-int64(rnd.IntN(1<<rnd.IntN(14))))
			o.LedgerFrom = &from
			m.prune(from)
		}
		must(t, checkpoint.FinishRun(ctx, l, r, o))
		compareLedger(t, s, target.ID, rnd, key, m)
	}
}

func compareLedger(t *testing.T, s *checkpoint.Store, target int64, rnd *rand.Rand, key func() uint64, m *modelLedger) {
	t.Helper()
	keys := []uint64{0, math.MaxUint64}
	for range rnd.IntN(50) { // some are there, some not, some twice
		keys = append(keys, key(), rnd.Uint64())
	}
	want, got := map[uint64]checkpoint.Entry{}, map[uint64]checkpoint.Entry{}
	for _, k := range keys {
		if e, ok := m.entries[k]; ok {
			want[k] = e
		}
	}
	must(t, s.Ledger(t.Context(), target, keys, got))
	if !maps.Equal(got, want) {
		t.Fatalf("Ledger differs from the model (-model +ledger):\n%s", cmp.Diff(want, got))
	}
	high, n, ok, err := s.LedgerHigh(t.Context(), target)
	must(t, err)
	for _, e := range m.entries {
		if !ok || e.Cursor > high {
			t.Fatalf("LedgerHigh = %d, %t, but there is %+v", high, ok, e)
		}
	}
	if n < int64(len(m.entries)) {
		t.Fatalf("LedgerHigh counts %d of %d entries", n, len(m.entries))
	}
}

// A longer lookback, set later, moves the start of the ledger back: what a
// resync saved below the old start counts from then on.
func TestLedgerFromMovesBack(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *checkpoint.Store) {
		ctx := t.Context()
		l, target := lease(t, s, "usage", "prod")
		r := begin(t, l, checkpoint.Incremental)
		must(t, checkpoint.SaveRun(ctx, l, r, checkpoint.Progress{Ledger: []checkpoint.Entry{{Key: 1, Cursor: 100}}}))
		must(t, checkpoint.FinishRun(ctx, l, r, checkpoint.Outcome{Status: checkpoint.Succeeded, LedgerFrom: ptr(int64(90))}))

		r = begin(t, l, checkpoint.Resync)
		for c := range int64(60) {
			must(t, checkpoint.SaveRun(ctx, l, r, checkpoint.Progress{Ledger: []checkpoint.Entry{{Key: uint64(c), Cursor: 40 + c}}}))
		}
		found := func(want int) {
			t.Helper()
			into := map[uint64]checkpoint.Entry{}
			must(t, s.Ledger(ctx, target.ID, []uint64{0, 1, 2, 58, 59}, into))
			if len(into) != want {
				t.Errorf("found %v, want %d entries", into, want)
			}
		}
		found(2) // 58 and 59 at 98 and 99; key 1 was sent again at 41
		must(t, checkpoint.FinishRun(ctx, l, r, checkpoint.Outcome{Status: checkpoint.Succeeded, LedgerFrom: ptr(int64(40))}))
		found(5)
	})
}

// Ledgers stay small on disk however many runs there are.
func TestLedgerGivesSpaceBack(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := open(t, fileURL(t), checkpoint.Options{})
	l, target := lease(t, s, "usage", "prod")
	rnd := rand.New(rand.NewPCG(1, 2))
	const perRun, lookback = 100, 10 // a row a tick; lookback in runs
	for i := range int64(120) {
		r := begin(t, l, checkpoint.Incremental)
		var p checkpoint.Progress
		for j := range int64(perRun) {
			p.Ledger = append(p.Ledger, checkpoint.Entry{Key: rnd.Uint64(), Cursor: i*perRun + j})
		}
		must(t, checkpoint.SaveRun(ctx, l, r, p))
		must(t, checkpoint.FinishRun(ctx, l, r, checkpoint.Outcome{Status: checkpoint.Succeeded, LedgerFrom: ptr((i - lookback) * perRun)}))
		if _, n, _, err := s.LedgerHigh(ctx, target.ID); err != nil || n > 4*perRun*lookback {
			t.Fatalf("after run %d the ledger has %d entries, %v", i, n, err)
		}
	}
}

// A save of a batch's entries, and a look-up of a batch's keys, in a ledger of a
// million.
func BenchmarkLedger(b *testing.B) {
	ctx := b.Context()
	s, err := checkpoint.Open(ctx, "sqlite:"+b.TempDir()+"/state.db", checkpoint.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	target, err := s.Target(ctx, "usage", "prod")
	if err != nil {
		b.Fatal(err)
	}
	l, err := s.Acquire(ctx, target)
	if err != nil {
		b.Fatal(err)
	}
	defer l.Release()
	r := &checkpoint.Run{Kind: checkpoint.Incremental}
	if err := checkpoint.StartRun(ctx, l, r); err != nil {
		b.Fatal(err)
	}
	const batch, million = warehouse.MaxBatchRows, 1_000_000
	keys := make([]uint64, 0, million+batch)
	save := func(b *testing.B, n int) {
		for range n {
			p := checkpoint.Progress{Ledger: make([]checkpoint.Entry, batch)}
			for i := range p.Ledger {
				k := rand.Uint64()
				p.Ledger[i] = checkpoint.Entry{Key: k, Cursor: int64(len(keys)), Hash: k}
				if len(keys) < cap(keys) {
					keys = append(keys, k)
				}
			}
			if err := checkpoint.SaveRun(ctx, l, r, p); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("save", func(b *testing.B) {
		for b.Loop() {
			if err := s.SetMark(ctx, l, nil); err != nil { // empties the ledger
				b.Fatal(err)
			}
			keys, r = keys[:0], &checkpoint.Run{Kind: checkpoint.Incremental}
			if err := checkpoint.StartRun(ctx, l, r); err != nil {
				b.Fatal(err)
			}
			save(b, million/batch)
		}
		b.ReportMetric(float64(b.N)*(million/batch)*batch/b.Elapsed().Seconds(), "entries/s")
	})
	if len(keys) == 0 {
		save(b, million/batch)
	}
	b.Run("look up", func(b *testing.B) {
		into := make(map[uint64]checkpoint.Entry, batch)
		for i := 0; b.Loop(); i++ {
			clear(into)
			at := i * batch % (len(keys) - batch)
			if err := s.Ledger(ctx, target.ID, keys[at:at+batch], into); err != nil || len(into) != batch {
				b.Fatal(len(into), err)
			}
		}
	})
}
