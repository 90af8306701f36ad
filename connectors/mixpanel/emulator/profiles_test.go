package emulator_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mixsync/mixsync/connectors/mixpanel/emulator"
)

const groups = "/groups?strict=1&verbose=1&ip=0"

// company is an update of company acme.
func company(op string) string {
	return `{"$token":"T","$group_key":"$company_id","$group_id":"acme","$company_id":"acme",` + op + `}`
}

func TestProfileIDs(t *testing.T) {
	t.Parallel()
	record := func(members string) string { return `[{"$token":"T",` + members + `,"$set":{"a":1}}]` }
	tests := []struct {
		model, path, members string
		id                   string // empty: not stored
		violation            string
	}{
		{"", "/groups", `"$group_key":"$company_id","$group_id":"acme","$company_id":"acme"`, "$company:acme", ""},
		{"", "/groups", `"$group_key":"$user_id","$group_id":"alice","$company_id":"acme"`, "$company:acme|$user:alice", ""},
		{"", "/groups", `"$group_key":"team_id","$group_id":"7","$company_id":"acme"`, "$company:acme|team_id:7", ""},
		{"", "/groups", `"$group_key":"$user_id","$group_id":"alice"`, "", emulator.MissingCompany},
		{"", "/groups", `"$group_key":"$user_id","$group_id":"alice","$company_id":""`, "", emulator.MissingCompany},
		{"", "/groups", `"$group_key":"$user_id","$group_id":"alice","$company_id":7`, "", emulator.MissingCompany},
		{"", "/groups", `"$group_key":"$user_id","$group_id":"$user:alice","$company_id":"acme"`, "", emulator.PrefixedID},
		{"", "/groups", `"$group_key":"$user_id","$group_id":"alice","$company_id":"$company:acme"`, "", emulator.PrefixedID},
		{"", "/groups", `"$group_key":"$company_id","$group_id":"acme","$company_id":"globex"`, "", emulator.CompanyMismatch},
		{"", "/groups", `"$group_key":"$user_id","$group_id":"NULL","$company_id":"acme"`, "", emulator.JunkID},
		{"", "/groups", `"$group_key":"$user_id","$group_id":"alice","$company_id":"0"`, "", emulator.JunkID},
		{"", "/engage", `"$distinct_id":"alice"`, "", emulator.WrongEndpoint},
		{emulator.Standard, "/engage", `"$distinct_id":"alice"`, "alice", ""},
		{emulator.Standard, "/engage", `"$distinct_id":"undefined"`, "", emulator.JunkID},
		{emulator.Standard, "/groups", `"$group_key":"team_id","$group_id":"7"`, "team_id:7", ""},
		{emulator.Standard, "/groups", `"$token":"other","$group_key":"team_id","$group_id":"7"`, "", emulator.WrongToken},
	}
	for _, tt := range tests {
		t.Run(tt.model+tt.path+tt.members, func(t *testing.T) {
			t.Parallel()
			for _, keysOnly := range []bool{false, true} {
				s := newServer(emulator.Options{Model: tt.model, Token: "T", KeysOnly: keysOnly})
				// Mixpanel does not tell stored from stuck.
				if status, body := post(t, s, tt.path, asJSON, record(tt.members)); status != http.StatusOK || body != "1" {
					t.Fatalf("answer = %d %s, want 200 1", status, body)
				}
				if got := strings.Join(s.ProfileIDs(), " "); got != tt.id {
					t.Errorf("ids = %q, want %q", got, tt.id)
				}
				kind := ""
				if v := s.Violations(); len(v) > 0 {
					kind = v[0].Kind
				}
				if kind != tt.violation {
					t.Errorf("violation = %q, want %q", kind, tt.violation)
				}
			}
		})
	}
}

