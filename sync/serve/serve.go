// Package serve is the HTTP side of `mixsync serve`: health, metrics, a page, and
// the API that asks for runs. What it shows and starts is behind Backend.
package serve

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"strings"
	"time"
)

// Request asks for runs: the body of POST /api/v1/runs.
type Request struct {
	Syncs  *[]string `json:"syncs"` // absent: all
	Resync bool      `json:"resync"`
	Start  *string   `json:"start"` // of a range, by the cursor
	End    *string   `json:"end"`
}

// Run is a run that was asked for.
type Run struct {
	Sync    string `json:"sync"`
	Project string `json:"project"`
	RunID   string `json:"run_id"`
}

// Sync is how a sync to a project is doing.
type Sync struct {
	Sync        string     `json:"sync"`
	Project     string     `json:"project"`
	Schedule    string     `json:"schedule"`
	Timezone    string     `json:"timezone"`
	Next        *time.Time `json:"next"`
	Mark        *string    `json:"mark"`
	Lag         *float64   `json:"lag_seconds"`
	OpenRejects int64      `json:"open_rejects"`
	LastRun     *LastRun   `json:"last_run"`
}

// LastRun is the newest run of a sync.
type LastRun struct {
	RunID      string          `json:"run_id"`
	Kind       string          `json:"kind"`
	Status     string          `json:"status"`
	Accepted   int64           `json:"accepted"`
	Rejected   int64           `json:"rejected"`
	StartedAt  time.Time       `json:"started_at"`
	FinishedAt *time.Time      `json:"finished_at"`
	Error      json.RawMessage `json:"error"`
}

// Overview is all that the page shows.
type Overview struct {
	Syncs       []Sync
	Leader      string
	ConfigError string // why the configuration on disk is not used; "" when it is
	Version     string
}

// Backend is what the server shows and starts. Errors are *Error where the caller
// is to blame.
type Backend interface {
	Trigger(ctx context.Context, r Request) ([]Run, error)
	// Run is the sync's object of `run -o json`; nil where there is no such run.
	Run(ctx context.Context, id string) (any, error)
	Overview(ctx context.Context) (*Overview, error)
	// Ready fails while the process cannot do its work.
	Ready(ctx context.Context) error
}

// Error is an answer other than success.
type Error struct {
	Status  int    `json:"-"` // of HTTP
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint"`
	Where   string `json:"where"`
}

func (e *Error) Error() string { return e.Message }

// Options of a server.
type Options struct {
	Backend Backend
	Metrics http.Handler
	Token   string // asked of whoever changes something; "" asks for none
	Log     *slog.Logger
}

const (
	maxBody = 1 << 20
	// Readers are few, and a slow one must not hold us up.
	headerTime = 5 * time.Second
	answerTime = 30 * time.Second
	idleTime   = 2 * time.Minute
	drainTime  = 5 * time.Second
	maxHeader  = 64 << 10
)

// Handler answers requests.
func Handler(o Options) http.Handler {
	s := &server{o}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", s.ready)
	mux.Handle("GET /metrics", o.Metrics)
	mux.HandleFunc("POST /api/v1/runs", s.trigger)
	mux.HandleFunc("GET /api/v1/runs/{id}", s.run)
	mux.HandleFunc("GET /api/v1/syncs", s.syncs)
	mux.HandleFunc("GET /{$}", s.page)
	mux.HandleFunc("/", s.nothing)
	// A page of another site that is open in somebody's browser may not start runs.
	return http.NewCrossOriginProtection().Handler(mux)
}

