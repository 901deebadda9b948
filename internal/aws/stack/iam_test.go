package stack_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
	"github.com/mayfly-ci/mayfly/internal/aws/stack"
)

// TestRolesAreWhatHandlersCall holds the role of each function against what its code
// calls, which the handlers' own tests note: nothing is missing, nothing is broader.
func TestRolesAreWhatHandlersCall(t *testing.T) {
	for name, s := range kinds(t) {
		body := render(t, s)
		for handler, calls := range awstest.Calls() {
			got, err := stack.Granted(body, strings.ToUpper(handler[:1])+handler[1:]+"Role")
			if err != nil {
				t.Fatal(err)
			}
			given := awstest.Given(handler)
			if s.FunctionsInVPC {
				maps.Copy(given, awstest.GivenInVPC(handler))
			}
			if s.Source == "s3" {
				calls = slices.DeleteFunc(slices.Clone(calls), func(c string) bool { return strings.HasPrefix(c, "codecommit:") })
			}
			want := slices.Sorted(slices.Values(slices.Concat(calls, slices.Collect(maps.Keys(given)))))
			want = slices.Compact(want) // the sweep takes up dead letters itself, as Lambda polls its queue
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: role of %s (-called +granted):\n%s", name, handler, diff)
			}
		}
	}
}

// TestRolesOfTheOthers says what everything else may do, in full.
func TestRolesOfTheOthers(t *testing.T) {
	body := render(t, settings(t, "", mixed))
	claims := []string{"lambda:InvokeFunction", "lambda:InvokeFunctionUrl"}
	for role, want := range map[string][]string{
		"TaskRole":       claims,
		"PoolBigArmRole": claims,
		"LaunchRole":     {"ecs:RunTask", "ecs:TagResource", "iam:PassRole"},
		"ExecutionRole":  {"ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetAuthorizationToken", "ecr:GetDownloadUrlForLayer", "logs:CreateLogStream", "logs:PutLogEvents"},
		"HostRole": {
			"ecs:DeregisterContainerInstance", "ecs:DiscoverPollEndpoint", "ecs:Poll", "ecs:RegisterContainerInstance", "ecs:StartTelemetrySession",
			"ecs:SubmitAttachmentStateChanges", "ecs:SubmitContainerStateChange", "ecs:SubmitTaskStateChange", "ecs:UpdateContainerInstancesState",
		},
		"BuildRole": {
			"codecommit:GitPull", "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:DescribeImages", "ecr:GetAuthorizationToken",
			"ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart", "logs:CreateLogStream", "logs:PutLogEvents", "s3:GetObject",
		},
	} {
		got, err := stack.Granted(body, role)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +granted):\n%s", role, diff)
		}
	}
	types, err := stack.Resources(body)
	if err != nil {
		t.Fatal(err)
	}
	roles := 0
	for _, kind := range types {
		if kind == "AWS::IAM::Role" {
			roles++
		}
	}
	if known := 6 + len(awstest.Calls()); roles != known {
		t.Errorf("%d roles in the template: the tests know %d", roles, known)
	}
	if _, err := stack.Granted(body, "Bus"); err == nil {
		t.Error("actions of what is no role, and no error")
	}
}

// TestDeployPolicy: the policy of docs/aws.md is JSON, fits IAM, and mentions the
// service of each type of resource that a template may have.
func TestDeployPolicy(t *testing.T) {
	src, err := os.ReadFile("../../../docs/aws-deploy-policy.json")
	if err != nil {
		t.Fatal(err)
	}
	var policy struct {
		Statement []struct{ Action any }
	}
	var small bytes.Buffer
	if err := errors.Join(json.Unmarshal(src, &policy), json.Compact(&small, src)); err != nil {
		t.Fatal(err)
	}
	if small.Len() > 6144 { // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
		t.Errorf("%d characters: a managed policy has 6144 at most", small.Len())
	}
	for name, s := range kinds(t) {
		types, err := stack.Resources(render(t, s))
		if err != nil {
			t.Fatal(err)
		}
		for id, kind := range types {
			service := strings.ToLower(strings.Split(kind, "::")[1])
			if service == "eventschemas" {
				service = "schemas"
			}
			if !strings.Contains(small.String(), `"`+service+":") {
				t.Errorf("%s: %s is a %s, and the policy has nothing of %s", name, id, kind, service)
			}
		}
	}
}
