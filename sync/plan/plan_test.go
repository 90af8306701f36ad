package plan_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/sync/plan"
)

func TestBounds(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	kolkata, err := time.LoadLocation("Asia/Kolkata")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name     string
		kind     warehouse.Kind
		from, to string
		unit     string
		loc      *time.Location
		want     []string
		used     string
	}{
		{"days by the sync's own midnight", warehouse.TimestampTZ, "2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z", plan.Day, berlin,
			[]string{"2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"}, plan.Day},
		{"a wall clock has no zone", warehouse.Timestamp, "2026-03-28T12:00:00", "2026-03-30T00:00:00", plan.Day, berlin,
			[]string{"2026-03-29T00:00:00", "2026-03-30T00:00:00"}, plan.Day},
		{"hours of a half-hour zone", warehouse.TimestampTZ, "2026-01-01T00:10:00Z", "2026-01-01T01:40:00Z", plan.Hour, kolkata,
			[]string{"2026-01-01T00:30:00Z", "2026-01-01T01:30:00Z"}, plan.Hour},
		{"every hour of a clock change", warehouse.TimestampTZ, "2026-10-24T23:30:00Z", "2026-10-25T02:30:00Z", plan.Hour, berlin,
			[]string{"2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"}, plan.Hour},
		{"weeks begin on Monday", warehouse.Date, "2026-11-20", "2026-12-01", plan.Week, time.UTC,
			[]string{"2026-11-23", "2026-11-30"}, plan.Week},
		{"months", warehouse.Date, "2025-12-31", "2026-03-01", plan.Month, time.UTC,
			[]string{"2026-01-01", "2026-02-01", "2026-03-01"}, plan.Month},
		{"dates before 1970", warehouse.Date, "1969-12-30", "1970-01-01", plan.Day, time.UTC,
			[]string{"1969-12-31", "1970-01-01"}, plan.Day},
		{"auto leaves a short window whole", warehouse.TimestampTZ, "2026-01-01T00:00:00Z", "2026-01-02T23:59:59Z", plan.Auto, time.UTC, nil, plan.Auto},
		{"integers at multiples", warehouse.Int, "-15", "25", "10", time.UTC, []string{"-10", "0", "10", "20"}, "10"},
		{"auto leaves few integers whole", warehouse.Int, "1", "99999", plan.Auto, time.UTC, nil, plan.Auto},
		{"auto cuts many", warehouse.Int, "1", "250000", plan.Auto, time.UTC, []string{"100000", "200000"}, "100000"},
		{"one value", warehouse.Int, "7", "7", "1", time.UTC, nil, "1"},
		{"nothing to cut at infinity", warehouse.Date, "-infinity", "2026-01-01", plan.Day, time.UTC, nil, plan.Day},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bounds, used, err := plan.Bounds(tt.kind, parse(t, tt.kind, tt.from), parse(t, tt.kind, tt.to), tt.unit, tt.loc, plan.AutoSlices)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, b := range bounds {
				got = append(got, b.Text(tt.kind))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("bounds (-want +got):\n%s", diff)
			}
			if used != tt.used {
				t.Errorf("unit %q, want %q", used, tt.used)
			}
		})
	}
}

// A year by auto is shared out by weeks; one stray row does not make millions of slices.
func TestBoundsAreFew(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kind     warehouse.Kind
		from, to string
		unit     string
		used     string
		most     int
	}{
		{warehouse.TimestampTZ, "2025-01-01T00:00:00Z", "2025-12-31T23:59:59Z", plan.Auto, plan.Week, 53},
		{warehouse.TimestampTZ, "1970-01-01T00:00:00Z", "2026-01-01T00:00:00Z", plan.Auto, "year", 57},
		{warehouse.TimestampTZ, "0001-01-01T00:00:00Z", "2026-01-01T00:00:00Z", plan.Hour, "year", 2026},
		{warehouse.Int, strconv.FormatInt(math.MinInt64, 10), strconv.FormatInt(math.MaxInt64, 10), "1", "10000000000000000", 10000},
	} {
		bounds, used, err := plan.Bounds(tt.kind, parse(t, tt.kind, tt.from), parse(t, tt.kind, tt.to), tt.unit, time.UTC, plan.AutoSlices)
		if err != nil || used != tt.used || len(bounds) == 0 || len(bounds) > tt.most {
			t.Errorf("%s … %s by %s: %d bounds by %s (%v), want at most %d by %s", tt.from, tt.to, tt.unit, len(bounds), used, err, tt.most, tt.used)
		}
	}
}

