package configs_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/mixsync/mixsync/configs"
)

func TestSecretIsNeverPrinted(t *testing.T) {
	t.Parallel()
	s := configs.Secret("hunter2")
	box := struct {
		S configs.Secret
		P *configs.Secret
	}{s, &s}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", s, "box", box)
	j, err := json.Marshal(box)
	if err != nil {
		t.Fatal(err)
	}
	y, err := yaml.Marshal(box)
	if err != nil {
		t.Fatal(err)
	}
	text, err := s.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	for what, got := range map[string]string{
		"verbs":  fmt.Sprintf("%s %v %+v %#v %q %x %d %t", s, s, s, s, s, s, s, s),
		"struct": fmt.Sprintf("%v %+v %#v", box, box, box),
		"string": s.String() + s.GoString(), "json": string(j), "yaml": string(y), "text": string(text), "log": log.String(),
	} {
		if strings.Contains(got, "hunter2") || strings.Contains(got, "68756e74657232") || !strings.Contains(got, "***") {
			t.Errorf("%s: %s", what, got)
		}
	}
	if s.Reveal() != "hunter2" {
		t.Errorf("Reveal = %q", s.Reveal())
	}
}

func TestParseDuration(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for in, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "10m": 10 * time.Minute, "1d": day, "36h": 36 * time.Hour, "1w2d": 9 * day, "1d12h": 36 * time.Hour,
		"1.5d": 36 * time.Hour, "250ms": 250 * time.Millisecond, "1h30m": 90 * time.Minute, "0.5w": 84 * time.Hour,
	} {
		if got, err := configs.ParseDuration(in); got != want || err != nil {
			t.Errorf("ParseDuration(%q) = %s, %v, want %s", in, got, err, want)
		}
	}
	for _, in := range []string{"", "1", "d", "-1d", "1y", "1 d", "1d 2h", "d1", "1.2.3d", ".", "1dd", "300y", "99999999999w", "15250w1d1d15250w", "1e3s"} {
		if got, err := configs.ParseDuration(in); err == nil {
			t.Errorf("ParseDuration(%q) = %s, want an error", in, got)
		}
	}
}

func TestParseThreshold(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"1%": "1%", "0.5 %": "0.5%", "100%": "100%", "0": "0", "250": "250"} {
		if got, err := configs.ParseThreshold(in); got.String() != want || err != nil {
			t.Errorf("ParseThreshold(%q) = %s, %v, want %s", in, got, err, want)
		}
	}
	for _, in := range []string{"", "%", "-1%", "101%", "NaN%", "1.5", "-1", "one"} {
		if got, err := configs.ParseThreshold(in); err == nil {
			t.Errorf("ParseThreshold(%q) = %s, want an error", in, got)
		}
	}
}

func TestParseBytes(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]configs.Bytes{"50GiB": 50 << 30, "1.5KiB": 1536, "2 GB": 2e9, "7B": 7, "0B": 0} {
		got, err := configs.ParseBytes(in)
		if got != want || err != nil {
			t.Errorf("ParseBytes(%q) = %d, %v, want %d", in, got, err, want)
		}
		if again, err := configs.ParseBytes(got.String()); again != got || err != nil {
			t.Errorf("ParseBytes(%q) = %d, %v, want %d", got, again, err, got)
		}
	}
	for _, in := range []string{"", "50", "GiB", "-1GiB", "1e30TiB", "NaNB", "50 gigabytes"} {
		if got, err := configs.ParseBytes(in); err == nil {
			t.Errorf("ParseBytes(%q) = %d, want an error", in, got)
		}
	}
}

func TestQueries(t *testing.T) {
	t.Parallel()
	same := "="
	for _, tt := range []struct{ warehouse, query, want string }{
		{"pg", "SELECT 1", same},
		{"pg", "select 1 ;  \n", "select 1"},
		{"pg", "SELECT 1; -- done; really\n/* ; */", "SELECT 1"},
		{"pg", "-- a; comment\nSELECT ';' AS \"a;b\" FROM t", same},
		{"pg", "SELECT 1 -- last", "SELECT 1 -- last\n"},
		{"pg", "WITH a AS (SELECT 1), b AS (SELECT 2) SELECT * FROM a, b", same},
		{"pg", "(SELECT 1) UNION ALL (SELECT 2)", same},
		{"pg", "SELECT $x$ ; $y$ ; $x$ FROM t", same},
		{"pg", "SELECT 'it''s; fine', E'it\\'s; fine too', $1", same},
		{"pg", `SELECT 'C:\' AS path`, same},
		{"pg", "SELECT /* a /* nested; */ ; */ 1", same},
		{"pg", "SELECT deleted, \"into\" FROM t WHERE (update_id) > 1", same},
		{"pg", "SELECT (SELECT max(x) INTO y) FROM t", same}, // left to the server, which is read-only
		{"bq", "SELECT 'it\\'s; fine', \"a;\", `a;b`, '''a;'b''' FROM t # a; comment\n", "SELECT 'it\\'s; fine', \"a;\", `a;b`, '''a;'b''' FROM t # a; comment"},
		{"bq", "SELECT 1 # last", "SELECT 1 # last\n"},
		{"sf", "SELECT 'it\\'s; fine', $$a;b$$ FROM t // a; comment\nWHERE x", same},
		{"pg", "SELECT 1; SELECT 2", "holds more than one statement"},
		{"pg", "SELECT 1;;", "holds more than one statement"},
		{"pg", "BEGIN; SELECT 1", "is not a SELECT"},
		{"pg", "(DELETE FROM t)", "is not a SELECT"},
		{"pg", "EXPLAIN SELECT 1", "is not a SELECT"},
		{"pg", "VALUES (1)", "is not a SELECT"},
		{"pg", ";", "is not a SELECT"},
		{"pg", "/* open", "has a comment that is not closed"},
		{"pg", "SELECT $a$ open", "has a dollar-quoted string that is not closed"},
		{"pg", "WITH a AS (UPDATE t SET x = 1 RETURNING *) SELECT * FROM a", "writes: it holds UPDATE"},
		{"pg", "WITH a AS (SELECT 1) DELETE FROM t", "writes: it is a WITH … DELETE"},
		{"pg", "SELECT a INTO b FROM c", "writes: SELECT … INTO makes a table"},
		{"pg", "SELECT 1)", "closes a parenthesis that was not opened"},
	} {
		text := strings.NewReplacer(`  shop: {type: postgres, dsn: "postgres://localhost/shop"}`,
			`  pg: {type: postgres, dsn: "postgres://localhost/shop"}`+"\n  bq: {type: bigquery, project: p}\n  sf: {type: snowflake, account: a, token: t}",
			"warehouse: shop", "warehouse: "+tt.warehouse, "table: app.usage", fmt.Sprintf("query: %q", strings.ReplaceAll(tt.query, "$", "$$"))).Replace(minimal)
		f, err := parse(text, options())
		want := tt.want
		if want == same {
			want = tt.query
		}
		switch {
		case err != nil:
			if got := err.Faults[0].Message; got != want {
				t.Errorf("%s: query %q: fault %q, want %q", tt.warehouse, tt.query, got, want)
			}
		case f.Syncs[0].Query != want:
			t.Errorf("%s: query %q = %q, want %q", tt.warehouse, tt.query, f.Syncs[0].Query, want)
		}
	}
}

