package emulator

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed page.css
var pageCSS string

//go:embed page.html
var pageHTML string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"num": func(n int) string { return grouped(strconv.Itoa(n)) }, "bytes": byteSize, "elide": elide, "at": stamp, "iso": isoTime,
	"parts":  func(id string) []string { return strings.Split(id, "|") },
	"spaced": func(name string) string { return strings.ReplaceAll(name, "_", " ") },
}).Parse(pageHTML))

// pagePolicy lets the page have its own style and nothing else: what senders
// put into events must not run, nor load anything.
var pagePolicy = func() string {
	sum := sha256.Sum256([]byte(pageCSS))
	return "default-src 'none'; img-src data:; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
}()

const (
	pageRows   = 25 // of one table
	foundRows  = 50 // of a lookup
	sampleRows = 5  // of a lookup table
	maxRefresh = 3600
)

// page is what the template shows.
type page struct {
	CSS     template.CSS
	Host    string
	Now     time.Time
	State   State
	Refresh int // seconds, 0 is never

	Violations int
	Kinds      []kindCount
	Statuses   []statusCount
	Faults     []faultRow

	Key      string
	Found    *found
	Events   section[eventRow]
	Profiles section[profileRow]
	Tables   section[tableRow]
	Troubles section[Violation]
	Requests section[requestRow]

	Endpoints []endpoint
	query     url.Values // what links keep
}

// kindCount is how often one kind of violation or fault happened.
type kindCount struct {
	Kind, Meaning string
	Count         int
}

// statusCount is how often one status was answered.
type statusCount struct {
	Status string
	Count  int
}

// section is a part of a list, with the way to the other parts.
type section[T any] struct {
	Rows            []T
	Total           int
	First, Last     int // of the rows, counted from 1
	Newer, Older    string
	Number, Numbers int // of the part, counted from 1
}

// offsetOf reads which part of a list is asked for.
func (p *page) offsetOf(name string) int {
	n, err := strconv.Atoi(p.query.Get(name))
	if err != nil || n < 1 || n > 1<<30/pageRows {
		return 0
	}
	return (n - 1) * pageRows
}

// sectionOf describes the rows from offset on of a list of total.
func sectionOf[T any](p *page, name string, rows []T, offset, total int) section[T] {
	s := section[T]{Rows: rows, Total: total, First: offset + 1, Last: offset + len(rows)}
	s.Number, s.Numbers = offset/pageRows+1, (total+pageRows-1)/pageRows
	if offset > 0 {
		s.Newer = p.Link(name, min(s.Number-1, max(s.Numbers, 1)))
	}
	if s.Last < total && len(rows) > 0 {
		s.Older = p.Link(name, s.Number+1)
	}
	return s
}

// partOf is a section of a list that is at hand as a whole.
func partOf[T any](p *page, name string, all []T) section[T] {
	offset := p.offsetOf(name)
	return sectionOf(p, name, all[min(offset, len(all)):min(offset+pageRows, len(all))], offset, len(all))
}

// Link is the page with one parameter changed; 0, and 1 for a list, is its default.
func (p *page) Link(name string, value int) string {
	query := url.Values{}
	for kept := range p.query {
		query.Set(kept, p.query.Get(kept))
	}
	query.Set(name, strconv.Itoa(value))
	if value == 0 || value == 1 && name != "refresh" {
		query.Del(name)
	}
	if name == "refresh" {
		return "/?" + query.Encode()
	}
	return "/?" + query.Encode() + "#" + name
}

// Pager is what the template of that name needs.
func (s section[T]) Pager(of string) any {
	return struct {
		section[T]
		Of string
	}{s, of}
}

// rows are rows of a table, for a template that makes links besides.
type rows struct {
	Page *page
	Rows any
}

// With gives a template rows and the page they stand on.
func (p *page) With(list any) rows { return rows{p, list} }

