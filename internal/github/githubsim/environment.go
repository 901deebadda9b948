package githubsim

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// An environment is what a job deploys to.
type environment struct {
	id       int64
	name     string
	reviewed bool          // it has required reviewers
	wait     time.Duration // its wait timer
	created  time.Time
}

// approvalLimit is how long a job may wait for an approval before it fails.
// https://docs.github.com/en/actions/reference/workflows-and-actions/deployments-and-environments#required-reviewers
const approvalLimit = 30 * 24 * time.Hour

// environment returns the one of that name, made if it is not there, as at GitHub.
// The caller holds mu.
func (s *Sim) environment(repo *repository, name string) *environment {
	key := strings.ToLower(name)
	if e := repo.environments[key]; e != nil {
		return e
	}
	e := &environment{id: s.nextID(), name: name, created: s.now()}
	repo.environments[key] = e
	return e
}

// A deployment is that of one job to its environment.
type deployment struct {
	id          int64
	job         *job
	environment *environment
	created     time.Time
}

// deploy has j wait for its environment, if that asks for an approval or some time,
// and then for a runner. GitHub tells of the first wait twice: as queued, with the
// status waiting, and as waiting.
// https://github.com/CloudSnorkel/cdk-github-runners/pull/416
func (s *Sim) deploy(j *job) {
	if j.Environment == "" {
		s.await(j)
		return
	}
	e := s.environment(j.run.repo, j.Environment)
	if j.task.def.Deployment != "false" {
		j.deployment = &deployment{id: s.nextID(), job: j, environment: e, created: s.now()}
	}
	if !e.reviewed && e.wait == 0 {
		s.await(j)
		return
	}
	j.Status, j.waiting = StatusWaiting, s.now()
	s.settle(j.run)
	s.announceJob(j, StatusQueued)
	s.announceJob(j, StatusWaiting)
}

// expireApprovals lets jobs go on whose wait timer has run out, and fails those that
// nobody approved in time.
func (s *Sim) expireApprovals(now time.Time) {
	for _, j := range s.jobsInOrder() {
		if j.Status != StatusWaiting {
			continue
		}
		e := s.environment(j.run.repo, j.Environment)
		switch waited := now.Sub(j.waiting); {
		case waited > approvalLimit:
			j.Fault = "The deployment to " + e.name + " was not approved within 30 days."
			s.finish(j, Failure)
		case !e.reviewed && waited >= e.wait:
			s.await(j)
		}
	}
}

