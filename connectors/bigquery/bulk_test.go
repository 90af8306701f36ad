//go:build cgo

package bigquery_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mixsync/mixsync/connectors/bigquery"
	"github.com/mixsync/mixsync/connectors/bigquery/bigquerytest"
	"github.com/mixsync/mixsync/connectors/warehouse"
)

// events is a table of the kind that is synced, of as many rows.
func events(rows int) string {
	return `CREATE SCHEMA app; CREATE TABLE app.events AS
SELECT n AS id, TIMESTAMPTZ '2026-01-01 00:00:00+00' + n * INTERVAL '1 second' AS loaded_at, TIMESTAMP '2026-01-01' + n * INTERVAL '1 second' AS occurred_at,
  'Feature ' || n % 50 AS event_name, 'account-' || n % 1000 AS account_id, 'user-' || n % 100000 AS user_id, 'device-' || n AS device_id,
  CAST(n AS DECIMAL(38,9)) / 7 AS amount, n / 3.0::DOUBLE AS score, n % 2 = 0 AS paid, CASE WHEN n % 5 > 0 THEN 'https://example.com/page/' || n END AS url,
  DATE '2026-01-01' + CAST(n % 365 AS INTEGER) AS day, n % 7 AS seats
FROM range(` + strconv.Itoa(rows) + `) AS r(n)`
}

// TestBulk reads large chunks, and small pages, from another process. A session
// takes no memory a row; neither takes more in all than is promised.
func TestBulk(t *testing.T) {
	p := bigquerytest.StartProcess(t, bigquerytest.Options{ChunkRows: 100_000})
	p.Exec(t, events(400_000))
	for name, test := range map[string]struct {
		endpoint string
		rows     int
		allocs   float64 // a row
	}{
		"session": {p.GRPCEndpoint, 400_000, 0.05},
		"pages":   {"", 50_000, 100},
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t, nil, bigquery.Options{Endpoint: p.Endpoint, GRPCEndpoint: test.endpoint})
			result, err := d.Query(t.Context(), fmt.Sprintf("SELECT * FROM `app.events` LIMIT %d", test.rows))
			if err != nil {
				t.Fatal(err)
			}
			defer result.Close()
			b := warehouse.NewBatch(result.Schema())
			defer b.Reset()

			runtime.GC()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			count, most := 0, uint64(0)
			for {
				b.Reset()
				err := result.Fill(t.Context(), b)
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				count += b.Len()
				runtime.ReadMemStats(&after)
				most = max(most, after.HeapAlloc)
			}
			runtime.ReadMemStats(&after)
			if count != test.rows {
				t.Errorf("read %d rows, want %d", count, test.rows)
			}
			perRow := float64(after.Mallocs-before.Mallocs) / float64(count)
			t.Logf("%d rows, %.4f allocations a row, at most %d MB of heap", count, perRow, most>>20)
			if perRow > test.allocs {
				t.Errorf("%.3f allocations a row, want at most %g", perRow, test.allocs)
			}
			if limit := uint64(100 << 20); most > limit {
				t.Errorf("%d MB were in use, want %d at most", most>>20, limit>>20)
			}
		})
	}
}

// BenchmarkRead tells rows a second and the processor time of the reader.
func BenchmarkRead(b *testing.B) {
	const rows = 1_000_000
	p := bigquerytest.StartProcess(b, bigquerytest.Options{ChunkRows: 100_000})
	p.Exec(b, events(rows))
	for _, way := range []string{"session", "pages"} {
		b.Run(way, func(b *testing.B) {
			o := bigquery.Options{Endpoint: p.Endpoint, GRPCEndpoint: p.GRPCEndpoint}
			if way == "pages" {
				o.GRPCEndpoint = ""
			}
			d := open(b, nil, o)
			begun, cpu := time.Now(), cpuTime(b)
			for b.Loop() {
				result, err := d.Query(b.Context(), "SELECT * FROM `app.events`")
				if err != nil {
					b.Fatal(err)
				}
				batch := warehouse.NewBatch(result.Schema())
				for err == nil {
					batch.Reset()
					err = result.Fill(b.Context(), batch)
				}
				batch.Reset()
				if !errors.Is(err, io.EOF) {
					b.Fatal(err)
				}
				if err := result.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(rows*b.N)/time.Since(begun).Seconds(), "rows/s")
			b.ReportMetric((cpuTime(b)-cpu).Seconds()/float64(b.N), "cpu-s/Mrow")
		})
	}
}

// cpuTime is the processor time of this process, by Linux's account.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	ticks := 0
	for _, field := range fields[11:13] { // utime, stime: in hundredths of a second
		n, err := strconv.Atoi(field)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
