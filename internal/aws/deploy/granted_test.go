package deploy

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/mayfly-ci/mayfly/internal/aws/iamref"
)

// A policy is one of IAM's, with lists where it may have single values.
type policy struct {
	Statement []struct {
		Effect           string
		Action, Resource texts
	}
}

type texts []string

// UnmarshalJSON implements [json.Unmarshaler].
func (l *texts) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*l = texts{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(l))
}

// documented returns the policy of docs/aws.md, filled in as it says.
func documented(t *testing.T) (p policy) {
	t.Helper()
	text, err := os.ReadFile("../../../docs/aws-deploy-policy.json")
	if err != nil {
		t.Fatal(err)
	}
	filled := strings.NewReplacer("ACCOUNT", "123456789012", "NAME", "ci").Replace(string(text))
	if err := json.Unmarshal([]byte(filled), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// allows evaluates the policy as IAM does, without conditions: a wildcard stands for any text.
func (p policy) allows(action, resource string) bool {
	for _, s := range p.Statement {
		named := slices.ContainsFunc(s.Action, func(a string) bool {
			return slices.ContainsFunc(iamref.Matching(a), func(m iamref.Action) bool { return m.Name == action })
		})
		if named && slices.ContainsFunc(s.Resource, func(r string) bool { return covers(r, resource) }) {
			return s.Effect == "Allow"
		}
	}
	return false
}

// covers reports whether a resource of a policy stands for an ARN.
func covers(pattern, arn string) bool {
	first, rest, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == arn
	}
	after, begins := strings.CutPrefix(arn, first)
	if !begins {
		return false
	}
	for i := range len(after) + 1 {
		if covers(rest, after[i:]) {
			return true
		}
	}
	return false
}

// TestDocumentedPolicyPasses: whoever has the policy of the docs passes the preflight. It asks
// about each action on the resources on which IAM grants it.
func TestDocumentedPolicyPasses(t *testing.T) {
	p, a := documented(t), &Account{ID: "123456789012", Config: aws.Config{Region: "eu-central-1"}}
	for _, action := range Permissions() {
		if _, ok := iamref.Find(action); !ok {
			t.Errorf("%s: AWS knows no such action", action)
		}
		for _, resource := range a.resources("ci", action) {
			if !p.allows(action, resource) {
				t.Errorf("%s on %s is asked for by the preflight, and the policy does not allow it", action, resource)
			}
		}
	}
}

// TestResourcesOfActions: an action is asked about where AWS grants it.
func TestResourcesOfActions(t *testing.T) {
	a := &Account{ID: "123456789012", Config: aws.Config{Region: "eu-central-1"}}
	for action, want := range map[string][]string{
		"events:ListRules":    {"*"},
		"ec2:DescribeSubnets": {"*"},
		"events:PutRule":      {"arn:aws:events:eu-central-1:123456789012:rule/ci/jobs", "arn:aws:events:eu-central-1:123456789012:rule/ci-sweep"},
		"ecs:CreateCluster":   {"arn:aws:ecs:eu-central-1:123456789012:cluster/ci"},
		"s3:CreateBucket":     {"arn:aws:s3:::" + BucketName("123456789012", "eu-central-1", "ci")},
	} {
		if got := a.resources("ci", action); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", action, got, want)
		}
	}
}
