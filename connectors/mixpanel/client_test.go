package mixpanel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"go.uber.org/goleak"
)

const (
	testToken  = "tok3nabcdef0123456789"
	testSecret = "s3cr3t/with+odd=chars"
)

// payload makes n small records for an endpoint.
func payload(e Endpoint, n int) *Payload {
	p := &Payload{Endpoint: e}
	for i := range n {
		if e == Events {
			p.Body = fmt.Appendf(p.Body, `{"event":"e","properties":{"$insert_id":"%d"}}`, i)
		} else {
			p.Body = fmt.Appendf(p.Body, `{"$token":"%s","$group_id":"%d"}`, testToken, i)
		}
		p.Body = append(p.Body, e.Separator())
		p.Ends = append(p.Ends, len(p.Body))
	}
	return p
}

func account(url string) Options {
	return Options{BaseURL: url, ProjectID: 7, Token: testToken, Username: "sa.user", Secret: testSecret}
}

func newClient(t testing.TB, o Options) *Client {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// seen is what a server saw of a request.
type seen struct {
	method, path, query, kind, encoding, user, password, agent string
	length                                                     int64
	body                                                       string
}

func record(t *testing.T, into *seen, answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		*into = seen{
			method: r.Method, path: r.URL.Path, query: r.URL.RawQuery, length: r.ContentLength,
			kind: r.Header.Get("Content-Type"), encoding: r.Header.Get("Content-Encoding"),
			agent: r.Header.Get("User-Agent"), body: string(body),
		}
		into.user, into.password, _ = r.BasicAuth()
		io.WriteString(w, answer)
	}
}

