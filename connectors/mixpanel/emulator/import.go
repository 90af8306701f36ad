package emulator

import (
	"net/http"
	"sync"
)

// batch is the working memory of one /import request, used again for the next.
type batch struct {
	body    []byte
	records []record
	failed  []failedRecord
	ids     []byte // derived ids, one behind the other
	key     []byte
}

// maxKept is the largest body whose memory is used again.
const maxKept = 16 << 20

var batches = sync.Pool{New: func() any { return new(batch) }}

func (s *Server) serveImport(q *work) answer {
	if !s.login(q.http) {
		drain(q.http.Body)
		return refuse(http.StatusUnauthorized, badLogin)
	}
	b := batches.Get().(*batch)
	defer b.release()
	body, refusal := s.read(q, b.body, s.options.MaxBody)
	b.body = body
	if refusal != nil {
		return *refusal
	}
	kind, err := layoutOf(q.http.Header.Get("Content-Type"), b.body)
	if err != nil {
		return refuse(http.StatusBadRequest, err.Error())
	}
	now := s.options.Now().UnixMilli()
	verb, total, err := s.parse(q, b, kind, now)
	q.log.Records = total
	switch {
	case err != nil:
		return refuse(http.StatusBadRequest, err.Error())
	case total > s.options.MaxRecords:
		return s.tooMany()
	case !s.take(q, total):
		return refuse(http.StatusTooManyRequests, overRate)
	}
	if r := q.hit(FaultRefuseBatch); r != nil {
		s.fired(q, r.Kind)
		return s.refuseAll(q, total, r.Message)
	}
	if verb {
		return s.refuseAll(q, total, verbRefused)
	}
	taken := total - len(b.failed) // more than are stored, if some carry $ignore
	by, lose := s.miscount(q)
	if lose {
		b.records = b.records[:max(len(b.records)-by, 0)]
	}
	s.storeEvents(q, b.records, taken, now)
	return imported(q.mode, max(taken-by, 0), b.refused())
}

// storeEvents stores valid events and counts them.
func (s *Server) storeEvents(q *work, records []record, taken int, now int64) {
	q.log.Accepted, q.log.Refused = taken, q.log.Records-taken
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &s.counters
	c.Received += q.log.Records
	c.Accepted += taken
	c.Refused += q.log.Refused
	c.Duplicates += s.events.add(records, now)
	for i := range records {
		s.heat.count(&records[i])
	}
}

// parse scans and checks every record. Those that pass go to b.records, the
// others to b.failed.
func (s *Server) parse(q *work, b *batch, kind layout, now int64) (verb bool, total int, err error) {
	o := &s.options
	check := rules{
		hierarchical: o.Model == Hierarchical, requireID: o.RequireDistinctID, strict: q.mode.strict,
		maxRecord: o.MaxRecord, maxDepth: o.MaxDepth, nowMillis: now,
	}
	targets := q.targets()
	var e event
	err = each(b.body, kind, func(sc *scanner, at int) int {
		if at = sc.scanEvent(at, &e); at < 0 {
			return at
		}
		index := total
		if total++; total > o.MaxRecords {
			return at
		}
		millis, f := check.check(&e)
		if f.field == "" && len(targets) > 0 {
			f = s.target(q, targets, index, string(e.insertID.text()), find(e.raw, "properties").raw)
		}
		if f.field != "" {
			b.failed = append(b.failed, s.failed(index, e.insertID, f))
			return at
		}
		if isVerb(e.name.text()) {
			verb = true
		}
		s.accept(q, b, &e, index, millis, check.hierarchical)
		return at
	})
	return verb, total, err
}

// accept turns a valid event into a record to store.
func (s *Server) accept(q *work, b *batch, e *event, index int, millis int64, hierarchical bool) {
	r := record{raw: e.raw, name: truncate(e.name.text()), insertID: e.insertID.text(), millis: millis}
	b.ids, r.who = identify(b.ids, &e.properties, hierarchical, q.http.RemoteAddr)
	if len(r.insertID) == 0 {
		r.insertID = madeUp(q.log.ID, index)
	}
	b.key = r.setKey(b.key[:0])
	s.inspect(q, e, &r, index, hierarchical)
	if !e.ignored {
		b.records = append(b.records, r)
	}
}

// refused is what failed_records says: nil if nothing was refused.
func (b *batch) refused() any {
	if len(b.failed) == 0 {
		return nil
	}
	return b.failed
}

func (b *batch) release() {
	if cap(b.body) > maxKept {
		return
	}
	clear(b.records)
	clear(b.failed)
	b.body, b.records, b.failed, b.ids = b.body[:0], b.records[:0], b.failed[:0], b.ids[:0]
	batches.Put(b)
}
