package configs

import (
	"errors"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

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
