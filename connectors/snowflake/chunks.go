package snowflake

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	sf "github.com/snowflakedb/gosnowflake"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

const (
	// Small chunks are downloaded so many at a time, large ones as memory allows:
	// what is held and what is on its way stays within aheadBytes, or within one and
	// a half of the next chunk where that is more. So a large one comes while the
	// second half of the one before is read: a chunk is let go record by record.
	maxAhead   = 4
	aheadBytes = 8 << 20

	// A download that breaks off is begun anew. (The vendor's driver repeats
	// requests that are refused, but not those whose answer breaks off.)
	chunkTries = 3
	chunkPause = 200 * time.Millisecond
)

// part is one chunk, decoded: records or, where the server speaks JSON, lines.
type part struct {
	records []arrow.RecordBatch
	lines   [][]*string
	rows    int64
	size    int64 // bytes, as they came
	counted int64 // bytes that lines count for
}

func (p *part) drop() {
	for _, record := range p.records {
		record.Release()
	}
}

// chunks downloads a result's chunks and hands them out in order. One goroutine
// uses it; each download has its own.
type chunks struct {
	ctx     context.Context
	batches []sf.ArrowStreamBatch
	columns int
	memory  *buffers

	next, started int
	onTheWay      []chan delivery // of the chunks from next to started
	perRow        int64           // bytes of a row, the most that was seen
	loads         sync.WaitGroup
}

type delivery struct {
	part part
	err  error
}

func newChunks(ctx context.Context, batches []sf.ArrowStreamBatch, columns int) *chunks {
	return &chunks{ctx: ctx, batches: batches, columns: columns, memory: newBuffers()}
}

// take hands out the next chunk; io.EOF: there are no more.
func (c *chunks) take() (part, error) {
	if c.next == len(c.batches) {
		return part{}, io.EOF
	}
	if c.started == c.next {
		c.start()
	}
	got := <-c.onTheWay[0] // the context ends it as well
	c.onTheWay = c.onTheWay[1:]
	c.next++
	if got.err == nil && got.part.rows > 0 {
		c.perRow = max(c.perRow, got.part.size/got.part.rows+1)
	}
	return got.part, got.err
}

// ahead starts the downloads that memory has room for.
func (c *chunks) ahead() {
	expected := int64(0)
	for i := c.next; i < c.started; i++ {
		expected += c.expect(i)
	}
	for c.started < len(c.batches) && c.started-c.next < maxAhead {
		if c.perRow == 0 && c.started > c.next {
			return // nobody knows yet how large they are
		}
		size := c.expect(c.started)
		if c.memory.held()+expected+size > max(aheadBytes, size+size/2) {
			return
		}
		expected += size
		c.start()
	}
}

// expect estimates the size of chunk i; 0 where the server does not tell its rows.
func (c *chunks) expect(i int) int64 { return max(0, c.batches[i].NumRows()) * c.perRow }

func (c *chunks) start() {
	i, done := c.started, make(chan delivery, 1)
	c.started++
	c.onTheWay = append(c.onTheWay, done)
	c.loads.Go(func() {
		p, err := c.load(i)
		done <- delivery{p, err}
	})
}

// close waits for downloads to end, which their context has told them to, and
// drops what they brought.
func (c *chunks) close() {
	c.loads.Wait()
	for _, done := range c.onTheWay {
		got := <-done
		got.part.drop()
	}
	c.onTheWay, c.next = nil, c.started
}

// load downloads and decodes chunk i. What fails here for good fails the run, but
// is no lost connection: the query was answered, and the next run asks it again.
func (c *chunks) load(i int) (part, error) {
	for try := 1; ; try++ {
		batch := c.batches[i] // a copy: the vendor's type holds on to a stream that broke
		p, err := c.decode(&batch)
		var refused *sf.SnowflakeError
		switch {
		case err == nil:
			return p, nil
		case c.ctx.Err() != nil:
			return part{}, c.ctx.Err()
		case errors.As(err, &refused):
			return part{}, &warehouse.Error{Class: warehouse.ClassQuery, Hint: "the links to a result's chunks are good for some hours: cut the window by cursor.slice",
				Err: fmt.Errorf("chunk %d of %d of the result was refused: %w", i+1, len(c.batches), err)}
		case gaveUp(err):
			return part{}, &warehouse.Error{Class: warehouse.ClassQuery, Hint: "check that a firewall lets mixsync reach the storage that Snowflake keeps results in: SELECT SYSTEM$ALLOWLIST() lists it",
				Err: fmt.Errorf("chunk %d of %d of the result cannot be downloaded: %w", i+1, len(c.batches), plain(err))}
		case try == chunkTries:
			return part{}, &warehouse.Error{Class: warehouse.ClassQuery, Hint: "run again; if it persists, check the network between mixsync and the storage that Snowflake keeps results in",
				Err: fmt.Errorf("chunk %d of %d of the result broke off %d times: %w", i+1, len(c.batches), try, plain(err))}
		}
		pause := time.NewTimer(chunkPause)
		select {
		case <-pause.C:
		case <-c.ctx.Done():
			pause.Stop()
		}
	}
}

// decode reads a chunk to its end. Rows are not served before all have come.
func (c *chunks) decode(batch *sf.ArrowStreamBatch) (p part, err error) {
	stream, err := batch.GetStream(c.ctx)
	if err != nil {
		return part{}, err
	}
	defer stream.Close()
	defer func() {
		if err != nil {
			p.drop()
			c.memory.count(-p.counted)
			p = part{}
		}
	}()
	read := &counter{r: stream}
	in := bufio.NewReaderSize(read, 64<<10)
	first, err := in.Peek(1)
	switch {
	case err == io.EOF && batch.NumRows() <= 0:
		return p, nil
	case err != nil:
		return p, noEnd(err)
	case first[0] == '[':
		err = p.readLines(in)
	default:
		err = p.readRecords(in, c.memory, c.columns)
	}
	if err == nil {
		_, err = io.Copy(io.Discard, in) // to the end, which tells a whole answer from one that broke off
	}
	if err != nil {
		return p, noEnd(err)
	}
	p.size = read.n
	if p.lines != nil {
		p.counted = 3 * read.n // pointers and headers included, roughly
		c.memory.count(p.counted)
	}
	if want := batch.NumRows(); want > 0 && p.rows != want {
		return p, fmt.Errorf("it holds %d rows, expected %d", p.rows, want)
	}
	return p, nil
}

// noEnd keeps an end that comes too soon from being taken for the end of the rows.
func noEnd(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (p *part) readRecords(in io.Reader, memory *buffers, columns int) error {
	r, err := ipc.NewReader(in, ipc.WithAllocator(memory))
	if err != nil {
		return err
	}
	defer r.Release()
	if n := r.Schema().NumFields(); n != columns {
		return fmt.Errorf("it has %d columns, expected %d", n, columns)
	}
	for r.Next() {
		record := r.RecordBatch()
		record.Retain()
		p.records = append(p.records, record)
		p.rows += record.NumRows()
	}
	return r.Err()
}

// readLines reads rows that are joined by commas, without brackets around them.
func (p *part) readLines(in io.Reader) error {
	err := json.NewDecoder(io.MultiReader(strings.NewReader("["), in, strings.NewReader("]"))).Decode(&p.lines)
	p.rows = int64(len(p.lines))
	return err
}

// counter counts the bytes that are read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}
