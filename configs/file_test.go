package configs_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mixsync/mixsync/configs"
	"github.com/mixsync/mixsync/mapping"
)

func TestDesign(t *testing.T) {
	t.Parallel()
	f := load(t, "testdata/design.good.yaml")
	var names []string
	for _, s := range f.Syncs {
		names = append(names, s.Name)
	}
	if diff := cmp.Diff([]string{"usage", "accounts", "users", "teams"}, names); diff != "" {
		t.Errorf("syncs, in YAML order (-want +got):\n%s", diff)
	}
	usage := f.Sync("usage")
	want := &configs.Cursor{
		Column: "loaded_at", Lookback: configs.Lookback{Text: "10m", Duration: 10 * time.Minute, IsSet: true},
		Settle: 30 * time.Second, MaxHold: time.Hour, NullRows: configs.NullRowsError, Slice: "day", Start: "2025-01-01",
	}
	if diff := cmp.Diff(want, usage.Cursor); diff != "" {
		t.Errorf("cursor (-want +got):\n%s", diff)
	}
	if got := f.Sync("accounts").Cursor.Lookback; got.IsSet || got.Duration != 10*time.Minute {
		t.Errorf("lookback that was left out = %+v, want 10m, not set", got)
	}
	if got := f.Warehouses["snow"].Snowflake.PrivateKey.Reveal(); got != "hunter2-snowflake.p8" {
		t.Errorf("private key = %q, want the file without its last newline", got)
	}
	if got := f.Warehouses["bq"].BigQuery.MaxBytesBilled; got != 50<<30 {
		t.Errorf("max_bytes_billed = %d, want %d", got, int64(50<<30))
	}
	if f.Sync("nobody") != nil {
		t.Error("Sync of an unknown name is not nil")
	}
}

func TestMappingSpec(t *testing.T) {
	t.Parallel()
	f := load(t, "testdata/design.good.yaml")
	column := func(name string) *mapping.Source { return &mapping.Source{Column: name} }
	want := mapping.Spec{
		Sync: "usage", Namespace: "usage", Type: mapping.Event, Model: mapping.Hierarchical, Token: "hunter2-token",
		PrimaryKey: []string{"id"}, Cursor: "loaded_at", GroupKeys: []string{"team_id"},
		Mapping: mapping.Mapping{
			Event: column("event_name"), Time: column("occurred_at"), CompanyID: column("account_id"), UserID: column("user_id"),
			DeviceID: column("anonymous_id"), InsertID: column("id"),
		},
		Properties: mapping.Properties{
			Include: []string{"*"}, Exclude: []string{"_*", "raw_payload"}, Rename: map[string]string{"plan_tier": "Plan"},
			Types: map[string]string{"zip": "string"}, Flatten: []string{"attrs"},
			Constants: []mapping.Constant{{Name: "source_system", Value: "billing"}},
		},
		MissingCompany: mapping.RejectRow, MissingUser: mapping.RejectRow, Future: mapping.RejectRow, Location: time.UTC,
	}
	got := f.Sync("usage").MappingSpec(f.Projects["prod"])
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b *time.Location) bool { return a.String() == b.String() })); diff != "" {
		t.Errorf("MappingSpec (-want +got):\n%s", diff)
	}
}

func TestConstants(t *testing.T) {
	t.Parallel()
	f := load(t, "testdata/references.good.yaml")
	s := f.Sync("usage")
	want := []mapping.Constant{
		{Name: "text", Value: "ab"}, {Name: "whole", Value: int64(1000)}, {Name: "real", Value: 0.5}, {Name: "yes", Value: true},
		{Name: "none", Value: nil}, {Name: "day", Value: "2025-01-01"}, {Name: "quoted", Value: "12"},
	}
	if diff := cmp.Diff(want, s.Properties.Constants); diff != "" {
		t.Errorf("constants, in YAML order (-want +got):\n%s", diff)
	}
	if got, want := *s.Mapping.Event, (mapping.Source{Constant: "$ Spent", IsConst: true}); got != want {
		t.Errorf("event = %+v, want %+v", got, want)
	}
	if got, want := *s.Mapping.Time, (mapping.Source{Column: "at", Unit: "ms"}); got != want {
		t.Errorf("time = %+v, want %+v", got, want)
	}
	if got, want := f.Projects["prod"].ServiceAccount.Username, env["TRICKY"]; got != want {
		t.Errorf("a reference to %q gives %q: it must not be parsed, nor expanded again", want, got)
	}
	if want := "postgres://mixsync:hunter2-secret@db/mixsync?sslmode=require"; f.State != want {
		t.Errorf("State = %q, want %q", f.State, want)
	}
}

