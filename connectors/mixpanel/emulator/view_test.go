package emulator_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mixsync/mixsync/connectors/mixpanel/emulator"
)

func TestDeduplication(t *testing.T) {
	t.Parallel()
	base := event("i", `"v":1`)
	millis := fmt.Sprint(now.UnixMilli())
	tests := []struct {
		name, second string
		want         int    // events
		ids          string // of these
	}{
		{"same", base, 1, "i"},
		{"other property", event("i", `"v":2`), 1, "i"},
		{"other insert id", event("j", `"v":1`), 2, "i j"},
		{"other time", strings.Replace(base, millis, fmt.Sprint(now.UnixMilli()+1), 1), 2, "i i"},
		{"other event", strings.Replace(base, `"E"`, `"F"`, 1), 2, "i i"},
		{"other user", event("i", `"$user_id":"u"`), 2, "i i"},
		{"other sent id, same derived one", event("i", `"$user_id":"x"`), 1, "i"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, keysOnly := range []bool{false, true} {
				s := newServer(emulator.Options{Model: emulator.Standard, KeysOnly: keysOnly})
				post(t, s, strict, asLines, base)
				post(t, s, strict, asLines, tt.second)
				if s.Count() != tt.want || s.RawCount() != 2 || s.Counters().Duplicates != 2-tt.want {
					t.Errorf("keys only %v: count, raw, duplicates = %d, %d, %d, want %d, 2, %d",
						keysOnly, s.Count(), s.RawCount(), s.Counters().Duplicates, tt.want, 2-tt.want)
				}
				if diff := cmp.Diff(strings.Fields(tt.ids), s.InsertIDs()); diff != "" {
					t.Errorf("keys only %v: insert ids (-want +got):\n%s", keysOnly, diff)
				}
			}
		})
	}
}

func TestNotStrict(t *testing.T) {
	t.Parallel()
	s := newServer(emulator.Options{Model: emulator.Standard})
	body := fmt.Sprintf(`{"event":"E","properties":{"time":%d,"distinct_id":"x"}}`, now.AddDate(1, 0, 0).UnixMilli())
	for range 2 {
		post(t, s, "/import?strict=0", asLines, body)
	}
	events := s.Events()
	if len(events) != 2 {
		t.Fatalf("%d events, want 2: without $insert_id nothing is deduplicated", len(events))
	}
	if !events[0].Time.Equal(now) {
		t.Errorf("time = %v, want the future overwritten with %v", events[0].Time, now)
	}
}

func TestEventView(t *testing.T) {
	t.Parallel()
	s := newServer(emulator.Options{})
	name := strings.Repeat("é", 150)
	first := event("i", `"$company_id":"acme"`, `"$device_id":"d"`)
	second := strings.Replace(event("i", `"$company_id":"acme"`, `"$device_id":"d"`, `"ip":0`, `"n":12345678901234567890`, `"s":"`+name+`"`), `"E"`, `"`+name+`"`, 1)
	link := event("l", `"$company_id":"acme"`, `"$device_id":"d"`, `"$user_id":"alice"`)
	other := event("o", `"$company_id":"globex"`, `"$device_id":"d"`, `"$user_id":"bob"`)
	post(t, s, strict, asLines, strings.Join([]string{first, second, second, link, other}, "\n"))
	want := emulator.Event{
		Name: name[:254], DistinctID: "$company:acme|$device:d", ResolvedID: "$company:acme|$user:alice", Time: now, InsertID: "i",
		Properties: map[string]any{
			"time": json.Number(fmt.Sprint(now.UnixMilli())), "$insert_id": "i", "distinct_id": "$company:acme|$device:d",
			"$company_id": "acme", "$device_id": "d", "n": json.Number("12345678901234567890"), "s": name[:254],
		},
		Copies: 2, Received: now, Raw: []byte(second),
	}
	if diff := cmp.Diff(want, s.Events()[1]); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
	if got := s.Counters().LinkConflicts; got != 1 {
		t.Errorf("link conflicts = %d, want 1: the first link wins", got)
	}
	if diff := cmp.Diff(map[string]string{"d": "$company:acme|$user:alice"}, s.Links()); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
}

func TestIgnoredEvent(t *testing.T) {
	t.Parallel()
	s := newServer(emulator.Options{Model: emulator.Standard})
	_, body := post(t, s, strict, asLines, event("i", `"$ignore":true`)+"\n"+strings.Replace(event("j"), `"event"`, `"x":1,"event"`, 1))
	if want := `{"code":200,"num_records_imported":2,"status":"OK"}`; body != want || s.RawCount() != 1 {
		t.Errorf("answer = %s, %d stored, want %s, 1", body, s.RawCount(), want)
	}
	want := map[string]int{emulator.Ignored: 1, emulator.UnknownMember: 1}
	if diff := cmp.Diff(want, s.Counters().Violations); diff != "" {
		t.Errorf("violations (-want +got):\n%s", diff)
	}
}

