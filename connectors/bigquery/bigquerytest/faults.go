//go:build cgo

package bigquerytest

import (
	"net/http"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// faults are what is to go wrong.
type faults struct {
	mu         sync.Mutex
	rest       []refusal // of the next calls, one each
	jobs       []refusal // of the next jobs, one each
	lost       int       // answers of the next calls
	denied     bool
	breaks     int
	breakCode  codes.Code
	chunkDelay time.Duration
}

// refusal is an error as BigQuery words it.
type refusal struct {
	status          int
	reason, message string
}

func (r *refusal) Error() string { return r.message }

// FailCalls makes the next n REST calls fail.
func (s *Server) FailCalls(n, status int, reason, message string) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	for range n {
		s.faults.rest = append(s.faults.rest, refusal{status, reason, message})
	}
}

// LoseAnswers does what the next n REST calls ask and answers 503.
func (s *Server) LoseAnswers(n int) {
	s.faults.mu.Lock()
	s.faults.lost = n
	s.faults.mu.Unlock()
}

// FailJobs makes the next n jobs, dry runs aside, begin and then fail.
func (s *Server) FailJobs(n int, reason, message string) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	for range n {
		s.faults.jobs = append(s.faults.jobs, refusal{http.StatusBadRequest, reason, message})
	}
}

// ExpireToken makes the next n calls find the access token expired.
func (s *Server) ExpireToken(n int) {
	s.FailCalls(n, http.StatusUnauthorized, "authError", "Request had invalid authentication credentials.")
}

// DenyStorage refuses, or no longer refuses, read sessions.
func (s *Server) DenyStorage(denied bool) {
	s.faults.mu.Lock()
	s.faults.denied = denied
	s.faults.mu.Unlock()
}

// BreakStreams makes streams break n times, each time after one chunk.
func (s *Server) BreakStreams(n int, code codes.Code) {
	s.faults.mu.Lock()
	s.faults.breaks, s.faults.breakCode = n, code
	s.faults.mu.Unlock()
}

// DelayChunks makes every chunk of a stream take so long.
func (s *Server) DelayChunks(d time.Duration) {
	s.faults.mu.Lock()
	s.faults.chunkDelay = d
	s.faults.mu.Unlock()
}

func (f *faults) call() *refusal { return f.shift(&f.rest) }
func (f *faults) job() *refusal  { return f.shift(&f.jobs) }

func (f *faults) shift(list *[]refusal) *refusal {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(*list) == 0 {
		return nil
	}
	r := (*list)[0]
	*list = (*list)[1:]
	return &r
}

func (f *faults) answer() *refusal {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lost == 0 {
		return nil
	}
	f.lost--
	return &refusal{http.StatusServiceUnavailable, "backendError", "the answer was lost"}
}

func (f *faults) storage() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.denied {
		return status.Error(codes.PermissionDenied, "request failed: the user does not have 'bigquery.readsessions.create' permission for 'projects/test-project'")
	}
	return nil
}

// stream is called after a chunk.
func (f *faults) stream() (time.Duration, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.breaks > 0 {
		f.breaks--
		return f.chunkDelay, status.Error(f.breakCode, "the stream broke")
	}
	return f.chunkDelay, nil
}
