package emulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
)

// read reads the body, up to limit bytes of it, into dst. The answer is nil
// unless the body was refused.
func (s *Server) read(q *work, dst []byte, limit int) ([]byte, *answer) {
	fault := q.hit(FaultTooLarge)
	if fault != nil {
		lower := fault.Limit
		if lower == 0 {
			lower = 2 << 20
		}
		limit = min(limit, lower)
	}
	body, wire, err := readBody(dst[:0], q.http, limit)
	q.log.BytesWire, q.log.BytesBody = wire, len(body)
	if err == nil {
		return body, nil
	}
	refusal := refuse(http.StatusBadRequest, err.Error())
	if errors.Is(err, errTooLarge) {
		if fault != nil {
			s.fired(q, fault.Kind)
		}
		refusal = tooLarge(limit)
	}
	return body, &refusal
}

// take counts the request against the rate limit.
func (s *Server) take(q *work, records int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.rate.take(s.options.Now(), records, q.log.BytesBody) {
		s.counters.Throttled++
		return false
	}
	return true
}

func (s *Server) tooMany() answer {
	limit := strconv.Itoa(s.options.MaxRecords)
	return refuse(s.options.TooManyStatus, "too many records: one request may hold "+limit)
}

// refuseAll is the answer to a request that is refused as a whole, with a text
// where failed_records has objects otherwise.
func (s *Server) refuseAll(q *work, total int, message string) answer {
	if message == "" {
		message = "the request was refused"
	}
	q.log.Refused = total
	s.mu.Lock()
	s.counters.Received += total
	s.counters.Refused += total
	s.mu.Unlock()
	if q.path == "/import" {
		return imported(q.mode, 0, []string{message})
	}
	return updated(q.mode, 0, []string{message}, message)
}

// miscount returns by how many records the answer is to be wrong, and whether
// they are to be lost indeed.
func (s *Server) miscount(q *work) (by int, lose bool) {
	for _, r := range q.hits {
		if r.Kind == FaultMiscount {
			s.fired(q, r.Kind)
			by += max(r.By, 1)
			lose = lose || r.Lose
		}
	}
	return by, lose
}

// failed describes a refused record as failed_records does.
func (s *Server) failed(index int, id value, f failure) failedRecord {
	r := failedRecord{Index: index, Field: f.field, Message: f.message}
	if id.isString() {
		text := string(id.text())
		if s.options.DollarInsertID {
			r.DollarInsertID = &text
		} else {
			r.InsertID = &text
		}
	}
	return r
}

// targets returns the rules that refuse single records of this request.
func (q *work) targets() (rules []*armed) {
	for _, r := range q.hits {
		if r.Kind == FaultRefuse {
			rules = append(rules, r)
		}
	}
	return rules
}

// target returns why a rule refuses the record, which is known by id and has
// its properties in the given JSON objects.
func (s *Server) target(q *work, rules []*armed, index int, id string, objects ...[]byte) (f failure) {
	for _, r := range rules {
		hit := slices.Contains(r.Indexes, index) || slices.Contains(r.IDs, id)
		if r.Property != "" {
			for _, object := range objects {
				hit = hit || r.equals(find(object, r.Property))
			}
		}
		if !hit {
			continue
		}
		s.fired(q, r.Kind)
		f = failure{r.Field, r.Message}
		if f.field == "" && r.Property != "" {
			f.field = "properties." + r.Property
		}
		if f.field == "" {
			f.field = "properties"
		}
		if f.message == "" {
			f.message = "'" + f.field + "' is invalid: refused on request"
		}
		return f
	}
	return f
}

// equals tells whether v is the value that the rule names.
func (r *armed) equals(v value) bool {
	if v.isString() {
		var want string
		return json.Unmarshal(r.json, &want) == nil && r.json[0] == '"' && want == string(v.text())
	}
	if v.kind == number {
		want, err := strconv.ParseFloat(string(r.json), 64)
		have, _ := strconv.ParseFloat(string(v.raw), 64)
		return err == nil && want == have
	}
	return v.kind != absent && bytes.Equal(v.raw, r.json)
}

// madeUp is the $insert_id that Mixpanel gives an event without one. It is
// different every time, so that the event never counts as sent before.
func madeUp(request, index int) []byte {
	id := append([]byte("made-up-"), strconv.Itoa(request)...)
	return strconv.AppendInt(append(id, '-'), int64(index), 10)
}
