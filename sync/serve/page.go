package serve

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"html/template"
	"net/http"
	"strconv"
	"time"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"ago":   func(now, t time.Time) string { return span(now.Sub(t)) + " ago" },
	"until": func(now time.Time, t *time.Time) string { return "in " + span(t.Sub(now)) },
	"lag":   func(seconds *float64) string { return span(time.Duration(*seconds * float64(time.Second))) },
	"utc":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"n":     thousands,
	"why": func(e json.RawMessage) string {
		var known Error
		if json.Unmarshal(e, &known) != nil {
			return ""
		}
		return known.Message
	},
}).Parse(pageText))

// page shows every sync in a line. It runs no script and loads nothing.
func (s *server) page(w http.ResponseWriter, r *http.Request) {
	o, err := s.Backend.Overview(r.Context())
	if err != nil {
		s.Log.Error("the page cannot be made", "err", err)
		http.Error(w, "the state cannot be read: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, struct {
		*Overview
		Now time.Time
	}{o, time.Now()}); err != nil {
		s.fail(w, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	_, _ = b.WriteTo(w)
}

// span is a duration in its largest unit.
func span(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + "s"
	case d < time.Hour:
		return strconv.Itoa(int(d.Minutes())) + "m"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d.Hours())) + "h"
	}
	return strconv.Itoa(int(d.Hours()/24)) + "d"
}

func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
