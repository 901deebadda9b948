package stack_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/aws/build"
	"github.com/mayfly-ci/mayfly/internal/aws/stack"
	"github.com/mayfly-ci/mayfly/internal/event/pattern"
)

// TestPushesThatAreBuilt holds the rule's pattern against CodeCommit's events, as AWS's
// documentation has them: only what changes the branch that builds are of leads to the
// release function. Where the source is a zip, the rule is not made.
// https://docs.aws.amazon.com/codecommit/latest/userguide/monitoring-events.html
func TestPushesThatAreBuilt(t *testing.T) {
	tree, err := stack.Read(render(t, settings(t, "", small)))
	if err != nil {
		t.Fatal(err)
	}
	resources := tree["Resources"].(map[string]any)
	inS3, err := stack.Resources(render(t, settings(t, "source: s3", small)))
	if err != nil {
		t.Fatal(err)
	}
	for id, kind := range inS3 {
		if _, there := resources[id]; strings.HasPrefix(kind, "AWS::CodeCommit::") || strings.HasPrefix(id, "Pushes") || !there {
			t.Errorf("%s, a %s: a region without CodeCommit refuses it, even under a condition", id, kind)
		}
	}
	text, err := json.Marshal(resources["PushesRule"].(map[string]any)["Properties"].(map[string]any)["EventPattern"])
	if err != nil {
		t.Fatal(err)
	}
	rule, err := pattern.Parse([]byte(strings.ReplaceAll(string(text), `{"Fn::GetAtt":["Source","Name"]}`, `"ci-image"`)))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		event, repository, kind, name string
		built                         bool
	}{
		{"referenceCreated", "ci-image", "branch", build.Branch, true},
		{"referenceUpdated", "ci-image", "branch", build.Branch, true},
		{"referenceDeleted", "ci-image", "branch", build.Branch, false},
		{"referenceUpdated", "ci-image", "branch", "try", false},
		{"referenceCreated", "ci-image", "tag", build.Branch, false},
		{"referenceUpdated", "another", "branch", build.Branch, false},
	} {
		e := fmt.Sprintf(`{"version": "0", "id": "01234567", "detail-type": "CodeCommit Repository State Change", "source": "aws.codecommit",
			"account": "123456789012", "time": "2019-06-12T10:23:43Z", "region": "us-east-2", "resources": ["arn:aws:codecommit:us-east-2:123456789012:%s"],
			"detail": {"event": %q, "repositoryName": %q, "repositoryId": "12345678-1234-5678-abcd-12345678abcd", "referenceType": %q, "referenceName": %q,
			"referenceFullName": "refs/heads/%s", "commitId": "7f0103fMERGE", "oldCommitId": "3e5983DESTINATION", "callerUserArn": "arn:aws:iam::123456789012:user/Mary"}}`,
			c.repository, c.event, c.repository, c.kind, c.name, c.name)
		if got := rule.Matches([]byte(e)); got != c.built {
			t.Errorf("%+v: matches %t", c, got)
		}
	}
}
