package worker

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/github/expr"
)

// A step is one step as the job shows it, with a log of its own. What happens in
// it is a [task] and, if that is a composite action, the tasks of that.
type step struct {
	stepResult
	job     *job
	upload  *logUpload // nil before it begins
	outcome Conclusion // before continue-on-error
	stopped string     // the token that ends ::stop-commands::
	late    bool       // began after the job was cancelled, because it wants to: it is not ended by that
}

func (j *job) newStep(id, name string) *step {
	s := &step{job: j}
	s.stepResult = stepResult{
		ID: cmp.Or(id, newID()), Number: len(j.steps) + 1, Name: name, Status: "in_progress", Annotations: []annotation{},
	}
	j.steps = append(j.steps, s)
	return s
}

// newID is a random UUID, as steps have.
func newID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func (s *step) begin() {
	s.Started = s.job.now()
	s.upload = s.job.results.upload(s.ID)
	s.job.results.update(s)
}

func (s *step) end(c Conclusion) {
	s.outcome = cmp.Or(s.outcome, c)
	s.Conclusion, s.Status, s.Completed = c, "completed", s.job.now()
	if s.upload != nil {
		s.upload.close(s.job.config.Now())
	} else {
		s.Started = s.Completed
	}
	s.job.results.update(s)
}

// log writes a text to the step's log and the job's, and returns the number of its
// last line in the step's.
func (s *step) log(text string) (number int) {
	for line := range strings.SplitSeq(s.job.masks.hide(text), "\n") {
		line = s.job.stamp() + " " + line
		number = s.upload.line(line)
		s.job.log.line(line)
	}
	return number
}

// warn and fail log a text as a warning or an error, and annotate the step with it.
func (s *step) warn(text string) {
	s.annotate(annotation{Level: "warning", Message: text}, s.log("##[warning]"+text))
}
func (s *step) fail(text string) {
	s.annotate(annotation{Level: "failure", Message: text}, s.log("##[error]"+text))
}

// annotate adds an annotation, which without a line of a file stands at a line of
// the log.
func (s *step) annotate(a annotation, line int) {
	a.Message, a.Title, a.StepNumber = s.job.masks.hide(a.Message), s.job.masks.hide(a.Title), s.Number
	a.StartLine = cmp.Or(a.StartLine, line)
	a.EndLine = cmp.Or(a.EndLine, a.StartLine)
	s.Annotations = append(s.Annotations, a)
}

// internal runs what the runner does itself as a step of the job, and says whether
// it went well.
func (j *job) internal(name, action string, do func(*step) error) bool {
	s := j.newStep("", name)
	s.Action, s.Type = action, "runner"
	s.begin()
	err := do(s)
	if err != nil {
		j.failed = true
		s.fail(err.Error())
	}
	s.end(map[bool]Conclusion{true: Succeeded, false: Failed}[err == nil])
	return err == nil
}

// A planned step is a stage of a task that is to run.
type planned struct {
	task  *task
	stage stage
	step  *step
}

func (j *job) planned(t *task, stage stage) planned {
	id := t.message.ID
	if stage != mainStage {
		id = newID()
	}
	return planned{t, stage, j.newStep(id, "")}
}

// plan creates the steps that are known before the first one begins, and announces them.
func (j *job) plan() []planned {
	var all []planned
	var steps []*step
	for _, t := range j.tasks {
		if t.wantsPre() {
			all = append(all, j.planned(t, pre))
		}
	}
	for _, t := range j.tasks {
		all = append(all, j.planned(t, mainStage))
	}
	for _, p := range all {
		if p.task.enter() == nil { // an error is for its step to tell
			p.step.Name = p.stage.title(p.task.name(p.step.Number))
		}
		steps = append(steps, p.step)
	}
	j.results.update(steps...)
	return all
}

// perform runs a planned step, if its condition holds.
func (j *job) perform(alive context.Context, p planned) {
	t, stage, s := p.task, p.stage, p.step
	s.late = j.cancelled.Err() != nil
	t.step = s
	err := t.enter()
	s.Name = stage.title(t.name(s.Number))
	wanted := err != nil // then it begins, to fail
	if err == nil {
		wanted, err = t.scope().Condition(t.condition(stage))
	}
	if err == nil && (!wanted || j.stopped() || alive.Err() != nil) {
		s.end(Skipped)
		t.record(stage)
		return
	}
	s.begin()
	t.describe(s)
	if err == nil {
		err = t.run(alive, stage)
	}
	s.finish(err, t)
	t.record(stage)
}

// finish ends a step that ran.
func (s *step) finish(err error, t *task) {
	tolerated, _ := t.message.ContinueOnError.eval(t.scope()) // what cannot be evaluated tolerates nothing
	switch {
	case err == nil:
		s.end(Succeeded)
	case !s.late && s.job.cancelled.Err() != nil:
		s.fail(operationCanceled.Error())
		s.end(Canceled)
	case expr.Truthy(tolerated):
		s.reason(err)
		s.outcome = Failed
		s.end(Succeeded)
	default:
		s.reason(err)
		s.job.failed = true
		s.end(Failed)
	}
}

// errTold is the failure of a step that has said why itself.
var errTold = errors.New("failed, and has said why")

// reason logs why the step failed, once.
func (s *step) reason(err error) {
	if !errors.Is(err, errTold) {
		s.fail(err.Error())
	}
}
