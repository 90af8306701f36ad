package mapping_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/mapping"
)

// wide is a 13-column event table whose records have about 500 bytes.
func wide(tb testing.TB) (mapping.Spec, *warehouse.Batch) {
	schema := schemaOf(
		field("id", warehouse.Int), field("event_name", warehouse.Text), field("occurred_at", warehouse.TimestampTZ),
		field("account_id", warehouse.Text), field("user_id", warehouse.Text), field("anonymous_id", warehouse.Text),
		field("feature", warehouse.Text), field("plan_tier", warehouse.Text), field("duration_ms", warehouse.Int),
		field("amount", warehouse.Decimal), field("url", warehouse.Text), field("success", warehouse.Bool),
		field("loaded_at", warehouse.TimestampTZ),
	)
	spec := mapping.Spec{
		Sync: "usage", Type: mapping.Event, Model: mapping.Hierarchical, PrimaryKey: []string{"id"},
		Mapping: mapping.Mapping{
			Event: column("event_name"), Time: column("occurred_at"), CompanyID: column("account_id"),
			UserID: column("user_id"), DeviceID: column("anonymous_id"),
		},
	}
	var rows [][]any
	for i := range 1000 {
		var device any
		if i%10 == 0 {
			device = fmt.Sprintf("9b2f6c1e-%04d-4a7e-b1de-6d1f0c9a7e55", i)
		}
		rows = append(rows, []any{
			1_000_000 + i, "Feature Used", "2026-01-31T12:00:00", fmt.Sprintf("company_%05d", i%500), fmt.Sprintf("user_%07d", i), device,
			"dashboard export", "enterprise", i * 37 % 9000, fmt.Sprintf("%d.%02d", i, i%100),
			"https://app.example.com/workspaces/" + fmt.Sprint(i) + "/dashboards/quarterly-revenue?tab=overview&range=90d", i%3 == 0,
			"2026-01-31T12:00:05",
		})
	}
	return spec, batchOf(tb, schema, rows...)
}

func people(tb testing.TB) (mapping.Spec, *warehouse.Batch) {
	schema := schemaOf(
		field("account_id", warehouse.Int), field("user_id", warehouse.Text), field("full_name", warehouse.Text),
		field("email", warehouse.Text), field("role", warehouse.Text), field("seats", warehouse.Int),
		field("created_at", warehouse.Timestamp), field("active", warehouse.Bool), field("score", warehouse.Float),
	)
	spec := mapping.Spec{
		Sync: "users", Type: mapping.Group, Model: mapping.Hierarchical, Token: "T", GroupKey: "$user_id",
		PrimaryKey: []string{"account_id", "user_id"},
		Mapping:    mapping.Mapping{CompanyID: column("account_id"), GroupID: column("user_id")},
		Properties: mapping.Properties{Rename: map[string]string{"full_name": "$name", "email": "$email"}},
		Nulls:      mapping.NullsSkip,
	}
	var err error
	if spec.Location, err = time.LoadLocation("Europe/Berlin"); err != nil {
		tb.Fatal(err)
	}
	var rows [][]any
	for i := range 1000 {
		rows = append(rows, []any{10 + i%300, fmt.Sprintf("user_%d", i), "Zoë Smith", "zoe@example.com", "admin", i, "2026-01-30T08:15:00", true, float64(i) / 7})
	}
	return spec, batchOf(tb, schema, rows...)
}

func BenchmarkAppendEvent(b *testing.B) {
	spec, batch := wide(b)
	benchmarkAppend(b, spec, batch)
}

func BenchmarkAppendGroup(b *testing.B) {
	spec, batch := people(b)
	benchmarkAppend(b, spec, batch)
}

func benchmarkAppend(b *testing.B, spec mapping.Spec, batch *warehouse.Batch) {
	p := compile(b, spec, batch.Schema)
	var out mapping.Row
	var dst []byte
	var total, n int64
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		var rej *mapping.Reject
		if dst, rej = p.Append(dst[:0], batch, i%batch.Len(), &out); rej != nil {
			b.Fatal(rej)
		}
		total += int64(len(dst))
		n++
	}
	b.SetBytes(total / n)
}
