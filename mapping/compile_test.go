package mapping_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/mapping"
)

// TestFaults breaks a good mapping in one way each and reads what is said of it.
func TestFaults(t *testing.T) {
	t.Parallel()
	type change = func(*mapping.Spec, *warehouse.Schema)
	kind := func(col int, k warehouse.Kind) change {
		return func(_ *mapping.Spec, s *warehouse.Schema) { s.Fields[col].Kind, s.Fields[col].Type = k, k.String() }
	}
	name := func(col int, to string) change {
		return func(_ *mapping.Spec, s *warehouse.Schema) { s.Fields[col].Name = to }
	}
	spec := func(f func(*mapping.Spec)) change {
		return func(s *mapping.Spec, _ *warehouse.Schema) { f(s) }
	}
	properties := func(p mapping.Properties) change {
		return func(s *mapping.Spec, _ *warehouse.Schema) { s.Properties = p }
	}
	tests := []struct {
		name, path, message, hint string // of the only fault: parts of its text
		change
	}{
		{"missing column", "mapping.time", `no column "occurredat"`, `did you mean "occurred_at"?`,
			spec(func(s *mapping.Spec) { s.Mapping.Time = column("occurredat") })},
		{"constant written as a column", "mapping.event", `no column "Feature Used"`, `event: {value: "Feature Used"}`,
			spec(func(s *mapping.Spec) { s.Mapping.Event = column("Feature Used") })},
		{"nothing like it", "mapping.user_id", `no column "zzzzzzzz"`, "the columns are id, event_name",
			spec(func(s *mapping.Spec) { s.Mapping.UserID = column("zzzzzzzz") })},
		{"float as id", "mapping.user_id", "a float is no id", "cast it", kind(colUser, warehouse.Float)},
		{"boolean as id", "mapping.user_id", "is a bool, which is no id", "cast it", kind(colUser, warehouse.Bool)},
		{"json as id", "mapping.company_id", "is a json", "", kind(colCompany, warehouse.JSON)},
		{"time as id", "mapping.device_id", "is a timestamp", "", kind(colDevice, warehouse.Timestamp)},
		{"bytes as insert id", "mapping.insert_id", `"blob" is a bytes`, "", spec(func(s *mapping.Spec) { s.Mapping.InsertID = column("blob") })},
		{"text as time", "mapping.time", "is a text, not a time", "CAST(occurred_at AS timestamp)", kind(colTime, warehouse.Text)},
		{"float as time", "mapping.time", "is a float", "cast it", kind(colTime, warehouse.Float)},
		{"integer without unit", "mapping.time", "what does it count?", "{column: occurred_at, unit: s}", kind(colTime, warehouse.Int)},
		{"timestamp with unit", "mapping.time", "has no unit", "remove", spec(func(s *mapping.Spec) { s.Mapping.Time.Unit = "ms" })},
		{"unknown unit", "mapping.time", `unknown unit "h"`, "s, ms or us", func(s *mapping.Spec, w *warehouse.Schema) {
			s.Mapping.Time.Unit = "h"
			kind(colTime, warehouse.Int)(s, w)
		}},
		{"unit elsewhere", "mapping.user_id", "a unit belongs to time", "", spec(func(s *mapping.Spec) { s.Mapping.UserID.Unit = "s" })},
		{"event of numbers", "mapping.event", "not text", "cast it", kind(colEvent, warehouse.Int)},
		{"blank constant event", "mapping.event", "blank", "", spec(func(s *mapping.Spec) { s.Mapping.Event = constant(" ") })},
		{"verb", "mapping.event", "$identify", "", spec(func(s *mapping.Spec) { s.Mapping.Event = constant("$identify") })},
		{"long constant event", "mapping.event", "255 bytes", "", spec(func(s *mapping.Spec) { s.Mapping.Event = constant(strings.Repeat("x", 256)) })},
		{"constant time", "mapping.time", "a time of its own", "", spec(func(s *mapping.Spec) { s.Mapping.Time = constant("2026-01-01") })},
		{"constant insert id", "mapping.insert_id", "for the same", "", spec(func(s *mapping.Spec) { s.Mapping.InsertID = constant("x") })},
		{"junk constant id", "mapping.company_id", `"null" is a placeholder`, "", spec(func(s *mapping.Spec) { s.Mapping.CompanyID = constant("null") })},
		{"prefixed constant id", "mapping.company_id", "already prefixed", "", spec(func(s *mapping.Spec) { s.Mapping.CompanyID = constant("$company:a") })},
		{"one column for both", "mapping.user_id", "the company's id already", "", spec(func(s *mapping.Spec) { s.Mapping.UserID = column("account_id") })},
		{"no user", "mapping.user_id", "is required", "name a column", spec(func(s *mapping.Spec) { s.Mapping.UserID = nil })},
		{"group id of an event", "mapping.group_id", "is for groups", "", spec(func(s *mapping.Spec) { s.Mapping.GroupID = column("team_id") })},
		{"company of a standard project", "mapping.company_id", "only a hierarchical project", "group_keys", spec(func(s *mapping.Spec) { s.Model = mapping.Standard })},
		{"no key", "primary_key", "never counted twice", "", spec(func(s *mapping.Spec) { s.PrimaryKey = nil })},
		{"unknown key", "primary_key", `no column "idd"`, `did you mean "id"?`, spec(func(s *mapping.Spec) { s.PrimaryKey = []string{"idd"} })},
		{"key named twice", "primary_key", "twice", "", spec(func(s *mapping.Spec) { s.PrimaryKey = []string{"id", "ID"} })},
		{"lookup", "type", "not sent by this version", "", spec(func(s *mapping.Spec) { s.Type = mapping.Lookup })},
		{"unknown policy", "identity.missing_user", `"drop"`, "reject or send", spec(func(s *mapping.Spec) { s.MissingUser = "drop" })},
		{"unknown rename", "properties.rename.plan", `no column "plan"`, "", properties(mapping.Properties{Rename: map[string]string{"plan": "Plan"}})},
		{"blank rename", "properties.rename.seats", "needs a name", "", properties(mapping.Properties{Rename: map[string]string{"seats": ""}})},
		{"unknown types", "properties.types.seat", `no column "seat"`, `"seats"`, properties(mapping.Properties{Types: map[string]string{"seat": "string"}})},
		{"unknown type", "properties.types.seats", `unknown value "text"`, "string or number", properties(mapping.Properties{Types: map[string]string{"seats": "text"}})},
		{"unfit type", "properties.types.seats", "cannot be sent as datetime", "cast it", properties(mapping.Properties{Types: map[string]string{"seats": "datetime"}})},
		{"unknown flatten", "properties.flatten", `no column "attr"`, `"attrs"`, properties(mapping.Properties{Flatten: []string{"attr"}})},
		{"flat text", "properties.flatten", "not JSON", "types: {plan_tier: json}", properties(mapping.Properties{Flatten: []string{"plan_tier"}})},
		{"unknown include", "properties.include", `no column "seat"`, `"seats"`, properties(mapping.Properties{Include: []string{"seat", "p*"}})},
		{"one name for two", "properties.rename.seats", `columns "plan_tier" and "seats"`, "rename or exclude", properties(mapping.Properties{Rename: map[string]string{"seats": "plan_tier"}})},
		{"constant of a column's name", "properties.constants.seats", `column "seats"`, "", properties(mapping.Properties{Constants: []mapping.Constant{{Name: "seats", Value: "x"}}})},
		{"constant given twice", "properties.constants.a", "twice", "", properties(mapping.Properties{Constants: []mapping.Constant{{Name: "a"}, {Name: "a"}}})},
		{"constant of another type", "properties.constants.a", "must be a string", "", properties(mapping.Properties{Constants: []mapping.Constant{{Name: "a", Value: []int{1}}}})},
		{"reserved constant", "properties.constants.token", "only the mapping may set", "", properties(mapping.Properties{Constants: []mapping.Constant{{Name: "token", Value: "x"}}})},
		{"member", "properties", `"time", which is a member`, "rename: {time: other_name}", name(7, "time")},
		{"harmful name", "properties", `"bucket", which changes`, "exclude", name(7, "bucket")},
		{"output name", "properties", `"alias", which is computed`, "", name(7, "alias")},
		{"reserved by rename", "properties.rename.seats", "distinct_id", "", properties(mapping.Properties{Rename: map[string]string{"seats": "distinct_id"}})},
		{"long name", "properties", "256 bytes", "rename", name(7, strings.Repeat("x", 256))},
		{"blank name", "properties", "needs a name", "", name(7, " ")},
		{"one name twice", "properties", `column "plan_tier" more than once`, "name of its own", name(7, "plan_tier")},
		{"mapped name twice", "mapping.user_id", `column "user_id" more than once`, "name of its own", func(s *mapping.Spec, w *warehouse.Schema) {
			w.Fields[7].Name = "user_id"
			s.Properties.Exclude = []string{"user_id"}
		}},
		{"names that differ in case", "mapping.user_id", `"User_Id" may mean column "user_id" or "USER_ID"`, "letter case", func(s *mapping.Spec, w *warehouse.Schema) {
			w.Fields[7].Name = "USER_ID"
			s.Mapping.UserID = column("User_Id")
			s.Properties.Exclude = []string{"user_id"}
		}},
		{"excluded group key", "group_keys", `no property "team_id"`, "left out by include or exclude", func(s *mapping.Spec, _ *warehouse.Schema) {
			s.GroupKeys, s.Properties.Exclude = []string{"team_id"}, []string{"team_*"}
		}},
		{"renamed group key", "group_keys", `no property "team_id"`, `rename it to "team_id"`, func(s *mapping.Spec, _ *warehouse.Schema) {
			s.GroupKeys, s.Properties.Rename = []string{"team_id"}, map[string]string{"team_id": "team"}
		}},
		{"unknown group key", "group_keys", `no property "teamid"`, `did you mean "team_id"?`, spec(func(s *mapping.Spec) { s.GroupKeys = []string{"teamid"} })},
		{"float as group key", "group_keys", "a float is no id", "", spec(func(s *mapping.Spec) { s.GroupKeys = []string{"score"} })},
		{"mapped key as group key", "group_keys", "$user_id comes from the mapping", "", func(s *mapping.Spec, _ *warehouse.Schema) {
			s.GroupKeys, s.Properties.Constants = []string{"$user_id"}, nil
			s.Properties.Include = []string{"seats"}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, schema := usage()
			tt.change(&s, schema)
			_, err := mapping.Compile(s, schema)
			var faults mapping.Faults
			if !errors.As(err, &faults) || len(faults) == 0 {
				t.Fatalf("Compile: %v, want Faults", err)
			}
			f := faults[0]
			if f.Path != tt.path || !strings.Contains(f.Message, tt.message) || !strings.Contains(f.Hint, tt.hint) {
				t.Errorf("fault = %+v, want path %q, message with %q, hint with %q", f, tt.path, tt.message, tt.hint)
			}
			if len(faults) > 1 && tt.name != "mapped key as group key" {
				t.Errorf("more faults than one: %+v", faults[1:])
			}
		})
	}
}

