package runner_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mixsync/mixsync/connectors/mixpanel"
	"github.com/mixsync/mixsync/mapping"
	"github.com/mixsync/mixsync/sync/runner"
)

// lookback of all syncs here, in values of the integer cursor.
const lookback = 6

// row is what the table holds of an id.
type row struct {
	at      int64
	company bool // has one
	val     string
}

func (r row) valid() bool { return r.company && r.val != "bad" }

// model is what the table holds, and what of it is news since the last time that
// everything had been sent.
type model struct {
	*world
	table  map[int64]row
	clean  map[int64]row // the table then
	before map[int64]int // delivered then
	max    int64         // cursor
	// disturbed says that a run since then was ended early, so that what it sent
	// may go again.
	disturbed bool
	mark      string
}

var errHalt = errors.New("halted")

// Whatever happens between and amid runs - rows that come late or share a
// cursor, rows that change and change back, rejects, crashes - nothing is lost,
// nothing goes twice, and a profile ends as the row's last value.
func TestLedger(t *testing.T) {
	t.Parallel()
	for name, sync := range map[string]func() runner.Sync{"events": eventSync, "profiles": profileSync} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(worlds) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, sync(), seed)
					defer w.close()
					w.sync.Cursor.Slice = [...]string{"", "3", "20"}[w.rng.IntN(3)]
					w.sync.Parallel = 1 + w.rng.IntN(3)
					m := &model{world: w, table: map[int64]row{}, clean: map[int64]row{}, before: map[int64]int{}, max: 100}
					w.rows, w.latency = 1+w.rng.IntN(9), 400*time.Millisecond
					for range 14 {
						m.change()
						m.step()
						if t.Failed() {
							t.Fatalf("seed %d", seed)
						}
					}
				})
			}
		})
	}
}

// change does to the table what its users do.
func (m *model) change() {
	if m.rng.IntN(6) == 0 {
		return
	}
	for range m.rng.IntN(25) {
		m.max += m.rng.Int64N(3)
		m.put(int64(len(m.table)+1), row{at: m.max, company: m.rng.IntN(8) > 0, val: m.value()})
	}
	for range m.rng.IntN(4) { // late, but within the lookback
		m.put(int64(len(m.table)+1), row{at: m.max - m.rng.Int64N(lookback+1), company: true, val: m.value()})
	}
	for range m.rng.IntN(6) {
		id := m.rng.Int64N(int64(len(m.table)) + 1)
		r, ok := m.table[id]
		if !ok {
			continue
		}
		if m.rng.IntN(2) == 0 {
			r.val = m.value()
		} else {
			r.company = !r.company
		}
		r.at = m.max + m.rng.Int64N(2)
		m.max = r.at
		m.put(id, r)
	}
	// A change that its table does not show by the cursor is seen within the
	// lookback only; of events, if it is of what they are deduplicated by.
	for _, id := range slices.Sorted(maps.Keys(m.table)) {
		if r := m.table[id]; r.at >= m.max-lookback && m.rng.IntN(12) == 0 {
			r.company = !r.company
			if m.sync.Spec.Type != mapping.Event {
				r.val = m.value()
			}
			m.put(id, r)
		}
	}
}

func (m *model) value() string {
	return [...]string{"A", "B", "A", "B", "C", "bad"}[m.rng.IntN(6)]
}

func (m *model) put(id int64, r row) {
	m.table[id] = r
	var company any
	if r.company {
		company = "c" + strconv.FormatInt(id, 10)
	}
	m.exec(`DELETE FROM t WHERE id = ?`, id)
	m.exec(`INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)`, id, r.at, time.Now().Unix()/1e6*1e6, company, "p"+strconv.FormatInt(id, 10), r.val)
}

