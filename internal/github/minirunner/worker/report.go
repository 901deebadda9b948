package worker

import (
	"context"
	"fmt"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github/minirunner/wire"
)

// A stepResult is one step in completejob.
type stepResult struct {
	ID          string       `json:"external_id"`
	Number      int          `json:"number"`
	Name        string       `json:"name"`
	Action      string       `json:"action_name,omitempty"`
	Ref         string       `json:"ref,omitempty"`
	Type        string       `json:"type,omitempty"`
	Status      string       `json:"status"`
	Conclusion  Conclusion   `json:"conclusion"`
	Started     *time.Time   `json:"started_at"`
	Completed   *time.Time   `json:"completed_at"`
	Annotations []annotation `json:"annotations"`
}

// An annotation is an error, warning or notice, at a line of a file or, without
// one, of the log.
type annotation struct {
	Level       string `json:"level"` // failure, warning or notice
	Message     string `json:"message"`
	Title       string `json:"title,omitempty"`
	Path        string `json:"path,omitempty"`
	StartLine   int    `json:"startLine,omitempty"`
	EndLine     int    `json:"endLine,omitempty"`
	StartColumn int    `json:"startColumn,omitempty"`
	EndColumn   int    `json:"endColumn,omitempty"`
	StepNumber  int    `json:"stepNumber,omitempty"`
}

// reportLimit is how long the end of a job is tried to be told.
const reportLimit = 10 * time.Minute

// report tells GitHub how the job ended. That it does not know the job is final.
func (j *job) report(alive context.Context, c Conclusion) error {
	system, err := j.message.System()
	if err != nil {
		return err
	}
	address, err := wire.Resolve(system.URL, "completejob")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(alive), reportLimit)
	defer cancel()
	body := j.completion(c)
	err = j.config.Pauses.Again.Retry(ctx, jobNotFound, func() error { return j.caller.Post(ctx, address, body, nil) })
	if err != nil {
		return fmt.Errorf("completing job %q: %w", j.message.JobDisplayName, err)
	}
	return nil
}

func jobNotFound(err error) bool {
	r, ok := wire.RefusalOf(err, wire.RunService)
	return ok && r.Status == 404
}

func (j *job) completion(c Conclusion) map[string]any {
	outputs := map[string]any{}
	for k, v := range j.outputs {
		outputs[k] = map[string]string{"value": v}
	}
	steps := []stepResult{}
	for _, s := range j.steps {
		steps = append(steps, s.stepResult)
	}
	annotations := []annotation{}
	if line := int(j.shutdown.Load()); line > 0 {
		annotations = append(annotations, annotation{Level: "failure", Message: shutdownMessage, StartLine: line, EndLine: line})
	}
	return map[string]any{
		"planId": j.message.Plan.PlanID, "jobId": j.message.JobID, "conclusion": c, "outputs": outputs,
		"stepResults": steps, "annotations": annotations,
	}
}
