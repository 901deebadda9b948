package githubsim

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github/expr"
)

// Dispatch starts a workflow by hand: file is its name, such as ci.yml, on a branch
// or tag.
func (s *Sim) Dispatch(repository, file, ref string, inputs map[string]any) (Run, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	repo := s.repository(repository)
	if repo == nil {
		return Run{}, fmt.Errorf("repository %q: there is none of that name", repository)
	}
	r, err := s.dispatchRun(repo, file, ref, inputs)
	if err != nil {
		return Run{}, err
	}
	return r.snapshot(), nil
}

// dispatchRun is Dispatch for callers that hold mu. file may be the workflow's id.
func (s *Sim) dispatchRun(repo *repository, file, ref string, given map[string]any) (*run, error) {
	full, head, found := repo.find(ref)
	if !found {
		return nil, fmt.Errorf("no ref found for: %s", ref)
	}
	for _, f := range readWorkflows(head.Files) {
		if path.Base(f.path) != file && itoa(repo.workflows[f.path]) != file {
			continue
		}
		if f.file == nil {
			return nil, f.faults[0]
		}
		if f.file.Dispatch == nil {
			return nil, fmt.Errorf("workflow does not have 'workflow_dispatch' trigger")
		}
		inputs, err := f.file.Dispatch.Values(plainJSON(given), expr.Scope{})
		if err != nil {
			return nil, err
		}
		return s.startRun(repo, f, trigger{
			event: "workflow_dispatch", ref: full, commit: head, inputs: inputs,
			payload: object{"inputs": texts(inputs), "ref": full, "workflow": f.path},
		}), nil
	}
	return nil, fmt.Errorf("workflow %q: %s of %s has %w", file, ref, repo.fullName(), errNoWorkflow)
}

var errNoWorkflow = errors.New("none of that name")

// texts gives inputs as github.event.inputs has them: all are texts.
// https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows#providing-inputs
func texts(inputs map[string]any) object {
	out := object{}
	for name, v := range inputs {
		out[name] = expr.Text(v)
	}
	return out
}

// dispatch starts a workflow by hand.
// https://docs.github.com/en/rest/actions/workflows#create-a-workflow-dispatch-event
func (s *Sim) dispatch(c call) reply {
	var in struct {
		Ref     string         `json:"ref"`
		Inputs  map[string]any `json:"inputs"`
		Details bool           `json:"return_run_details"`
	}
	if !c.decode(&in) {
		return badJSON()
	}
	r, err := s.dispatchRun(c.scope.repo, c.PathValue("file"), in.Ref, in.Inputs)
	switch {
	case errors.Is(err, errNoWorkflow):
		return notFound()
	case err != nil:
		return unprocessable(err.Error())
	case in.Details:
		shape := r.shape(c.web)
		return ok(object{"workflow_run_id": r.ID, "run_url": shape["url"], "html_url": shape["html_url"]})
	}
	return noContent()
}

// runSchedules starts the workflows of default branches whose time has come. One
// that was due several times is started once: GitHub makes up for nothing.
// https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows#schedule
func (s *Sim) runSchedules(now time.Time) {
	for _, repo := range s.repos {
		for _, one := range repo.scheduled(now) {
			s.startRun(repo, one.workflowFile, trigger{
				event: "schedule", ref: defaultRef, commit: repo.heads[defaultRef], payload: object{"schedule": one.cron, "workflow": one.path},
			})
		}
	}
}

// defaultRef is the default branch of every repository.
const defaultRef = "refs/heads/main"

// A due is a workflow that is to be started, by a line of its schedule.
type due struct {
	workflowFile
	cron string
}

// scheduled gives the workflows whose time has come, and remembers when it will
// come next. A new schedule counts from when it was pushed.
func (r *repository) scheduled(now time.Time) []due {
	var out []due
	next := map[string]time.Time{}
	for _, f := range r.scheduleFiles() {
		for _, line := range f.file.Schedules {
			key := f.path + " " + line.Cron + " " + line.Timezone
			at, known := r.due[key]
			if !known {
				at = line.Next(r.pushed)
			}
			if !at.IsZero() && !now.Before(at) {
				out = append(out, due{f, line.Cron})
				at = line.Next(now)
			}
			next[key] = at
		}
	}
	r.due = next
	return out
}

// scheduleFiles gives the default branch's workflows that have a schedule. They are
// read once per commit.
func (r *repository) scheduleFiles() []workflowFile {
	head := r.heads[defaultRef]
	if r.readAt == head.SHA {
		return r.onSchedule
	}
	r.readAt, r.onSchedule = head.SHA, nil
	for _, f := range readWorkflows(head.Files) {
		if f.file != nil && len(f.file.Schedules) > 0 {
			r.onSchedule = append(r.onSchedule, f)
		}
	}
	return r.onSchedule
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
