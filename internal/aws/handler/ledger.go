package handler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
)

// typeTaskState is the detail type of what ECS says of its tasks.
//
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_task_events.html
const typeTaskState = "ECS Task State Change"

// taken are the detail types of what the ledger takes.
var taken = []string{event.TypeWorkflowJob, typeTaskState, contract.TypeRunnerReported}

// Ledger reports to the ledger what happened: to jobs, from GitHub's events, to tasks, from those of
// ECS, and to runners, from those of the claim function. An event that it cannot read is an error, so that it is dead-lettered.
type Ledger struct {
	Pipeline *pipeline.Pipeline
	Tasks    *Tasks
	Publish  func(context.Context, ...event.Event) error // puts events on the stack's bus
	Now      func() time.Time
	Log      *slog.Logger
}

// Handle takes events, those of jobs in one turn of the ledger, then those of tasks, which are of jobs, and then those
// of runners. errs[i] is what became of list[i]: an event that cannot be taken keeps no other from being taken.
func (l *Ledger) Handle(ctx context.Context, list []event.Event) (errs []error) {
	errs = make([]error, len(list))
	kinds := map[string][]int{}
	for i, e := range list {
		kinds[e.DetailType] = append(kinds[e.DetailType], i)
		if !slices.Contains(taken, e.DetailType) {
			errs[i] = fmt.Errorf("detail type %q: %w: want one of %q", e.DetailType, pipeline.ErrNotProcessable, taken)
		}
	}
	take := func(kind string, handle func(context.Context, []event.Event) []error) {
		var some []event.Event
		for _, i := range kinds[kind] {
			some = append(some, list[i])
		}
		for n, err := range handle(ctx, some) {
			errs[kinds[kind][n]] = err
		}
	}
	take(event.TypeWorkflowJob, l.Pipeline.Observe)
	take(typeTaskState, l.tasks)
	take(contract.TypeRunnerReported, l.progress)
	for i, err := range errs {
		l.note(list[i], err)
	}
	return errs
}

// note logs what became of e.
func (l *Ledger) note(e event.Event, err error) {
	if err != nil {
		l.Log.Error("event not taken", "event", e.ID, "type", e.DetailType, "err", err)
	}
}

// A step is what an event of ECS means for the runner that a task stands for.
type step struct {
	of      int // which event
	task    Task
	in      ledger.Input // nil where it means nothing
	stopped bool
}

// tasks tells the ledger how far tasks have come.
func (l *Ledger) tasks(ctx context.Context, list []event.Event) (errs []error) {
	errs = make([]error, len(list))
	var steps []step
	var ins []ledger.Input
	for i, e := range list {
		s, err := l.step(e)
		if s.of, errs[i] = i, err; err == nil && s.in != nil {
			steps, ins = append(steps, s), append(ins, s.in)
		}
	}
	results, err := l.Pipeline.Ledger.ApplyAll(ctx, ins)
	for n, s := range steps {
		switch {
		case n >= len(results):
			errs[s.of] = err
		case s.stopped:
			errs[s.of] = l.tell(ctx, s.task, results[n].Runner)
		}
	}
	return errs
}

// step reads what e says of a task.
func (l *Ledger) step(e event.Event) (s step, err error) {
	var c change
	if err := json.Unmarshal(e.Detail, &c); err != nil {
		return s, fmt.Errorf("detail of %q: %w: %w", e.DetailType, pipeline.ErrNotProcessable, err)
	}
	s.task, err = l.Tasks.read(types.Task{TaskArn: &c.TaskARN, TaskDefinitionArn: &c.TaskDefinitionARN, Overrides: c.Overrides})
	if other := (foreign{}); errors.As(err, &other) {
		l.Log.Debug("a task of others", "task", s.task.ID, "err", err)
		return s, nil
	} else if err != nil {
		return s, fmt.Errorf("task %s: %w: %w", c.TaskARN, pipeline.ErrNotProcessable, err)
	}
	s.in, s.stopped = c.input(s.task.Runner, s.task.ID), c.LastStatus == "STOPPED"
	return s, nil
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
