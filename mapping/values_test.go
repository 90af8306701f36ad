package mapping_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/mapping"
)

// propertyOf sends one value of a kind as the property v and returns its JSON,
// empty if it was left out, and what was counted.
func propertyOf(t *testing.T, kind warehouse.Kind, typ string, v any) (string, mapping.Stats) {
	t.Helper()
	spec, _, _ := group("team_id")
	spec.Properties = mapping.Properties{}
	spec.Location = location(t, "America/New_York")
	if typ != "" {
		spec.Properties.Types = map[string]string{"v": typ}
	}
	f := field("v", kind)
	if typ == "float32" {
		f.Float32, spec.Properties.Types = true, nil
	}
	schema := schemaOf(field("account_id", warehouse.Int), field("id", warehouse.Text), f)
	b := batchOf(t, schema, []any{7, "x", v})
	p := compile(t, spec, schema)
	var out mapping.Row
	dst, rej := p.Append(nil, b, 0, &out)
	if rej != nil {
		t.Fatalf("rejected: %+v", *rej)
	}
	var record struct {
		Set map[string]json.RawMessage `json:"$set"`
	}
	if err := json.Unmarshal(dst, &record); err != nil {
		t.Fatalf("%s: %v", dst, err)
	}
	return string(record.Set["v"]), p.Stats()
}

