package configs_test

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mixsync/mixsync/configs"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// env is the environment of every test. The secrets among it begin with hunter2.
var env = map[string]string{
	"SHOP_DSN":               "postgres://mixsync:hunter2-dsn@localhost/shop",
	"CRM_PASSWORD":           "hunter2-crm",
	"MIXPANEL_TOKEN":         "hunter2-token",
	"MIXPANEL_STAGING_TOKEN": "hunter2-staging",
	"MP_USER":                "svc.mixsync",
	"MP_SECRET":              "hunter2-secret",
	"MP_PROJECT_ID":          "3141592",
	"TRICKY":                 "a: {b: [c]} # ${MP_SECRET} $$\n- d",
	"LIST":                   "[id, other]",
	"EMPTY":                  "",
}

func options() configs.Options {
	return configs.Options{
		Getenv: func(name string) (string, bool) {
			v, ok := env[name]
			return v, ok
		},
		ReadFile: func(name string) ([]byte, error) {
			if base := filepath.Base(name); base != "gone" {
				return []byte("hunter2-" + base + "\n"), nil
			}
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		},
	}
}

func load(t *testing.T, path string) *configs.File {
	t.Helper()
	f, err := configs.Load(path, options())
	if err != nil {
		t.Fatalf("Load(%s):\n%v", path, err)
	}
	return f
}

// parse loads YAML from memory under the name mixsync.yaml.
func parse(text string, o configs.Options) (*configs.File, *configs.Error) {
	f, err := configs.Parse("mixsync.yaml", []byte(text), o)
	if e, ok := errors.AsType[*configs.Error](err); ok {
		return nil, e
	}
	return f, nil
}

func mustParse(t *testing.T, text string, o configs.Options) *configs.File {
	t.Helper()
	f, err := parse(text, o)
	if err != nil {
		t.Fatalf("Parse:\n%v", err)
	}
	return f
}

func effective(t *testing.T, f *configs.File) string {
	t.Helper()
	b, err := f.Effective()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run go test -update", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update rewrites it):\n%s", path, diff)
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("Glob(%s) = %d names, %v", pattern, len(names), err)
	}
	return names
}

func noSecret(t *testing.T, what, text string) {
	t.Helper()
	if i := strings.Index(text, "hunter2"); i >= 0 {
		t.Errorf("%s shows a secret:\n%s", what, text)
	}
}
