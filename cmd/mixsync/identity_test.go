package main

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mixsync/mixsync/connectors/mixpanel/emulator"
)

// tap stands before the emulator and keeps what is sent to a path.
type tap struct {
	mu     sync.Mutex
	query  []string
	bodies []string
}

// tapped puts a tap between mixsync and the emulator.
func (w *world) tapped(path string) *tap {
	w.t.Helper()
	p := &tap{}
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == path {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				w.t.Errorf("read a request: %v", err)
			}
			p.mu.Lock()
			p.query, p.bodies = append(p.query, r.URL.RawQuery), append(p.bodies, string(body))
			p.mu.Unlock()
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		w.mp.ServeHTTP(rw, r)
	}))
	w.t.Cleanup(s.Close)
	w.url = s.URL
	return p
}

// records returns all records that went by.
func (p *tap) records(t *testing.T) (all []map[string]any) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, body := range p.bodies {
		var batch []map[string]any
		if err := json.Unmarshal([]byte(body), &batch); err != nil {
			t.Fatalf("%v in %s", err, body)
		}
		all = append(all, batch...)
	}
	return all
}

const hierarchySyncs = `
companies:
  type: group
  group_key: $company_id
  table: crm.companies
  mode: full
  primary_key: [id]
  mapping: {company_id: id}
  properties: {rename: {name: $name}}
users:
  type: group
  group_key: $user_id
  table: crm.users
  mode: full
  primary_key: [company, id]
  mapping: {company_id: company, group_id: id}
  properties: {rename: {name: $name}}
teams:
  type: group
  group_key: team_id
  table: crm.teams
  mode: full
  primary_key: [company, id]
  mapping: {company_id: company, group_id: id}
  properties: {rename: {name: $name}}
`

// The three forms of the documentation, with what keeps an import from looking
// like a visit: no address, and no time at which the profile was last seen.
func TestGroupRecordsHaveTheDocumentedForms(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emulator.Options{})
	p := w.tapped("/groups")
	w.exec(`CREATE SCHEMA crm;
		CREATE TABLE crm.companies (id text PRIMARY KEY, name text, plan text, industry text, arr int);
		CREATE TABLE crm.users (company text, id text, name text, role text, signup_date date, PRIMARY KEY (company, id));
		CREATE TABLE crm.teams (company text, id text, name text, headcount int, PRIMARY KEY (company, id));
		INSERT INTO crm.companies VALUES ('acme_corp', 'Acme Corporation', 'enterprise', 'Technology', 120000);
		INSERT INTO crm.users VALUES ('acme_corp', 'alice', 'Alice Smith', 'admin', '2024-01-15');
		INSERT INTO crm.teams VALUES ('acme_corp', 'engineering', 'Engineering Team', 25)`)
	w.configure(hierarchySyncs)
	w.run(0, "companies")
	w.run(0, "users")
	w.run(0, "teams")

	record := func(key, id string, set map[string]any) map[string]any {
		return map[string]any{
			"$token": "tok", "$group_key": key, "$group_id": id, "$company_id": "acme_corp",
			"$set": set, "$ip": "0", "$ignore_time": true,
		}
	}
	diff(t, "records", p.records(t), []map[string]any{
		record("$company_id", "acme_corp", map[string]any{"$name": "Acme Corporation", "plan": "enterprise", "industry": "Technology", "arr": 120000.0}),
		record("$user_id", "alice", map[string]any{"$name": "Alice Smith", "role": "admin", "signup_date": "2024-01-15"}),
		record("team_id", "engineering", map[string]any{"$name": "Engineering Team", "headcount": 25.0}),
	})
	for _, q := range p.query {
		for _, want := range []string{"strict=1", "verbose=1", "ip=0"} {
			if !slices.Contains(strings.Split(q, "&"), want) {
				t.Errorf("/groups?%s is without %s", q, want)
			}
		}
	}
	if v := w.mp.Violations(); len(v) > 0 {
		t.Errorf("Mixpanel would take silently: %v", v)
	}
}

