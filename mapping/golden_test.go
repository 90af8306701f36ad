package mapping_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/mapping"
)

var update = flag.Bool("update", false, "rewrite testdata/*.golden")

func location(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// group is a table of a company's users, with one that has hardly any data.
func group(key string) (mapping.Spec, *warehouse.Schema, [][]any) {
	schema := schemaOf(
		field("account_id", warehouse.Int), field("id", warehouse.Text), field("name", warehouse.Text),
		field("signup_date", warehouse.Date), field("attrs", warehouse.JSON),
	)
	spec := mapping.Spec{
		Sync: "profiles", Type: mapping.Group, Model: mapping.Hierarchical, Token: "T\"1", GroupKey: key,
		Mapping:    mapping.Mapping{CompanyID: column("account_id"), GroupID: column("id")},
		Properties: mapping.Properties{Rename: map[string]string{"name": "$name"}},
	}
	return spec, schema, [][]any{
		{7, "alice", "Alice Smith", "2024-01-15", `{"role": "admin", "beta": null}`},
		{8, "bob", nil, nil, nil},
	}
}

// TestGolden shows the records of every form, and of every kind of value.
func TestGolden(t *testing.T) {
	t.Parallel()
	type table struct {
		spec   mapping.Spec
		schema *warehouse.Schema
		rows   [][]any
	}
	events := func(change func(*mapping.Spec)) table {
		spec, schema := usage()
		change(&spec)
		full := usageRow()
		device, company, anonymous, bare := usageRow(), usageRow(), usageRow(), usageRow()
		device[5] = "d-1"
		company[4] = nil
		anonymous[3], anonymous[4], anonymous[5] = nil, nil, "d-1"
		for i := 6; i < len(bare); i++ {
			bare[i] = nil
		}
		return table{spec, schema, [][]any{full, device, company, anonymous, bare}}
	}
	groups := func(key string, change func(*mapping.Spec)) table {
		spec, schema, rows := group(key)
		change(&spec)
		return table{spec, schema, rows}
	}
	tables := map[string]table{
		"event": events(func(s *mapping.Spec) {
			s.MissingUser = mapping.SendRow
		}),
		"event_shaped": events(func(s *mapping.Spec) {
			s.MissingUser = mapping.SendRow
			s.Mapping.Event = constant("Feature \"Used\"")
			s.Mapping.InsertID = column("id")
			s.Location = location(t, "Europe/Berlin")
			s.GroupKeys = []string{"team_id"}
			s.Properties = mapping.Properties{
				Include: []string{"*"}, Exclude: []string{"s?ats", "BLOB", "sig*"},
				Rename:    map[string]string{"plan_tier": "Plan"},
				Types:     map[string]string{"price": "string", "active": "number"},
				Flatten:   []string{"attrs"},
				Constants: []mapping.Constant{{Name: "source_system", Value: "billing"}, {Name: "n", Value: int64(1)}, {Name: "none", Value: nil}},
			}
		}),
		"event_standard": events(func(s *mapping.Spec) {
			s.Model = mapping.Standard
			s.Mapping.CompanyID = nil
		}),
		"group_company": groups("$company_id", func(s *mapping.Spec) {
			s.Mapping.GroupID = nil
		}),
		"group_user":        groups("$user_id", func(*mapping.Spec) {}),
		"group_team":        groups("team_id", func(*mapping.Spec) {}),
		"group_nulls_send":  groups("team_id", func(s *mapping.Spec) { s.Nulls = mapping.NullsSend; s.Properties.Flatten = []string{"attrs"} }),
		"group_nulls_unset": groups("team_id", func(s *mapping.Spec) { s.Nulls = mapping.NullsUnset; s.Properties.Flatten = []string{"attrs"} }),
		"group_standard": groups("team_id", func(s *mapping.Spec) {
			s.Model = mapping.Standard
			s.Mapping.CompanyID = nil
		}),
		"user": groups("", func(s *mapping.Spec) {
			s.Type, s.Model, s.GroupKey = mapping.User, mapping.Standard, ""
			s.Mapping = mapping.Mapping{UserID: column("id")}
		}),
	}
	for name, tt := range tables {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := compile(t, tt.spec, tt.schema)
			b := batchOf(t, tt.schema, tt.rows...)
			var got []byte
			for row := range b.Len() {
				got = appendRow(t, got, p, b, row)
			}
			got = append(append(got, p.Fingerprint()...), '\n')
			list, err := json.Marshal(p.Properties())
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name, append(append(got, list...), '\n'))
		})
	}
}

// appendRow appends what is to be known of a row, a line each.
func appendRow(t *testing.T, dst []byte, p *mapping.Plan, b *warehouse.Batch, row int) []byte {
	t.Helper()
	var out mapping.Row
	record, rej := p.Append(nil, b, row, &out)
	if rej != nil {
		t.Fatalf("row %d: %+v", row, *rej)
	}
	lines := [][]byte{p.Key(b, row, nil), p.DerivedID(b, row, nil), record}
	if out.More {
		lines = append(lines, p.AppendMore(nil, b, row))
	}
	if len(p.Ident(b, row)) > 0 && !bytes.HasPrefix(record, []byte(`{"event"`)) {
		lines = append(lines, p.Delete(p.Ident(b, row), nil))
	}
	for _, line := range lines {
		dst = append(append(dst, line...), '\n')
		if bytes.HasPrefix(line, []byte("{")) && !json.Valid(line) {
			t.Errorf("not JSON: %s", line)
		}
	}
	return append(dst, '\n')
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got, rewrite with -update):\n%s", path, diff)
	}
}
