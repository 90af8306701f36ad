package configs

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// day and week are what d and w stand for: fixed spans, no calendar in them.
const (
	day  = 24 * time.Hour
	week = 7 * day
)

var errDuration = errors.New("not a duration")

// ParseDuration reads a duration in Go's notation plus d (24 hours) and w (7
// days): "10m", "36h", "1d", "1w2d". Negative durations are refused.
func ParseDuration(s string) (time.Duration, error) {
	if s == "0" {
		return 0, nil
	}
	if s == "" {
		return 0, errDuration
	}
	var total time.Duration
	for s != "" {
		i := strings.IndexFunc(s, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
		if i <= 0 {
			return 0, errDuration
		}
		j := i + strings.IndexFunc(s[i:]+"0", func(r rune) bool { return r == '.' || '0' <= r && r <= '9' })
		part, err := parsePart(s[:i], s[i:j])
		if err != nil {
			return 0, err
		}
		if total += part; total < 0 {
			return 0, errDuration
		}
		s = s[j:]
	}
	return total, nil
}

func parsePart(number, unit string) (time.Duration, error) {
	span := day
	switch unit {
	case "w":
		span = week
	case "d":
	default:
		d, err := time.ParseDuration(number + unit)
		if err != nil {
			return 0, errDuration
		}
		return d, nil
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || !(f*float64(span) < math.MaxInt64) {
		return 0, errDuration
	}
	return time.Duration(f * float64(span)), nil
}

// formatDuration writes a duration in the largest unit that divides it, the way
// a person would: "10m", not "10m0s".
func formatDuration(d time.Duration) string {
	for _, u := range []struct {
		span time.Duration
		name string
	}{{day, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if d != 0 && d%u.span == 0 {
			return strconv.FormatInt(int64(d/u.span), 10) + u.name
		}
	}
	return d.String()
}

// Threshold is how much of something is too much: a share or a count.
type Threshold struct {
	Percent   float64 // 0..100, when IsPercent
	Count     int64
	IsPercent bool
}

func (t Threshold) String() string {
	if t.IsPercent {
		return strconv.FormatFloat(t.Percent, 'f', -1, 64) + "%"
	}
	return strconv.FormatInt(t.Count, 10)
}

// ParseThreshold reads "1%" or an absolute count, "100".
func ParseThreshold(s string) (Threshold, error) {
	if number, ok := strings.CutSuffix(s, "%"); ok {
		p, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || !(p >= 0 && p <= 100) {
			return Threshold{}, errors.New("a percentage lies between 0% and 100%")
		}
		return Threshold{Percent: p, IsPercent: true}, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return Threshold{}, errors.New("neither a percentage nor a count")
	}
	return Threshold{Count: n}, nil
}

// Lookback is how far behind the mark a run starts to read. What it counts
// depends on the type of the cursor, which only the live schema tells: a
// duration for timestamps and dates, a count for integers.
type Lookback struct {
	Text     string
	Duration time.Duration // 0 when Text is a count
	Count    int64         // 0 when Text is a duration
	IsSet    bool          // false: the default stands, whose value depends on the cursor's type
}

// IsCount reports whether the lookback fits an integer cursor: a number without
// unit. A plain 0 fits every cursor.
func (l Lookback) IsCount() bool {
	_, err := strconv.ParseInt(l.Text, 10, 64)
	return err == nil
}

// ParseLookback reads a duration or a count.
func ParseLookback(s string) (Lookback, error) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n >= 0 {
		return Lookback{Text: s, Count: n, IsSet: true}, nil
	}
	d, err := ParseDuration(s)
	if err != nil {
		return Lookback{}, err
	}
	return Lookback{Text: s, Duration: d, IsSet: true}, nil
}

// Bytes is a size, printed in the largest unit that divides it.
type Bytes int64

var byteUnits = []struct {
	name string
	size Bytes
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"B", 1},
}

func (b Bytes) String() string {
	for _, u := range byteUnits {
		if b != 0 && b%u.size == 0 {
			return strconv.FormatInt(int64(b/u.size), 10) + u.name
		}
	}
	return "0B"
}

// ParseBytes reads a size with its unit: "50GiB" (binary) or "50GB" (decimal).
func ParseBytes(s string) (Bytes, error) {
	for _, u := range byteUnits {
		number, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || !(f >= 0 && f*float64(u.size) < math.MaxInt64) {
			break
		}
		return Bytes(f * float64(u.size)), nil
	}
	return 0, errors.New("not a size")
}
