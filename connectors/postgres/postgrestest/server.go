// Package postgrestest runs a throwaway Postgres for tests and benchmarks.
//
// Start gives a test a fresh database: on the server that MIXSYNC_TEST_POSTGRES
// names, or else on one that is started from the installed binaries, once for a
// test process, and stopped by Main. Run starts one outside of tests.
package postgrestest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Server is a Postgres that belongs to this process. Its data is gone when it stops.
type Server struct {
	// DSN names the superuser's maintenance database.
	DSN string

	bin   string // folder of the binaries
	dir   string // folder of data, socket and log
	port  int
	as    *syscall.Credential // nil: run as ourselves
	guard *exec.Cmd
	alive io.Closer // what guard reads from
}

// Run starts a server on a free port of the loopback interface. It needs the
// server's binaries (Debian: apt-get install postgresql), either as a plain
// user or as root with a user postgres to run them as.
func Run(ctx context.Context) (*Server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	as, err := credential()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "mixsync-postgres-")
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin, dir: dir, as: as}
	if err := s.watch(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := s.create(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// guardScript waits for the end of its input, then stops the server and removes its folder.
const guardScript = `read -r _; "$0/pg_ctl" -D "$1/data" -m immediate -w stop; rm -rf "$1"`

// watch starts a process that cleans up when the pipe from us closes: in Stop,
// and also when we are killed.
func (s *Server) watch() error {
	if s.as != nil {
		if err := os.Chown(s.dir, int(s.as.Uid), int(s.as.Gid)); err != nil {
			return err
		}
	}
	// No context ends it: what it cleans up is there until we are gone.
	s.guard = exec.CommandContext(context.Background(), "/bin/sh", "-c", guardScript, s.bin, s.dir)
	s.guard.Dir = "/"
	// A group of its own: an interrupt from the terminal is for us alone.
	s.guard.SysProcAttr = &syscall.SysProcAttr{Credential: s.as, Setpgid: true}
	pipe, err := s.guard.StdinPipe()
	if err != nil {
		return err
	}
	s.alive = pipe
	return s.guard.Start()
}

func (s *Server) create(ctx context.Context) error {
	err := s.exec(ctx, "initdb", "-D", s.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N", "--no-instructions")
	if err != nil {
		return err
	}
	// Another process may take the port between finding and using it.
	for range 3 {
		if s.port, err = freePort(ctx); err != nil {
			return err
		}
		if err = s.start(ctx); err == nil {
			s.DSN = s.Database("postgres")
			return nil
		}
	}
	return err
}

// Database is the DSN of another database of the server.
func (s *Server) Database(name string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", s.port, url.PathEscape(name))
}

// Stop stops the server at once and removes its data.
func (s *Server) Stop() error {
	return errors.Join(s.alive.Close(), s.guard.Wait())
}

// Restart breaks every connection and starts the server again on its port, as
// after a fault of the machine.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.exec(ctx, "pg_ctl", "-D", s.data(), "-m", "fast", "-w", "stop"); err != nil {
		return err
	}
	return s.start(ctx)
}

func (s *Server) start(ctx context.Context) error {
	// Nothing here needs to outlive the machine: fsync is off. Prepared
	// transactions are on for the tests that make them.
	options := fmt.Sprintf("-c listen_addresses=127.0.0.1 -p %d -k %s -c fsync=off -c synchronous_commit=off "+
		"-c full_page_writes=off -c max_prepared_transactions=5", s.port, s.dir)
	return s.exec(ctx, "pg_ctl", "-D", s.data(), "-l", filepath.Join(s.dir, "log"), "-w", "-t", "60", "-o", options, "start")
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) exec(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	// The server inherits the output of pg_ctl; waiting for it to be closed
	// would be waiting for the server's end.
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
	out, err := os.CreateTemp("", "mixsync-postgres-out-")
	if err != nil {
		return err
	}
	defer func() {
		_ = out.Close()
		_ = os.Remove(out.Name())
	}()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(out.Name())
		logged, _ := os.ReadFile(filepath.Join(s.dir, "log"))
		return fmt.Errorf("%s: %w: %s%s", name, err, bytes.TrimSpace(said), bytes.TrimSpace(logged))
	}
	return nil
}

// binaries finds the newest installed server.
func binaries() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		return "", errors.New("no Postgres server is installed: put initdb and pg_ctl on the PATH (Debian: apt-get install postgresql), or set MIXSYNC_TEST_POSTGRES to the DSN of a superuser on a server that may be written to")
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // anything else is oldest
		return n
	}
	slices.SortFunc(found, func(a, b string) int { return version(b) - version(a) })
	return filepath.Dir(found[0]), nil
}

// credential is the user to run the server as: it refuses to run as root.
func credential() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("postgres does not run as root, and there is no user to run it as: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

func freePort(ctx context.Context) (int, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// Exec runs statements on a database.
func Exec(ctx context.Context, dsn, sql string) error {
	conn, err := pgconn.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql).ReadAll()
	return errors.Join(err, conn.Close(ctx))
}