func TestValues(t *testing.T) {
	t.Parallel()
	type stats = mapping.Stats
	long := strings.Repeat("x", 256)
	tests := []struct {
		name string
		kind warehouse.Kind
		typ  string
		in   any
		want string
		stats
	}{
		{"bool", warehouse.Bool, "", true, "true", stats{}},
		{"int", warehouse.Int, "", 42, "42", stats{}},
		{"great int", warehouse.Int, "", 1<<53 + 1, `"9007199254740993"`, stats{}},
		{"float", warehouse.Float, "", 0.1, "0.1", stats{}},
		{"float32", warehouse.Float, "float32", float64(float32(0.1)), "0.1", stats{}},
		{"NaN", warehouse.Float, "", math.NaN(), "", stats{NonFinite: 1}},
		{"infinity", warehouse.Float, "", math.Inf(1), "", stats{NonFinite: 1}},
		{"decimal", warehouse.Decimal, "", "19.90", "19.9", stats{}},
		{"decimal NaN", warehouse.Decimal, "", "NaN", "", stats{NonFinite: 1}},
		{"long decimal", warehouse.Decimal, "", "0.1234567890123456789", `"0.1234567890123456789"`, stats{}},
		{"text", warehouse.Text, "", "a\nb", `"a\nb"`, stats{}},
		{"empty text", warehouse.Text, "", "", `""`, stats{}},
		{"long text", warehouse.Text, "", long, `"` + long[:255] + `"`, stats{Truncated: 1}},
		{"bad text", warehouse.Text, "", "a\xff", `"a�"`, stats{Replaced: 1}},
		{"bytes", warehouse.Bytes, "", []byte{255}, `"/w=="`, stats{}},
		{"json", warehouse.JSON, "", `{ "a" : 1 }`, `{"a":1}`, stats{}},
		{"json string", warehouse.JSON, "", `"` + long + `"`, `"` + long[:255] + `"`, stats{Truncated: 1}},
		{"json null", warehouse.JSON, "", " null ", "", stats{}},
		{"json with a great int", warehouse.JSON, "", "[9007199254740993]", `["9007199254740993"]`, stats{}},
		{"bad json", warehouse.JSON, "", "{a:1}", `"{a:1}"`, stats{}},
		{"date", warehouse.Date, "", "2026-01-31", `"2026-01-31"`, stats{}},
		{"infinite date", warehouse.Date, "", warehouse.PosInfinity, "", stats{NonFinite: 1}},
		{"time", warehouse.Time, "", 12*time.Hour + 34*time.Minute + 56789*time.Millisecond, `"12:34:56.789"`, stats{}},
		{"timestamp", warehouse.Timestamp, "", "2026-01-31T12:00:00", `"2026-01-31T17:00:00"`, stats{}},
		{"timestamptz", warehouse.TimestampTZ, "", int64(1769860800_120_000), `"2026-01-31T12:00:00.12"`, stats{}},
		{"infinite timestamp", warehouse.TimestampTZ, "", warehouse.NegInfinity, "", stats{NonFinite: 1}},

		{"bool as string", warehouse.Bool, "string", false, `"false"`, stats{}},
		{"int as string", warehouse.Int, "string", 1234, `"1234"`, stats{}},
		{"float as string", warehouse.Float, "string", 0.5, `"0.5"`, stats{}},
		{"NaN as string", warehouse.Float, "string", math.NaN(), "", stats{NonFinite: 1}},
		{"decimal as string", warehouse.Decimal, "string", "1.50", `"1.50"`, stats{}},
		{"json as string", warehouse.JSON, "string", `{"a": "b"}`, `"{\"a\":\"b\"}"`, stats{}},
		{"json string as string", warehouse.JSON, "string", `"a\u00eb"`, `"aë"`, stats{}},
		{"bad json as string", warehouse.JSON, "string", `{`, `"{"`, stats{}},
		{"bool as number", warehouse.Bool, "number", true, "1", stats{}},
		{"text as number", warehouse.Text, "number", " 1.5 ", "1.5", stats{}},
		{"word as number", warehouse.Text, "number", "many", "", stats{Misfits: 1}},
		{"int as boolean", warehouse.Int, "boolean", 1, "true", stats{}},
		{"other int as boolean", warehouse.Int, "boolean", 2, "", stats{Misfits: 1}},
		{"text as boolean", warehouse.Text, "boolean", "No", "false", stats{}},
		{"word as boolean", warehouse.Text, "boolean", "maybe", "", stats{Misfits: 1}},
		{"date as datetime", warehouse.Date, "datetime", "2026-01-31", `"2026-01-31T05:00:00"`, stats{}},
		{"text as datetime", warehouse.Text, "datetime", "2026-01-31 12:00", `"2026-01-31T17:00:00"`, stats{}},
		{"text with zone as datetime", warehouse.Text, "datetime", "2026-01-31T12:00:00.5+02:00", `"2026-01-31T10:00:00.5"`, stats{}},
		{"text with nanoseconds as datetime", warehouse.Text, "datetime", "2026-01-31T12:00:00.123456789Z", `"2026-01-31T12:00:00.123456789"`, stats{}},
		{"date in text as datetime", warehouse.Text, "datetime", "2024-02-29", `"2024-02-29T05:00:00"`, stats{}},
		{"no such day", warehouse.Text, "datetime", "2026-02-29", "", stats{Misfits: 1}},
		{"no such hour", warehouse.Text, "datetime", "2026-02-01T24:00", "", stats{Misfits: 1}},
		{"no time", warehouse.Text, "datetime", "soon", "", stats{Misfits: 1}},
		{"text as json", warehouse.Text, "json", `[1, 2]`, "[1,2]", stats{}},
		{"null in text as json", warehouse.Text, "json", "null", "", stats{}},
		{"other text as json", warehouse.Text, "json", `x`, `"x"`, stats{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, counted := propertyOf(t, tt.kind, tt.typ, tt.in)
			if got != tt.want || counted != tt.stats {
				t.Errorf("%v is sent as %s and counted %+v, want %s and %+v", tt.in, got, counted, tt.want, tt.stats)
			}
			null, counted := propertyOf(t, tt.kind, tt.typ, nil)
			if null != "" || counted != (stats{}) {
				t.Errorf("NULL is sent as %s and counted %+v", null, counted)
			}
		})
	}
}

