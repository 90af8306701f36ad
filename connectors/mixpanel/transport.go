package mixpanel

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// newTransport speaks HTTP/1.1 only: bulk uploads over one HTTP/2 connection
// share its flow-control window and wait for each other's lost packets, while a
// connection per sender does neither, and a reset costs one request.
func newTransport() *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 10 * time.Second,
		// Twice the most senders one project adapts to.
		MaxIdleConns:        128,
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     90 * time.Second,
		// Answers are small, and one that fails to inflate would hide its verdict.
		DisableCompression: true,
		WriteBufferSize:    32 << 10,
		Protocols:          &protocols,
		// Otherwise its refusal is an error like any other.
		OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, r *http.Response) error {
			if r.StatusCode == http.StatusOK {
				return nil
			}
			return &net.OpError{Op: "proxyconnect", Net: "tcp", Err: fmt.Errorf("the proxy answered %s", r.Status)}
		},
	}
}

// base is the URL that paths are joined to.
func (o *Options) base() (*url.URL, error) {
	if o.BaseURL == "" {
		region := o.Region
		if region == "" {
			region = US
		}
		host, ok := hosts[region]
		if !ok {
			return nil, fmt.Errorf("mixpanel: unknown region %q: want us, eu or in", region)
		}
		return url.Parse(host)
	}
	u, err := url.Parse(o.BaseURL)
	if err != nil {
		// The error of url.Parse quotes the URL, which may hold a password.
		return nil, fmt.Errorf("mixpanel: api_url is not a URL: want https://host")
	}
	switch {
	case u.User != nil:
		return nil, fmt.Errorf("mixpanel: api_url holds credentials: put them under token or service_account")
	case u.Host == "" || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("mixpanel: api_url %q: want https://host, without query or fragment", o.BaseURL)
	case u.Scheme == "https":
	case u.Scheme == "http" && loopback(u.Hostname()):
	case u.Scheme == "http":
		return nil, fmt.Errorf("mixpanel: api_url %q: plain http would show the credentials to the network, it is allowed to loopback only: use https", o.BaseURL)
	default:
		return nil, fmt.Errorf("mixpanel: api_url %q: want https://host", o.BaseURL)
	}
	if u.Path == "" {
		u.Path = "/"
	}
	return u, nil
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// build makes the requests that every attempt is a copy of.
func (c *Client) build(base *url.URL, o *Options) {
	agent := o.UserAgent
	if agent == "" {
		agent = "mixsync"
	}
	request := func(path, query string, header ...string) *http.Request {
		u := base.JoinPath(path)
		u.RawQuery = query
		h := http.Header{"Accept": {"application/json"}, "User-Agent": {agent}}
		for i := 0; i < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return &http.Request{
			Method: http.MethodPost, URL: u, Host: u.Host, Header: h,
			Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		}
	}
	basic := func(user, password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	// A token selects its project by itself; a service account must be told.
	auth, project := basic(o.Token, ""), ""
	if o.Username != "" {
		auth, project = basic(o.Username, o.Secret), "&project_id="+strconv.FormatInt(o.ProjectID, 10)
	}
	// No ip=0 here: each event says for itself, and some map a column to it.
	c.requests[Events] = request("/import", "strict=1"+project, "Authorization", auth,
		"Content-Type", "application/x-ndjson", "Content-Encoding", "gzip")
	// Without verbose the answer is a bare 1 or 0; without ip=0 profiles would
	// move to where this process runs. Neither path takes gzip or credentials.
	const profiles = "strict=1&verbose=1&ip=0"
	c.requests[Groups] = request("/groups", profiles, "Content-Type", "application/json")
	c.requests[Users] = request("/engage", profiles, "Content-Type", "application/json")

	const probe = "strict=0&verbose=1"
	c.service = request("/import", probe+project, "Authorization", auth, "Content-Type", "application/json")
	if o.Token != "" {
		c.token = request("/import", probe, "Authorization", basic(o.Token, ""), "Content-Type", "application/json")
	}
}
