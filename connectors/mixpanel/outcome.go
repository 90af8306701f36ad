package mixpanel

import (
	"fmt"
	"time"
)

// Verdict is what an answer (or its absence) means for the records of a request.
type Verdict uint8

const (
	// Settled: every record's fate is known. Accepted + len(Refused) = sent.
	Settled Verdict = iota
	// Retry: nothing is known of the records; the same bytes are worth another try.
	Retry
	// Split: too large; Limit says how many bytes are allowed, 0 if unknown.
	Split
	// Bisect: the batch was refused without naming records; halves will tell
	// (all operations we send are idempotent).
	Bisect
	// Unclear: the answer's counts do not add up; send once more, then give up.
	Unclear
	// Halt: no request of this run can succeed (credentials, configuration).
	Halt
)

func (v Verdict) String() string {
	return [...]string{"settled", "retry", "split", "bisect", "unclear", "halt"}[v]
}

// Refusal is a record that Mixpanel did not store, and why.
type Refusal struct {
	Index    int // position in the payload
	Field    string
	Message  string
	TooLarge bool // no request can hold it
}

// Outcome is the result of one attempt to send one payload.
type Outcome struct {
	Verdict    Verdict
	Accepted   int
	Refused    []Refusal // ascending by Index, one per record
	Limit      int       // with Split: the limit in bytes that the answer named
	RetryAfter time.Duration
	Throttled  bool // with Retry: Mixpanel asked to slow down (429)
	Status     int  // HTTP status, 0 if no answer came
	Wire       int  // bytes sent, after compression
	Err        error
}

// Error is why an attempt did not settle. Its text holds no credentials.
type Error struct {
	Status      int // 0 if no answer came
	Credentials bool
	Unreachable bool
	Temporary   bool // the same request may succeed later
	Hint        string
	Err         error
}

func (e *Error) Error() string {
	if e.Status != 0 {
		return fmt.Sprintf("mixpanel answered %d: %v", e.Status, e.Err)
	}
	return fmt.Sprintf("mixpanel: %v", e.Err)
}

func (e *Error) Unwrap() error { return e.Err }
