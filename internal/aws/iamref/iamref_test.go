package iamref_test

import (
	"testing"

	"github.com/mayfly-ci/mayfly/internal/aws/iamref"
)

func find(t *testing.T, name string) iamref.Action {
	t.Helper()
	a, ok := iamref.Find(name)
	if !ok {
		t.Fatalf("%s: not in the reference", name)
	}
	return a
}

// TestKeys: an action knows its own condition keys, those of its resources and the global ones.
func TestKeys(t *testing.T) {
	for _, test := range []struct {
		action, key string
		want        bool
	}{
		{"ecs:Poll", "ecs:cluster", true},
		{"ecs:poll", "ECS:Cluster", true},
		{"ecs:SubmitTaskStateChange", "ecs:cluster", false},
		{"ecs:SubmitTaskStateChange", "aws:ResourceTag/team", true},
		{"ecs:SubmitTaskStateChange", "aws:ResourceTag/", false},
		{"ecs:SubmitTaskStateChange", "aws:SourceArn", true},
		{"iam:PassRole", "iam:PassedToService", true},
		{"events:PutEvents", "events:nonsense", false},
	} {
		if got := find(t, test.action).Knows(test.key); got != test.want {
			t.Errorf("%s knows %s: %v", test.action, test.key, got)
		}
	}
}

// TestResources: a resource has the form of one that the action is granted on.
func TestResources(t *testing.T) {
	for _, test := range []struct {
		action, resource string
		want             bool
	}{
		{"ecs:SubmitTaskStateChange", "arn:aws:ecs:eu-central-1:1:cluster/ci", true},
		{"ecs:SubmitTaskStateChange", "arn:aws:ecs:eu-central-1:1:task/ci/*", false},
		{"ecs:SubmitTaskStateChange", "arn:aws:ecs:*", true},
		{"sqs:SendMessage", "arn:aws:sqs:eu-central-1:1:ci-*", true},
		{"sqs:SendMessage", "arn:aws:sns:eu-central-1:1:ci-*", false},
		{"ec2:CreateNetworkInterface", "arn:aws:ec2:eu-central-1:1:*/*", true},
		{"dynamodb:Query", "arn:aws:dynamodb:eu-central-1:1:table/ci-ledger/index/*", true},
		{"events:ListRules", "arn:aws:events:eu-central-1:1:rule/ci/*", false},
		{"events:ListRules", "*", true},
	} {
		if got := find(t, test.action).Fits(test.resource); got != test.want {
			t.Errorf("%s on %s: %v", test.action, test.resource, got)
		}
	}
}

func TestMatching(t *testing.T) {
	if got := iamref.Matching("ecs:Submit*"); len(got) != 3 || got[0].Name != "ecs:SubmitAttachmentStateChanges" {
		t.Errorf("ecs:Submit*: %v", got)
	}
	if got := iamref.Matching("ecs:RunTasks"); got != nil {
		t.Errorf("ecs:RunTasks: %v", got)
	}
}

// TestTypesHaveAForm: each type that an action names is in the reference, too.
func TestTypesHaveAForm(t *testing.T) {
	n := 0
	for _, a := range iamref.Matching("*") {
		for _, on := range a.Types {
			if n++; on.ARN == "" {
				t.Errorf("%s: type %q has no ARN", a.Name, on.Name)
			}
		}
	}
	if n < 1000 {
		t.Errorf("%d types of actions: the reference has more", n)
	}
}
