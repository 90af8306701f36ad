package emulator

import (
	"encoding/base64"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// unwrapForm returns the JSON of a body that is a form, as older SDKs send
// profiles: the field data holds it, as it is or in base64. Fields of the form
// count as parameters of the query. Other bodies are returned as they are.
func (q *work) unwrapForm(body []byte) ([]byte, error) {
	kind, _, _ := mime.ParseMediaType(q.http.Header.Get("Content-Type")) // empty if it is none
	if kind != "application/x-www-form-urlencoded" {
		return body, nil
	}
	s := scanner{src: body}
	if at := s.space(0); at < len(body) && (body[at] == '[' || body[at] == '{') {
		return body, nil // JSON under the type that curl gives when none is named
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || !form.Has("data") {
		return nil, errors.New("body is a form without a field data: send application/json")
	}
	q.mode.strict = q.mode.strict || isSet(form, "strict")
	q.mode.verbose = q.mode.verbose || isSet(form, "verbose")
	data := form.Get("data")
	if trimmed := strings.TrimSpace(data); strings.HasPrefix(trimmed, "[") || strings.HasPrefix(trimmed, "{") {
		return []byte(data), nil
	}
	// A plus sign that was not escaped has become a space.
	decoded, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(data, " ", "+"))
	if err != nil {
		return nil, errors.New("field data is neither JSON nor base64")
	}
	return decoded, nil
}

// isSet tells whether a switch such as verbose is on.
func isSet(values url.Values, name string) bool { return values.Has(name) && values.Get(name) != "0" }

// callback wraps an answer as JSONP if the query asks for it.
func (q *work) callback(a answer) answer {
	name := q.http.URL.Query().Get("callback")
	if name == "" || a.status != http.StatusOK || strings.ContainsFunc(name, notIdentifier) {
		return a
	}
	return answer{a.status, "text/javascript; charset=utf-8", []byte(name + "(" + string(a.body) + ");")}
}

// notIdentifier tells runes that no path of JavaScript names is made of.
func notIdentifier(r rune) bool {
	isName := r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_' || r == '$' || r == '.'
	return !isName
}
