package runner

import (
	"errors"
	"strings"
	"testing"
)

func TestThresholdExceeded(t *testing.T) {
	t.Parallel()
	percent := func(p float64) Threshold { return Threshold{Percent: p, IsPercent: true} }
	tests := []struct {
		threshold Threshold
		n, rows   int64
		final     bool
		want      bool
	}{
		{Threshold{}, 0, 10, true, false},
		{Threshold{}, 1, 10, false, true}, // a count needs no rows to be judged by
		{Threshold{Count: 3}, 3, 10, true, false},
		{Threshold{Count: 3}, 4, 10, true, true},
		{percent(1), 10, 999, false, false}, // too few rows to say
		{percent(1), 10, 999, true, true},
		{percent(1), 10, 1000, false, false},
		{percent(1), 11, 1000, false, true},
		{percent(0), 0, 1000, true, false},
		{percent(0), 1, 1000, false, true},
		{percent(100), 1000, 1000, true, false},
		{percent(1), 0, 0, true, false},
	}
	for _, tt := range tests {
		if got := tt.threshold.Exceeded(tt.n, tt.rows, tt.final); got != tt.want {
			t.Errorf("%s.Exceeded(%d, %d, final: %t) = %t, want %t", tt.threshold, tt.n, tt.rows, tt.final, got, tt.want)
		}
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	code := func(j *judge) string {
		e, _ := errors.AsType[*Error](j.verdict(true))
		if e == nil {
			return ""
		}
		return e.Code
	}
	j := &judge{rejects: Threshold{Count: 2}, restates: Threshold{Count: 1}}
	j.rows.Store(10)
	j.reject("blank_id")
	j.reject("bad_time")
	j.restated.Add(1)
	if got := code(j); got != "" {
		t.Errorf("code = %q with as many as are allowed, want none", got)
	}
	j.restated.Add(1)
	if got := code(j); got != CodeMappingChanged {
		t.Errorf("code = %q with two rows restated, want %q", got, CodeMappingChanged)
	}
	j.accept = true
	if got := code(j); got != "" {
		t.Errorf("code = %q with the change accepted, want none", got)
	}
	j.reject("blank_id")
	if err := j.verdict(true); code(j) != CodeTooManyRejects || !strings.Contains(err.Error(), "3 of 10 rows were rejected (1 bad_time, 2 blank_id)") {
		t.Errorf("verdict = %v, want the rejects by code", err)
	}
}
