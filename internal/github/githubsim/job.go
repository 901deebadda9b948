package githubsim

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github/expr"
	"github.com/mayfly-ci/mayfly/internal/github/workflow"
)

// A Job is one job of a run as it was when asked for.
type Job struct {
	ID, RunID   int64
	Attempt     int
	Repository  string // owner/name
	Workflow    string
	Key         string // its name under jobs:
	Name        string // as shown, with the leg of its matrix
	Labels      []string
	Group       string // of runs-on; "" for any
	Environment string // that it uses; "" for none
	Status      string // StatusPending, StatusWaiting, StatusQueued, StatusInProgress or StatusCompleted
	Conclusion  string // "" until completed
	RunnerID    int64  // of a job in progress or completed; 0 if none had it
	Runner      string
	RunnerOf    string // scope of that runner
	Given       int    // how often a runner was told of it
	Started     int    // how often a runner began it
	Created     time.Time
	StartedAt   time.Time
	Completed   time.Time
	Steps       []Step
	Fault       string // why it could not be run, such as a wrong ${{ }}
}

// A Step is one step of a job, as its runner tells.
type Step struct {
	Name       string
	Number     int
	Status     string
	Conclusion string
	Started    time.Time
	Completed  time.Time
}

// The statuses of jobs and runs.
const (
	StatusRequested  = "requested" // of runs only
	StatusWaiting    = "waiting"
	StatusPending    = "pending"
	StatusQueued     = "queued"
	StatusInProgress = "in_progress"
	StatusCompleted  = "completed"
)

// The conclusions of jobs, steps and runs.
const (
	Success   = "success"
	Failure   = "failure"
	Cancelled = "cancelled"
	Skipped   = "skipped"

	StartupFailure = "startup_failure" // of runs only: the file has faults
)

// A job is one job of a run.
type job struct {
	Job
	run        *run
	task       *task
	leg        workflow.Leg
	index      int            // among the legs of its matrix
	scope      expr.Scope     // what its expressions see
	guid       string         // which its runner knows it by; not that of its plan
	token      string         // its GITHUB_TOKEN, "" until it was acquired
	access     string         // its token for the services of Actions; as token
	runner     *runner        // it was given to; nil before
	queued     time.Time      // since when it waits for a runner
	waiting    time.Time      // since when it waits for its environment
	minutes    float64        // timeout-minutes
	permit     *permit        // of its concurrency; nil: none
	deployment *deployment    // to its environment; nil: none
	until      time.Time      // acquired or renewed by then, or it is lost
	canceled   bool           // its end is to be "cancelled"
	forgiven   bool           // continue-on-error: its failure does not count
	outputs    map[string]any // of a completed job
	group      groupRef       // of the runner that has it
	logs       []*blob        // uploaded by its runner, in order
	logKey     string         // who has it may read them; "" before anybody asked
}

type groupRef struct {
	id   int64
	name string
}

// A queueKey names a line in which jobs wait that the same runners can take.
type queueKey struct {
	repo   *repository
	group  string
	labels string
}

func (j *job) queueKey() queueKey {
	labels := slices.Clone(j.Labels)
	for i := range labels {
		labels[i] = strings.ToLower(labels[i])
	}
	slices.Sort(labels)
	return queueKey{j.run.repo, strings.ToLower(j.Group), strings.Join(labels, "\x00")}
}

// enqueue has j wait for a runner, and gives it to one that waits. The caller
// holds mu.
func (s *Sim) enqueue(j *job) {
	if j.atGitHub() {
		s.hosted[j] = true
		return
	}
	var best *runner
	for r := range s.waiting {
		if r.job == nil && s.fits(r, j) && (best == nil || r.ID < best.ID) {
			best = r
		}
	}
	if best != nil {
		s.give(j, best)
		return
	}
	s.queue[j.queueKey()] = append(s.queue[j.queueKey()], j)
}

