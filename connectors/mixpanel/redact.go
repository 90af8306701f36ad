package mixpanel

import (
	"encoding/base64"
	"html"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// quoteMax is how many bytes of what a server said go into a message.
const quoteMax = 300

// redactor takes credentials out of text. Profile records carry the token, and
// a server or a proxy may quote what it was sent.
type redactor struct {
	known *strings.Replacer
}

var (
	// A token member of a quoted record, also one inside a quoted string, also
	// when the quotation ends in the middle of it.
	tokenMember = regexp.MustCompile(`(token\\*"\s*:\s*\\*")[^"\\]*`)
	// The user part of a URL, as in a proxy's address.
	userinfo = regexp.MustCompile(`(://)[^/\s@"]+@`)
	// An Authorization header.
	basicAuth = regexp.MustCompile(`(?i)\b(basic|bearer)\s+[A-Za-z0-9+/=._~-]{8,}`)
)

func newRedactor(o Options) *redactor {
	var pairs []string
	seen := map[string]bool{}
	hide := func(s string) {
		// Shorter ones are placeholders; hiding them would garble every word.
		if len(s) >= 4 && !seen[s] {
			seen[s] = true
			pairs = append(pairs, s, "***")
		}
	}
	for _, s := range []string{
		base64.StdEncoding.EncodeToString([]byte(o.Username + ":" + o.Secret)),
		base64.StdEncoding.EncodeToString([]byte(o.Token + ":")),
		o.Secret, o.Token,
	} {
		hide(s)
		hide(strings.Trim(strconv.Quote(s), `"`))
		hide(url.QueryEscape(s))
		hide(html.EscapeString(s))
	}
	return &redactor{known: strings.NewReplacer(pairs...)}
}

// hide takes credentials out of s and makes one line of it, without control
// characters, which not every place that keeps messages can hold.
func (r *redactor) hide(s string) string {
	s = r.known.Replace(s)
	s = tokenMember.ReplaceAllString(s, "${1}***")
	s = userinfo.ReplaceAllString(s, "${1}***@")
	s = basicAuth.ReplaceAllString(s, "$1 ***")
	return oneLine(s)
}

func oneLine(s string) string {
	s = strings.Map(func(r rune) rune { // bytes that are no UTF-8 become U+FFFD on the way
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// quote is hide, cut to what a message can hold.
func (r *redactor) quote(s string) string {
	s = r.hide(s) // before the cut, which may go through a secret
	if len(s) <= quoteMax {
		return s
	}
	cut := quoteMax
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// clean returns err, or, if its text holds credentials, an error without them
// that still is err to errors.Is.
func (r *redactor) clean(err error) error {
	if text := err.Error(); r.hide(text) != oneLine(text) {
		return &cleaned{text: r.quote(text), err: err}
	}
	return err
}

type cleaned struct {
	text string
	err  error
}

func (e *cleaned) Error() string { return e.text }
func (e *cleaned) Unwrap() error { return e.err }