func TestControl(t *testing.T) {
	t.Parallel()
	s := newServer(emulator.Options{})
	for i := range 5 {
		user := fmt.Sprintf(`"$user_id":"u%d"`, i%2)
		post(t, s, strict, asLines, event(fmt.Sprintf("i%d", i), `"$company_id":"acme"`, user))
	}
	post(t, s, groups, asJSON, "["+company(`"$set":{"a":1}`)+`,{"$token":"T","$group_key":"team_id","$group_id":"7","$company_id":"acme","$set":{"b":1}}]`)

	for _, tt := range []struct {
		query string
		total int
		ids   string
	}{
		{"", 5, "i0 i1 i2 i3 i4"},
		{"?limit=2", 5, "i0 i1"},
		{"?limit=2&offset=4", 5, "i4"},
		{"?distinct_id=$company:acme%7C$user:u1", 2, "i1 i3"},
		{"?insert_id=i2", 1, "i2"},
		{"?event=E&limit=0", 5, ""},
		{"?event=F", 0, ""},
	} {
		var page struct {
			Total  int
			Events []struct {
				ID string `json:"insert_id"`
			}
		}
		if err := json.Unmarshal([]byte(get(t, s, "/emulator/events"+tt.query)), &page); err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, e := range page.Events {
			ids = append(ids, e.ID)
		}
		if got := strings.Join(ids, " "); page.Total != tt.total || got != tt.ids {
			t.Errorf("events%s = %d, %s, want %d, %s", tt.query, page.Total, got, tt.total, tt.ids)
		}
	}
	for query, want := range map[string]int{"": 2, "?group_key=team_id": 1, "?id=acme": 1, "?id=$company:acme": 1, "?id=x": 0} {
		var page struct{ Total int }
		if err := json.Unmarshal([]byte(get(t, s, "/emulator/profiles"+query)), &page); err != nil {
			t.Fatal(err)
		}
		if page.Total != want {
			t.Errorf("profiles%s = %d, want %d", query, page.Total, want)
		}
	}
	if got, want := get(t, s, "/emulator/keys"), "i0\ni1\ni2\ni3\ni4\n"; got != want {
		t.Errorf("keys = %q, want %q", got, want)
	}
	if got, want := get(t, s, "/emulator/keys?of=profiles"), "$company:acme\n$company:acme|team_id:7\n"; got != want {
		t.Errorf("profile keys = %q, want %q", got, want)
	}
	var state emulator.State
	if err := json.Unmarshal([]byte(get(t, s, "/emulator/state")), &state); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s.State(), state); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
	if state.Events != 5 || state.Profiles != 2 || state.Limits.MaxBody != 10_000_000 {
		t.Errorf("state = %+v", state)
	}
	if !strings.Contains(get(t, s, "/"), "/emulator/state") {
		t.Error("the index names no endpoints")
	}
	post(t, s, "/emulator/reset", asJSON, "")
	if s.RawCount() != 0 || len(s.Profiles()) != 0 || len(s.Requests()) != 0 || s.Counters().Received != 0 {
		t.Errorf("state after reset = %+v", s.State())
	}
	for target, want := range map[string]int{"/emulator/events?limit=x": 400, "/emulator/profiles?offset=-1": 400, "/emulator/keys?of=x": 400, "/import": 405, "/track": 404} {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil))
		if w.Code != want {
			t.Errorf("GET %s = %d, want %d", target, w.Code, want)
		}
	}
}

func TestKeysOnlyControl(t *testing.T) {
	t.Parallel()
	s := newServer(emulator.Options{KeysOnly: true})
	const uuid, hexID = "123e4567-e89b-12d3-a456-426614174000", "00112233445566778899aabbccddeeff"
	for _, id := range []string{uuid, "17", "ABC-7", hexID, "9"} {
		post(t, s, strict, asLines, event(id))
	}
	if got, want := get(t, s, "/emulator/keys"), strings.Join([]string{hexID, uuid, "17", "9", "ABC-7", ""}, "\n"); got != want {
		t.Errorf("keys = %q, want %q", got, want)
	}
	for _, target := range []string{"/emulator/events", "/emulator/profiles"} {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil))
		if w.Code != http.StatusConflict {
			t.Errorf("GET %s = %d, want 409", target, w.Code)
		}
	}
}

// TestConcurrent imports from many sides while others look on.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	for _, keysOnly := range []bool{false, true} {
		s := newServer(emulator.Options{KeysOnly: keysOnly})
		var group sync.WaitGroup
		for sender := range 8 {
			group.Go(func() {
				for i := range 50 {
					// Every event is sent by two senders.
					id := fmt.Sprintf("%d-%d", sender/2, i)
					post(t, s, strict, asLines, event(id, `"$company_id":"c"`, `"$user_id":"u"`, `"$device_id":"d"`))
					if i%10 == 0 {
						s.Events()
						s.State()
						s.InsertIDs()
						s.Requests()
					}
				}
			})
		}
		group.Wait()
		if s.RawCount() != 400 || s.Count() != 200 || s.Counters().Duplicates != 200 {
			t.Errorf("keys only %v: raw, count, duplicates = %d, %d, %d, want 400, 200, 200",
				keysOnly, s.RawCount(), s.Count(), s.Counters().Duplicates)
		}
	}
}

func TestServe(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := emulator.New(emulator.Options{Latency: 50 * time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	status, body, err := call(t, "http://"+l.Addr().String())
	if status != http.StatusOK || err != nil {
		t.Errorf("answer = %d %s, %v", status, body, err)
	}
	if err := s.Listen(ctx, l.Addr().String()); err == nil {
		t.Error("Listen on a port in use gave no error")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Serve = %v, want nil after its context ended", err)
	}
	if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := s.Serve(t.Context(), l); err == nil {
		t.Error("Serve on a closed listener gave no error")
	}
}