func TestProfileFaults(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, path string
		change     func(*mapping.Spec)
	}{
		{"no token", "project", func(s *mapping.Spec) { s.Token = "" }},
		{"no key", "group_key", func(s *mapping.Spec) { s.GroupKey = "" }},
		{"no company", "mapping.company_id", func(s *mapping.Spec) { s.Mapping.CompanyID = nil }},
		{"no id", "mapping.group_id", func(s *mapping.Spec) { s.Mapping.GroupID = nil }},
		{"event of a group", "mapping.event", func(s *mapping.Spec) { s.Mapping.Event = constant("x") }},
		{"company with another id", "mapping.group_id", func(s *mapping.Spec) { s.GroupKey = "$company_id" }},
		{"user id of a team", "mapping.user_id", func(s *mapping.Spec) { s.Mapping.UserID = column("name") }},
		{"user profile in a hierarchical project", "type", func(s *mapping.Spec) {
			s.Type, s.Mapping = mapping.User, mapping.Mapping{UserID: column("id")}
		}},
		{"computed property", "properties.rename.name", func(s *mapping.Spec) { s.Properties.Rename["name"] = "$last_seen" }},
		{"id in $set", "properties.rename.name", func(s *mapping.Spec) { s.Properties.Rename["name"] = "$company_id" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, schema, _ := group("team_id")
			tt.change(&s)
			_, err := mapping.Compile(s, schema)
			var faults mapping.Faults
			if !errors.As(err, &faults) || len(faults) != 1 || faults[0].Path != tt.path {
				t.Errorf("Compile: %+v, want one fault at %s", faults, tt.path)
			}
		})
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	s, schema := usage()
	s.MissingUser = "maybe"
	s.Mapping.Time = column("when")
	schema.Fields[colUser].Kind = warehouse.Float
	s.PrimaryKey = []string{"key"}
	s.Properties.Rename = map[string]string{"nope": "x"}
	_, err := mapping.Compile(s, schema)
	var faults mapping.Faults
	errors.As(err, &faults)
	var got []string
	for _, f := range faults {
		got = append(got, f.Path)
	}
	want := []string{"identity.missing_user", "mapping.time", "mapping.user_id", "primary_key", "properties.rename.nope"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}
}

