package configs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mixsync/mixsync/configs"
	"github.com/mixsync/mixsync/mapping"
)

// TestGood keeps what is understood of each good file, and that the printed form
// means the same when it is loaded in turn.
func TestGood(t *testing.T) {
	t.Parallel()
	for _, path := range glob(t, "testdata/*.good.yaml") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			first := effective(t, load(t, path))
			golden(t, strings.TrimSuffix(path, ".yaml")+".txt", first)
			noSecret(t, path, first)
			checkReload(t, first)
		})
	}
}

func TestExamples(t *testing.T) {
	t.Parallel()
	for _, path := range append(glob(t, "examples/*.yaml"), "examples/folder") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			f := load(t, path)
			printed := effective(t, f)
			noSecret(t, path, printed)
			checkReload(t, printed)
			for _, s := range f.Syncs {
				for _, p := range s.Projects {
					if got := s.MappingSpec(f.Projects[p]).Sync; got != s.Name {
						t.Errorf("MappingSpec of %s: Sync = %q", s.Name, got)
					}
					if faults := s.MappingSpec(f.Projects[p]).Validate(); s.Type != mapping.Lookup && len(faults) > 0 {
						t.Errorf("sync %s passes here and not in mapping: %v", s.Name, faults)
					}
				}
			}
		})
	}
}

var comments = regexp.MustCompile(` # 1d if .*`)

func checkReload(t *testing.T, first string) {
	t.Helper()
	f, err := parse(first, options())
	if err != nil {
		t.Fatalf("the printed form does not load:\n%v\n%s", err, first)
	}
	if second := effective(t, f); second != comments.ReplaceAllString(first, "") {
		t.Errorf("the printed form changes when it is loaded: first\n%s\nthen\n%s", first, second)
	}
}

// TestBad keeps every message, with its place and hint.
func TestBad(t *testing.T) {
	t.Parallel()
	for _, path := range glob(t, "testdata/*.bad.yaml") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			f, fault := parse(string(data), options())
			if fault == nil {
				t.Fatalf("loaded without a fault:\n%s", effective(t, f))
			}
			text := fault.Error() + "\n"
			golden(t, strings.TrimSuffix(path, ".yaml")+".txt", text)
			noSecret(t, path, text)
			for _, x := range fault.Faults {
				if x.Line < 1 || x.Col < 1 || x.Line > strings.Count(string(data), "\n")+1 {
					t.Errorf("fault without a place in the file: %+v", x)
				}
			}
			if !slices.IsSortedFunc(fault.Faults, func(a, b configs.Fault) int { return a.Line - b.Line }) {
				t.Errorf("faults are not in the order of the file")
			}
		})
	}
}

// TestSyntaxInALargeFile looks for the broken line where the parser's own guess
// is thousands of lines off.
func TestSyntaxInALargeFile(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("syncs:\n")
	for i := range 4000 {
		fmt.Fprintf(&b, "  s%d: {type: event, table: t%d}\n", i, i)
	}
	lines := strings.SplitAfter(b.String(), "\n")
	for line, broken := range map[int]string{3: "   oops: x\n", 2500: " oops: [\n", 3999: "  \"oops: x\n"} {
		text := strings.Join(slices.Replace(slices.Clone(lines), line-1, line, broken), "")
		_, err := parse(text, options())
		if err == nil {
			t.Errorf("%q at line %d is not found", broken, line)
		} else if got := err.Faults[0].Line; got != line {
			t.Errorf("%q at line %d is reported at %d: %v", broken, line, got, err)
		}
	}
}
