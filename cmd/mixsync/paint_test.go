package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// Colours go to terminals only, and not where they are not wanted.
func TestPaintOnlyOnTerminals(t *testing.T) {
	t.Parallel()
	file, err := os.CreateTemp(t.TempDir(), "out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	a := &app{getenv: func(string) (string, bool) { return "", false }}
	if a.paint(&bytes.Buffer{}) || a.paint(file) {
		t.Error("output that is no terminal is painted")
	}
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	for _, tt := range []struct {
		env  map[string]string
		want paint
	}{
		{nil, true},
		{map[string]string{"NO_COLOR": ""}, true}, // empty counts as unset
		{map[string]string{"NO_COLOR": "1"}, false},
		{map[string]string{"TERM": "dumb"}, false},
	} {
		a.getenv = func(name string) (string, bool) { v, ok := tt.env[name]; return v, ok }
		if got := a.paint(terminal); got != tt.want {
			t.Errorf("paint with %v = %t, want %t", tt.env, got, tt.want)
		}
	}
}

// A painted column stays aligned because every colour is as long as the next.
func TestPaintKeepsColumns(t *testing.T) {
	t.Parallel()
	p := paint(true)
	want := len(p.in(plain, "")) // what painting adds
	for _, status := range []string{"succeeded", "partial", "failed", "running", "skipped", "interrupted", "never ran"} {
		painted := p.status(status)
		if len(painted)-len(status) != want || !strings.Contains(painted, status) {
			t.Errorf("%q is %q: not %d bytes longer", status, painted, want)
		}
	}
	if paint(false).status("failed") != "failed" || paint(false).count(3) != "3" {
		t.Error("text is painted without being asked")
	}
}
