package mapping_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/mapping"
)

// Columns of usage, by what they are mapped to.
const (
	colID = iota
	colEvent
	colTime
	colCompany
	colUser
	colDevice
)

// TestEventFates goes through the rows that cannot be sent, and those that look
// like it but can.
func TestEventFates(t *testing.T) {
	t.Parallel()
	type cells map[int]any
	send := func(s *mapping.Spec) { s.MissingCompany, s.MissingUser = mapping.SendRow, mapping.SendRow }
	standard := func(s *mapping.Spec) { s.Model, s.Mapping.CompanyID = mapping.Standard, nil }
	tests := []struct {
		name  string
		spec  func(*mapping.Spec)
		cells cells
		code  string // empty: sent
		field string
		want  string // derived id
	}{
		{name: "whole", want: "$company:acme|$user:alice"},
		{name: "with device", cells: cells{colDevice: "d"}, want: "$company:acme|$user:alice"},
		{name: "no company", cells: cells{colCompany: nil}, code: mapping.CodeMissingCompany, field: "company_id"},
		{name: "no user", cells: cells{colUser: nil}, code: mapping.CodeMissingUser, field: "user_id"},
		{name: "no company but device and user", cells: cells{colCompany: nil, colDevice: "d"}, code: mapping.CodeMissingCompany, field: "company_id"},
		{name: "device only", cells: cells{colCompany: nil, colUser: nil, colDevice: "d"}, want: "$device:d"},
		{name: "company and device", cells: cells{colUser: nil, colDevice: "d"}, want: "$company:acme|$device:d"},
		{name: "nobody", cells: cells{colCompany: nil, colUser: nil}, code: mapping.CodeMissingCompany, field: "company_id"},
		{name: "no company, sent", spec: send, cells: cells{colCompany: nil}, want: "$user:alice"},
		{name: "no user, sent", spec: send, cells: cells{colUser: nil}, want: "$company:acme"},
		{name: "nobody, sent", spec: send, cells: cells{colCompany: nil, colUser: nil}, code: mapping.CodeMissingID, field: "company_id"},
		{name: "blank company", cells: cells{colCompany: ""}, code: mapping.CodeBlankID, field: "company_id"},
		{name: "blank company, sent", spec: send, cells: cells{colCompany: " "}, code: mapping.CodeBlankID, field: "company_id"},
		{name: "blank user", cells: cells{colUser: " \t"}, code: mapping.CodeBlankID, field: "user_id"},
		{name: "blank device", cells: cells{colDevice: ""}, code: mapping.CodeBlankID, field: "device_id"},
		{name: "junk company", cells: cells{colCompany: "N/A"}, code: mapping.CodeJunkID, field: "company_id"},
		{name: "junk user", cells: cells{colUser: "0"}, code: mapping.CodeJunkID, field: "user_id"},
		{name: "junk device", cells: cells{colDevice: "Anonymous"}, code: mapping.CodeJunkID, field: "device_id"},
		{name: "prefixed company", cells: cells{colCompany: "$company:acme"}, code: mapping.CodePrefixedID, field: "company_id"},
		{name: "prefixed user", cells: cells{colUser: "$user:alice"}, code: mapping.CodePrefixedID, field: "user_id"},
		{name: "prefixed device", cells: cells{colDevice: "$device:d"}, code: mapping.CodePrefixedID, field: "device_id"},
		{name: "spaces are kept", cells: cells{colUser: " Alice "}, want: "$company:acme|$user: Alice "},
		{name: "bad UTF-8 in an id", cells: cells{colUser: "a\xff"}, code: mapping.CodeUnencodable, field: "user_id"},
		{name: "id that would be cut", cells: cells{colUser: strings.Repeat("x", 256)}, code: mapping.CodeUnencodable, field: "user_id"},
		{name: "NULL key", cells: cells{colID: nil}, code: mapping.CodeMissingID, field: "id"},
		{name: "NULL key and no user", cells: cells{colID: nil, colUser: nil}, code: mapping.CodeMissingID, field: "id"},
		{name: "NULL company in the key", spec: func(s *mapping.Spec) { s.PrimaryKey = []string{"account_id", "id"} },
			cells: cells{colCompany: nil}, code: mapping.CodeMissingCompany, field: "company_id"},
		{name: "NULL company in the key, sent", spec: func(s *mapping.Spec) { send(s); s.PrimaryKey = []string{"account_id", "id"} },
			cells: cells{colCompany: nil}, code: mapping.CodeMissingID, field: "account_id"},
		{name: "NULL insert id", spec: func(s *mapping.Spec) { s.PrimaryKey = nil; s.Mapping.InsertID = column("plan_tier") },
			cells: cells{6: nil}, code: mapping.CodeBadInsertID, field: "insert_id"},
		{name: "empty insert id", spec: func(s *mapping.Spec) { s.Mapping.InsertID = column("plan_tier") },
			cells: cells{6: ""}, code: mapping.CodeBadInsertID, field: "insert_id"},
		{name: "NULL event", cells: cells{colEvent: nil}, code: mapping.CodeBadEventName, field: "event"},
		{name: "blank event", cells: cells{colEvent: "  "}, code: mapping.CodeBadEventName, field: "event"},
		{name: "verb", cells: cells{colEvent: "$merge"}, code: mapping.CodeBadEventName, field: "event"},
		{name: "NULL time", cells: cells{colTime: nil}, code: mapping.CodeBadTime, field: "time"},
		{name: "infinite time", cells: cells{colTime: warehouse.PosInfinity}, code: mapping.CodeBadTime, field: "time"},
		{name: "before 1971", cells: cells{colTime: "1970-12-31T23:59:59"}, code: mapping.CodeTimeOutOfRange, field: "time"},
		{name: "1971", cells: cells{colTime: "1971-01-01T00:00:00"}, want: "$company:acme|$user:alice"},
		{name: "an hour ahead", cells: cells{colTime: "2026-02-01T01:00:00"}, want: "$company:acme|$user:alice"},
		{name: "over an hour ahead", cells: cells{colTime: "2026-02-01T01:00:01"}, code: mapping.CodeTimeOutOfRange, field: "time"},
		{name: "far ahead, held", spec: func(s *mapping.Spec) { s.Future = mapping.HoldRow },
			cells: cells{colTime: "2027-01-01T00:00:00"}, want: "$company:acme|$user:alice"},
		{name: "standard", spec: standard, want: "alice"},
		{name: "standard, device", spec: standard, cells: cells{colUser: nil, colDevice: "d"}, want: "$device:d"},
		{name: "standard, nobody", spec: standard, cells: cells{colUser: nil}, want: ""},
		{name: "standard, junk", spec: standard, cells: cells{colUser: "null"}, code: mapping.CodeJunkID, field: "user_id"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			spec, schema := usage()
			if tt.spec != nil {
				tt.spec(&spec)
			}
			row := usageRow()
			for col, v := range tt.cells {
				row[col] = v
			}
			b := batchOf(t, schema, row)
			p := compile(t, spec, schema)
			p.SetNow(instant(t, "2026-02-01T00:00:00"))
			var out mapping.Row
			dst, rej := p.Append([]byte("before"), b, 0, &out)
			if rej == nil {
				rej = &mapping.Reject{}
			}
			if rej.Code != tt.code || rej.Field != tt.field {
				t.Fatalf("reject = %q of %q (%s), want %q of %q", rej.Code, rej.Field, rej.Message, tt.code, tt.field)
			}
			if tt.code != "" {
				if string(dst) != "before" {
					t.Errorf("a rejected row left %q", dst)
				}
				return
			}
			if got := string(p.DerivedID(b, 0, nil)); got != tt.want {
				t.Errorf("derived id = %q, want %q", got, tt.want)
			}
			if !strings.Contains(string(dst), fmt.Sprintf(`"distinct_id":%q`, tt.want)) {
				t.Errorf("record has another distinct id: %s", dst)
			}
			linked := row[colDevice] != nil && row[colUser] != nil
			if (out.Lane != 0) != linked {
				t.Errorf("lane = %d, links a device: %v", out.Lane, linked)
			}
			if held := strings.HasSuffix(tt.name, "held"); out.Hold != held {
				t.Errorf("hold = %v", out.Hold)
			}
		})
	}
}