func TestPrimaryKeyLeftOut(t *testing.T) {
	t.Parallel()
	f := load(t, "examples/postgres-groups.yaml")
	for name, want := range map[string][]string{"accounts": {"account_id"}, "users": {"account_id", "user_id"}, "teams": {"account_id", "team_id"}} {
		if diff := cmp.Diff(want, f.Sync(name).PrimaryKey); diff != "" {
			t.Errorf("primary key of %s (-want +got):\n%s", name, diff)
		}
	}
	if diff := cmp.Diff([]string{"order_uuid"}, load(t, "examples/standard-model.yaml").Sync("orders").PrimaryKey); diff != "" {
		t.Errorf("primary key of an event with insert_id (-want +got):\n%s", diff)
	}
}

func TestWhere(t *testing.T) {
	t.Parallel()
	f := load(t, "testdata/design.good.yaml")
	for path, want := range map[string]string{
		"syncs.usage.mapping.time":            "testdata/design.good.yaml:54:13",
		"syncs.usage.mapping.time.unit":       "testdata/design.good.yaml:54:13",
		"syncs.usage.mapping.ip":              "testdata/design.good.yaml:52:5",
		"syncs.usage.properties.exclude[1]":   "testdata/design.good.yaml:62:23",
		"syncs.usage.properties.exclude[9]":   "testdata/design.good.yaml:62:16",
		"syncs.usage.properties.rename.x.y.z": "testdata/design.good.yaml:63:15",
		"syncs.usage.warehouse":               "testdata/design.good.yaml:43:23",
		"syncs.usage":                         "testdata/design.good.yaml:46:3",
		"syncs.nobody.table":                  "testdata/design.good.yaml:45:1",
		"nothing":                             "testdata/design.good.yaml:2:1",
	} {
		if pos, ok := f.Where(path); !ok || pos.String() != want {
			t.Errorf("Where(%s) = %s, %t, want %s", path, pos, ok, want)
		}
	}
	if pos, ok := new(configs.File).Where("syncs"); ok {
		t.Errorf("Where of a File that was not loaded = %s", pos)
	}
	fault := f.Fault("syncs.usage.cursor.column", `there is no column "loaded_at"`, "did you mean?")
	if want := "testdata/design.good.yaml:51:22: syncs.usage.cursor.column: there is no column \"loaded_at\"\n    hint: did you mean?"; fault.String() != want {
		t.Errorf("Fault =\n%s\nwant\n%s", fault, want)
	}
}

