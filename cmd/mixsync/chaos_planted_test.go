package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// change is an edit of a source file; old must be there once.
type change struct{ file, old, now string }

// planted are faults that a suite worth its name finds: each is a promise that is broken.
var planted = []struct {
	name    string
	changes []change
}{
	{"the position is saved before Mixpanel acknowledged", []change{
		{"sync/pipeline/commit.go", "case <-t.done:\n\t\tcase <-p.quiet:", "case <-t.done:\n\t\tcase <-time.After(time.Millisecond):\n\t\t\tif unsaved = true; t.position != nil {\n\t\t\t\tposition = t.position\n\t\t\t}\n\t\t\tcontinue\n\t\tcase <-p.quiet:"}}},
	{"a lease that was lost still sends and saves", []change{
		{"sync/checkpoint/lease.go", "if l.lost.Load() {", "if true {\n\t\treturn nil\n\t}\n\tif l.lost.Load() {"},
		{"sync/checkpoint/lease.go", "if n == 0 {\n\t\t\tl.lost.Store(true)", "if n == 0 && false {\n\t\t\tl.lost.Store(true)"},
		{"sync/checkpoint/slices.go", "if err == nil && token.Int64 != l.token {", "if err == nil && token.Int64 != l.token && false {"},
		{"sync/checkpoint/slices.go", "return l.fenced(ctx, doing, func(tx *tx) error {\n\t\tif err := running(ctx, tx, l.target.ID, r.ID); err != nil {", "return l.fenced(ctx, doing, func(tx *tx) error {\n\t\tif err := running(ctx, tx, l.target.ID, r.ID); err != nil && false {"}}},
	{"rows at the lower bound are not read", []change{
		{"connectors/warehouse/query.go", `q.and(column, " >= ", q.bind(f, *s.From))`, `q.and(column, " > ", q.bind(f, *s.From))`}}},
	{"the mark is the time of the run", []change{
		{"sync/runner/end.go", "text := to.Text(kind)\n\to.Mark", "to.Ticks = time.Now().UnixMicro()\n\ttext := to.Text(kind)\n\to.Mark"},
		{"sync/runner/end.go", "\"errors\"\n", "\"errors\"\n\t\"time\"\n"}}},
}

// The suite finds faults: each of the planted ones within fifty seeds.
func TestChaosFindsPlantedFaults(t *testing.T) {
	const within = 50
	for i, p := range planted {
		t.Run(p.name, func(t *testing.T) {
			binary := plant(t, i)
			for seed := *chaosSeed; seed < *chaosSeed+within; seed++ {
				if faults := runChaos(t, seed, binary); len(faults) > 0 {
					t.Logf("found with seed %d: %s", seed, faults[0])
					return
				}
			}
			t.Errorf("not found within %d seeds", within)
		})
	}
}

// plant builds mixsync with a fault in it.
func plant(t *testing.T, n int) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir, texts, replace := t.TempDir(), map[string]string{}, map[string]string{}
	for _, c := range planted[n].changes {
		text, ok := texts[c.file]
		if !ok {
			b, err := os.ReadFile(filepath.Join(root, c.file))
			if err != nil {
				t.Fatal(err)
			}
			text = string(b)
		}
		if strings.Count(text, c.old) != 1 {
			t.Fatalf("%s: %q is there %d times: plant the fault anew", c.file, c.old, strings.Count(text, c.old))
		}
		texts[c.file] = strings.Replace(text, c.old, c.now, 1)
	}
	for file, text := range texts {
		path := filepath.Join(dir, filepath.Base(file))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		replace[filepath.Join(root, file)] = path
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "mixsync")
	build := exec.CommandContext(t.Context(), "go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", binary, "./cmd/mixsync")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return binary
}

// Each fault can be planted: the code it breaks is where it was.
func TestFaultsCanBePlanted(t *testing.T) {
	t.Parallel()
	for _, p := range planted {
		for _, c := range p.changes {
			b, err := os.ReadFile(filepath.Join("../..", c.file))
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(b), c.old); n != 1 {
				t.Errorf("%s: %q is there %d times", c.file, c.old, n)
			}
		}
	}
}
