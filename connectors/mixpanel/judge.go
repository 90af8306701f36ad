package mixpanel

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// judge says what an answer, or its absence, means for the n records of a
// request. It settles nothing that the answer does not prove.
func (c *Client) judge(ctx context.Context, e Endpoint, n int, a *answer) Outcome {
	switch {
	case a.refused != nil:
		return Outcome{Verdict: Halt, Err: &Error{Err: a.refused}}
	case a.err != nil && ctx.Err() != nil:
		return Outcome{Verdict: Retry, Err: ctx.Err()}
	case a.status == 0:
		return Outcome{Verdict: Retry, Err: c.networkError(a.err)}
	}
	switch s := a.status; {
	case s >= 200 && s < 300, s == http.StatusBadRequest, s == http.StatusUnprocessableEntity:
		return c.judgeRecords(e, n, a)
	case s == http.StatusRequestEntityTooLarge:
		return Outcome{Verdict: Split, Limit: limitIn(a.body), Err: c.answerError(a)}
	case temporary(s):
		return Outcome{
			Verdict: Retry, Throttled: s == http.StatusTooManyRequests,
			RetryAfter: retryAfter(a.header, time.Now()), Err: c.answerError(a),
		}
	}
	return Outcome{Verdict: Halt, Err: c.answerError(a)}
}

// judgeRecords reads an answer that speaks of the records themselves.
func (c *Client) judgeRecords(e Endpoint, n int, a *answer) Outcome {
	bad := a.status >= 400
	if a.err != nil {
		return c.unread(a, fmt.Errorf("the answer broke off: %w", a.err))
	}
	r := decode(a.body)
	switch {
	case a.cut && bad && n > 1:
		return c.whole(n, a, "the list of refused records is too long to read")
	case r.shape == broken:
		return c.unread(a, fmt.Errorf("the answer breaks off: %s", c.secrets.quote(r.message)))
	case r.shape != object && bad:
		return c.whole(n, a, r.message)
	case r.shape == bare && r.status == no:
		return c.whole(n, a, "the answer is 0: none of the records is valid")
	case r.shape == bare && n == 1:
		return Outcome{Verdict: Settled, Accepted: 1}
	case r.shape == bare:
		return c.whole(n, a, "the answer is 1, which says only that some of the records are valid")
	case r.shape == empty:
		return c.unread(a, errors.New("the answer is empty"))
	case r.shape == other:
		return c.unread(a, fmt.Errorf("the answer is not Mixpanel's: %s", c.secrets.quote(r.message)))
	}
	switch {
	case len(r.unnamed) > 0:
		return c.judgeUnnamed(n, a, &r)
	case len(r.named) > 0:
		return c.judgeNamed(e, n, a, &r)
	}
	complains := bad || r.status == no || r.message != ""
	switch {
	case complains && (r.stored <= 0 || !bad && r.stored < n):
		return c.whole(n, a, r.message)
	case complains || r.stored != absent && r.stored != n:
		return c.unclear(n, a, &r)
	case r.stored == absent && r.status == unsaid && r.code != http.StatusOK:
		return c.unclear(n, a, &r) // says nothing at all
	}
	return Outcome{Verdict: Settled, Accepted: n}
}

// judgeUnnamed: failures that do not say which record. Mixpanel refuses the
// whole batch so, for instance over one event that it does not allow.
func (c *Client) judgeUnnamed(n int, a *answer, r *reply) Outcome {
	if r.stored >= n {
		return c.unclear(n, a, r)
	}
	return c.whole(n, a, r.unnamed[0])
}

// judgeNamed: failures by index. The rest is stored if the count says so; on
// /import also without a count, because that is documented.
func (c *Client) judgeNamed(e Endpoint, n int, a *answer, r *reply) Outcome {
	named := len(r.named)
	if n == 1 && r.stored <= 0 {
		r.named = r.named[:1]
		r.named[0].Index = 0
		return c.partial(n, r)
	}
	if r.named[0].Index < 0 || r.named[named-1].Index >= n {
		return c.unclear(n, a, r)
	}
	switch {
	case r.stored != absent && r.stored+named == n:
		return c.partial(n, r)
	case r.stored == absent && (e == Events || named == n):
		return c.partial(n, r)
	case e != Events && r.stored <= 0:
		// Whether a bad profile keeps the good ones out is not documented.
		return c.whole(n, a, r.named[0].Message)
	}
	return c.unclear(n, a, r)
}

