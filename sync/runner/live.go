package runner

import (
	"sync/atomic"
	"time"

	"github.com/mixsync/mixsync/connectors/mixpanel"
	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/sync/checkpoint"
)

// Live is the figures of an attempt while it goes on, safe to read from anywhere.
type Live struct {
	Sync, Project string

	requests, retries, json, wire, rows, sent atomic.Int64
	cursor                                    atomic.Pointer[string]

	// The window in cursor ticks, and the cursor of the last row read.
	kind     warehouse.Kind // Invalid where rows are read without a cursor
	first    atomic.Int64
	begun    atomic.Bool // first and at are known
	last, at atomic.Int64
}

// Done is the share of the window that has been read, between 0 and 1, by the
// cursor; false while it cannot be told.
func (l *Live) Done() (float64, bool) {
	if l.kind == warehouse.Invalid || !l.begun.Load() {
		return 0, false
	}
	first, last, now := l.first.Load(), l.last.Load(), l.at.Load()
	if last <= first {
		return 0, false
	}
	return min(1, max(0, float64(now-first)/float64(last-first))), true
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

func (l *Live) attempt(p *mixpanel.Payload, o *mixpanel.Outcome) {
	l.requests.Add(1)
	l.wire.Add(int64(o.Wire))
	l.json.Add(int64(len(p.Body)))
	switch o.Verdict {
	case mixpanel.Settled:
		l.sent.Add(int64(p.Len()))
	case mixpanel.Retry, mixpanel.Unclear:
		l.retries.Add(1)
	}
}

func (l *Live) into(c *checkpoint.Counts) {
	c.Requests, c.Retries = l.requests.Load(), l.retries.Load()
	c.BytesJSON, c.BytesWire = l.json.Load(), l.wire.Load()
}
