package stack

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A Fault is a mistake in a template that CloudFormation accepts, or refuses only halfway through
// the creation of the stack, and that would not work or not be safe.
type Fault struct {
	ID      string // logical id of the resource, or the section
	Message string
}

// Error returns the id and the message.
func (f Fault) Error() string { return f.ID + ": " + f.Message }

// Faults are all faults of a template, sorted by id.
type Faults []Fault

// Error returns a line for each fault.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i := range f {
		lines[i] = f[i].Error()
	}
	return strings.Join(lines, "\n")
}

// Lint finds mistakes that cfn-lint, which knows only the schema of each resource, does not look
// for: relations between resources, the languages embedded in strings, and permissions. Each
// kind of fault was planted in a template, and cfn-lint did not find it.
func Lint(body []byte) (Faults, error) {
	t, err := Read(body)
	if err != nil {
		return nil, err
	}
	l := &linter{tree: t, resources: resources(t)}
	checks := map[string][]func(*linter, string, tree){
		"AWS::ECS::TaskDefinition":           {(*linter).task},
		"AWS::Events::Rule":                  {(*linter).rule},
		"AWS::Events::Archive":               {(*linter).source},
		"AWS::EventSchemas::Discoverer":      {(*linter).source},
		"AWS::Lambda::Url":                   {(*linter).url},
		"AWS::Lambda::Permission":            {(*linter).permission},
		"AWS::Lambda::EventSourceMapping":    {(*linter).poller},
		"AWS::Lambda::Function":              {(*linter).letters, (*linter).network},
		"AWS::IAM::Role":                     {(*linter).trust, (*linter).role},
		"AWS::IAM::Policy":                   {(*linter).policy},
		"AWS::IAM::RolePolicy":               {(*linter).policy},
		"AWS::SecretsManager::Secret":        {(*linter).secret},
		"AWS::ECR::Repository":               {(*linter).repository},
		"AWS::CloudWatch::Dashboard":         {(*linter).dashboard},
		"AWS::AutoScaling::AutoScalingGroup": {(*linter).group},
		"AWS::ECS::CapacityProvider":         {(*linter).capacity},
		"AWS::EC2::LaunchTemplate":           {(*linter).host},
		"AWS::SQS::QueuePolicy":              {(*linter).document},
	}
	for id, r := range l.resources {
		for _, check := range checks[r.kind] {
			check(l, id, r.properties)
		}
		l.substitutions(id, r.properties)
	}
	l.parameters()
	l.mappings()
	l.quotas()
	slices.SortFunc(l.faults, func(a, b Fault) int { return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Message, b.Message)) })
	return slices.Compact(l.faults), nil
}

type linter struct {
	tree      tree
	resources map[string]resource
	faults    Faults
}

func (l *linter) fault(id, format string, args ...any) {
	l.faults = append(l.faults, Fault{id, fmt.Sprintf(format, args...)})
}

// of returns the properties of the resource that value refers to, if it is of kind.
func (l *linter) of(value any, kind string) (tree, bool) {
	r, ok := l.resources[referred(value)]
	return r.properties, ok && r.kind == kind
}

// referred returns the logical id in a Ref, a GetAtt or a Sub of a single name, or "" for any
// other value.
func referred(value any) string {
	function, _ := value.(tree)
	if id := text(function["Ref"]); id != "" {
		return id
	}
	if parts := list(function["Fn::GetAtt"]); len(parts) > 0 {
		return text(parts[0])
	}
	if m := regexp.MustCompile(`^\$\{(\w+)(\.\w+)?\}$`).FindStringSubmatch(subOf(value)); m != nil {
		return m[1]
	}
	return ""
}

// where returns the value that an If has when its condition holds, or value itself if it is no If.
func where(value any) any {
	function, _ := value.(tree)
	if branches := list(function["Fn::If"]); len(branches) == 3 {
		return branches[1]
	}
	return value
}

// isRef reports whether value is a Ref, as opposed to a GetAtt.
func isRef(value any) bool {
	function, _ := value.(tree)
	return function["Ref"] != nil
}

// subOf returns the text of a Sub, or a plain text unchanged.
func subOf(value any) string {
	function, _ := value.(tree)
	switch sub := function["Fn::Sub"].(type) {
	case string:
		return sub
	case []any:
		if len(sub) > 0 {
			return text(sub[0])
		}
	}
	return text(value)
}

var variable = regexp.MustCompile(`\$\{([^!][^}]*)\}`)

// substitutions finds ${X} without a parameter or resource X: a variable of a shell must be written
// ${!X}.
func (l *linter) substitutions(id string, value any) {
	switch value := value.(type) {
	case []any:
		for _, item := range value {
			l.substitutions(id, item)
		}
	case tree:
		for name, item := range value {
			l.substitutions(id, item)
			if name == "Fn::Sub" {
				l.substitution(id, item)
			}
		}
	}
}

func (l *linter) substitution(id string, sub any) {
	own := tree{}
	if parts, ok := sub.([]any); ok && len(parts) == 2 {
		own, _ = parts[1].(tree)
	}
	for _, m := range variable.FindAllStringSubmatch(subOf(tree{"Fn::Sub": sub}), -1) {
		name, _, _ := strings.Cut(m[1], ".")
		_, isResource := l.resources[name]
		if !isResource && own[name] == nil && at(l.tree, "Parameters")[name] == nil && !strings.HasPrefix(name, "AWS::") {
			l.fault(id, "${%s}: no parameter or resource of that name: want ${!%s} for what a shell is to see", m[1], m[1])
		}
	}
}

// parameters finds typed lists that may be empty, which CloudFormation refuses.
func (l *linter) parameters() {
	for name, p := range at(l.tree, "Parameters") {
		p, _ := p.(tree)
		if kind := text(p["Type"]); strings.HasPrefix(kind, "List<AWS::") && p["Default"] == "" {
			l.fault(name, "type %s with an empty default: want CommaDelimitedList", kind)
		}
	}
}

// mappings finds keys that CloudFormation refuses.
func (l *linter) mappings() {
	for name, m := range at(l.tree, "Mappings") {
		m, _ := m.(tree)
		for key := range m {
			if strings.Contains(key, "_") {
				l.fault(name, "mapping key %q: want letters, digits, dashes and dots", key)
			}
		}
	}
}
