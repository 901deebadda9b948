package awstest

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/aws/stack"
	"github.com/mayfly-ci/mayfly/internal/config"
)

// Deployed is a stack's template, rendered from a mayfly.yaml, with values for what CloudFormation
// would fill in. What a test serves has addresses of its own; that moto can make the
// whole stack, tests of aws/stack show.
type Deployed struct {
	TB        testing.TB
	Config    *config.Config
	Resources map[string]any    // by logical id; a test may change them before they are read
	Values    map[string]string // of "Ref" by id, and of "id.Attribute"; any other is its own name

	conditions map[string]any
}

// Deploy renders the stack "ci" of a configuration.
func Deploy(t testing.TB, yaml string) *Deployed {
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
	d := &Deployed{TB: t, Config: c, Resources: tree["Resources"].(map[string]any), Values: map[string]string{}}
	d.conditions, _ = tree["Conditions"].(map[string]any)
	for id, p := range tree["Parameters"].(map[string]any) {
		if value, ok := p.(map[string]any)["Default"]; ok {
			d.Values[id] = fmt.Sprint(value)
		}
	}
	for name, value := range map[string]string{
		"AWS::StackName": "ci", "AWS::Region": Region, "AWS::AccountId": Account, "AWS::Partition": "aws", "AWS::NoValue": "",
		"RulesState": "ENABLED",
		"Bus":        "ci", "Ledger": "ci-ledger", "Cluster": "ci", "Cluster.Arn": "arn:aws:ecs:" + Region + ":" + Account + ":cluster/ci",
	} {
		d.Values[name] = value
	}
	return d
}

// Of returns the ids of the resources of a type, in order.
func (d *Deployed) Of(kind string) (ids []string) {
	for id, r := range d.Resources {
		if r.(map[string]any)["Type"] == kind {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// Read reads the properties of a resource, all functions resolved.
func (d *Deployed) Read(id string, into any) {
	d.TB.Helper()
	r, ok := d.Resources[id].(map[string]any)
	if !ok {
		d.TB.Fatalf("the template has no resource %s", id)
	}
	text, err := json.Marshal(d.resolve(r["Properties"]))
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		d.TB.Fatalf("%s: %v", id, err)
	}
}

// Environment returns the variables of a function, as the stack gives them.
func (d *Deployed) Environment(id string) map[string]string {
	var f struct {
		Environment struct{ Variables map[string]string }
	}
	d.Read(id, &f)
	return f.Environment.Variables
}

// resolve fills in what CloudFormation would.
func (d *Deployed) resolve(value any) any {
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

var reference = regexp.MustCompile(`\$\{([A-Za-z0-9:.]+)\}`)

// function applies one of CloudFormation's functions.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference.html
func (d *Deployed) function(name string, argument any) any {
	switch name {
	case "Ref":
		return d.Value(argument.(string))
	case "Fn::GetAtt":
		pair := argument.([]any)
		return d.Value(fmt.Sprintf("%s.%s", pair[0], pair[1]))
	case "Fn::Sub":
		return reference.ReplaceAllStringFunc(argument.(string), func(found string) string { return d.Value(found[2 : len(found)-1]) })
	case "Fn::Join":
		pair := d.resolve(argument).([]any)
		var parts []string
		for _, p := range pair[1].([]any) {
			parts = append(parts, fmt.Sprint(p))
		}
		return strings.Join(parts, pair[0].(string))
	case "Fn::If":
		list := argument.([]any)
		if d.holds(d.conditions[list[0].(string)]) {
			return d.resolve(list[1])
		}
		return d.resolve(list[2])
	case "Fn::Base64":
		return d.resolve(argument) // it is read by nobody here
	}
	d.TB.Fatalf("the template uses %s: awstest does not know it", name)
	return nil
}

// holds reports whether a condition does.
func (d *Deployed) holds(condition any) bool {
	for name, argument := range condition.(map[string]any) {
		list, _ := argument.([]any)
		switch name {
		case "Fn::Equals":
			return fmt.Sprint(d.resolve(list[0])) == fmt.Sprint(d.resolve(list[1]))
		case "Fn::Not":
			return !d.holds(list[0])
		}
	}
	d.TB.Fatalf("the template has the condition %v: awstest does not know it", condition)
	return false
}

// Value is that of a reference: one that was set, or its name, which does where only
// equality matters.
func (d *Deployed) Value(reference string) string {
	if v, ok := d.Values[reference]; ok {
		return v
	}
	return reference
}
