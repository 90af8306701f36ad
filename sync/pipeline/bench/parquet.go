//go:build cgo

package main

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"time"
	"unsafe"

	bindings "github.com/duckdb/duckdb-go-bindings"
	_ "github.com/duckdb/duckdb-go/v2" // makes the file
	"github.com/klauspost/compress/gzip"
)

// parquet: CPU of the same rows from a Parquet file, against the least program
// that reads the table, and against the least that reads the file in order.
func (b *bench) parquet(ctx context.Context, sink string) ([]figure, error) {
	// In a process of its own: what this one has in memory counts as its children's.
	if _, _, err := measure(ctx, b.self, "fill-parquet", "-file", b.parquetFile(), "-rows", strconv.Itoa(b.rows)); err != nil {
		return nil, err
	}
	var worker, table, file []cost
	for i := range b.repeat + 1 {
		config, err := b.parquetConfig("parquet", sink)
		if err != nil {
			return nil, err
		}
		w, err := b.sync(ctx, config, b.rows)
		if err != nil {
			return nil, err
		}
		t, _, err := measure(ctx, b.self, "floor", "-dsn", b.server.DSN, "-query", query("usage"))
		if err != nil {
			return nil, err
		}
		f, _, err := measure(ctx, b.self, "floor-parquet", "-query", query("'"+b.parquetFile()+"'"))
		if err != nil {
			return nil, err
		}
		if i > 0 {
			worker, table, file = append(worker, w), append(table, t), append(file, f)
		}
	}
	million := 1e6 / float64(b.rows)
	seconds := func(c cost) float64 { return c.cpu.Seconds() * million }
	cpu := median(worker, seconds)
	return []figure{
		against("worker CPU per million events of a Parquet file", cpu, "s", median(table, seconds), "least program, of the table", 1.2),
		against("the same", cpu, "s", median(file, seconds), "least program, of the file", 1.2),
	}, nil
}

func (b *bench) parquetFile() string { return filepath.Join(b.dir, "usage.parquet") }

func (b *bench) parquetConfig(name, sink string) (string, error) {
	return b.configOf(name, sink, "{type: duckdb}", fmt.Sprintf("query: SELECT * FROM '%s'", b.parquetFile()))
}

// fillParquet writes the rows that fill makes into a file.
func fillParquet(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("fill-parquet", flag.ContinueOnError)
	file, rows := f.String("file", "", ""), f.Int("rows", 0, "")
	if err := f.Parse(args); err != nil {
		return err
	}
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(ctx, fmt.Sprintf(`SET TimeZone = 'UTC'; COPY (
		SELECT g AS id, ['Login','Feature Used','Report Run','Invite Sent'][1+g%%4] AS event_name, 'account-'||(g*7919%%5000) AS account_id,
			'user-'||(g*104729%%60000) AS user_id, 'device-'||md5((g%%90000)::text) AS device_id,
			now() - interval '2 hours' - (%[1]d-g)*interval '1 second' - interval '3 minutes' AS occurred_at, now() - interval '2 hours' - (%[1]d-g)*interval '1 second' AS loaded_at,
			['free','pro','enterprise'][1+g%%3] AS plan, g*37%%100000 AS amount, (g%%50)::int AS seats, g%%2=0 AS active, round(random()*1000, 4)::double AS score,
			md5(g::text)||' '||md5((g*3)::text)||' opened /projects/'||g%%777||'/boards' AS note
		FROM generate_series(1::bigint, %[1]d) AS r(g)) TO '%[2]s'`, *rows, *file))
	return err
}

