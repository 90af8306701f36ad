//go:build cgo

package bigquerytest

import (
	"bytes"
	"context"
	"database/sql/driver"
	"fmt"
	"strings"
	"time"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	bq "google.golang.org/api/bigquery/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// reader is the Storage Read API. A session is a result, whose streams are equal
// parts of its rows; the name of a stream says which.
type reader struct {
	storagepb.UnimplementedBigQueryReadServer
	server *Server
}

func (r *reader) CreateReadSession(_ context.Context, in *storagepb.CreateReadSessionRequest) (*storagepb.ReadSession, error) {
	s := r.server
	s.count("CreateReadSession")
	if err := s.faults.storage(); err != nil {
		return nil, err
	}
	path := strings.Split(in.GetReadSession().GetTable(), "/")
	s.mu.Lock()
	j := s.jobs[path[len(path)-1]]
	s.mu.Unlock()
	if j == nil {
		return nil, status.Errorf(codes.NotFound, "Not found: Table %s", in.GetReadSession().GetTable())
	}
	schema, err := arrowSchema(j.schema)
	if err != nil {
		return nil, err
	}
	serialised, err := serialise(schema, nil)
	if err != nil {
		return nil, err
	}
	chunks := (j.rows + int64(s.options.ChunkRows) - 1) / int64(s.options.ChunkRows)
	streams := int64(in.GetMaxStreamCount())
	if limit := int64(s.options.Streams); streams == 0 || limit > 0 && limit < streams {
		streams = limit
	}
	streams = max(1, min(streams, chunks))
	session := &storagepb.ReadSession{
		Name: in.GetParent() + "/locations/" + s.options.Location + "/sessions/" + j.ID, Table: in.GetReadSession().GetTable(),
		DataFormat: storagepb.DataFormat_ARROW, EstimatedRowCount: j.rows,
		Schema: &storagepb.ReadSession_ArrowSchema{ArrowSchema: &storagepb.ArrowSchema{SerializedSchema: serialised}},
	}
	if j.rows > 0 { // an empty result has no streams
		for i := range streams {
			session.Streams = append(session.Streams, &storagepb.ReadStream{Name: fmt.Sprintf("%s/streams/%s/%d/%d", session.Name, j.ID, j.rows*i/streams, j.rows*(i+1)/streams)})
		}
	}
	s.mu.Lock()
	s.sessions = append(s.sessions, int32(len(session.Streams)))
	s.mu.Unlock()
	return session, nil
}

func (r *reader) ReadRows(in *storagepb.ReadRowsRequest, out storagepb.BigQueryRead_ReadRowsServer) error {
	s := r.server
	s.count("ReadRows")
	var id string
	var from, to int64
	_, rest, _ := strings.Cut(in.GetReadStream(), "/streams/")
	if _, err := fmt.Sscanf(strings.ReplaceAll(rest, "/", " "), "%s %d %d", &id, &from, &to); err != nil {
		return status.Error(codes.NotFound, "no such stream")
	}
	s.mu.Lock()
	j := s.jobs[id]
	s.mu.Unlock()
	schema, err := arrowSchema(j.schema)
	if err != nil {
		return err
	}
	prefix, err := serialise(schema, nil)
	if err != nil {
		return err
	}
	builder := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer builder.Release()
	n := 0
	flush := func() error {
		record := builder.NewRecordBatch()
		defer record.Release()
		whole, err := serialise(schema, record)
		if err != nil {
			return err
		}
		answer := &storagepb.ReadRowsResponse{RowCount: int64(n), Rows: &storagepb.ReadRowsResponse_ArrowRecordBatch{
			ArrowRecordBatch: &storagepb.ArrowRecordBatch{SerializedRecordBatch: whole[len(prefix):]},
		}}
		n = 0
		if err := out.Send(answer); err != nil {
			return err
		}
		delay, failed := s.faults.stream()
		time.Sleep(delay)
		return failed
	}
	err = s.each(out.Context(), id, from+in.GetOffset(), to, func(row []driver.Value) error {
		for i, v := range row {
			appendValue(builder.Field(i), j.schema[i], v)
		}
		if n++; n == s.options.ChunkRows {
			return flush()
		}
		return nil
	})
	if err != nil || n == 0 {
		return err
	}
	return flush()
}

// serialise writes a schema, and a record behind it, as IPC messages.
func serialise(schema *arrow.Schema, record arrow.RecordBatch) ([]byte, error) {
	var b bytes.Buffer
	w := ipc.NewWriter(&b, ipc.WithSchema(schema))
	if record == nil {
		if err := w.Close(); err != nil {
			return nil, err
		}
		const endOfStream = 8
		return b.Bytes()[:b.Len()-endOfStream], nil
	}
	if err := w.Write(record); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// arrowSchema is the columns as the API documents its Arrow types.
func arrowSchema(fields []*bq.TableFieldSchema) (*arrow.Schema, error) {
	list, err := arrowFields(fields)
	if err != nil {
		return nil, err
	}
	return arrow.NewSchema(list, nil), nil
}

var arrowTypes = map[string]arrow.DataType{
	"STRING": arrow.BinaryTypes.String, "BYTES": arrow.BinaryTypes.Binary, "INTEGER": arrow.PrimitiveTypes.Int64, "FLOAT": arrow.PrimitiveTypes.Float64,
	"BOOLEAN": arrow.FixedWidthTypes.Boolean, "TIMESTAMP": arrow.FixedWidthTypes.Timestamp_us, "DATETIME": &arrow.TimestampType{Unit: arrow.Microsecond},
	"DATE": arrow.FixedWidthTypes.Date32, "TIME": arrow.FixedWidthTypes.Time64us, "NUMERIC": &arrow.Decimal128Type{Precision: 38, Scale: 9},
	"BIGNUMERIC": &arrow.Decimal256Type{Precision: 76, Scale: 38}, "GEOGRAPHY": arrow.BinaryTypes.String, "JSON": arrow.BinaryTypes.String,
	"INTERVAL": arrow.FixedWidthTypes.MonthDayNanoInterval,
}

func arrowFields(fields []*bq.TableFieldSchema) ([]arrow.Field, error) {
	list := make([]arrow.Field, len(fields))
	for i, f := range fields {
		t := arrowTypes[f.Type]
		switch f.Type {
		case "RECORD":
			parts, err := arrowFields(f.Fields)
			if err != nil {
				return nil, err
			}
			t = arrow.StructOf(parts...)
		case "RANGE":
			bound := arrowTypes[f.RangeElementType.Type]
			t = arrow.StructOf(arrow.Field{Name: "start", Type: bound, Nullable: true}, arrow.Field{Name: "end", Type: bound, Nullable: true})
		}
		if t == nil {
			return nil, status.Errorf(codes.Unimplemented, "type %s is beyond the stand-in", f.Type)
		}
		if f.Mode == "REPEATED" {
			t = arrow.ListOf(t)
		}
		list[i] = arrow.Field{Name: f.Name, Type: t, Nullable: true}
	}
	return list, nil
}
