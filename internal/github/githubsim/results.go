package githubsim

import (
	"net/http"
	"strconv"
)

// The services that a runner reports to.
const (
	receiver    = "results.services.receiver.Receiver"
	stepUpdates = "github.actions.results.api.v1.WorkflowStepUpdateService"
)

// resultRoutes are what a runner calls to report steps and logs: Twirp over
// JSON, and uploads as to an Azure blob.
// https://github.com/actions/runner/blob/main/src/Sdk/WebApi/WebApi/ResultsHttpClient.cs
func (s *Sim) resultRoutes() {
	for method, b := range map[string]struct {
		field string
		kind  blobKind
	}{
		"GetStepLogsSignedBlobURL":    {"logs_url", stepLog},
		"GetJobLogsSignedBlobURL":     {"logs_url", jobLog},
		"GetStepSummarySignedBlobURL": {"summary_url", otherBlob},
		"GetJobDiagLogsSignedBlobURL": {"diag_logs_url", otherBlob},
	} {
		s.twirp(receiver, method, func(c call, j *job, in resultsCall) reply {
			return ok(object{
				b.field: c.web + s.newBlob(j, &blob{kind: b.kind, step: in.Step}), "blob_storage_type": "BLOB_STORAGE_TYPE_AZURE",
				"soft_size_limit": strconv.Itoa(softLimit), // as Twirp gives numbers of 64 bits
			})
		})
	}
	for _, method := range []string{"CreateStepLogsMetadata", "CreateJobLogsMetadata", "CreateStepSummaryMetadata"} {
		s.twirp(receiver, method, func(call, *job, resultsCall) reply { return ok(object{"ok": true}) })
	}
	s.twirp(stepUpdates, "WorkflowStepsUpdate", func(_ call, j *job, in resultsCall) reply {
		j.updateSteps(results(in.Steps))
		s.announceSteps(j)
		return ok(object{"ok": true})
	})
	s.mux.HandleFunc(pathResults+"/", s.answer(func(c call) reply {
		return twirpError(http.StatusNotFound, "bad_route", "no handler for path "+strconv.Quote(c.URL.Path))
	}))
	s.mux.HandleFunc("PUT "+pathBlob+"/{id}", s.upload)
}

// twirp adds a method of the results service, for runners about the job they have.
func (s *Sim) twirp(service, method string, h func(call, *job, resultsCall) reply) {
	s.mux.HandleFunc("POST "+pathResults+"/twirp/"+service+"/"+method, s.answer(func(c call) reply {
		j := s.accessJob(c.Request)
		var in resultsCall
		switch {
		case j == nil:
			return twirpError(http.StatusUnauthorized, "unauthenticated", "the access token is not that of a job")
		case !c.decode(&in):
			return twirpError(http.StatusBadRequest, "malformed", "the json request could not be decoded")
		case in.Run != j.planID() || in.Job != j.guid:
			return twirpError(http.StatusForbidden, "permission_denied", "the access token is that of another job")
		}
		return h(c, j, in)
	}))
}

// twirpError words an error as Twirp does.
// https://twitchtv.github.io/twirp/docs/errors.html
func twirpError(code int, name, message string) reply {
	return reply{code: code, body: object{"code": name, "msg": message}}
}

// A resultsCall holds what of the bodies of the results service is read.
type resultsCall struct {
	Run   string       `json:"workflow_run_backend_id"`
	Job   string       `json:"workflow_job_run_backend_id"`
	Step  string       `json:"step_backend_id"`
	Steps []updateStep `json:"steps"`
}

// An updateStep is a step in WorkflowStepsUpdate; its numbers are the service's own.
type updateStep struct {
	stepResult
	Status     int `json:"status"`     // 3 in progress, 6 completed
	Conclusion int `json:"conclusion"` // 2 success, 3 failure, 4 cancelled, 7 skipped
}

// results turns the service's numbers into names.
func results(steps []updateStep) []stepResult {
	statuses := map[int]string{3: StatusInProgress, 6: StatusCompleted}
	conclusions := map[int]string{2: Success, 3: Failure, 4: Cancelled, 7: Skipped}
	var out []stepResult
	for _, st := range steps {
		r := st.stepResult
		r.Status, r.Conclusion = statuses[st.Status], conclusions[st.Conclusion]
		out = append(out, r)
	}
	return out
}
