package deploy

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	scaling "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/codebuild"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/mayfly-ci/mayfly/internal/aws/refusal"
)

// Steps of mayfly destroy before the stack is deleted. Each succeeds if there is nothing to do.

// Resources returns the physical ids of the stack's resources of a type.
func (s *Stack) Resources(ctx context.Context, kind string) (ids []string, err error) {
	all, err := s.inventory(ctx)
	for _, r := range all {
		if r.kind == kind {
			ids = append(ids, r.physical)
		}
	}
	return ids, err
}

// A part is a resource of the stack.
type part struct{ kind, logical, physical string }

// inventory returns the current resources of the stack, or none if it does not exist.
func (s *Stack) inventory(ctx context.Context) (all []part, err error) {
	for pages := cloudformation.NewListStackResourcesPaginator(s.api, &cloudformation.ListStackResourcesInput{StackName: &s.Name}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if isNoStack(err) {
			return nil, nil
		} else if err != nil {
			return nil, fmt.Errorf("resources of stack %s: %w", s.Name, err)
		}
		for _, r := range page.StackResourceSummaries {
			if r.PhysicalResourceId != nil && r.ResourceStatus != types.ResourceStatusDeleteComplete {
				all = append(all, part{aws.ToString(r.ResourceType), aws.ToString(r.LogicalResourceId), *r.PhysicalResourceId})
			}
		}
	}
	return all, nil
}

// DisableRules turns off all rules of the stack, on its own bus and on the default one,
// so that nothing starts any more.
func DisableRules(ctx context.Context, a *Account, stack string) error {
	api := eventbridge.NewFromConfig(a.Config)
	rules := map[string]string{} // their buses
	for _, name := range []string{"-tasks", "-builds", "-pushes", "-sweep", "-release"} {
		rules[stack+name] = "default"
	}
	err := eachRule(ctx, api, stack, func(r eventtypes.Rule) error {
		if r.ManagedBy == nil { // skip the rules of archive and discoverer, which AWS manages
			rules[aws.ToString(r.Name)] = stack
		}
		return nil
	})
	if err != nil {
		return err
	}
	for rule, bus := range rules {
		if _, err := api.DisableRule(ctx, &eventbridge.DisableRuleInput{EventBusName: &bus, Name: &rule}); err != nil && !notThere(err) {
			return fmt.Errorf("turning off rule %s: %w", rule, err)
		}
	}
	return nil
}

// eachRule calls f with each rule of a bus. The bus need not exist.
func eachRule(ctx context.Context, api *eventbridge.Client, bus string, f func(eventtypes.Rule) error) error {
	for next := (*string)(nil); ; {
		page, err := api.ListRules(ctx, &eventbridge.ListRulesInput{EventBusName: &bus, NextToken: next})
		if notThere(err) {
			return nil
		} else if err != nil {
			return fmt.Errorf("rules of bus %s: %w", bus, err)
		}
		for _, rule := range page.Rules {
			if err := f(rule); err != nil {
				return err
			}
		}
		if next = page.NextToken; next == nil {
			return nil
		}
	}
}

// StopTasks stops all tasks of the stack's cluster, and returns how many there were.
func StopTasks(ctx context.Context, a *Account, stack string) (stopped int, err error) {
	api := ecs.NewFromConfig(a.Config)
	for pages := ecs.NewListTasksPaginator(api, &ecs.ListTasksInput{Cluster: &stack, DesiredStatus: ecstypes.DesiredStatusRunning}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if notThere(err) {
			return stopped, nil
		} else if err != nil {
			return stopped, fmt.Errorf("tasks of cluster %s: %w", stack, err)
		}
		for _, task := range page.TaskArns {
			_, err := api.StopTask(ctx, &ecs.StopTaskInput{Cluster: &stack, Task: &task, Reason: aws.String("mayfly destroy")})
			if err != nil && !notThere(err) {
				return stopped, fmt.Errorf("stopping task %s: %w", task, err)
			}
			stopped++
		}
	}
	return stopped, nil
}

