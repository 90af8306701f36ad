package emulator

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	maxPreview    = 140  // runes of properties in one line
	maxShort      = 120  // runes of a value before it is folded
	maxShown      = 4000 // runes of a value in the page; the JSON views have it whole
	maxProperties = 100  // of one record in the page
)

type eventRow struct {
	Event
	Properties recordProperties
}

type profileRow struct {
	Profile
	Properties recordProperties
}

// recordProperties are a record's properties for the page.
type recordProperties struct {
	Preview []property // the first ones, as far as a line goes
	Shown   []property
	More    int // not shown
}

type property struct {
	Name  string
	Value string // strings as they are, all else as JSON
	Kind  string // text, number, or other
}

// Count is how many properties the record has.
func (p recordProperties) Count() int { return len(p.Shown) + p.More }

// describe sorts properties by name. What columns show anyway is not in the preview.
func describe(values map[string]any) (p recordProperties) {
	names := slices.Sorted(maps.Keys(values))
	p.More = max(len(names)-maxProperties, 0)
	room := maxPreview
	for _, name := range names[:len(names)-p.More] {
		v := propertyOf(name, values[name])
		p.Shown = append(p.Shown, v)
		if inColumns[name] || room <= 0 {
			continue
		}
		v.Value = elide(v.Value, 40)
		room -= utf8.RuneCountInString(name) + utf8.RuneCountInString(v.Value) + 3
		p.Preview = append(p.Preview, v)
	}
	return p
}

// inColumns are the properties of events that have columns of their own.
var inColumns = map[string]bool{"time": true, "distinct_id": true, "$insert_id": true, "$company_id": true, "$user_id": true}

func propertyOf(name string, v any) property {
	switch v := v.(type) {
	case string:
		if v == "" {
			return property{name, `""`, "quiet"}
		}
		return property{name, elide(v, maxShown), "text"}
	case json.Number:
		return property{name, v.String(), "number"}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // what was decoded from JSON can be encoded
	return property{name, elide(strings.TrimSpace(b.String()), maxShown), "other"}
}

func eventRows(events []Event) (rows []eventRow) {
	for _, e := range events {
		rows = append(rows, eventRow{e, describe(e.Properties)})
	}
	return rows
}

func profileRows(profiles []Profile) (rows []profileRow) {
	for _, p := range profiles {
		rows = append(rows, profileRow{p, describe(p.Properties)})
	}
	return rows
}

// tableRow is a lookup table with its first rows.
type tableRow struct {
	LookupTable
	Sample [][]string
}

func tableRows(tables []LookupTable) (rows []tableRow) {
	for _, t := range tables {
		row := tableRow{LookupTable: t}
		r := csv.NewReader(bytes.NewReader(t.CSV))
		_, _ = r.Read() // the header
		for len(row.Sample) < sampleRows {
			fields, err := r.Read()
			if err != nil {
				break
			}
			row.Sample = append(row.Sample, fields)
		}
		rows = append(rows, row)
	}
	return rows
}

type requestRow struct {
	Request
	Answer string // status
	Good   bool
	Modes  string
	Body   string // sizes
	Wire   string
	Took   string
	Hits   []kindCount // faults
}

func requestRows(requests []Request) (rows []requestRow) {
	for _, r := range requests {
		row := requestRow{Request: r, Answer: statusText(strconv.Itoa(r.Status)), Good: r.Status == 200 && r.Refused == 0}
		var modes []string
		if r.Strict {
			modes = append(modes, "strict")
		}
		if r.Verbose {
			modes = append(modes, "verbose")
		}
		if r.Encoding != "" {
			modes = append(modes, elide(r.Encoding, 20))
		}
		row.Modes = strings.Join(modes, ", ")
		row.Body, row.Wire = byteSize(int64(r.BytesBody)), byteSize(int64(r.BytesWire))
		row.Took = strconv.FormatFloat(r.DurationMS, 'f', 1, 64) + " ms"
		for _, kind := range r.Faults {
			i := slices.IndexFunc(row.Hits, func(c kindCount) bool { return c.Kind == kind })
			if i < 0 {
				i, row.Hits = len(row.Hits), append(row.Hits, kindCount{Kind: kind})
			}
			row.Hits[i].Count++
		}
		rows = append(rows, row)
	}
	return rows
}

// statusText is an HTTP status as the page names it.
func statusText(status string) string {
	if status == "0" {
		return "dropped"
	}
	return status
}

// faultRow is a fault in force.
type faultRow struct{ Kind, Where, Rule string }

func faultRowOf(r Rule) faultRow {
	row := faultRow{Kind: r.Kind, Where: r.Path}
	text, err := json.Marshal(r)
	if err == nil {
		row.Rule = elide(string(text), maxShown)
	}
	return row
}

// elide cuts text to so many runes.
func elide(text string, runes int) string {
	if len(text) <= runes {
		return text
	}
	n := 0
	for i := range text {
		if n++; n > runes {
			return text[:i] + "…"
		}
	}
	return text
}

// Long tells whether a value is folded, Short what is seen of it then.
func (p property) Long() bool    { return utf8.RuneCountInString(p.Value) > maxShort }
func (p property) Short() string { return elide(p.Value, 80) }

// stamp is a time as the page shows it, in UTC.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2006-01-02 15:04:05.000")
}

func isoTime(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// grouped puts commas between thousands.
func grouped(digits string) string {
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// byteSize is a number of bytes in the largest unit that leaves it above one.
func byteSize(n int64) string {
	size, units := float64(n), []string{"B", "kB", "MB", "GB", "TB"}
	for size >= 999.5 && len(units) > 1 {
		size, units = size/1000, units[1:]
	}
	if size >= 99.5 || units[0] == "B" {
		return fmt.Sprintf("%.0f %s", size, units[0])
	}
	return fmt.Sprintf("%.1f %s", size, units[0])
}