func TestFlatten(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, attrs, more string
		want              string // $set
	}{
		{"object", `{"a": 1, "b": {"c": [1, 2]}}`, "", `{"id2":1,"a":1,"b":{"c":[1,2]},"k":"v"}`},
		{"real column wins", `{"id2": 5, "k": 6, "a": 1}`, "", `{"id2":1,"a":1,"k":"v"}`},
		{"last of equal keys", `{"a": 1, "b": 2, "\u0061": 3}`, "", `{"id2":1,"b":2,"a":3,"k":"v"}`},
		{"last of equal keys is null", `{"a": 1, "a": null}`, "", `{"id2":1,"k":"v"}`},
		{"first of two columns", `{"a": 1}`, `{"a": 2, "b": 3}`, `{"id2":1,"a":1,"b":3,"k":"v"}`},
		{"reserved keys stay", `{"$distinct_id": "x", "": 1, "a": 2, "$bucket": [1]}`, "", `{"id2":1,"a":2,"attrs":{"$distinct_id":"x","":1,"$bucket":[1]},"k":"v"}`},
		{"names of flattened columns stay", `{"attrs": 1, "more": 2}`, "", `{"id2":1,"attrs":{"attrs":1,"more":2},"k":"v"}`},
		{"no object", `[1, 2]`, `"x"`, `{"id2":1,"attrs":[1,2],"more":"x","k":"v"}`},
		{"no JSON", `{"a":`, "", `{"id2":1,"attrs":"{\"a\":","k":"v"}`},
		{"null", `null`, `{"a": null}`, `{"id2":1,"k":"v"}`},
		{"empty", `{}`, "", `{"id2":1,"k":"v"}`},
	}
	schema := schemaOf(field("account_id", warehouse.Int), field("more", warehouse.JSON), field("attrs", warehouse.JSON), field("id2", warehouse.Int))
	spec := mapping.Spec{
		Sync: "x", Type: mapping.Group, Model: mapping.Hierarchical, Token: "T", GroupKey: "$company_id",
		Mapping: mapping.Mapping{CompanyID: column("account_id")},
		Properties: mapping.Properties{
			Flatten: []string{"attrs", "more"}, Constants: []mapping.Constant{{Name: "k", Value: "v"}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var more any
			if tt.more != "" {
				more = tt.more
			}
			b := batchOf(t, schema, []any{7, more, tt.attrs, 1})
			var out mapping.Row
			dst, rej := compile(t, spec, schema).Append(nil, b, 0, &out)
			if rej != nil {
				t.Fatalf("rejected: %+v", *rej)
			}
			_, got, _ := strings.Cut(string(dst), `"$set":`)
			if got = strings.TrimSuffix(got, "}"); got != tt.want {
				t.Errorf("$set = %s, want %s", got, tt.want)
			}
		})
	}
}

func TestEventNameAndIP(t *testing.T) {
	t.Parallel()
	spec, schema := usage()
	spec.Mapping.IP = column("plan_tier")
	p := compile(t, spec, schema)
	row, none := usageRow(), usageRow()
	row[colEvent], row[6] = strings.Repeat("ë", 200), "10.0.0.1"
	none[6] = nil
	b := batchOf(t, schema, row, none)
	var out mapping.Row
	dst, _ := p.Append(nil, b, 0, &out)
	if !strings.HasPrefix(string(dst), `{"event":"`+strings.Repeat("ë", 127)+`",`) || p.Stats().Truncated != 1 {
		t.Errorf("event name is not cut to 254 bytes once: %s", dst)
	}
	if !strings.Contains(string(dst), `,"ip":"10.0.0.1",`) {
		t.Errorf("ip is missing: %s", dst)
	}
	if dst, _ = p.Append(nil, b, 1, &out); !strings.Contains(string(dst), `,"ip":0,`) {
		t.Errorf("ip is not 0: %s", dst)
	}
}

// The ids of other groups are strings on events as they are on profiles.
func TestGroupKeysAreStrings(t *testing.T) {
	t.Parallel()
	for kind, v := range map[warehouse.Kind]any{warehouse.Int: 7, warehouse.Decimal: "7.00", warehouse.Text: "7"} {
		spec, schema := usage()
		spec.GroupKeys = []string{"team_id"}
		schema.Fields[16].Kind = kind
		row := usageRow()
		row[16] = v
		b := batchOf(t, schema, row)
		var out mapping.Row
		dst, rej := compile(t, spec, schema).Append(nil, b, 0, &out)
		if rej != nil || !strings.Contains(string(dst), `"team_id":"7"`) {
			t.Errorf("team_id of a %s: %v %s", kind, rej, dst)
		}
	}
}

