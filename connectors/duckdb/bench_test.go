//go:build cgo && unix

package duckdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	bindings "github.com/duckdb/duckdb-go-bindings"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/mapping/appendjson"
)

// A table of 13 columns whose rows make records of about 500 bytes.
const eventsSQL = `SELECT n AS id, CAST(n %% 1000 AS INTEGER) AS account_id, md5(CAST(n AS VARCHAR)) AS user_id, md5(CAST(n // 3 AS VARCHAR)) AS anonymous_id,
  'Feature Used' AS event_name, TIMESTAMPTZ '2026-01-01 00:00:00+00' + n * INTERVAL '1 millisecond' AS occurred_at,
  TIMESTAMPTZ '2026-01-01 00:00:00+00' + n * INTERVAL '1 millisecond' AS loaded_at, CAST(n / 7 AS DECIMAL(12,2)) AS amount, n %% 2 = 0 AS paid, n / 3 AS score,
  CAST(md5(CAST(n AS VARCHAR)) AS UUID) AS session_id, CAST('{"plan": "pro", "seats": ' || n %% 50 || '}' AS JSON) AS attrs, repeat('lorem ipsum ', 8) AS note
FROM range(%d) AS r(n)`

// eventsFile writes a Parquet file of events and returns the query that reads it.
func eventsFile(tb testing.TB, count int) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "events.parquet")
	db, err := sql.Open("duckdb", "")
	if err != nil {
		tb.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(tb.Context(), "SET TimeZone = 'UTC'; COPY ("+fmt.Sprintf(eventsSQL, count)+") TO '"+path+"'"); err != nil {
		tb.Fatal(err)
	}
	return "SELECT * FROM '" + path + "' ORDER BY loaded_at, id"
}

// cpu is the processor time of this process, DuckDB's threads included.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkFill reads events in cursor order and writes JSON from the batches.
// One operation is one row. Compare its cpu-ns/op with BenchmarkFloor's.
func BenchmarkFill(b *testing.B) {
	benchmark(b, func(ctx context.Context, d *Driver, query string, limit int) (rows int, err error) {
		result, err := d.Query(ctx, query)
		if err != nil {
			return 0, err
		}
		defer result.Close()
		batch := warehouse.NewBatch(result.Schema())
		var dst []byte
		for rows < limit {
			err := result.Fill(ctx, batch)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return rows, err
			}
			dst = batchJSON(dst[:0], batch)
			rows += batch.Len()
			batch.Reset()
		}
		return rows, nil
	})
}

// BenchmarkFloor writes the same JSON by hand from the chunks of the same query.
func BenchmarkFloor(b *testing.B) {
	benchmark(b, func(ctx context.Context, d *Driver, query string, limit int) (rows int, err error) {
		s, err := d.connect(ctx)
		if err != nil {
			return 0, err
		}
		defer s.close()
		statement, err := s.prepare(ctx, query)
		if err != nil {
			return 0, err
		}
		defer bindings.DestroyPrepare(&statement)
		var result bindings.Result
		defer bindings.DestroyResult(&result)
		bindings.ExecutePreparedStreaming(statement, &result) //nolint:staticcheck // as the driver does
		var dst []byte
		for rows < limit {
			chunk := bindings.FetchChunk(result)
			if chunk.Ptr == nil {
				break
			}
			size := int(bindings.DataChunkGetSize(chunk))
			dst = chunkJSON(dst[:0], chunk, size)
			rows += size
			bindings.DestroyDataChunk(&chunk)
		}
		return rows, nil
	})
}

