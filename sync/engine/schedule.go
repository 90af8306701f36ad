package engine

import (
	"fmt"
	"hash/fnv"
	"time"

	"github.com/robfig/cron/v3"
)

const maxJitter = 30 * time.Second

// Parse reads a schedule (five fields, @hourly, @every 30s) in a time zone. It
// comes later by a jitter that depends on name alone: up to a tenth of the time
// between two ticks, 30 seconds at most, so that syncs of one schedule do not
// all begin in the same second. An empty name means none.
func Parse(text string, loc *time.Location, name string) (cron.Schedule, error) {
	s, err := cron.ParseStandard(text)
	if err != nil {
		return nil, fmt.Errorf("schedule %q: %w", text, err)
	}
	if loc == nil {
		loc = time.UTC
	}
	return &schedule{s, loc, jitter(s, loc, name)}, nil
}

type schedule struct {
	cron.Schedule
	loc    *time.Location
	jitter time.Duration
}

// Next returns the first tick after t.
func (s *schedule) Next(t time.Time) time.Time {
	next := s.Schedule.Next(t.Add(-s.jitter).In(s.loc))
	if next.IsZero() { // such as the 30th of February
		return t.AddDate(100, 0, 0)
	}
	return next.Add(s.jitter)
}

func jitter(s cron.Schedule, loc *time.Location, name string) time.Duration {
	if name == "" {
		return 0
	}
	first := s.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, loc))
	span := min(s.Next(first).Sub(first)/10, maxJitter)
	h := fnv.New64a()
	h.Write([]byte(name))
	return time.Duration(h.Sum64() % uint64(max(1, span)))
}
