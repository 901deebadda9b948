package deploy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/mayfly-ci/mayfly/internal/aws/refusal"
)

// A Wanted is the desired state of a stack.
type Wanted struct {
	Template   []byte
	URL        string            // where AWS reads the template that is longer than [MaxInline]
	Parameters map[string]string // those that are not named have the template's default
	Tags       map[string]string
}

// MaxInline is the longest template, in bytes, that fits into a call.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
const MaxInline = 51_200

// A Change is a proposed change of one resource.
type Change struct {
	Action   string `json:"action"` // Add, Modify, Remove
	Resource string `json:"resource"`
	Type     string `json:"type"`
	Replaced bool   `json:"replaced"` // it would be made anew
	Kept     bool   `json:"kept"`     // whether a removed or replaced resource stays in the account, outside the stack

	physical string   // the resource's id or name; "" for an added one
	causes   []string // resources whose replacement would replace this one
}

// A ChangeSet has proposed changes of a stack.
type ChangeSet struct {
	Changes []Change // of resources; a change of outputs alone has none
	Empty   bool     // the stack is as wanted

	stack *Stack
	id    string
	fresh bool // whether the stack exists only for the change set
}

// changeSetName is the name of all our change sets. AWS removes a stack's change sets when one is
// executed.
const changeSetName = "mayfly"

// Propose makes AWS compute the changes. Call [Stack.Ready] first.
func (s *Stack) Propose(ctx context.Context, state State, w Wanted) (*ChangeSet, error) {
	in := &cloudformation.CreateChangeSetInput{
		StackName: &s.Name, ChangeSetName: aws.String(changeSetName), ChangeSetType: types.ChangeSetTypeUpdate,
		Capabilities: []types.Capability{types.CapabilityCapabilityIam, types.CapabilityCapabilityNamedIam},
		Parameters:   parameters(w.Parameters), Tags: tags(w.Tags),
	}
	if !state.Exists() {
		in.ChangeSetType = types.ChangeSetTypeCreate
	}
	if in.TemplateBody = aws.String(string(w.Template)); len(w.Template) > MaxInline {
		in.TemplateBody, in.TemplateURL = nil, &w.URL
	}
	if err := s.discardStale(ctx, state); err != nil {
		return nil, err
	}
	made, err := s.api.CreateChangeSet(ctx, in)
	if err != nil {
		return nil, fmt.Errorf("change set for stack %s: %w", s.Name, err)
	}
	set := &ChangeSet{stack: s, id: aws.ToString(made.Id), fresh: !state.Exists()}
	return set, set.read(ctx)
}

func parameters(set map[string]string) (list []types.Parameter) {
	for _, name := range slices.Sorted(maps.Keys(set)) {
		list = append(list, types.Parameter{ParameterKey: aws.String(name), ParameterValue: aws.String(set[name])})
	}
	return list
}

func tags(set map[string]string) (list []types.Tag) {
	for _, name := range slices.Sorted(maps.Keys(set)) {
		list = append(list, types.Tag{Key: aws.String(name), Value: aws.String(set[name])})
	}
	return list
}

// read waits until AWS has computed the changes, and reads them.
func (c *ChangeSet) read(ctx context.Context) error {
	for next := (*string)(nil); ; {
		out, err := c.stack.api.DescribeChangeSet(ctx, &cloudformation.DescribeChangeSetInput{
			StackName: &c.stack.Name, ChangeSetName: &c.id, NextToken: next,
		})
		if err != nil {
			return fmt.Errorf("change set for stack %s: %w", c.stack.Name, err)
		}
		switch out.Status {
		case types.ChangeSetStatusCreatePending, types.ChangeSetStatusCreateInProgress:
			if err := pause(ctx, c.stack.Look); err != nil {
				return err
			}
			continue
		case types.ChangeSetStatusFailed:
			return c.failed(aws.ToString(out.StatusReason))
		}
		for _, change := range out.Changes {
			c.add(change.ResourceChange)
		}
		if next = out.NextToken; next == nil {
			settleReplacements(c.Changes)
			return nil
		}
	}
}

func (c *ChangeSet) add(r *types.ResourceChange) {
	if r != nil {
		c.Changes = append(c.Changes, changeOf(r))
	}
}

// failed distinguishes "there is nothing to change", which AWS reports as a failure, from a real one.
func (c *ChangeSet) failed(reason string) error {
	if strings.Contains(reason, "didn't contain changes") || strings.Contains(reason, "No updates are to be performed") {
		c.Empty = true
		return nil
	}
	return refusal.New(fmt.Errorf("change set for stack %s: %s", c.stack.Name, reason), "nothing was changed: mend what AWS says, and deploy again")
}

// Execute makes the changes and waits for their end. The error names the resource
// that failed, and why.
func (c *ChangeSet) Execute(ctx context.Context) (State, error) {
	s := c.stack
	last, err := s.lastEvent(ctx)
	if err != nil {
		return State{}, err
	}
	_, err = s.api.ExecuteChangeSet(ctx, &cloudformation.ExecuteChangeSetInput{StackName: &s.Name, ChangeSetName: &c.id})
	if err != nil {
		return State{}, fmt.Errorf("changing stack %s: %w", s.Name, err)
	}
	state, err := s.settle(ctx, last)
	if err != nil {
		return state, err
	}
	if done := types.StackStatus(state.Status); done != types.StackStatusCreateComplete && done != types.StackStatusUpdateComplete {
		return state, s.failure(ctx, last, state)
	}
	return state, nil
}

// Discard removes the change set, and the stack if AWS created it only for the change set.
func (c *ChangeSet) Discard(ctx context.Context) error {
	if c.fresh {
		return c.stack.Delete(ctx)
	}
	return c.stack.discard(ctx, c.id)
}

// discardStale removes a change set that an interruption left, because its name would be taken.
func (s *Stack) discardStale(ctx context.Context, state State) error {
	if state.Status == "" {
		return nil
	}
	list, err := s.api.ListChangeSets(ctx, &cloudformation.ListChangeSetsInput{StackName: &s.Name})
	if err != nil {
		return fmt.Errorf("change sets of stack %s: %w", s.Name, err)
	}
	for _, set := range list.Summaries {
		if aws.ToString(set.ChangeSetName) == changeSetName {
			return s.discard(ctx, aws.ToString(set.ChangeSetId))
		}
	}
	return nil
}

func (s *Stack) discard(ctx context.Context, set string) error {
	_, err := s.api.DeleteChangeSet(ctx, &cloudformation.DeleteChangeSetInput{StackName: &s.Name, ChangeSetName: &set})
	if err != nil {
		return fmt.Errorf("removing a change set of stack %s: %w", s.Name, err)
	}
	return nil
}

// Apply brings the stack to the desired state, and returns its state and the changes. It calls consent
// before it makes the changes; an error of consent leaves the stack unchanged.
func (s *Stack) Apply(ctx context.Context, w Wanted, consent func([]Change) error) (State, []Change, error) {
	state, err := s.Ready(ctx)
	if err != nil {
		return state, nil, err
	}
	set, err := s.Propose(ctx, state, w)
	if err != nil {
		return state, nil, err
	}
	if set.Empty {
		return state, nil, set.Discard(ctx)
	}
	if err := consent(set.Changes); err != nil {
		return state, nil, errors.Join(err, set.Discard(ctx))
	}
	state, err = set.Execute(ctx)
	return state, set.Changes, err
}
