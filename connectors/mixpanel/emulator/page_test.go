package emulator_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mixsync/mixsync/connectors/mixpanel/emulator"
)

// document is a page taken apart.
type document struct {
	raw      string
	elements []xml.StartElement
	text     string // of all but style, one space between elements
}

// browse gets the page as a browser does and takes it apart; tags that do not
// nest are an error.
func browse(t *testing.T, s http.Handler, target string) document {
	t.Helper()
	w := ask(t, s, target, "Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("GET %s = %d %s", target, w.Code, w.Header().Get("Content-Type"))
	}
	d := document{raw: w.Body.String()}
	x := xml.NewDecoder(strings.NewReader(d.raw))
	x.Strict, x.AutoClose, x.Entity = false, append(slices.Clone(xml.HTMLAutoClose), "wbr"), xml.HTMLEntity
	var text strings.Builder
	space := func(tag xml.Name) {
		if tag.Local != "wbr" { // which may break a word, and does not end it
			text.WriteByte(' ')
		}
	}
	var open []string
	for {
		token, err := x.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("GET %s: %v", target, err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			d.elements = append(d.elements, token.Copy())
			space(token.Name)
			open = append(open, token.Name.Local)
		case xml.EndElement:
			if last := open[len(open)-1]; last != token.Name.Local {
				t.Fatalf("GET %s: </%s> ends <%s>", target, token.Name.Local, last)
			}
			open = open[:len(open)-1]
			space(token.Name)
		case xml.CharData:
			if len(open) > 0 && open[len(open)-1] != "style" {
				text.Write(token)
			}
		}
	}
	d.text = strings.Join(strings.Fields(text.String()), " ")
	return d
}

