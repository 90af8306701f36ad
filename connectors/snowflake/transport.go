package snowflake

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// farewellTimeout bounds requests whose answer nobody needs: ending a session,
// aborting a query. They go on after the caller has given up.
const farewellTimeout = 5 * time.Second

// transport carries the requests of one Driver, whose connections end with it.
type transport struct{ base *http.Transport }

var _ http.RoundTripper = (*transport)(nil)

func newTransport() *transport {
	dialer := &net.Dialer{
		Timeout: 30 * time.Second,
		// A server that is gone is noticed after about a minute of silence.
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 3},
	}
	return &transport{base: &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dialer.DialContext,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 15 * time.Second,
		MaxIdleConnsPerHost: 8,
		IdleConnTimeout:     time.Minute,
	}}
}

// attempt collects why a login fails. The vendor's driver repeats it for minutes
// whatever the reason; we end it at the first that another try will not mend soon.
type attempt struct {
	stop context.CancelFunc

	mu     sync.Mutex
	err    error
	status int // of the last answer
}

type attemptKey struct{}

func (a *attempt) fail(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err == nil {
		a.err = err
	}
	a.stop()
}

func (a *attempt) answered(status int) {
	a.mu.Lock()
	a.status = status
	a.mu.Unlock()
}

// last says what the server answered, "" where it did not.
func (a *attempt) last() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.status == 0 {
		return ""
	}
	return fmt.Sprintf("; the last answer was %d %s", a.status, http.StatusText(a.status))
}

func (a *attempt) reason() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

// RoundTrip carries one request.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	switch {
	case strings.HasPrefix(r.URL.Path, "/queries/v1/abort-request"), r.URL.Path == "/session" && r.URL.Query().Get("delete") == "true":
		return t.farewell(r), nil
	}
	res, err := t.base.RoundTrip(r)
	if a, ok := r.Context().Value(attemptKey{}).(*attempt); ok && r.Context().Err() == nil {
		if err != nil {
			a.fail(err)
		} else {
			a.answered(res.StatusCode)
		}
	}
	return res, err
}

// farewell answers itself where the server does not, so that nothing is repeated.
func (t *transport) farewell(r *http.Request) *http.Response {
	ctx, cancel := context.WithTimeout(r.Context(), farewellTimeout)
	defer cancel()
	res, err := t.base.RoundTrip(r.WithContext(ctx))
	var body []byte
	if err == nil {
		body, err = io.ReadAll(io.LimitReader(res.Body, 1<<20))
		_ = res.Body.Close()
	}
	if err != nil || res.StatusCode >= 500 {
		res = &http.Response{Status: "499", StatusCode: 499, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Request: r}
		body = nil
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res
}