func TestInsertIDs(t *testing.T) {
	t.Parallel()
	insertID := func(change func(*mapping.Spec), v any) string {
		spec, schema := usage()
		change(&spec)
		row := usageRow()
		row[6] = v
		b := batchOf(t, schema, row)
		var out mapping.Row
		dst, rej := compile(t, spec, schema).Append(nil, b, 0, &out)
		if rej != nil {
			t.Fatalf("rejected: %+v", *rej)
		}
		_, rest, _ := strings.Cut(string(dst), `"$insert_id":"`)
		id, _, _ := strings.Cut(rest, `"`)
		return id
	}
	mapped := func(s *mapping.Spec) { s.Mapping.InsertID = column("plan_tier") }
	if got := insertID(mapped, "A-1"); got != "A-1" {
		t.Errorf("legal insert id became %q", got)
	}
	if a, b := insertID(mapped, "a_1"), insertID(mapped, "a_2"); len(a) != 32 || a == b {
		t.Errorf("illegal insert ids became %q and %q", a, b)
	}
	byKey := func(keys ...string) func(*mapping.Spec) {
		return func(s *mapping.Spec) { s.PrimaryKey = keys }
	}
	seen := map[string]string{}
	for name, id := range map[string]string{
		"id":        insertID(byKey("id"), "x"),
		"namespace": insertID(func(s *mapping.Spec) { s.Namespace = "other" }, "x"),
		"two":       insertID(byKey("id", "plan_tier"), "x"),
		"other":     insertID(byKey("id", "plan_tier"), "y"),
	} {
		if seen[id] != "" {
			t.Errorf("%s and %s have the insert id %s", name, seen[id], id)
		}
		seen[id] = name
	}
	if a, b := insertID(byKey("id"), "x"), insertID(func(s *mapping.Spec) {
		s.Sync, s.Namespace = "renamed", "usage"
	}, "y"); a != b {
		t.Errorf("insert ids of one key and namespace are %s and %s", a, b)
	}
}

func TestPayloadIsWhole(t *testing.T) {
	t.Parallel()
	spec, schema := usage()
	row := usageRow()
	row[4], row[6], row[9], row[11] = nil, strings.Repeat("x", 1000), math.Inf(-1), "{"
	b := batchOf(t, schema, row)
	p := compile(t, spec, schema)
	var got map[string]any
	if err := json.Unmarshal(p.Payload(b, 0, nil), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"id": 1.0, "event_name": "Feature Used", "occurred_at": "2026-01-31T12:00:00Z", "account_id": "acme", "user_id": nil, "anonymous_id": nil,
		"plan_tier": strings.Repeat("x", 1000), "seats": 12.0, "price": 19.9, "score": "-Infinity", "active": true, "attrs": "{",
		"signed_up": "2025-06-01", "at": "12:34:56.789", "seen_at": "2026-01-30T08:15:00", "blob": "AAH+/w==", "team_id": "core",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Payload (-want +got):\n%s", diff)
	}
}

func TestExcerptCutsWhatIsLong(t *testing.T) {
	t.Parallel()
	spec, schema := usage()
	row := usageRow()
	row[6], row[11] = strings.Repeat("é", 1000), `{"k":"`+strings.Repeat("x", 1000)+`"}`
	p := compile(t, spec, schema)
	b := batchOf(t, schema, row)
	var got, whole map[string]any
	if err := json.Unmarshal(p.Excerpt(b, 0, nil, 101), &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(p.Payload(b, 0, nil), &whole); err != nil {
		t.Fatal(err)
	}
	whole["plan_tier"], whole["attrs"] = strings.Repeat("é", 50), `{"k":"`+strings.Repeat("x", 95)
	if diff := cmp.Diff(whole, got); diff != "" {
		t.Errorf("Excerpt (-want +got):\n%s", diff)
	}
}

func TestRejectedRowsCountNothing(t *testing.T) {
	t.Parallel()
	spec, schema := usage()
	row := usageRow()
	row[6], row[11] = strings.Repeat("x", 300), "["+strings.Repeat("1,", 300)+"1]"
	b := batchOf(t, schema, row)
	p := compile(t, spec, schema)
	var out mapping.Row
	if _, rej := p.Append(nil, b, 0, &out); rej == nil {
		t.Fatal("a list of 301 was sent")
	}
	if got := p.Stats(); got != (mapping.Stats{}) {
		t.Errorf("stats = %+v, want none", got)
	}
}

func TestDeleteRefusesStrangers(t *testing.T) {
	t.Parallel()
	spec, schema, _ := group("team_id")
	p := compile(t, spec, schema)
	for _, ident := range []string{"", "{}", "[]", `["a"]`, `["a","b","c"]`, `[1,2]`} {
		if got := p.Delete(ident, nil); len(got) > 0 {
			t.Errorf("Delete(%s) = %s, want nothing", ident, got)
		}
	}
	want := `{"$token":"T\"1","$group_key":"team_id","$group_id":"b\"\n","$company_id":"a","$delete":""}`
	if got := string(p.Delete(`["a","b\"\n"]`, nil)); got != want {
		t.Errorf("Delete = %s, want %s", got, want)
	}
}
