package deploy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/aws/refusal"
)

// Types of resources that updates treat with care.
const (
	typeGroup    = "AWS::AutoScaling::AutoScalingGroup"
	typeProvider = "AWS::ECS::CapacityProvider"
	typeRole     = "AWS::IAM::Role"
	typeTask     = "AWS::ECS::TaskDefinition"
)

// An Impact is what changes of a stack do to what people and jobs have there.
type Impact struct {
	Losses []Change // resources whose data would be gone
	Stuck  []Change // resources that AWS cannot replace, because the new one would need the name of the old one
	Drain  Drain    // what must have ended before the changes are made
}

// ImpactOf judges changes before they are made.
func ImpactOf(changes []Change) (i Impact) {
	for _, c := range changes {
		if c.Kept || c.Action != "Remove" && !c.Replaced {
			continue
		}
		if dataIn(c.Type) != "" {
			i.Losses = append(i.Losses, c)
		}
		if c.Replaced && hasFixedName(c) {
			i.Stuck = append(i.Stuck, c)
		}
		i.Drain.add(c)
	}
	return i
}

// dataIn says which data a resource of a type holds; "" for none.
func dataIn(kind string) string {
	return map[string]string{
		"AWS::CodeCommit::Repository": "the source of the runner image",
		"AWS::DynamoDB::Table":        "jobs, runners and the image catalog",
		"AWS::ECR::Repository":        "the runner images",
		"AWS::Events::Archive":        "the archived events",
		"AWS::Events::EventBus":       "the archived events, which can be replayed to this bus only",
		"AWS::Logs::LogGroup":         "its logs",
		"AWS::SQS::Queue":             "the messages in it",
	}[kind]
}

// hasFixedName reports whether the template names a resource. AWS makes a replacement before it
// removes the old resource, and refuses the update where both would have one name.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-name.html
func hasFixedName(c Change) bool {
	switch c.Type {
	case typeProvider, "AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard", "AWS::CodeBuild::Project", "AWS::CodeCommit::Repository",
		"AWS::DynamoDB::Table", "AWS::ECR::Repository", "AWS::ECS::Cluster", "AWS::Events::Archive", "AWS::Events::EventBus", "AWS::Events::Rule",
		"AWS::Lambda::Function", "AWS::SQS::Queue":
		return true
	}
	return false
}

// Refuse says why the changes must not be made: nil when they may, with the losses that allowed
// names by logical id.
func (i Impact) Refuse(stack string, allowed []string) error {
	if len(i.Stuck) > 0 {
		c := i.Stuck[0]
		return refusal.New(fmt.Errorf("updating stack %s: %s (%s) would be replaced, and AWS cannot replace a resource that has a name of the template's; nothing was changed", stack, c.Resource, c.Type),
			"take back the setting that replaces it, or deploy a stack of another name with aws.stack")
	}
	var lost, names []string
	for _, c := range i.Losses {
		if !slices.Contains(allowed, c.Resource) {
			lost = append(lost, fmt.Sprintf("%s (%s): %s", c.Resource, c.Type, dataIn(c.Type)))
			names = append(names, "--allow-loss "+c.Resource)
		}
	}
	if len(lost) == 0 {
		return nil
	}
	return refusal.New(errors.New("updating stack "+stack+" would lose "+strings.Join(lost, "; ")+"; nothing was changed"),
		"mayfly deploy --plan shows all changes; mayfly deploy %s makes them", strings.Join(names, " "))
}

// Note says in the plan what a change means beyond itself; "" for nothing.
func (c Change) Note() string {
	var notes []string
	one := ImpactOf([]Change{c})
	switch {
	case c.Kept:
		notes = append(notes, "stays in the account, outside the stack")
	case c.Replaced:
		notes = append(notes, "replaced")
	}
	if len(one.Losses) > 0 {
		notes = append(notes, "loses "+dataIn(c.Type))
	}
	if !one.Drain.Empty() {
		notes = append(notes, "after its jobs have ended")
	}
	return strings.Join(notes, ", ")
}
