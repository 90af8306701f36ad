package main

import (
	"testing"
	"time"

	"github.com/mixsync/mixsync/sync/checkpoint"
)

// What was cut off is gone on with at once, what failed after a wait that grows,
// and what only people can mend not by itself.
func TestWorthAnotherTry(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	ended := now.Add(-5 * time.Minute)
	for _, tt := range []struct {
		name string
		run  checkpoint.Run
		want bool
	}{
		{"interrupted", checkpoint.Run{Status: checkpoint.Interrupted, FinishedAt: &now}, true},
		{"its process died", checkpoint.Run{Status: checkpoint.Running}, true},
		{"failed once", checkpoint.Run{Status: checkpoint.Failed, FinishedAt: &ended, Attempts: 1, Error: []byte(`{"code":"unreachable"}`)}, true},
		{"failed a moment ago", checkpoint.Run{Status: checkpoint.Failed, FinishedAt: &now, Attempts: 1}, false},
		{"failed many times", checkpoint.Run{Status: checkpoint.Failed, FinishedAt: &ended, Attempts: 6}, false},
		{"too many rejects", checkpoint.Run{Status: checkpoint.Failed, FinishedAt: &ended, Attempts: 1, Error: []byte(`{"code":"too_many_rejects"}`)}, false},
	} {
		if got := worthAnotherTry(&tt.run, now); got != tt.want {
			t.Errorf("%s: %t, want %t", tt.name, got, tt.want)
		}
	}
}
