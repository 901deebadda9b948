package deploy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/mayfly-ci/mayfly/internal/aws/refusal"
)

// A Stack is one CloudFormation stack.
type Stack struct {
	Name string
	Tell func(Progress) // called for each change of a resource; may be nil
	Look time.Duration  // the interval of polling

	api *cloudformation.Client
}

// NewStack returns the stack called name. It need not exist.
func NewStack(c aws.Config, name string) *Stack {
	return &Stack{Name: name, Look: Look, api: cloudformation.NewFromConfig(c)}
}

// Progress is what happened to one resource.
type Progress struct {
	Resource string // its logical id
	Type     string // such as AWS::ECS::Cluster
	Status   string // such as CREATE_COMPLETE
	Reason   string // of a failure, or what it waits for
}

// Waits reports whether AWS says what its work waits for. That may take half an hour, when functions
// leave a VPC.
func (p Progress) Waits() bool {
	return strings.HasSuffix(p.Status, "_IN_PROGRESS") && strings.Contains(p.Reason, "is waiting for")
}

// A State is the state of a stack. The zero value is a stack that does not exist.
type State struct {
	ID, Status, Reason string
	Parameters         map[string]string
	Outputs            map[string]string
}

// Exists reports whether the stack exists and has or had resources.
func (s State) Exists() bool {
	return s.Status != "" && s.Status != string(types.StackStatusReviewInProgress) && s.Status != string(types.StackStatusDeleteComplete)
}

// Busy reports whether AWS is changing the stack.
func (s State) Busy() bool {
	return strings.HasSuffix(s.Status, "_IN_PROGRESS") && s.Status != string(types.StackStatusReviewInProgress)
}

// State reads the state of the stack.
func (s *Stack) State(ctx context.Context) (State, error) {
	out, err := s.api.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &s.Name})
	switch {
	case isNoStack(err):
		return State{}, nil
	case err != nil:
		return State{}, fmt.Errorf("stack %s: %w", s.Name, err)
	case len(out.Stacks) == 0:
		return State{}, nil
	}
	found := out.Stacks[0]
	state := State{
		ID: aws.ToString(found.StackId), Status: string(found.StackStatus), Reason: aws.ToString(found.StackStatusReason),
		Parameters: map[string]string{}, Outputs: map[string]string{},
	}
	for _, p := range found.Parameters {
		state.Parameters[aws.ToString(p.ParameterKey)] = aws.ToString(p.ParameterValue)
	}
	for _, o := range found.Outputs {
		state.Outputs[aws.ToString(o.OutputKey)] = aws.ToString(o.OutputValue)
	}
	return state, nil
}

// isNoStack reports whether err means that the stack does not exist. AWS has no separate error code for
// that.
func isNoStack(err error) bool {
	return refusal.Is(err, "ValidationError") && strings.Contains(err.Error(), "does not exist")
}

// Usable returns an error if the stack in this state cannot be deployed to. It returns nil if it can,
// perhaps after waiting, or after removing the rest of a failed creation.
func (s *Stack) Usable(state State) error {
	stands := func(hint string, args ...any) error {
		return refusal.New(fmt.Errorf("stack %s is in state %s: %s", s.Name, state.Status, state.Reason), hint, args...)
	}
	switch types.StackStatus(state.Status) {
	case types.StackStatusUpdateRollbackFailed:
		return stands("aws cloudformation continue-update-rollback --stack-name %s brings it back to what it was before; then deploy again", s.Name)
	case types.StackStatusRollbackFailed, types.StackStatusDeleteFailed, types.StackStatusCreateFailed:
		return stands("mayfly destroy removes what is left of it; then deploy again")
	case types.StackStatusDeleteInProgress:
		return stands("it is being deleted: wait for its end, then deploy again")
	}
	return nil
}

// Ready waits until AWS no longer changes the stack, removes the rest of a creation that failed or was
// interrupted, and returns the state of the stack.
func (s *Stack) Ready(ctx context.Context) (State, error) {
	state, err := s.State(ctx)
	if err == nil && state.Busy() {
		if err := s.Usable(state); err != nil {
			return state, err
		}
		state, err = s.settle(ctx, "")
	}
	if err != nil {
		return state, err
	}
	// The stack never worked: its creation failed, or was only proposed in a change set.
	if state.Status == string(types.StackStatusRollbackComplete) || state.Status == string(types.StackStatusReviewInProgress) {
		return State{}, s.Delete(ctx)
	}
	return state, s.Usable(state)
}

