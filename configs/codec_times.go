package configs

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // a zone name means the same in an image without /usr/share/zoneinfo

	"github.com/robfig/cron/v3"
	"gopkg.in/yaml.v3"
)

// duration is a span of time. It is printed unless zero.
func duration(least time.Duration) codec[time.Duration] {
	s := schema{"type": "string", "pattern": `^([0-9.]+(ns|us|µs|ms|s|m|h|d|w))+$`}
	c := parsed("a duration such as 30s, 10m, 36h or 1d", s, nil,
		func(s string) (time.Duration, error) {
			d, err := ParseDuration(s)
			if err == nil && d < least {
				return 0, hinted("at least " + formatDuration(least))
			}
			return d, err
		},
		func(d time.Duration) *yaml.Node {
			if d == 0 {
				return nil
			}
			return plain("!!str", formatDuration(d))
		})
	return withUnit(c)
}

// spanOrZero is a duration for which a plain 0 means none.
func spanOrZero() codec[time.Duration] {
	c := duration(0)
	s := schema{"anyOf": []any{schema{"const": 0}, c.schema()}}
	c.schema = func() schema { return s }
	c.encode = func(_ *encoder, _ string, d time.Duration) *yaml.Node {
		if d == 0 {
			return plain("!!int", "0")
		}
		return plain("!!str", formatDuration(d))
	}
	return c
}

// withUnit answers a bare number with the unit it lacks; 0 needs none.
func withUnit(c codec[time.Duration]) codec[time.Duration] {
	decode := c.decode
	c.decode = func(d *decoder, n node, v *time.Duration) {
		switch {
		case n.Kind == yaml.ScalarNode && n.Tag == "!!int" && n.Value == "0":
			at := n
			zero := *n.Node
			zero.Tag = "!!str"
			at.Node = &zero
			decode(d, at, v)
		case n.Kind == yaml.ScalarNode && (n.Tag == "!!int" || n.Tag == "!!float"):
			d.faultf(n, fmt.Sprintf("give it a unit: %ss", n.Value), "must be a duration such as 30s, 10m, 36h or 1d, not a number")
		default:
			decode(d, n, v)
		}
	}
	return c
}

func lookback() codec[Lookback] {
	return parsed("a duration such as 10m or 1d, or a count for an integer cursor",
		schema{"type": []string{"string", "integer"}, "minimum": 0}, []string{"!!int"}, ParseLookback,
		func(l Lookback) *yaml.Node {
			if l.IsCount() {
				return plain("!!int", l.Text)
			}
			n := plain("!!str", l.Text)
			if !l.IsSet {
				n.LineComment = "1d if the cursor is a DATE; an integer cursor needs a count"
			}
			return n
		})
}

var startLayouts = []string{
	"2006-01-02", "2006-01-02T15:04:05", "2006-01-02 15:04:05",
	"2006-01-02T15:04:05Z07:00", "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04", "2006-01-02 15:04",
}

// start is a cursor value: its own text is kept, the warehouse compares it.
func start() codec[string] {
	return parsed("a date, a timestamp, or a number for an integer cursor",
		schema{"type": []string{"string", "integer"}}, []string{"!!int", "!!timestamp"},
		func(s string) (string, error) {
			if _, err := strconv.ParseInt(s, 10, 64); err == nil {
				return s, nil
			}
			for _, layout := range startLayouts {
				if _, err := time.Parse(layout, s); err == nil {
					return s, nil
				}
			}
			return "", hinted("such as 2025-01-01, 2025-01-01T06:00:00Z or 1000")
		},
		func(s string) *yaml.Node {
			if s == "" {
				return nil
			}
			return plain("!!str", s)
		})
}

// slice is a calendar unit, or a count of integers.
func slice() codec[Slice] {
	words := []string{SliceAuto, "hour", "day", "week", "month"}
	return parsed("auto, hour, day, week, month, or a count for an integer cursor",
		schema{"anyOf": []any{schema{"enum": words}, schema{"type": "integer", "minimum": 1}}}, []string{"!!int"},
		func(s string) (Slice, error) {
			if n, err := strconv.ParseInt(s, 10, 64); err == nil && n > 0 {
				return Slice(s), nil
			}
			for _, w := range words {
				if s == w {
					return Slice(s), nil
				}
			}
			return "", hinted(didYouMean(s, words))
		},
		func(s Slice) *yaml.Node {
			if _, err := strconv.Atoi(string(s)); err == nil {
				return plain("!!int", string(s))
			}
			return plain("!!str", string(s))
		})
}

func timezone() codec[string] {
	return textWith("a time zone such as UTC or Europe/Berlin", func(s string) error {
		if _, err := location(s); err != nil {
			return fmt.Errorf("is not a time zone\nwrite a name of the IANA database such as UTC or Europe/Berlin")
		}
		return nil
	})
}

// location refuses "Local": the same YAML must mean the same on every machine.
func location(name string) (*time.Location, error) {
	if name == "" || name == "Local" {
		return nil, errors.New("not a name of the IANA database")
	}
	return time.LoadLocation(name)
}

func schedule() codec[string] {
	return textWith("a schedule such as \"*/15 * * * *\", @hourly or @every 30s", checkSchedule)
}

func checkSchedule(s string) error {
	const hint = `five fields (minute hour day month weekday) such as "*/15 * * * *", or @hourly, @daily, @weekly, @monthly, @every 30s`
	if strings.Contains(s, "TZ=") {
		return errors.New("holds a time zone\nset timezone beside it instead")
	}
	if every, ok := strings.CutPrefix(s, "@every "); ok {
		d, err := time.ParseDuration(every)
		if err != nil || d < time.Second {
			return errors.New("@every needs a duration of at least a second\nsuch as @every 30s or @every 2h")
		}
		return nil
	}
	parsed, err := cron.ParseStandard(s)
	if err != nil {
		return fmt.Errorf("is not a schedule: %s\n%s", strings.ReplaceAll(err.Error(), "\n", " "), hint)
	}
	if parsed.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return errors.New("never comes round\nis there such a day in that month?")
	}
	return nil
}
