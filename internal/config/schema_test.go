package config_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/mayfly-ci/mayfly/internal/config"
)

// TestJSONSchema: what an independent validator says by the schema is what Parse
// says, as far as a schema can know.
func TestJSONSchema(t *testing.T) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(config.JSONSchema()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("mayfly.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("mayfly.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	base := strings.Replace(good, "[env:S]", `["env:S"]`, 1) // as go-yaml reads it; see colonText
	for _, c := range []struct {
		name, src string
		valid     bool
	}{
		{"starter", config.Starter(config.ForgeGitHub), true},
		{"whole", whole, true},
		{"good", base, true},
		{"empty section", "engine:\n" + base, true},
		{"unknown key", "x: 1\n" + base, false},
		{"unknown key below", strings.Replace(base, "name", "nam: x, name", 1), false},
		{"missing key", strings.Replace(base, "name: small, ", "", 1), false},
		{"literal secret", strings.Replace(base, "env:T", "ghp_0123", 1), false},
		{"size", strings.Replace(base, "name", "memory: 4 gigs, name", 1), false},
		{"duration", strings.Replace(base, "name", "idle_limit: 5, name", 1), false},
		{"small number", strings.Replace(base, "name", "pids: 1, name", 1), false},
		{"no such value", "launcher: docker\n" + base, false},
		{"text for a list", strings.Replace(base, "[linux]", "linux", 1), false},
	} {
		var value any
		if err := yaml.Unmarshal([]byte(c.src), &value); err != nil {
			t.Fatal(c.name, err)
		}
		if err := schema.Validate(value); (err == nil) != c.valid {
			t.Errorf("%s: the schema says %v, want valid %v", c.name, err, c.valid)
		}
		if _, err := config.Parse("m.yaml", []byte(c.src)); (err == nil) != c.valid {
			t.Errorf("%s: Parse says %v, want valid %v", c.name, err, c.valid)
		}
	}
}
