package worker

import (
	"context"
	"fmt"

	"github.com/mayfly-ci/mayfly/internal/github/expr"
)

// runComposite runs a stage of a composite action: its steps, or what of them has
// something to run before or after (CompositeActionHandler.cs).
func (t *task) runComposite(alive context.Context, stage stage) error {
	if stage != mainStage {
		return t.runAround(alive, stage)
	}
	inputs, err := t.inputs()
	if err != nil {
		return err
	}
	t.logAction(inputs)
	f := t.innerFrame()
	if f == nil { // no steps
		return nil
	}
	f.inputs, f.env = values(inputs), t.env
	for _, child := range t.children {
		child.step = t.step
		if err := child.runInside(alive); err != nil {
			f.failed = true
		}
	}
	if err := t.setOutputs(f); err != nil {
		return err
	}
	if f.failed {
		return errTold
	}
	return nil
}

// innerFrame is where the action's steps run; nil if there are none.
func (t *task) innerFrame() *frame {
	if len(t.children) == 0 {
		return nil
	}
	return t.children[0].frame
}

// runAround runs what the action's steps have to run before all steps, or, in
// reverse order, after them.
func (t *task) runAround(alive context.Context, stage stage) error {
	var list []*task
	for _, child := range t.children {
		if stage == pre && child.wantsPre() {
			list = append(list, child)
		}
	}
	if stage == post {
		for i := len(t.posts) - 1; i >= 0; i-- {
			list = append(list, t.posts[i])
		}
	}
	var failed error
	for _, child := range list {
		child.step = t.step
		err := child.enter()
		wanted := false
		if err == nil {
			wanted, err = child.scope().Condition(child.condition(stage))
		}
		if err == nil && wanted {
			err = child.run(alive, stage)
		}
		if err != nil {
			t.step.reason(err)
			failed = errTold
		}
	}
	return failed
}

// runInside runs one step of a composite action. The error it returns counts: it
// was logged, and is not tolerated.
func (t *task) runInside(alive context.Context) error {
	err := t.enter()
	wanted := false
	if err == nil {
		wanted, err = t.scope().Condition(t.message.Condition)
	}
	if err == nil && (!wanted || t.frame.job.stopped() || alive.Err() != nil) {
		t.outcome, t.ended = Skipped, Skipped
		t.record(mainStage)
		return nil
	}
	if err == nil {
		err = t.run(alive, mainStage)
	}
	t.outcome, t.ended = Succeeded, Succeeded
	if err != nil {
		t.step.reason(err)
		t.outcome, t.ended = Failed, Failed
		if tolerated, _ := t.message.ContinueOnError.eval(t.scope()); expr.Truthy(tolerated) {
			t.ended, err = Succeeded, nil
		}
	}
	t.record(mainStage)
	return err
}

// setOutputs evaluates the outputs of a composite action.
func (t *task) setOutputs(f *frame) error {
	for _, out := range t.action.outputs {
		value, err := out.value.text(f.scope())
		if err != nil {
			return fmt.Errorf("output %s: %w", out.name, err)
		}
		t.outputs[out.name] = value
	}
	return nil
}
