package main

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy is a wire that can be cut.
type proxy struct {
	l      net.Listener
	target string
	down   atomic.Bool // what connects is hung up on

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	loops sync.WaitGroup
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it ends with the test
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{l: l, target: target, conns: map[net.Conn]struct{}{}}
	p.loops.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.down.Store(true)
		p.cut()
		p.loops.Wait()
	})
	return p
}

func (p *proxy) address() string { return p.l.Addr().String() }

func (p *proxy) accept() {
	for {
		in, err := p.l.Accept()
		if err != nil {
			return
		}
		if p.down.Load() {
			_ = in.Close()
			continue
		}
		out, err := net.Dial("tcp", p.target) //nolint:noctx // on this machine
		if err != nil {
			_ = in.Close()
			continue
		}
		p.mu.Lock()
		p.conns[in], p.conns[out] = struct{}{}, struct{}{}
		p.mu.Unlock()
		p.loops.Go(func() { p.pass(in, out) })
		p.loops.Go(func() { p.pass(out, in) })
		if p.down.Load() { // cut before the two were known
			p.cut()
		}
	}
}

// pass copies one direction; the end of either is the end of both.
func (p *proxy) pass(from, to net.Conn) {
	_, _ = io.Copy(to, from)
	_, _ = from.Close(), to.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, from)
}

// cut resets all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = c.Close()
	}
}

func (p *proxy) calm() { p.down.Store(false) }
