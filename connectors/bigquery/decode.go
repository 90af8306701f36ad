package bigquery

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// decodeSchema reads the schema message of a session.
func decodeSchema(message []byte) (*arrow.Schema, error) {
	reader, err := ipc.NewReaderFromMessageReader(&messages{message})
	if err != nil {
		return nil, fmt.Errorf("the columns of the read session: %w", err)
	}
	defer reader.Release()
	return reader.Schema(), nil
}

// decode returns the record batch of a message as arrays that use its very bytes.
// The caller owns it. The schema, which is small, is read with every one, since a
// reader would keep hold of the batch before the next.
func decode(schema, message []byte) (arrow.RecordBatch, error) {
	reader, err := ipc.NewReaderFromMessageReader(&messages{schema, message})
	if err != nil {
		return nil, fmt.Errorf("the columns of the read session: %w", err)
	}
	defer reader.Release()
	record, err := reader.Read()
	if err != nil {
		return nil, fmt.Errorf("a record batch of the read session: %w", err)
	}
	record.Retain()
	return record, nil
}

// messages gives an ipc.Reader the messages that it is to read.
type messages [][]byte

// Retain and Release are for readers that own what they read.
func (m *messages) Retain()  {}
func (m *messages) Release() {}

var errCutShort = errors.New("the message is cut short")

// Message takes the next message apart: a mark, the length of the metadata, the
// metadata, the body.
func (m *messages) Message() (*ipc.Message, error) {
	if len(*m) == 0 {
		return nil, io.EOF
	}
	data := (*m)[0]
	*m = (*m)[1:]
	const mark = 0xffffffff
	if len(data) < 8 || binary.LittleEndian.Uint32(data) != mark {
		return nil, errCutShort
	}
	size := int(binary.LittleEndian.Uint32(data[4:]))
	data = data[8:]
	if size <= 0 || size > len(data) {
		return nil, errCutShort
	}
	return ipc.NewMessage(memory.NewBufferBytes(data[:size]), memory.NewBufferBytes(data[size:])), nil
}
