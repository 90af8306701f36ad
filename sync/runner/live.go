package runner

import (
	"sync/atomic"
	"time"

	"github.com/mixsync/mixsync/connectors/mixpanel"
	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/sync/checkpoint"
)

// Live is the figures of a run in this process while it goes on, safe to read
// from anywhere.
type Live struct {
	Sync, Project string

	rows, sent atomic.Int64
	cursor     atomic.Pointer[string]

	// Slices of the run: those before the one that was claimed last, and all.
	before, total atomic.Int64

	// The slice in cursor ticks, and the cursor of the last row read.
	kind     warehouse.Kind // Invalid where rows are read without a cursor
	first    atomic.Int64
	begun    atomic.Bool // first and at are known
	last, at atomic.Int64
}

// open notes that a slice is begun.
func (l *Live) open(run *checkpoint.Run, s *checkpoint.Slice) {
	l.before.Store(int64(s.N - 1))
	l.total.Store(int64(s.Total))
	l.begun.Store(false)
	end := s.Window.To
	if end == nil {
		end = s.Window.Before
	}
	if end == nil {
		end = run.Window.To
	}
	if end != nil {
		if to, err := warehouse.ParseCursor(l.kind, *end); err == nil {
			l.last.Store(to.Ticks)
		}
	}
}

// Slices is how many slices lie before the one that was claimed last, and how
// many there are.
func (l *Live) Slices() (before, total int) { return int(l.before.Load()), int(l.total.Load()) }

// Done is the share of the window that has been read, between 0 and 1, by the
// slices and the cursor; false while it cannot be told.
func (l *Live) Done() (float64, bool) {
	total := float64(max(1, l.total.Load()))
	behind := float64(l.before.Load()) / total
	if l.kind == warehouse.Invalid || !l.begun.Load() {
		return behind, behind > 0
	}
	first, last, now := l.first.Load(), l.last.Load(), l.at.Load()
	if last <= first {
		return behind, behind > 0
	}
	return behind + min(1, max(0, float64(now-first)/float64(last-first)))/total, true
}

// Lag is how far behind now the rows are that are being read; false where the
// cursor is no time.
func (l *Live) Lag(now time.Time) (time.Duration, bool) {
	if !l.begun.Load() {
		return 0, false
	}
	switch at := l.at.Load(); l.kind {
	case warehouse.Timestamp, warehouse.TimestampTZ:
		return now.Sub(time.UnixMicro(at)), true
	case warehouse.Date:
		return now.Sub(time.Unix(at*24*60*60, 0)), true
	}
	return 0, false
}

// reach notes the cursor of the last row of a batch, and of the first of all.
func (l *Live) reach(first, last int64) {
	if !l.begun.Load() {
		l.first.Store(first)
	}
	l.at.Store(last)
	l.begun.Store(true)
}

// Rows is how many rows have been read, Sent how many records were settled.
func (l *Live) Rows() int64 { return l.rows.Load() }
func (l *Live) Sent() int64 { return l.sent.Load() }

// Cursor is the cursor up to which everything is settled and saved, "" before that.
func (l *Live) Cursor() string {
	if s := l.cursor.Load(); s != nil {
		return *s
	}
	return ""
}

func (l *Live) read(rows int) { l.rows.Add(int64(rows)) }

func (l *Live) saved(p *warehouse.Position) {
	if p != nil && p.Cursor != nil {
		l.cursor.Store(p.Cursor)
	}
}

// meter counts the requests of one attempt at a slice.
type meter struct {
	live                          *Live
	requests, retries, json, wire atomic.Int64
}

func (m *meter) attempt(p *mixpanel.Payload, o *mixpanel.Outcome) {
	m.requests.Add(1)
	m.wire.Add(int64(o.Wire))
	m.json.Add(int64(len(p.Body)))
	switch o.Verdict {
	case mixpanel.Settled:
		m.live.sent.Add(int64(p.Len()))
	case mixpanel.Retry, mixpanel.Unclear:
		m.retries.Add(1)
	}
}

func (m *meter) into(c *checkpoint.Counts) {
	c.Requests, c.Retries = m.requests.Load(), m.retries.Load()
	c.BytesJSON, c.BytesWire = m.json.Load(), m.wire.Load()
}
