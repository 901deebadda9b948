package githubsim

import (
	"time"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim/git"
	"github.com/mayfly-ci/mayfly/internal/github/workflow"
)

// A Run is one run of a workflow as it was when asked for.
type Run struct {
	ID          int64
	Number      int // of the workflow's runs, from 1
	Attempt     int // from 1
	Repository  string
	Workflow    string
	Path        string // of the file
	Event       string // "push", "workflow_dispatch" or "schedule"
	Ref         string // such as refs/heads/main
	SHA         string
	Status      string
	Conclusion  string // "" until completed
	Created     time.Time
	Started     time.Time // of this attempt
	Updated     time.Time
	Faults      []workflow.Fault // of a run with StartupFailure
	Annotations []Annotation     // what its page says beside its jobs
}

// A run is one run of a workflow.
type run struct {
	Run
	repo     *repository
	title    string // as shown
	commit   git.Commit
	inputs   map[string]any
	payload  object    // of the event, for the context github.event
	root     *flow     // nil with Faults
	permits  []*permit // of the workflow's concurrency
	begun    bool      // a job of this attempt has started
	canceled bool
}

// A trigger is what started a run.
type trigger struct {
	event   string
	ref     string
	commit  git.Commit
	inputs  map[string]any
	payload object
}

// startRun starts f for a commit. The caller holds mu.
func (s *Sim) startRun(repo *repository, f workflowFile, t trigger) *run {
	repo.numbers[f.path]++
	if repo.workflows[f.path] == 0 {
		repo.workflows[f.path] = s.nextID()
	}
	r := &run{
		Run: Run{
			ID: s.nextID(), Number: repo.numbers[f.path], Attempt: 1, Repository: repo.fullName(), Workflow: f.path, Path: f.path,
			Event: t.event, Ref: t.ref, SHA: t.commit.SHA, Status: StatusQueued, Created: s.now(), Started: s.now(), Updated: s.now(),
		},
		repo: repo, commit: t.commit, inputs: t.inputs, payload: t.payload,
	}
	s.runs[r.ID] = r
	r.Faults = f.faults
	if f.file != nil {
		r.Workflow = f.file.Name
		r.root = newFlow(r, f.file, origin{repo, t.commit})
		r.root.inputs, r.root.secrets = t.inputs, repo.secrets
		r.Faults = s.loadCalls(r.root, nil)
	}
	r.title = s.titleOf(r)
	s.begin(r, func() {})
	return r
}

// begin starts an attempt of r: at once, when its concurrency group lets it, or
// never, if its file has faults. It calls then when it has told of the run. The
// caller holds mu.
func (s *Sim) begin(r *run, then func()) {
	start := func() { s.announceRun(r, StatusRequested); then() }
	if len(r.Faults) > 0 {
		start()
		s.failToStart(r)
		return
	}
	for _, event := range r.root.file.Unsent {
		r.annotate(Annotation{Level: LevelNotice, Path: r.Path, Message: "githubsim sends no " + event + ": it never starts this workflow"})
	}
	p, err := s.permitFor(r.root.file.Concurrency, s.runScope(r), r.repo)
	if err != nil {
		start()
		r.annotate(Annotation{Level: LevelFailure, Path: r.Path, Message: err.Error()})
		s.endRun(r, StartupFailure)
		return
	}
	if p == nil {
		start()
		s.moved(r.root)
		return
	}
	p.begin = func() { r.Status = StatusQueued; s.moved(r.root) }
	p.stop = func(why string) {
		r.annotate(Annotation{Level: LevelFailure, Path: r.Path, Message: why})
		s.cancelRun(r)
	}
	r.permits = []*permit{p}
	if s.busy(p) {
		r.Status = StatusPending
	}
	start()
	s.enter(p)
}

// failToStart ends r, whose file has faults, with each of them on its page.
func (s *Sim) failToStart(r *run) {
	s.log.Info("workflow has faults", "repository", r.Repository, "err", r.Faults[0])
	for _, f := range r.Faults {
		r.annotate(Annotation{Level: LevelFailure, Path: f.File, Line: f.Line, Column: f.Column, Message: "Invalid workflow file: " + f.Error()})
	}
	s.endRun(r, StartupFailure)
}

func (s *Sim) endRun(r *run, conclusion string) {
	r.Status, r.Conclusion, r.Updated = StatusCompleted, conclusion, s.now()
	s.announceRun(r, StatusCompleted)
	for _, p := range r.permits {
		s.leave(p)
	}
	r.permits = nil
}

// settle gives r the status that its jobs have.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-run-statuses
func (s *Sim) settle(r *run) {
	if r.Status == StatusCompleted {
		return
	}
	has := map[string]bool{}
	for _, j := range r.root.allJobs() {
		has[j.Status] = true
	}
	switch {
	case has[StatusInProgress], has[StatusQueued] && r.begun:
		r.Status = StatusInProgress
	case has[StatusQueued]:
		r.Status = StatusQueued
	case has[StatusWaiting]:
		r.Status = StatusWaiting
	case has[StatusPending]:
		r.Status = StatusPending
	}
}

// cancelRun ends what has not begun and tells the runners of what has. The
// caller holds mu.
func (s *Sim) cancelRun(r *run) {
	if r.Status == StatusCompleted {
		return
	}
	r.canceled = true
	if len(r.permits) > 0 && !s.holds(r.permits[0]) { // it has no jobs yet, and gets none
		s.endRun(r, Cancelled)
		return
	}
	s.cancelFlow(r.root)
}