// Snowflake folds names to upper case, Postgres to lower: both mean the same.
func TestNamesFold(t *testing.T) {
	t.Parallel()
	s, schema := usage()
	for i := range schema.Fields {
		schema.Fields[i].Name = strings.ToUpper(schema.Fields[i].Name)
	}
	s.Properties = mapping.Properties{Include: []string{"plan_*", "SEATS", "attrs"}, Exclude: []string{"attrs"}, Rename: map[string]string{"seats": "Seats"}}
	p := compile(t, s, schema)
	var got []string
	for _, x := range p.Properties()[6:] {
		got = append(got, x.Name+" of "+x.Column)
	}
	if diff := cmp.Diff([]string{"PLAN_TIER of PLAN_TIER", "Seats of SEATS"}, got); diff != "" {
		t.Errorf("properties (-want +got):\n%s", diff)
	}
	if got := p.KeyColumns(); len(got) != 1 || got[0] != "ID" {
		t.Errorf("key = %v, want ID", got)
	}
}

func TestFingerprint(t *testing.T) {
	t.Parallel()
	type change = func(*mapping.Spec, *warehouse.Schema)
	tests := []struct {
		name   string
		change change
		want   []string
	}{
		{"nothing", func(*mapping.Spec, *warehouse.Schema) {}, nil},
		{"properties", func(s *mapping.Spec, _ *warehouse.Schema) { s.Properties.Exclude = []string{"*"} }, nil},
		{"timezone of a time with zone", func(s *mapping.Spec, _ *warehouse.Schema) { s.Location = location(t, "Europe/Berlin") }, nil},
		{"time", func(s *mapping.Spec, _ *warehouse.Schema) { s.Mapping.Time = column("seen_at") },
			[]string{`time: column "occurred_at" → column "seen_at"`, `timezone: nothing → "UTC"`}},
		{"kind", func(_ *mapping.Spec, w *warehouse.Schema) { w.Fields[colTime].Kind = warehouse.Date },
			[]string{`time: column "occurred_at" (timestamptz) → column "occurred_at" (date)`, `timezone: nothing → "UTC"`}},
		{"unit", func(s *mapping.Spec, w *warehouse.Schema) {
			w.Fields[colTime].Kind, s.Mapping.Time.Unit = warehouse.Int, "ms"
		}, []string{`time: column "occurred_at" (timestamptz) → column "occurred_at" (int, ms)`}},
		{"constant", func(s *mapping.Spec, _ *warehouse.Schema) { s.Mapping.Event = constant("X") }, []string{`event: column "event_name" → constant "X"`}},
		{"ids", func(s *mapping.Spec, _ *warehouse.Schema) {
			s.Mapping.UserID, s.Mapping.DeviceID = column("anonymous_id"), nil
		}, []string{`user_id: column "user_id" → column "anonymous_id"`, `device_id: column "anonymous_id" → nothing`}},
		{"insert id", func(s *mapping.Spec, _ *warehouse.Schema) { s.Mapping.InsertID = column("id") },
			[]string{`insert_id: nothing → column "id"`, `namespace: "usage" → nothing`}},
		{"namespace", func(s *mapping.Spec, _ *warehouse.Schema) { s.Namespace = "other" }, []string{`namespace: "usage" → "other"`}},
		{"key", func(s *mapping.Spec, _ *warehouse.Schema) { s.PrimaryKey = []string{"id", "team_id"} },
			[]string{`primary_key: column "id" (int) → column "id" (int), column "team_id" (text)`}},
	}
	spec, schema := usage()
	was := compile(t, spec, schema).Fingerprint()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			spec, schema := usage()
			tt.change(&spec, schema)
			got := mapping.DiffFingerprint(was, compile(t, spec, schema).Fingerprint())
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("DiffFingerprint (-want +got):\n%s", diff)
			}
		})
	}
	if got := mapping.DiffFingerprint([]byte("{"), was); len(got) != 1 {
		t.Errorf("DiffFingerprint of a broken one = %q, want one line", got)
	}
}
