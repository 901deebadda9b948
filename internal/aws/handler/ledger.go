package handler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/mayfly-ci/mayfly/internal/agent"
	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
)

// StartedByRule reports whether the runner that in requires needs no event: the job's queued event
// matched the pool's rule, which starts a task for it, unless its status says that it waits for an
// approval. The same holds for a redelivery of that event.
func StartedByRule(in ledger.Input, e ledger.Effect) bool {
	seen, told := in.(ledger.JobSeen)
	want, wanted := e.(ledger.WantRunner)
	return told && !seen.Asked && wanted && want.First && seen.Job.Action == event.ActionQueued && seen.Job.State() == event.ActionQueued &&
		want.Job == ledger.KeyOf(seen.Job) && want.Pool == seen.Job.Routing.Pool
}

// typeTaskState is the detail type of ECS's task events.
//
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_task_events.html
const typeTaskState = "ECS Task State Change"

// Ledger reports to the ledger what happened: to jobs, from GitHub's events, and to tasks, from
// those of ECS. An event that it cannot read is an error, so that it is dead-lettered.
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
	case errors.Is(err, ledger.ErrNotFound): // a task's event that overtook its job's: Lambda retries it
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
	return fmt.Errorf("detail type %q: %w: want %q or %q", e.DetailType, pipeline.ErrNotProcessable, event.TypeWorkflowJob, typeTaskState)
}

// tick applies a Tick, repeatedly while more is left to do.
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

// task reports the progress of a task to the ledger.
func (l *Ledger) task(ctx context.Context, e event.Event) error {
	var c change
	if err := json.Unmarshal(e.Detail, &c); err != nil {
		return fmt.Errorf("detail of %q: %w: %w", e.DetailType, pipeline.ErrNotProcessable, err)
	}
	task, err := l.Tasks.read(types.Task{TaskArn: &c.TaskARN, TaskDefinitionArn: &c.TaskDefinitionARN, Overrides: c.Overrides})
	if other := (foreign{}); errors.As(err, &other) {
		l.Log.Debug("a task of others", "task", task.ID, "err", err)
		return nil
	} else if err != nil {
		return fmt.Errorf("task %s: %w: %w", c.TaskARN, pipeline.ErrNotProcessable, err)
	}
	runner, _, err := task.runner(ctx, l.Pipeline.Ledger, l.Now())
	if err != nil {
		return fmt.Errorf("task %s: job %s: %w", task.ID, task.Job, err)
	}
	if away, err := l.turnedAway(ctx, c, runner, task.ID); away || err != nil {
		return err
	}
	in := c.input(runner, task.ID)
	if in == nil || runner == "" {
		return nil
	}
	result, err := l.Pipeline.Ledger.Apply(ctx, in)
	if err != nil || c.LastStatus != "STOPPED" {
		return err
	}
	return l.tell(ctx, task, result.Runner)
}

// turnedAway reports whether c is the end of a task whose claim was refused and that no runner is
// bound to. It says nothing about the runner: another task is on its way for one that was made
// since, for example when there was room again.
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

// A news is the detail of an event about what the end of a runner means for its image.
type news struct {
	Pool   string            `json:"pool"`
	Task   string            `json:"task"`
	Runner ledger.RunnerName `json:"runner"`
	Image  image.Digest      `json:"image"`
	Reason string            `json:"reason,omitempty"`
}

// tell publishes what the end of r, whose task was task, means for its image. It does so again when
// the task's event is repeated, because the first time may have failed.
func (l *Ledger) tell(ctx context.Context, task Task, r ledger.Runner) error {
	if r.Container != "" && r.Container != task.ID {
		return nil
	}
	about, kind := news{Pool: task.Pool, Task: task.ID, Runner: r.Name, Image: image.Digest(r.Image)}, contract.TypeVersionRefused
	switch in := pipeline.ImageNews(r).(type) {
	case image.Refused:
	case image.StartFailed:
		kind, about.Reason = contract.TypeStartFailed, in.Reason
	default:
		return nil
	}
	return publish(ctx, l.Publish, l.Now(), kind, about)
}
