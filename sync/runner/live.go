package runner

import (
	"sync/atomic"

	"github.com/mixsync/mixsync/connectors/mixpanel"
	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/sync/checkpoint"
)

// Live is the figures of an attempt while it goes on, safe to read from anywhere.
type Live struct {
	Sync, Project string

	requests, retries, json, wire, rows, sent atomic.Int64
	cursor                                    atomic.Pointer[string]
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
