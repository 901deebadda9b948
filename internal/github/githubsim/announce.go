package githubsim

import (
	"github.com/mayfly-ci/mayfly/internal/github/githubsim/hook"
)

// announceJob tells webhooks and subscribers of j's new state. The caller holds mu.
func (s *Sim) announceJob(j *job, action string) {
	j.run.Updated = s.now()
	web := s.publicURL()
	payload := s.payload(web, j.run.repo, action)
	payload["workflow_job"] = j.shape(web)
	if j.deployment != nil && action != StatusWaiting { // as in GitHub's examples
		payload["deployment"] = j.deployment.shape(web)
	}
	s.publish(j.run.repo, "workflow_job", action, payload)
	job := j.snapshot()
	s.notify(Change{Job: &job})
}

// announceSteps tells subscribers only: GitHub sends no delivery for steps.
func (s *Sim) announceSteps(j *job) {
	job := j.snapshot()
	s.notify(Change{Job: &job})
}

// announceRun tells webhooks and subscribers of r's new state. The caller holds mu.
func (s *Sim) announceRun(r *run, action string) {
	r.Updated = s.now()
	web := s.publicURL()
	payload := s.payload(web, r.repo, action)
	payload["workflow_run"], payload["workflow"] = r.shape(web), r.workflowShape(web)
	s.publish(r.repo, "workflow_run", action, payload)
	run := r.snapshot()
	s.notify(Change{Run: &run})
}

// announceRunner tells subscribers what became of r. The caller holds mu.
func (s *Sim) announceRunner(r *runner, what RunnerEvent) {
	runner := r.Runner
	s.notify(Change{Runner: &runner, RunnerEvent: what})
}

// payload gives what every payload about repo has.
func (s *Sim) payload(web string, repo *repository, action string) object {
	out := object{"repository": repo.shape(web), "sender": senderShape(web)}
	if action != "" {
		out["action"] = action
	}
	if !repo.owner.user {
		out["organization"] = repo.owner.organization(web)
		if s.cfg.Enterprise != "" {
			out["enterprise"] = enterpriseShape(web, s.cfg.Enterprise, repo)
		}
	}
	return out
}

// enterpriseShape gives the enterprise as payloads have it.
func enterpriseShape(web, slug string, repo *repository) object {
	return object{
		"id": 1, "slug": slug, "name": slug, "node_id": nodeID("E", 1), "avatar_url": web + "/avatars/" + slug,
		"description": nil, "website_url": nil, "html_url": web + "/enterprises/" + slug,
		"created_at": timestamp(repo.owner.created), "updated_at": timestamp(repo.owner.created),
	}
}

// publish delivers an event about repo to the webhooks of the repository, its
// organisation and the App; the App's names the installation.
func (s *Sim) publish(repo *repository, name, action string, payload object) {
	e := hook.Event{Name: name, Action: action, Repository: repo.id, Payload: payload}
	targets := []hook.Target{{Type: hook.TargetRepository, ID: repo.id}}
	if !repo.owner.user {
		targets = append(targets, hook.Target{Type: hook.TargetOrganization, ID: repo.owner.id})
	}
	s.hooks.Publish(e, targets...)
	if s.cfg.App == nil {
		return
	}
	e.Installation = repo.owner.installation
	withApp := merged(payload, object{"installation": object{"id": repo.owner.installation, "node_id": nodeID("I", repo.owner.installation)}})
	e.Payload = withApp
	s.hooks.Publish(e, s.appTarget())
}
