package stack_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/aws"
	"github.com/mayfly-ci/mayfly/internal/aws/stack"
)

// TestRolesAreWhatHandlersCall holds the role of each function against what its code
// calls, which the handlers' own tests note: nothing is missing, nothing is broader.
func TestRolesAreWhatHandlersCall(t *testing.T) {
	for name, s := range kinds(t) {
		body := render(t, s)
		for handler, calls := range aws.Calls() {
			got, err := stack.Granted(body, strings.ToUpper(handler[:1])+handler[1:]+"Role")
			if err != nil {
				t.Fatal(err)
			}
			want := slices.Sorted(slices.Values(slices.Concat(calls, slices.Collect(maps.Keys(aws.Given(handler))))))
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
		"LaunchRole":     {"ecs:RunTask", "iam:PassRole"},
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
	if known := 6 + len(aws.Calls()); roles != known {
		t.Errorf("%d roles in the template: the tests know %d", roles, known)
	}
	if _, err := stack.Granted(body, "Bus"); err == nil {
		t.Error("actions of what is no role, and no error")
	}
}
