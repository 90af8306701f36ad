package configs

import (
	"bytes"
	"encoding/json"
	"maps"
)

// schema is a JSON Schema, or a part of one.
type schema map[string]any

// SchemaID names the JSON Schema; it is an identifier, nothing is fetched from it.
const SchemaID = "https://github.com/mixsync/mixsync/configs/schema.json"

// Schema returns the JSON Schema (draft 2020-12) of the YAML, for editors. It
// describes the text before references are expanded, and is a little more
// lenient than Load: what depends on several keys at once is Load's to say.
func Schema() []byte {
	s := fileObject.schema()
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["$id"] = SchemaID
	s["title"] = "mixsync"
	s["description"] = "What mixsync reads, how it maps it, and the Mixpanel projects it sends to."
	s["$defs"] = schema{"reference": schema{
		"type": "string", "pattern": `\$\{.+\}`,
		"description": "${VAR}, ${VAR:-default} or ${file:/path}",
	}}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(s); err != nil {
		panic("configs: the schema is plain data and always encodes: " + err.Error())
	}
	return b.Bytes()
}

// orReference lets a reference stand where a typed value is expected.
func orReference(s schema) schema {
	if s["type"] == "string" && s["enum"] == nil && s["pattern"] == nil {
		return s
	}
	return schema{"anyOf": []any{s, schema{"$ref": "#/$defs/reference"}}}
}

// with returns the schema with more members.
func (s schema) with(more schema) schema {
	out := maps.Clone(s)
	maps.Copy(out, more)
	return out
}