func attr(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func (d document) all(name string) (found []xml.StartElement) {
	for _, e := range d.elements {
		if e.Name.Local == name {
			found = append(found, e)
		}
	}
	return found
}

func (d document) wants(t *testing.T, texts ...string) {
	t.Helper()
	for _, want := range texts {
		if !strings.Contains(d.text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

func (d document) lacks(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(d.text, text) {
			t.Errorf("the page has %q", text)
		}
	}
}

// shown is a server that has something for every part of the page.
func shown(t *testing.T) *emulator.Server {
	t.Helper()
	s := newServer(emulator.Options{LookupTables: map[string]string{"t1": "Price <list>", "t2": "Plans"}, Faults: emulator.Faults{Rules: []emulator.Rule{
		{Kind: emulator.FaultRefuse, Path: "/import", IDs: []string{"refused"}}, {Kind: emulator.FaultThrottle, Path: "/groups", After: 100},
	}}})
	long := strings.Repeat("word ", 900)
	post(t, s, strict, asLines, strings.Join([]string{
		strings.Replace(event("x1", `"$company_id":"acme"`, `"$user_id":"alice"`, `"html":"<img src=x onerror=alert(1)>"`, `"long":"`+long+`"`, `"none":null`, `"blank":""`), `"E"`, `"<script>alert(1)</script>"`, 1),
		event("d1", `"$company_id":"acme"`, `"$device_id":"phone"`),
		event("d2", `"$company_id":"acme"`, `"$device_id":"phone"`, `"$user_id":"alice"`),
		event("twice", `"$user_id":"bob"`), event("twice", `"$user_id":"bob"`), event("refused"), event("nobody", `"distinct_id":""`),
	}, "\n"))
	post(t, s, groups, asJSON, "["+company(`"$set":{"$name":"Acme & Sons","<b>":1}`)+`,{"$token":"T","$group_key":"$user_id","$group_id":"alice","$set":{"a":1}}]`)
	put(t, s, table, "sku,<th>\nA-1,\"<td>\"\n")
	return s
}

func TestPage(t *testing.T) {
	t.Parallel()
	s := shown(t)
	d := browse(t, s, "/")
	d.wants(t, fmt.Sprint("Violations ", len(s.Violations())),
		"hierarchical", "Events 5", "6 stored, 1 sent again", "Profiles 1", "Lookup tables 2", "200: 2, 400: 1",
		"1–5 of 5 deduplicated events", "<script>alert(1)</script>", "2026-03-01 12:00:00.000", "$company:acme|$user:alice",
		"→ $company:acme|$user:alice", "×2", "<img src=x onerror=alert(1)>", "nobody",
		"1–1 of 1 profiles", "$company:acme", "Acme & Sons", "<b>",
		"Price <list>", "<td>", "nothing sent yet",
		"missing company", "#2 /groups, record 1", "can never be merged",
		"1–3 of 3 requests", "refuse", "throttle",
		"/emulator/state",
	)
	seen := map[string]bool{}
	for _, e := range d.elements {
		if id := attr(e, "id"); id != "" {
			if seen[id] {
				t.Errorf("id %q is there twice", id)
			}
			seen[id] = true
		}
		if style := attr(e, "style"); style != "" {
			t.Errorf("<%s style=%q>: the policy forbids it", e.Name.Local, style)
		}
		for _, name := range []string{"href", "src", "action"} {
			if to := attr(e, name); to != "" && !strings.HasPrefix(to, "/") && !strings.HasPrefix(to, "#") && to != "data:," {
				t.Errorf("<%s %s=%q> leaves the page", e.Name.Local, name, to)
			}
		}
	}
	for _, e := range d.all("a") {
		if to, isAnchor := strings.CutPrefix(attr(e, "href"), "#"); isAnchor && !seen[to] {
			t.Errorf("link to #%s, which is not there", to)
		}
	}
	for _, name := range []string{"script", "img", "meta http-equiv"} {
		if strings.Contains(d.raw, "<"+name) {
			t.Errorf("the page has a <%s", name)
		}
	}
	if tables, captions := len(d.all("table")), len(d.all("caption")); tables < 7 || captions != tables {
		t.Errorf("%d tables, %d captions", tables, captions)
	}
	for _, e := range d.all("th") {
		if scope := attr(e, "scope"); scope != "col" && scope != "row" {
			t.Errorf("<th scope=%q>", scope)
		}
	}
	w := ask(t, s, "/")
	if got := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(got, "default-src 'none'; ") || strings.Contains(got, "unsafe") {
		t.Errorf("policy = %q", got)
	}
}

func TestPageNegotiation(t *testing.T) {
	t.Parallel()
	s := newServer(emulator.Options{})
	for accept, want := range map[string]string{
		"": "text/html; charset=utf-8", "*/*": "text/html; charset=utf-8", "text/html": "text/html; charset=utf-8",
		"text/html,application/json;q=0.9": "text/html; charset=utf-8",
		"application/json":                 "application/json", "text/plain": "text/plain; charset=utf-8",
	} {
		if got := ask(t, s, "/", "Accept", accept).Header().Get("Content-Type"); got != want {
			t.Errorf("Accept %q: %q, want %q", accept, got, want)
		}
	}
	for method, want := range map[string]int{"HEAD": 200, "POST": 405, "PUT": 405, "DELETE": 405} {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, "/", nil))
		if w.Code != want {
			t.Errorf("%s / = %d, want %d", method, w.Code, want)
		}
	}
}

func TestPageEmpty(t *testing.T) {
	t.Parallel()
	s := newServer(emulator.Options{Model: emulator.Standard, ProjectID: 7})
	d := browse(t, s, "http://127.0.0.1:9999/")
	d.wants(t, "standard", "project 7", "api_url: http://127.0.0.1:9999", "No events yet", "No profiles yet", "No lookup tables yet",
		"nothing lost in silence", "No requests yet", "type group or user")
	if tables := d.all("table"); len(tables) != 1 {
		t.Errorf("%d tables, want only that of the endpoints", len(tables))
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.Host = `"><script>`
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if strings.Contains(w.Body.String(), "<script") {
		t.Error("the host stands in the page as it is")
	}
}

func TestPageLookup(t *testing.T) {
	t.Parallel()
	s := shown(t)
	tests := []struct {
		key   string
		wants []string
	}{
		{"x1", []string{"1 event of x1"}},
		{"$company:acme|$user:alice", []string{"3 events of $company:acme|$user:alice"}}, // one through its device
		{"$company:acme|$device:phone", []string{"1 event of $company:acme|$device:phone"}},
		{"phone", []string{"Device phone was first linked to $company:acme|$user:alice"}},
		{"$company:acme", []string{"1 profile of $company:acme"}},
		{"acme", []string{"1 profile of acme"}},
		{"twice", []string{"1 event of twice", "Violations of twice"}},
		{"Acme", []string{"Nothing has the key Acme"}},
		{`"><script>`, []string{`Nothing has the key "><script>`}},
	}
	for _, tt := range tests {
		d := browse(t, s, "/?"+url.Values{"key": {tt.key}}.Encode())
		d.wants(t, tt.wants...)
		if nothing := strings.Contains(d.text, "Nothing has the key"); nothing != strings.HasPrefix(tt.wants[0], "Nothing") {
			t.Errorf("key %q: nothing found = %v", tt.key, nothing)
		}
		for _, e := range d.all("input") {
			if attr(e, "id") == "key" && attr(e, "value") != tt.key {
				t.Errorf("the field holds %q, want %q", attr(e, "value"), tt.key)
			}
		}
	}
}

func TestPageKeysOnly(t *testing.T) {
	t.Parallel()
	s := newServer(emulator.Options{KeysOnly: true})
	post(t, s, strict, asLines, event("i", `"$user_id":"a"`)+"\n"+event("i", `"$user_id":"b"`)+"\n"+event("j"))
	post(t, s, groups, asJSON, "["+company(`"$set":{"a":1}`)+"]")
	put(t, s, table, "id,name\n1,a\n")
	d := browse(t, s, "/?key=i")
	d.wants(t, "keys only", "Keys-only mode.", "are not kept", "Events are not kept in keys-only mode: 3", "Profiles are not kept in keys-only mode: 1",
		"Kept with this key: 2 events, 0 profiles", "id, name (rows are not kept in keys-only mode)")
	browse(t, s, "/?key=$company:acme").wants(t, "Kept with this key: 0 events, 1 profile.")
	browse(t, s, "/?key=acme").wants(t, "Nothing has the key acme")
}

func TestPagePaging(t *testing.T) {
	t.Parallel()
	s := newServer(emulator.Options{})
	var lines, records []string
	for i := range 60 {
		lines = append(lines, event(fmt.Sprintf("id-%03d", i), `"$company_id":"c"`))
		records = append(records, fmt.Sprintf(`{"$token":"T","$group_key":"$company_id","$group_id":"c%03d","$company_id":"c%03d","$set":{"a":1}}`, i, i))
	}
	for _, line := range lines {
		post(t, s, strict, asLines, line)
	}
	post(t, s, strict, asLines, lines[0]) // now the latest
	post(t, s, groups, asJSON, "["+strings.Join(records, ",")+"]")
	d := browse(t, s, "/")
	d.wants(t, "1–25 of 60 deduplicated events", "id-000", "id-059", "page 1 of 3", "1–25 of 60 profiles", "c024", "1–25 of 62 requests")
	d.lacks(t, "id-035", "c025")

	d = browse(t, s, "/?events=3&profiles=2&key=id-001&refresh=5")
	d.wants(t, "51–60 of 60 deduplicated events", "id-010", "26–50 of 60 profiles", "c049", "1 event of id-001")
	d.lacks(t, "id-011", "c050")
	var links []string
	for _, e := range d.all("a") {
		if rel := attr(e, "rel"); rel != "" {
			links = append(links, rel+" "+attr(e, "href"))
		}
	}
	want := []string{
		"prev /?events=2&key=id-001&profiles=2&refresh=5#events",
		"prev /?events=3&key=id-001&refresh=5#profiles", "next /?events=3&key=id-001&profiles=3&refresh=5#profiles",
		"next /?events=3&key=id-001&profiles=2&refresh=5&requests=2#requests",
	}
	if diff := cmp.Diff(want, links); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
	for _, query := range []string{"events=9", "profiles=9", "requests=9", "events=1000000000000", "events=-1", "events=x", "violations=2", "tables=3"} {
		browse(t, s, "/?"+query)
	}
	browse(t, s, "/?events=9").wants(t, "There are no events on this page", "page")
}

func TestPageRefresh(t *testing.T) {
	t.Parallel()
	s := newServer(emulator.Options{})
	for query, want := range map[string]string{"": "", "?refresh=5": "5", "?refresh=0": "", "?refresh=x": "", "?refresh=-1": "", "?refresh=99999": "", "?refresh=5%3Burl%3Dx": ""} {
		got := ""
		for _, e := range browse(t, s, "/"+query).all("meta") {
			if attr(e, "http-equiv") == "refresh" {
				got = attr(e, "content")
			}
		}
		if got != want {
			t.Errorf("%q: refresh = %q, want %q", query, got, want)
		}
	}
}

// TestPageSize shows records as large as Mixpanel takes them, and stays small.
func TestPageSize(t *testing.T) {
	t.Parallel()
	s := newServer(emulator.Options{Model: emulator.Standard})
	var members strings.Builder
	for i := range 200 {
		fmt.Fprintf(&members, `,"p%d":["%s"]`, i, strings.Repeat("é", 2000))
	}
	for i := range 3 {
		status, body := post(t, s, strict, asLines, event(fmt.Sprint("i", i), strings.TrimPrefix(members.String(), ",")))
		if status != http.StatusOK {
			t.Fatalf("answer = %s", body)
		}
	}
	post(t, s, groups, asJSON, `[{"$token":"T","$group_key":"k","$group_id":"v"`+members.String()+`,"$set":{"a":"`+strings.Repeat("<", 900_000)+`"}}]`)
	d := browse(t, s, "/")
	if len(d.raw) > 500_000 {
		t.Errorf("page of %d bytes", len(d.raw))
	}
	d.wants(t, "and 103 more, in the JSON view")
}
