package emulator

import (
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

var writePaths = []string{"/import", "/groups", "/engage", lookupPath}

// Server is an emulated project. Make one with New; it is an http.Handler and
// safe for concurrent use.
type Server struct {
	options Options
	invalid error // what is wrong with the options: said in answer to every request
	mux     http.ServeMux
	faults  injector

	mu       sync.Mutex // guards all below
	events   *events
	profiles *profiles
	lookups  *lookups
	rate     window
	heat     *heat
	counters Counters
	requests ring[Request]
	problems ring[Violation]
	serial   int            // of the last request
	busy     map[string]int // profile ids that requests under way are writing
}

// New returns an empty project. Options that do not pass Validate are answered
// to every request with status 500 and the reason.
func New(o Options) *Server {
	s := &Server{options: o.withDefaults(), invalid: o.Validate()}
	s.routes()
	s.Reset()
	return s
}

// Reset forgets all events, profiles, lookup rows, counts and logs, and puts
// lookup tables and faults back to those of Options.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = newEvents(s.options.KeysOnly)
	s.profiles = newProfiles(s.options.KeysOnly)
	s.lookups = newLookups(s.options.LookupTables)
	s.rate = window{limit: s.options.RateLimit}
	s.heat = newHeat()
	s.counters = newCounters()
	s.requests = ring[Request]{cap: s.options.MaxLog}
	s.problems = ring[Violation]{cap: s.options.MaxLog}
	s.busy = map[string]int{}
	_ = s.faults.set(s.options.Faults, false) // New has validated them
}

// SetFaults replaces the faults; an empty Faults ends all trouble.
func (s *Server) SetFaults(f Faults) error { return s.faults.set(f, false) }

// Inject adds faults to those in force.
func (s *Server) Inject(f Faults) error { return s.faults.set(f, true) }

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.invalid != nil {
		http.Error(w, "emulator: "+s.invalid.Error(), http.StatusInternalServerError)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// mode is how a client wants to be answered.
type mode struct{ strict, verbose bool }

// work is one request on a write path, from arrival to answer.
type work struct {
	http  *http.Request
	path  string
	mode  mode
	hits  []*armed
	log   Request
	keys  []string // profile ids it writes
	notes []Violation
}

// hit returns the rule of the given kind that hits this request, if any.
func (q *work) hit(kind string) *armed {
	for _, r := range q.hits {
		if r.Kind == kind {
			return r
		}
	}
	return nil
}

// note records a violation of record index, to be filed with the request.
func (q *work) note(kind string, index int, key, detail string) {
	q.notes = append(q.notes, Violation{Kind: kind, Request: q.log.ID, Path: q.path, Index: index, Key: key, Detail: detail})
}

// write serves a write path with process between the faults that come before
// it and those that come after.
func (s *Server) write(path string, process func(*work) answer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q := s.begin(path, r)
		if !s.forestalled(w, q) {
			s.deliver(w, q, process(q))
		}
	}
}

// forestalled answers a request that a fault keeps from being processed.
func (s *Server) forestalled(w http.ResponseWriter, q *work) bool {
	before := q.before()
	if before == nil {
		return false
	}
	s.fired(q, before.Kind)
	if before.Kind == FaultResetBefore {
		s.finish(q, 0)
		abort(w)
		return true
	}
	drain(q.http.Body)
	s.deliver(w, q, before.answer())
	return true
}

func (s *Server) begin(path string, r *http.Request) *work {
	now := s.options.Now()
	query := r.URL.Query()
	q := &work{http: r, path: path, hits: s.faults.pick(path, now)}
	q.mode = mode{
		strict:  isSet(query, "strict") || path == "/import" && !query.Has("strict"),
		verbose: isSet(query, "verbose"),
	}
	q.log = Request{
		At: now, Path: path, Strict: q.mode.strict, Verbose: q.mode.verbose, ProjectID: query.Get("project_id"),
		ContentType: r.Header.Get("Content-Type"), Encoding: r.Header.Get("Content-Encoding"),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serial++
	q.log.ID = s.serial
	return q
}

// fired counts a fault that took effect.
func (s *Server) fired(q *work, kind string) {
	q.log.Faults = append(q.log.Faults, kind)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counters.Faults[kind]++
}

// finish files the request. status 0 means that no answer was sent.
func (s *Server) finish(q *work, status int) {
	q.log.Status = status
	q.log.DurationMS = float64(s.options.Now().Sub(q.log.At)) / float64(time.Millisecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &s.counters
	c.Requests[q.path]++
	c.Statuses[strconv.Itoa(status)]++
	c.BytesWire += int64(q.log.BytesWire)
	c.BytesBody += int64(q.log.BytesBody)
	s.requests.add(q.log)
	for _, v := range q.notes {
		c.Violations[v.Kind]++
		s.problems.add(v)
	}
	for _, key := range q.keys {
		if s.busy[key]--; s.busy[key] <= 0 {
			delete(s.busy, key)
		}
	}
}

// login tells whether the request may import into the project.
func (s *Server) login(r *http.Request) bool {
	o := &s.options
	project := r.URL.Query().Get("project_id")
	if o.ProjectID != 0 && project != "" && project != strconv.FormatInt(o.ProjectID, 10) {
		return false
	}
	if o.Token == "" && o.Username == "" {
		return r.Header.Get("Authorization") != ""
	}
	user, password, ok := r.BasicAuth()
	switch {
	case !ok:
		return false
	case o.Username != "" && user == o.Username && password == o.Secret:
		return project != "" // mandatory with a service account
	}
	return o.Token != "" && user == o.Token && password == ""
}

// account tells whether the request comes from a service account of the
// project: the token, which is enough for /import, is not.
func (s *Server) account(r *http.Request) bool {
	o := &s.options
	project := r.URL.Query().Get("project_id")
	if o.ProjectID != 0 && project != "" && project != strconv.FormatInt(o.ProjectID, 10) {
		return false
	}
	user, password, ok := r.BasicAuth()
	switch {
	case o.Username != "":
		return ok && user == o.Username && password == o.Secret && project != ""
	case o.Token != "" && user == o.Token && password == "":
		return false
	}
	return r.Header.Get("Authorization") != ""
}

// ring keeps the latest of what is added to it.
type ring[T any] struct {
	cap, start int
	items      []T
}

func (r *ring[T]) add(v T) {
	if len(r.items) < r.cap {
		r.items = append(r.items, v)
		return
	}
	r.items[r.start] = v
	r.start = (r.start + 1) % r.cap
}

// list returns the items, oldest first.
func (r *ring[T]) list() []T {
	return append(slices.Clone(r.items[r.start:]), r.items[:r.start]...)
}