func (c *Client) partial(n int, r *reply) Outcome {
	for i := range r.named {
		f := &r.named[i]
		f.Field, f.Message = c.secrets.quote(f.Field), c.secrets.quote(f.Message)
		if f.Message == "" {
			f.Message = c.secrets.quote(r.message)
		}
	}
	return Outcome{Verdict: Settled, Accepted: n - len(r.named), Refused: r.named}
}

// whole: the batch was refused as one. Of a single record that is its fate;
// of more, halves will tell.
func (c *Client) whole(n int, a *answer, message string) Outcome {
	message = c.secrets.quote(message)
	if message == "" {
		message = "refused without a reason"
	}
	if n == 1 {
		return Outcome{Verdict: Settled, Refused: []Refusal{{Message: message}}}
	}
	return Outcome{Verdict: Bisect, Err: &Error{Status: a.status, Err: errors.New(message)}}
}

func (c *Client) unclear(n int, a *answer, r *reply) Outcome {
	stored := strconv.Itoa(r.stored)
	switch r.stored {
	case absent:
		stored = "an unknown number"
	case nonsense:
		stored = "a senseless number"
	}
	return Outcome{Verdict: Unclear, Err: &Error{Status: a.status, Err: fmt.Errorf(
		"the answer does not add up: %d records sent, %s stored, %d refused: %s",
		n, stored, len(r.named), c.secrets.quote(string(a.body)))}}
}

// unread: nothing can be learned from this answer, another try may give a
// better one. Resending is safe: events deduplicate, profile writes are idempotent.
func (c *Client) unread(a *answer, err error) Outcome {
	return Outcome{Verdict: Retry, Err: &Error{
		Status: a.status, Temporary: true, Err: c.secrets.clean(err), Hint: c.hint.address,
	}}
}

// temporary tells the statuses that time may mend. 524 and its like are proxies' own 5xx.
func temporary(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests, 499:
		return true
	}
	return status >= 500
}

// answerError tells of a status that is about the request, not its records.
func (c *Client) answerError(a *answer) *Error {
	e := &Error{Status: a.status, Temporary: temporary(a.status)}
	r := decode(a.body)
	message := c.secrets.quote(r.message)
	if message == "" {
		message = http.StatusText(a.status)
	}
	if message == "" {
		message = "no reason given"
	}
	e.Err = errors.New(message)
	switch s := a.status; {
	case s == http.StatusUnauthorized, s == http.StatusForbidden:
		e.Credentials, e.Hint = true, c.hint.credentials
	case s == http.StatusProxyAuthRequired:
		e.Unreachable, e.Hint = true, c.hint.proxy
	case s == http.StatusNotFound, s == http.StatusMethodNotAllowed, s >= 300 && s < 400:
		e.Hint = c.hint.address
	}
	return e
}

// networkError tells why there is no answer.
func (c *Client) networkError(err error) *Error {
	e := &Error{Temporary: true, Err: c.secrets.clean(err)}
	var (
		dns    *net.DNSError
		op     *net.OpError
		cert   *tls.CertificateVerificationError
		record tls.RecordHeaderError
		alert  tls.AlertError
	)
	switch {
	case errors.As(err, &cert):
		e.Unreachable, e.Hint = true, c.hint.certificate
	case errors.As(err, &record), errors.As(err, &alert):
		e.Unreachable, e.Hint = true, c.hint.address
	case errors.As(err, &op) && op.Op == "proxyconnect":
		e.Unreachable, e.Hint = true, c.hint.proxy
	case errors.As(err, &dns), errors.As(err, &op) && op.Op == "dial",
		strings.Contains(err.Error(), "TLS handshake"): // the transport's own errors have no type
		e.Unreachable, e.Hint = true, c.hint.network
	case errors.Is(err, context.DeadlineExceeded):
		e.Err = fmt.Errorf("no answer within %v: %w", c.timeout, err)
	}
	return e
}

var limitPattern = regexp.MustCompile(`(\d{3,12}) bytes`)

// limitIn finds N in "request exceeds max limit of N bytes"; 0 if there is none.
func limitIn(body []byte) int {
	m := limitPattern.FindSubmatch(body)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(string(m[1])) // twelve digits at most
	return n
}

// retryAfter reads the header in both its forms. Mixpanel sends none; proxies do.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" {
		return 0
	}
	wait := time.Duration(0)
	if s, err := strconv.ParseFloat(v, 64); err == nil && s >= 0 {
		wait = time.Duration(min(s, 86400) * float64(time.Second))
	} else if t, err := http.ParseTime(v); err == nil {
		wait = t.Sub(now)
	}
	return min(max(wait, 0), 24*time.Hour)
}
