// Package worker runs one job as GitHub's Runner.Worker does: it prepares the
// actions that the job uses, runs its steps, uploads their logs and reports how
// they ended. It is the part of the mini runner that knows what a job is.
//
// The order of what it asks of GitHub, what it logs, and what it takes for an
// error follow actions/runner 2.336.0, src/Runner.Worker; a file that is named in
// a comment is there.
package worker

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github/minirunner/wire"
)

// Why a job is to end before it is done: the causes of the context that [Run] gets.
var (
	ErrCancelled = errors.New("the job was cancelled")
	ErrShutdown  = errors.New("the runner was stopped")
)

// Config is what [Run] needs besides the job.
type Config struct {
	Version   string // of the runner, as it is logged
	Name      string // of the runner
	Root      string // folder of the runner, with externals and _diag
	Work      string // folder for workspaces, actions, tools and temporary files
	Env       map[string]string
	HTTP      *http.Client
	UserAgent string
	Now       func() time.Time
	Pauses    Pauses
}

// A job is one job while it runs. Its fields belong to the goroutine of
// [job.run], if they do not lock for themselves.
type job struct {
	config  Config
	message *Message
	caller  *wire.Caller // with the job's token
	masks   *masks
	results *results
	log     *logUpload // of the whole job

	contexts  map[string]any
	env       map[string]string // of the job, with what steps added
	path      []string          // what steps added to PATH, newest first
	defaults  map[string]string // defaults.run
	top       *frame
	tasks     []*task // of the job's steps
	posts     []*task // whose action wants to run once more after the steps, in order of their steps
	steps     []*step
	outputs   map[string]string
	failed    bool
	cancelled context.Context // ends when the job is to end
	shutdown  atomic.Int64    // line of the job's log that says so; 0 means that the runner was not stopped

	container        *container     // that steps run in; nil for none
	containers       []*container   // it, and the services
	containerContext map[string]any // what the context job has of them

	workspace string
	temp      string
	tracking  string
}

// Run runs the job of m, reports it, and returns how it ended. When cancelled
// ends, for one of the causes above, the step that runs is ended, and steps that
// want to run then do, if it is not the runner that is stopped. When alive ends,
// nothing more is run. An error means that GitHub does not know how the job ended.
func Run(alive, cancelled context.Context, c Config, m *Message) (Conclusion, error) {
	j, err := newJob(c, m)
	if err != nil {
		return Failed, err
	}
	j.cancelled = cancelled
	j.log = j.results.upload("")
	j.run(alive)
	j.log.close(j.config.Now())
	conclusion := j.conclusion()
	return conclusion, j.report(alive, conclusion)
}

func newJob(c Config, m *Message) (*job, error) {
	system, err := m.System()
	if err != nil {
		return nil, err
	}
	j := &job{config: c, message: m, masks: &masks{}, env: map[string]string{}, tracking: "github_" + newID()}
	j.top = &frame{job: j, steps: map[string]any{}}
	j.caller = &wire.Caller{HTTP: c.HTTP, Authorization: "Bearer " + system.Token(), UserAgent: c.UserAgent}
	j.results = newResults(j)
	j.masks.add(system.Token())
	for _, mask := range m.Mask {
		j.masks.add(mask.Value)
	}
	for _, v := range m.Variables {
		if v.IsSecret {
			j.masks.add(v.Value)
		}
	}
	for i := range m.Steps {
		j.tasks = append(j.tasks, newTask(j.top, &m.Steps[i]))
	}
	return j, nil
}

func (j *job) run(alive context.Context) {
	defer context.AfterFunc(j.cancelled, j.noteShutdown)()
	if !j.internal("Set up job", "setup_job", j.setUp) {
		return
	}
	for _, setup := range j.containerSetups() {
		if !j.failed {
			j.internal(setup.title, "container_setup", func(s *step) error { return j.setUpImage(alive, s, setup) })
		}
	}
	if len(j.containers) > 0 && !j.failed {
		j.internal("Initialize containers", "init_containers", func(s *step) error { return j.startContainers(alive, s) })
	}
	j.hook(alive, startedHook)
	for _, p := range j.plan() {
		j.perform(alive, p)
	}
	for i := len(j.posts) - 1; i >= 0; i-- {
		j.perform(alive, j.planned(j.posts[i], post))
	}
	j.hook(alive, completedHook)
	if j.containerContext != nil {
		j.internal("Stop containers", "stop_containers", j.stopContainers)
	}
	j.internal("Complete job", "complete_job", j.complete)
}

// noteShutdown says in the job's log that the runner is stopped (JobRunner.cs).
func (j *job) noteShutdown() {
	if errors.Is(context.Cause(j.cancelled), ErrShutdown) {
		j.shutdown.Store(int64(j.log.line(j.stamp() + " ##[error]" + shutdownMessage)))
	}
}

const shutdownMessage = "The runner has received a shutdown signal. This can happen when the runner service is stopped, " +
	"or a manually started runner is canceled."

func (j *job) stopped() bool { return errors.Is(context.Cause(j.cancelled), ErrShutdown) }

// conclusion is how the job goes. A stopped runner's job has failed: nobody
// cancelled it.
func (j *job) conclusion() Conclusion {
	switch {
	case j.stopped():
		return Failed
	case j.cancelled.Err() != nil:
		return Canceled
	case j.failed:
		return Failed
	}
	return Succeeded
}

func (j *job) stamp() string { return j.config.Now().UTC().Format("2006-01-02T15:04:05.0000000Z") }

func (j *job) now() *time.Time {
	now := j.config.Now().UTC()
	return &now
}
