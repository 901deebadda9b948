package inspect

import (
	"encoding/json"
	"fmt"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// Gist says in a few words what an event is about.
func Gist(e event.Event) string {
	if job, err := event.ParseWorkflowJob(e.Detail); err == nil && e.DetailType == event.TypeWorkflowJob {
		return fmt.Sprintf("%s %s: %s", job.Action, ledger.KeyOf(job), job.Name)
	}
	var about struct {
		Runner, Reason string
		Job            ledger.JobKey
	}
	if err := json.Unmarshal(e.Detail, &about); err == nil && e.Source == event.SourceMayfly {
		switch {
		case about.Runner == "" && about.Job.IsZero():
			return about.Reason
		case about.Runner == "":
			return about.Job.String()
		case about.Reason != "":
			return about.Runner + ": " + about.Reason
		}
		return about.Runner
	}
	if len(e.Resources) > 0 {
		return e.Resources[0]
	}
	return ""
}
