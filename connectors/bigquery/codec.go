package bigquery

import (
	"errors"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// codec decodes the chunks of a stream into one piece of memory, in which the
// record batch stays. The usual one would copy that once more, and chunks are most
// of the memory that a read takes.
type codec struct {
	encoding.CodecV2 // for every other message
	memory           chunkMemory
}

func newCodec(m chunkMemory) codec { return codec{encoding.GetCodecV2(proto.Name), m} }

// chunkMemory is what chunks lay in that nobody uses any more. Large ones would
// leave much to the garbage collector, which lets a share of what is alive gather.
type chunkMemory chan []byte

// take returns n bytes, whatever they hold.
func (m chunkMemory) take(n int) []byte {
	select {
	case buf := <-m:
		if cap(buf) >= n {
			return buf[:n]
		}
	default:
	}
	const step = 1 << 20 // chunks are of about the same size
	return make([]byte, n, (n/step+1)*step)
}

// empty lets go of everything.
func (m chunkMemory) empty() {
	for {
		select {
		case <-m:
		default:
			return
		}
	}
}

// give takes memory back, a chunk of it as Unmarshal has placed it.
func (m chunkMemory) give(chunk []byte) {
	select {
	case m <- chunk:
	default:
	}
}

// Numbers of the fields in ReadRowsResponse and ArrowRecordBatch.
const (
	fieldRecordBatch = 4
	fieldRowCount    = 6
	fieldSerialized  = 1
)

var errMalformed = errors.New("a malformed answer of the Storage Read API")

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	answer, ok := v.(*storagepb.ReadRowsResponse)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	// The arrays of the batch are read as they lie, for which they have to lie at a
	// multiple of 8; so does the batch then.
	const align = 8
	buf := c.memory.take(data.Len() + align)
	message := buf[:data.CopyTo(buf)]
	from, to, count, err := findBatch(message)
	if err != nil {
		return err
	}
	if off := from % align; off != 0 {
		pad := align - off
		copy(buf[pad:], message)
		from, to = from+pad, to+pad
	}
	answer.Reset()
	answer.RowCount = count
	answer.Rows = &storagepb.ReadRowsResponse_ArrowRecordBatch{ArrowRecordBatch: &storagepb.ArrowRecordBatch{SerializedRecordBatch: buf[from:to]}}
	return nil
}

// findBatch walks over an answer and says where its record batch is.
func findBatch(message []byte) (from, to int, count int64, err error) {
	err = walk(message, func(number protowire.Number, at, end int, value uint64) error {
		switch number {
		case fieldRowCount:
			count = int64(value)
		case fieldRecordBatch:
			return walk(message[at:end], func(number protowire.Number, innerAt, innerEnd int, _ uint64) error {
				if number == fieldSerialized {
					from, to = at+innerAt, at+innerEnd
				}
				return nil
			})
		}
		return nil
	})
	return from, to, count, err
}

// walk calls use with the fields of a message: where a field of bytes lies, or the
// value of a number.
func walk(message []byte, use func(number protowire.Number, at, end int, value uint64) error) error {
	for at := 0; at < len(message); {
		number, kind, n := protowire.ConsumeTag(message[at:])
		if n < 0 {
			return errMalformed
		}
		at += n
		size := protowire.ConsumeFieldValue(number, kind, message[at:])
		if size < 0 {
			return errMalformed
		}
		var err error
		switch kind {
		case protowire.BytesType:
			inside, _ := protowire.ConsumeBytes(message[at:])
			err = use(number, at+size-len(inside), at+size, 0)
		case protowire.VarintType:
			value, _ := protowire.ConsumeVarint(message[at:])
			err = use(number, at, at+size, value)
		}
		if err != nil {
			return err
		}
		at += size
	}
	return nil
}
