package postgrestest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// shared is the server of a test process, started by the first Start.
var shared struct {
	once   sync.Once
	server *Server
	dsn    string
	err    error
}

var databases atomic.Int64

// Main runs a package's tests and stops the server they shared. A package that
// calls Start has to use it: func TestMain(m *testing.M) { postgrestest.Main(m) }
func Main(m *testing.M) { os.Exit(Tests{m}.Run()) }

// Tests are a package's tests with the server they share: for a TestMain that
// hands its *testing.M on to another package's Main.
type Tests struct{ M interface{ Run() int } }

// Run runs the tests, stops the server and returns the exit code.
func (t Tests) Run() int {
	code := t.M.Run()
	if shared.server != nil {
		if err := shared.server.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stop postgres:", err)
			code = max(code, 1)
		}
	}
	return code
}

// Start returns the DSN of a superuser on an empty database of the test's own,
// which is dropped when the test ends. Without a server the test fails.
func Start(t testing.TB) string {
	t.Helper()
	shared.once.Do(func() {
		if shared.dsn = os.Getenv("MIXSYNC_TEST_POSTGRES"); shared.dsn != "" {
			return
		}
		if shared.server, shared.err = Run(context.Background()); shared.err == nil {
			shared.dsn = shared.server.DSN
		}
	})
	if shared.err != nil {
		t.Fatalf("start postgres: %v", shared.err)
	}
	name := fmt.Sprintf("mixsync_test_%d_%d", os.Getpid(), databases.Add(1))
	if err := Exec(t.Context(), shared.dsn, "CREATE DATABASE "+name); err != nil {
		t.Fatalf("create a database: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := Exec(ctx, shared.dsn, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("drop the test's database: %v", err)
		}
	})
	return withDatabase(shared.dsn, name)
}

// withDatabase points a DSN of either form at another database.
func withDatabase(dsn, name string) string {
	if !strings.Contains(dsn, "://") {
		return dsn + " dbname=" + name // the last of several counts
	}
	u, err := url.Parse(dsn)
	if err != nil {
		return dsn // and connecting tells what is wrong with it
	}
	u.Path = "/" + name
	return u.String()
}
