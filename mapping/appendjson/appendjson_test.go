package appendjson_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/mixsync/mixsync/mapping/appendjson"
)

func TestString(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		in   string
		max  int
		want string
		appendjson.Tally
	}{
		{"plain", "hello, world", 255, `"hello, world"`, appendjson.Tally{}},
		{"empty", "", 255, `""`, appendjson.Tally{}},
		{"escapes", "a\"b\\c\n\r\t\x00\x1f\x7f", 255, `"a\"b\\c\n\r\t\u0000\u001f` + "\x7f\"", appendjson.Tally{}},
		{"escape behind a word", "12345678\"", 255, `"12345678\""`, appendjson.Tally{}},
		{"runes", "Zoë 😀 \u2028", 255, "\"Zoë 😀 \u2028\"", appendjson.Tally{}},
		{"bad UTF-8", "a\xff\xfeb", 255, `"a��b"`, appendjson.Tally{Replaced: 1}},
		{"a real replacement character", "\uFFFD", 255, "\"\uFFFD\"", appendjson.Tally{}},
		{"half a surrogate", "\xed\xa0\x80", 255, `"���"`, appendjson.Tally{Replaced: 1}},
		{"at the limit", "abc", 3, `"abc"`, appendjson.Tally{}},
		{"over the limit", "abcd", 3, `"abc"`, appendjson.Tally{Truncated: 1}},
		{"cut before a rune", "abë", 3, `"ab"`, appendjson.Tally{Truncated: 1}},
		{"cut before a replacement", "ab\xff", 3, `"ab"`, appendjson.Tally{Truncated: 1}},
		{"grows over the limit", "\xff\xff", 5, `"�"`, appendjson.Tally{Truncated: 1, Replaced: 1}},
		{"escapes do not count", "\n\n\n", 3, `"\n\n\n"`, appendjson.Tally{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var tally appendjson.Tally
			got := appendjson.String([]byte("x"), []byte(tt.in), tt.max, &tally)
			if string(got) != "x"+tt.want || tally != tt.Tally {
				t.Errorf("String(%q, %d) = %s, %+v, want %s, %+v", tt.in, tt.max, got[1:], tally, tt.want, tt.Tally)
			}
		})
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	ints := map[int64]string{
		0: "0", -1: "-1", 1 << 53: "9007199254740992", 1<<53 + 1: `"9007199254740993"`,
		-1<<53 - 1: `"-9007199254740993"`, math.MinInt64: `"-9223372036854775808"`,
	}
	for in, want := range ints {
		if got := string(appendjson.Int(nil, in)); got != want {
			t.Errorf("Int(%d) = %s, want %s", in, got, want)
		}
	}
	floats := []struct {
		in   float64
		bits int
		want string
	}{
		{0.1, 64, "0.1"}, {1e21, 64, "1e+21"}, {1e-7, 64, "1e-07"}, {123456789, 64, "123456789"},
		{float64(float32(0.1)), 32, "0.1"}, {math.NaN(), 64, ""}, {math.Inf(-1), 64, ""},
	}
	for _, tt := range floats {
		got, ok := appendjson.Float(nil, tt.in, tt.bits)
		if string(got) != tt.want || ok != (tt.want != "") {
			t.Errorf("Float(%v, %d) = %s, %v, want %s", tt.in, tt.bits, got, ok, tt.want)
		}
	}
}