// The fewer slices are worth their while, the coarser auto cuts.
func TestAutoCutsAsFinelyAsIsWorthIt(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kind     warehouse.Kind
		from, to string
		most     int
		used     string
		slices   int
	}{
		{warehouse.TimestampTZ, "2026-11-12T09:00:00Z", "2026-11-23T20:00:00Z", 12, plan.Day, 12},
		{warehouse.TimestampTZ, "2026-11-12T09:00:00Z", "2026-11-23T20:00:00Z", 11, plan.Week, 3},
		{warehouse.TimestampTZ, "2026-11-12T09:00:00Z", "2026-11-23T20:00:00Z", 2, plan.Month, 1},
		{warehouse.TimestampTZ, "2026-10-12T09:00:00Z", "2026-11-23T20:00:00Z", 2, plan.Month, 2},
		{warehouse.TimestampTZ, "2025-12-01T00:00:00Z", "2026-11-23T20:00:00Z", 1, plan.Auto, 1},
		{warehouse.TimestampTZ, "2025-12-01T00:00:00Z", "2026-11-23T20:00:00Z", 0, plan.Auto, 1},
		{warehouse.Int, "1", "950000", 10, "100000", 10},
		{warehouse.Int, "1", "950000", 9, "1000000", 1},
	} {
		bounds, used, err := plan.Bounds(tt.kind, parse(t, tt.kind, tt.from), parse(t, tt.kind, tt.to), plan.Auto, time.UTC, tt.most)
		if err != nil || used != tt.used || len(bounds)+1 != tt.slices {
			t.Errorf("%s … %s in %d at most: %d slices by %s (%v), want %d by %s", tt.from, tt.to, tt.most, len(bounds)+1, used, err, tt.slices, tt.used)
		}
	}
}

func TestUnitMustFit(t *testing.T) {
	t.Parallel()
	for kind, unit := range map[warehouse.Kind]string{warehouse.Int: plan.Day, warehouse.Date: plan.Hour, warehouse.Timestamp: "1000"} {
		if err := plan.Check(kind, unit); err == nil {
			t.Errorf("Check(%s, %q) = nil", kind, unit)
		}
	}
}

// However a window is cut, its slices are ascending, within it, and together the whole.
func TestBoundsProperty(t *testing.T) {
	t.Parallel()
	zones := []string{"UTC", "Europe/Berlin", "America/Sao_Paulo", "Pacific/Apia", "Africa/Cairo", "Asia/Kathmandu"}
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		kinds := []warehouse.Kind{warehouse.Int, warehouse.Date, warehouse.Timestamp, warehouse.TimestampTZ}
		kind := kinds[r.IntN(len(kinds))]
		units := []string{plan.Auto, plan.Day, plan.Week, plan.Month}
		scale := int64(20_000) // days
		switch kind {
		case warehouse.Int:
			units, scale = []string{plan.Auto, "1", "1000", "123457"}, 1<<uint(r.IntN(62))
		case warehouse.Timestamp, warehouse.TimestampTZ:
			units, scale = append(units, plan.Hour), 1<<uint(30+r.IntN(22))
		}
		a, b := r.Int64N(scale)-scale/2, r.Int64N(scale)-scale/2
		from, to := warehouse.Cursor{Ticks: min(a, b)}, warehouse.Cursor{Ticks: max(a, b)}
		loc, err := time.LoadLocation(zones[r.IntN(len(zones))])
		if err != nil {
			t.Fatal(err)
		}
		unit := units[r.IntN(len(units))]
		bounds, _, err := plan.Bounds(kind, from, to, unit, loc, plan.AutoSlices)
		if err != nil {
			t.Fatal(err)
		}
		ordered := slices.IsSortedFunc(bounds, func(x, y warehouse.Cursor) int {
			if x.Before(y) {
				return -1
			}
			return 1
		})
		inside := len(bounds) == 0 || from.Before(bounds[0]) && !to.Before(bounds[len(bounds)-1])
		if !ordered || !inside || len(bounds) >= 10_000 {
			t.Errorf("seed %d: %s [%s, %s] by %s in %s: %d bounds, ordered %v, inside %v",
				seed, kind, from.Text(kind), to.Text(kind), unit, loc, len(bounds), ordered, inside)
		}
	}
}

func parse(t *testing.T, kind warehouse.Kind, text string) warehouse.Cursor {
	t.Helper()
	c, err := warehouse.ParseCursor(kind, text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
