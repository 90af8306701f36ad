package emulator

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// drainTime is how long requests under way may take once Serve is to end.
const drainTime = 5 * time.Second

// Listen serves on addr, such as "127.0.0.1:8090", until ctx ends.
func (s *Server) Listen(ctx context.Context, addr string) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("emulator: %w", err)
	}
	return s.Serve(ctx, l)
}

// Serve serves on l until ctx ends, which is not an error. It closes l, lets
// requests under way end, and returns when nothing of them is left.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	h := newHost(context.WithoutCancel(ctx), s, l)
	defer h.stop()
	select {
	case err := <-h.ended:
		return fmt.Errorf("emulator: %w", err)
	case <-ctx.Done():
		grace, stop := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
		defer stop()
		_ = h.server.Shutdown(grace) // what is left is dropped
		return nil
	}
}

// host is a handler at work on a listener.
type host struct {
	server  http.Server
	cancel  context.CancelFunc // ends the delays of requests
	running sync.WaitGroup     // the accept loop, connections, requests
	ended   chan error         // why the accept loop ended
}

func newHost(ctx context.Context, handler http.Handler, l net.Listener) *host {
	h := &host{ended: make(chan error, 1)}
	ctx, h.cancel = context.WithCancel(ctx)
	h.server = http.Server{
		ReadHeaderTimeout: 30 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		// A connection is counted before its goroutine starts, a request while
		// its connection is: the count cannot reach zero too early.
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				h.running.Add(1)
			case http.StateClosed, http.StateHijacked:
				h.running.Done()
			}
		},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.running.Add(1)
			defer h.running.Done()
			handler.ServeHTTP(w, r)
		}),
	}
	h.running.Go(func() { h.ended <- h.server.Serve(l) })
	return h
}

// stop drops all connections and waits until nothing runs.
func (h *host) stop() {
	h.cancel()
	_ = h.server.Close()
	h.running.Wait()
}

// TB is what Start needs of a *testing.T.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// Running is a Server that listens on a local port.
type Running struct {
	*Server
	URL string // such as "http://127.0.0.1:34567"

	stop func()
}

// Start serves a new project on a free local port until the test ends.
func Start(t TB, o Options) *Running {
	t.Helper()
	if err := o.Validate(); err != nil {
		t.Fatalf("emulator: %v", err)
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("emulator: %v", err)
	}
	r := &Running{Server: New(o), URL: "http://" + l.Addr().String()}
	r.stop = sync.OnceFunc(newHost(context.Background(), r.Server, l).stop)
	t.Cleanup(r.Close)
	return r
}

// Close drops all connections and returns when nothing runs any more. What was
// stored can still be inspected. Closing twice does nothing.
func (r *Running) Close() { r.stop() }