func TestDecimal(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		{"0", "0"}, {"-0.00", "0"}, {"19.90", "19.9"}, {"100", "100"}, {"-007.5", "-7.5"}, {".5", "0.5"}, {"5.", "5"},
		{"0.000000000000000000000000000001", "0.000000000000000000000000000001"},
		{"123456789012345", "123456789012345"},
		{"9007199254740993", `"9007199254740993"`},
		{"9007199254740992.00", "9007199254740992"},
		{"0.1234567890123456", "0.1234567890123456"},
		{"0.12345678901234567", `"0.12345678901234567"`}, {"0.12345678901234568", "0.12345678901234568"},
		{"1.2345678901234567890", `"1.234567890123456789"`},
		{"10000000000000000000000", "10000000000000000000000"},
		{strings.Repeat("9", 400), `"` + strings.Repeat("9", 400) + `"`},
		{"NaN", ""}, {"Infinity", ""}, {"-Infinity", ""},
		{"$1,000.00", `"$1,000.00"`}, {"", `""`}, {"-", `"-"`}, {".", `"."`},
	}
	for _, tt := range tests {
		var tally appendjson.Tally
		got, ok := appendjson.Decimal(nil, []byte(tt.in), &tally)
		if string(got) != tt.want || ok != (tt.want != "") {
			t.Errorf("Decimal(%s) = %s, %v, want %s", tt.in, got, ok, tt.want)
		}
	}
	for in, want := range map[string]string{"42.00": "42", "42": "42", "-0": "0", "0.50": "0.5", "NaN": "NaN"} {
		if got := string(appendjson.DecimalText(nil, []byte(in))); got != want {
			t.Errorf("DecimalText(%s) = %s, want %s", in, got, want)
		}
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, got, want string }{
		{"date", string(appendjson.Date(nil, 20484)), `"2026-01-31"`},
		{"epoch", string(appendjson.Date(nil, 0)), `"1970-01-01"`},
		{"leap day", string(appendjson.Date(nil, 11016)), `"2000-02-29"`},
		{"year 0", string(appendjson.Date(nil, -719528)), `"0000-01-01"`},
		{"before year 0", string(appendjson.Date(nil, -719529)), `"-000001-12-31"`},
		{"after year 9999", string(appendjson.Date(nil, 2932897)), `"+010000-01-01"`},
		{"time", string(appendjson.Time(nil, 45296_789_000, 0)), `"12:34:56.789"`},
		{"whole time", string(appendjson.Time(nil, 45296_000_000, 0)), `"12:34:56"`},
		{"nanoseconds", string(appendjson.Time(nil, 1, 5)), `"00:00:00.000001005"`},
		{"end of day", string(appendjson.Time(nil, 86400_000_000, 0)), `"24:00:00"`},
		{"timestamp", string(appendjson.Timestamp(nil, 1769860800_000_000, 0)), `"2026-01-31T12:00:00"`},
		{"before 1970", string(appendjson.Timestamp(nil, -1, 0)), `"1969-12-31T23:59:59.999999"`},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%s = %s, want %s", tt.name, tt.got, tt.want)
		}
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in, want string
		appendjson.Tally
		err error
	}{
		{name: "space", in: " { \"a\" : [ 1 ,\n2 ] , \"b\":{}, \"c\" :\t[ ] } ", want: `{"a":[1,2],"b":{},"c":[]}`},
		{name: "words", in: "[true,false,null]", want: "[true,false,null]"},
		{name: "numbers", in: "[[0,-1],[1.50,1e3],-0.0E-2]", want: "[[0,-1],[1.50,1e3],-0.0E-2]"},
		{name: "great integers", in: "[9007199254740992,9007199254740993,-9007199254740993]", want: `[9007199254740992,"9007199254740993","-9007199254740993"]`},
		{name: "long fraction", in: "1.2345678901234567890123", want: `"1.2345678901234567890123"`},
		{name: "huge exponent", in: "1e999999999999", want: `"1e999999999999"`},
		{name: "escapes", in: `["\u0041\/\b\f\"\\","\n\u0000\ud83d\ude00"]`, want: `["A/\u0008\u000c\"\\","\n\u0000😀"]`},
		{name: "lone surrogates", in: `["\ud800","\udc00x","\ud800\u0041"]`, want: `["�","�x","�A"]`, Tally: appendjson.Tally{Replaced: 3}},
		{name: "bad UTF-8", in: "{\"\xff\":\"\xff\"}", want: `{"�":"�"}`, Tally: appendjson.Tally{Replaced: 2}},
		{name: "long string", in: `["` + strings.Repeat("a", 12) + `"]`, want: `["aaaaaaaaaa"]`, Tally: appendjson.Tally{Truncated: 1}},
		{name: "long string with escapes", in: `"\n` + strings.Repeat("ë", 6) + `"`, want: `"\nëëëë"`, Tally: appendjson.Tally{Truncated: 1}},
		{name: "long key", in: `{"` + strings.Repeat("a", 12) + `":1}`, want: `{"` + strings.Repeat("a", 12) + `":1}`},
		{name: "elements", in: "[1,2,3,4]", err: appendjson.ErrTooMany},
		{name: "keys", in: `{"x":{"a":1,"b":1,"c":1,"d":1}}`, err: appendjson.ErrTooMany},
		{name: "depth", in: strings.Repeat("[", 1000) + strings.Repeat("]", 1000), err: appendjson.ErrInvalid},
	}
	for _, bad := range []string{"", " ", "nul", "{", "[1", "[1,]", "{,}", `{"a"}`, `{"a":}`, `{a:1}`, `"\x"`, `"\u12g4"`, "\"a\nb\"", `"a`, `"\`,
		"01", "1.", ".5", "-", "1e", "+1", "NaN", "1 2", "[1]]", "{\"a\":1,}", `"` + strings.Repeat("a", 20) + `\x"`} {
		tests = append(tests, struct {
			name, in, want string
			appendjson.Tally
			err error
		}{name: "invalid " + bad, in: bad, err: appendjson.ErrInvalid})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var tally appendjson.Tally
			got, err := appendjson.JSON(nil, []byte(tt.in), appendjson.Limits{String: 10, Elements: 3}, &tally)
			if string(got) != tt.want || tally != tt.Tally || !errors.Is(err, tt.err) {
				t.Errorf("JSON(%q) = %s, %+v, %v, want %s, %+v, %v", tt.in, got, tally, err, tt.want, tt.Tally, tt.err)
			}
		})
	}
}

func TestMember(t *testing.T) {
	t.Parallel()
	object := []byte(`{"a":1,"b\"}":"x,}\"","c":{"d":[1,{}]},"e":[],"f":null}`)
	want := []string{`"a"`, "1", `"b\"}"`, `"x,}\""`, `"c"`, `{"d":[1,{}]}`, `"e"`, "[]", `"f"`, "null"}
	var got []string
	for i := 1; ; {
		var key, value []byte
		if key, value, i = appendjson.Member(object, i); key == nil {
			break
		}
		got = append(got, string(key), string(value))
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("members = %q, want %q", got, want)
	}
	if key, _, _ := appendjson.Member([]byte("{}"), 1); key != nil {
		t.Errorf("member of {} = %s, want none", key)
	}
}

func TestBase64(t *testing.T) {
	t.Parallel()
	var tally appendjson.Tally
	if got := string(appendjson.Base64(nil, []byte{0, 1, 254, 255}, 255, &tally)); got != `"AAH+/w=="` {
		t.Errorf("Base64 = %s", got)
	}
	whole := bytes.Repeat([]byte{7}, 189)
	if appendjson.Base64(nil, whole, 255, &tally); tally.Truncated != 0 {
		t.Errorf("189 bytes are 252 characters and were cut")
	}
	got := appendjson.Base64(nil, append(whole, 7), 255, &tally)
	if len(got) != 254 || tally.Truncated != 1 {
		t.Errorf("190 bytes gave %d characters, cut %d times, want 254, once", len(got), tally.Truncated)
	}
}

func TestNothingAllocates(t *testing.T) {
	dst := make([]byte, 0, 4096)
	long := []byte("9007199254740993.123456789012345678901234567890123456789")
	sixteen := []byte("0.1234567890123456")
	object := []byte(`{"a":[1,2,{"b":"\u00e9\n"}],"c":1.2345678901234567}`)
	var tally appendjson.Tally
	got := testing.AllocsPerRun(100, func() {
		b := appendjson.String(dst, []byte("Zo\xff \"x\""), 255, &tally)
		b, _ = appendjson.Decimal(b, long, &tally)
		b, _ = appendjson.Decimal(b, sixteen, &tally)
		b, _ = appendjson.Float(b, 0.1, 64)
		b, _ = appendjson.JSON(b, object, appendjson.Unlimited, &tally)
		appendjson.Timestamp(b, 1769860800_123_456, 7)
	})
	if got != 0 {
		t.Errorf("appending allocates %v times, want 0", got)
	}
}

func FuzzString(f *testing.F) {
	f.Add([]byte("a\"b\\\n\x00ë\xff😀"), 5)
	f.Fuzz(func(t *testing.T, s []byte, max int) {
		if max < 0 {
			max = 0
		}
		var tally appendjson.Tally
		got := decodeString(t, appendjson.String(nil, s, max, &tally))
		if len(got) > max {
			t.Errorf("String(%q, %d) has %d bytes", s, max, len(got))
		}
		whole := strings.ToValidUTF8(string(s), "\uFFFD")
		if tally == (appendjson.Tally{}) && got != string(s) {
			t.Errorf("String(%q) = %q with nothing counted", s, got)
		}
		if tally.Truncated == 0 && utf8.Valid(s) != (tally.Replaced == 0) {
			t.Errorf("String(%q) counted %d replacements", s, tally.Replaced)
		}
		// ToValidUTF8 writes one replacement for a run of bad bytes, String one for each.
		if squeeze(got) != squeeze(whole) && tally.Truncated == 0 {
			t.Errorf("String(%q) = %q, want %q", s, got, whole)
		}
	})
}

func squeeze(s string) string {
	for strings.Contains(s, "\uFFFD\uFFFD") {
		s = strings.ReplaceAll(s, "\uFFFD\uFFFD", "\uFFFD")
	}
	return s
}

func decodeString(t *testing.T, text []byte) string {
	t.Helper()
	if bytes.ContainsAny(text, "\n\r") {
		t.Errorf("%q spans lines", text)
	}
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatalf("%q is no JSON string: %v", text, err)
	}
	return s
}

func FuzzInt(f *testing.F) {
	f.Add(int64(1 << 53))
	f.Fuzz(func(t *testing.T, v int64) {
		text := appendjson.Int(nil, v)
		var n json.Number
		if err := json.Unmarshal(text, &n); err != nil || n.String() != strconv.FormatInt(v, 10) {
			t.Errorf("Int(%d) = %s", v, text)
		}
	})
}

func FuzzFloat(f *testing.F) {
	f.Add(0.1)
	f.Add(5e-324)
	f.Fuzz(func(t *testing.T, v float64) {
		text, ok := appendjson.Float(nil, v, 64)
		if !ok {
			if !math.IsNaN(v) && !math.IsInf(v, 0) {
				t.Errorf("Float(%v) has no text", v)
			}
			return
		}
		var got float64
		if err := json.Unmarshal(text, &got); err != nil || got != v {
			t.Errorf("Float(%v) = %s, read as %v", v, text, got)
		}
	})
}

// FuzzDecimal checks the rule against arithmetic without rounding: a number is
// written exactly when the shortest text of its float64 has its value.
func FuzzDecimal(f *testing.F) {
	for _, s := range []string{"0.1", "-12.50", "9007199254740993", "1.2345678901234567", "0.30000000000000004", "1e5", "NaN"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 1000 {
			return
		}
		var tally appendjson.Tally
		text, ok := appendjson.Decimal(nil, []byte(s), &tally)
		if !ok {
			return
		}
		if !json.Valid(text) {
			t.Fatalf("Decimal(%q) = %s, no JSON", s, text)
		}
		if strings.Trim(s, "+-.0123456789") != "" {
			return // no plain decimal
		}
		want, valid := new(big.Rat).SetString(s)
		if !valid {
			return
		}
		v, _ := strconv.ParseFloat(s, 64)
		shortest, finite := new(big.Rat).SetString(strconv.FormatFloat(v, 'e', -1, 64))
		exact := finite && shortest.Cmp(want) == 0
		if exact != (text[0] != '"') {
			t.Errorf("Decimal(%q) = %s, exact is %v", s, text, exact)
		}
		if got, _ := new(big.Rat).SetString(strings.Trim(string(text), `"`)); got == nil || got.Cmp(want) != 0 {
			t.Errorf("Decimal(%q) = %s, another value", s, text)
		}
	})
}

