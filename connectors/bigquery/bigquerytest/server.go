//go:build cgo

package bigquerytest

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"github.com/duckdb/duckdb-go/v2"
	"google.golang.org/grpc"
)

// Options shape a server. The zero value does.
type Options struct {
	Location  string // of its data sets; empty: US
	PageRows  int    // most rows of a REST page; 0: 10,000
	ChunkRows int    // rows of an Arrow record batch; 0: 10,000
	Streams   int    // most streams of a session; 0: as many as are asked for
}

// Server is a running stand-in. Its methods may be called at any time.
type Server struct {
	// Endpoint and GRPCEndpoint are what warehouse blocks take.
	Endpoint, GRPCEndpoint string

	options Options
	db      *sql.DB
	http    *http.Server
	grpc    *grpc.Server
	running sync.WaitGroup // jobs

	mu         sync.Mutex
	authorized string // header of the last call
	jobs       map[string]*job
	order      []*job
	parts      map[string]partitioning // by table as in DuckDB: dataset.table
	streamed   map[string]bool         // tables with a streaming buffer
	faults     faults
	sessions   []int32 // streams of the read sessions
	calls      map[string]int
}

// Start runs a server until the test ends.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := start(t.Context(), o, filepath.Join(t.TempDir(), "standin.duckdb"), "127.0.0.1:0", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	return s
}

func start(ctx context.Context, o Options, path, rest, rpc string) (*Server, error) {
	if o.Location == "" {
		o.Location = "US"
	}
	for _, n := range []*int{&o.PageRows, &o.ChunkRows} {
		if *n == 0 {
			*n = 10_000
		}
	}
	// Results are tables of the database: with a file they need not fit into memory.
	connector, err := duckdb.NewConnector(path+"?autoload_known_extensions=false&memory_limit=1GB", func(c driver.ExecerContext) error {
		_, err := c.ExecContext(context.WithoutCancel(ctx), "SET TimeZone = 'UTC'", nil)
		return err
	})
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	s := &Server{options: o, db: db, jobs: map[string]*job{}, parts: map[string]partitioning{}, streamed: map[string]bool{}, calls: map[string]int{}}
	if _, err := db.ExecContext(ctx, "CREATE SCHEMA "+resultSchema); err != nil {
		return nil, err
	}
	var listen net.ListenConfig
	restListener, err := listen.Listen(ctx, "tcp", rest)
	if err != nil {
		return nil, err
	}
	rpcListener, err := listen.Listen(ctx, "tcp", rpc)
	if err != nil {
		return nil, err
	}
	s.Endpoint, s.GRPCEndpoint = "http://"+restListener.Addr().String(), rpcListener.Addr().String()
	s.http = &http.Server{Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second}
	s.grpc = grpc.NewServer()
	storagepb.RegisterBigQueryReadServer(s.grpc, &reader{server: s})
	s.running.Go(func() { _ = s.http.Serve(restListener) })
	s.running.Go(func() { _ = s.grpc.Serve(rpcListener) })
	return s, nil
}

func (s *Server) stop() {
	s.mu.Lock()
	for _, j := range s.order {
		j.cancel()
	}
	s.mu.Unlock()
	_ = s.http.Close()
	s.grpc.Stop()
	s.running.Wait()
	_ = s.db.Close()
}

// Exec runs statements in the engine's own SQL.
func (s *Server) Exec(t testing.TB, statements string) {
	t.Helper()
	if err := s.exec(t.Context(), statements); err != nil {
		t.Fatalf("%v\n%.500s", err, statements)
	}
}

func (s *Server) exec(ctx context.Context, statements string) error {
	_, err := s.db.ExecContext(ctx, statements)
	return err
}

// Stream gives a table (dataset.table) a streaming buffer, or takes it away.
func (s *Server) Stream(table string, buffered bool) {
	s.mu.Lock()
	s.streamed[table] = buffered
	s.mu.Unlock()
}

// count counts a call of the API.
func (s *Server) count(call string) {
	s.mu.Lock()
	s.calls[call]++
	s.mu.Unlock()
}

// Calls is how often a method was called: insert, getQueryResults, get, cancel,
// table, CreateReadSession, ReadRows.
func (s *Server) Calls(method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[method]
}

// Authorization is the header that the last REST call had.
func (s *Server) Authorization() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.authorized
}

// Sessions lists how many streams each read session was given.
func (s *Server) Sessions() []int32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]int32(nil), s.sessions...)
}

// Jobs lists the jobs so far, dry runs among them, in the order they came.
func (s *Server) Jobs() []Job {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Job, len(s.order))
	for i, j := range s.order {
		list[i] = j.Job
	}
	return list
}

// Block is the server as a warehouse block of the YAML.
func (s *Server) Block() string {
	return fmt.Sprintf("{type: bigquery, project: test-project, endpoint: %q, grpc_endpoint: %q, insecure: true}", s.Endpoint, s.GRPCEndpoint)
}
