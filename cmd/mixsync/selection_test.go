package main

import (
	"testing"
	"time"

	"github.com/mixsync/mixsync/sync/checkpoint"
	"github.com/mixsync/mixsync/sync/engine"
)

func TestDueAt(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 7, 0, 0, time.UTC)
	run := func(status string, ago time.Duration) *checkpoint.Run {
		at := now.Add(-ago)
		return &checkpoint.Run{Kind: checkpoint.Incremental, Status: status, StartedAt: at, FinishedAt: &at}
	}
	ofKind := func(kind string, r *checkpoint.Run) *checkpoint.Run {
		r.Kind = kind
		return r
	}
	attempts := func(n int, r *checkpoint.Run) *checkpoint.Run {
		r.Attempts = n
		return r
	}
	good, partial, failed, interrupted := checkpoint.Succeeded, checkpoint.Partial, checkpoint.Failed, checkpoint.Interrupted
	tests := []struct {
		name string
		runs []*checkpoint.Run // newest first
		want bool
	}{
		{"never ran", nil, true},
		{"ran since the last quarter", []*checkpoint.Run{run(good, 5*time.Minute)}, false},
		{"filed rejects since", []*checkpoint.Run{run(partial, 5*time.Minute)}, false},
		{"was not needed", []*checkpoint.Run{run(checkpoint.Skipped, 5*time.Minute), run(good, time.Hour)}, false},
		{"was not needed before the last quarter", []*checkpoint.Run{run(checkpoint.Skipped, 8*time.Minute), run(good, time.Hour)}, true},
		{"ran before the last quarter", []*checkpoint.Run{run(good, 8*time.Minute)}, true},
		{"a resync is a run", []*checkpoint.Run{ofKind(checkpoint.Resync, run(good, 5*time.Minute)), run(good, time.Hour)}, false},
		{"a range is none", []*checkpoint.Run{ofKind(checkpoint.Range, run(good, 5*time.Minute)), run(good, time.Hour)}, true},
		{"failed just now", []*checkpoint.Run{run(failed, 30*time.Second), run(good, time.Hour)}, false},
		{"failed a minute ago", []*checkpoint.Run{run(failed, time.Minute), run(good, time.Hour)}, true},
		{"failed twice", []*checkpoint.Run{run(failed, 90*time.Second), run(failed, 4*time.Minute), run(good, time.Hour)}, false},
		{"failed twice, two minutes ago", []*checkpoint.Run{run(failed, 2*time.Minute), run(failed, 4*time.Minute), run(good, time.Hour)}, true},
		{"failed ever and just now", []*checkpoint.Run{run(failed, 30*time.Second)}, false},
		{"failed for hours", []*checkpoint.Run{run(failed, 50*time.Minute), run(failed, 2*time.Hour), run(failed, 3*time.Hour), run(failed, 4*time.Hour),
			run(failed, 5*time.Hour), run(failed, 6*time.Hour), run(failed, 7*time.Hour), run(failed, 8*time.Hour)}, false},
		{"failed for hours, an hour ago", []*checkpoint.Run{run(failed, time.Hour), run(failed, 2*time.Hour), run(failed, 3*time.Hour), run(failed, 4*time.Hour),
			run(failed, 5*time.Hour), run(failed, 6*time.Hour), run(failed, 7*time.Hour), run(failed, 8*time.Hour)}, true},
		{"three attempts failed", []*checkpoint.Run{attempts(3, run(failed, 3*time.Minute)), run(good, time.Hour)}, false},
		{"three attempts failed, four minutes ago", []*checkpoint.Run{attempts(3, run(failed, 4*time.Minute)), run(good, time.Hour)}, true},
		{"attempts failed for days", []*checkpoint.Run{attempts(100, run(failed, 59*time.Minute)), run(good, 48*time.Hour)}, false},
		{"attempts failed for days, an hour ago", []*checkpoint.Run{attempts(100, run(failed, time.Hour)), run(good, 48*time.Hour)}, true},
		{"two attempts failed after another could not begin", []*checkpoint.Run{run(checkpoint.Refused, time.Hour), attempts(2, run(failed, 3*time.Minute))}, false},
		{"the same, four minutes ago", []*checkpoint.Run{run(checkpoint.Refused, time.Hour), attempts(2, run(failed, 4*time.Minute))}, true},
		{"could not begin just now", []*checkpoint.Run{run(checkpoint.Refused, 30*time.Second), run(good, time.Hour)}, false},
		{"could not begin a minute ago", []*checkpoint.Run{run(checkpoint.Refused, time.Minute), run(good, time.Hour)}, true},
		{"interrupted before the next tick", []*checkpoint.Run{run(interrupted, time.Second), run(good, 5*time.Minute)}, true},
		{"a resync was interrupted before the next tick", []*checkpoint.Run{ofKind(checkpoint.Resync, run(interrupted, time.Second)), run(good, 5*time.Minute)}, false},
		{"interrupted", []*checkpoint.Run{run(interrupted, time.Minute), run(good, 8*time.Minute)}, true},
	}
	schedule, err := engine.Parse("*/15 * * * *", time.UTC, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		if got := !dueAt(schedule, tt.runs).After(now); got != tt.want {
			t.Errorf("%s: due = %t, want %t", tt.name, got, tt.want)
		}
	}
}