func TestProfileFates(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name        string
		company, id any
		code, field string
	}{
		{"whole", 7, "alice", "", ""},
		{"no company", nil, "alice", mapping.CodeMissingCompany, "company_id"},
		{"no id", 7, nil, mapping.CodeMissingID, "group_id"},
		{"junk company", 0, "alice", mapping.CodeJunkID, "company_id"},
		{"blank id", 7, "", mapping.CodeBlankID, "group_id"},
		{"prefixed id", 7, "$company:7|$user:alice", mapping.CodePrefixedID, "group_id"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			spec, schema, _ := group("$user_id")
			spec.MissingCompany = mapping.SendRow // there is no profile without its company
			b := batchOf(t, schema, []any{tt.company, tt.id, nil, nil, nil})
			p := compile(t, spec, schema)
			var out mapping.Row
			_, rej := p.Append(nil, b, 0, &out)
			if rej == nil {
				rej = &mapping.Reject{}
				if out.Lane == 0 {
					t.Error("a profile has no lane")
				}
			}
			if rej.Code != tt.code || rej.Field != tt.field {
				t.Errorf("reject = %q of %q, want %q of %q", rej.Code, rej.Field, tt.code, tt.field)
			}
			if (p.Ident(b, 0) == "") != (tt.code != "") {
				t.Errorf("ident = %q", p.Ident(b, 0))
			}
		})
	}
}

