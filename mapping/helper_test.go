package mapping_test

import (
	"testing"
	"time"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/mapping"
)

// field makes a column of a test schema.
func field(name string, kind warehouse.Kind) warehouse.Field {
	return warehouse.Field{Name: name, Kind: kind, Type: kind.String()}
}

func schemaOf(fields ...warehouse.Field) *warehouse.Schema { return &warehouse.Schema{Fields: fields} }

// batchOf fills a batch row by row. Values are nil, bool, int, float64, string
// (of text columns, and of times in RFC 3339 without zone) or time.Duration.
func batchOf(t testing.TB, s *warehouse.Schema, rows ...[]any) *warehouse.Batch {
	t.Helper()
	b := warehouse.NewBatch(s)
	for _, row := range rows {
		if len(row) != len(s.Fields) {
			t.Fatalf("row has %d values for %d columns", len(row), len(s.Fields))
		}
		for i, v := range row {
			appendTo(t, &b.Cols[i], v)
		}
		b.EndRow()
	}
	return b
}

func appendTo(t testing.TB, c *warehouse.Column, v any) {
	t.Helper()
	switch v := v.(type) {
	case nil:
		c.AppendNull()
	case bool:
		n := int64(0)
		if v {
			n = 1
		}
		c.AppendInt(n)
	case int:
		c.AppendInt(int64(v))
	case int64:
		c.AppendInt(v)
	case float64:
		c.AppendFloat(v)
	case time.Duration:
		c.AppendInt(v.Microseconds())
	case []byte:
		c.AppendText(v)
	case string:
		switch c.Kind {
		case warehouse.Timestamp, warehouse.TimestampTZ:
			c.AppendInt(instant(t, v).UnixMicro())
		case warehouse.Date:
			c.AppendInt(instant(t, v+"T00:00:00").Unix() / 86400)
		default:
			c.AppendText([]byte(v))
		}
	default:
		t.Fatalf("no column takes a %T", v)
	}
}

func instant(t testing.TB, s string) time.Time {
	t.Helper()
	at, err := time.Parse("2006-01-02T15:04:05", s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func column(name string) *mapping.Source { return &mapping.Source{Column: name} }

func constant(v string) *mapping.Source { return &mapping.Source{Constant: v, IsConst: true} }

func compile(t testing.TB, s mapping.Spec, schema *warehouse.Schema) *mapping.Plan {
	t.Helper()
	p, err := mapping.Compile(s, schema)
	if err != nil {
		t.Fatalf("Compile: %v", err)
	}
	return p
}

// usage is an event table with a column of every kind.
func usage() (mapping.Spec, *warehouse.Schema) {
	schema := schemaOf(
		field("id", warehouse.Int), field("event_name", warehouse.Text), field("occurred_at", warehouse.TimestampTZ),
		field("account_id", warehouse.Text), field("user_id", warehouse.Text), field("anonymous_id", warehouse.Text),
		field("plan_tier", warehouse.Text), field("seats", warehouse.Int), field("price", warehouse.Decimal),
		field("score", warehouse.Float), field("active", warehouse.Bool), field("attrs", warehouse.JSON),
		field("signed_up", warehouse.Date), field("at", warehouse.Time), field("seen_at", warehouse.Timestamp),
		field("blob", warehouse.Bytes), field("team_id", warehouse.Text),
	)
	return mapping.Spec{
		Sync: "usage", Type: mapping.Event, Model: mapping.Hierarchical, PrimaryKey: []string{"id"},
		Mapping: mapping.Mapping{
			Event: column("event_name"), Time: column("occurred_at"), CompanyID: column("account_id"),
			UserID: column("user_id"), DeviceID: column("anonymous_id"),
		},
		Location: time.UTC,
	}, schema
}

func usageRow() []any {
	return []any{
		1, "Feature Used", "2026-01-31T12:00:00", "acme", "alice", nil,
		"pro \"gold\"", 12, "19.90", 0.5, true, `{"a": [1, 2], "b": null}`,
		"2025-06-01", 12*time.Hour + 34*time.Minute + 56*time.Second + 789*time.Millisecond, "2026-01-30T08:15:00",
		[]byte{0, 1, 254, 255}, "core",
	}
}
