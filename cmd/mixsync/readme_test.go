package main

import (
	"os"
	"strings"
	"testing"
)

// Every command has an example in the README, and every example there is a
// command with its flags.
func TestReadmeCommands(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		typed, ok := strings.CutPrefix(line, "$ mixsync ")
		if !ok {
			typed, ok = strings.CutPrefix(line, "bin/mixsync ")
		}
		if !ok {
			typed, ok = strings.CutPrefix(line, "go run ./cmd/mixsync ")
		}
		if !ok {
			continue
		}
		typed, _, _ = strings.Cut(typed, "#")
		typed = strings.TrimSuffix(strings.TrimSpace(typed), " &")
		root := (&app{}).root()
		cmd, rest, err := root.Find(strings.Fields(typed))
		if err != nil {
			t.Errorf("mixsync %s: %v", typed, err)
			continue
		}
		if err := cmd.ParseFlags(rest); err != nil {
			t.Errorf("mixsync %s: %v", typed, err)
		}
		top := cmd
		for top.HasParent() && top.Parent().HasParent() {
			top = top.Parent()
		}
		shown[top.Name()] = true
	}
	for _, cmd := range (&app{}).root().Commands() {
		if name := cmd.Name(); !shown[name] && name != "help" {
			t.Errorf("the README has no example of mixsync %s", name)
		}
	}
}