// Delete deletes the stack and waits for its end. It returns nil if the stack does not exist.
func (s *Stack) Delete(ctx context.Context) error {
	state, err := s.State(ctx)
	if err != nil || state.Status == "" {
		return err
	}
	last, err := s.lastEvent(ctx)
	if err != nil {
		return err
	}
	if _, err := s.api.DeleteStack(ctx, &cloudformation.DeleteStackInput{StackName: &s.Name}); err != nil {
		return fmt.Errorf("deleting stack %s: %w", s.Name, err)
	}
	// A deleted stack can still be described by its id, not by its name.
	gone := *s
	gone.Name = state.ID
	state, err = gone.settle(ctx, last)
	if err != nil {
		return err
	}
	if state.Status != "" && state.Status != string(types.StackStatusDeleteComplete) {
		return gone.failure(ctx, last, state)
	}
	return nil
}

// settle reports the changes after the event called last until AWS has finished, and returns the state
// of the stack.
func (s *Stack) settle(ctx context.Context, last string) (State, error) {
	for {
		state, err := s.State(ctx) // before the events: read afterwards, a final state could hide the last events
		if err != nil {
			return state, err
		}
		events, err := s.eventsAfter(ctx, last)
		if err != nil {
			return state, err
		}
		for _, e := range events {
			last = aws.ToString(e.EventId)
			s.tell(e)
		}
		if !state.Busy() {
			return state, nil
		}
		if err := pause(ctx, s.Look); err != nil {
			return state, fmt.Errorf("stack %s is in state %s, AWS goes on with it: %w", s.Name, state.Status, err)
		}
	}
}

func (s *Stack) tell(e types.StackEvent) {
	if s.Tell != nil {
		s.Tell(progressOf(e))
	}
}

func progressOf(e types.StackEvent) Progress {
	return Progress{
		Resource: aws.ToString(e.LogicalResourceId), Type: aws.ToString(e.ResourceType),
		Status: string(e.ResourceStatus), Reason: aws.ToString(e.ResourceStatusReason),
	}
}

// eventsAfter returns the stack's events after the one called last, oldest first. For "" it returns all
// of the newest page.
func (s *Stack) eventsAfter(ctx context.Context, last string) (events []types.StackEvent, err error) {
	for pages := cloudformation.NewDescribeStackEventsPaginator(s.api, &cloudformation.DescribeStackEventsInput{StackName: &s.Name}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if isNoStack(err) {
			return events, nil
		} else if err != nil {
			return nil, fmt.Errorf("events of stack %s: %w", s.Name, err)
		}
		for _, e := range page.StackEvents { // newest first
			if aws.ToString(e.EventId) == last {
				return events, nil
			}
			events = append([]types.StackEvent{e}, events...)
		}
		if last == "" {
			return events, nil
		}
	}
	return events, nil
}

// lastEvent returns the id of the newest event, or "" if there is none.
func (s *Stack) lastEvent(ctx context.Context) (string, error) {
	events, err := s.eventsAfter(ctx, "")
	if err != nil || len(events) == 0 {
		return "", err
	}
	return aws.ToString(events[len(events)-1].EventId), nil
}

// failure returns an error that names the resource that failed first after the event called last, and
// why.
func (s *Stack) failure(ctx context.Context, last string, state State) error {
	events, err := s.eventsAfter(ctx, last)
	if err != nil {
		return err
	}
	for _, e := range events {
		p := progressOf(e)
		// When one resource fails, AWS cancels the others; these are not the reason.
		if strings.HasSuffix(p.Status, "_FAILED") && p.Type != "AWS::CloudFormation::Stack" && !strings.Contains(p.Reason, "cancelled") {
			return refusal.New(fmt.Errorf("stack is in state %s: %s (%s): %s", state.Status, p.Resource, p.Type, p.Reason), "%s", hintFor(p))
		}
	}
	return refusal.New(errors.New("stack is in state "+state.Status+": "+state.Reason), "AWS's console shows its events, under CloudFormation")
}

// hintFor returns the next thing to do about a resource that failed.
func hintFor(p Progress) string {
	action := refusal.Action(errors.New(p.Reason))
	switch {
	case action != "":
		return "allow " + action + " for whoever deploys, and deploy again: docs/aws.md lists the permissions"
	case p.Type == "AWS::CodeCommit::Repository":
		return "where CodeCommit takes no new customers, aws.source: s3 does without it; then deploy again"
	case strings.Contains(p.Reason, "already exists"):
		return "something else has that name: remove it, or choose another name with aws.stack"
	case strings.Contains(strings.ToLower(p.Reason), "limit"):
		return "a quota of the account is used up: Service Quotas on AWS's console raises it; then deploy again"
	}
	return "mend what AWS says, and deploy again: it goes on from what is there"
}