func TestRequest(t *testing.T) {
	t.Parallel()
	const stored = `{"code":200,"num_records_imported":2,"status":"OK"}`
	const array = `[{"$token":"` + testToken + `","$group_id":"0"},{"$token":"` + testToken + `","$group_id":"1"}]`
	const lines = `{"event":"e","properties":{"$insert_id":"0"}}` + "\n" + `{"event":"e","properties":{"$insert_id":"1"}}` + "\n"
	tokenOnly := Options{Token: testToken, UserAgent: "mixsync/1.2"}
	tests := []struct {
		name    string
		options Options
		e       Endpoint
		want    seen
	}{
		{"events, service account", account(""), Events, seen{
			path: "/import", query: "strict=1&project_id=7", kind: "application/x-ndjson",
			encoding: "gzip", user: "sa.user", password: testSecret, agent: "mixsync", body: lines,
		}},
		{"events, token", tokenOnly, Events, seen{
			path: "/import", query: "strict=1", kind: "application/x-ndjson",
			encoding: "gzip", user: testToken, agent: "mixsync/1.2", body: lines,
		}},
		{"groups", account(""), Groups, seen{
			path: "/groups", query: "strict=1&verbose=1&ip=0", kind: "application/json", agent: "mixsync", body: array,
		}},
		{"users", tokenOnly, Users, seen{
			path: "/engage", query: "strict=1&verbose=1&ip=0", kind: "application/json", agent: "mixsync/1.2", body: array,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got seen
			server := httptest.NewServer(record(t, &got, stored))
			defer server.Close()
			tt.options.BaseURL = server.URL
			p := payload(tt.e, 2)
			before := bytes.Clone(p.Body)
			o := newClient(t, tt.options).Send(t.Context(), p)

			want := Outcome{Verdict: Settled, Accepted: 2, Status: 200, Wire: int(got.length)}
			if diff := cmp.Diff(want, o); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
			if !bytes.Equal(before, p.Body) {
				t.Errorf("Send changed the payload")
			}
			if got.encoding == "gzip" {
				z, err := gzip.NewReader(strings.NewReader(got.body))
				if err != nil {
					t.Fatal(err)
				}
				plain, err := io.ReadAll(z)
				if err != nil {
					t.Fatal(err)
				}
				got.body = string(plain)
			}
			tt.want.method, tt.want.length = "POST", got.length
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(seen{})); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSendNothing(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{Token: testToken, Transport: roundTrip(func(*http.Request) (*http.Response, error) {
		t.Error("a request was made")
		return nil, errors.New("no")
	})})
	if o := c.Send(t.Context(), &Payload{Endpoint: Groups}); o.Verdict != Settled || o.Accepted != 0 {
		t.Errorf("Send(empty) = %+v, want settled", o)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A part of a payload is sent as itself, between its own brackets.
func TestSendSlice(t *testing.T) {
	t.Parallel()
	var got seen
	server := httptest.NewServer(record(t, &got, `{"error":null,"status":1}`))
	defer server.Close()
	p := payload(Groups, 5).Slice(1, 4).Slice(1, 2)
	o := newClient(t, account(server.URL)).Send(t.Context(), p)
	if o.Verdict != Settled || o.Accepted != 1 {
		t.Errorf("Send = %+v, want 1 accepted", o)
	}
	if want := `[{"$token":"` + testToken + `","$group_id":"2"}]`; got.body != want {
		t.Errorf("body = %s, want %s", got.body, want)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	ok := Options{Token: "token"}
	tests := []struct {
		name string
		edit func(*Options)
		want string // "" = accepted
	}{
		{"defaults", func(o *Options) {}, ""},
		{"eu", func(o *Options) { o.Region = EU }, ""},
		{"unknown region", func(o *Options) { o.Region = "cn" }, `unknown region "cn"`},
		{"no credentials", func(o *Options) { o.Token = "" }, "no credentials"},
		{"half an account", func(o *Options) { o.Username = "u" }, "both username and secret"},
		{"account without project", func(o *Options) { o.Username, o.Secret = "u", "s" }, "project_id"},
		{"gzip level", func(o *Options) { o.GzipLevel = 10 }, "gzip level 10"},
		{"http to loopback", func(o *Options) { o.BaseURL = "http://127.0.0.1:8090" }, ""},
		{"http to loopback, v6", func(o *Options) { o.BaseURL = "http://[::1]:8090/" }, ""},
		{"http to localhost", func(o *Options) { o.BaseURL = "http://localhost:8090" }, ""},
		{"http to a name like localhost", func(o *Options) { o.BaseURL = "http://localhost.example.com" }, "loopback only"},
		{"http to another host", func(o *Options) { o.BaseURL = "http://10.0.0.1" }, "loopback only"},
		{"https with path", func(o *Options) { o.BaseURL = "https://proxy.example.com/mixpanel" }, ""},
		{"no host", func(o *Options) { o.BaseURL = "https:///x" }, "want https://host"},
		{"no scheme", func(o *Options) { o.BaseURL = "api.mixpanel.com" }, "want https://host"},
		{"query", func(o *Options) { o.BaseURL = "https://h/?a=b" }, "without query"},
		{"other scheme", func(o *Options) { o.BaseURL = "ftp://h" }, "want https://host"},
		{"password in URL", func(o *Options) { o.BaseURL = "https://u:hunter22@h" }, "holds credentials"},
		{"unreadable", func(o *Options) { o.BaseURL = "https://u:hunter22@h:x" }, "not a URL"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := ok
			tt.edit(&o)
			_, err := New(o)
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("New = %v, want no error", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("New = %v, want an error about %q", err, tt.want)
			case err != nil && strings.Contains(err.Error(), "hunter22"):
				t.Errorf("New = %v, shows the password", err)
			}
		})
	}
}

func TestRegionHosts(t *testing.T) {
	t.Parallel()
	for region, want := range map[Region]string{
		"": "api.mixpanel.com", US: "api.mixpanel.com", EU: "api-eu.mixpanel.com", IN: "api-in.mixpanel.com",
	} {
		var host, scheme string
		c := newClient(t, Options{Region: region, Token: testToken, Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			host, scheme = r.URL.Host, r.URL.Scheme
			return nil, io.EOF
		})})
		c.Send(t.Context(), payload(Events, 1))
		if host != want || scheme != "https" {
			t.Errorf("region %q goes to %s://%s, want https://%s", region, scheme, host, want)
		}
	}
}

// The deadline is looked at when the connection is there, not before.
func TestBeforeWrite(t *testing.T) {
	t.Parallel()
	var records atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n, _ := io.Copy(io.Discard, r.Body); n > 0 {
			records.Add(1)
		}
		io.WriteString(w, `{"error":null,"status":1}`)
	}))
	defer server.Close()
	var asked atomic.Int32
	lost := errors.New("the lease is over")
	o := account(server.URL)
	o.BeforeWrite = func() error { return lost }
	shared := newClient(t, o)
	if got := shared.Send(t.Context(), payload(Events, 3)); got.Verdict != Halt || !errors.Is(got.Err, lost) {
		t.Errorf("Send = %+v, want halt with the error of BeforeWrite", got)
	}
	c := shared.Guarded(func() error {
		if asked.Add(1) == 2 {
			return lost
		}
		return nil
	})
	for i, want := range []Verdict{Settled, Halt, Settled} {
		got := c.Send(t.Context(), payload(Groups, 3))
		if got.Verdict != want {
			t.Errorf("Send %d = %+v, want %v", i, got, want)
		}
		if want == Halt && (!errors.Is(got.Err, lost) || got.Wire != 0) {
			t.Errorf("Send %d = %+v, want the error of BeforeWrite and no bytes", i, got)
		}
	}
	if n := records.Load(); n != 2 {
		t.Errorf("%d bodies arrived, want 2", n)
	}
}

