package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/mixsync/mixsync/"

// imports is the import law: what each package of ours may import of ours. A
// package imports only from layers below it; siblings never know each other.
// A package that is missing here fails the test: decide where it belongs.
var imports = map[string][]string{
	"connectors/warehouse":               {},
	"connectors/mixpanel":                {},
	"mapping/appendjson":                 {},
	"sync/pace":                          {},
	"mapping/identity":                   {"mapping/appendjson"},
	"connectors/postgres":                {"connectors/warehouse", "mapping/appendjson"}, // lists and objects become JSON as they are read
	"connectors/duckdb":                  {"connectors/warehouse", "mapping/appendjson"},
	"connectors/snowflake":               {"connectors/warehouse", "connectors/internal/arrowbatch", "connectors/snowflake/quiet", "mapping/appendjson"},
	"connectors/snowflake/quiet":         {},
	"connectors/snowflake/snowflaketest": {},
	"connectors/bigquery":                {"connectors/warehouse", "connectors/internal/arrowbatch", "mapping/appendjson"},
	"connectors/bigquery/bigquerytest":   {},
	"connectors/internal/arrowbatch":     {"connectors/warehouse", "mapping/appendjson"},
	"deploy":                             {},
	"connectors/mixpanel/emulator":       {"connectors/mixpanel"},
	"mapping":                            {"connectors/warehouse", "mapping/appendjson", "mapping/identity"},
	"sync/checkpoint":                    {"connectors/warehouse"},
	"sync/pipeline":                      {"connectors/warehouse", "connectors/mixpanel", "sync/pace"},
	"sync/serve":                         {},
	"sync/status":                        {},
	"sync/engine":                        {},
	"sync/plan":                          {"connectors/warehouse"},
	"sync/runner":                        {"connectors/warehouse", "connectors/mixpanel", "mapping", "sync/checkpoint", "sync/pace", "sync/pipeline", "sync/plan"},
	"configs":                            {"mapping"},
	"cmd/mixsync":                        {"*"},
	"sync/pipeline/bench":                {"connectors/postgres/postgrestest"},
	"connectors/warehouse/warehousetest": {"connectors/warehouse"},
	"connectors/postgres/postgrestest":   {},
}

// onlyTests may be imported by tests, and by the benchmark program.
var onlyTests = []string{"connectors/warehouse/warehousetest", "connectors/postgres/postgrestest", "connectors/snowflake/snowflaketest", "connectors/bigquery/bigquerytest"}

// drivers may be named by cmd alone.
var drivers = []string{"connectors/postgres", "connectors/snowflake", "connectors/bigquery", "connectors/duckdb"}

func TestImportLaw(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	seen := map[string]bool{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath                         string
			Imports, TestImports, XTestImports []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(p.ImportPath, module)
		seen[name] = true
		allowed, ok := imports[name]
		if !ok {
			t.Errorf("package %s is not in the import law: decide where it belongs", name)
			continue
		}
		for _, imp := range p.Imports {
			dep, ours := strings.CutPrefix(imp, module)
			switch {
			case !ours || slices.Contains(allowed, "*"):
			case slices.Contains(onlyTests, dep) && name != "sync/pipeline/bench":
				t.Errorf("%s imports %s, which is for tests", name, dep)
			case !slices.Contains(allowed, dep):
				t.Errorf("%s may not import %s; it may import %v", name, dep, allowed)
			}
		}
		for _, imp := range append(p.TestImports, p.XTestImports...) {
			dep := strings.TrimPrefix(imp, module)
			// A test may use doubles and peers, but a driver's tests know no sibling.
			if slices.Contains(drivers, name) && slices.Contains(drivers, dep) && dep != name {
				t.Errorf("the tests of %s import %s", name, dep)
			}
		}
	}
	for name := range imports {
		if !seen[name] {
			t.Errorf("the import law names %s, which does not exist", name)
		}
	}
}

// The folders at the top are fixed; nothing may shadow the standard sync.
func TestTopLevelFolders(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "git", "ls-files")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("not a git checkout: %v", err)
	}
	want := []string{"cmd", "configs", "connectors", "deploy", "mapping", "sync"}
	for file := range strings.Lines(string(out)) {
		file = strings.TrimSpace(file)
		top, _, nested := strings.Cut(file, "/")
		if nested && !strings.HasPrefix(top, ".") && !slices.Contains(want, top) {
			t.Errorf("%s: the top-level folders are %v", file, want)
		}
		if path.Dir(file) == "sync" && strings.HasSuffix(file, ".go") {
			t.Errorf("%s: sync is a folder, never a package", file)
		}
	}
}
