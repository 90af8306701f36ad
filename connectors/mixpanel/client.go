package mixpanel

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Region is where a project keeps its data. It is a property of the project,
// chosen when the project was made.
type Region string

// The regions Mixpanel has.
const (
	US Region = "us"
	EU Region = "eu"
	IN Region = "in"
)

var hosts = map[Region]string{
	US: "https://api.mixpanel.com/",
	EU: "https://api-eu.mixpanel.com/",
	IN: "https://api-in.mixpanel.com/",
}

// Options configure a Client. A region (or a base URL) and credentials are
// needed; everything else has a default.
type Options struct {
	Region Region // us unless set
	// BaseURL replaces the region's host for all endpoints. Plain http is
	// accepted for loopback addresses only.
	BaseURL string

	ProjectID int64  // needed with a service account
	Token     string // the project token; authorizes /import when there is no service account
	Username  string // service account
	Secret    string

	Timeout   time.Duration // of one whole exchange, answer included; 30 s
	UserAgent string        // "mixsync"
	GzipLevel int           // 1 (fastest) to 9; 1
	Transport http.RoundTripper
	// BeforeWrite is asked immediately before the first byte of a body leaves,
	// after a connection is had. Its error stops the request: the verdict is
	// Halt and Mixpanel has seen none of the records. It may be called by
	// several senders at once, and again if a stale connection is replaced.
	BeforeWrite func() error
}

// Client sends payloads to one project. It is safe for concurrent use and holds
// no goroutines of its own.
type Client struct {
	requests    [3]*http.Request // by Endpoint: URL and header, made once
	service     *http.Request    // probe of the credentials for /import
	token       *http.Request    // probe of the token; nil without one
	transport   http.RoundTripper
	timeout     time.Duration
	beforeWrite func() error
	secrets     *redactor
	hint        hints
	pools       *pools
}

// New checks the options and makes a client. It does not connect.
func New(o Options) (*Client, error) {
	base, err := o.base()
	if err != nil {
		return nil, err
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	level := o.GzipLevel
	if level == 0 {
		level = 1
	}
	c := &Client{
		transport:   o.Transport,
		timeout:     o.Timeout,
		beforeWrite: o.BeforeWrite,
		secrets:     newRedactor(o),
		pools:       newPools(level),
	}
	if c.transport == nil {
		c.transport = newTransport()
	}
	if c.timeout <= 0 {
		c.timeout = 30 * time.Second
	}
	c.build(base, &o)
	c.hint = newHints(base, &o)
	return c, nil
}

func (o *Options) check() error {
	if (o.Username == "") != (o.Secret == "") {
		return errors.New("mixpanel: a service account needs both username and secret")
	}
	if o.Username != "" && o.ProjectID == 0 {
		return errors.New("mixpanel: project_id is missing: a service account may serve many projects, so /import must be told which")
	}
	if o.Username == "" && o.Token == "" {
		return errors.New("mixpanel: no credentials: set the project's token, a service_account, or both")
	}
	if o.GzipLevel < 0 || o.GzipLevel > 9 {
		return fmt.Errorf("mixpanel: gzip level %d: want 1 to 9", o.GzipLevel)
	}
	return nil
}

// Send makes one attempt to deliver a payload and says what became of it. It
// never repeats itself: what to do about a verdict is the caller's to decide.
// Err is set unless the verdict is Settled. When Send returns, nothing reads
// p.Body any more.
func (c *Client) Send(ctx context.Context, p *Payload) Outcome {
	if p.Len() == 0 {
		return Outcome{Verdict: Settled}
	}
	s := c.pools.get()
	defer c.pools.put(s)

	x := exchange{template: c.requests[p.Endpoint], gate: c.beforeWrite}
	if p.Endpoint == Events {
		var err error
		if x.parts[0], err = c.pools.compress(ctx, s, p.Body); err != nil {
			return Outcome{Verdict: Retry, Err: err}
		}
	} else {
		x.parts = [3][]byte{openList, p.Body[:len(p.Body)-1], closeList}
	}
	if p.Packed != nil {
		p.Packed()
	}
	a := c.do(ctx, s, &x)
	o := c.judge(ctx, p.Endpoint, p.Len(), &a)
	o.Status, o.Wire = a.status, x.sent()
	return o
}

// Guarded returns a client that shares everything with c but has a BeforeWrite
// of its own, for a run among several to one project. Closing one closes both.
func (c *Client) Guarded(beforeWrite func() error) *Client {
	g := *c
	g.beforeWrite = beforeWrite
	return &g
}

var openList, closeList = []byte("["), []byte("]")

// Close drops idle connections.
func (c *Client) Close() {
	if t, ok := c.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}
