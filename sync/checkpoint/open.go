package checkpoint

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// Options of Open. The zero value is good for a run.
type Options struct {
	// Ephemeral allows a state that does not outlive the Kubernetes pod.
	Ephemeral bool
	// ReadOnly opens for status and dry runs: nothing is created or changed. A
	// state that does not exist yet reads as an empty one.
	ReadOnly bool
	// BusyTimeout is how long to wait for other processes' transactions; 10 s when zero.
	BusyTimeout time.Duration
	// Lease is how long a lease in a Postgres state lasts without being renewed,
	// Request how long a request that was begun under it may take: whoever takes
	// over waits for both. 30 s each when zero.
	Lease, Request time.Duration
}

// Store is an open state. It is safe for concurrent use.
type Store struct {
	dialect dialect
	path    string      // absolute, links resolved; empty in memory
	place   string      // of a server: what errors call it
	file    os.FileInfo // what was at path when it was opened
	uuid    string
	wait    time.Duration // BusyTimeout
	reading bool          // ReadOnly

	opened        time.Time // deadlines are counted from here
	term, request time.Duration

	w *db // one connection: writers of this process take turns here, not at the file's lock; nil when reading a file
	r *db // readers; the same as w in memory

	segments segmentCache

	mu    sync.Mutex
	locks map[int64]*lock // of the targets that this process is at
}

// Open opens the state at a URL and brings its schema up to date.
//
// "sqlite:path" and "sqlite:///absolute/path" name a file, which is created
// (mode 0600, its folder 0700) if need be; "sqlite::memory:" is a state that
// ends with the process. "postgres://…" is a database that processes on several
// machines share; everything is in its schema "mixsync".
func Open(ctx context.Context, stateURL string, o Options) (*Store, error) {
	s := &Store{
		dialect: sqliteDialect, wait: cmp.Or(o.BusyTimeout, 10*time.Second), reading: o.ReadOnly, locks: map[int64]*lock{},
		opened: time.Now(), term: cmp.Or(o.Lease, 30*time.Second), request: cmp.Or(o.Request, 30*time.Second),
	}
	s.segments.limit = maxCached
	if IsPostgres(stateURL) {
		if err := s.openPostgres(ctx, stateURL); err != nil {
			return nil, errors.Join(s.fail("open", err), s.Close())
		}
		return s, nil
	}
	path, err := parseURL(stateURL)
	if err != nil {
		return nil, err
	}
	if path != "" {
		if s.path, err = resolve(path); err != nil {
			return nil, classify(path, "open", err)
		}
	}
	if !o.Ephemeral && !o.ReadOnly {
		if err := checkPod(s.path); err != nil {
			return nil, err
		}
	}
	if err := s.prepareFile(); err != nil {
		return nil, classify(s.path, "open", err)
	}
	if err := s.connect(ctx); err != nil {
		return nil, errors.Join(s.fail("open", err), s.Close())
	}
	return s, nil
}

// parseURL returns the path a state URL names, "" for memory.
func parseURL(stateURL string) (string, error) {
	scheme, path, ok := strings.Cut(stateURL, ":")
	if !ok || scheme != "sqlite" {
		if !ok {
			scheme = ""
		}
		hint := "write sqlite:PATH, for example sqlite:.mixsync/state.db, or a postgres:// URL"
		// The URL may hold a password: only its scheme is repeated.
		return "", &Error{Kind: KindURL, Path: scheme, Hint: hint, Err: errors.New("unsupported state URL")}
	}
	path, absolute := strings.CutPrefix(path, "//")
	switch {
	case path == ":memory:":
		return "", nil
	case path == "", absolute && !strings.HasPrefix(path, "/"), strings.HasSuffix(path, "/"):
		return "", &Error{Kind: KindURL, Path: "sqlite", Hint: "write sqlite:PATH or sqlite:///ABSOLUTE/PATH",
			Err: fmt.Errorf("the state URL names no file: %q", stateURL)}
	}
	return path, nil
}

// resolve makes a path absolute and follows links as far as it exists, so that
// all names of a file share its locks.
func resolve(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	rest := ""
	for dir := path; ; dir = filepath.Dir(dir) {
		real, err := filepath.EvalSymlinks(dir)
		if err == nil {
			return filepath.Join(real, rest), nil
		}
		if !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			return "", err
		}
		rest = filepath.Join(filepath.Base(dir), rest)
	}
}

// prepareFile creates the file, empty, and its folder; reading, it falls back
// to memory when there is nothing to read.
func (s *Store) prepareFile() error {
	if s.path == "" {
		return nil
	}
	how := os.O_RDONLY
	if !s.reading {
		how = os.O_RDWR | os.O_CREATE
		if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
			return err
		}
	}
	if info, err := os.Stat(s.path); err == nil && !info.Mode().IsRegular() {
		return &Error{Kind: KindURL, Path: s.path, Hint: "name a file of its own for the state", Err: errors.New("not a regular file")}
	}
	f, err := os.OpenFile(s.path, how, 0o600)
	if err != nil {
		if s.reading && errors.Is(err, fs.ErrNotExist) {
			s.path = ""
			return nil
		}
		return err
	}
	defer f.Close()
	if s.file, err = f.Stat(); err == nil && s.reading && s.file.Size() == 0 {
		s.path, s.file = "", nil // its maker was killed before anything was in it
	}
	return err
}

