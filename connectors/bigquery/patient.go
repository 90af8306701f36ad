package bigquery

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// patient is a transport that loses patience. Google's client repeats a request
// that cannot be delivered, or is answered 5xx, for as long as its context lives;
// once that has gone on for the limit, it is told in a way it does not repeat.
type patient struct {
	base  http.RoundTripper
	limit time.Duration

	mu          sync.Mutex
	since, last time.Time // of the failures in a row; zero: the last request did well
}

// Waits between repeats grow to 32 s: failures further apart are not in a row.
const apart = 40 * time.Second

// givenUp ends the client's repeating. It is unknown to it on purpose.
type givenUp struct {
	after  time.Duration
	status int // of the last answer, 0 if there was none
	reason string
	said   string // with the reason
	cause  error  // without the methods that say that it is worth another try
}

func (e *givenUp) Error() string {
	if e.said != "" {
		return fmt.Sprintf("bigquery has refused for %s: %s", e.after.Round(time.Second), oneLine(e.said))
	}
	if e.status != 0 {
		return fmt.Sprintf("bigquery has answered %d %s for %s", e.status, http.StatusText(e.status), e.after.Round(time.Second))
	}
	return fmt.Sprintf("bigquery could not be reached for %s: %v", e.after.Round(time.Second), e.cause)
}

func (p *patient) RoundTrip(r *http.Request) (*http.Response, error) {
	begun := time.Now()
	resp, err := p.base.RoundTrip(r)
	var reason, said string
	switch {
	case err != nil && (r.Context().Err() != nil || errors.Is(err, context.Canceled)):
		return resp, err
	case err == nil && resp.StatusCode < http.StatusInternalServerError:
		if reason, said = repeated(resp); reason == "" {
			p.done()
			return resp, nil
		}
	}
	after, over := p.failed(begun, time.Now())
	if !over {
		return resp, err
	}
	if err != nil {
		return nil, &givenUp{after: after, cause: errors.New(plain(err))}
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
	_ = resp.Body.Close()
	return nil, &givenUp{after: after, status: resp.StatusCode, reason: reason, said: said}
}

// repeated gives the reason and message of a refusal that the client repeats as
// well, "" of any other. A job that has failed for such a reason gives it for ever.
func repeated(resp *http.Response) (reason, message string) {
	if resp.StatusCode < http.StatusBadRequest {
		return "", ""
	}
	head, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	resp.Body = &resumed{io.MultiReader(bytes.NewReader(head), resp.Body), resp.Body}
	var body struct {
		Error struct {
			Message string `json:"message"`
			Errors  []struct {
				Reason string `json:"reason"`
			} `json:"errors"`
		} `json:"error"`
	}
	if err != nil || json.Unmarshal(head, &body) != nil || len(body.Error.Errors) == 0 {
		return "", ""
	}
	switch reason := body.Error.Errors[0].Reason; reason {
	case "backendError", "rateLimitExceeded", "jobRateLimitExceeded", "internalError":
		return reason, body.Error.Message
	}
	return "", ""
}

// resumed is a body whose beginning was read already.
type resumed struct {
	io.Reader
	io.Closer
}

// plain is an error's text without the words by which the client knows that it is
// worth another try.
func plain(err error) string {
	text := strings.ReplaceAll(err.Error(), "connection refused", "the connection was refused")
	return strings.ReplaceAll(text, "connection reset", "the connection was reset")
}

func (p *patient) done() {
	p.mu.Lock()
	p.since = time.Time{}
	p.mu.Unlock()
}

// failed counts a request that was begun at a time.
func (p *patient) failed(begun, now time.Time) (after time.Duration, over bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.since.IsZero() || begun.Sub(p.last) > apart {
		p.since = begun
	}
	p.last = now
	after = now.Sub(p.since)
	return after, after >= p.limit
}
