package emulator_test

import (
	"encoding/base64"
	"net/url"
	"testing"

	"github.com/mixsync/mixsync/connectors/mixpanel/emulator"
)

// TestEngage speaks to /engage as different SDKs do.
func TestEngage(t *testing.T) {
	t.Parallel()
	const (
		form   = "application/x-www-form-urlencoded"
		record = `{"$token":"T","$distinct_id":"u","$set":{"a":"ü?~>"}}`
	)
	data := url.Values{"data": {"[" + record + "]"}}
	verbose := url.Values{"data": {record}, "verbose": {"1"}}
	coded := base64.StdEncoding.EncodeToString([]byte(record))
	bad := func(message string) string { return `{"code":400,"error":"` + message + `","status":"Bad Request"}` }
	tests := []struct {
		name, target, kind, body string
		status                   int
		want                     string
		stored                   bool
	}{
		{"plain", "/engage", asJSON, "[" + record + "]", 200, "1", true},
		{"plain, invalid", "/engage", asJSON, `[{"$token":"T"}]`, 200, "0", false},
		{"verbose 2", "/engage?verbose=2", asJSON, "[" + record + "]", 200, `{"error":null,"status":1}`, true},
		{"verbose 0", "/engage?verbose=0", asJSON, "[" + record + "]", 200, "1", true},
		{"number as id", "/engage", asJSON, `[{"$token":"T","$distinct_id":7,"$set":{"a":1}}]`, 200, "0", false},
		{"hints", "/engage", asJSON, `[{"$token":"T","$distinct_id":"u","$ip":"0","$time":1,"$latitude":1.5,"$longitude":1,"$set":{"a":1}}]`, 200, "1", true},
		{"delete", "/engage", asJSON, `[` + record + `,{"$token":"T","$distinct_id":"u","$ignore_alias":true,"$delete":"null"}]`, 200, "1", false},
		{"form", "/engage", form, data.Encode(), 200, "1", true},
		{"form, verbose", "/engage", form, verbose.Encode(), 200, `{"error":null,"status":1}`, true},
		{"form, base64", "/engage", form, url.Values{"data": {coded}}.Encode(), 200, "1", true},
		{"form, base64 not escaped", "/engage", form, "data=" + coded, 200, "1", true},
		{"form, no JSON", "/engage", form, "data=%7B%7D%7D", 400, bad("body is not JSON"), false},
		{"form, neither", "/engage", form, "data=!", 400, bad("field data is neither JSON nor base64"), false},
		{"form without data", "/engage", form, "x=1", 400, bad("body is a form without a field data: send application/json"), false},
		{"JSON under curl's type", "/engage", form, "[" + record + "]", 200, "1", true},
		{"JSONP", "/engage?callback=a.b_1", asJSON, "[" + record + "]", 200, "a.b_1(1);", true},
		{"JSONP, no name", "/engage?callback=%3Cscript%3E", asJSON, "[" + record + "]", 200, "1", true},
		{"JSONP, error", "/engage?callback=f", asJSON, "", 400, bad("body must be a JSON array"), false},
		{"no JSONP", "/groups?callback=f", asJSON, `[{"$token":"T","$group_key":"k","$group_id":"v","$set":{"a":1}}]`, 200, "1", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(emulator.Options{Model: emulator.Standard})
			status, body := post(t, s, tt.target, tt.kind, tt.body)
			if status != tt.status || body != tt.want {
				t.Errorf("answer = %d %s\nwant     %d %s", status, body, tt.status, tt.want)
			}
			if _, stored := s.Profiles()["u"]; stored != tt.stored {
				t.Errorf("stored = %v, want %v", stored, tt.stored)
			}
		})
	}
}