func benchmark(b *testing.B, read func(ctx context.Context, d *Driver, query string, limit int) (int, error)) {
	query := eventsFile(b, 1_000_000)
	d, err := Open(b.Context(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	b.ReportAllocs()
	b.ResetTimer()
	before := cpu()
	for n := 0; n < b.N; {
		rows, err := read(b.Context(), d, query, b.N-n)
		if err != nil || rows == 0 {
			b.Fatal(rows, err)
		}
		n += rows
	}
	b.ReportMetric(float64(cpu()-before)/float64(b.N), "cpu-ns/op")
}

var benchNames = []string{"id", "account_id", "user_id", "anonymous_id", "event_name", "occurred_at", "loaded_at", "amount", "paid", "score", "session_id", "attrs", "note"}

func key(dst []byte, column int) []byte {
	if column > 0 {
		dst = append(dst, ',')
	}
	dst = append(append(dst, '"'), benchNames[column]...)
	return append(dst, `":`...)
}

func quoted(dst, text []byte) []byte { return append(append(append(dst, '"'), text...), '"') }

func stamp(dst []byte, micros int64) []byte {
	return time.UnixMicro(micros).UTC().AppendFormat(dst, `"2006-01-02T15:04:05.999999"`)
}

func batchJSON(dst []byte, b *warehouse.Batch) []byte {
	for row := range b.Len() {
		dst = append(dst, '{')
		for i := range b.Cols {
			c := &b.Cols[i]
			dst = key(dst, i)
			switch {
			case c.IsNull(row):
				dst = append(dst, "null"...)
			case c.Kind == warehouse.Int:
				dst = strconv.AppendInt(dst, c.Int[row], 10)
			case c.Kind == warehouse.Float:
				dst = strconv.AppendFloat(dst, c.Float[row], 'f', -1, 64)
			case c.Kind == warehouse.Bool:
				dst = strconv.AppendBool(dst, c.Int[row] != 0)
			case c.Kind == warehouse.TimestampTZ:
				dst = stamp(dst, c.Int[row])
			case c.Kind == warehouse.Text:
				dst = quoted(dst, c.Text(row))
			default: // Decimal, JSON
				dst = append(dst, c.Text(row)...)
			}
		}
		dst = append(dst, "}\n"...)
	}
	return dst
}

func chunkJSON(dst []byte, chunk bindings.DataChunk, size int) []byte {
	var v [13]view
	for i := range v {
		v[i] = see(bindings.DataChunkGetVector(chunk, bindings.IdxT(i)), size)
	}
	id, account := values[int64](v[0]), values[int32](v[1])
	user, anonymous, event := values[str](v[2]), values[str](v[3]), values[str](v[4])
	occurred, loaded, amount := values[int64](v[5]), values[int64](v[6]), values[int64](v[7])
	paid, score, session := values[bool](v[8]), values[float64](v[9]), values[hugeint](v[10])
	attrs, note := values[str](v[11]), values[str](v[12])
	for row := range size {
		dst = append(dst, '{')
		dst = strconv.AppendInt(key(dst, 0), id[row], 10)
		dst = strconv.AppendInt(key(dst, 1), int64(account[row]), 10)
		dst = quoted(key(dst, 2), user[row:][0].bytes())
		dst = quoted(key(dst, 3), anonymous[row:][0].bytes())
		dst = quoted(key(dst, 4), event[row:][0].bytes())
		dst = stamp(key(dst, 5), occurred[row])
		dst = stamp(key(dst, 6), loaded[row])
		dst = appendjson.Scaled(key(dst, 7), amount[row], 2)
		dst = strconv.AppendBool(key(dst, 8), paid[row])
		dst = strconv.AppendFloat(key(dst, 9), score[row], 'f', -1, 64)
		dst = append(appendUUID(append(key(dst, 10), '"'), session[row]), '"')
		dst = append(key(dst, 11), attrs[row:][0].bytes()...)
		dst = quoted(key(dst, 12), note[row:][0].bytes())
		dst = append(dst, "}\n"...)
	}
	return dst
}

// TestAllocs reads every kind of column: a row costs no allocation.
func TestAllocs(t *testing.T) {
	const count = 60 * 2048
	d, err := Open(t.Context(), Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	query := "SELECT *, CASE WHEN id % 3 = 0 THEN id END AS maybe, [id, id + 1] AS list, {'at': loaded_at, 'name': user_id} AS object FROM (" + fmt.Sprintf(eventsSQL, count) + ") AS e"
	result, err := d.Query(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer result.Close()
	batch := warehouse.NewBatch(result.Schema())
	rows := 0
	read := func() {
		batch.Reset()
		if err := result.Fill(t.Context(), batch); err != nil {
			t.Error(err)
		}
		rows += batch.Len()
	}
	read() // buffers grow
	const runs = 10
	rows = 0
	allocs := testing.AllocsPerRun(runs, read)
	perRow := allocs * (runs + 1) / float64(rows)
	t.Logf("%.1f allocations a batch of %d rows", allocs, rows/(runs+1))
	if perRow > 0.01 {
		t.Errorf("%.3f allocations a row, want only those of the batch", perRow)
	}
}
