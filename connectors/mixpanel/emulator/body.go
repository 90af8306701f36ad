package emulator

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
)

var errTooLarge = errors.New("body exceeds the limit")

// maxDrain is how much of an unwanted body is read so that the client, still
// writing, gets to see the answer rather than a reset.
const maxDrain = 64 << 20

// counter counts what is read through it.
type counter struct {
	io.Reader
	n int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}

var inflaters sync.Pool // of *gzip.Reader

// readBody appends the uncompressed body to dst, which may come to hold up to
// limit bytes. wire is the number of bytes that were sent.
func readBody(dst []byte, r *http.Request, limit int) (body []byte, wire int, err error) {
	counted := &counter{Reader: r.Body}
	defer func() { wire = counted.n }()
	var from io.Reader = counted
	switch encoding := r.Header.Get("Content-Encoding"); encoding {
	case "", "identity":
	case "gzip":
		inflate, _ := inflaters.Get().(*gzip.Reader)
		if inflate == nil {
			inflate = new(gzip.Reader)
		}
		defer inflaters.Put(inflate)
		if err := inflate.Reset(counted); err != nil {
			return dst, 0, fmt.Errorf("body is not gzip: %w", err)
		}
		from = inflate
	default:
		return dst, 0, fmt.Errorf("content encoding %q is not supported", encoding)
	}
	dst, err = readUpTo(dst, from, limit)
	if errors.Is(err, errTooLarge) {
		drain(counted)
	}
	return dst, 0, err
}

func readUpTo(dst []byte, from io.Reader, limit int) ([]byte, error) {
	for {
		if len(dst) > limit {
			return dst, errTooLarge
		}
		if len(dst) == cap(dst) {
			grown := make([]byte, len(dst), max(64<<10, 2*cap(dst)))
			copy(grown, dst)
			dst = grown
		}
		n, err := from.Read(dst[len(dst):min(cap(dst), limit+1)])
		dst = dst[:len(dst)+n]
		switch {
		case err == io.EOF:
			if len(dst) > limit {
				return dst, errTooLarge
			}
			return dst, nil
		case err != nil:
			return dst, fmt.Errorf("reading the body: %w", err)
		}
	}
}

func drain(r io.Reader) { _, _ = io.Copy(io.Discard, io.LimitReader(r, maxDrain)) }

// layout is how records lie in a body.
type layout uint8

const (
	jsonArray layout = iota
	jsonLines
)

// layoutOf tells the layout from the content type, or from the body itself
// when the type is missing.
func layoutOf(contentType string, body []byte) (layout, error) {
	kind, _, err := mime.ParseMediaType(contentType)
	if contentType != "" && err != nil {
		kind = contentType
	}
	s := scanner{src: body}
	start := s.space(0)
	array := start < len(body) && body[start] == '['
	switch {
	case strings.EqualFold(kind, "application/x-ndjson"):
		return jsonLines, nil
	case strings.EqualFold(kind, "application/json"), contentType == "" && array:
		return jsonArray, nil
	case contentType == "":
		return jsonLines, nil
	}
	return 0, fmt.Errorf("content type %q is not supported: send application/json or application/x-ndjson", kind)
}

// each calls do with a scanner at the start of every record of the body; do
// returns the offset behind the record, or -1 if it is not JSON.
func each(body []byte, l layout, do func(s *scanner, at int) int) error {
	s := &scanner{src: body}
	if l == jsonLines {
		return eachLine(s, do)
	}
	notJSON := func(at int) error { return fmt.Errorf("invalid JSON in the record that starts at byte %d", at) }
	i := s.space(0)
	if i >= len(body) || body[i] != '[' {
		return errors.New("body must be a JSON array")
	}
	if i = s.space(i + 1); i < len(body) && body[i] == ']' {
		return errors.New("body holds no records")
	}
	for {
		start := i
		if i = do(s, i); i < 0 {
			return notJSON(start)
		}
		i = s.space(i)
		if i >= len(body) || body[i] != ',' && body[i] != ']' {
			return notJSON(start)
		}
		if body[i] == ']' {
			break
		}
		i = s.space(i + 1)
	}
	if i = s.space(i + 1); i < len(body) {
		return fmt.Errorf("unexpected text behind the JSON array at byte %d", i)
	}
	return nil
}

func eachLine(s *scanner, do func(s *scanner, at int) int) error {
	n := 0
	for i := s.space(0); i < len(s.src); n++ {
		start := i
		if i = do(s, i); i < 0 {
			return fmt.Errorf("invalid JSON in the record that starts at byte %d", start)
		}
		for i < len(s.src) && (s.src[i] == ' ' || s.src[i] == '\t' || s.src[i] == '\r') {
			i++
		}
		if i < len(s.src) && s.src[i] != '\n' {
			return fmt.Errorf("unexpected text at byte %d: every record needs a line of its own", i)
		}
		i = s.space(i)
	}
	if n == 0 {
		return errors.New("body holds no records")
	}
	return nil
}