func FuzzTime(f *testing.F) {
	f.Add(int64(1769860800_123_456), int16(7))
	f.Add(int64(-62167219200_000_000), int16(0))
	f.Fuzz(func(t *testing.T, micros int64, sub int16) {
		if sub < 0 || sub > 999 {
			return
		}
		decodeString(t, appendjson.Time(nil, micros, sub))
		decodeString(t, appendjson.Date(nil, micros))
		got := decodeString(t, appendjson.Timestamp(nil, micros, sub))
		want := time.UnixMicro(micros).UTC().Add(time.Duration(sub))
		if y := want.Year(); y < 0 || y > 9999 {
			return
		}
		if s := want.Format("2006-01-02T15:04:05.999999999"); got != s {
			t.Errorf("Timestamp(%d, %d) = %s, want %s", micros, sub, got, s)
		}
		day := decodeString(t, appendjson.Date(nil, want.Unix()/86400-map[bool]int64{true: 1}[want.Unix()%86400 < 0]))
		if day != want.Format(time.DateOnly) {
			t.Errorf("Date of %s = %s", want, day)
		}
	})
}

func FuzzJSON(f *testing.F) {
	for _, s := range []string{` {"a": [1, "x\ud83d\ude00\n", null]} `, `[1e400, 9007199254740993, -0.0]`, `"\ud800"`, "{\"\xff\":1}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		var tally appendjson.Tally
		got, err := appendjson.JSON([]byte("x"), src, appendjson.Unlimited, &tally)
		if err != nil {
			if string(got) != "x" {
				t.Errorf("JSON(%q) left %q behind", src, got)
			}
			if json.Valid(src) && bytes.Count(src, []byte("["))+bytes.Count(src, []byte("{")) < 500 {
				t.Errorf("JSON(%q): %v, but it is valid", src, err)
			}
			return
		}
		got = got[1:]
		if !json.Valid(src) || !json.Valid(got) || !utf8.Valid(got) || bytes.ContainsAny(got, "\n\r") {
			t.Fatalf("JSON(%q) = %q", src, got)
		}
		again, err := appendjson.JSON(nil, got, appendjson.Unlimited, &appendjson.Tally{})
		if err != nil || !bytes.Equal(again, got) {
			t.Errorf("JSON(%q) = %q, and of that %q, %v", src, got, again, err)
		}
		if got[0] == '{' {
			for i := 1; ; {
				var key, value []byte
				if key, value, i = appendjson.Member(got, i); key == nil {
					break
				}
				if !json.Valid(key) || !json.Valid(value) {
					t.Fatalf("member %q: %q of %q", key, value, got)
				}
			}
		}
	})
}