func TestOperations(t *testing.T) {
	t.Parallel()
	n := func(text string) any { return json.Number(text) }
	list := func(items ...any) any { return items }
	long := strings.Repeat("é", 200)
	tests := []struct {
		name string
		ops  []string
		want map[string]any // nil: no such profile
	}{
		{"set", []string{`"$set":{"a":1,"b":"x"}`, `"$set":{"a":2.50}`}, map[string]any{"a": n("2.50"), "b": "x"}},
		{"set null", []string{`"$set":{"a":null}`}, map[string]any{"a": nil}},
		{"set nothing", []string{`"$set":{}`}, nil},
		{"set long", []string{`"$set":{"a":["` + long + `"]}`}, map[string]any{"a": list(long[:254])}},
		{"set_once", []string{`"$set_once":{"a":1}`, `"$set_once":{"a":2,"b":3}`}, map[string]any{"a": n("1"), "b": n("3")}},
		{"unset", []string{`"$set":{"a":1,"b":2}`, `"$unset":["a","c"]`}, map[string]any{"b": n("2")}},
		{"unset nobody", []string{`"$unset":["a"]`}, nil},
		{"union", []string{`"$union":{"l":["a","b","a"]}`, `"$union":{"l":["b","c"]}`}, map[string]any{"l": list("a", "b", "c")}},
		{"union with scalar", []string{`"$set":{"l":"a"}`, `"$union":{"l":["b"]}`}, map[string]any{"l": list("a", "b")}},
		{"remove", []string{`"$set":{"l":["a","b","a"],"s":"a"}`, `"$remove":{"l":"a","s":"a","x":1}`}, map[string]any{"l": list("b"), "s": "a"}},
		{"append", []string{`"$append":{"l":"a"}`, `"$append":{"l":"a"}`}, map[string]any{"l": list("a", "a")}},
		{"add", []string{`"$add":{"n":3}`, `"$add":{"n":-5}`, `"$add":{"f":0.5}`, `"$add":{"f":1}`}, map[string]any{"n": n("-2"), "f": n("1.5")}},
		{"delete", []string{`"$set":{"a":1}`, `"$delete":""`}, nil},
		{"delete and set", []string{`"$set":{"a":1}`, `"$delete":null`, `"$set":{"b":2}`}, map[string]any{"b": n("2")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(emulator.Options{Model: emulator.Standard})
			for _, op := range tt.ops {
				body := `[{"$token":"T","$distinct_id":"u",` + op + `}]`
				if status, answer := post(t, s, "/engage?verbose=1", asJSON, body); status != 200 || answer != `{"error":null,"status":1}` {
					t.Fatalf("%s: answer = %d %s", op, status, answer)
				}
			}
			if diff := cmp.Diff(tt.want, s.Profiles()["u"].Properties); diff != "" {
				t.Errorf("properties (-want +got):\n%s", diff)
			}
		})
	}
}

func TestProfileAnswers(t *testing.T) {
	t.Parallel()
	good := company(`"$set":{"a":1}`)
	const bad = `{"$token":"T","$group_key":"$company_id","$company_id":"acme","$set":{"a":2}}`
	failed := func(index int, field, message string, good int) string {
		return fmt.Sprintf(`{"code":200,"error":"some data points in the request failed validation","failed_records":[{"index":%d,"field":%q,"message":%q}],"num_good_events":%d,"status":0}`,
			index, field, message, good)
	}
	one := func(op, field, message string) (string, string) {
		return "[" + company(op) + "]", failed(0, field, message, 0)
	}
	const noID = "'$group_id' must be a string and must not be missing or blank"
	tests := []struct {
		name, target, body string
		options            emulator.Options
		status             int
		want               string
		stored             int
	}{
		{name: "plain", target: "/groups", body: "[" + good + "]", status: 200, want: "1", stored: 1},
		{name: "plain, one bad", target: "/groups", body: "[" + bad + "," + good + "]", status: 200, want: "1", stored: 1},
		{name: "plain, all bad", target: "/groups", body: "[" + bad + "]", status: 200, want: "0"},
		{name: "verbose", target: "/groups?verbose=1", body: "[" + good + "]", status: 200, want: `{"error":null,"status":1}`, stored: 1},
		{name: "verbose, one bad", target: "/groups?verbose=1", body: "[" + good + "," + bad + "]", status: 200, want: `{"error":"` + noID + `","status":1}`, stored: 1},
		{name: "verbose, all bad", target: "/groups?verbose=1", body: "[" + bad + "]", status: 200, want: `{"error":"` + noID + `","status":0}`},
		{name: "strict", target: groups, body: "[" + good + "]", status: 200, want: `{"code":200,"error":null,"num_good_events":1,"status":1}`, stored: 1},
		{name: "strict, one bad", target: groups, body: "[" + good + "," + bad + "]", status: 200, want: failed(1, "$group_id", noID, 1), stored: 1},
		{name: "atomic", target: groups, body: "[" + good + "," + bad + "]", options: emulator.Options{AtomicProfiles: true}, status: 200, want: failed(1, "$group_id", noID, 0)},
		{name: "single object", target: groups, body: good, status: 200, want: `{"code":200,"error":null,"num_good_events":1,"status":1}`, stored: 1},
		{name: "no JSON", target: groups, body: "[" + good, status: 400, want: `{"code":400,"error":"invalid JSON in the record that starts at byte 1","status":"Bad Request"}`},
		{name: "too large", target: groups, body: "[" + good + "]", options: emulator.Options{MaxBody: 9}, status: 413, want: `{"code":413,"error":"request exceeds max limit of 9 bytes","status":"Request Entity Too Large"}`},
		{name: "too many", target: groups, body: "[1,2]", options: emulator.Options{MaxRecords: 1}, status: 413, want: `{"code":413,"error":"too many records: one request may hold 1","status":"Request Entity Too Large"}`},
		{name: "batch refused", target: groups, body: "[" + good + "]", options: emulator.Options{Faults: emulator.Faults{Rules: []emulator.Rule{{Kind: "refuse_batch"}}}}, status: 200, want: `{"code":200,"error":"some data points in the request failed validation","failed_records":["the request was refused"],"num_good_events":0,"status":0}`},
		{name: "refused by id", target: groups, body: "[" + good + "]", options: emulator.Options{Faults: emulator.Faults{Rules: []emulator.Rule{{Kind: "refuse", IDs: []string{"$company:acme"}, Message: "m"}}}}, status: 200, want: failed(0, "properties", "m", 0)},
		{name: "refused by property", target: groups, body: "[" + good + "]", options: emulator.Options{Faults: emulator.Faults{Rules: []emulator.Rule{{Kind: "refuse", Property: "a", Value: 1, Message: "m"}}}}, status: 200, want: failed(0, "properties.a", "m", 0)},
		{name: "miscount", target: groups, body: "[" + good + "]", options: emulator.Options{Faults: emulator.Faults{Rules: []emulator.Rule{{Kind: "miscount"}}}}, status: 200, want: `{"code":200,"error":null,"num_good_events":0,"status":1}`, stored: 1},
	}
	for _, c := range []struct{ name, op, field, message string }{
		{"no operation", `"x":1`, "record", "record must have exactly one operation, has 0"},
		{"two operations", `"$set":{"a":1},"$unset":["b"]`, "record", "record must have exactly one operation, has 2"},
		{"set text", `"$set":"a"`, "$set", "'$set' must be an object"},
		{"unset nothing", `"$unset":[]`, "$unset", "'$unset' must be a non-empty array of property names"},
		{"unset numbers", `"$unset":[1]`, "$unset", "'$unset' must be a non-empty array of property names"},
		{"union text", `"$union":{"l":"a"}`, "$union", "'$union' of 'l' must be a non-empty array"},
		{"append", `"$append":{"l":"a"}`, "$append", "'$append' is not supported for groups"},
		{"add", `"$add":{"n":1}`, "$add", "'$add' is not supported for groups"},
		{"not UTF-8", "\"$set\":{\"a\":\"\xff\"}", "record", "record is invalid: string should be valid utf8"},
		{"large", `"$set":{"a":"` + strings.Repeat("x", 1_000_000) + `"}`, "record", "record is too large: must be less than 1000000 bytes"},
	} {
		body, want := one(c.op, c.field, c.message)
		tests = append(tests, struct {
			name, target, body string
			options            emulator.Options
			status             int
			want               string
			stored             int
		}{name: c.name, target: groups, body: body, status: 200, want: want})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(tt.options)
			status, body := post(t, s, tt.target, asJSON, tt.body)
			if status != tt.status || body != tt.want {
				t.Errorf("answer = %d %s\nwant     %d %s", status, body, tt.status, tt.want)
			}
			if got := s.Counters().ProfileWrites; got != tt.stored {
				t.Errorf("writes = %d, want %d", got, tt.stored)
			}
		})
	}
	t.Run("gzip", func(t *testing.T) {
		t.Parallel()
		s := newServer(emulator.Options{})
		status, body := post(t, s, groups, asJSON, "x", "Content-Encoding", "gzip")
		if want := `{"code":400,"error":"content encoding \"gzip\" is not supported here","status":"Bad Request"}`; status != 400 || body != want {
			t.Errorf("answer = %d %s, want 400 %s", status, body, want)
		}
	})
}

