package deploy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	scaling "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
)

// A Drain says which jobs must have ended, and which hosts must be gone, before an update. AWS
// removes a group of hosts, a network and a role while jobs still use them; a protected host makes it
// give up and leave them behind, while the stack says UPDATE_COMPLETE.
// https://github.com/aws/containers-roadmap/issues/2862
type Drain struct {
	All       bool     // all hosts and jobs
	Groups    []string // of hosts: physical names
	Providers []string // capacity providers
	Tasks     []string // logical ids of task definitions whose role ends
}

// Empty reports whether nothing is to be drained.
func (d Drain) Empty() bool {
	return !d.All && len(d.Groups) == 0 && len(d.Providers) == 0 && len(d.Tasks) == 0
}

// add adds what depends on the resource of c and ends with it.
func (d *Drain) add(c Change) {
	pool, ofPool := strings.CutSuffix(c.Resource, "Role")
	switch c.Type {
	case typeGroup:
		d.Groups = append(d.Groups, c.physical)
	case typeProvider:
		d.Providers = append(d.Providers, c.physical)
	case typeRole:
		switch {
		case ofPool && strings.HasPrefix(pool, "Pool"):
			d.Tasks = append(d.Tasks, pool+"Task")
		case c.Resource == "TaskRole" || c.Resource == "ExecutionRole" || c.Resource == "HostRole":
			d.All = true
		}
	case "AWS::EC2::SecurityGroup":
		d.All = d.All || c.Resource == "HostSecurityGroup"
	case "AWS::ECS::Cluster", "AWS::IAM::InstanceProfile", "AWS::EC2::VPC", "AWS::EC2::Subnet", "AWS::EC2::InternetGateway",
		"AWS::EC2::VPCGatewayAttachment", "AWS::EC2::Route", "AWS::EC2::RouteTable", "AWS::EC2::SubnetRouteTableAssociation":
		d.All = true
	}
}

// A Drainer carries a [Drain] out. Each step can be taken again.
type Drainer struct {
	Account *Account
	Stack   *Stack
	Cluster string
	Tell    func(running int) // hears how many tasks are waited for
}

// Run prevents new jobs on what is to be drained, waits until its jobs have ended, and ends its hosts.
// After the update, [Drainer.Resume] starts jobs and hosts again, on what is left.
func (r Drainer) Run(ctx context.Context, d Drain) error {
	families, err := r.families(ctx, d)
	if err != nil {
		return err
	}
	if err := r.stopStarting(ctx, d, families); err != nil {
		return err
	}
	if err := r.awaitTasks(ctx, d, families); err != nil {
		return err
	}
	if d.All || len(d.Groups) > 0 {
		return r.endHosts(ctx, d)
	}
	return nil
}

// families returns the names of the task definitions that d lists by logical id.
func (r Drainer) families(ctx context.Context, d Drain) (names []string, err error) {
	if len(d.Tasks) == 0 {
		return nil, nil
	}
	all, err := r.Stack.inventory(ctx)
	for _, one := range all {
		if one.kind == typeTask && slices.Contains(d.Tasks, one.logical) {
			names = append(names, familyOf(one.physical))
		}
	}
	return names, err
}

// familyOf returns the family in a task definition's ARN, with or without a revision.
func familyOf(arn string) string {
	name, _, _ := strings.Cut(arn[strings.LastIndex(arn, "/")+1:], ":")
	return name
}

// starts reports whether a rule of that name starts tasks.
func starts(rule string) bool {
	return strings.HasPrefix(rule, "queued-") || strings.HasPrefix(rule, "wanted-")
}

// stopStarting turns off the rules that start tasks on what is to be drained. The ledger still receives
// jobs, and requests runners for them after the update.
func (r Drainer) stopStarting(ctx context.Context, d Drain, families []string) error {
	return r.eachStart(ctx, func(api *eventbridge.Client, rule eventtypes.Rule) error {
		targets, err := api.ListTargetsByRule(ctx, &eventbridge.ListTargetsByRuleInput{EventBusName: rule.EventBusName, Rule: rule.Name})
		if err != nil {
			return fmt.Errorf("targets of rule %s: %w", aws.ToString(rule.Name), err)
		}
		ends := d.All || slices.ContainsFunc(targets.Targets, func(t eventtypes.Target) bool {
			return t.EcsParameters != nil && (slices.Contains(families, familyOf(aws.ToString(t.EcsParameters.TaskDefinitionArn))) ||
				slices.ContainsFunc(t.EcsParameters.CapacityProviderStrategy, func(s eventtypes.CapacityProviderStrategyItem) bool {
					return slices.Contains(d.Providers, aws.ToString(s.CapacityProvider))
				}))
		})
		if !ends || rule.State == eventtypes.RuleStateDisabled {
			return nil
		}
		_, err = api.DisableRule(ctx, &eventbridge.DisableRuleInput{EventBusName: rule.EventBusName, Name: rule.Name})
		return err
	})
}

