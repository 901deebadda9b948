package githubsim

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
)

func (s *Sim) runRestRoutes() {
	actions := "/repos/{owner}/{repo}/actions/"
	s.asScope("GET "+actions+"runs", s.listRuns)
	s.asScope("GET "+actions+"runs/{id}", s.withRun(func(c call, r *run) reply { return ok(r.shape(c.web)) }))
	s.asScope("DELETE "+actions+"runs/{id}", s.withRun(s.deleteRun))
	s.asScope("GET "+actions+"runs/{id}/jobs", s.withRun(s.listJobs))
	s.asScope("GET "+actions+"runs/{id}/attempts/{attempt}/jobs", s.withRun(s.listJobs))
	s.asScope("POST "+actions+"runs/{id}/cancel", s.withRun(s.cancelRunCall))
	s.asScope("POST "+actions+"runs/{id}/rerun", s.withRun(s.rerunAll))
	s.asScope("POST "+actions+"runs/{id}/rerun-failed-jobs", s.withRun(s.rerunFailed))
	s.asScope("GET "+actions+"jobs/{id}", s.withJob(func(c call, j *job) reply { return ok(j.shape(c.web)) }))
	s.asScope("GET "+actions+"jobs/{id}/logs", s.withJob(s.jobLogs))
	s.mux.HandleFunc("GET "+pathLog+"/{id}", s.serveLog)
	s.mux.HandleFunc("POST "+actions+"workflows/{file}/dispatches", s.dispatch)
}

func (s *Sim) withRun(h func(call, *run) reply) handler {
	return func(c call) reply {
		r := s.runs[c.id("id")]
		if r == nil || r.repo != c.scope.repo {
			return notFound()
		}
		return h(c, r)
	}
}

func (s *Sim) withJob(h func(call, *job) reply) handler {
	return func(c call) reply {
		j := s.jobs[c.id("id")]
		if j == nil || j.run.repo != c.scope.repo {
			return notFound()
		}
		return h(c, j)
	}
}

func (s *Sim) listRuns(c call) reply {
	var found []*run
	status, sha := c.URL.Query().Get("status"), c.URL.Query().Get("head_sha")
	for _, r := range s.runs {
		if r.repo == c.scope.repo && (sha == "" || r.SHA == sha) && (status == "" || r.Status == status || r.Conclusion == status) {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b *run) int { return cmp.Compare(b.ID, a.ID) }) // the newest first
	part, links := page(c, found)
	shapes := []object{}
	for _, r := range part {
		shapes = append(shapes, r.shape(c.web))
	}
	return reply{http.StatusOK, object{"total_count": len(found), "workflow_runs": shapes}, links}
}

// listJobs lists the jobs of an attempt, or of the latest.
func (s *Sim) listJobs(c call, r *run) reply {
	attempt := r.Attempt
	if n := int(c.id("attempt")); n != 0 {
		if n > r.Attempt {
			return notFound()
		}
		attempt = n
	}
	all := c.URL.Query().Get("filter") == "all"
	var found []*job
	for _, j := range s.jobs {
		if j.run == r && (all || j.Attempt == attempt) {
			found = append(found, j)
		}
	}
	slices.SortFunc(found, func(a, b *job) int { return cmp.Compare(a.ID, b.ID) })
	part, links := page(c, found)
	shapes := []object{}
	for _, j := range part {
		shapes = append(shapes, j.shape(c.web))
	}
	return reply{http.StatusOK, object{"total_count": len(found), "jobs": shapes}, links}
}

func (s *Sim) deleteRun(_ call, r *run) reply {
	if r.Status != StatusCompleted {
		return refusal(http.StatusForbidden, "Could not delete the workflow run")
	}
	for id, j := range s.jobs {
		if j.run == r {
			s.dropBlobs(j)
			delete(s.jobs, id)
			delete(s.guids, j.guid)
		}
	}
	delete(s.runs, r.ID)
	return noContent()
}

func (s *Sim) cancelRunCall(_ call, r *run) reply {
	if r.Status == StatusCompleted {
		return refusal(http.StatusConflict, "Cannot cancel a workflow run that is completed.")
	}
	s.cancelRun(r)
	return reply{code: http.StatusAccepted, body: object{}}
}

func (s *Sim) rerunAll(_ call, r *run) reply    { return s.rerunCall(r, true) }
func (s *Sim) rerunFailed(_ call, r *run) reply { return s.rerunCall(r, false) }

func (s *Sim) rerunCall(r *run, all bool) reply {
	if r.Status != StatusCompleted || r.file == nil {
		return refusal(http.StatusForbidden, "The workflow run cannot be retried")
	}
	s.rerun(r, all)
	return created(object{})
}

// jobLogs redirects to where the log is, which who has the address may read; GitHub
// has it on a host of its own.
// https://docs.github.com/en/rest/actions/workflow-jobs#download-job-logs-for-a-workflow-run
func (s *Sim) jobLogs(c call, j *job) reply {
	if j.logKey == "" {
		j.logKey = newToken("L")
	}
	return reply{code: http.StatusFound, header: map[string]string{"Location": fmt.Sprintf("%s%s/%d?key=%s", c.web, pathLog, j.ID, j.logKey)}}
}

// pathLog is where the logs of jobs are.
const pathLog = "/_runner/log"

// serveLog answers with a log as text.
func (s *Sim) serveLog(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	s.mu.Lock()
	j := s.jobs[id]
	found := err == nil && j != nil && j.logKey != "" && j.logKey == r.URL.Query().Get("key")
	var parts []*blob
	if found {
		parts = j.logBlobs()
	}
	s.mu.Unlock()
	if !found {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	for _, b := range parts {
		if b.copyTo(w) != nil {
			return // whoever asked has gone
		}
	}
}

// dispatch starts a workflow by hand.
func (s *Sim) dispatch(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Ref    string            `json:"ref"`
		Inputs map[string]string `json:"inputs"`
	}
	var name string
	rep := s.locked(func() reply {
		cred := s.credential(r)
		if cred == nil {
			return unauthorized(r)
		}
		return s.limited(w, call{Request: r, web: s.base(r), cred: cred}, s.inScope(func(c call) reply {
			if !c.decode(&in) {
				return badJSON()
			}
			name = c.scope.repo.fullName()
			return noContent()
		}))
	})
	if rep.code == http.StatusNoContent {
		if _, err := s.Dispatch(name, r.PathValue("file"), in.Ref, in.Inputs); err != nil {
			rep = unprocessable(err.Error())
		}
	}
	writeReply(w, rep)
}
