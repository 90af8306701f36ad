//go:build cgo

package snowflaketest

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"
)

// Options say what a server lets in and how it answers. The zero value will do.
type Options struct {
	Account, User, Password string         // TEST, MIXSYNC and secret by default
	Token                   string         // an OAuth or programmatic access token that is let in; empty: none
	PublicKey               *rsa.PublicKey // of the user's key pair; nil: none
	Roles                   []string       // that a login may ask for; empty: any
	Database, Schema        string         // ANALYTICS and MARTS by default

	JSON       bool          // answer in JSON instead of Arrow
	InlineRows int           // rows in the answer itself; 0: 1,000
	ChunkRows  int           // rows of a chunk; 0: 100,000
	Patience   time.Duration // after which a client is told to ask again; 0: 45 s, as Snowflake does
}

// Server is a running stand-in.
type Server struct {
	options Options
	engine  *engine
	http    *http.Server
	address *net.TCPAddr
	dir     string // of chunks
	stop    context.CancelFunc
	running context.Context
	work    sync.WaitGroup

	faults faults

	mu       sync.Mutex
	serial   int
	sessions map[string]*login // by token
	masters  map[string]*login // by the token that renews it
	queries  map[string]*query // by id
	order    []*query
	logins   []Login
	commits  int64
}

// Start runs a server until the test ends.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// Open runs a server until it is closed.
func Open(o Options) (*Server, error) {
	for _, d := range []struct {
		field *string
		value string
	}{{&o.Account, "TEST"}, {&o.User, "MIXSYNC"}, {&o.Password, "secret"}, {&o.Database, "ANALYTICS"}, {&o.Schema, "MARTS"}} {
		if *d.field == "" {
			*d.field = d.value
		}
	}
	if o.InlineRows == 0 {
		o.InlineRows = 1000
	}
	if o.ChunkRows == 0 {
		o.ChunkRows = 100_000
	}
	if o.Patience == 0 {
		o.Patience = 45 * time.Second
	}
	engine, err := openEngine(o.Database, o.Schema)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "snowflaketest-")
	if err != nil {
		engine.close()
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		engine.close()
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	s := &Server{options: o, engine: engine, address: listener.Addr().(*net.TCPAddr), dir: dir,
		sessions: map[string]*login{}, masters: map[string]*login{}, queries: map[string]*query{}}
	s.running, s.stop = context.WithCancel(context.Background())
	s.http = &http.Server{Handler: s.routes(), ReadHeaderTimeout: 10 * time.Second}
	s.work.Go(func() { _ = s.http.Serve(listener) }) // until it is closed
	return s, nil
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /session/v1/login-request", s.loginRequest)
	mux.HandleFunc("POST /session/token-request", s.tokenRequest)
	mux.HandleFunc("POST /session", s.sessionRequest)
	mux.HandleFunc("POST /queries/v1/query-request", s.queryRequest)
	mux.HandleFunc("POST /queries/v1/abort-request", s.abortRequest)
	mux.HandleFunc("GET /queries/{id}/result", s.resultRequest)
	mux.HandleFunc("GET /chunks/{id}/{n}", s.chunkRequest)
	mux.HandleFunc("POST /exec", s.execRequest)
	return mux
}

// Close stops the server and what it runs.
func (s *Server) Close() {
	s.stop()
	_ = s.http.Close()
	s.work.Wait()
	s.engine.close()
	_ = os.RemoveAll(s.dir)
}

// Host is where the server listens; it and the rest are what a connection block needs.
func (s *Server) Host() string { return s.address.IP.String() }

// Port is where the server listens, in plain HTTP.
func (s *Server) Port() int { return s.address.Port }

// Account is the account's name.
func (s *Server) Account() string { return s.options.Account }

// User is the user that may log in.
func (s *Server) User() string { return s.options.User }

// Password is the user's.
func (s *Server) Password() string { return s.options.Password }

// Block is a warehouse's block for the YAML, in one line.
func (s *Server) Block() string {
	return fmt.Sprintf("{type: snowflake, account: %q, user: %q, password: %q, database: %q, schema: %q, protocol: http, host: %s, port: %d}",
		s.Account(), s.User(), s.Password(), s.options.Database, s.options.Schema, s.Host(), s.Port())
}

// Exec runs statements in the engine, as another program would write to the account.
func (s *Server) Exec(sql string) error {
	s.mu.Lock()
	s.commits++
	s.mu.Unlock()
	translated, err := translate(sql, nil)
	if err != nil {
		return err
	}
	return s.engine.exec(translated)
}

// id makes a name that nothing else here has.
func (s *Server) id(kind string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serial++
	return fmt.Sprintf("%s-%06d", kind, s.serial)
}
