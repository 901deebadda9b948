package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// hosts reads what AWS last said when it was to start hosts: a quota of the account, no capacity in the
// zone, or an image or role that is wrong.
func (e *examination) hosts(ctx context.Context) (string, error) {
	groups, err := e.Stack.Resources(ctx, "AWS::AutoScaling::AutoScalingGroup")
	if err != nil {
		return "", err
	}
	api := autoscaling.NewFromConfig(e.Account.Config)
	for _, group := range groups {
		out, err := api.DescribeScalingActivities(ctx, &autoscaling.DescribeScalingActivitiesInput{AutoScalingGroupName: &group, MaxRecords: aws.Int32(10)})
		if err != nil {
			return "", err
		}
		if len(out.Activities) > 0 && out.Activities[0].StatusCode == types.ScalingActivityStatusCodeFailed { // the newest comes first
			said := aws.ToString(out.Activities[0].StatusMessage)
			return "", fail(hintForHost(said), "%s: the last host did not start: %s", group, said)
		}
	}
	return fmt.Sprintf("%d groups, no host failed to start of late", len(groups)), nil
}

func hintForHost(said string) string {
	switch {
	case strings.Contains(said, "vCPU") || strings.Contains(said, "VcpuLimit") || strings.Contains(said, "MaxSpotInstanceCount"):
		return "Service Quotas on AWS's console raises EC2's running instances, which count vCPUs"
	case strings.Contains(said, "capacity"):
		return "name more types in aws.hosts, or subnets in more zones"
	}
	return "mend what AWS says; mayfly deploy brings the hosts up to date"
}

// agents looks at hosts that have started: those whose ECS agent is not connected get no task.
func (e *examination) agents(ctx context.Context) (string, error) {
	cluster, api, connected := e.state.Outputs["ClusterName"], ecs.NewFromConfig(e.Account.Config), 0
	for pages := ecs.NewListContainerInstancesPaginator(api, &ecs.ListContainerInstancesInput{Cluster: &cluster}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return "", err
		}
		if len(page.ContainerInstanceArns) == 0 {
			continue
		}
		out, err := api.DescribeContainerInstances(ctx, &ecs.DescribeContainerInstancesInput{Cluster: &cluster, ContainerInstances: page.ContainerInstanceArns})
		if err != nil {
			return "", err
		}
		for _, i := range out.ContainerInstances {
			if !i.AgentConnected {
				return "", warn("hosts need a way out to ECS: docs/aws.md, Networking", "the agent on %s is not connected", aws.ToString(i.Ec2InstanceId))
			}
			connected++
		}
	}
	return fmt.Sprintf("%d hosts, all connected to ECS", connected), nil
}

// slow is how long a task may take for a step that is usually done in seconds; a host takes minutes to start.
const slow = 10 * time.Minute

// tasks looks for tasks that do not get on, and for what ended those that did not start.
func (e *examination) tasks(ctx context.Context) (string, error) {
	ended, err := e.tasksOf(ctx, ecstypes.DesiredStatusStopped)
	if err != nil {
		return "", err
	}
	for _, t := range ended {
		if t.StopCode == ecstypes.TaskStopCodeTaskFailedToStart {
			return "", fail("mayfly runners --all shows what became of its runner", "task %s did not start: %s", idOf(t), reasonOf(t))
		}
	}
	all, err := e.tasksOf(ctx, ecstypes.DesiredStatusRunning)
	if err != nil {
		return "", err
	}
	states := map[string]int{}
	for _, t := range all {
		status := aws.ToString(t.LastStatus)
		states[status]++
		if t.CreatedAt == nil || time.Since(*t.CreatedAt) < slow {
			continue
		}
		switch status {
		case "PROVISIONING":
			return "", fail("mayfly doctor's line of hosts says why none starts; or aws.hosts.max is reached", "task %s has waited for a host since %s", idOf(t), t.CreatedAt.UTC().Format(time.TimeOnly))
		case "PENDING": // https://github.com/aws/amazon-ecs-agent/issues/208
			return "", fail("the hosts' role needs ecs:SubmitTaskStateChange on the cluster: mayfly deploy restores it", "task %s has been PENDING since %s: its state does not arrive", idOf(t), t.CreatedAt.UTC().Format(time.TimeOnly))
		}
	}
	return fmt.Sprintf("%d, of which %d run", len(all), states["RUNNING"]), nil
}

func (e *examination) tasksOf(ctx context.Context, status ecstypes.DesiredStatus) (all []ecstypes.Task, err error) {
	cluster, api := e.state.Outputs["ClusterName"], ecs.NewFromConfig(e.Account.Config)
	for pages := ecs.NewListTasksPaginator(api, &ecs.ListTasksInput{Cluster: &cluster, DesiredStatus: status}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		if len(page.TaskArns) == 0 {
			continue
		}
		out, err := api.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &cluster, Tasks: page.TaskArns})
		if err != nil {
			return nil, err
		}
		all = append(all, out.Tasks...)
	}
	return all, nil
}

// idOf is the last part of a task's ARN.
func idOf(t ecstypes.Task) string {
	arn := aws.ToString(t.TaskArn)
	return arn[strings.LastIndex(arn, "/")+1:]
}

// reasonOf is what ECS says of a task's end; a container's own reason says more.
func reasonOf(t ecstypes.Task) string {
	for _, c := range t.Containers {
		if c.Reason != nil {
			return *c.Reason
		}
	}
	return aws.ToString(t.StoppedReason)
}

// sessions compares the containers that claimed, as the ledger knows them by their sessions' names, with
// ECS's tasks: claims rest on the one being the other.
func (e *examination) sessions(ctx context.Context) (string, error) {
	claimed, err := e.Containers(ctx)
	if err != nil {
		return "", err
	}
	if len(claimed) == 0 {
		return "", finding{Skipped, "no runner has a claim now", "run a job, and this again while it runs"}
	}
	tasks, err := e.tasksOf(ctx, ecstypes.DesiredStatusRunning)
	if err != nil {
		return "", err
	}
	for _, id := range claimed {
		if !slices.ContainsFunc(tasks, func(t ecstypes.Task) bool { return idOf(t) == id }) {
			return "", warn("it may have ended just now; if this stays, report it", "container %s has a claim, and ECS runs no task of that id", id)
		}
	}
	return fmt.Sprintf("%d claims, each of a task that runs", len(claimed)), nil
}