// floorParquet is floor for a file: DuckDB's own chunks in the place of rows.
func floorParquet(args []string) error {
	f := flag.NewFlagSet("floor-parquet", flag.ContinueOnError)
	text := f.String("query", "", "")
	if err := f.Parse(args); err != nil {
		return err
	}
	var db bindings.Database
	var conn bindings.Connection
	var statement bindings.PreparedStatement
	var result bindings.Result
	if bindings.Open("", &db) != bindings.StateSuccess || bindings.Connect(db, &conn) != bindings.StateSuccess {
		return fmt.Errorf("cannot open DuckDB")
	}
	defer bindings.Close(&db)
	defer bindings.Disconnect(&conn)
	defer bindings.DestroyPrepare(&statement)
	defer bindings.DestroyResult(&result)
	if bindings.Prepare(conn, *text, &statement) != bindings.StateSuccess {
		return fmt.Errorf("%s", bindings.PrepareError(statement))
	}
	//nolint:staticcheck // The interface has no other way to ask for a result that streams.
	if bindings.ExecutePreparedStreaming(statement, &result) != bindings.StateSuccess {
		return fmt.Errorf("%s", bindings.ResultError(&result))
	}
	zip, err := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)
	if err != nil {
		return err
	}
	var body []byte
	n := 0
	for {
		chunk := bindings.FetchChunk(result)
		if chunk.Ptr == nil {
			fmt.Println(n)
			return nil
		}
		size := int(bindings.DataChunkGetSize(chunk))
		body = appendRecords(body[:0], chunk, size)
		n += size
		bindings.DestroyDataChunk(&chunk)
		zip.Reset(io.Discard)
		if _, err := zip.Write(body); err != nil {
			return err
		}
		if err := zip.Close(); err != nil {
			return err
		}
	}
}

// column is the memory of a chunk's column, as DuckDB's C interface documents it.
func column[T any](chunk bindings.DataChunk, i, size int) []T {
	return unsafe.Slice((*T)(bindings.VectorGetData(bindings.DataChunkGetVector(chunk, bindings.IdxT(i)))), size)
}

// varchar is duckdb_string_t.
type varchar struct {
	length uint32
	rest   [12]byte
}

func (v *varchar) bytes() []byte {
	if v.length <= 12 {
		return v.rest[:v.length]
	}
	return unsafe.Slice(*(**byte)(unsafe.Pointer(&v.rest[4])), v.length)
}

// appendRecords writes what appendRecord writes, of the rows of a chunk.
func appendRecords(dst []byte, chunk bindings.DataChunk, size int) []byte {
	text := [13][]varchar{}
	for _, i := range []int{1, 2, 3, 4, 7, 12} {
		text[i] = column[varchar](chunk, i, size)
	}
	id, occurred, loaded := column[int64](chunk, 0, size), column[int64](chunk, 5, size), column[int64](chunk, 6, size)
	amount, seats := column[int64](chunk, 8, size), column[int32](chunk, 9, size)
	active, score := column[bool](chunk, 10, size), column[float64](chunk, 11, size)
	for r := range size {
		dst = append(dst, `{"event":"`...)
		dst = append(dst, text[1][r].bytes()...)
		dst = append(dst, `","properties":{"time":`...)
		dst = strconv.AppendInt(dst, occurred[r]/1000, 10)
		dst = append(dst, `,"distinct_id":"$company:`...)
		dst = append(dst, text[2][r].bytes()...)
		dst = append(dst, "|$user:"...)
		dst = append(dst, text[3][r].bytes()...)
		dst = append(dst, '"')
		dst = appendNumber(dst, "$insert_id", id[r])
		dst = appendText(dst, "$company_id", text[2][r].bytes())
		dst = appendText(dst, "$user_id", text[3][r].bytes())
		dst = appendText(dst, "$device_id", text[4][r].bytes())
		dst = append(dst, `,"ip":0,"loaded_at":"`...)
		dst = time.UnixMicro(loaded[r]).UTC().AppendFormat(dst, "2006-01-02T15:04:05.999999")
		dst = append(dst, '"')
		dst = appendText(dst, "plan", text[7][r].bytes())
		dst = appendNumber(dst, "amount", amount[r])
		dst = appendNumber(dst, "seats", int64(seats[r]))
		dst = append(dst, `,"active":`...)
		dst = strconv.AppendBool(dst, active[r])
		dst = append(dst, `,"score":`...)
		dst = strconv.AppendFloat(dst, score[r], 'g', -1, 64)
		dst = appendText(dst, "note", text[12][r].bytes())
		dst = append(dst, "}}\n"...)
	}
	return dst
}
