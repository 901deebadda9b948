package deploy_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
	"github.com/mayfly-ci/mayfly/internal/aws/deploy"
)

const small = `
Parameters:
  Rules: {Type: String, Default: DISABLED}
Resources:
  Letters:
    Type: AWS::SQS::Queue
    Properties: {QueueName: !Sub "${AWS::StackName}-letters", Tags: [{Key: rules, Value: !Ref Rules}]}
Outputs:
  Url: {Value: !Ref Letters}
`

const more = small + `  More: {Value: x}
`

// newStack returns a stack that looks often, and what it has told of.
func newStack(cloud *awstest.Cloud) (*deploy.Stack, *[]string) {
	var told []string
	s := deploy.NewStack(cloud.Config, "ci")
	s.Look = time.Millisecond
	s.Tell = func(p deploy.Progress) { told = append(told, p.Resource+" "+p.Status) }
	return s, &told
}

func TestStackComesChangesAndGoes(t *testing.T) {
	s, told := newStack(awstest.Start(t))
	apply := func(w deploy.Wanted) (deploy.State, []deploy.Change) {
		t.Helper()
		state, changes, err := s.Apply(t.Context(), w, func([]deploy.Change) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		return state, changes
	}
	state, changes := apply(deploy.Wanted{Template: []byte(small)})
	want := []deploy.Change{{Action: "Add", Resource: "Letters", Type: "AWS::SQS::Queue"}}
	if diff := cmp.Diff(want, changes, cmpopts.IgnoreUnexported(deploy.Change{})); diff != "" || state.Status != "CREATE_COMPLETE" {
		t.Errorf("created: %+v, changes (-want +got):\n%s", state, diff)
	}
	if !slices.Contains(*told, "ci CREATE_COMPLETE") {
		t.Errorf("told of %q: want the stack's creation", *told)
	}
	if state, changes = apply(deploy.Wanted{Template: []byte(small)}); len(changes) > 0 {
		t.Errorf("applied again: changes %+v, want none", changes)
	}
	state, _ = apply(deploy.Wanted{Template: []byte(more), Parameters: map[string]string{"Rules": "ENABLED"}})
	if state.Status != "UPDATE_COMPLETE" || state.Parameters["Rules"] != "ENABLED" {
		t.Errorf("updated: %+v", state)
	}
	for range 2 { // the second time there is nothing to delete
		if err := s.Delete(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if state, err := s.State(t.Context()); err != nil || state.Exists() {
		t.Errorf("deleted: %+v, %v: want no stack", state, err)
	}
}

func TestProposalChangesNothing(t *testing.T) {
	s, _ := newStack(awstest.Start(t))
	for range 2 { // the second finds what the first has left, and is not in its way
		set, err := s.Propose(t.Context(), deploy.State{}, deploy.Wanted{Template: []byte(small)})
		if err != nil || len(set.Changes) != 1 {
			t.Fatalf("proposed %+v, %v: want one change", set, err)
		}
		if err := set.Discard(t.Context()); err != nil {
			t.Fatal(err)
		}
		if state, err := s.State(t.Context()); err != nil || state.Exists() {
			t.Errorf("after a proposal there is %+v, %v", state, err)
		}
	}
}

// TestWaits: of work that goes on, only what makes a person wait is worth a line. The words are CloudFormation's.
func TestWaits(t *testing.T) {
	const waiting = "CloudFormation is waiting for NetworkInterfaces associated with the Lambda Function to be cleaned up."
	for p, want := range map[deploy.Progress]bool{
		{Resource: "ClaimFunction", Status: "DELETE_IN_PROGRESS", Reason: waiting}:                       true,
		{Resource: "ClaimFunction", Status: "UPDATE_IN_PROGRESS", Reason: waiting}:                       true,
		{Resource: "ClaimFunction", Status: "DELETE_IN_PROGRESS"}:                                        false,
		{Resource: "ClaimFunction", Status: "CREATE_IN_PROGRESS", Reason: "Resource creation Initiated"}: false,
		{Resource: "ClaimFunction", Status: "DELETE_FAILED", Reason: waiting}:                            false,
	} {
		if got := p.Waits(); got != want {
			t.Errorf("%+v: %t", p, got)
		}
	}
}

func TestStatesThatCannotBeDeployedTo(t *testing.T) {
	s := deploy.NewStack(awstest.Start(t).Config, "ci")
	for status, ok := range map[string]bool{
		"": true, "CREATE_COMPLETE": true, "UPDATE_ROLLBACK_COMPLETE": true, "ROLLBACK_COMPLETE": true, "UPDATE_IN_PROGRESS": true,
		"ROLLBACK_FAILED": false, "DELETE_FAILED": false, "UPDATE_ROLLBACK_FAILED": false, "DELETE_IN_PROGRESS": false,
	} {
		if err := s.Usable(deploy.State{Status: status}); (err == nil) != ok {
			t.Errorf("%q: %v, want usable: %v", status, err, ok)
		}
	}
}
