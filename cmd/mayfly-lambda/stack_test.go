package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
	"github.com/mayfly-ci/mayfly/internal/aws/stack"
	"github.com/mayfly-ci/mayfly/internal/config"
)

// A deployed is the stack's template, rendered from a mayfly.yaml, with values for what
// CloudFormation would fill in. What runs here has addresses of its own, such as that of
// the claim function, which moto's CloudFormation does not know; that moto can make the
// whole stack, tests of aws/stack show.
type deployed struct {
	t         *testing.T
	resources map[string]any
	values    map[string]string // of "Ref" by id, and of "id.Attribute"
}

// deploy renders the stack "ci" of a configuration.
func deploy(t *testing.T, yaml string) *deployed {
	t.Helper()
	c, err := config.Parse("mayfly.yaml", []byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	settings, err := stack.Of(c)
	if err != nil {
		t.Fatal(err)
	}
	rendered, err := stack.Render(settings)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := stack.Read(rendered.Body)
	if err != nil {
		t.Fatal(err)
	}
	return &deployed{t: t, resources: tree["Resources"].(map[string]any), values: map[string]string{
		"AWS::StackName": "ci", "AWS::Region": awstest.Region, "AWS::AccountId": awstest.Account, "AWS::Partition": "aws",
		"RulesState": "ENABLED",
		"Bus":        "ci", "Ledger": "ci-ledger", "Cluster": "ci", "Cluster.Arn": "arn:aws:ecs:" + awstest.Region + ":" + awstest.Account + ":cluster/ci",
	}}
}

// properties returns those of a resource, all functions resolved, as JSON.
func (d *deployed) properties(id string) json.RawMessage {
	d.t.Helper()
	r, ok := d.resources[id].(map[string]any)
	if !ok {
		d.t.Fatalf("the template has no resource %s", id)
	}
	text, err := json.Marshal(d.resolve(r["Properties"]))
	if err != nil {
		d.t.Fatal(err)
	}
	return text
}

// rules returns the ids of the rules there are.
func (d *deployed) rules() (ids []string) {
	for id, r := range d.resources {
		if r.(map[string]any)["Type"] == "AWS::Events::Rule" {
			ids = append(ids, id)
		}
	}
	return ids
}

// resolve fills in what CloudFormation would.
func (d *deployed) resolve(value any) any {
	switch v := value.(type) {
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = d.resolve(v[i])
		}
		return list
	case map[string]any:
		if len(v) == 1 {
			for name, argument := range v {
				if name == "Ref" || strings.HasPrefix(name, "Fn::") {
					return d.function(name, argument)
				}
			}
		}
		members := map[string]any{}
		for name := range v {
			members[name] = d.resolve(v[name])
		}
		return members
	}
	return value
}

func (d *deployed) function(name string, argument any) any {
	switch name {
	case "Ref":
		return d.value(argument.(string))
	case "Fn::GetAtt":
		pair := argument.([]any)
		return d.value(fmt.Sprintf("%s.%s", pair[0], pair[1]))
	case "Fn::Sub":
		return regexp.MustCompile(`\$\{([A-Za-z0-9:.]+)\}`).ReplaceAllStringFunc(argument.(string), func(found string) string {
			return d.value(found[2 : len(found)-1])
		})
	case "Fn::Join":
		pair := d.resolve(argument).([]any)
		var parts []string
		for _, p := range pair[1].([]any) {
			parts = append(parts, fmt.Sprint(p))
		}
		return strings.Join(parts, pair[0].(string))
	}
	d.t.Fatalf("the template uses %s: this test does not know it", name)
	return nil
}

// value is that of a reference: one that was set, or its name, which does where only
// equality matters.
func (d *deployed) value(reference string) string {
	if v, ok := d.values[reference]; ok {
		return v
	}
	return reference
}

// environment returns the variables of a function, as the stack gives them.
func (d *deployed) environment(id string) (env []string) {
	var f struct {
		Environment struct{ Variables map[string]string }
	}
	d.read(id, &f)
	for name, value := range f.Environment.Variables {
		env = append(env, name+"="+value)
	}
	return env
}

// read reads the properties of a resource.
func (d *deployed) read(id string, into any) {
	d.t.Helper()
	if err := json.Unmarshal(d.properties(id), into); err != nil {
		d.t.Fatalf("%s: %v", id, err)
	}
}
