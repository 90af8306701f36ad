package postgres_test

import (
	"io"
	"testing"

	"github.com/mixsync/mixsync/connectors/postgres"
	"github.com/mixsync/mixsync/connectors/postgres/postgrestest"
	"github.com/mixsync/mixsync/connectors/warehouse"
)

// BenchmarkFill reads a table of 13 columns whose rows make records of about
// 500 bytes. One operation is one row.
func BenchmarkFill(b *testing.B) {
	dsn := postgrestest.Start(b)
	exec(b, dsn, `CREATE TABLE events AS SELECT n::bigint AS id, (n % 1000)::int AS account_id, md5(n::text) AS user_id, md5((n/3)::text) AS anonymous_id,
  'Feature Used'::text AS event_name, timestamptz '2026-01-01' + n * interval '1 ms' AS occurred_at, timestamptz '2026-01-01' + n * interval '1 ms' AS loaded_at,
  (n / 7.0)::numeric(12,2) AS amount, n % 2 = 0 AS paid, (n / 3.0)::float8 AS score, gen_random_uuid() AS session_id,
  jsonb_build_object('plan', 'pro', 'seats', n % 50) AS attrs, repeat('lorem ipsum ', 8) AS note
FROM generate_series(1, 300000) n`)
	d, err := postgres.Open(b.Context(), postgres.Options{DSN: dsn})
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; {
		rows, err := d.Query(b.Context(), "SELECT * FROM events")
		if err != nil {
			b.Fatal(err)
		}
		batch := warehouse.NewBatch(rows.Schema())
		for n < b.N {
			err := rows.Fill(b.Context(), batch)
			if err == io.EOF {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
			n += batch.Len()
			batch.Reset()
		}
		if err := rows.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