// Serve answers requests until ctx ends, and then those that have begun.
func Serve(ctx context.Context, l net.Listener, o Options) error {
	server := &http.Server{
		Handler: Handler(o), ReadHeaderTimeout: headerTime, ReadTimeout: answerTime, WriteTimeout: answerTime, IdleTimeout: idleTime,
		MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer stop()
	if err := server.Shutdown(last); err != nil {
		_ = server.Close()
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

type server struct{ Options }

func (s *server) ready(w http.ResponseWriter, r *http.Request) {
	if err := s.Backend.Ready(r.Context()); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "ready\n")
}

func (s *server) trigger(w http.ResponseWriter, r *http.Request) {
	if err := s.allowed(r); err != nil {
		w.Header().Set("WWW-Authenticate", `Bearer realm="mixsync"`)
		s.fail(w, err)
		return
	}
	q, err := request(w, r)
	if err != nil {
		s.fail(w, err)
		return
	}
	runs, err := s.Backend.Trigger(r.Context(), q)
	if err != nil {
		s.fail(w, err)
		return
	}
	s.Log.Info("runs asked for", "runs", len(runs), "from", r.RemoteAddr)
	s.answer(w, http.StatusAccepted, map[string]any{"runs": runs})
}

// allowed asks for the token. Its hash is compared, so that the time it takes
// tells nothing of it.
func (s *server) allowed(r *http.Request) error {
	if s.Token == "" {
		// Without a token we listen on loopback alone: a name that points there by
		// somebody else's DNS is no name of ours.
		if host := r.Host; !IsLoopback(host) {
			return &Error{Status: http.StatusForbidden, Code: "credentials", Message: fmt.Sprintf("runs cannot be asked for under the name %q", host),
				Hint: "use 127.0.0.1 or localhost, or start serve with a token"}
		}
		return nil
	}
	given, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(s.Token))
	if found && subtle.ConstantTimeCompare(a[:], b[:]) == 1 {
		return nil
	}
	return &Error{Status: http.StatusUnauthorized, Code: "credentials", Message: "the bearer token is missing or wrong",
		Hint: "send the header `Authorization: Bearer …` with the token that serve was started with"}
}

// IsLoopback reports whether an address, with or without port, is this machine's own.
func IsLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = strings.Trim(address, "[]")
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func request(w http.ResponseWriter, r *http.Request) (q Request, err error) {
	bad := func(format string, args ...any) error {
		return &Error{Status: http.StatusBadRequest, Code: "usage", Message: fmt.Sprintf(format, args...),
			Hint: `send {"syncs":["usage"],"resync":false,"start":null,"end":null}`}
	}
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "" && kind != "application/json" && kind != "application/x-www-form-urlencoded" {
		return q, bad("the body is %s, not application/json", kind)
	}
	body := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	body.DisallowUnknownFields()
	if err := body.Decode(&q); err != nil {
		return q, bad("the body is no request for runs: %v", err)
	}
	if _, err := body.Token(); !errors.Is(err, io.EOF) {
		return q, bad("something follows the request in the body")
	}
	switch {
	case q.Syncs != nil && len(*q.Syncs) == 0:
		return q, bad("the list of syncs is empty; leave it out to run all")
	case q.Start != nil && *q.Start == "" || q.End != nil && *q.End == "":
		return q, bad("start and end are cursor values or null, not empty")
	case q.Resync && (q.Start != nil || q.End != nil):
		return q, bad("resync sends everything again; with start or end leave it out")
	}
	return q, nil
}

func (s *server) run(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	run, err := s.Backend.Run(r.Context(), id)
	if err == nil && run == nil {
		err = &Error{Status: http.StatusNotFound, Code: "usage", Message: fmt.Sprintf("there is no run %q", id),
			Hint: "run ids are in the answer of POST /api/v1/runs and in `mixsync status --runs`; the newest 1,000 of a sync are kept"}
	}
	if err != nil {
		s.fail(w, err)
		return
	}
	s.answer(w, http.StatusOK, run)
}

func (s *server) syncs(w http.ResponseWriter, r *http.Request) {
	o, err := s.Backend.Overview(r.Context())
	if err != nil {
		s.fail(w, err)
		return
	}
	s.answer(w, http.StatusOK, map[string]any{"syncs": o.Syncs})
}

func (s *server) nothing(w http.ResponseWriter, r *http.Request) {
	s.fail(w, &Error{Status: http.StatusNotFound, Code: "usage", Message: fmt.Sprintf("there is no %s %s", r.Method, r.URL.Path),
		Hint: "see /, /healthz, /readyz, /metrics, POST /api/v1/runs, GET /api/v1/runs/{id} and GET /api/v1/syncs"})
}

func (s *server) fail(w http.ResponseWriter, err error) {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		s.Log.Error("a request failed", "err", err)
		e = &Error{Status: http.StatusInternalServerError, Code: "internal", Message: err.Error()}
	}
	s.answer(w, e.Status, map[string]any{"ok": false, "error": e})
}

func (s *server) answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	_ = out.Encode(body) // whoever asked may have gone
}