func (s *Sim) jobsInOrder() []*job {
	all := make([]*job, 0, len(s.jobs))
	for _, j := range s.jobs {
		all = append(all, j)
	}
	slices.SortFunc(all, func(a, b *job) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

func (s *Sim) environmentRoutes() {
	repo := "/repos/{owner}/{repo}"
	s.asScope("GET "+repo+"/actions/runs/{id}/pending_deployments", s.withRun(s.pendingDeployments))
	s.asScope("POST "+repo+"/actions/runs/{id}/pending_deployments", s.withRun(s.reviewDeployments))
	s.asScope("GET "+repo+"/environments", s.listEnvironments)
	s.asScope("GET "+repo+"/environments/{name}", s.showEnvironment)
	s.asScope("PUT "+repo+"/environments/{name}", s.putEnvironment)
}

// waiting gives the jobs of r that wait for their environments, by environment, in
// the order in which they came to wait.
func (r *run) waiting() (order []*environment, jobs map[*environment][]*job) {
	jobs = map[*environment][]*job{}
	for _, j := range r.root.allJobs() {
		if j.Status != StatusWaiting {
			continue
		}
		e := r.repo.environments[strings.ToLower(j.Environment)]
		if jobs[e] == nil {
			order = append(order, e)
		}
		jobs[e] = append(jobs[e], j)
	}
	return order, jobs
}

// https://docs.github.com/en/rest/actions/workflow-runs#get-pending-deployments-for-a-workflow-run
func (s *Sim) pendingDeployments(c call, r *run) reply {
	shapes := []object{}
	order, jobs := r.waiting()
	for _, e := range order {
		var since any
		if e.wait > 0 {
			since = timestamp(jobs[e][0].waiting)
		}
		reviewers := []object{}
		if e.reviewed {
			reviewers = append(reviewers, object{"type": "User", "reviewer": senderShape(c.web)})
		}
		shape := e.shape(c.web, r.repo)
		shapes = append(shapes, object{
			"environment": object{"id": e.id, "node_id": shape["node_id"], "name": e.name, "url": shape["url"], "html_url": shape["html_url"]},
			"wait_timer":  int(e.wait.Minutes()), "wait_timer_started_at": since, "current_user_can_approve": e.reviewed, "reviewers": reviewers,
		})
	}
	return ok(shapes)
}

// https://docs.github.com/en/rest/actions/workflow-runs#review-pending-deployments-for-a-workflow-run
func (s *Sim) reviewDeployments(c call, r *run) reply {
	var in struct {
		Environments []int64 `json:"environment_ids"`
		State        string  `json:"state"`
		Comment      string  `json:"comment"`
	}
	if !c.decode(&in) {
		return badJSON()
	}
	if in.State != "approved" && in.State != "rejected" {
		return unprocessable("Invalid request", "state: want approved or rejected")
	}
	order, waiting := r.waiting()
	var jobs []*job
	for _, e := range order {
		if slices.Contains(in.Environments, e.id) {
			jobs = append(jobs, waiting[e]...)
		}
	}
	if len(jobs) == 0 {
		return unprocessable("No pending deployment requests to approve or reject")
	}
	shapes := []object{}
	for _, j := range jobs {
		if j.deployment != nil {
			shapes = append(shapes, j.deployment.shape(c.web))
		}
		s.review(j, in.State == "approved", in.Comment)
	}
	return ok(shapes)
}

// review lets j go on, or fails it.
func (s *Sim) review(j *job, approved bool, comment string) {
	if approved {
		s.await(j)
		return
	}
	j.Fault = "The deployment to " + j.Environment + " was rejected."
	if comment != "" {
		j.Fault += " " + comment
	}
	s.finish(j, Failure)
}

// Reject ends a job that waits for its environment; it fails.
func (s *Sim) Reject(job int64) error {
	return s.change("job", job, func() bool {
		j := s.jobs[job]
		if j == nil || j.Status != StatusWaiting {
			return false
		}
		s.review(j, false, "")
		return true
	})
}

func (s *Sim) listEnvironments(c call) reply {
	shapes := []object{}
	for _, name := range sortedKeys(c.scope.repo.environments) {
		shapes = append(shapes, c.scope.repo.environments[name].shape(c.web, c.scope.repo))
	}
	part, links := page(c, shapes)
	return reply{http.StatusOK, object{"total_count": len(shapes), "environments": part}, links}
}

func (s *Sim) showEnvironment(c call) reply {
	e := c.scope.repo.environments[strings.ToLower(c.PathValue("name"))]
	if e == nil {
		return notFound()
	}
	return ok(e.shape(c.web, c.scope.repo))
}

// https://docs.github.com/en/rest/deployments/environments#create-or-update-an-environment
func (s *Sim) putEnvironment(c call) reply {
	var in struct {
		Wait      int `json:"wait_timer"` // minutes
		Reviewers []struct {
			Type string `json:"type"`
			ID   int64  `json:"id"`
		} `json:"reviewers"`
	}
	if !c.decode(&in) {
		return badJSON()
	}
	if in.Wait < 0 || in.Wait > 43200 {
		return unprocessable("Invalid request", "wait_timer: want 0 to 43200 minutes")
	}
	e := s.environment(c.scope.repo, c.PathValue("name"))
	e.reviewed, e.wait = len(in.Reviewers) > 0, time.Duration(in.Wait)*time.Minute
	return ok(e.shape(c.web, c.scope.repo))
}

func (e *environment) shape(web string, repo *repository) object {
	rules := []object{}
	if e.wait > 0 {
		rules = append(rules, object{"id": e.id, "node_id": nodeID("GA", e.id), "type": "wait_timer", "wait_timer": int(e.wait.Minutes())})
	}
	if e.reviewed {
		rules = append(rules, object{
			"id": e.id, "node_id": nodeID("GA", e.id), "type": "required_reviewers", "prevent_self_review": false,
			"reviewers": []object{{"type": "User", "reviewer": senderShape(web)}},
		})
	}
	return object{
		"id": e.id, "node_id": nodeID("EN", e.id), "name": e.name,
		"url":        web + "/api/v3/repos/" + repo.fullName() + "/environments/" + url.PathEscape(e.name),
		"html_url":   web + "/" + repo.fullName() + "/deployments/activity_log?environments_filter=" + url.QueryEscape(e.name),
		"created_at": timestamp(e.created), "updated_at": timestamp(e.created),
		"protection_rules": rules, "deployment_branch_policy": nil,
	}
}

// shape gives a deployment as payloads and the API have it.
func (d *deployment) shape(web string) object {
	r := d.job.run
	repo := web + "/api/v3/repos/" + r.repo.fullName()
	address := fmt.Sprintf("%s/deployments/%d", repo, d.id)
	return object{
		"url": address, "id": d.id, "node_id": nodeID("DE", d.id), "task": "deploy",
		"original_environment": d.environment.name, "environment": d.environment.name, "description": nil,
		"created_at": timestamp(d.created), "updated_at": timestamp(d.created), "statuses_url": address + "/statuses", "repository_url": repo,
		"creator": senderShape(web), "sha": r.SHA, "ref": r.branch(), "payload": object{},
		"transient_environment": false, "production_environment": strings.EqualFold(d.environment.name, "production"),
	}
}
