package emulator

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// FuzzScanEvent compares the scanner with encoding/json: what is JSON, and what
// the members of an event are.
func FuzzScanEvent(f *testing.F) {
	for _, seed := range []string{
		`{"event":"E","properties":{"time":1,"distinct_id":"x","$insert_id":"i","$user_id":"u","$company_id":"c","$device_id":"d"}}`,
		`{"event":"\u0045\n\"","properties":{"a":[1,-0.5e+7,true,false,null,{"b":{}}]},"x":0}`,
		`{"properties":{"time":1},"properties":{"time":2}}`, `{"properties":[]}`, `{"event":null}`, ` {}`, `[]`, `[{},[]]`, `"x"`,
		`{"a":01}`, `{"a":-}`, `{"a":1.}`, `{"a":1e}`, `{,}`, `{"a":1,}`, `{"a"}`, `[1,]`, `tru`, `"\u12g4"`, `"\x"`, "\"\x01\"", `-0`,
		"{\"event\":\"\xff\"}", `{"event":"\ud800"}`, `{"\u0065vent":"x"}`, `{"properties":{"":1}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s := scanner{src: text}
		var e event
		start := s.space(0)
		end := -1
		if start < len(text) {
			end = s.scanEvent(start, &e)
		}
		valid := end >= 0 && s.space(end) == len(text)
		if want := json.Valid(text); valid != want {
			if want && bytes.ContainsAny(text, "[{") && nesting(text) > maxNesting {
				return // refused on purpose
			}
			t.Fatalf("scan(%q) valid = %v, want %v", text, valid, want)
		}
		if !valid || !utf8.Valid(text) {
			return
		}
		if !bytes.Equal(e.raw, bytes.TrimSpace(text)) {
			t.Fatalf("raw = %q of %q", e.raw, text)
		}
		compareMembers(t, text, &e)
	})
}

// nesting is how deep brackets are nested in JSON text; brackets in strings
// count too, which is good enough for a bound.
func nesting(text []byte) (deepest int) {
	level := 0
	for _, c := range text {
		switch c {
		case '[', '{':
			level++
			deepest = max(deepest, level)
		case ']', '}':
			level--
		}
	}
	return deepest
}

// compareMembers checks a scanned event against encoding/json's reading of it.
func compareMembers(t *testing.T, text []byte, e *event) {
	t.Helper()
	var outer map[string]json.RawMessage
	if json.Unmarshal(text, &outer) != nil {
		if e.isObject {
			t.Fatalf("%q is not an object", text)
		}
		return
	}
	if outer == nil { // null
		return
	}
	equal(t, "event", e.name, outer["event"])
	var properties map[string]json.RawMessage
	if json.Unmarshal(outer["properties"], &properties) != nil || properties == nil {
		if e.propsKind == object {
			t.Fatalf("properties of %q are no object", text)
		}
		return
	}
	if e.propsKind != object || e.count < len(properties) {
		t.Fatalf("properties of %q: kind %d, count %d, want %d", text, e.propsKind, e.count, len(properties))
	}
	for name, v := range map[string]value{
		"time": e.time, "distinct_id": e.distinctID, "$insert_id": e.insertID,
		"$user_id": e.userID, "$device_id": e.deviceID, "$company_id": e.companyID,
	} {
		want := properties[name]
		if string(want) == "null" {
			want = nil
		}
		equal(t, name, v, want)
		equal(t, "found "+name, find(outer["properties"], name), properties[name])
	}
}

func equal(t *testing.T, name string, v value, want json.RawMessage) {
	t.Helper()
	if want == nil || v.kind == absent {
		if want != nil || v.kind != absent {
			t.Fatalf("%s = %q, want %q", name, v.raw, want)
		}
		return
	}
	if !v.isString() {
		if !bytes.Equal(v.raw, want) {
			t.Fatalf("%s = %s, want %s", name, v.raw, want)
		}
		return
	}
	var text string
	if err := json.Unmarshal(want, &text); err != nil || text != string(v.text()) {
		t.Fatalf("%s = %q, want %q (%v)", name, v.text(), want, err)
	}
}

func TestScannerMeasures(t *testing.T) {
	t.Parallel()
	s := scanner{src: []byte(`{"a":[{"b":1,"c":[1,2,3]},[[]]],"d":"x"}`)}
	if _, end := s.scan(0, 0); end != len(s.src) {
		t.Fatalf("scan ended at %d", end)
	}
	if s.depth != 4 || s.keys != 2 || s.items != 3 || s.badUTF8 {
		t.Errorf("depth, keys, items, badUTF8 = %d, %d, %d, %v, want 4, 2, 3, false", s.depth, s.keys, s.items, s.badUTF8)
	}
	deep := scanner{src: []byte(strings.Repeat("[", 1_000_000))}
	if _, end := deep.scan(0, 0); end != -1 {
		t.Errorf("a million brackets scanned to %d, want -1", end)
	}
}

// FuzzPacked checks that ids survive packing, and that no two share a packed form.
func FuzzPacked(f *testing.F) {
	for _, id := range []string{
		"", "0", "00", "0123456789abcdef0123456789abcdef", "123e4567-e89b-12d3-a456-426614174000", "ABC", "a-b",
		"12345678-1234-1234-1234-12345678901-", strings.Repeat("7", 62), strings.Repeat("7", 63), strings.Repeat("x", 300),
	} {
		f.Add([]byte(id))
	}
	f.Fuzz(func(t *testing.T, id []byte) {
		packed := appendPacked(nil, id)
		if got := appendUnpacked(nil, append(packed, 0xff, 0x12)); !bytes.Equal(got, id) {
			t.Fatalf("unpack(pack(%q)) = %q", id, got)
		}
		if len(id) < 100 && len(packed) > len(id)+2 {
			t.Fatalf("pack(%q) takes %d bytes", id, len(packed))
		}
	})
}

func TestKeySet(t *testing.T) {
	t.Parallel()
	var set keySet
	want := map[string]bool{}
	for i := range 10_000 {
		id := []byte(strings.Repeat("k", i%40) + string(rune('0'+i%10)) + string(appendPacked(nil, []byte{byte(i), byte(i >> 8)})[1:]))
		if added := set.add(hash128(id), id); added == want[string(id)] {
			t.Fatalf("add(%q) = %v", id, added)
		}
		want[string(id)] = true
	}
	view := set.view()
	for i := range 1000 { // what is added later does not disturb the view
		id := []byte{'z', byte(i), byte(i >> 8)}
		set.add(hash128(id), id)
	}
	view.sort()
	got, last := map[string]bool{}, ""
	for _, ref := range view.refs {
		id := string(view.append(nil, ref))
		if id < last {
			t.Fatalf("%q after %q", id, last)
		}
		got[id], last = true, id
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
}

// TestKeySetMemory holds the memory of a key to what ten million in 400 MB allow.
func TestKeySetMemory(t *testing.T) {
	t.Parallel()
	const keys = 500_000
	var set keySet
	for i := range uint64(keys) {
		key := hash128(binary.LittleEndian.AppendUint64(nil, i))
		set.add(key, hex.AppendEncode(nil, key[:]))
	}
	bytes := 0
	for i := range set.shards {
		bytes += 4*len(set.shards[i].slots) + chunkSize*len(set.shards[i].chunks)
	}
	if per := bytes / keys; set.n != keys || per > 40 {
		t.Errorf("%d keys take %d bytes each, want %d at most 40", set.n, per, keys)
	}
}

func TestHeat(t *testing.T) {
	t.Parallel()
	h := newHeat()
	h.perID, h.perGroup = 10, 15
	r := record{millis: 1_700_000_000_000, who: identity{id: []byte("$company:c|$user:u"), company: []byte("c")}}
	other := record{millis: 1_700_000_000_000 + dayMillis, who: r.who}
	for range 16 {
		h.count(&r)
	}
	for range 10 {
		h.count(&other)
	}
	want := []HotShard{
		{ID: "$company:c", Day: "2023-11-14", Count: 16, Limit: 15},
		{ID: "$company:c|$user:u", Day: "2023-11-14", Count: 16, Limit: 10},
	}
	if diff := cmp.Diff(want, h.list()); diff != "" {
		t.Errorf("hot shards (-want +got):\n%s", diff)
	}
}
