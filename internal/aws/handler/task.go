// Package handler is the code of a stack's functions, except the webhook: it joins the stages,
// which one machine has too, to ECS, EventBridge and SQS.
package handler

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/claim"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// A Task is a task of the stack's cluster.
type Task struct {
	ID      string
	Pool    string            // from its family
	Runner  ledger.RunnerName // the runner it was started for
	Created time.Time         // when it was requested
}

// Tasks finds tasks of one cluster. What a task was started for never changes, so it is cached. It
// is safe for concurrent use.
type Tasks struct {
	client  *ecs.Client
	cluster string
	stack   string

	mu    sync.Mutex
	known map[string]Task
}

// NewTasks returns the tasks of a stack's cluster.
func NewTasks(client *ecs.Client, cluster, stack string) *Tasks {
	return &Tasks{client: client, cluster: cluster, stack: stack, known: map[string]Task{}}
}

// remember bounds the cached tasks: a runner makes a handful of calls.
const remember = 1000

// Find returns the task called id. The error is a *[claim.Refused] if it does not belong to this
// stack, or was not started by one of its rules.
func (t *Tasks) Find(ctx context.Context, id string) (Task, error) {
	t.mu.Lock()
	task, ok := t.known[id]
	t.mu.Unlock()
	if ok {
		return task, nil
	}
	out, err := t.client.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &t.cluster, Tasks: []string{id}})
	if err != nil {
		return Task{}, fmt.Errorf("asking ECS for task %s: %w", id, err)
	}
	if len(out.Tasks) == 0 {
		return Task{}, &claim.Refused{Reason: fmt.Sprintf("task %s is none of the cluster %s", id, t.cluster)}
	}
	if task, err = t.read(out.Tasks[0]); err != nil {
		return Task{}, &claim.Refused{Reason: fmt.Sprintf("task %s: %v", id, err)}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.known) >= remember {
		clear(t.known)
	}
	t.known[id] = task
	return task, nil
}

// family matches the family in the ARN of a task definition.
var family = regexp.MustCompile(`:task-definition/([^:]+):\d+$`)

// read decodes ECS's description of a task: the pool is in the name of its family, the runner in
// the overrides that it was started with.
func (t *Tasks) read(d types.Task) (task Task, err error) {
	arn := aws.ToString(d.TaskArn)
	task = Task{ID: arn[strings.LastIndex(arn, "/")+1:], Created: aws.ToTime(d.CreatedAt)}
	name := family.FindStringSubmatch(aws.ToString(d.TaskDefinitionArn))
	if name == nil {
		return Task{}, fmt.Errorf("task definition %q: want the ARN of one", aws.ToString(d.TaskDefinitionArn))
	}
	pool, ours := strings.CutPrefix(name[1], t.stack+"-")
	if !ours {
		return Task{}, foreign{name[1], t.stack}
	}
	task.Pool = pool
	if task.Runner = ledger.RunnerName(environment(d.Overrides)[contract.EnvRunner]); task.Runner == "" {
		err = fmt.Errorf("%s is not set: no rule of the stack started it", contract.EnvRunner)
	}
	return task, err
}

// foreign is the error of a task that does not belong to the stack, for example one that a person
// runs in its cluster.
type foreign struct{ family, stack string }

func (f foreign) Error() string {
	return fmt.Sprintf("its family %s is none of the stack %s", f.family, f.stack)
}

// describeMost is how many tasks ECS describes at once.
const describeMost = 100

// All returns the stack's tasks that should run, including those that wait for a host, and none
// that was stopped.
func (t *Tasks) All(ctx context.Context) (list []Task, err error) {
	in := &ecs.ListTasksInput{Cluster: &t.cluster, DesiredStatus: types.DesiredStatusRunning, MaxResults: aws.Int32(describeMost)}
	for pages := ecs.NewListTasksPaginator(t.client, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing the tasks of cluster %s: %w", t.cluster, err)
		}
		if len(page.TaskArns) == 0 {
			continue
		}
		out, err := t.client.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &t.cluster, Tasks: page.TaskArns})
		if err != nil {
			return nil, fmt.Errorf("asking ECS for %d tasks: %w", len(page.TaskArns), err)
		}
		for _, d := range out.Tasks {
			if task, err := t.read(d); err == nil { // or it belongs to somebody else
				list = append(list, task)
			}
		}
	}
	return list, nil
}

// Stop stops the task called id; nil if there is none.
func (t *Tasks) Stop(ctx context.Context, id, reason string) error {
	_, err := t.client.StopTask(ctx, &ecs.StopTaskInput{Cluster: &t.cluster, Task: &id, Reason: &reason})
	if missing := (*types.InvalidParameterException)(nil); errors.As(err, &missing) { // "The referenced task was not found."
		return nil
	}
	if err != nil {
		return fmt.Errorf("stopping task %s: %w", id, err)
	}
	return nil
}

// environment returns the environment that a task's container got in addition to its definition's.
func environment(o *types.TaskOverride) map[string]string {
	env := map[string]string{}
	if o == nil {
		return env
	}
	for _, c := range o.ContainerOverrides {
		if aws.ToString(c.Name) != contract.ContainerName {
			continue
		}
		for _, v := range c.Environment {
			env[aws.ToString(v.Name)] = aws.ToString(v.Value)
		}
	}
	return env
}