// StopBuilds stops running builds, because the repository that they push to is about to be removed.
func StopBuilds(ctx context.Context, a *Account, stack string) error {
	api := codebuild.NewFromConfig(a.Config)
	for _, arch := range []string{"amd64", "arm64"} {
		list, err := api.ListBuildsForProject(ctx, &codebuild.ListBuildsForProjectInput{ProjectName: aws.String(stack + "-build-" + arch)})
		if notThere(err) || err == nil && len(list.Ids) == 0 {
			continue
		} else if err != nil {
			return fmt.Errorf("builds of %s: %w", stack, err)
		}
		recent, err := api.BatchGetBuilds(ctx, &codebuild.BatchGetBuildsInput{Ids: list.Ids[:min(len(list.Ids), 20)]})
		if err != nil {
			return fmt.Errorf("builds of %s: %w", stack, err)
		}
		for _, b := range recent.Builds {
			if b.BuildComplete {
				continue
			}
			if _, err := api.StopBuild(ctx, &codebuild.StopBuildInput{Id: b.Id}); err != nil {
				return fmt.Errorf("stopping build %s: %w", aws.ToString(b.Id), err)
			}
		}
	}
	return nil
}

// EmptyGroups removes the protection of the stack's hosts, with which their groups could not be deleted,
// and makes the groups end them.
func EmptyGroups(ctx context.Context, a *Account, s *Stack) error {
	names, err := s.Resources(ctx, "AWS::AutoScaling::AutoScalingGroup")
	if err != nil || len(names) == 0 {
		return err
	}
	api := autoscaling.NewFromConfig(a.Config)
	out, err := api.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: names})
	if err != nil {
		return fmt.Errorf("groups of hosts: %w", err)
	}
	for _, g := range out.AutoScalingGroups {
		if err := emptyGroup(ctx, api, g); err != nil {
			return fmt.Errorf("group of hosts %s: %w", aws.ToString(g.AutoScalingGroupName), err)
		}
	}
	return nil
}

func emptyGroup(ctx context.Context, api *autoscaling.Client, g scaling.AutoScalingGroup) error {
	var protected []string
	for _, i := range g.Instances {
		if aws.ToBool(i.ProtectedFromScaleIn) {
			protected = append(protected, aws.ToString(i.InstanceId))
		}
	}
	if _, err := api.UpdateAutoScalingGroup(ctx, &autoscaling.UpdateAutoScalingGroupInput{
		AutoScalingGroupName: g.AutoScalingGroupName, MinSize: aws.Int32(0), DesiredCapacity: aws.Int32(0), NewInstancesProtectedFromScaleIn: aws.Bool(false),
	}); err != nil {
		return err
	}
	for len(protected) > 0 {
		batch := protected[:min(len(protected), 50)] // as many as AWS takes
		protected = protected[len(batch):]
		if _, err := api.SetInstanceProtection(ctx, &autoscaling.SetInstanceProtectionInput{
			AutoScalingGroupName: g.AutoScalingGroupName, InstanceIds: batch, ProtectedFromScaleIn: aws.Bool(false),
		}); err != nil && !strings.Contains(err.Error(), "not part of Auto Scaling group") && !refusal.Is(err, "ValidationError") {
			return err
		}
	}
	return nil
}

// Deregister deregisters all revisions of the stack's task definitions, including those of promotions,
// which CloudFormation does not know.
func Deregister(ctx context.Context, a *Account, families []string) error {
	api := ecs.NewFromConfig(a.Config)
	for _, family := range families {
		for pages := ecs.NewListTaskDefinitionsPaginator(api, &ecs.ListTaskDefinitionsInput{FamilyPrefix: &family}); pages.HasMorePages(); {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return fmt.Errorf("revisions of %s: %w", family, err)
			}
			for _, arn := range page.TaskDefinitionArns {
				if _, err := api.DeregisterTaskDefinition(ctx, &ecs.DeregisterTaskDefinitionInput{TaskDefinition: &arn}); err != nil {
					return fmt.Errorf("deregistering %s: %w", arn, err)
				}
			}
		}
	}
	return nil
}
