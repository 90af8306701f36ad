package bigquery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"cloud.google.com/go/bigquery"
	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"github.com/apache/arrow-go/v18/arrow"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// So many streams keep a fast line busy; each costs a goroutine and the chunk
	// that it is receiving.
	maxStreams = 4
	// Chunks on their way from the streams to the reader, and with it, are bounded by
	// this many bytes, or to one where that is more. While one comes it is held
	// twice, by gRPC and by us, and the garbage collector lets as much again gather.
	maxInFlight = 24 << 20
	// The next chunk is not received before a large one is out of use, which takes as
	// long as its last rows; whoever keeps batches for longer is not waited for.
	largeChunk = maxInFlight / 4
	useTime    = time.Second
	// A broken stream is opened again so many times in a row, waiting longer and
	// longer, in all about 20 s.
	maxReopens   = 9
	firstPause   = 100 * time.Millisecond
	longestPause = 5 * time.Second
)

// streams is a result that comes by the Storage Read API: several streams at a
// time, each read by a goroutine, in chunks of one record batch.
//
// Google's own iterator over the same API cannot be used here: it keeps a chunk
// for every processor however large, leaves goroutines behind when it is given up
// early, and repeats for ever what fails for good.
type streams struct {
	driver  *Driver
	schema  []byte // the message of it
	fields  *arrow.Schema
	cancel  context.CancelFunc
	chunks  chan *chunk
	budget  *semaphore.Weighted
	reading *chunk        // the one that came last
	over    chan struct{} // closed when every stream has ended; then failed is set
	failed  error

	mu      sync.Mutex
	largest int64 // chunk so far
}

// chunk is a record batch as it came.
type chunk struct {
	data   []byte
	weight int64         // of the budget
	unused chan struct{} // closed when its memory is not used any more
	once   sync.Once
}

// settle gives the chunk's share of the budget back, once.
func (s *streams) settle(c *chunk) { c.once.Do(func() { s.budget.Release(c.weight) }) }

// openStreams starts to read a table. It returns nil where the API may not be
// used, for the result to come by REST pages.
func (d *Driver) openStreams(ctx context.Context, t *bigquery.Table, ordered bool) (source, error) {
	session, err := d.session(ctx, t, ordered)
	if notPermitted(err) {
		d.refused.Store(true)
		return nil, nil
	}
	if err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return nil, d.rpcFailure(status.New(codes.DeadlineExceeded, "no session could be had"))
	}
	if err != nil {
		return nil, err
	}
	schema := session.GetArrowSchema().GetSerializedSchema()
	fields, err := decodeSchema(schema)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &streams{driver: d, schema: schema, fields: fields, cancel: cancel, chunks: make(chan *chunk), budget: semaphore.NewWeighted(maxInFlight), over: make(chan struct{})}
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(maxStreams) // BigQuery may make more
	go func() {
		defer close(s.over)
		for _, stream := range session.Streams {
			group.Go(func() error { return s.read(inner, stream.Name) })
		}
		s.failed = group.Wait()
	}()
	return s, nil
}

func (d *Driver) session(ctx context.Context, t *bigquery.Table, ordered bool) (*storagepb.ReadSession, error) {
	ctx, cancel := context.WithTimeout(ctx, d.options.Patience) // the client would try for ten minutes
	defer cancel()
	count := int32(maxStreams)
	if ordered { // only one stream gives the rows in the order that they are stored in
		count = 1
	}
	return d.storage.CreateReadSession(ctx, &storagepb.CreateReadSessionRequest{
		Parent: "projects/" + d.options.Project,
		ReadSession: &storagepb.ReadSession{
			Table:      fmt.Sprintf("projects/%s/datasets/%s/tables/%s", t.ProjectID, t.DatasetID, t.TableID),
			DataFormat: storagepb.DataFormat_ARROW,
		},
		MaxStreamCount: count,
	})
}

