package checkpoint_test

import (
	"bytes"
	"fmt"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mixsync/mixsync/connectors/postgres/postgrestest"
	"github.com/mixsync/mixsync/sync/checkpoint"
)

// deafWire is a wire to a Postgres that can keep the word of a commit to itself:
// it breaks when the server says that it has committed.
type deafWire struct {
	url   string
	armed atomic.Bool
	loops sync.WaitGroup
}

func newDeafWire(t *testing.T, dsn string) *deafWire {
	t.Helper()
	to, err := url.Parse(dsn)
	must(t, err)
	server := to.Host
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it ends with the test
	must(t, err)
	to.Host = l.Addr().String()
	w := &deafWire{url: to.String()}
	w.loops.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", server) //nolint:noctx // on this machine
			if err != nil {
				_ = in.Close()
				continue
			}
			w.loops.Go(func() { w.pass(in, out, func([]byte) bool { return false }) })
			w.loops.Go(func() { w.pass(out, in, w.unheard) })
		}
	})
	t.Cleanup(func() { // after the store has closed its connections
		_ = l.Close()
		w.loops.Wait()
	})
	return w
}

// unheard reports whether the wire breaks before what the server says is passed on.
func (w *deafWire) unheard(said []byte) bool {
	return bytes.Contains(said, []byte("COMMIT\x00")) && w.armed.CompareAndSwap(true, false)
}

func (w *deafWire) pass(from, to net.Conn, breaks func([]byte) bool) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil || breaks(buf[:n]) {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// A commit that took effect although its answer was lost is repeated without harm:
// it does not look as if somebody else had the slice or the target.
func TestUnheardCommits(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	wire := newDeafWire(t, postgrestest.Start(t))
	s := open(t, wire.url, checkpoint.Options{})
	target, err := s.Target(ctx, "usage", "prod")
	must(t, err)
	deaf := func(doing string, f func() error) {
		t.Helper()
		wire.armed.Store(true)
		if err := f(); err != nil {
			t.Fatalf("%s: %v", doing, err)
		}
		if wire.armed.Load() {
			t.Fatalf("%s: no commit went unheard", doing)
		}
	}

	var l *checkpoint.Lease
	deaf("Acquire", func() (err error) { l, err = s.Acquire(ctx, target); return err })
	r := sliced(t, l, checkpoint.Incremental, 4)
	var second *checkpoint.Lease
	deaf("Join", func() (err error) { second, err = s.Join(ctx, target, r.ID); return err })
	if l.Token() != 1 || second.Token() != 2 {
		t.Errorf("the leases have the tokens %d and %d: one was left behind", l.Token(), second.Token())
	}
	must(t, second.Release())

	for n := 1; n <= 3; n++ {
		var part *checkpoint.Slice
		deaf("Claim", func() (err error) { part, err = l.Claim(ctx, r, true); return err })
		if part.N != n {
			t.Fatalf("slice %d was claimed, want %d", part.N, n)
		}
		if n == 3 {
			deaf("FailSlice", func() error { return l.FailSlice(ctx, r, part, []byte(`{"code":"x"}`)) })
			break
		}
		reached := fmt.Sprint(10*n - 3)
		_, err := l.Save(ctx, r, part, checkpoint.Progress{Reached: &reached})
		must(t, err)
		deaf("Done", func() error { return l.Done(ctx, r, part, checkpoint.Done{Lookback: back}) })
		if m := l.Target().Mark; m == nil || m.Text != reached {
			t.Errorf("after slice %d the lease's mark is %v, want %s", n, m, reached)
		}
	}
	must(t, l.Finish(ctx, r, checkpoint.Outcome{Status: checkpoint.Failed}))
	must(t, l.Begin(ctx, r, nil))
	if part, err := l.Claim(ctx, r, true); err != nil || part.N != 3 {
		t.Errorf("taken up again, Claim = %+v, %v, want slice 3", part, err)
	}
	must(t, l.Release())
}
