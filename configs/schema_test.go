package configs_test

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"github.com/mixsync/mixsync/configs"
)

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(configs.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	if err := c.AddResource(configs.SchemaID, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(configs.SchemaID)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// instance is the YAML as an editor sees it: dates are text, references are
// not expanded, merge keys are.
func instance(t *testing.T, text []byte) any {
	t.Helper()
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	var untime func(*yaml.Node)
	untime = func(n *yaml.Node) {
		if n.Tag == "!!timestamp" {
			n.Tag = "!!str"
		}
		for _, c := range n.Content {
			untime(c)
		}
	}
	untime(&doc)
	var v any
	if err := doc.Decode(&v); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	out, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSchemaFile(t *testing.T) {
	t.Parallel()
	golden(t, "schema.json", string(configs.Schema()))
}

func TestSchemaAcceptsGood(t *testing.T) {
	t.Parallel()
	s := compileSchema(t)
	for _, path := range append(glob(t, "testdata/*.good.yaml"), glob(t, "examples/*.yaml")...) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(instance(t, text)); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestSchemaRefusesBad(t *testing.T) {
	t.Parallel()
	s := compileSchema(t)
	if err := s.Validate(instance(t, []byte(minimal))); err != nil {
		t.Fatalf("minimal: %v", err)
	}
	for _, name := range []string{
		"version", "unknown-top", "warehouse-type", "warehouse-type-missing", "postgres-host", "postgres-timeout", "snowflake-keys", "bigquery", "duckdb",
		"project-empty", "project-id", "project-region", "project-model", "project-keys", "project-token-number", "project-account", "project-concurrency",
		"sync-missing", "sync-type", "sync-unknown", "foreign-mapping", "foreign-cursor", "wrong-types", "cursor-values", "cursor-column", "table-and-query", "table-or-query",
		"mode-word", "words", "thresholds", "constant-values", "defaults-keys", "event-unit", "list-twice",
	} {
		text, err := os.ReadFile("testdata/" + name + ".bad.yaml")
		if err != nil {
			t.Fatal(err)
		}
		if name == "constant-values" {
			text = bytes.ReplaceAll(text, []byte(".inf"), []byte("1")) // JSON has none
		}
		if err := s.Validate(instance(t, text)); err == nil {
			t.Errorf("%s.bad.yaml is valid by the schema", name)
		}
	}
}

// TestSchemaDescribes asks for a description of every key.
func TestSchemaDescribes(t *testing.T) {
	t.Parallel()
	var root map[string]any
	if err := json.Unmarshal(configs.Schema(), &root); err != nil {
		t.Fatal(err)
	}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case []any:
			for _, x := range v {
				walk(path, x)
			}
		case map[string]any:
			if keys, ok := v["properties"].(map[string]any); ok && v["type"] == "object" {
				for key, x := range keys {
					d, _ := x.(map[string]any)["description"].(string)
					if len(strings.TrimSuffix(d, ".")) == 0 {
						t.Errorf("%s.%s has no description", path, key)
					}
				}
			}
			for key, x := range v {
				walk(path+"."+key, x)
			}
		}
	}
	walk("", root)
}
