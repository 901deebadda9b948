package stack

import (
	"os"
	"strings"
	"testing"
)

// judge holds each statement of a policy against AWS's reference.
func judge(t *testing.T, policy string) (faults Faults) {
	t.Helper()
	document, err := Read([]byte(strings.NewReplacer("ACCOUNT", "1", "NAME", "x").Replace(policy)))
	if err != nil {
		t.Fatal(err)
	}
	l := &linter{tree: document}
	all := statementsOf(document)
	if len(all) == 0 {
		t.Fatal("the policy has no statement")
	}
	for _, s := range all {
		l.reference(text(s.rest["Sid"]), s)
	}
	return l.faults
}

// TestDocumentedPolicy: AWS grants what the policy of docs/aws.md allows.
func TestDocumentedPolicy(t *testing.T) {
	policy, err := os.ReadFile("../../../docs/aws-deploy-policy.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range judge(t, string(policy)) {
		t.Error(f)
	}
}

// TestPlantedInPolicies plants what AWS takes and never grants.
func TestPlantedInPolicies(t *testing.T) {
	for want, statement := range map[string]string{
		"action ecs:RunTasks: AWS knows no such action":                                             `"Action": "ecs:RunTasks", "Resource": "*"`,
		"action ecs:SubmitTaskStateChange has no condition key ecs:cluster: it is never granted":    `"Action": "ecs:SubmitTaskStateChange", "Resource": "*", "Condition": {"ArnEquals": {"ecs:cluster": "arn:aws:ecs:r:1:cluster/x"}}`,
		`action events:ListRules has no resources: it is granted on "*" only`:                       `"Action": "events:ListRules", "Resource": "arn:aws:events:r:1:rule/x"`,
		"action sqs:SendMessage is not granted on arn:aws:sns:r:1:x":                                `"Action": "sqs:SendMessage", "Resource": "arn:aws:sns:r:1:x"`,
		"resource arn:aws:sns:r:1:x: none of the statement's actions is granted on such a resource": `"Action": ["sqs:SendMessage", "sqs:ReceiveMessage"], "Resource": ["arn:aws:sqs:r:1:x", "arn:aws:sns:r:1:x"]`,
		"resource arn:aws:ecs:r:1:clusters/x: none of":                                              `"Action": "ecs:*", "Resource": "arn:aws:ecs:r:1:clusters/x"`,
	} {
		faults := judge(t, `{"Statement": [{"Sid": "Planted", "Effect": "Allow", `+statement+`}]}`)
		if !strings.Contains(faults.Error(), want) {
			t.Errorf("%s: %q, want %q", statement, faults.Error(), want)
		}
	}
}
