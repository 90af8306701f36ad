//go:build cgo

package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"
)

// The demo is the proof that needs no account: its story must hold, whatever
// day it is told on.
func TestDemo(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"demo"}, strings.NewReader(""), &out, &errs, os.LookupEnv); code != 0 {
		t.Fatalf("demo = %d\n%s%s", code, &out, &errs)
	}
	text := out.String()
	for _, want := range []string{
		`(?m)^  events +200,000 +199,962 +199,962 +38 `,
		`(?m)^  junk_id +10 `, `(?m)^  missing_company +10 `, `(?m)^  time_out_of_range +4 `,
		`\$company:acme\|\$user:alice .*alice@acme`, `\$company:globex\|\$user:alice .*alice@globex`,
		`Second run: only those\n.*\n  events +\d+ +503 +503 +0 `, `(?m)^  companies +\d+ +2 +2 +0 `,
		`Mixpanel holds 200,465 events and 1,120 profiles`,
	} {
		if !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("the demo does not say %s", want)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}
