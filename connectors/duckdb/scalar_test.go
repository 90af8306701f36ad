//go:build cgo

package duckdb

import (
	"math"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/mapping/appendjson"
)

// FuzzHuge compares numbers of 128 bits with math/big's.
func FuzzHuge(f *testing.F) {
	f.Add(uint64(0), uint64(0), true, uint8(0))
	f.Add(uint64(math.MaxUint64), uint64(math.MaxUint64), false, uint8(38))
	f.Add(uint64(0), uint64(1<<63), true, uint8(38))
	f.Add(uint64(5), uint64(0), true, uint8(3))
	f.Add(uint64(0x8ac7230489e80000), uint64(0), true, uint8(0)) // 10^19
	f.Fuzz(func(t *testing.T, lower, upper uint64, signed bool, digits uint8) {
		scale := int(digits % 39)
		v := new(big.Int).Or(new(big.Int).Lsh(new(big.Int).SetUint64(upper), 64), new(big.Int).SetUint64(lower))
		if signed && upper>>63 == 1 {
			v.Sub(v, new(big.Int).Lsh(big.NewInt(1), 128))
		}
		unscaled := new(big.Rat).SetFrac(v, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil))
		if got, want := string(appendHuge([]byte("x"), hugeint{lower, upper}, signed, scale)), "x"+unscaled.FloatString(scale); got != want {
			t.Errorf("appendHuge(%d, %d, %t, %d) = %s, want %s", lower, upper, signed, scale, got, want)
		}
		small := new(big.Rat).SetFrac(big.NewInt(int64(lower)), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil))
		if got, want := string(appendjson.Scaled([]byte("x"), int64(lower), scale)), "x"+small.FloatString(scale); got != want {
			t.Errorf("Scaled(%d, %d) = %s, want %s", int64(lower), scale, got, want)
		}
	})
}

// FuzzTimes compares dates and times with those of package time.
func FuzzTimes(f *testing.F) {
	f.Add(int64(0), int64(0))
	f.Add(int64(-719163), int64(1))
	f.Add(int64(2932897), int64(86_399_999_999_999))
	f.Fuzz(func(t *testing.T, days, nanos int64) {
		const first, count = -719_162, 3_652_059 // of the days of years 1 to 9999
		days = first + (days%count+count)%count
		nanos = (nanos%86_400e9 + 86_400e9) % 86_400e9
		dst, era := appendDate(nil, days)
		got := string(appendClock(append(dst, 'T'), nanos)) + era
		if want := time.Unix(days*86_400, nanos).UTC().Format("2006-01-02T15:04:05.999999999"); got != want {
			t.Errorf("day %d, %d ns = %s, want %s", days, nanos, got, want)
		}
	})
}

// FuzzText prints bits and large integers of any bytes.
func FuzzText(f *testing.F) {
	f.Add([]byte("a\"b\\\x00\xff☃"))
	f.Fuzz(func(t *testing.T, text []byte) {
		_ = appendBits(nil, text)
		_ = appendBignum(nil, text)
	})
}

func TestMicros(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ n, unit, want int64 }{
		{1, 1_000_000, 1_000_000},
		{-1, 1_000, -1_000},
		{math.MaxInt64, 1_000_000, warehouse.PosInfinity},
		{-math.MaxInt64, 1, warehouse.NegInfinity},
		{math.MaxInt64 - 1, 1_000, math.MaxInt64 - 1},
		{math.MaxInt64 - 1, 1, math.MaxInt64 - 1},
		{math.MinInt64 + 2, 1_000, math.MinInt64 + 1},
	} {
		if got := micros(test.n, test.unit); got != test.want {
			t.Errorf("micros(%d, %d) = %d, want %d", test.n, test.unit, got, test.want)
		}
	}
}

func TestDefaultMemory(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"max\n": 1 << 30, "536870912\n": 1 << 28, "99999999999\n": 1 << 30, "": 1 << 30, "none": 1 << 30} {
		got := defaultMemory(func(name string) ([]byte, error) {
			if text == "none" || strings.HasSuffix(name, "in_bytes") {
				return nil, os.ErrNotExist
			}
			return []byte(text), nil
		})
		if got != want {
			t.Errorf("defaultMemory of %q = %d, want %d", text, got, want)
		}
	}
}

func TestErrorMessages(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]struct {
		class warehouse.Class
		text  string
	}{
		"IO Error: Cannot open file \"/a\": Permission denied":                                    {warehouse.ClassCredentials, "permission denied"},
		"IO Error: Could not set lock on file \"/a\": Resource busy":                              {warehouse.ClassUnreachable, "another process has it open for writing"},
		"IO Error: Trying to read a database file with version number 99, but we can only read …": {warehouse.ClassConfig, "version number 99"},
		"Serialization Error: Failed to deserialize: field id mismatch":                           {warehouse.ClassUnreachable, "field id"},
		"Out of Memory Error: could not allocate block":                                           {warehouse.ClassConfig, "allocate"},
		"something else": {warehouse.ClassUnreachable, "something else"},
	} {
		e := openError("/lake.duckdb", message)
		if e.Class != want.class || !strings.Contains(e.Error(), want.text) || !strings.Contains(e.Error(), "/lake.duckdb") || e.Hint == "" {
			t.Errorf("openError(%q) = class %d, %q, hint %q", message, e.Class, e, e.Hint)
		}
	}
	if e := classify("IO Error: Cannot open file \"/a\": Permission denied"); e.Class != warehouse.ClassCredentials || e.Hint == "" {
		t.Errorf("classify of a refused file = class %d, hint %q", e.Class, e.Hint)
	}
}
