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

// A Task is a task of the stack's cluster, and what it was started for.
type Task struct {
	ID      string
	Pool    string            // from its family
	Job     ledger.JobKey     // the job it was started for
	Runner  ledger.RunnerName // the runner it represents; "" for the first runner of Job
	Created time.Time         // when it was requested
	Started time.Time         // when its container ran; zero if unknown yet
}

// runner returns the runner that t represents: the one it was started for, or the first of its job. While
// none was made for the job, name is empty and why says what the job waits for. The error is
// [ledger.ErrNotFound] while the ledger does not know the job.
func (t Task) runner(ctx context.Context, store ledger.Store, now time.Time) (name ledger.RunnerName, why string, err error) {
	if t.Runner != "" {
		return t.Runner, "", nil
	}
	return ledger.FirstRunner(ctx, store, t.Job, now)
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
	if !task.Started.IsZero() {
		t.known[id] = task
	}
	return task, nil
}

// family matches the family in the ARN of a task definition.
var family = regexp.MustCompile(`:task-definition/([^:]+):\d+$`)

// read decodes ECS's description of a task: the pool is in the name of its family, the rest in the
// overrides that it was started with.
func (t *Tasks) read(d types.Task) (task Task, err error) {
	arn := aws.ToString(d.TaskArn)
	task = Task{ID: arn[strings.LastIndex(arn, "/")+1:], Created: aws.ToTime(d.CreatedAt), Started: aws.ToTime(d.StartedAt)}
	name := family.FindStringSubmatch(aws.ToString(d.TaskDefinitionArn))
	if name == nil {
		return Task{}, fmt.Errorf("task definition %q: want the ARN of one", aws.ToString(d.TaskDefinitionArn))
	}
	pool, ours := strings.CutPrefix(name[1], t.stack+"-")
	if !ours {
		return Task{}, foreign{name[1], t.stack}
	}
	task.Pool = pool
	env := environment(d.Overrides)
	task.Runner = ledger.RunnerName(env[contract.EnvRunner])
	task.Job, err = ledger.ParseJobKey(env[contract.EnvJob])
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