// take gives r the oldest job that fits it, and reports whether there is one.
// The caller holds mu.
func (s *Sim) take(r *runner) bool {
	var best *job
	for key, line := range s.queue {
		line = slices.DeleteFunc(line, func(j *job) bool { return j.Status != StatusQueued || j.runner != nil })
		if len(line) == 0 {
			delete(s.queue, key)
			continue
		}
		s.queue[key] = line
		if j := line[0]; s.fits(r, j) && (best == nil || j.ID < best.ID) {
			best = j
		}
	}
	if best == nil {
		return false
	}
	key := best.queueKey()
	s.queue[key] = s.queue[key][1:]
	s.give(best, r)
	return true
}

// give tells r of j. The caller holds mu.
func (s *Sim) give(j *job, r *runner) {
	j.runner, r.job = r, j
	j.Given++
	j.until = s.now().Add(s.cfg.PickUp)
	r.Busy, r.Job = true, j.ID
	delete(s.waiting, r)
	r.post(messageJob, object{
		"id": j.guid, "runner_request_id": j.guid,
		"billing_owner_id": strconv.FormatInt(j.run.repo.owner.id, 10), "should_acknowledge": true,
	})
	s.announceRunner(r, RunnerGivenJob)
}

// takeBack takes the job from r that it has not begun, so that another gets it.
// The caller holds mu.
func (s *Sim) takeBack(r *runner) {
	j := r.job
	if j == nil {
		return
	}
	r.job, r.Busy, r.Job = nil, false, 0
	r.outbox = slices.DeleteFunc(r.outbox, func(m message) bool { return m.kind == messageJob })
	if j.runner == r && j.Status == StatusQueued {
		j.runner = nil
		s.enqueue(j)
	}
}

// cancelJob ends j: at once if no runner has begun it, or else by telling the
// runner. The caller holds mu.
func (s *Sim) cancelJob(j *job) {
	switch j.Status {
	case StatusCompleted:
	case StatusInProgress:
		switch {
		case s.hosted[j]:
			s.finish(j, Cancelled)
		case !j.canceled:
			j.canceled = true
			j.runner.post(messageCancel, object{"jobId": j.guid, "timeout": "00:05:00"})
		}
	default:
		s.finish(j, Cancelled)
	}
}

// start has j, which has its tokens, begin at its runner. The caller holds mu.
func (s *Sim) start(j *job) {
	r := j.runner
	j.RunnerID, j.Runner, j.RunnerOf = r.ID, r.Name, r.Scope
	j.group = groupRef{r.GroupID, r.Group}
	j.until = s.now().Add(s.cfg.Lock)
	s.started(j)
}

// started tells that j is in progress at the runner that it names.
func (s *Sim) started(j *job) {
	j.Status, j.StartedAt = StatusInProgress, s.now()
	j.Started++
	j.Steps = []Step{{Name: "Set up job", Number: 1, Status: StatusInProgress, Started: s.now()}}
	s.settle(j.run)
	if !j.run.begun {
		j.run.begun = true
		s.announceRun(j.run, StatusInProgress)
	}
	s.announceJob(j, StatusInProgress)
}

// finish ends j, unless it has ended, frees its runner and continues its run. The caller holds mu.
func (s *Sim) finish(j *job, conclusion string) {
	if j.Status == StatusCompleted {
		return
	}
	if j.canceled {
		conclusion = Cancelled
	}
	if r := j.runner; r != nil && r.job == j {
		begun := j.Status == StatusInProgress
		j.Status = StatusCompleted
		s.takeBack(r)
		if begun && r.Ephemeral {
			r.spent = s.now()
			s.remove(r)
		}
	}
	j.Status, j.Conclusion, j.Completed = StatusCompleted, conclusion, s.now()
	if j.StartedAt.IsZero() {
		j.StartedAt = j.Completed
	}
	for i := range j.Steps {
		if st := &j.Steps[i]; st.Status != StatusCompleted {
			st.Status, st.Conclusion, st.Completed = StatusCompleted, conclusion, j.Completed
		}
	}
	if cred := s.creds[digestOf(j.token)]; cred != nil {
		cred.expires = s.now().Add(afterJob)
	}
	delete(s.hosted, j)
	s.announceJob(j, StatusCompleted)
	if j.permit != nil {
		s.leave(j.permit)
	}
	s.jobEnded(j)
}