func FuzzNumber(f *testing.F) {
	f.Add([]byte(" 1.5e3 "))
	f.Fuzz(func(t *testing.T, s []byte) {
		got, ok := appendjson.Number(nil, s)
		if ok && !json.Valid(got) || !ok && len(got) > 0 {
			t.Errorf("Number(%q) = %q, %v", s, got, ok)
		}
	})
}

func FuzzBase64(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3}, 4)
	f.Fuzz(func(t *testing.T, b []byte, max int) {
		if max < 0 {
			return
		}
		var tally appendjson.Tally
		text := decodeString(t, appendjson.Base64(nil, b, max, &tally))
		got, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(text) > max || !bytes.HasPrefix(b, got) || tally.Truncated == 0 && len(got) != len(b) {
			t.Errorf("Base64(%x, %d) = %s (%v), counted %d", b, max, text, err, tally.Truncated)
		}
	})
}

// Integer writes what Int does, and what is beyond it.
func TestInteger(t *testing.T) {
	t.Parallel()
	for _, v := range []int64{0, 1, -1, 42, appendjson.MaxSafeInteger - 1, appendjson.MaxSafeInteger, appendjson.MaxSafeInteger + 1, -appendjson.MaxSafeInteger, -appendjson.MaxSafeInteger - 1, math.MaxInt64, math.MinInt64} {
		text := strconv.AppendInt(nil, v, 10)
		if got, want := string(appendjson.Integer([]byte("x"), text)), string(appendjson.Int([]byte("x"), v)); got != want {
			t.Errorf("Integer(%d) = %s, want %s", v, got, want)
		}
	}
	if got, want := string(appendjson.Integer(nil, []byte("-123456789012345678901234567890"))), `"-123456789012345678901234567890"`; got != want {
		t.Errorf("Integer = %s, want %s", got, want)
	}
}
