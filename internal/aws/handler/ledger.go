package handler

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/mayfly-ci/mayfly/internal/agent"
	mayfly "github.com/mayfly-ci/mayfly/internal/aws"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
)

// StartedByRule reports whether a runner that is wanted because of in needs no event of
// its own: the job's queued event has led the pool's rule to start a task for it. So does
// every further way by which that event could have come here.
func StartedByRule(in ledger.Input, e ledger.Effect) bool {
	seen, told := in.(ledger.JobSeen)
	want, wanted := e.(ledger.WantRunner)
	return told && wanted && want.First && seen.Job.Action == event.ActionQueued &&
		want.Job == ledger.KeyOf(seen.Job) && want.Pool == seen.Job.Routing.Pool
}

// typeTaskState is the detail type of what ECS says of its tasks.
//
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_task_events.html
const typeTaskState = "ECS Task State Change"

// Ledger tells the ledger what happened: to jobs, by GitHub's events, and to tasks, by
// those of ECS. What it cannot read is an error, so that it ends among the dead letters.
type Ledger struct {
	Pipeline *pipeline.Pipeline
	Tasks    *Tasks
	Publish  func(context.Context, ...event.Event) error // puts events on the stack's bus
	Now      func() time.Time
	Log      *slog.Logger
}

// Handle takes one event.
func (l *Ledger) Handle(ctx context.Context, e event.Event) error {
	err := l.handle(ctx, e)
	switch {
	case errors.Is(err, ledger.ErrNotFound): // a task's event that was faster than its job's: Lambda tries it again
		l.Log.Warn("event too early", "event", e.ID, "type", e.DetailType, "err", err)
	case err != nil:
		l.Log.Error("event not taken", "event", e.ID, "type", e.DetailType, "err", err)
	}
	return err
}

func (l *Ledger) handle(ctx context.Context, e event.Event) error {
	switch e.DetailType {
	case event.TypeWorkflowJob:
		result, err := l.Pipeline.Observe(ctx, e)
		if err == nil && result.More {
			err = tick(ctx, l.Pipeline.Ledger)
		}
		return err
	case typeTaskState:
		return l.task(ctx, e)
	}
	return fmt.Errorf("detail type %q: %w: want %q or %q", e.DetailType, pipeline.ErrUseless, event.TypeWorkflowJob, typeTaskState)
}

// tick lets the ledger look at the time, and do all that it finds to do.
func tick(ctx context.Context, store ledger.Store) error {
	for more := true; more; {
		result, err := store.Apply(ctx, ledger.Tick{})
		if err != nil {
			return err
		}
		more = result.More
	}
	return nil
}

// task tells the ledger how far a task has come.
func (l *Ledger) task(ctx context.Context, e event.Event) error {
	var c change
	if err := json.Unmarshal(e.Detail, &c); err != nil {
		return fmt.Errorf("detail of %q: %w: %w", e.DetailType, pipeline.ErrUseless, err)
	}
	task, err := l.Tasks.read(types.Task{TaskArn: &c.TaskARN, TaskDefinitionArn: &c.TaskDefinitionARN, Overrides: c.Overrides})
	if other := (foreign{}); errors.As(err, &other) {
		l.Log.Debug("a task of others", "task", task.ID, "err", err)
		return nil
	} else if err != nil {
		return fmt.Errorf("task %s: %w: %w", c.TaskARN, pipeline.ErrUseless, err)
	}
	runner, err := standsFor(ctx, l.Pipeline.Ledger, task, l.Now())
	if err != nil {
		return fmt.Errorf("task %s: job %s: %w", task.ID, task.Job, err)
	}
	if away, err := l.turnedAway(ctx, c, runner, task.ID); away || err != nil {
		return err
	}
	if in := c.input(runner, task.ID); in != nil && runner != "" {
		if _, err := l.Pipeline.Ledger.Apply(ctx, in); err != nil {
			return err
		}
	}
	if c.LastStatus == "STOPPED" && c.code() == agent.ExitDeprecated {
		return l.refused(ctx, task, c.image())
	}
	return nil
}

// turnedAway reports whether c is the end of a task whose claim was refused and that no
// runner is bound to. It says nothing of a runner: for one that was made since, such as when
// there was room again, another task is on its way.
func (l *Ledger) turnedAway(ctx context.Context, c change, runner ledger.RunnerName, task string) (bool, error) {
	if c.LastStatus != "STOPPED" || c.code() != agent.ExitRefused || runner == "" {
		return false, nil
	}
	list, err := l.Pipeline.Ledger.Runners(ctx, ledger.RunnerQuery{Name: runner})
	if errors.Is(err, ledger.ErrNotFound) {
		return true, nil
	}
	return err == nil && list[0].Container != task, err
}

// standsFor returns the runner that task stands for: "" while none was made for its job.
func standsFor(ctx context.Context, store ledger.Store, task Task, now time.Time) (ledger.RunnerName, error) {
	if task.Runner != "" {
		return task.Runner, nil
	}
	name, _, err := ledger.FirstRunner(ctx, store, task.Job, now)
	return name, err
}

// refused says that GitHub no longer takes the version of the runner that task had, and
// from which image it was.
func (l *Ledger) refused(ctx context.Context, task Task, image string) error {
	return publish(ctx, l.Publish, l.Now(), mayfly.TypeVersionRefused, map[string]string{"pool": task.Pool, "task": task.ID, "image": image})
}

// A change is what ECS says of a task, as far as it matters here.
type change struct {
	TaskARN           string              `json:"taskArn"`
	TaskDefinitionARN string              `json:"taskDefinitionArn"`
	LastStatus        string              `json:"lastStatus"`
	StopCode          string              `json:"stopCode"`
	StoppedReason     string              `json:"stoppedReason"`
	Overrides         *types.TaskOverride `json:"overrides"` // whose fields are called as in the event, but for case
	Containers        []struct {
		Name     string `json:"name"`
		ExitCode *int   `json:"exitCode"`
		Digest   string `json:"imageDigest"`
		Reason   string `json:"reason"`
	} `json:"containers"`
}

// input returns what c means for the runner that its task stands for; nil for a step
// between. A task that waits for a host is on its way, and so is a second one for the same runner:
// the runner is bound to the one that claims.
//
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-lifecycle-explanation.html
func (c change) input(runner ledger.RunnerName, task string) ledger.Input {
	switch c.LastStatus {
	case "PROVISIONING", "PENDING", "ACTIVATING":
		return ledger.Starting{Runner: runner}
	case "RUNNING":
		return ledger.Started{Runner: runner, Container: task}
	case "STOPPED":
		return ledger.Gone{Runner: runner, Container: task, ExitCode: c.code(), Reason: c.reason()}
	}
	return nil
}

// image is the digest of what the runner's container was made from.
func (c change) image() string {
	for _, one := range c.Containers {
		if one.Name == mayfly.ContainerName {
			return one.Digest
		}
	}
	return ""
}

// code is the exit code of the runner's container; 0 when it had none.
func (c change) code() int {
	for _, one := range c.Containers {
		if one.Name == mayfly.ContainerName && one.ExitCode != nil {
			return *one.ExitCode
		}
	}
	return 0
}

// reason is why the task stopped; "" when its program just ended.
func (c change) reason() string {
	var parts []string
	if c.StopCode != string(types.TaskStopCodeEssentialContainerExited) {
		parts = append(parts, cmp.Or(c.StoppedReason, c.StopCode, "its task stopped"))
	}
	for _, one := range c.Containers {
		if one.Reason != "" {
			parts = append(parts, one.Reason) // such as OutOfMemoryError
		}
	}
	return strings.Join(parts, "; ")
}
