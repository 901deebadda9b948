package rollout

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/aws/deploy"
	"github.com/mayfly-ci/mayfly/internal/aws/stack"
	"github.com/mayfly-ci/mayfly/internal/cli"
)

// apply makes the stack match the parameters, in a way that loses nothing: changes are read before
// they are made, and what they remove is empty by then.
func (d *Deployment) apply(ctx context.Context) error {
	d.note("stack %s in %s", d.Stack.Name, d.Account.Region())
	state, changes, err := d.Stack.Apply(ctx, d.wanted(), func(changes []deploy.Change) error { return d.consent(ctx, changes) })
	if err != nil {
		return err
	}
	if len(changes) == 0 {
		d.note("  its resources are up to date")
	}
	d.state = state
	if d.Parameters[deploy.RulesState] != deploy.RulesOn {
		return nil
	}
	return d.drainer().Resume(ctx, d.AWS.Hosts.Min)
}

// checkSource refuses to create a source repository if an earlier update has left one: AWS would
// find the name taken halfway through the update.
func (d *Deployment) checkSource(ctx context.Context) error {
	if !d.state.Exists() || d.state.Outputs["SourceName"] != "" || d.AWS.Source == "s3" {
		return nil
	}
	left, err := d.Account.HasSource(ctx, d.Stack.Name)
	if err != nil || left == "" {
		return err
	}
	return cli.Hint(fmt.Errorf("source repository %s is in the account, outside the stack: an earlier update has kept it", left),
		"aws codecommit update-repository-name --old-name %[1]s --new-name %[1]s-before keeps its commits; then deploy again", left)
}

// consent refuses changes that lose data without permission, and empties what the others remove.
func (d *Deployment) consent(ctx context.Context, changes []deploy.Change) error {
	impact := deploy.ImpactOf(changes)
	if err := impact.Refuse(d.Stack.Name, d.Losses); err != nil {
		return err
	}
	if slices.ContainsFunc(impact.Losses, func(c deploy.Change) bool { return c.Type == "AWS::DynamoDB::Table" }) {
		if err := deploy.UnprotectTable(ctx, d.Account, d.Stack.Name); err != nil {
			return err
		}
	}
	if impact.Drain.Empty() {
		return nil
	}
	d.note("the update removes what jobs run on: runners start again after it, and jobs that run may end first")
	return d.drainer().Run(ctx, impact.Drain)
}

func (d *Deployment) drainer() deploy.Drainer {
	return deploy.Drainer{
		Account: d.Account, Stack: d.Stack, Cluster: d.Stack.Name,
		Tell: func(running int) {
			d.note("  waiting for %d jobs to end; an interrupted deploy goes on waiting when it is run again", running)
		},
	}
}

// checkRegion refuses a region without a service that the template uses: AWS would reject the template.
func (d *Deployment) checkRegion(ctx context.Context) error {
	types, err := stack.Resources(d.template.Body)
	if err != nil {
		return err
	}
	lacks, err := d.Account.Lacks(ctx, slices.Compact(slices.Sorted(maps.Values(types))))
	if err != nil || len(lacks) == 0 {
		return err
	}
	var hints []string
	for _, kind := range lacks {
		if without := map[string]string{
			"AWS::EventSchemas::Discoverer": "aws.schemas: false", "AWS::Events::Archive": "aws.archive: false", "AWS::CodeCommit::Repository": "aws.source: s3",
		}[kind]; without != "" {
			hints = append(hints, without)
		}
	}
	hint := "choose another with aws.region"
	if len(hints) == len(lacks) {
		hint = "go without, by " + strings.Join(hints, ", ") + "; or " + hint
	}
	return cli.Hint(fmt.Errorf("region %s has no %s", d.Account.Region(), strings.Join(lacks, ", ")), "%s", hint)
}

// tags returns the tags for everything that belongs to the stack.
func (s *Site) tags() map[string]string {
	all := map[string]string{deploy.StackTag: s.Stack.Name}
	maps.Copy(all, s.AWS.Tags)
	return all
}
