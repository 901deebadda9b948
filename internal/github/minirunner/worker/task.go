package worker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github/expr"
	"github.com/mayfly-ci/mayfly/internal/github/minirunner/wire"
)

// A stage is when an action runs: before all steps, as its step, or after them.
type stage int

const (
	pre stage = iota
	mainStage
	post
)

// title is the name of a step for a stage of the step name.
func (s stage) title(name string) string { return [...]string{"Pre ", "", "Post "}[s] + name }

// A task is one step of the job or of a composite action, through all its stages.
type task struct {
	frame    *frame
	message  *stepMessage
	step     *step             // that it runs in now
	action   *action           // nil of a script, and before it is loaded
	image    string            // of a Docker action, once there is one
	children []*task           // of a composite action
	posts    []*task           // of these, what wants to run once more
	env      map[string]string // of its processes, without what the runner sets
	state    map[string]string // that one stage leaves for the next
	outputs  map[string]any
	outcome  Conclusion // of a composite action's step, before continue-on-error
	ended    Conclusion // the same after it
}

func newTask(f *frame, m *stepMessage) *task {
	return &task{frame: f, message: m, state: map[string]string{}, outputs: map[string]any{}}
}

// enter evaluates the task's environment, which its condition may read.
func (t *task) enter() error {
	t.env = t.frame.environment()
	own, err := t.message.Environment.texts(t.frame.scope())
	if err != nil {
		return fmt.Errorf("env: %w", err)
	}
	maps.Copy(t.env, own)
	return nil
}

// scope is that of the frame, with the task's own environment.
func (t *task) scope() expr.Scope {
	scope := t.frame.scope()
	scope.Contexts["env"] = values(t.env)
	return scope
}

// name is what the step is called.
func (t *task) name(number int) string {
	name, err := t.message.DisplayName.text(t.scope())
	if err != nil || name == "" {
		return fmt.Sprintf("Step %d", number)
	}
	return t.frame.job.masks.hide(name)
}

// condition is when a stage runs: the workflow says it of the step, and the action
// of its other stages.
func (t *task) condition(stage stage) string {
	switch {
	case stage == pre && t.action.runs.preIf != "":
		return t.action.runs.preIf
	case stage == post && t.action.runs.postIf != "":
		return t.action.runs.postIf
	case stage != mainStage:
		return "always()"
	}
	return t.message.Condition
}

// describe says in the report what the step runs.
func (t *task) describe(s *step) {
	switch ref := t.message.Reference; {
	case ref.script():
		s.Action, s.Type = t.shellName(), "run"
	default:
		s.Action, s.Ref = ref.String(), ref.Ref
		if t.action != nil {
			s.Type = t.action.runs.using
		}
	}
}

// record makes known to later steps how the task ended.
func (t *task) record(stage stage) {
	if id := t.message.ContextName; id != "" && stage == mainStage {
		outcome, ended := t.step.outcome, t.step.Conclusion
		if t.frame.owner != nil {
			outcome, ended = t.outcome, t.ended
		}
		t.frame.steps[id] = map[string]any{"outputs": t.outputs, "outcome": outcome.status(), "conclusion": ended.status()}
	}
}

// run runs a stage of the task.
func (t *task) run(alive context.Context, stage stage) error {
	alive, done, err := t.timed(alive, stage)
	if err != nil {
		return err
	}
	defer done()
	if c := t.frame.job.container; c != nil && c.id == "" { // it did not come up (StepHost.cs)
		return missing("ContainerId")
	}
	if t.message.Reference.script() {
		return t.runScript(alive)
	}
	if err := t.load(alive, stage); err != nil {
		return err
	}
	if stage != post && t.action.wantsPost() {
		t.registerPost()
	}
	if t.action.composite() {
		return t.runComposite(alive, stage)
	}
	if t.action.runs.using == "docker" {
		return t.runDocker(alive, stage)
	}
	return t.runNode(alive, stage)
}

// timed limits alive to the step's timeout-minutes.
func (t *task) timed(alive context.Context, stage stage) (context.Context, context.CancelFunc, error) {
	none := func() {}
	if stage != mainStage {
		return alive, none, nil
	}
	limit, err := t.message.TimeoutMinutes.eval(t.scope())
	if err != nil {
		return alive, none, fmt.Errorf("timeout-minutes: %w", err)
	}
	minutes, _ := limit.(float64)
	if minutes <= 0 {
		return alive, none, nil
	}
	late := wire.Said("The action '%s' has timed out after %v minutes.", t.step.Name, minutes)
	ctx, done := context.WithTimeoutCause(alive, time.Duration(minutes*float64(time.Minute)), late)
	return ctx, done, nil
}

// registerPost makes the task, and what contains it, run once more after the steps.
func (t *task) registerPost() {
	list := &t.frame.job.posts
	if owner := t.frame.owner; owner != nil {
		list = &owner.posts
		defer owner.registerPost()
	}
	if !slices.Contains(*list, t) {
		*list = append(*list, t)
	}
}
