package warehouse_test

import (
	"math"
	"testing"
	"time"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

func TestParseCursor(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		kind  warehouse.Kind
		text  string
		ticks int64
		sub   int16
		canon string // "": the text itself
	}{
		{warehouse.Int, "-42", -42, 0, ""},
		{warehouse.Int, "9223372036854775807", math.MaxInt64, 0, ""},
		{warehouse.Date, "1970-01-01", 0, 0, ""},
		{warehouse.Date, "2024-02-29", 19782, 0, ""},
		{warehouse.Date, "1969-12-31", -1, 0, ""},
		{warehouse.Date, "0001-01-01", -719162, 0, ""},
		{warehouse.Date, "0001-12-31 BC", -719163, 0, ""},
		{warehouse.Date, "5874897-12-31", 2145042905, 0, ""},
		{warehouse.Date, "infinity", warehouse.PosInfinity, 0, ""},
		{warehouse.Date, "-infinity", warehouse.NegInfinity, 0, ""},
		{warehouse.Timestamp, "1970-01-01T00:00:00.000001", 1, 0, ""},
		{warehouse.Timestamp, "1969-12-31T23:59:59.999999", -1, 0, ""},
		{warehouse.Timestamp, "1969-12-31T23:59:59.999999999", -1, 999, ""},
		{warehouse.Timestamp, "1970-01-01T00:00:00.1234567", 123456, 700, ""},
		{warehouse.Timestamp, "1970-01-02", 86_400_000_000, 0, "1970-01-02T00:00:00"},
		{warehouse.Timestamp, "1970-01-01 12:30", 45_000_000_000, 0, "1970-01-01T12:30:00"},
		{warehouse.TimestampTZ, "1970-01-01T00:00:00Z", 0, 0, ""},
		{warehouse.TimestampTZ, "1970-01-01 02:00:00.500+02", 500_000, 0, "1970-01-01T00:00:00.5Z"},
		{warehouse.TimestampTZ, "1970-01-01T00:00:00-05:30", 19_800_000_000, 0, "1970-01-01T05:30:00Z"},
		{warehouse.TimestampTZ, "1970-01-01T00:00:00+0530", -19_800_000_000, 0, "1969-12-31T18:30:00Z"},
		{warehouse.TimestampTZ, "99999-12-31T23:59:59Z", 3093527980799000000, 0, ""},
		{warehouse.TimestampTZ, "infinity", warehouse.PosInfinity, 0, ""},
	} {
		got, err := warehouse.ParseCursor(test.kind, test.text)
		if want := (warehouse.Cursor{Ticks: test.ticks, Sub: test.sub}); err != nil || got != want {
			t.Errorf("ParseCursor(%s, %q) = %+v, %v, want %+v", test.kind, test.text, got, err, want)
		}
		canon := test.canon
		if canon == "" {
			canon = test.text
		}
		if text := got.Text(test.kind); text != canon {
			t.Errorf("Text of %s %q = %q, want %q", test.kind, test.text, text, canon)
		}
	}
}

func TestParseCursorRefuses(t *testing.T) {
	t.Parallel()
	for kind, texts := range map[warehouse.Kind][]string{
		warehouse.Int:         {"", "1.5", "x", "9223372036854775808", "infinity"},
		warehouse.Date:        {"", "2026", "2026-1-1", "2026-02-30", "2026-13-01", "2026-01-31T00:00:00", "0000-01-01 BC", "1234567890-01-01"},
		warehouse.Timestamp:   {"2026-01-31T12:00:00Z", "2026-01-31T12:00:00+02", "2026-01-31T24:00:00", "2026-01-31T12:60:00", "2026-01-31T12:00:60", "2026-01-31T", "2026-01-31T12:00:00.", "2026-01-31T12:00:00.1234567890", "999999-01-01"},
		warehouse.TimestampTZ: {"2026-01-31", "2026-01-31T12:00:00", "2026-01-31T12:00:00ZZ", "2026-01-31T12:00:00+99", "2026-01-31T12:00:00+02:", "now"},
		warehouse.Text:        {"a"},
	} {
		for _, text := range texts {
			if got, err := warehouse.ParseCursor(kind, text); err == nil {
				t.Errorf("ParseCursor(%s, %q) = %+v, want an error", kind, text, got)
			}
		}
	}
}

// The calendar is Go's.
func TestCursorTextIsGoTime(t *testing.T) {
	t.Parallel()
	for day := int64(-719162); day < 2932897; day += 13 { // years 1 to 9999
		want := time.Unix(day*86_400, 0).UTC().Format(time.DateOnly)
		if got := (warehouse.Cursor{Ticks: day}).Text(warehouse.Date); got != want {
			t.Fatalf("day %d = %s, want %s", day, got, want)
		}
	}
}

func TestCursorLimit(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 31, 23, 30, 0, 123456789, time.UTC)
	for kind, want := range map[warehouse.Kind]string{
		warehouse.TimestampTZ: "2026-01-31T23:30:00.123456Z",
		warehouse.Timestamp:   "2026-02-01T00:30:00.123456",
		warehouse.Date:        "2026-02-01",
	} {
		if got, ok := warehouse.CursorLimit(kind, at, berlin); !ok || got != want {
			t.Errorf("CursorLimit(%s) = %q, %t, want %q", kind, got, ok, want)
		}
	}
	if got, ok := warehouse.CursorLimit(warehouse.Int, at, berlin); ok {
		t.Errorf("CursorLimit(int) = %q, want none", got)
	}
}

// FuzzCursor checks that what is accepted has a canonical text, which is
// accepted, means the same and is canonical.
func FuzzCursor(f *testing.F) {
	for _, s := range []string{"42", "2026-01-31", "0044-03-15 BC", "2026-01-31T12:00:00.123456789Z", "2026-01-31 12:00:00+05:30", "294247-01-10T04:00:54Z", "-infinity", "0000-01-01"} {
		for _, k := range []warehouse.Kind{warehouse.Int, warehouse.Date, warehouse.Timestamp, warehouse.TimestampTZ} {
			f.Add(uint8(k), s, int64(len(s)))
		}
	}
	f.Fuzz(func(t *testing.T, k uint8, text string, ticks int64) {
		kind := warehouse.Kind(k)
		if !kind.IsCursor() {
			return
		}
		_ = warehouse.Cursor{Ticks: ticks}.Text(kind) // any number has a text
		c, err := warehouse.ParseCursor(kind, text)
		if err != nil {
			return
		}
		canon := c.Text(kind)
		again, err := warehouse.ParseCursor(kind, canon)
		if err != nil || again != c || again.Text(kind) != canon {
			t.Errorf("%s %q is %+v, written %q, read again as %+v, %v", kind, text, c, canon, again, err)
		}
	})
}