func TestFolder(t *testing.T) {
	t.Parallel()
	write := func(t *testing.T, files map[string]string) string {
		dir := t.TempDir()
		for name, text := range files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	places := "warehouses: {shop: {type: duckdb}}\nprojects: {web: {project_id: 1, region: us, model: standard, token: t}}\n"
	usage := "  usage: {type: event, table: t, mode: full, mapping: {event: e, time: t, insert_id: i}}\n"
	good := map[string]string{
		"a.yaml":       "version: 1\n" + places + "defaults: {warehouse: shop}\n",
		"b.yml":        "version: 1\ndefaults: {project: web}\nsyncs:\n" + usage,
		"c.yaml":       "# empty\n",
		".hidden.yaml": "nonsense",
		"notes.txt":    "nonsense",
	}

	t.Run("merged", func(t *testing.T) {
		t.Parallel()
		f := load(t, write(t, good))
		if s := f.Sync("usage"); s.Warehouse != "shop" || s.Projects[0] != "web" {
			t.Errorf("defaults of two files are not merged: %+v", s)
		}
	})
	t.Run("twice", func(t *testing.T) {
		t.Parallel()
		dir := write(t, map[string]string{
			"a.yaml": good["a.yaml"] + "state: sqlite:a\nsyncs:\n" + usage,
			"b.yaml": "defaults: {warehouse: shop, project: web}\nstate: sqlite:b\nsyncs:\n" + usage,
		})
		_, err := configs.Load(dir, options())
		if err == nil {
			t.Fatal("loaded")
		}
		for _, want := range []string{
			"b.yaml:1:12: defaults.warehouse: key \"warehouse\" is given twice; first at " + filepath.Join(dir, "a.yaml") + ":4:23",
			"b.yaml:2:1: state: key \"state\" is given twice; first at " + filepath.Join(dir, "a.yaml") + ":5:8",
			"b.yaml:4:3: syncs.usage: key \"usage\" is given twice; first at " + filepath.Join(dir, "a.yaml") + ":7:10",
		} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("no fault %q in\n%v", want, err)
			}
		}
	})
	t.Run("one broken", func(t *testing.T) {
		t.Parallel()
		files := map[string]string{"a.yaml": "syncs: [", "b.yaml": good["a.yaml"] + "nope: 1\n"}
		_, err := configs.Load(write(t, files), options())
		if got := strings.Count(err.Error(), "hint:"); got != 2 {
			t.Errorf("want the syntax error and the unknown key, nothing that may only seem missing:\n%v", err)
		}
	})
	t.Run("empty", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		if _, err := configs.Load(dir, options()); err == nil || !strings.Contains(err.Error(), dir+": the folder holds no *.yaml file") {
			t.Errorf("Load of an empty folder: %v", err)
		}
	})
	t.Run("absent", func(t *testing.T) {
		t.Parallel()
		if _, err := configs.Load("nowhere.yaml", options()); err == nil || !strings.Contains(err.Error(), "nowhere.yaml: cannot be read: ") {
			t.Errorf("Load of a file that is not there: %v", err)
		}
	})
}

func TestFileReferenceIsRelativeToTheYAML(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := "warehouses: {shop: {type: postgres, dsn: \"${file:dsn}\"}}\nprojects: {web: {project_id: 1, region: us, model: standard, token: t}}\n" +
		"syncs: {usage: {type: event, warehouse: shop, project: web, table: t, mode: full, mapping: {event: e, time: t, insert_id: i}}}\n"
	for name, content := range map[string]string{"mixsync.yaml": text, "dsn": "postgres://localhost/a\r\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := configs.Load(filepath.Join(dir, "mixsync.yaml"), configs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Warehouses["shop"].Postgres.DSN.Reveal(); got != "postgres://localhost/a" {
		t.Errorf("dsn = %q", got)
	}
}

// TestAllowUnset loads every good file in an empty environment, as CI does to
// lint without secrets.
func TestAllowUnset(t *testing.T) {
	t.Parallel()
	nothing := configs.Options{
		Getenv:     func(string) (string, bool) { return "", false },
		ReadFile:   func(string) ([]byte, error) { return nil, os.ErrNotExist },
		AllowUnset: true,
	}
	for _, path := range append(append(glob(t, "testdata/*.good.yaml"), glob(t, "examples/*.yaml")...), "examples/folder") {
		f, err := configs.Load(path, nothing)
		if err != nil {
			t.Errorf("Load(%s):\n%v", path, err)
			continue
		}
		effective(t, f)
	}

	text := strings.NewReplacer("type: event", "type: ${A}", "table: app.usage", "table: \"${A}\"", "mode: append", "mode: ${A}", "primary_key: [id]", "primary_key: [\"${A}\"]",
		"warehouse: shop", "warehouse: ${A}", "project: prod", "project: [\"${A}\", prod]", "region: us", `region: "${A}"`, "project_id: 1", `project_id: "${A}"`, "model: hierarchical", `model: "${A}"`,
		"column: loaded_at", `column: "${A}", lookback: "${A}", settle: "${A}", slice: "${A}", start: "${A}"`, "time: at", `time: {column: "${A}", unit: "${A}"}`, "event: name", `event: {value: "${A}"}`).Replace(minimal)
	text += "    schedule: ${A}\n    timezone: ${A}\n    disabled: ${A}\n    max_rejects: ${A}\n    identity: {missing_user: \"${A}\"}\n    group_key: ${A}\n    properties: {include: [\"${A}\"], constants: {x: \"${A}\"}}\n"
	f := mustParse(t, text, nothing)
	for _, line := range []string{`"prod":{"project_id":"${A}","region":"${A}","model":"${A}"`, `"type":"${A}"`, `"project":["${A}","prod"]`, `"lookback":"${A}"`, `"primary_key":["${A}"]`, `"disabled":"${A}"`} {
		if b, err := f.EffectiveJSON(); err != nil || !strings.Contains(string(b), line) {
			t.Errorf("%s is not in\n%s (%v)", line, b, err)
		}
	}
	if _, err := parse(strings.Replace(minimal, "table: app.usage", "tabel: ${A}", 1), nothing); err == nil {
		t.Error("AllowUnset lets an unknown key pass")
	}
}

