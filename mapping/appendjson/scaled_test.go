package appendjson_test

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/mixsync/mixsync/mapping/appendjson"
)

func TestScaled(t *testing.T) {
	t.Parallel()
	values := []int64{0, 7, -7, 1250, -1250, math.MaxInt64, math.MinInt64}
	for range 1000 {
		values = append(values, rand.Int64()>>rand.IntN(63), -rand.Int64()>>rand.IntN(63))
	}
	for _, v := range values {
		for _, scale := range []int{0, 1, 2, 9, 18, 30} {
			ratio := new(big.Rat).SetFrac(big.NewInt(v), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil))
			if got, want := string(appendjson.Scaled([]byte("x"), v, scale)), "x"+ratio.FloatString(scale); got != want {
				t.Fatalf("Scaled(%d, %d) = %s, want %s", v, scale, got, want)
			}
		}
	}
	if got := string(appendjson.Scaled(nil, -12, -3)); got != "-12000" {
		t.Errorf("Scaled(-12, -3) = %s, want -12000", got)
	}
}

func TestIntervalText(t *testing.T) {
	t.Parallel()
	for want, v := range map[string]struct {
		months, days, micros int64
		sub                  int16
	}{
		"PT0S":                    {},
		"P1Y2M3DT4H5M6.7S":        {14, 3, 14706_700_000, 0},
		"P-1Y-2M-3D":              {-14, -3, 0, 0},
		"PT-0.5S":                 {0, 0, -500_000, 0},
		"PT0.000000001S":          {0, 0, 0, 1},
		"PT-1M-0.000001S":         {0, 0, -60_000_001, 0},
		"PT-0.000001001S":         {0, 0, -1, -1},
		"P1DT2H":                  {0, 1, 7_200_000_000, 0},
		"P1MT10S":                 {1, 0, 10_000_000, 0},
		"PT2562047788H54.775807S": {0, 0, 2562047788*3_600_000_000 + 54_775_807, 0},
	} {
		if got := string(appendjson.IntervalText(nil, v.months, v.days, v.micros, v.sub)); got != want {
			t.Errorf("IntervalText(%+v) = %s, want %s", v, got, want)
		}
	}
}
