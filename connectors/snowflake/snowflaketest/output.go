//go:build cgo

package snowflaketest

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"os"

	bindings "github.com/duckdb/duckdb-go-bindings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
)

// recordRows are the rows of a record: a chunk has many.
const recordRows = 8192

// output collects a result: the first rows for the answer itself, the rest in files.
type output struct {
	json          bool
	inline, chunk int // rows
	file          func(n int) string
	url           func(n int) string

	columns []*column
	first   any // rowset, or rowsetBase64
	chunks  []map[string]any
	total   int
}

// add takes a chunk of DuckDB's.
func (o *output) add(chunk bindings.DataChunk) error {
	rows := int(bindings.DataChunkGetSize(chunk))
	for i, c := range o.columns {
		c.take(vectorOf(chunk, i, rows))
	}
	o.total += rows
	limit := o.chunk
	if o.first == nil {
		limit = o.inline
	}
	if len(o.columns) > 0 && len(o.columns[0].valid) >= limit {
		return o.flush()
	}
	return nil
}

// end keeps what is left.
func (o *output) end() error {
	if o.first == nil || len(o.columns[0].valid) > 0 {
		return o.flush()
	}
	return nil
}

// flush keeps the rows that were collected: the first ones for the answer itself.
func (o *output) flush() error {
	rows := len(o.columns[0].valid)
	defer func() {
		for _, c := range o.columns {
			c.reset()
		}
	}()
	if o.first == nil {
		return o.flushInline(rows)
	}
	n := len(o.chunks)
	f, err := os.Create(o.file(n))
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	if o.json {
		err = o.writeLines(w, rows)
	} else {
		err = o.writeRecords(w, rows)
	}
	if err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	size, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	o.chunks = append(o.chunks, map[string]any{"url": o.url(n), "rowCount": rows, "uncompressedSize": size, "compressedSize": size})
	return nil
}

func (o *output) flushInline(rows int) error {
	if o.json {
		lines := make([][]*string, rows)
		for i := range lines {
			lines[i] = o.line(i)
		}
		o.first = lines
		return nil
	}
	if rows == 0 {
		o.first = ""
		return nil
	}
	var b bytes.Buffer
	if err := o.writeRecords(&b, rows); err != nil {
		return err
	}
	o.first = base64.StdEncoding.EncodeToString(b.Bytes())
	return nil
}

func (o *output) line(row int) []*string {
	line := make([]*string, len(o.columns))
	for i, c := range o.columns {
		line[i] = c.line(row)
	}
	return line
}

// writeLines joins rows by commas, without brackets around them.
func (o *output) writeLines(w io.Writer, rows int) error {
	for i := range rows {
		line, err := json.Marshal(o.line(i))
		if err != nil {
			return err
		}
		if i > 0 {
			line = append([]byte{','}, line...)
		}
		if _, err := w.Write(line); err != nil {
			return err
		}
	}
	return nil
}

func (o *output) writeRecords(w io.Writer, rows int) error {
	fields := make([]arrow.Field, len(o.columns))
	for i, c := range o.columns {
		fields[i] = arrow.Field{Name: c.name, Type: c.arrowType(), Nullable: true}
	}
	schema := arrow.NewSchema(fields, nil)
	out := ipc.NewWriter(w, ipc.WithSchema(schema))
	for from := 0; from < rows; from += recordRows {
		to := min(from+recordRows, rows)
		arrays := make([]arrow.Array, len(o.columns))
		for i, c := range o.columns {
			arrays[i] = c.array(fields[i].Type, from, to)
		}
		record := array.NewRecordBatch(schema, arrays, int64(to-from))
		if err := out.Write(record); err != nil {
			return err
		}
	}
	return out.Close()
}

// answer is what the server says of the result.
func (o *output) answer(id string) map[string]any {
	types := make([]map[string]any, len(o.columns))
	for i, c := range o.columns {
		types[i] = c.rowType()
	}
	a := map[string]any{"queryId": id, "sqlState": "00000", "statementTypeId": 0x1000, "version": 1, "rowtype": types, "total": o.total, "returned": o.total,
		"parameters": []any{}, "chunks": o.chunks, "chunkHeaders": map[string]string{"x-chunk": "1"}}
	first := o.first
	if o.json {
		a["queryResultFormat"] = "json"
		if first == nil {
			first = [][]*string{}
		}
		a["rowset"] = first
	} else {
		a["queryResultFormat"] = "arrow"
		if first == nil {
			first = ""
		}
		a["rowsetBase64"] = first
	}
	return a
}
