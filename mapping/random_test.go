package mapping_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/mapping"
)

// TestRandomRows sends tables of random shape and content and reads the records
// back with the standard library: valid JSON on one line, no key twice, and
// every value the one that was put in. A second plan gives the same bytes.
func TestRandomRows(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		schema := schemaOf(field("id", warehouse.Int), field("ts", warehouse.TimestampTZ), field("company", warehouse.Text), field("user", warehouse.Text))
		for i := range r.IntN(20) {
			schema.Fields = append(schema.Fields, field(fmt.Sprintf("c%d %s", i, text(r, 5)), propertyKinds[r.IntN(len(propertyKinds))]))
		}
		spec := mapping.Spec{
			Sync: "s", Type: mapping.Event, Model: mapping.Hierarchical, PrimaryKey: []string{"id"},
			Mapping: mapping.Mapping{Event: constant("E"), Time: column("ts"), CompanyID: column("company"), UserID: column("user")},
		}
		rows := make([][]any, 1+r.IntN(30))
		for i := range rows {
			rows[i] = []any{i, int64(1769860800_000_000 + i), "c" + text(r, 3), "u" + text(r, 3)}
			for _, f := range schema.Fields[4:] {
				rows[i] = append(rows[i], value(r, f.Kind))
			}
		}
		b := batchOf(t, schema, rows...)
		p, again := compile(t, spec, schema), compile(t, spec, schema)
		dst := []byte(nil)
		for row := range rows {
			var out, second mapping.Row
			n := len(dst)
			var rej *mapping.Reject
			if dst, rej = p.Append(dst, b, row, &out); rej != nil {
				t.Fatalf("seed %d row %d: %+v", seed, row, *rej)
			}
			replay, _ := again.Append(nil, b, row, &second)
			if !bytes.Equal(replay, dst[n:]) || out != second || out.Key != p.KeyHash(b, row) {
				t.Fatalf("seed %d row %d: %s\nand then: %s", seed, row, dst[n:], replay)
			}
			checkRecord(t, dst[n:], schema, rows[row])
			if !json.Valid(p.Payload(b, row, nil)) || !json.Valid(p.Key(b, row, nil)) {
				t.Errorf("seed %d row %d: payload %s", seed, row, p.Payload(b, row, nil))
			}
		}
	}
}

var propertyKinds = []warehouse.Kind{warehouse.Bool, warehouse.Int, warehouse.Float, warehouse.Decimal, warehouse.Text, warehouse.JSON}

// text is up to n random characters, some of them awkward.
func text(r *rand.Rand, n int) string {
	letters := []rune("abcXYZ 019\"\\/\n\t\x00\x1fëß日😀\u2028{}[],:$|")
	var s strings.Builder
	for range r.IntN(n + 1) {
		s.WriteRune(letters[r.IntN(len(letters))])
	}
	return strings.ReplaceAll(s.String(), "\x00", "~")
}

func value(r *rand.Rand, kind warehouse.Kind) any {
	if r.IntN(5) == 0 {
		return nil
	}
	switch kind {
	case warehouse.Bool:
		return r.IntN(2) == 0
	case warehouse.Int:
		return int64(r.Uint64() >> r.IntN(64))
	case warehouse.Float:
		return r.NormFloat64() * float64(r.IntN(1e9))
	case warehouse.Decimal:
		return fmt.Sprintf("%d.%0*d", int64(r.Uint64()>>r.IntN(64)), 1+r.IntN(20), r.Uint32())
	case warehouse.JSON:
		v, _ := json.MarshalIndent(map[string]any{text(r, 4): []any{text(r, 20), r.IntN(1000), nil}, "x": r.Float64()}, "\n", "\t ")
		return string(v)
	}
	return text(r, 300)
}

func checkRecord(t *testing.T, record []byte, schema *warehouse.Schema, row []any) {
	t.Helper()
	if bytes.ContainsAny(record, "\n\r") || !utf8.Valid(record) {
		t.Fatalf("not on one line, or not UTF-8: %q", record)
	}
	var got struct {
		Event      string
		Properties map[string]json.RawMessage
	}
	if err := json.Unmarshal(record, &got); err != nil {
		t.Fatalf("%s: %v", record, err)
	}
	if n := members(t, record); n != len(got.Properties) {
		t.Fatalf("%d members, %d of them different: %s", n, len(got.Properties), record)
	}
	id := "$company:" + row[2].(string) + "|$user:" + row[3].(string)
	equalString(t, "distinct_id", got.Properties["distinct_id"], id)
	for i, f := range schema.Fields[4:] {
		raw, ok := got.Properties[f.Name]
		if row[4+i] == nil {
			if ok {
				t.Errorf("NULL in %q is sent as %s", f.Name, raw)
			}
			continue
		}
		checkValue(t, f.Name, raw, row[4+i], f.Kind)
	}
}