func TestNetworkFaults(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		switch r.URL.Path {
		case "/reset/import":
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			conn.(*net.TCPConn).SetLinger(0)
			conn.Close()
		case "/hang/import":
			select {
			case <-hang:
			case <-r.Context().Done():
			}
		case "/slow/import": // an answer that begins and does not end
			io.WriteString(w, `{"code":200,`)
			w.(http.Flusher).Flush()
			select {
			case <-hang:
			case <-r.Context().Done():
			}
		case "/cut/import": // ends before its length
			w.Header().Set("Content-Length", "51")
			io.WriteString(w, `{"code":200,"num_rec`)
		}
	})
	plain := httptest.NewServer(handler)
	t.Cleanup(plain.Close)
	secure := httptest.NewUnstartedServer(handler)
	secure.Config.ErrorLog = discardLog
	secure.StartTLS()
	t.Cleanup(secure.Close)
	closed := httptest.NewServer(handler)
	closed.Close()

	tests := []struct {
		name        string
		url         string
		timeout     time.Duration
		unreachable bool
		status      int
		want        string
	}{
		{"reset", plain.URL + "/reset", 0, false, 0, ""},
		{"no answer in time", plain.URL + "/hang", 200 * time.Millisecond, false, 0, "no answer within 200ms"},
		{"half an answer in time", plain.URL + "/slow", 2 * time.Second, false, 200, "broke off"},
		{"cut short", plain.URL + "/cut", 0, false, 200, "broke off"},
		{"refused", closed.URL, 0, true, 0, "refused"},
		{"unknown host", "https://nowhere.invalid", 0, true, 0, "nowhere.invalid"},
		{"certificate", secure.URL, 0, true, 0, "certificate"},
		{"TLS to a plain server", strings.Replace(plain.URL, "http:", "https:", 1), 0, true, 0, "TLS"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := account(tt.url)
			o.Timeout = tt.timeout
			got := newClient(t, o).Send(t.Context(), payload(Events, 3))
			var e *Error
			if got.Verdict != Retry || !errors.As(got.Err, &e) || got.Status != tt.status {
				t.Fatalf("Send = %+v, want retry with an *Error and status %d", got, tt.status)
			}
			if e.Unreachable != tt.unreachable || !e.Temporary || e.Credentials {
				t.Errorf("Send: %+v, want Unreachable %v, Temporary", e, tt.unreachable)
			}
			if tt.unreachable && e.Hint == "" {
				t.Errorf("Send: %v: no hint", e)
			}
			if !strings.Contains(e.Error(), tt.want) {
				t.Errorf("Send: %v, want %q in it", e, tt.want)
			}
		})
	}
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		cancel()
		<-r.Context().Done()
	}))
	defer server.Close()
	o := newClient(t, account(server.URL)).Send(ctx, payload(Events, 3))
	if o.Verdict != Retry || !errors.Is(o.Err, context.Canceled) || o.Status != 0 {
		t.Errorf("Send = %+v, want retry with context.Canceled", o)
	}
}

// An answer may come before the body was read. The payload's memory is free
// when Send returns, whatever the transport still does.
func TestEarlyAnswerFreesPayload(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	}))
	defer server.Close()
	c := newClient(t, account(server.URL))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			p := payload(Groups, 20000)
			for range 20 {
				o := c.Send(t.Context(), p)
				if o.Verdict != Split && o.Verdict != Retry { // a reset may overtake the answer
					t.Errorf("Send = %+v, want split", o)
				}
				clear(p.Body) // a race, if somebody still reads it
			}
		})
	}
	wg.Wait()
}

func TestConcurrentSends(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		body, err := io.ReadAll(z)
		if err != nil {
			t.Error(err)
		}
		fmt.Fprintf(w, `{"code":200,"num_records_imported":%d,"status":"OK"}`, bytes.Count(body, []byte("\n")))
	}))
	defer server.Close()
	c := newClient(t, account(server.URL))
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			p := payload(Events, 1+i*37)
			for range 8 {
				if o := c.Send(t.Context(), p); o.Verdict != Settled || o.Accepted != p.Len() {
					t.Errorf("Send = %+v, want %d accepted", o, p.Len())
				}
			}
		})
	}
	wg.Wait()
}

// Redirects would take the records to a host nobody configured.
func TestRedirectRefused(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the redirect was followed")
	}))
	defer elsewhere.Close()
	server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	o := newClient(t, account(server.URL)).Send(t.Context(), payload(Events, 1))
	var e *Error
	if o.Verdict != Halt || !errors.As(o.Err, &e) || !strings.Contains(e.Hint, "api_url") {
		t.Errorf("Send = %+v, want halt with a hint about api_url", o)
	}
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