// notPermitted reports whether the API cannot be used here at all: no grant, not
// enabled, or not spoken by what listens.
func notPermitted(err error) bool {
	code := status.Code(err)
	return err != nil && (code == codes.PermissionDenied || code == codes.Unimplemented)
}

// read reads a stream to its end. A stream that breaks is opened again behind the
// last chunk that came, so that no row is lost or comes twice.
func (s *streams) read(ctx context.Context, name string) error {
	offset, tries := int64(0), 0
	for {
		before := offset
		err := s.readFrom(ctx, name, &offset)
		if err == nil || ctx.Err() != nil {
			return err
		}
		if offset > before {
			tries = 0
		}
		if tries++; !resumable(err) || tries > maxReopens {
			return err
		}
		if err := pause(ctx, tries); err != nil {
			return err
		}
	}
}

func (s *streams) readFrom(ctx context.Context, name string, offset *int64) error {
	ctx, cancel := context.WithCancel(ctx) // ends the call when it is left early
	defer cancel()
	call, err := s.driver.storage.ReadRows(ctx, &storagepb.ReadRowsRequest{ReadStream: name, Offset: *offset})
	if err != nil {
		return err
	}
	for {
		weight := s.expect()
		if err := s.budget.Acquire(ctx, weight); err != nil {
			return err
		}
		answer, err := call.Recv()
		data := answer.GetArrowRecordBatch().GetSerializedRecordBatch()
		if err != nil || answer.GetRowCount() == 0 || len(data) == 0 {
			s.budget.Release(weight)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if answer.GetRowCount() == 0 || len(data) == 0 {
			continue
		}
		s.came(len(data))
		select {
		case s.chunks <- &chunk{data: data, weight: weight, unused: make(chan struct{})}:
			*offset += answer.GetRowCount()
		case <-ctx.Done():
			s.budget.Release(weight)
			return ctx.Err()
		}
	}
}

// expect is the weight of a chunk that has not come: that of the largest so far.
// The first comes alone, since nothing is known of it.
func (s *streams) expect() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.largest == 0 {
		return maxInFlight
	}
	return min(s.largest, maxInFlight)
}

func (s *streams) came(size int) {
	s.mu.Lock()
	s.largest = max(s.largest, int64(size))
	s.mu.Unlock()
}

// resumable tells what happens to streams of healthy services: a server that
// restarts, a connection that is cut.
func resumable(err error) bool {
	switch status.Code(err) {
	case codes.Aborted, codes.Canceled, codes.DeadlineExceeded, codes.Internal, codes.Unavailable:
		return true
	}
	return false
}

func pause(ctx context.Context, try int) error {
	timer := time.NewTimer(min(firstPause<<(try-1), longestPause))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *streams) arrowSchema() *arrow.Schema { return s.fields }

// next decodes the next chunk of whichever stream has one.
func (s *streams) next(ctx context.Context) (arrow.RecordBatch, func(), error) {
	if err := s.finish(ctx); err != nil {
		return nil, nil, err
	}
	select {
	case c := <-s.chunks:
		record, err := decode(s.schema, c.data)
		if err != nil {
			return nil, nil, err
		}
		s.reading = c
		return record, func() {
			s.settle(c)
			s.driver.memory.give(c.data)
			close(c.unused)
		}, nil
	case <-s.over:
		if s.failed != nil {
			return nil, nil, s.failed
		}
		return nil, nil, io.EOF
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
}

// finish lets the streams go on receiving in place of the chunk that was read.
func (s *streams) finish(ctx context.Context) error {
	c := s.reading
	if c == nil {
		return nil
	}
	s.reading = nil
	defer s.settle(c)
	if c.weight < largeChunk {
		return nil
	}
	timer := time.NewTimer(useTime)
	defer timer.Stop()
	select {
	case <-c.unused:
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// close ends the streams and waits for their goroutines.
func (s *streams) close() {
	s.cancel()
	<-s.over
	s.driver.memory.empty()
}