func TestEffectiveJSON(t *testing.T) {
	t.Parallel()
	b, err := load(t, "testdata/references.good.yaml").EffectiveJSON()
	if err != nil {
		t.Fatal(err)
	}
	noSecret(t, "EffectiveJSON", strings.ReplaceAll(string(b), env["TRICKY"], ""))
	var got struct {
		State    string
		Projects map[string]struct {
			ProjectID int64                             `json:"project_id"`
			Account   struct{ Username, Secret string } `json:"service_account"`
		}
		Syncs map[string]struct {
			Query    string
			Disabled bool
			Cursor   struct{ Lookback string }
		}
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatalf("%v in\n%s", err, b)
	}
	if got.State != "postgres://mixsync:***@db/mixsync?sslmode=require" || got.Projects["prod"].ProjectID != 3141592 ||
		got.Projects["prod"].Account.Username != env["TRICKY"] || got.Projects["prod"].Account.Secret != "***" {
		t.Errorf("got %+v", got)
	}
	if s := got.Syncs["usage"]; s.Query != "SELECT '${x}' AS a, $1 AS lone, $$tag$$ AS b FROM t" || !s.Disabled || s.Cursor.Lookback != "1d" {
		t.Errorf("sync = %+v", s)
	}
}

func TestSettingsOfIntegers(t *testing.T) {
	t.Parallel()
	f := load(t, "testdata/integer-cursor.good.yaml")
	orders := f.Sync("orders")
	if l := orders.Cursor.Lookback; !l.IsCount() || l.Count != 500 || l.Duration != 0 || !l.IsSet {
		t.Errorf("lookback = %+v, want a count of 500", l)
	}
	if orders.Cursor.Slice != "100000" || orders.Cursor.Start != "1000" || orders.MaxRejects != (configs.Threshold{}) ||
		orders.MaxRestated != (configs.Threshold{Percent: 5, IsPercent: true}) || orders.Namespace != "orders-v1" || orders.Future != mapping.HoldRow {
		t.Errorf("orders = %+v, cursor %+v", orders, orders.Cursor)
	}
	people := f.Sync("people")
	if l := people.Cursor.Lookback; l.Count != 0 || !l.IsCount() || !l.IsSet {
		t.Errorf("lookback = %+v, want a set 0", l)
	}
	if people.OnDelete != configs.Keep || people.Nulls != mapping.NullsSend || people.Resync != configs.Forbid {
		t.Errorf("people = %+v", people)
	}
	if p := f.Sync("products"); p.Mode != configs.Full || p.PrimaryKey[0] != "sku" {
		t.Errorf("products = %+v", p)
	}
	if f.Lease != 45*time.Second || f.Projects["web"].RequestTimeout != time.Minute || f.Projects["full"].RequestTimeout != 30*time.Second {
		t.Errorf("lease %s, request timeouts %s and %s", f.Lease, f.Projects["web"].RequestTimeout, f.Projects["full"].RequestTimeout)
	}
}

// minimal is the smallest configuration of an event sync; its last block is the
// sync, so that keys can be added to it.
const minimal = `warehouses:
  shop: {type: postgres, dsn: "postgres://localhost/shop"}
projects:
  prod: {project_id: 1, region: us, model: hierarchical, token: t}
syncs:
  usage:
    type: event
    warehouse: shop
    project: prod
    table: app.usage
    mode: append
    primary_key: [id]
    cursor: {column: loaded_at}
    mapping: {event: name, time: at, company_id: account, user_id: member}
`