func TestProfileTimes(t *testing.T) {
	t.Parallel()
	s := newServer(emulator.Options{})
	post(t, s, groups, asJSON, "["+company(`"$ignore_time":true,"$set":{"a":1}`)+"]")
	if p := s.Profiles()["$company:acme"]; !p.LastSeen.IsZero() || p.Writes != 1 {
		t.Errorf("profile = %+v, want no last_seen", p)
	}
	post(t, s, groups, asJSON, "["+company(`"$set":{"a":1}`)+"]")
	want := emulator.Profile{
		ID: "$company:acme", GroupKey: "$company_id", GroupID: "acme", CompanyID: "acme",
		Properties: map[string]any{"a": json.Number("1")}, Writes: 2, LastSeen: now,
	}
	if diff := cmp.Diff(want, s.Profiles()["$company:acme"]); diff != "" {
		t.Errorf("profile (-want +got):\n%s", diff)
	}
}

func TestSameProfileTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := emulator.New(emulator.Options{Latency: time.Second})
		send := func(body string) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, groups, strings.NewReader(body))
			s.ServeHTTP(httptest.NewRecorder(), r)
		}
		one := company(`"$set":{"a":1}`)
		send("[" + one + "]")
		send("[" + one + "]") // after the first was answered: fine
		if v := s.Violations(); len(v) != 0 {
			t.Errorf("violations = %+v, want none", v)
		}
		send("[" + one + "," + one + "]")
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() { send("[" + one + "]") })
		}
		both.Wait()
		var got []string
		for _, v := range s.Violations() {
			got = append(got, fmt.Sprintf("%s %d %s", v.Kind, v.Index, v.Key))
		}
		want := []string{"duplicate_key 1 $company:acme", "concurrent_key 0 $company:acme"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("violations (-want +got):\n%s", diff)
		}
	})
}
