package mixpanel

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"sync"

	"github.com/klauspost/compress/gzip"
)

const (
	// maxAnswer is how much of an answer is read: 2000 failed records of 500
	// bytes each.
	maxAnswer = 1 << 20
	// keepAnswer is the largest answer buffer that is kept for the next request.
	keepAnswer = 64 << 10
)

// scratch is what one attempt needs, from compression to answer, and the next
// one can use again.
type scratch struct {
	zipped bytes.Buffer
	answer bytes.Buffer
}

// pools are shared by all attempts. Compressors, at a megabyte each, are as many
// as there are processors to be busy with one: more would be memory without speed,
// since a sender that was set aside in the middle keeps hold of its own.
type pools struct {
	scratch sync.Pool // of *scratch
	gzip    chan *gzip.Writer
}

func newPools(level int) *pools {
	p := &pools{gzip: make(chan *gzip.Writer, runtime.GOMAXPROCS(0))}
	p.scratch.New = func() any { return &scratch{} }
	for range cap(p.gzip) {
		z, _ := gzip.NewWriterLevel(io.Discard, level) // the level has been checked; tables come with the first use
		p.gzip <- z
	}
	return p
}

// compress returns body zipped; the result lives as long as s. It waits for a
// compressor, and gives up with the context.
func (p *pools) compress(ctx context.Context, s *scratch, body []byte) ([]byte, error) {
	var z *gzip.Writer
	select {
	case z = <-p.gzip:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { p.gzip <- z }()
	s.zipped.Reset()
	z.Reset(&s.zipped)
	_, _ = z.Write(body) // a buffer takes everything
	_ = z.Close()
	return s.zipped.Bytes(), nil
}

func (p *pools) get() *scratch { return p.scratch.Get().(*scratch) }

func (p *pools) put(s *scratch) {
	if s.answer.Cap() > keepAnswer {
		s.answer = bytes.Buffer{}
	}
	p.scratch.Put(s)
}

// answer is what came back, or why nothing did.
type answer struct {
	status  int // 0: no answer
	header  http.Header
	body    []byte // lives as long as the scratch
	cut     bool   // there was more than maxAnswer
	err     error  // the exchange broke before, or in the middle of, the answer
	refused error  // BeforeWrite said no
}

// do writes the request and reads the answer, all within the timeout. The
// transport is used without http.Client: redirects are not followed (records
// would go to a host nobody named), and there is nothing else a client adds.
func (c *Client) do(ctx context.Context, s *scratch, x *exchange) (a answer) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	// A transport may go on reading bodies after it returned, for instance when
	// the answer came early. From here on it finds them empty, so the memory
	// behind them is free for others.
	defer func() { a.refused = x.detach() }()

	req := x.template.WithContext(ctx)
	req.ContentLength = x.size()
	req.Body = x.open()
	// Only a request of which the server has read nothing is replayed: the
	// transport found a kept-alive connection closed.
	req.GetBody = func() (io.ReadCloser, error) { return x.open(), nil }

	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		a.err = err
		return a
	}
	defer resp.Body.Close()
	a.status, a.header = resp.StatusCode, resp.Header
	s.answer.Reset()
	n, err := s.answer.ReadFrom(io.LimitReader(resp.Body, maxAnswer+1))
	a.body, a.err = s.answer.Bytes(), err
	if n > maxAnswer {
		a.body, a.cut = a.body[:maxAnswer], true
	}
	return a
}

// exchange is a request body in up to three parts, and the door to it: open
// once the gate agreed, shut by detach.
type exchange struct {
	template *http.Request
	gate     func() error
	parts    [3][]byte

	mu      sync.Mutex
	shut    bool
	refused error
	count   int
}

func (x *exchange) size() (n int64) {
	for _, part := range x.parts {
		n += int64(len(part))
	}
	return n
}

// sent is how many bytes of bodies the transport took.
func (x *exchange) sent() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.count
}

func (x *exchange) detach() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.shut = true
	return x.refused
}

func (x *exchange) open() io.ReadCloser { return &body{x: x} }

// body reads an exchange's parts once.
type body struct {
	x      *exchange
	part   int
	offset int
	begun  bool
}

var errDetached = errors.New("the request is over")

func (b *body) Read(to []byte) (int, error) {
	x := b.x
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.shut {
		return 0, errDetached
	}
	if !b.begun {
		b.begun = true
		if x.gate != nil {
			if x.refused = x.gate(); x.refused != nil {
				return 0, x.refused
			}
		}
	}
	n := 0
	for n < len(to) && b.part < len(x.parts) {
		m := copy(to[n:], x.parts[b.part][b.offset:])
		n, b.offset = n+m, b.offset+m
		if b.offset == len(x.parts[b.part]) {
			b.part, b.offset = b.part+1, 0
		}
	}
	x.count += n
	if n == 0 && len(to) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (b *body) Close() error { return nil }