func TestProfilesOfTheSameUserInTwoCompanies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emulator.Options{})
	w.exec(`CREATE SCHEMA crm;
		CREATE TABLE crm.companies (id text, name text);
		CREATE TABLE crm.users (company text, id text, name text);
		CREATE TABLE crm.teams (company text, id bigint, name text);
		INSERT INTO crm.companies VALUES ('acme', 'Acme'), ('globex', 'Globex'), ('$company:acme', 'bad'), ('', 'bad'), (NULL, 'bad'), ('null', 'bad');
		INSERT INTO crm.users VALUES ('acme', 'alice', 'Alice A'), ('globex', 'alice', 'Alice G'), ('acme', '$user:bob', 'bad'), ('$company:acme', 'bob', 'bad'),
			('acme', ' ', 'bad'), ('acme', 'undefined', 'bad'), ('acme', NULL, 'bad'), (NULL, 'bob', 'bad');
		INSERT INTO crm.teams VALUES ('acme', 7, 'Seven'), ('globex', 7, 'Another'), ('acme', NULL, 'bad')`)
	w.configure(strings.ReplaceAll(hierarchySyncs, "mode: full", "mode: full\n  max_rejects: 100"))
	want := map[string]map[string]int64{
		"companies": {"prefixed_id": 1, "blank_id": 1, "missing_company": 1, "junk_id": 1},
		"users":     {"prefixed_id": 2, "blank_id": 1, "missing_company": 1, "junk_id": 1, "missing_id": 1},
		"teams":     {"missing_id": 1},
	}
	o := w.run(0)
	for name, codes := range want {
		diff(t, name, o.syncs[name].RejectCounts, codes)
	}
	names := map[string]any{}
	for id, p := range w.mp.Profiles() {
		names[id] = p.Properties["$name"]
	}
	diff(t, "profiles", names, map[string]any{
		"$company:acme": "Acme", "$company:globex": "Globex",
		"$company:acme|$user:alice": "Alice A", "$company:globex|$user:alice": "Alice G",
		"$company:acme|team_id:7": "Seven", "$company:globex|team_id:7": "Another",
	})
	if v := w.mp.Violations(); len(v) > 0 {
		t.Errorf("Mixpanel would take silently: %v", v)
	}
}

const eventSync = `
events:
  type: event
  table: events
  mode: full
  primary_key: [id]
  mapping: {event: {value: Seen}, time: at, company_id: company, user_id: person, device_id: device, insert_id: id}
  max_rejects: 100
`

func TestIdentitiesOfEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emulator.Options{})
	w.exec(`CREATE TABLE events (id text, at timestamptz DEFAULT now() - interval '1 day', company text, person text, device text);
		INSERT INTO events (id, company, person, device) VALUES
			('both', 'acme', 'alice', NULL), ('all', 'acme', 'alice', 'd1'), ('other', 'globex', 'alice', NULL),
			('device', NULL, NULL, 'd2'), ('company-device', 'acme', NULL, 'd3'),
			('no-user', 'acme', NULL, NULL), ('no-company', NULL, 'alice', NULL), ('nobody', NULL, NULL, NULL), ('no-company-device', NULL, 'alice', 'd4'),
			('prefix-c', '$company:acme', 'alice', NULL), ('prefix-u', 'acme', '$user:alice', NULL), ('prefix-d', NULL, NULL, '$device:d'),
			('blank-c', '', 'alice', NULL), ('blank-u', 'acme', '  ', NULL), ('junk-c', 'undefined', 'alice', NULL), ('junk-u', 'acme', 'null', NULL),
			(NULL, 'acme', 'alice', NULL)`)
	w.configure(eventSync)
	r := w.sync("events")
	if r.Status != "partial" || r.Rows != 17 || r.Accepted != 5 {
		t.Errorf("report: %+v", r)
	}
	diff(t, "rejects", w.rejects(), map[string]string{
		`{"id":"no-user"}`: "missing_user", `{"id":"no-company"}`: "missing_company", `{"id":"nobody"}`: "missing_company", `{"id":"no-company-device"}`: "missing_company",
		`{"id":"prefix-c"}`: "prefixed_id", `{"id":"prefix-u"}`: "prefixed_id", `{"id":"prefix-d"}`: "prefixed_id",
		`{"id":"blank-c"}`: "blank_id", `{"id":"blank-u"}`: "blank_id", `{"id":"junk-c"}`: "junk_id", `{"id":"junk-u"}`: "junk_id",
		`{"id":null}`: "missing_id",
	})
	who := map[string]string{}
	for _, e := range w.mp.Events() {
		who[e.InsertID] = e.DistinctID
		if sent := sentDistinctID(t, e.Raw); sent != e.DistinctID {
			t.Errorf("%s: distinct_id %q was sent, Mixpanel derives %q", e.InsertID, sent, e.DistinctID)
		}
	}
	diff(t, "distinct ids", who, map[string]string{
		"both": "$company:acme|$user:alice", "all": "$company:acme|$user:alice", "other": "$company:globex|$user:alice",
		"device": "$device:d2", "company-device": "$company:acme|$device:d3",
	})
	diff(t, "links", w.mp.Links(), map[string]string{"d1": "$company:acme|$user:alice"})
	if v := w.mp.Violations(); len(v) > 0 {
		t.Errorf("Mixpanel would take silently: %v", v)
	}
}

