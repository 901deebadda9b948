package githubsim

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// runRoutes are what a runner calls about a job it has. The id may be in the
// path, or, for runners that resolve against the address, in the body only.
// https://github.com/actions/runner/blob/main/src/Sdk/RSWebApi/RunServiceHttpClient.cs
func (s *Sim) runRoutes() {
	for _, base := range []string{pathRun + "/", pathRun + "/{id}/"} {
		s.mux.HandleFunc("POST "+base+"acquirejob", s.answer(s.acquireJob))
		s.mux.HandleFunc("POST "+base+"renewjob", s.answer(s.renewJob))
		s.mux.HandleFunc("POST "+base+"completejob", s.answer(s.completeJob))
	}
}

// acquireJob begins a job, once, for the runner that was told of it.
func (s *Sim) acquireJob(c call) reply {
	var in struct {
		ID string `json:"jobMessageId"`
	}
	r := s.caller(c.Request)
	if r == nil {
		return runRefusal(http.StatusUnauthorized, "the access token is not good: want one of a registered runner")
	}
	if !c.decode(&in) {
		return badJSON()
	}
	j := s.guids[first(c.PathValue("id"), in.ID)]
	switch {
	case j == nil || j.Status == StatusCompleted || j.runner == nil:
		return jobNotFound()
	case j.Status == StatusInProgress:
		return runRefusal(http.StatusConflict, "Job already acquired")
	case j.runner != r:
		return jobNotFound()
	}
	if err := s.equip(j); err != nil {
		return runRefusal(http.StatusInternalServerError, err.Error())
	}
	s.start(j)
	return ok(s.jobMessage(j, c.web))
}

// owned returns the job that c is about, if its caller has it: by the runner's
// token or the job's own.
func (s *Sim) owned(c call, ids ...string) (*job, reply) {
	j := s.guids[first(append([]string{c.PathValue("id")}, ids...)...)]
	r, own := s.known(c.Request), s.accessJob(c.Request)
	switch {
	case r == nil && own == nil:
		return nil, runRefusal(http.StatusUnauthorized, "the access token is not good: want one of the job or of its runner")
	case j == nil || j.Status != StatusInProgress:
		return nil, jobNotFound()
	case r != nil && j.runner == r || own == j:
		return j, reply{}
	}
	return nil, jobNotFound()
}

// runRefusal words an error as the run service does: runners read no other.
func runRefusal(code int, message string) reply {
	return reply{code: code, body: object{"source": "actions-run-service", "statusCode": code, "errorMessage": message}}
}

func jobNotFound() reply { return runRefusal(http.StatusNotFound, "Job not found") }

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

type jobRef struct {
	PlanID string `json:"planId"`
	JobID  string `json:"jobId"`
}

func (s *Sim) renewJob(c call) reply {
	var in jobRef
	if !c.decode(&in) {
		return badJSON()
	}
	j, no := s.owned(c, in.JobID)
	if j == nil {
		return no
	}
	j.until = s.now().Add(s.cfg.Lock)
	return ok(object{"lockedUntil": j.until})
}

// A completion is what a runner says when its job has ended.
type completion struct {
	jobRef
	Conclusion any `json:"conclusion"` // "succeeded" or its number
	Outputs    map[string]struct {
		Value string `json:"value"`
	} `json:"outputs"`
	Steps []stepResult `json:"stepResults"`
}

// A stepResult is a step in a completion, and in an update of steps.
type stepResult struct {
	Name       string    `json:"name"`
	Number     int       `json:"number"`
	Status     any       `json:"status"`
	Conclusion any       `json:"conclusion"`
	Started    time.Time `json:"started_at"`
	Completed  time.Time `json:"completed_at"`
}

func (s *Sim) completeJob(c call) reply {
	var in completion
	if !c.decode(&in) {
		return badJSON()
	}
	j, no := s.owned(c, in.JobID)
	if j == nil {
		return no
	}
	conclusion := conclusionOf(in.Conclusion)
	if conclusion == "" {
		return runRefusal(http.StatusUnprocessableEntity, "conclusion: want succeeded, failed, canceled or skipped")
	}
	j.updateSteps(in.Steps)
	j.outputs = map[string]any{}
	for name, o := range in.Outputs {
		j.outputs[name] = o.Value
	}
	s.finish(j, conclusion)
	return noContent()
}

// updateSteps stores a runner's report on its steps.
func (j *job) updateSteps(results []stepResult) {
	for _, r := range results {
		i := slices.IndexFunc(j.Steps, func(s Step) bool { return s.Number == r.Number })
		if i < 0 {
			i = len(j.Steps)
			j.Steps = append(j.Steps, Step{Number: r.Number})
		}
		st := &j.Steps[i]
		st.Name, st.Started, st.Completed = first(r.Name, st.Name), r.Started, r.Completed
		st.Status = stepStatus(r.Status)
		if st.Status == StatusCompleted {
			st.Conclusion = first(conclusionOf(r.Conclusion), Success)
		}
	}
	slices.SortFunc(j.Steps, func(a, b Step) int { return a.Number - b.Number })
}

// conclusionOf reads a result as runners write it, "" if it is none: the name or
// number of .NET's TaskResult, or of the results service.
// https://github.com/actions/runner/blob/main/src/Sdk/DTWebApi/WebApi/TaskResult.cs
func conclusionOf(v any) string {
	if n, isNumber := v.(float64); isNumber {
		v = strconv.Itoa(int(n))
	}
	name, _ := v.(string)
	switch strings.ToLower(name) {
	case "succeeded", "success", "succeededwithissues", "0", "1":
		return Success
	case "failed", "failure", "abandoned", "2", "5":
		return Failure
	case "canceled", "cancelled", "3":
		return Cancelled
	case "skipped", "4":
		return Skipped
	}
	return ""
}

// stepStatus reads the state of a step: a name, or the number of .NET's
// TimelineRecordState.
func stepStatus(v any) string {
	if n, isNumber := v.(float64); isNumber {
		v = strconv.Itoa(int(n))
	}
	name, _ := v.(string)
	switch strings.ToLower(name) {
	case "completed", "2":
		return StatusCompleted
	case "inprogress", "in_progress", "1":
		return StatusInProgress
	}
	return StatusQueued
}
