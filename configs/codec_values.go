package configs

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"regexp"
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

func threshold() codec[Threshold] {
	return parsed("a percentage such as 1%, or a count of rows",
		schema{"anyOf": []any{
			schema{"type": "string", "pattern": `^[0-9.]+ *%$`},
			schema{"type": "integer", "minimum": 0},
		}}, []string{"!!int"}, ParseThreshold,
		func(t Threshold) *yaml.Node {
			if t.IsPercent {
				return plain("!!str", t.String())
			}
			return plain("!!int", t.String())
		})
}

func size() codec[Bytes] {
	return parsed("a size with its unit, such as 50GiB",
		schema{"type": "string", "pattern": `^[0-9.]+ *([KMGT]i?)?B$`}, nil, ParseBytes,
		func(b Bytes) *yaml.Node {
			if b == 0 {
				return nil
			}
			return plain("!!str", b.String())
		})
}

// projectID is Mixpanel's number of a project; quotes do no harm.
func projectID() codec[int64] {
	return parsed("the project's number, from Mixpanel's project settings",
		schema{"anyOf": []any{
			schema{"type": "integer", "minimum": 1},
			schema{"type": "string", "pattern": `^[0-9]+$`},
		}}, []string{"!!int"},
		func(s string) (int64, error) {
			id, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
			if err == nil && id <= 0 {
				err = errors.New("not positive")
			}
			return id, err
		},
		func(id int64) *yaml.Node { return plain("!!int", strconv.FormatInt(id, 10)) })
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

// glob matches column names: * is any run of characters, ? any one.
func glob() codec[string] {
	return textWith(`a pattern such as "_*"`, func(s string) error {
		if strings.ContainsAny(s, `[]{}\`) {
			return errors.New("is not a pattern: only * and ? are wildcards\n* is any run of characters, ? any one; write several patterns for alternatives")
		}
		return nil
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

// apiURL is the base of Mixpanel's endpoints. Credentials go there, so plain
// http may not leave the machine.
func apiURL() codec[string] {
	return textWith("a URL such as https://api.mixpanel.com", func(s string) error {
		u, err := url.Parse(s)
		switch {
		case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
			return errors.New("is not an http or https URL\nsuch as http://127.0.0.1:8090")
		case u.User != nil || u.RawQuery != "" || u.Fragment != "":
			return errors.New("must be a bare URL, without user, query or fragment\nsuch as http://127.0.0.1:8090")
		case u.Scheme == "http" && !isLoopback(u.Hostname()):
			return errors.New("would send credentials in the clear\nplain http is for loopback only (127.0.0.1, ::1, localhost); use https")
		}
		return nil
	})
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// endpoint is where a test server of BigQuery listens.
func endpoint() codec[string] {
	return textWith("an address such as http://127.0.0.1:9050", func(s string) error {
		if u, err := url.Parse(s); err == nil && u.Host != "" || isHostPort(s) {
			return nil
		}
		return errors.New("is neither a URL nor host:port\nsuch as http://127.0.0.1:9050")
	})
}

func isHostPort(s string) bool {
	host, port, err := net.SplitHostPort(s)
	n, bad := strconv.Atoi(port)
	return err == nil && bad == nil && host != "" && n > 0 && n < 65536
}

const defaultState = "sqlite:.mixsync/state.db"

// state names the database that keeps the marks.
func state() codec[string] {
	c := textWith("sqlite:<path> or a postgres:// URL", func(s string) error {
		if path, ok := strings.CutPrefix(s, "sqlite:"); ok {
			if path == "" {
				return errors.New("names no file\n" + defaultState)
			}
			return nil
		}
		if strings.HasPrefix(s, "postgres://") || strings.HasPrefix(s, "postgresql://") {
			if u, err := url.Parse(s); err != nil || u.Host == "" && u.RawQuery == "" && u.Path == "" {
				return errors.New("is not a URL that can be read\npostgres://user:password@host:5432/database; write special characters of the password as %40 and the like")
			}
			return nil
		}
		return errors.New("is neither sqlite:<path> nor a postgres:// URL\nsuch as " + defaultState)
	})
	c.encode = func(e *encoder, _ string, v string) *yaml.Node { return e.text(maskURL(v)) }
	return c
}

var passwordParam = regexp.MustCompile(`(?i)([?&](?:ssl)?password=)[^&]*`)

// maskURL hides the password of a URL, wherever it stands.
func maskURL(s string) string {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return s
	}
	rest = passwordParam.ReplaceAllString(rest, "${1}"+mask)
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		if user, _, has := strings.Cut(rest[:at], ":"); has {
			rest = user + ":" + mask + rest[at:]
		}
	}
	return scheme + "://" + rest
}

// constant is a fixed property value: text, number, true, false or null.
func constant() codec[any] {
	return codec[any]{
		decode: func(d *decoder, n node, v *any) {
			if isNull(n.Node) {
				*v = nil
				return
			}
			s, ok := d.scalar(n, "text, a number, true, false or null")
			if !ok {
				*v = s.raw
				return
			}
			*v = s.text
			switch s.tag {
			case "!!bool":
				*v = strings.EqualFold(s.text, "true")
			case "!!int":
				i, err := strconv.ParseInt(strings.ReplaceAll(s.text, "_", ""), 0, 64)
				if err != nil {
					d.faultf(n, "quote it to send it as text", "is too large a number")
				}
				*v = i
			case "!!float":
				if !strings.ContainsAny(s.text, ".eE") { // YAML takes a long integer for a float
					d.faultf(n, "quote it to send it as text", "is too large a number")
				}
				f, err := strconv.ParseFloat(strings.ReplaceAll(s.text, "_", ""), 64)
				if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
					d.faultf(n, "quote it to send it as text", "is not a number that JSON can hold")
				}
				*v = f
			}
		},
		encode: func(e *encoder, _ string, v any) *yaml.Node {
			switch v := v.(type) {
			case nil:
				return plain("!!null", "null")
			case bool:
				return plain("!!bool", strconv.FormatBool(v))
			case int64:
				return plain("!!int", strconv.FormatInt(v, 10))
			case float64:
				return plain("!!float", strconv.FormatFloat(v, 'g', -1, 64))
			case string:
				if n := e.text(v); n != nil {
					return n
				}
			}
			return plain("!!str", "")
		},
		schema: func() schema { return schema{"type": []string{"string", "number", "boolean", "null"}} },
	}
}
