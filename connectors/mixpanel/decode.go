package mixpanel

import (
	"bytes"
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
)

// shape is what kind of thing an answer is.
type shape uint8

const (
	empty  shape = iota
	object       // JSON object
	bare         // 1 or 0
	broken       // the beginning of a JSON object
	other        // HTML, text
)

// reply is an answer as far as it could be understood. The documented forms
// contradict each other and the samples, so every member may have any type and
// one that makes no sense spoils none of the others.
type reply struct {
	shape   shape
	status  truth
	code    int    // 0 if absent
	message string // error, or the body if that is no JSON
	stored  int    // num_records_imported or num_good_events; absent or nonsense
	named   []Refusal
	unnamed []string // failed_records that do not say which
}

// truth is a status that may not be there.
type truth int8

const (
	unsaid truth = iota
	yes
	no
)

const (
	absent   = -1
	nonsense = math.MaxInt // adds up with nothing
)

type wireReply struct {
	Code     json.RawMessage `json:"code"`
	Status   json.RawMessage `json:"status"`
	Error    json.RawMessage `json:"error"`
	Imported json.RawMessage `json:"num_records_imported"`
	Good     json.RawMessage `json:"num_good_events"`
	Failed   json.RawMessage `json:"failed_records"`
}

type wireFailure struct {
	Index   json.RawMessage `json:"index"`
	Field   json.RawMessage `json:"field"`
	Message json.RawMessage `json:"message"`
	Error   json.RawMessage `json:"error"`
}

// decode understands what it can of an answer's body. The result keeps none of
// body's memory.
func decode(body []byte) reply {
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")))
	r := reply{stored: absent}
	switch {
	case len(body) == 0:
		return r
	case len(body) == 1 && (body[0] == '1' || body[0] == '0'):
		r.shape, r.status = bare, truthOf(body)
		return r
	case body[0] != '{':
		r.shape, r.message = other, string(body)
		return r
	}
	var w wireReply
	if err := json.Unmarshal(body, &w); err != nil {
		r.shape, r.message = broken, string(body)
		return r
	}
	r.shape, r.status, r.message = object, truthOf(w.Status), text(w.Error)
	if code, ok := integer(w.Code); ok {
		r.code = code
	}
	r.stored = count(w.Imported)
	if r.stored == absent {
		r.stored = count(w.Good)
	}
	r.failures(w.Failed)
	return r
}

// failures takes failed_records apart: objects with an index, or anything else.
func (r *reply) failures(raw json.RawMessage) {
	if missing(raw) {
		return
	}
	var elements []json.RawMessage
	if json.Unmarshal(raw, &elements) != nil {
		r.unnamed = append(r.unnamed, text(raw))
		return
	}
	for _, e := range elements {
		var f wireFailure
		if json.Unmarshal(e, &f) != nil {
			r.unnamed = append(r.unnamed, text(e))
			continue
		}
		message := text(f.Message)
		if message == "" {
			message = text(f.Error)
		}
		if index, ok := integer(f.Index); ok {
			r.named = append(r.named, Refusal{Index: index, Field: text(f.Field), Message: message})
		} else if message != "" {
			r.unnamed = append(r.unnamed, message)
		} else {
			r.unnamed = append(r.unnamed, text(e))
		}
	}
	// A record may be named once for each of its faults: the first one stays.
	slices.SortStableFunc(r.named, func(a, b Refusal) int { return cmp.Compare(a.Index, b.Index) })
	r.named = slices.CompactFunc(r.named, func(a, b Refusal) bool { return a.Index == b.Index })
}

func missing(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// text is a JSON value as words: a string's content, anything else as it stands.
func text(raw json.RawMessage) string {
	if missing(raw) {
		return ""
	}
	var s string
	if raw[0] == '"' && json.Unmarshal(raw, &s) == nil {
		return s
	}
	if s = string(raw); s == "false" || s == "0" || s == "{}" || s == "[]" {
		return ""
	}
	return s
}

// integer reads a whole number, also one in a string or written as 3.0.
func integer(raw json.RawMessage) (int, bool) {
	f, err := strconv.ParseFloat(strings.Trim(string(raw), `" `), 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<31 {
		return 0, false
	}
	return int(f), true
}

func count(raw json.RawMessage) int {
	if missing(raw) {
		return absent
	}
	if n, ok := integer(raw); ok && n >= 0 {
		return n
	}
	return nonsense
}

// truthOf reads a status: 1 or "OK" is good, 0 and every other word is bad.
func truthOf(raw json.RawMessage) truth {
	if missing(raw) {
		return unsaid
	}
	switch strings.ToLower(strings.Trim(string(raw), `" `)) {
	case "":
		return unsaid
	case "1", "ok", "true", "success":
		return yes
	}
	return no
}
