package pipeline

import (
	"sync/atomic"

	"github.com/mixsync/mixsync/connectors/mixpanel"
	"github.com/mixsync/mixsync/connectors/warehouse"
)

// ticket is the promise that every row of one batch has been settled.
//
// It is held by encode, for as long as the batch is being encoded, and by every
// payload that was opened with a record of the batch. The last one to let go
// closes done. A payload that also carries records of later batches need not
// hold their tickets: commit comes to those only after this one.
type ticket struct {
	position *warehouse.Position
	note     Note
	holders  atomic.Int32
	done     chan struct{}
}

func newTicket() *ticket {
	t := &ticket{done: make(chan struct{})}
	t.holders.Store(1)
	return t
}

func (t *ticket) hold() { t.holders.Add(1) }

func (t *ticket) release() {
	if n := t.holders.Add(-1); n == 0 {
		close(t.done)
	} else if n < 0 {
		panic("pipeline: a ticket was released more often than held")
	}
}

// payload is a request in the making: the records, whose they are, and the
// ticket of the first.
type payload struct {
	mixpanel.Payload
	rows   []recordOf
	ticket *ticket             // nil while empty
	keys   map[uint64]struct{} // lanes in this payload: a key goes once a request
	weight int64               // of the in-flight budget, once sealed
	lane   int                 // the sender it must go to; shared for any
	raw    bool                // it is counted in the pass's raw; its sender's alone
}

// recordOf says which row of which batch a record came from.
type recordOf struct {
	note  Note
	row   int
	extra bool // the row's second record
}

// shared is the lane of records that any sender may deliver in any order.
const shared = -1

// add appends a record and its separator.
func (p *payload) add(t *ticket, record []byte, of recordOf) {
	p.Body = append(p.Body, record...)
	p.end(t, of)
}

// end completes the record whose bytes stand at the end of Body.
func (p *payload) end(t *ticket, of recordOf) {
	p.Body = append(p.Body, p.Endpoint.Separator())
	p.Ends = append(p.Ends, len(p.Body))
	p.rows = append(p.rows, of)
	if p.ticket == nil {
		t.hold()
		p.ticket = t
	}
}

// has reports whether the payload, nil if none is open, holds a record of the lane.
func (p *payload) has(lane uint64) bool {
	if p == nil {
		return false
	}
	_, ok := p.keys[lane]
	return ok
}

func (p *payload) reset() {
	p.Body, p.Ends = p.Body[:0], p.Ends[:0]
	clear(p.rows)
	p.rows, p.ticket = p.rows[:0], nil
	clear(p.keys)
}