// TestValues tries single values in their place in a minimal configuration.
func TestValues(t *testing.T) {
	t.Parallel()
	const ok = ""
	for _, tt := range []struct{ old, new, want string }{
		{"table: app.usage", `table: app."Feature Usage"`, ok},
		{"table: app.usage", "table: '`acme-prod.app.usage`'", ok},
		{"table: app.usage", `table: app."Feature`, "has a quote that is not closed"},
		{"table: app.usage", "table: read_parquet('x')", "is not the name of a table"},
		{"token: t", `token: t, api_url: "http://[::1]:8090/"`, ok},
		{"token: t", "token: t, api_url: http://LOCALHOST:8090", ok},
		{"token: t", "token: t, api_url: http://127.8.9.1", ok},
		{"token: t", "token: t, api_url: http://localhost.example.com", "would send credentials in the clear"},
		{"token: t", "token: t, api_url: http://10.0.0.1", "would send credentials in the clear"},
		{"token: t", "token: t, api_url: https://mixpanel.internal", ok},
		{"token: t", "token: t, api_url: 'https://x/?a=b'", "must be a bare URL, without user, query or fragment"},
		{"region: us, ", "api_url: http://localhost, ", ok},
		{"project_id: 1", "project_id: '  42 '", ok},
		{"project_id: 1", "project_id: -1", `must be the project's number, from Mixpanel's project settings, not "-1"`},
		{"{column: loaded_at}", "{column: loaded_at, start: 2025-01-01T06:00:00+02:00}", ok},
		{"{column: loaded_at}", "{column: loaded_at, start: 2025-02-30}", `must be a date, a timestamp, or a number for an integer cursor, not "2025-02-30"`},
		{"{column: loaded_at}", "{column: loaded_at, lookback: 1d, max_hold: 2h, slice: 1000}", ok},
		{"{column: loaded_at}", "{column: loaded_at, slice: 0}", `must be auto, hour, day, week, month, or a count for an integer cursor, not "0"`},
		{"mode: append", "mode: append\n    schedule: '@daily'", ok},
		{"mode: append", "mode: append\n    schedule: '@every 90m'", ok},
		{"mode: append", "mode: append\n    schedule: '0 9 * * MON-FRI'", ok},
		{"mode: append", "mode: append\n    schedule: 'TZ=0'", "holds a time zone"},
		{"mode: append", "mode: append\n    schedule: '@reboot'", "is not a schedule: unrecognized descriptor: @reboot"},
		{"mode: append", "mode: append\n    schedule: '99 * * * *'", "is not a schedule: end of range (99) above maximum (59): 99"},
		{"mode: append", "mode: append\n    timezone: America/Argentina/Ushuaia", ok},
		{"mode: append", "mode: append\n    timezone: ../../etc/passwd", "is not a time zone"},
		{"mode: append", "mode: overwrite", "must be one of append, upsert, full, mirror, not \"overwrite\""},
		{"mode: append", "mode: append\n    rejects: {payload: keys}\n    resync: forbid\n    disabled: false\n    namespace: old\n    tags: [a, b]\n    description: x", ok},
		{"mode: append", "mode: append\n    disabled: 'true'", ok},
		{"[id]", "[id, id]", "is in the list twice"},
		{"[id]", "id", "must be a list, not text"},
	} {
		if !strings.Contains(minimal, tt.old) {
			t.Fatalf("minimal has no %q", tt.old)
		}
		_, err := parse(strings.Replace(minimal, tt.old, tt.new, 1), options())
		switch {
		case err == nil && tt.want != ok:
			t.Errorf("%s: no fault, want %q", tt.new, tt.want)
		case err != nil && (len(err.Faults) != 1 || err.Faults[0].Message != tt.want):
			t.Errorf("%s: fault\n%v\nwant %q", tt.new, err, tt.want)
		}
	}
}
