//go:build cgo

package snowflake_test

import (
	"fmt"
	"io"
	"runtime"
	"testing"

	"github.com/mixsync/mixsync/connectors/snowflake"
	"github.com/mixsync/mixsync/connectors/snowflake/snowflaketest"
	"github.com/mixsync/mixsync/connectors/warehouse"
)

// readSeries reads the series from 1 to count and checks that each number came once.
func readSeries(t *testing.T, d warehouse.Driver, count int64) error {
	t.Helper()
	rows, err := d.Query(t.Context(), fmt.Sprintf("SELECT CAST(n AS NUMBER(18,0)) AS n, repeat('x', 20) AS s FROM range(1, %d) AS s(n)", count+1))
	if err != nil {
		return err
	}
	defer rows.Close()
	b := warehouse.NewBatch(rows.Schema())
	defer b.Reset()
	seen, n := int64(0), int64(0)
	for {
		if err := rows.Fill(t.Context(), b); err == io.EOF {
			break
		} else if err != nil {
			return err
		}
		for i := range b.Len() {
			seen += b.Cols[0].Int[i]
		}
		n += int64(b.Len())
		b.Reset()
	}
	if n != count || seen != count*(count+1)/2 {
		t.Errorf("read %d rows with the sum %d, want %d with %d", n, seen, count, count*(count+1)/2)
	}
	return nil
}

func TestChunksThatFail(t *testing.T) {
	t.Parallel()
	for _, json := range []bool{false, true} {
		t.Run(fmt.Sprintf("json %t", json), func(t *testing.T) {
			t.Parallel()
			server := snowflaketest.Start(t, snowflaketest.Options{JSON: json, InlineRows: 10, ChunkRows: 5000})
			d := open(t, server, nil)
			server.BreakChunks(2)
			if err := readSeries(t, d, 20_000); err != nil {
				t.Errorf("two downloads that broke off: %v", err)
			}
			server.UnavailableChunks(2)
			if err := readSeries(t, d, 20_000); err != nil {
				t.Errorf("two downloads that were refused: %v", err)
			}
			server.BreakChunks(-1)
			wantError(t, readSeries(t, d, 20_000), warehouse.ClassQuery, "broke off 3 times", "run again")
			server.BreakChunks(0)
			server.RefuseChunks(-1, 403)
			wantError(t, readSeries(t, d, 20_000), warehouse.ClassQuery, "was refused", "cursor.slice")
		})
	}
}

func TestChunksThatAreNeverThere(t *testing.T) {
	t.Parallel()
	server := snowflaketest.Start(t, snowflaketest.Options{InlineRows: 10, ChunkRows: 5000})
	d := open(t, server, func(o *snowflake.Options) { snowflake.SetRetries(o, 1) })
	server.UnavailableChunks(-1)
	wantError(t, readSeries(t, d, 20_000), warehouse.ClassQuery, "cannot be downloaded", "ALLOWLIST")
}

// Of a result of any size little more than two chunks are held.
func TestMemory(t *testing.T) {
	server := snowflaketest.StartProcess(t, snowflaketest.Options{ChunkRows: 100_000})
	o := snowflake.Options{Account: server.Account, User: server.User, Password: server.Password, Protocol: "http", Host: "127.0.0.1", Port: server.Port}
	d, err := snowflake.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	rows, err := d.Query(t.Context(), "SELECT CAST(n AS BIGINT) AS n, repeat('x', 200) AS s FROM range(2000000) AS s(n)")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	const chunk = 100_000 * 208 // bytes
	b := warehouse.NewBatch(rows.Schema())
	defer b.Reset()
	most, batches := uint64(0), 0
	for {
		if err := rows.Fill(t.Context(), b); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if batches++; batches%16 == 0 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
		b.Reset()
	}
	if limit := uint64(2*chunk + 48<<20); most > limit || batches < 200 {
		t.Errorf("%d MiB were held in %d batches, want no more than %d MiB", most>>20, batches, limit>>20)
	}
}

// A row costs no allocation.
func TestAllocs(t *testing.T) {
	const count = 200_000
	server := snowflaketest.StartProcess(t, snowflaketest.Options{ChunkRows: 100_000})
	o := snowflake.Options{Account: server.Account, User: server.User, Password: server.Password, Protocol: "http", Host: "127.0.0.1", Port: server.Port}
	d, err := snowflake.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	sql := fmt.Sprintf("SELECT n, CAST(n AS NUMBER(38,0)) AS id, CAST(n * 1.5 AS NUMBER(18,2)) AS amount, 'event ' || n AS s, to_timestamp(n) AS at, n %% 2 = 0 AS b FROM range(%d) AS s(n)", count)
	allocs := testing.AllocsPerRun(1, func() {
		rows, err := d.Query(t.Context(), sql)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		b := warehouse.NewBatch(rows.Schema())
		defer b.Reset()
		for {
			if err := rows.Fill(t.Context(), b); err == io.EOF {
				return
			} else if err != nil {
				t.Fatal(err)
			}
			b.Reset()
		}
	})
	if perRow := allocs / count; perRow > 0.05 {
		t.Errorf("%.0f allocations, %.3f a row, want those of batches only", allocs, perRow)
	}
}
