package mixpanel

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// A server that quotes what it was sent, in every way there is.
func TestMessagesHoldNoCredentials(t *testing.T) {
	t.Parallel()
	basic := base64.StdEncoding.EncodeToString([]byte("sa.user:" + testSecret))
	quotes := []string{
		`bad record {"$token":"` + testToken + `","$group_id":"a"}`,
		`bad record {\"$token\":\"` + testToken + `\"}`,
		`cut in the middle of it: {"$token":"` + testToken[:9],
		`Authorization: Basic ` + basic,
		`Authorization: Basic ` + basic[:20],
		`secret ` + testSecret,
		`escaped s3cr3t%2Fwith%2Bodd%3Dchars`,
		strings.Repeat(" ", 5000) + testToken,
		strings.Repeat("x", quoteMax-5) + testToken,
		strings.Repeat("é", quoteMax) + testSecret,
	}
	for _, status := range []int{200, 400, 401, 404, 413, 429, 500} {
		for i, quote := range quotes {
			for _, body := range []string{
				quote, "<html>" + quote,
				fmt.Sprintf(`{"error":%q,"status":0}`, quote),
				fmt.Sprintf(`{"error":%q,"num_records_imported":7}`, quote),
				fmt.Sprintf(`{"failed_records":[{"index":0,"field":%q,"message":%q}],"num_records_imported":0}`, quote, quote),
				fmt.Sprintf(`{"failed_records":[%q]}`, quote),
			} {
				c := newClient(t, Options{
					ProjectID: 7, Token: testToken, Username: "sa.user", Secret: testSecret,
					Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
						io.Copy(io.Discard, r.Body)
						return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, nil
					}),
				})
				for _, n := range []int{1, 2} {
					o := c.Send(t.Context(), payload(Groups, n))
					texts := []string{fmt.Sprintf("%v", o.Err)}
					if e, ok := errors.AsType[*Error](o.Err); ok {
						texts = append(texts, e.Hint, e.Unwrap().Error())
					}
					for _, r := range o.Refused {
						texts = append(texts, r.Field, r.Message)
					}
					if e := c.Probe(t.Context()); e != nil {
						texts = append(texts, e.Error())
					}
					for _, text := range texts {
						for _, secret := range []string{testToken[:9], testSecret[:9], basic[:12], "s3cr3t%2F"} {
							if strings.Contains(text, secret) {
								t.Errorf("%d, quote %d: %q shows %q", status, i, text, secret)
							}
						}
						if strings.ContainsFunc(text, unicode.IsControl) || !utf8.ValidString(text) {
							t.Errorf("%d, quote %d: %q is not one line of text", status, i, text)
						}
					}
				}
			}
		}
	}
}

// Transports may name the proxy, with its password, in their errors.
func TestNetworkErrorsHoldNoCredentials(t *testing.T) {
	t.Parallel()
	cause := fmt.Errorf(`invalid proxy address "http://me:hunter22@proxy:3128": %w`, io.ErrClosedPipe)
	c := newClient(t, Options{Token: testToken, Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, cause })})
	o := c.Send(t.Context(), payload(Events, 1))
	if text := o.Err.Error(); strings.Contains(text, "hunter22") || !strings.Contains(text, "***@proxy:3128") {
		t.Errorf("Err = %v, want it without the password", o.Err)
	}
	if !errors.Is(o.Err, io.ErrClosedPipe) {
		t.Errorf("Err = %v does not wrap its cause", o.Err)
	}
}

func TestQuote(t *testing.T) {
	t.Parallel()
	r := newRedactor(Options{Token: "T", Secret: ""})
	if got, want := r.quote(" a\n\tb\x00 \xff T "), "a b \uFFFD T"; got != want {
		t.Errorf("quote = %q, want %q", got, want)
	}
	if got := r.quote(strings.Repeat("é", 400)); len(got) > quoteMax+len("…") || !strings.HasSuffix(got, "é…") {
		t.Errorf("quote of a long text = %q", got)
	}
}

func TestProbe(t *testing.T) {
	t.Parallel()
	const fine = `{"code":200,"error":"some data points in the request failed validation","num_records_imported":0,"status":0}`
	tests := []struct {
		name        string
		status      int
		body        string
		ok          bool
		credentials bool
		unreachable bool
		hint        string
	}{
		{"fine", 200, fine, true, false, false, ""},
		{"busy", 429, `{"code":429,"error":"Project exceeded rate limits.","status":"Too Many Requests"}`, true, false, false, ""},
		{"validates strictly", 400, `{"code":400,"failed_records":[{"index":0,"message":"m"}],"num_records_imported":0}`, true, false, false, ""},
		{"bad credentials", 401, `{"code":401,"error":"Invalid credentials","status":"Unauthorized"}`, false, true, false, "Owner or Admin"},
		{"role", 403, `{"error":"no"}`, false, true, false, "Owner or Admin"},
		{"no project", 400, `{"error":"project_id must be specified"}`, false, false, false, "project_id"},
		{"elsewhere", 404, page, false, false, true, "api_url"},
		{"a portal", 200, page, false, false, true, "api_url"},
		{"unwell", 503, page, false, false, true, "can be reached"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got seen
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(tt.status)
				record(t, &got, tt.body)(w, r)
			}))
			defer server.Close()
			c := newClient(t, account(server.URL))
			err := c.Probe(t.Context())
			if got.query != "strict=0&verbose=1&project_id=7" || got.body != "[{}]" || got.user != "sa.user" || got.path != "/import" {
				t.Errorf("request: %+v", got)
			}
			if tt.ok {
				if err != nil {
					t.Errorf("Probe = %v, want no error", err)
				}
			} else {
				e, ok := errors.AsType[*Error](err)
				if !ok {
					t.Fatalf("Probe = %v, want an *Error", err)
				}
				if e.Credentials != tt.credentials || e.Unreachable != tt.unreachable || !strings.Contains(e.Hint, tt.hint) {
					t.Errorf("Probe = %+v, want Credentials %v, Unreachable %v, hint %q", e, tt.credentials, tt.unreachable, tt.hint)
				}
			}
			err = c.ProbeToken(t.Context())
			if got.query != "strict=0&verbose=1" || got.user != testToken || got.password != "" {
				t.Errorf("request: %+v", got)
			}
			if e, ok := errors.AsType[*Error](err); ok == tt.ok || ok && e.Credentials && !strings.Contains(e.Hint, "token") {
				t.Errorf("ProbeToken = %v, want ok %v", err, tt.ok)
			}
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		t.Parallel()
		server := httptest.NewServer(http.NotFoundHandler())
		server.Close()
		e, ok := errors.AsType[*Error](newClient(t, account(server.URL)).Probe(t.Context()))
		if !ok || !e.Unreachable || e.Hint == "" {
			t.Errorf("Probe = %+v, want Unreachable with a hint", e)
		}
	})
	t.Run("no token", func(t *testing.T) {
		t.Parallel()
		o := account("http://127.0.0.1:1")
		o.Token = ""
		if err := newClient(t, o).ProbeToken(t.Context()); err != nil {
			t.Errorf("ProbeToken = %v, want nothing asked", err)
		}
	})
}
