package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mixsync/mixsync/configs"
	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/mapping"
)

// Every shipped example compiles against a table that has the columns it names:
// reserved properties, names that meet, ids and times of unfit kinds show here.
func TestExamplesCompile(t *testing.T) {
	t.Parallel()
	folder := filepath.Join("..", "..", "configs", "examples")
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	compiled := map[mapping.Type]int{}
	for _, entry := range entries {
		file, err := configs.Load(filepath.Join(folder, entry.Name()), configs.Options{
			Getenv: func(name string) (string, bool) {
				if strings.HasSuffix(name, "_DSN") {
					return "postgres://reporter@localhost/shop", true
				}
				if name == "MIXSYNC_STATE" {
					return "", false // the default of the file itself
				}
				return "1", true
			},
			ReadFile: func(string) ([]byte, error) { return []byte("{}"), nil },
		})
		if err != nil {
			t.Errorf("%s: %v", entry.Name(), err)
			continue
		}
		for _, s := range file.Syncs {
			if s.Type == mapping.Lookup { // not sent yet: Compile says so
				continue
			}
			for _, project := range s.Projects {
				if _, err := mapping.Compile(s.MappingSpec(file.Projects[project]), schemaFor(s)); err != nil {
					t.Errorf("%s: %s: %v", entry.Name(), s.Name, err)
				}
				compiled[s.Type]++
			}
		}
	}
	for _, kind := range []mapping.Type{mapping.Event, mapping.Group, mapping.User} {
		if compiled[kind] == 0 {
			t.Errorf("no example of type %s was compiled", kind)
		}
	}
}

// schemaFor is a table with the columns that a sync names, each of the kind
// that its part asks for, and one that it does not name.
func schemaFor(s *configs.Sync) *warehouse.Schema {
	kinds := map[string]warehouse.Kind{"unnamed": warehouse.Text}
	name := func(kind warehouse.Kind, columns ...string) {
		for _, c := range columns {
			kinds[c] = kind
		}
	}
	name(warehouse.Text, s.PrimaryKey...)
	name(warehouse.Text, s.GroupKeys...)
	name(warehouse.Text, slices.Collect(maps.Keys(s.Properties.Rename))...)
	name(warehouse.Text, slices.Collect(maps.Keys(s.Properties.Types))...)
	name(warehouse.JSON, s.Properties.Flatten...)
	m := s.Mapping
	for _, source := range []*mapping.Source{m.Event, m.CompanyID, m.UserID, m.DeviceID, m.InsertID, m.GroupID, m.IP, m.Key} {
		if source != nil && !source.IsConst {
			name(warehouse.Text, source.Column)
		}
	}
	if s.Cursor != nil {
		name(warehouse.TimestampTZ, s.Cursor.Column)
		if s.Cursor.Lookback.IsCount() {
			name(warehouse.Int, s.Cursor.Column)
		}
	}
	if m.Time != nil {
		name(warehouse.TimestampTZ, m.Time.Column)
		if m.Time.Unit != "" {
			name(warehouse.Int, m.Time.Column)
		}
	}
	schema := &warehouse.Schema{}
	for _, column := range slices.Sorted(maps.Keys(kinds)) {
		schema.Fields = append(schema.Fields, warehouse.Field{Name: column, Kind: kinds[column], Type: kinds[column].String(), Sortable: true})
	}
	return schema
}
