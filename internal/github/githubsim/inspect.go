package githubsim

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim/hook"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

// Jobs returns every job there was, oldest first.
func (s *Sim) Jobs() []Job {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.snapshots()
}

// snapshots is Jobs for callers that hold mu.
func (s *Sim) snapshots() []Job {
	out := make([]Job, 0, len(s.jobs))
	for _, j := range s.jobs {
		out = append(out, j.snapshot())
	}
	slices.SortFunc(out, func(a, b Job) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// snapshot copies what the owner of mu may change.
func (j *job) snapshot() Job {
	out := j.Job
	out.Labels, out.Steps = slices.Clone(out.Labels), slices.Clone(out.Steps)
	return out
}

// Job returns one job.
func (s *Sim) Job(id int64) (Job, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if j := s.jobs[id]; j != nil {
		return j.snapshot(), true
	}
	return Job{}, false
}

// Runs returns every run there was, oldest first.
func (s *Sim) Runs() []Run {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.runSnapshots()
}

// runSnapshots is Runs for callers that hold mu.
func (s *Sim) runSnapshots() []Run {
	out := make([]Run, 0, len(s.runs))
	for _, r := range s.runs {
		out = append(out, r.snapshot())
	}
	slices.SortFunc(out, func(a, b Run) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// snapshot copies what the owner of mu may change.
func (r *run) snapshot() Run {
	out := r.Run
	out.Faults, out.Annotations = slices.Clone(out.Faults), slices.Clone(out.Annotations)
	return out
}

// Runners returns the runners that are registered, oldest first.
func (s *Sim) Runners() []Runner {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Runner, 0, len(s.runners))
	for _, r := range s.runners {
		runner := r.Runner
		runner.Labels = slices.Clone(runner.Labels)
		out = append(out, runner)
	}
	slices.SortFunc(out, func(a, b Runner) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// Log returns what the runner of a job has uploaded of its log so far.
func (s *Sim) Log(job int64) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if j := s.jobs[job]; j != nil {
		return j.logText()
	}
	return ""
}

// Outputs returns the outputs of a completed job.
func (s *Sim) Outputs(job int64) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	if j := s.jobs[job]; j != nil {
		return merged(j.outputs, nil)
	}
	return nil
}

// CancelRun cancels a run: what no runner has begun ends at once, the rest when
// its runner says so.
func (s *Sim) CancelRun(id int64) error {
	return s.change("run", id, func() bool {
		r := s.runs[id]
		if r == nil || r.Status == StatusCompleted {
			return false
		}
		s.cancelRun(r)
		return true
	})
}

// CancelJob cancels one job.
func (s *Sim) CancelJob(id int64) error {
	return s.change("job", id, func() bool {
		j := s.jobs[id]
		if j == nil || j.Status == StatusCompleted {
			return false
		}
		s.cancelJob(j)
		return true
	})
}

// Rerun starts another attempt of a completed run: of all jobs, or of those that
// did not succeed and those that need them. They are jobs with new ids.
func (s *Sim) Rerun(id int64, all bool) error {
	return s.change("run", id, func() bool {
		r := s.runs[id]
		if r == nil || !r.repeatable() {
			return false
		}
		again := failed
		if all {
			again = func(*job) bool { return true }
		}
		s.rerun(r, again)
		return true
	})
}

// Approve lets a job go on that waits for its environment.
func (s *Sim) Approve(job int64) error {
	return s.change("job", job, func() bool {
		j := s.jobs[job]
		if j == nil || j.Status != StatusWaiting {
			return false
		}
		s.await(j)
		return true
	})
}

// change runs f under mu; f reports whether what it is about is as it must be.
func (s *Sim) change(kind string, id int64, f func() bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !f() {
		return fmt.Errorf("%s %d: there is none, or it is not in a state for this", kind, id)
	}
	return nil
}

// A Webhook is what AddWebhook makes.
type Webhook struct {
	Repository   string // owner/name; or else
	Organization string
	URL          string
	Secret       secret.Secret
	Events       []string // "*" for all
}

// AddWebhook makes a webhook and returns its id. It sends no ping.
func (s *Sim) AddWebhook(w Webhook) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	target := hook.Target{Type: hook.TargetOrganization}
	if repo := s.repository(w.Repository); repo != nil {
		target = hook.Target{Type: hook.TargetRepository, ID: repo.id}
	} else if w.Repository != "" || w.Organization == "" {
		return 0, fmt.Errorf("webhook of %q: there is no such repository", w.Repository)
	} else {
		target.ID = s.account(w.Organization).id
	}
	return s.hooks.Create(hook.Hook{
		Target: target, Active: true, Events: w.Events,
		Config: hook.Config{URL: w.URL, ContentType: "json", InsecureSSL: "0", Secret: w.Secret},
	}).ID, nil
}

// Deliveries returns the recorded deliveries of a webhook, the newest first.
func (s *Sim) Deliveries(webhook int64) []hook.Delivery { return s.hooks.Deliveries(webhook) }

// Wait blocks until done, called with every job there is after each change, says
// true, or ctx is done.
func (s *Sim) Wait(ctx context.Context, done func([]Job) bool) error {
	sub := s.Subscribe()
	defer sub.Close()
	for !done(s.Jobs()) {
		if _, more := sub.Next(ctx); !more {
			return ctx.Err()
		}
		for more := true; more; { // one look is enough for all that happened
			_, more = sub.pop()
		}
	}
	return nil
}
