//go:build cgo

package snowflaketest

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// faults are what a test has go wrong.
type faults struct {
	mu        sync.Mutex
	login     int
	tokens    bool
	suspended bool
	fails     []failure
	broken    int
	refused   int
	refusal   int
	slow      time.Duration
	downloads int
}

type failure struct{ contains, code, state, message string }

func (f *faults) set(change func(f *faults)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *faults) loginStatus() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.login
}

func (f *faults) tokenExpired() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tokens
}

// statement is the failure that a statement meets, if any.
func (f *faults) statement(sql string) *failure {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, x := range f.fails {
		if strings.Contains(sql, x.contains) {
			return &x
		}
	}
	if f.suspended {
		return &failure{code: "000606", state: "57P03", message: "No active warehouse selected in the current session.  Select an active warehouse with the 'use warehouse' command."}
	}
	return nil
}

// chunk counts a download and says what becomes of it: a status to refuse it with,
// or that it breaks off.
func (f *faults) chunk() (status int, broken bool, wait time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.downloads++
	switch {
	case f.refused != 0:
		f.refused--
		return f.refusal, false, f.slow
	case f.broken != 0:
		f.broken--
		return 0, true, f.slow
	}
	return 0, false, f.slow
}

// FailLogins answers logins with an HTTP status; 0: no more.
func (s *Server) FailLogins(status int) { s.faults.set(func(f *faults) { f.login = status }) }

// ExpireToken has the OAuth token be out of date.
func (s *Server) ExpireToken() { s.faults.set(func(f *faults) { f.tokens = true }) }

// Suspend takes the virtual warehouse away, or gives it back: statements are
// compiled and not run.
func (s *Server) Suspend(on bool) { s.faults.set(func(f *faults) { f.suspended = on }) }

// FailQueries fails statements that contain a text, with a code such as 000630, an
// SQLSTATE and a message.
func (s *Server) FailQueries(contains, code, state, message string) {
	s.faults.set(func(f *faults) { f.fails = append(f.fails, failure{contains, code, state, message}) })
}

// BreakChunks lets the next n downloads break off half way; -1: all.
func (s *Server) BreakChunks(n int) { s.faults.set(func(f *faults) { f.broken = n }) }

// RefuseChunks answers the next n downloads with an HTTP status; -1: all.
func (s *Server) RefuseChunks(n, status int) {
	s.faults.set(func(f *faults) { f.refused, f.refusal = n, status })
}

// UnavailableChunks is RefuseChunks with 503, which clients repeat.
func (s *Server) UnavailableChunks(n int) { s.RefuseChunks(n, http.StatusServiceUnavailable) }

// SlowChunks has every download wait first.
func (s *Server) SlowChunks(wait time.Duration) { s.faults.set(func(f *faults) { f.slow = wait }) }

// ExpireSessions has every session ask to be renewed.
func (s *Server) ExpireSessions() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.sessions {
		l.expired = true
	}
}

// EndSessions forgets every session: they cannot be renewed.
func (s *Server) EndSessions() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.sessions)
	clear(s.masters)
}

// Sessions is how many sessions there are.
func (s *Server) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}

// Logins are those that were tried, in order.
func (s *Server) Logins() []Login {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.logins)
}

// Downloads is how many chunks were asked for, refused ones included.
func (s *Server) Downloads() int {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	return s.faults.downloads
}

// Query is a statement that was sent.
type Query struct {
	ID, SQL       string
	Binds         []Bind
	DescribeOnly  bool
	Done, Aborted bool
}

// Bind is an argument of a statement, as it was sent.
type Bind struct{ Type, Value string }

// Queries are the statements that were sent, in order.
func (s *Server) Queries() []Query {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Query, len(s.order))
	for i, q := range s.order {
		list[i] = Query{ID: q.id, SQL: q.sql, Binds: q.binds, DescribeOnly: q.describe, Done: q.finished(), Aborted: q.aborted}
	}
	return list
}

// Running reports whether a statement with the marker is being run.
func (s *Server) Running(marker string) bool {
	for _, q := range s.Queries() {
		if !q.Done && strings.Contains(q.SQL, marker) {
			return true
		}
	}
	return false
}