// KeyLink is the page that looks a key up.
func (p *page) KeyLink(key string) string {
	return "/?" + url.Values{"key": {key}}.Encode() + "#lookup"
}

var pageParameters = []string{"key", "refresh", "events", "profiles", "tables", "violations", "requests"}

// getPage serves the page for people.
func (s *Server) getPage(w http.ResponseWriter, r *http.Request) {
	p := s.page(r)
	var out bytes.Buffer
	if err := pageTemplate.Execute(&out, p); err != nil {
		http.Error(w, "emulator: "+err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	_, _ = w.Write(out.Bytes())
}

// page gathers what is shown. Its parts are taken one after the other, so that
// requests under way may be in one and not yet in another.
func (s *Server) page(r *http.Request) *page {
	p := &page{
		CSS: template.CSS(pageCSS), Host: cmp.Or(r.Host, "127.0.0.1:8090"), Now: s.options.Now().UTC(),
		State: s.State(), Endpoints: endpoints, query: url.Values{},
	}
	for _, name := range pageParameters {
		if v := r.URL.Query().Get(name); v != "" {
			p.query.Set(name, v)
		}
	}
	if n, err := strconv.Atoi(p.query.Get("refresh")); err == nil && n > 0 && n <= maxRefresh {
		p.Refresh = n
	}
	p.summarize()
	for _, r := range s.faults.list() {
		p.Faults = append(p.Faults, faultRowOf(r))
	}
	if p.Key = p.query.Get("key"); p.Key != "" {
		p.Found = s.lookUp(p.Key)
	}
	offset := p.offsetOf("events")
	events, total := s.latest(offset, pageRows, nil)
	p.Events = sectionOf(p, "events", eventRows(events), offset, total)
	offset = p.offsetOf("profiles")
	profiles, total := s.sortedProfiles(offset, pageRows, nil)
	p.Profiles = sectionOf(p, "profiles", profileRows(profiles), offset, total)
	p.Tables = partOf(p, "tables", tableRows(s.LookupTables()))
	violations, requests := s.Violations(), s.Requests()
	slices.Reverse(violations)
	slices.Reverse(requests)
	p.Troubles = partOf(p, "violations", violations)
	p.Requests = partOf(p, "requests", requestRows(requests))
	return p
}

// summarize counts for the overview.
func (p *page) summarize() {
	for kind, n := range p.State.Counters.Violations {
		p.Violations += n
		p.Kinds = append(p.Kinds, kindCount{kind, meanings[kind], n})
	}
	slices.SortFunc(p.Kinds, func(a, b kindCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Kind, b.Kind))
	})
	for status, n := range p.State.Counters.Statuses {
		p.Statuses = append(p.Statuses, statusCount{statusText(status), n})
	}
	slices.SortFunc(p.Statuses, func(a, b statusCount) int { return cmp.Compare(a.Status, b.Status) })
}

// Answered is how many requests there were, dropped ones included.
func (p *page) Answered() (n int) {
	for _, c := range p.Statuses {
		n += c.Count
	}
	return n
}

// meanings say what each kind of violation leads to.
var meanings = map[string]string{
	WrongToken:      "profile for another project; not stored",
	WrongEndpoint:   "/engage in a hierarchical project; not stored",
	MissingCompany:  "no company beside the user: a profile is lost, an event makes a user that can never be merged",
	CompanyMismatch: "a company's $group_id differs from its $company_id; not stored",
	PrefixedID:      "id sent with $company:, $user: or $device:, which only Mixpanel adds",
	JunkID:          "profile of a placeholder such as null; not stored",
	DuplicateKey:    "profile twice in one request: which write wins is not defined",
	ConcurrentKey:   "profile in two requests at once: which write wins is not defined",
	AddressIdentity: "event without any id: Mixpanel makes a user of the sender's address",
	UnknownMember:   "event with members besides event and properties",
	Ignored:         "event with $ignore: counted as imported, and dropped",
}