// members counts the members of "properties" with all repeats.
func members(t *testing.T, record []byte) int {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(record))
	depth, n, key := 0, 0, false
	for {
		tok, err := d.Token()
		if err != nil {
			return n
		}
		switch tok {
		case json.Delim('{'), json.Delim('['):
			depth++
			key = true
			continue
		case json.Delim('}'), json.Delim(']'):
			depth--
			key = true
			continue
		}
		if depth == 2 {
			if key {
				n++
			}
			key = !key
		}
	}
}

func equalString(t *testing.T, name string, raw json.RawMessage, want string) {
	t.Helper()
	var got string
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatalf("%q is %s, want the string %q", name, raw, want)
	}
	if got != want && !(len(got) > 250 && strings.HasPrefix(want, got)) {
		t.Errorf("%q is %q, want %q", name, got, want)
	}
}

func checkValue(t *testing.T, name string, raw json.RawMessage, in any, kind warehouse.Kind) {
	t.Helper()
	switch kind {
	case warehouse.Text:
		equalString(t, name, raw, in.(string))
	case warehouse.JSON:
		var want bytes.Buffer
		if err := json.Compact(&want, []byte(in.(string))); err != nil {
			t.Fatal(err)
		}
		var a, b any
		if json.Unmarshal(raw, &a) != nil || json.Unmarshal(want.Bytes(), &b) != nil || fmt.Sprint(a) != fmt.Sprint(b) {
			t.Errorf("%q is %s, want %s", name, raw, want.Bytes())
		}
	default:
		if want := fmt.Sprint(in); want == "true" || want == "false" {
			if string(raw) != want {
				t.Errorf("%q is %s, want %s", name, raw, want)
			}
			return
		}
		got, ok := new(big.Rat).SetString(strings.Trim(string(raw), `"`))
		want, _ := new(big.Rat).SetString(fmt.Sprint(in))
		if !ok || got.Cmp(want) != 0 {
			t.Errorf("%q is %s, want %v", name, raw, in)
		}
	}
}

// FuzzAppend sends a row of arbitrary text through every place that takes some.
func FuzzAppend(f *testing.F) {
	f.Add("Used", "acme", "alice", "d", "text", `{"a": 1, "time": 2}`, "1.5")
	f.Add("$merge", "", "null", "$device:x", "\xff", "{", "NaN")
	f.Fuzz(func(t *testing.T, event, company, user, device, free, object, decimal string) {
		schema := schemaOf(field("id", warehouse.Text), field("event", warehouse.Text), field("ts", warehouse.TimestampTZ), field("company", warehouse.Text),
			field("user", warehouse.Text), field("device", warehouse.Text), field("free", warehouse.Text), field("object", warehouse.JSON), field("decimal", warehouse.Decimal))
		spec := mapping.Spec{
			Sync: "s", Type: mapping.Event, Model: mapping.Hierarchical, PrimaryKey: []string{"id"},
			Mapping:    mapping.Mapping{Event: column("event"), Time: column("ts"), CompanyID: column("company"), UserID: column("user"), DeviceID: column("device")},
			Properties: mapping.Properties{Flatten: []string{"object"}},
		}
		b := batchOf(t, schema, []any{free, event, "2026-01-31T12:00:00", company, user, device, free, object, decimal})
		p := compile(t, spec, schema)
		var out mapping.Row
		dst, rej := p.Append(nil, b, 0, &out)
		if !json.Valid(p.Payload(b, 0, nil)) || !json.Valid(p.Key(b, 0, nil)) {
			t.Fatalf("payload %q", p.Payload(b, 0, nil))
		}
		if rej != nil {
			if rej.Code == "" || rej.Message == "" || len(dst) > 0 {
				t.Errorf("reject %+v left %q", *rej, dst)
			}
			return
		}
		var record struct{ Properties map[string]json.RawMessage }
		if err := json.Unmarshal(dst, &record); err != nil || bytes.ContainsAny(dst, "\n\r") || !utf8.Valid(dst) {
			t.Fatalf("%q: %v", dst, err)
		}
		if n := members(t, dst); n != len(record.Properties) {
			t.Errorf("%d members, %d of them different: %s", n, len(record.Properties), dst)
		}
		equalString(t, "$user_id", record.Properties["$user_id"], user)
		equalString(t, "distinct_id", record.Properties["distinct_id"], "$company:"+company+"|$user:"+user)
	})
}
