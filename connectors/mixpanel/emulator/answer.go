package emulator

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// answer is what a write path replies, before faults touch it.
type answer struct {
	status      int
	contentType string
	body        []byte
}

// reply is Mixpanel's JSON body; which members it has differs by path and mode.
type reply struct {
	Code     int    `json:"code,omitempty"`
	Error    quoted `json:"error,omitempty"`
	Failed   any    `json:"failed_records,omitempty"` // []failedRecord, or []string
	Imported *int   `json:"num_records_imported,omitempty"`
	Good     *int   `json:"num_good_events,omitempty"`
	Status   any    `json:"status"` // text, or 1 and 0 with verbose=1 or strict=0
}

// quoted is a JSON text or null, or nothing at all.
type quoted = json.RawMessage

var noError = quoted("null")

func quote(message string) quoted {
	text, _ := json.Marshal(message) // text can always be marshalled
	return text
}

// failedRecord is one refused record; only one of its two ids is set.
type failedRecord struct {
	Index          int     `json:"index"`
	InsertID       *string `json:"insert_id,omitempty"`
	DollarInsertID *string `json:"$insert_id,omitempty"`
	Field          string  `json:"field,omitempty"`
	Message        string  `json:"message"`
}

func jsonAnswer(status int, body any) answer {
	text, err := json.Marshal(body)
	if err != nil { // replies hold nothing that cannot be marshalled
		return answer{http.StatusInternalServerError, "text/plain; charset=utf-8", []byte(err.Error())}
	}
	return answer{status, "application/json", text}
}

// refuse is an answer to a request that was not processed at all.
func refuse(status int, message string) answer {
	return jsonAnswer(status, reply{Code: status, Error: quote(message), Status: http.StatusText(status)})
}

// write sends the answer as it is.
func (a answer) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", a.contentType)
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
}

func tooLarge(limit int) answer {
	return refuse(http.StatusRequestEntityTooLarge, "request exceeds max limit of "+strconv.Itoa(limit)+" bytes")
}

// imported is the answer to a processed /import; failed is nil if no record was refused.
func imported(m mode, taken int, failed any) answer {
	body := reply{Code: http.StatusOK, Imported: &taken, Status: "OK"}
	if failed != nil {
		body.Error = quote(someFailed)
		if m.strict {
			body.Code, body.Failed, body.Status = http.StatusBadRequest, failed, http.StatusText(http.StatusBadRequest)
		}
	}
	if m.verbose || !m.strict {
		body.Status = flag(failed == nil)
		if failed == nil {
			body.Error = noError
		}
	}
	return jsonAnswer(body.Code, body)
}

// updated is the answer to a processed /groups or /engage, always a 200; failed
// is nil if no record was refused, else message says why one was.
func updated(m mode, good int, failed any, message string) answer {
	switch {
	case m.strict && failed != nil:
		return jsonAnswer(http.StatusOK, reply{Code: http.StatusOK, Error: quote(someFailed), Failed: failed, Good: &good, Status: 0})
	case m.strict:
		return jsonAnswer(http.StatusOK, reply{Code: http.StatusOK, Error: noError, Good: &good, Status: 1})
	case m.verbose && failed != nil:
		return jsonAnswer(http.StatusOK, reply{Error: quote(message), Status: flag(good > 0)})
	case m.verbose:
		return jsonAnswer(http.StatusOK, reply{Error: noError, Status: 1})
	}
	return answer{http.StatusOK, "text/plain; charset=utf-8", strconv.AppendInt(nil, int64(flag(good > 0)), 10)}
}

func flag(ok bool) int {
	if ok {
		return 1
	}
	return 0
}