func sentDistinctID(t *testing.T, raw []byte) string {
	t.Helper()
	var e struct {
		Properties struct {
			DistinctID string `json:"distinct_id"`
		}
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatal(err)
	}
	return e.Properties.DistinctID
}

// A standard project has users without companies, by /engage, and groups
// without hierarchy.
func TestStandardProject(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emulator.Options{Model: emulator.Standard})
	w.model = "standard"
	w.exec(`CREATE TABLE people (id text PRIMARY KEY, name text, updated_at timestamptz);
		INSERT INTO people VALUES ('alice', 'Alice', now() - interval '1 hour'), ('bob', 'Bob', now() - interval '1 hour');
		CREATE TABLE teams (id bigint PRIMARY KEY, name text);
		INSERT INTO teams VALUES (7, 'Seven');
		CREATE TABLE events (id text PRIMARY KEY, at timestamptz DEFAULT now() - interval '1 day', person text, device text);
		INSERT INTO events (id, person, device) VALUES ('user', 'alice', NULL), ('device', NULL, 'd1')`)
	p := w.tapped("/engage")
	w.configure(`
people:
  type: user
  table: people
  mode: upsert
  cursor: {column: updated_at}
  primary_key: [id]
  mapping: {user_id: id}
  properties: {rename: {name: $name}, exclude: [updated_at]}
teams:
  type: group
  group_key: team_id
  table: teams
  mode: full
  mapping: {group_id: id}
events:
  type: event
  table: events
  mode: full
  primary_key: [id]
  mapping: {event: {value: Seen}, time: at, user_id: person, device_id: device, insert_id: id}
`)
	w.run(0)
	for _, r := range p.records(t) {
		if r["$distinct_id"] == "alice" {
			diff(t, "record", r, map[string]any{"$token": "tok", "$distinct_id": "alice", "$ip": "0", "$ignore_time": true, "$set": map[string]any{"$name": "Alice"}})
		}
	}
	if got := slices.Sorted(maps.Keys(w.mp.Profiles())); !slices.Equal(got, []string{"alice", "bob", "team_id:7"}) {
		t.Errorf("profiles: %q", got)
	}
	who := map[string]string{}
	for _, e := range w.mp.Events() {
		who[e.InsertID] = e.DistinctID
	}
	diff(t, "distinct ids", who, map[string]string{"user": "alice", "device": "$device:d1"})
	w.exec(`UPDATE people SET name = 'Alicia', updated_at = updated_at + interval '1 minute' WHERE id = 'alice'`)
	w.sends("people", 1)
	if got := w.mp.Profiles()["alice"].Properties["$name"]; got != "Alicia" {
		t.Errorf("alice is called %v", got)
	}
	w.sends("people", 0)
}