func TestDecimalIDs(t *testing.T) {
	t.Parallel()
	spec, schema, _ := group("$user_id")
	schema.Fields[1].Kind = warehouse.Decimal
	p := compile(t, spec, schema)
	for in, want := range map[string]string{"42": "$company:7|$user:42", "42.00": "$company:7|$user:42", "12345678901234567890": "$company:7|$user:12345678901234567890", "4.5": "", "NaN": ""} {
		b := batchOf(t, schema, []any{7, in, nil, nil, nil})
		if got := string(p.DerivedID(b, 0, nil)); got != want {
			t.Errorf("derived id of %s = %q, want %q", in, got, want)
		}
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	list := func(n int) string { return "[" + strings.TrimSuffix(strings.Repeat("1,", n), ",") + "]" }
	object := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"k%d":1`, i)
		}
		return "{" + b.String()[1:] + "}"
	}
	tests := []struct {
		name, attrs string
		flatten     bool
		code        string
	}{
		{"list", list(254), false, ""},
		{"long list", list(255), false, mapping.CodeTooManyProperties},
		{"object", object(254), false, ""},
		{"great object", object(255), false, mapping.CodeTooManyProperties},
		{"deep list", `{"a":[{"b":` + list(255) + "}]}", false, mapping.CodeTooManyProperties},
		{"flat", object(200), true, ""},
		{"too flat", object(250), true, mapping.CodeTooManyProperties},
		{"great flat object", object(255), true, mapping.CodeTooManyProperties},
		{"too large", `{"` + strings.Repeat("k", 1_000_000) + `":1}`, false, mapping.CodeTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			spec, schema := usage()
			if tt.flatten {
				spec.Properties.Flatten = []string{"attrs"}
			}
			row := usageRow()
			row[11] = tt.attrs
			b := batchOf(t, schema, row)
			var out mapping.Row
			_, rej := compile(t, spec, schema).Append(nil, b, 0, &out)
			if rej == nil {
				rej = &mapping.Reject{}
			}
			if rej.Code != tt.code {
				t.Errorf("reject = %q (%s), want %q", rej.Code, rej.Message, tt.code)
			}
		})
	}
}

// TestPropertyLimit counts what a table's own columns may come to: with time,
// distinct_id, $insert_id, $company_id, $user_id and ip, 248 more.
func TestPropertyLimit(t *testing.T) {
	t.Parallel()
	for n, code := range map[int]string{248: "", 249: mapping.CodeTooManyProperties} {
		spec, schema := usage()
		spec.Properties.Include = []string{"p*_"}
		row := usageRow()
		for i := range n {
			schema.Fields = append(schema.Fields, field(fmt.Sprintf("p%d_", i), warehouse.Int))
			row = append(row, i)
		}
		b := batchOf(t, schema, row)
		var out mapping.Row
		_, rej := compile(t, spec, schema).Append(nil, b, 0, &out)
		if rej == nil {
			rej = &mapping.Reject{}
		}
		if rej.Code != code {
			t.Errorf("%d properties: %q, want %q", n, rej.Code, code)
		}
	}
}

func TestTimeColumns(t *testing.T) {
	t.Parallel()
	berlin := location(t, "Europe/Berlin")
	tests := []struct {
		name string
		kind warehouse.Kind
		unit string
		loc  *time.Location
		v    any
		want string // ms, or the code of the reject
	}{
		{"with zone", warehouse.TimestampTZ, "", berlin, "2026-07-01T12:00:00", "1782907200000"},
		{"rounded down", warehouse.TimestampTZ, "", nil, 1782907200_000_999, "1782907200000"},
		{"no zone, UTC", warehouse.Timestamp, "", nil, "2026-07-01T12:00:00", "1782907200000"},
		{"no zone, summer", warehouse.Timestamp, "", berlin, "2026-07-01T12:00:00", "1782900000000"},
		{"no zone, winter", warehouse.Timestamp, "", berlin, "2026-01-01T12:00:00", "1767265200000"},
		{"gap", warehouse.Timestamp, "", berlin, "2026-03-29T02:30:00", "1774747800000"},
		{"overlap", warehouse.Timestamp, "", berlin, "2026-10-25T02:30:00", "1792891800000"},
		{"date", warehouse.Date, "", nil, "2026-07-01", "1782864000000"},
		{"date in a zone", warehouse.Date, "", berlin, "2026-07-01", "1782856800000"},
		{"infinite date", warehouse.Date, "", nil, warehouse.NegInfinity, mapping.CodeBadTime},
		{"absurd date", warehouse.Date, "", nil, int64(1) << 60, mapping.CodeTimeOutOfRange},
		{"seconds", warehouse.Int, "s", nil, 1782907200, "1782907200000"},
		{"milliseconds", warehouse.Int, "ms", nil, 1782907200_001, "1782907200001"},
		{"microseconds", warehouse.Int, "us", nil, 1782907200_001_999, "1782907200001"},
		{"absurd seconds", warehouse.Int, "s", nil, int64(1) << 62, mapping.CodeTimeOutOfRange},
		{"decimal seconds", warehouse.Decimal, "s", nil, "1782907200", "1782907200000"},
		{"decimal with a fraction", warehouse.Decimal, "s", nil, "1782907200.5", mapping.CodeBadTime},
		{"absurd decimal", warehouse.Decimal, "s", nil, "99999999999999999999", mapping.CodeTimeOutOfRange},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			spec, schema := usage()
			spec.Location = tt.loc
			spec.Mapping.Time.Unit = tt.unit
			schema.Fields[colTime].Kind = tt.kind
			row := usageRow()
			row[colTime] = tt.v
			b := batchOf(t, schema, row)
			var out mapping.Row
			dst, rej := compile(t, spec, schema).Append(nil, b, 0, &out)
			if rej != nil {
				if rej.Code != tt.want {
					t.Errorf("rejected: %+v, want %s", *rej, tt.want)
				}
				return
			}
			if !strings.Contains(string(dst), `"time":`+tt.want+",") {
				t.Errorf("time is not %s: %s", tt.want, dst)
			}
		})
	}
}