// eachStart calls f with each rule of the stack's bus that starts tasks.
func (r Drainer) eachStart(ctx context.Context, f func(*eventbridge.Client, eventtypes.Rule) error) error {
	api := eventbridge.NewFromConfig(r.Account.Config)
	return eachRule(ctx, api, r.Stack.Name, func(rule eventtypes.Rule) error {
		if !starts(aws.ToString(rule.Name)) {
			return nil
		}
		return f(api, rule)
	})
}

// awaitTasks waits until the tasks that d drains have ended.
func (r Drainer) awaitTasks(ctx context.Context, d Drain, families []string) error {
	for last := -1; ; {
		n, err := r.running(ctx, d, families)
		if err != nil || n == 0 {
			return err
		}
		if n != last && r.Tell != nil {
			r.Tell(n)
		}
		last = n
		if err := pause(ctx, 5*r.Stack.Look); err != nil {
			return fmt.Errorf("%d jobs still run on what the update removes; run it again to go on waiting: %w", n, err)
		}
	}
}

// running counts the tasks that d drains.
func (r Drainer) running(ctx context.Context, d Drain, families []string) (n int, err error) {
	api := ecs.NewFromConfig(r.Account.Config)
	for pages := ecs.NewListTasksPaginator(api, &ecs.ListTasksInput{Cluster: &r.Cluster}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if notThere(err) || err == nil && len(page.TaskArns) == 0 {
			return n, nil
		} else if err != nil {
			return n, fmt.Errorf("tasks of cluster %s: %w", r.Cluster, err)
		}
		out, err := api.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &r.Cluster, Tasks: page.TaskArns})
		if err != nil {
			return n, fmt.Errorf("tasks of cluster %s: %w", r.Cluster, err)
		}
		for _, t := range out.Tasks {
			ends := d.All || slices.Contains(d.Providers, aws.ToString(t.CapacityProviderName)) || slices.Contains(families, familyOf(aws.ToString(t.TaskDefinitionArn)))
			if ends && aws.ToString(t.LastStatus) != string(ecstypes.DesiredStatusStopped) {
				n++
			}
		}
	}
	return n, nil
}

// groups returns the stack's groups of hosts: those that d names, or all.
func (r Drainer) groups(ctx context.Context, d Drain) ([]scaling.AutoScalingGroup, error) {
	names := d.Groups
	if d.All {
		var err error
		if names, err = r.Stack.Resources(ctx, typeGroup); err != nil {
			return nil, err
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	out, err := autoscaling.NewFromConfig(r.Account.Config).DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: names})
	if err != nil {
		return nil, fmt.Errorf("groups of hosts: %w", err)
	}
	return out.AutoScalingGroups, nil
}

// endHosts removes the protection of idle hosts, and waits until they are gone.
func (r Drainer) endHosts(ctx context.Context, d Drain) error {
	api := autoscaling.NewFromConfig(r.Account.Config)
	for {
		groups, err := r.groups(ctx, d)
		if err != nil {
			return err
		}
		left := 0
		for _, g := range groups {
			left += len(g.Instances)
			if err := emptyGroup(ctx, api, g); err != nil {
				return fmt.Errorf("group of hosts %s: %w", aws.ToString(g.AutoScalingGroupName), err)
			}
		}
		if left == 0 {
			return nil
		}
		if err := pause(ctx, 5*r.Stack.Look); err != nil {
			return err
		}
	}
}

// Resume undoes a drain: rules start tasks again, if rules are on, and groups get their minimum of
// hosts, protected. It does nothing if nothing was stopped.
func (r Drainer) Resume(ctx context.Context, least int) error {
	err := r.eachStart(ctx, func(api *eventbridge.Client, rule eventtypes.Rule) error {
		if rule.State != eventtypes.RuleStateDisabled {
			return nil
		}
		_, err := api.EnableRule(ctx, &eventbridge.EnableRuleInput{EventBusName: rule.EventBusName, Name: rule.Name})
		return err
	})
	if err != nil {
		return err
	}
	groups, err := r.groups(ctx, Drain{All: true})
	if err != nil {
		return err
	}
	api := autoscaling.NewFromConfig(r.Account.Config)
	for _, g := range groups {
		if aws.ToBool(g.NewInstancesProtectedFromScaleIn) {
			continue // no drain was here
		}
		if _, err := api.UpdateAutoScalingGroup(ctx, &autoscaling.UpdateAutoScalingGroupInput{
			AutoScalingGroupName: g.AutoScalingGroupName, MinSize: aws.Int32(int32(least)), NewInstancesProtectedFromScaleIn: aws.Bool(true),
		}); err != nil {
			return fmt.Errorf("group of hosts %s: %w", aws.ToString(g.AutoScalingGroupName), err)
		}
	}
	return nil
}