func (s *Store) connect(ctx context.Context) error {
	if s.path == "" {
		memory, err := sql.Open("sqlite", dsn(":memory:", s.wait))
		if err != nil {
			return err
		}
		s.w = &db{memory, s, &s.dialect}
		s.r = s.w
		s.w.SetMaxOpenConns(1)
	} else {
		readers, err := sql.Open("sqlite", dsn(s.path, s.wait, s.readParams()...))
		if err != nil {
			return err
		}
		s.r = &db{readers, s, &s.dialect}
		s.r.SetMaxOpenConns(4)
		// The writing connection changes a file that is not in WAL mode as it
		// opens it, so first make sure that it is ours.
		v, err := s.version(ctx, s.r)
		if err == nil && s.reading && v == 0 { // being made by somebody at this moment
			if err := s.r.Close(); err != nil {
				return err
			}
			s.path, s.file = "", nil
			return s.connect(ctx)
		}
		if err == nil && s.reading && v < schemaVersion {
			err = &Error{Kind: KindOlder, Path: s.path, Hint: "any `mixsync run` brings it up to date",
				Err: fmt.Errorf("schema version %d was written by an older mixsync; this one reads %d", v, schemaVersion)}
		}
		if err != nil {
			return err
		}
	}
	if !s.reading && s.path != "" {
		writer, err := sql.Open("sqlite", dsn(s.path, s.wait, writing...))
		if err != nil {
			return err
		}
		s.w = &db{writer, s, &s.dialect}
		s.w.SetMaxOpenConns(1)
	}
	if s.w != nil {
		if err := s.patiently(ctx, func() error { return s.migrate(ctx) }); err != nil {
			return err
		}
	}
	return s.r.QueryRowContext(ctx, `SELECT uuid FROM state`).Scan(&s.uuid)
}

// IsPostgres reports whether a state URL names a Postgres.
func IsPostgres(stateURL string) bool {
	return strings.HasPrefix(stateURL, "postgres://") || strings.HasPrefix(stateURL, "postgresql://")
}

// Ping fails while the state cannot be read.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	return s.fail("read state", s.r.QueryRowContext(ctx, `SELECT one FROM state`).Scan(&one))
}

// Explain says in the state's words what went wrong for somebody else who uses
// its database.
func (s *Store) Explain(doing string, err error) error { return s.fail(doing, err) }

// readParams says how reading connections work. They could do with mode=ro, but
// such a connection leaves the two files behind that SQLite keeps beside the
// state. Whoever may not write must use it while those exist; while they do
// not, nobody has the state open, and only mode=immutable can read it.
func (s *Store) readParams() []string {
	if !s.reading || writable(s.path) && writable(filepath.Dir(s.path)) {
		return []string{"_pragma=query_only(1)"}
	}
	if _, err := os.Stat(s.path + "-wal"); err == nil {
		return []string{"mode=ro"}
	}
	return []string{"mode=ro", "immutable=1"}
}

// How the writing connection works. A process that is killed loses nothing it
// had committed whatever these say; synchronous=FULL extends that to a power
// cut, for one fsync per transaction, of which a run makes about one a second.
// The log is folded into the file every 4 MB and cut back after large
// transactions, so that it does not stay as large as the largest of them.
var writing = []string{
	"_txlock=immediate",
	"_pragma=journal_mode(WAL)",
	"_pragma=synchronous(FULL)",
	"_pragma=foreign_keys(1)",
	"_pragma=wal_autocheckpoint(1000)",
	"_pragma=journal_size_limit(16777216)",
	"_pragma=cache_size(-8192)",
}

func dsn(path string, wait time.Duration, params ...string) string {
	u := url.URL{Scheme: "file", Opaque: path}
	if path != ":memory:" {
		u = url.URL{Scheme: "file", Path: filepath.ToSlash(path)}
	}
	// The busy timeout comes first: what follows may have to wait already.
	all := append([]string{fmt.Sprintf("_busy_timeout=%d", wait.Milliseconds())}, params...)
	u.RawQuery = strings.Join(all, "&")
	return u.String()
}

// UUID identifies the state: it is made with it and never changes. Empty for a
// state that was opened for reading and does not exist.
func (s *Store) UUID() string {
	if s.reading && s.path == "" && !s.dialect.shared {
		return ""
	}
	return s.uuid
}

// Close closes the state. Leases must have been released.
func (s *Store) Close() error {
	var errs []error
	if s.r != nil && s.r != s.w {
		errs = append(errs, s.r.Close())
	}
	if s.w != nil { // last: it folds the log into the file
		errs = append(errs, s.w.Close())
	}
	return s.fail("close", errors.Join(errs...))
}
