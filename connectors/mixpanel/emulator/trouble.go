package emulator

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"time"
)

// before returns the rule that keeps the request from being processed, if any.
func (q *work) before() *armed {
	for _, r := range q.hits {
		switch r.Kind {
		case FaultResetBefore, FaultStatus, FaultThrottle, FaultUnauthorized:
			return r
		}
	}
	return nil
}

// answer is what the rule sends in place of Mixpanel.
func (r *armed) answer() answer {
	switch r.Kind {
	case FaultThrottle:
		return refuse(http.StatusTooManyRequests, overRate)
	case FaultUnauthorized:
		return refuse(http.StatusUnauthorized, badLogin)
	}
	status := r.Status
	if status == 0 {
		status = http.StatusServiceUnavailable
	}
	body := r.Body
	if body == "" {
		title := strconv.Itoa(status) + " " + http.StatusText(status)
		body = "<html><head><title>" + title + "</title></head>\n<body><center><h1>" + title + "</h1></center></body></html>\n"
	}
	return answer{status, "text/html; charset=UTF-8", []byte(body)}
}

// deliver sends the answer, unless a fault keeps it back or spoils it.
func (s *Server) deliver(w http.ResponseWriter, q *work, a answer) {
	delay := s.options.Latency
	var reset, cut, slow *armed
	for _, r := range q.hits {
		switch r.Kind {
		case FaultSlow:
			delay += time.Duration(r.DelayMS) * time.Millisecond
		case FaultTruncate:
			a.body = a.body[:len(a.body)/2]
		case FaultResetAfter:
			reset = r
		case FaultCut:
			cut = r
		case FaultSlowBody:
			slow = r
		default:
			continue
		}
		s.fired(q, r.Kind)
	}
	if answered := pause(q.http.Context(), delay); reset != nil || !answered {
		s.finish(q, 0)
		abort(w)
		return
	}
	w.Header().Set("Content-Type", a.contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	s.finish(q, a.status) // before the client can ask for it
	w.WriteHeader(a.status)
	switch {
	case cut != nil:
		_, _ = w.Write(a.body[:len(a.body)/2])
		_ = http.NewResponseController(w).Flush()
		abort(w)
	case slow != nil:
		drip(w, q.http.Context(), a.body, time.Duration(slow.DelayMS)*time.Millisecond)
	default:
		_, _ = w.Write(a.body)
	}
}

// drip writes body a few bytes at a time, over about the given time.
func drip(w http.ResponseWriter, ctx context.Context, body []byte, over time.Duration) {
	const parts = 10
	for i := range parts {
		_, _ = w.Write(body[len(body)*i/parts : len(body)*(i+1)/parts])
		_ = http.NewResponseController(w).Flush()
		if !pause(ctx, over/parts) {
			return
		}
	}
}

// pause waits, and reports false if the request ended meanwhile.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// abort resets the connection, or comes as near to it as the server allows.
func abort(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // net/http's way to drop a connection without an answer
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // close with RST instead of FIN
	}
	_ = conn.Close()
}