// step does a run of some kind, and ends some before their time.
func (m *model) step() {
	ctx, cancel := context.WithCancel(m.t.Context())
	defer cancel()
	o := runner.Options{Resync: m.rng.IntN(10) == 0}
	if m.rng.IntN(10) == 0 {
		o.MaxRejects = &runner.Threshold{}
	}
	if !o.Resync && m.rng.IntN(12) == 0 {
		o.Start = strconv.FormatInt(m.max-m.rng.Int64N(30), 10)
	}
	var how func()
	switch m.rng.IntN(8) {
	case 0:
		how = cancel
	case 1:
		how = m.die
	case 2:
		how = func() { close(m.stop) }
	case 3:
		how = func() {}
	}
	if how == nil {
		m.send = m.trouble(-1, nil)
	} else {
		m.send = m.trouble(m.rng.IntN(4), how)
	}
	rep := m.run(ctx, o)
	if rep.Error != nil {
		m.disturbed = true
		m.store.Close() // again, where it died
		m.open()
	}
	switch {
	case rep.Error != nil && how == nil && rep.Error.Code != runner.CodeTooManyRejects:
		m.t.Errorf("the run failed by itself: %v", rep.Error)
	case rep.Error == nil && (o.Start != "" || o.Resync && rep.Resumed): // not all there is
		m.disturbed = true
	case rep.Error == nil:
		m.check(o.Resync)
	}
	m.checkMark(rep)
}

// trouble is a Mixpanel that answers badly at times, and from request n on ends
// the run with how, if that is set.
func (m *model) trouble(n int, how func()) func(context.Context, *mixpanel.Payload) (mixpanel.Outcome, bool) {
	var mu sync.Mutex
	requests, ended := 0, false
	return func(_ context.Context, p *mixpanel.Payload) (mixpanel.Outcome, bool) {
		mu.Lock()
		defer mu.Unlock()
		requests++
		if how != nil && requests > n && !ended {
			ended = true
			how()
			return mixpanel.Outcome{Verdict: mixpanel.Halt, Err: errHalt}, true
		}
		switch m.roll(12) {
		case 0:
			return mixpanel.Outcome{Verdict: mixpanel.Retry, Err: errHalt}, true
		case 1:
			if p.Len() > 1 {
				return mixpanel.Outcome{Verdict: mixpanel.Split, Err: errHalt}, true
			}
		}
		return mixpanel.Outcome{}, false
	}
}

// check is for after a run that did all it had to.
func (m *model) check(resync bool) {
	m.t.Helper()
	rejects := m.rejects()
	for id, r := range m.table {
		was, known := m.clean[id]
		news := !known || was != r || resync
		n := m.delivered[id] - m.before[id]
		switch {
		case !r.valid():
			if !rejects[id] {
				m.t.Errorf("row %d (%+v) was neither sent nor filed", id, r)
			}
			continue
		case rejects[id]:
			m.t.Errorf("row %d (%+v) was sent but has an open reject", id, r)
		case news && n == 0:
			m.t.Errorf("row %d (%+v) is lost", id, r)
		case !m.disturbed && news && n > 1, !m.disturbed && !news && n > 0:
			m.t.Errorf("row %d (%+v) was sent %d times, news: %t", id, r, n, news)
		}
		if got := m.stored[id]; got.Val != r.val {
			m.t.Errorf("row %d ended as %q, want %q", id, got.Val, r.val)
		}
		if n := len(m.tuples[id]); n > 1 {
			m.t.Errorf("event %d was stored under %d tuples: %v", id, n, m.tuples[id])
		}
	}
	m.clean, m.before, m.disturbed = maps.Clone(m.table), maps.Clone(m.delivered), false
}

// checkMark checks that the mark goes forward only, by runs that did all they
// had to.
func (m *model) checkMark(rep *runner.Report) {
	if rep.Mark.After == nil {
		return
	}
	after := *rep.Mark.After
	if before, err := strconv.Atoi("0" + m.mark); err != nil {
		m.t.Error(err)
	} else if now, err := strconv.Atoi(after); err != nil || now < before {
		m.t.Errorf("the mark went from %s to %s", m.mark, after)
	}
	m.mark = after
}
