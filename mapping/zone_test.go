package mapping

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// TestZone holds the conversion against the standard library's tables: a time
// read back in its zone shows the clock time that went in, unless there was no
// such time; and what was looked up before has no influence.
func TestZone(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia", "Africa/Casablanca", "Africa/Monrovia"} {
		loc, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		kept := zone{loc: loc, lo: math.MaxInt64}
		r := rand.New(rand.NewPCG(1, 2))
		for i := range 20_000 {
			at := time.Unix(r.Int64N(6_000_000_000)-2_000_000_000, 0).In(loc)
			if i%2 == 0 { // around the end of a leap year after the last listed change
				at = time.Unix(3124137600+r.Int64N(6*day)-3*day, 0).In(loc)
			}
			_, offset := at.Zone()
			wall := (at.Unix() + int64(offset)) * 1_000_000
			got := kept.utc(wall)
			fresh := zone{loc: loc, lo: math.MaxInt64}
			if again := fresh.utc(wall); again != got {
				t.Fatalf("%s: %s by the clock is %d, looked up afresh %d", name, at, got, again)
			}
			if back := time.UnixMicro(got).In(loc); back.Format(time.DateTime) != at.Format(time.DateTime) {
				t.Fatalf("%s: %s became %s", name, at, back)
			}
		}
	}
}

func TestZoneAtChanges(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for wall, want := range map[string]string{
		"2026-03-29 01:59:59": "2026-03-29 00:59:59",
		"2026-03-29 02:30:00": "2026-03-29 01:30:00", // never was: as if clocks had not changed yet
		"2026-03-29 03:00:00": "2026-03-29 01:00:00",
		"2026-10-25 01:59:59": "2026-10-24 23:59:59",
		"2026-10-25 02:30:00": "2026-10-25 01:30:00", // was twice: the second time
		"2026-10-25 03:00:00": "2026-10-25 02:00:00",
	} {
		at, err := time.Parse(time.DateTime, wall)
		if err != nil {
			t.Fatal(err)
		}
		z := zone{loc: berlin, lo: math.MaxInt64}
		if got := time.UnixMicro(z.utc(at.UnixMicro())).UTC().Format(time.DateTime); got != want {
			t.Errorf("%s in Berlin = %s UTC, want %s", wall, got, want)
		}
	}
}
