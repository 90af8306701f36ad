package mixpanel

import (
	"context"
	"errors"
	"net/http"
)

var probeBody = []byte("[{}]")

// Probe checks, without storing anything, that Mixpanel can be reached and that
// the credentials may import into the project. Its error is an *Error, or the
// context's.
func (c *Client) Probe(ctx context.Context) error {
	return c.probe(ctx, c.service, c.hint.credentials)
}

// ProbeToken checks, without storing anything, that the token belongs to a
// project of the region. Profile paths never tell: they answer 1 for any token.
// Nothing is asked when there is no token.
func (c *Client) ProbeToken(ctx context.Context) error {
	if c.token == nil {
		return nil
	}
	return c.probe(ctx, c.token, c.hint.token)
}

// probe imports an empty object, not strictly: good credentials are told that
// it is no event, others are turned away.
func (c *Client) probe(ctx context.Context, template *http.Request, hint string) error {
	s := c.pools.get()
	defer c.pools.put(s)
	x := exchange{template: template, parts: [3][]byte{probeBody}}
	a := c.do(ctx, s, &x)
	if a.status == 0 {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		e := c.networkError(a.err)
		e.Unreachable = true
		if e.Hint == "" {
			e.Hint = c.hint.network
		}
		return e
	}
	r := decode(a.body)
	switch {
	case a.status == http.StatusTooManyRequests:
		return nil // whose project is busy has been recognized
	case r.shape == object && (a.status == http.StatusOK || len(r.named)+len(r.unnamed) > 0):
		return nil
	}
	e := c.answerError(&a)
	switch {
	case e.Credentials:
		e.Hint = hint
	case a.status == http.StatusOK:
		e.Unreachable, e.Hint = true, c.hint.address
		e.Err = errors.New("the answer is not Mixpanel's: " + c.secrets.quote(r.message))
	case a.status == http.StatusBadRequest:
		e.Hint = hint
	default:
		e.Unreachable = true
		if e.Hint == "" {
			e.Hint = c.hint.network
		}
	}
	return e
}
