//go:build cgo

package duckdb

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	bindings "github.com/duckdb/duckdb-go-bindings"
	duckdb "github.com/duckdb/duckdb-go/v2"
)

const (
	// DuckDB wants about 128 MiB a thread: the default memory feeds this many.
	maxDefaultThreads = 8
	defaultLinger     = time.Second
)

// A database is open while sessions use it and for a moment after.
//
// A file is opened once in a process, whichever drivers ask for it: the locks of
// a process on a file are all lost when any one of its descriptors is closed.
type database struct {
	path string // "" in memory

	mu       sync.Mutex
	sessions int
	handle   bindings.Database // of which Ptr is nil while closed
	spill    string            // folder of temporary files, "" when none could be made
	idle     *time.Timer
}

// files holds the databases of this process by path. It grows by the paths that
// a configuration names and no further.
var files = struct {
	sync.Mutex
	byPath map[string]*database
}{byPath: make(map[string]*database)}

// shared returns the database of a file, or a new one in memory.
func shared(path string) *database {
	if path == "" {
		return &database{}
	}
	files.Lock()
	defer files.Unlock()
	db := files.byPath[path]
	if db == nil {
		db = &database{path: path}
		files.byPath[path] = db
	}
	return db
}

// acquire opens the database if it is not open and counts a session in. While it
// is open the limits of whoever opened it hold for everybody.
func (db *database) acquire(o Options) (bindings.Database, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.idle != nil {
		db.idle.Stop()
		db.idle = nil
	}
	if db.handle.Ptr == nil {
		if err := db.open(o); err != nil {
			return bindings.Database{}, err
		}
	}
	db.sessions++
	return db.handle, nil
}

// release counts a session out; after the last the database closes, in a while.
func (db *database) release(linger time.Duration) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.sessions--
	if db.sessions > 0 {
		return
	}
	if linger = orDefault(linger, defaultLinger); linger < 0 {
		db.close()
		return
	}
	db.idle = time.AfterFunc(linger, db.forget)
}

// forget closes the database unless it is in use.
func (db *database) forget() {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.sessions > 0 {
		return
	}
	if db.idle != nil {
		db.idle.Stop()
		db.idle = nil
	}
	db.close()
}

func (db *database) close() {
	bindings.Close(&db.handle)
	if db.spill != "" {
		_ = os.RemoveAll(db.spill) // what is left behind is the system's to sweep
		db.spill = ""
	}
}

func (db *database) open(o Options) error {
	settings := [][2]string{
		{"autoinstall_known_extensions", "false"},
		{"autoload_known_extensions", "false"},
		{"allow_community_extensions", "false"},
		{"memory_limit", strconv.FormatInt(orDefault(o.MemoryLimit, defaultMemory(os.ReadFile)), 10) + "B"},
		{"threads", strconv.Itoa(orDefault(o.Threads, min(runtime.NumCPU(), maxDefaultThreads)))},
	}
	if db.path != "" {
		settings = append(settings, [2]string{"access_mode", "READ_ONLY"})
	}
	// Sorts that outgrow memory go to a folder that nobody else can look into.
	// Without one, in an image that has no /tmp, they fail with a hint.
	if dir, err := os.MkdirTemp("", "mixsync-duckdb-"); err == nil {
		db.spill = dir
	}
	settings = append(settings, [2]string{"temp_directory", db.spill})

	var config bindings.Config
	defer bindings.DestroyConfig(&config)
	state := bindings.CreateConfig(&config)
	for _, s := range settings {
		if state == bindings.StateSuccess {
			state = bindings.SetConfig(config, s[0], s[1])
		}
	}
	message := "the settings were refused"
	if state == bindings.StateSuccess {
		if db.path == "" {
			state = bindings.OpenExt("", &db.handle, config, &message)
		} else {
			// The cache knows what other code in this process has open.
			state = bindings.GetOrCreateFromCache(duckdb.GetInstanceCache(), db.path, &db.handle, config, &message)
		}
	}
	if state == bindings.StateSuccess {
		return nil
	}
	db.close()
	if db.path != "" {
		if _, err := databaseFile(db.path); err != nil { // gone since the driver was made
			return err
		}
	}
	return openError(db.path, message)
}

// defaultMemory is 1 GiB, or half of what the container may use if that is less:
// the rest of the process needs memory too.
func defaultMemory(read func(name string) ([]byte, error)) int64 {
	limit := int64(1 << 30)
	for _, name := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		text, err := read(name)
		if err != nil {
			continue // another system, or the other version of control groups
		}
		if most, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && most > 0 {
			limit = min(limit, most/2)
		}
	}
	return limit
}

func orDefault[T int | int64 | time.Duration](v, otherwise T) T {
	if v == 0 {
		return otherwise
	}
	return v
}

// A session is a connection to an open database, used by one goroutine.
type session struct {
	driver *Driver
	conn   bindings.Connection
}

func (d *Driver) connect(ctx context.Context) (*session, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	handle, err := d.db.acquire(d.options)
	if err != nil {
		return nil, err
	}
	s := &session{driver: d}
	if bindings.Connect(handle, &s.conn) == bindings.StateError {
		s.close()
		return nil, classify("no connection to the database could be made")
	}
	var result bindings.Result
	defer bindings.DestroyResult(&result)
	// Times are cast, and truncated to days, in UTC wherever mixsync runs.
	if bindings.Query(s.conn, "SET TimeZone = 'UTC'", &result) == bindings.StateError {
		err := classify(bindings.ResultError(&result))
		s.close()
		return nil, fmt.Errorf("set the time zone: %w", err)
	}
	return s, nil
}

func (s *session) close() {
	bindings.Disconnect(&s.conn)
	s.driver.db.release(s.driver.options.Linger)
}

// DuckDB forgets an interrupt that comes before a statement has begun, so it is
// repeated until the call returns.
const interruptEvery = 20 * time.Millisecond

// during makes a call that blocks in DuckDB, and interrupts it when ctx ends.
func (s *session) during(ctx context.Context, call func()) {
	returned, stopped := make(chan struct{}), make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		again := time.NewTicker(interruptEvery)
		defer again.Stop()
		for {
			bindings.Interrupt(s.conn)
			select {
			case <-returned:
				return
			case <-again.C:
			}
		}
	})
	call()
	if !stop() {
		close(returned)
		<-stopped
	}
}
