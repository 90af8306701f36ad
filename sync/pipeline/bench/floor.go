//go:build cgo

package main

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"runtime/pprof"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/klauspost/compress/gzip"
)

// floor is the least program that could do the worker's job: a raw binary read,
// JSON written by hand for just these columns, gzip, nothing sent, nothing kept.
func floor(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("floor", flag.ContinueOnError)
	dsn, query, profile := f.String("dsn", "", ""), f.String("query", "", ""), f.String("cpuprofile", "", "")
	if err := f.Parse(args); err != nil {
		return err
	}
	if *profile != "" {
		w, err := os.Create(*profile)
		if err != nil {
			return err
		}
		defer w.Close()
		if err := pprof.StartCPUProfile(w); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	conn, err := pgx.Connect(ctx, *dsn)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	rows, err := conn.Query(ctx, *query, pgx.QueryResultFormats{pgx.BinaryFormatCode})
	if err != nil {
		return err
	}
	defer rows.Close()
	zip, err := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)
	if err != nil {
		return err
	}
	var body []byte
	n := 0
	for rows.Next() {
		body = appendRecord(body, rows.RawValues())
		if n++; n%2000 == 0 {
			zip.Reset(io.Discard)
			if _, err := zip.Write(body); err != nil {
				return err
			}
			if err := zip.Close(); err != nil {
				return err
			}
			body = body[:0]
		}
	}
	fmt.Println(n)
	return rows.Err()
}

// appendRecord writes the same members as mixsync's record of the bench table.
func appendRecord(dst []byte, v [][]byte) []byte {
	micros := func(b []byte) int64 { return int64(binary.BigEndian.Uint64(b)) + 946684800_000000 }
	dst = append(dst, `{"event":"`...)
	dst = append(dst, v[1]...)
	dst = append(dst, `","properties":{"time":`...)
	dst = strconv.AppendInt(dst, micros(v[5])/1000, 10)
	dst = append(dst, `,"distinct_id":"$company:`...)
	dst = append(dst, v[2]...)
	dst = append(dst, "|$user:"...)
	dst = append(dst, v[3]...)
	dst = append(dst, '"')
	dst = appendNumber(dst, "$insert_id", int64(binary.BigEndian.Uint64(v[0])))
	dst = appendText(dst, "$company_id", v[2])
	dst = appendText(dst, "$user_id", v[3])
	dst = appendText(dst, "$device_id", v[4])
	dst = append(dst, `,"ip":0,"loaded_at":"`...)
	dst = time.UnixMicro(micros(v[6])).UTC().AppendFormat(dst, "2006-01-02T15:04:05.999999")
	dst = append(dst, '"')
	dst = appendText(dst, "plan", v[7])
	dst = appendNumber(dst, "amount", int64(binary.BigEndian.Uint64(v[8])))
	dst = appendNumber(dst, "seats", int64(int32(binary.BigEndian.Uint32(v[9]))))
	dst = append(dst, `,"active":`...)
	dst = strconv.AppendBool(dst, v[10][0] == 1)
	dst = append(dst, `,"score":`...)
	dst = strconv.AppendFloat(dst, math.Float64frombits(binary.BigEndian.Uint64(v[11])), 'g', -1, 64)
	dst = appendText(dst, "note", v[12])
	return append(dst, "}}\n"...)
}

// appendText appends a member and its text, escaped no more than an honest encoder must.
func appendText(dst []byte, name string, text []byte) []byte {
	dst = append(append(append(dst, ',', '"'), name...), `":"`...)
	for _, c := range text {
		if c == '"' || c == '\\' || c < 0x20 {
			dst = append(dst, '\\', 'u', '0', '0', "0123456789abcdef"[c>>4], "0123456789abcdef"[c&15])
			continue
		}
		dst = append(dst, c)
	}
	return append(dst, '"')
}

func appendNumber(dst []byte, name string, n int64) []byte {
	dst = append(append(append(dst, ',', '"'), name...), `":`...)
	return strconv.AppendInt(dst, n, 10)
}

// copyOut reads the same rows the way the server gives them out fastest.
func copyOut(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("copy", flag.ContinueOnError)
	dsn, query := f.String("dsn", "", ""), f.String("query", "", "")
	if err := f.Parse(args); err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, *dsn)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	tag, err := conn.PgConn().CopyTo(ctx, io.Discard, "COPY ("+*query+") TO STDOUT (FORMAT binary)")
	if err == nil {
		fmt.Println(tag.RowsAffected())
	}
	return err
}
