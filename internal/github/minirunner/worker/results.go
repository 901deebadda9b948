package worker

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github/minirunner/wire"
)

// results is GitHub's service for the state of steps and for logs. It is told as
// well as can be: a job does not fail because nobody could watch it.
type results struct {
	caller *wire.Caller
	base   string // empty when there is no such service
	plan   string
	job    string
	blocks string // folder for what of logs is not sent yet

	order int64 // of updates; owned by the job's goroutine
}

func newResults(j *job) *results {
	return &results{
		caller: j.caller, base: j.message.Variables["system.github.results_endpoint"].Value,
		plan: j.message.Plan.PlanID, job: j.message.JobID, blocks: filepath.Join(j.config.Root, "_diag", "blocks"),
	}
}

// callLimit is for one call to the service.
const callLimit = 100 * time.Second

// Numbers of the service's enumerations (actions/runner, ResultsHttpClient's Contracts.cs).
const (
	statusInProgress = 3
	statusPending    = 5
	statusCompleted  = 6
)

var conclusionNumbers = map[Conclusion]int{Succeeded: 2, Failed: 3, Canceled: 4, Skipped: 7}

// update tells the state of steps.
func (r *results) update(steps ...*step) {
	if len(steps) == 0 {
		return
	}
	r.order++
	states := []any{}
	for _, s := range steps {
		states = append(states, map[string]any{
			"external_id": s.ID, "number": s.Number, "name": s.Name, "status": s.state(),
			"started_at": s.Started, "completed_at": s.Completed, "conclusion": conclusionNumbers[s.Conclusion],
		})
	}
	_ = r.call("github.actions.results.api.v1.WorkflowStepUpdateService/WorkflowStepsUpdate", map[string]any{
		"steps": states, "change_order": r.order,
		"workflow_run_backend_id": r.plan, "workflow_job_run_backend_id": r.job,
	}, nil)
}

// state is the service's number for how far the step is.
func (s *step) state() int {
	switch {
	case s.Completed != nil:
		return statusCompleted
	case s.Started != nil:
		return statusInProgress
	}
	return statusPending
}

const receiver = "results.services.receiver.Receiver/"

// call makes one twirp call. Its address is relative to the endpoint's, which must
// end in a slash for that.
func (r *results) call(method string, in, out any) error {
	if r.base == "" {
		return nil
	}
	address, err := wire.Resolve(r.base, "twirp/"+method)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	return r.caller.Post(ctx, address, in, out)
}

// ids are what calls about a step's log, or the job's, say.
func (r *results) ids(step string) map[string]any {
	in := map[string]any{"workflow_run_backend_id": r.plan, "workflow_job_run_backend_id": r.job}
	if step != "" {
		in["step_backend_id"] = step
	}
	return in
}

// put uploads a blob or a part of one, as to Azure. The address is signed, so it
// needs no authorization.
func (r *results) put(address string, body io.Reader, size int64, header map[string]string) error {
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, address, body)
	if err != nil {
		return err
	}
	req.ContentLength = size
	for k, v := range header {
		req.Header.Set(k, v)
	}
	_, err = (&wire.Caller{HTTP: r.caller.HTTP, UserAgent: r.caller.UserAgent}).Do(req)
	return err
}

// putFile is put with a file's content.
func (r *results) putFile(address, file string, header map[string]string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() == 0 {
		return r.put(address, http.NoBody, 0, header)
	}
	return r.put(address, f, info.Size(), header)
}

// summary sends what a step wrote to its GITHUB_STEP_SUMMARY.
func (r *results) summary(step, text string, now time.Time) {
	in := r.ids(step)
	var where struct {
		URL string `json:"summary_url"`
	}
	if r.call(receiver+"GetStepSummarySignedBlobURL", in, &where) != nil || where.URL == "" {
		return
	}
	header := map[string]string{"x-ms-blob-type": "BlockBlob", "Content-Type": "text/markdown"}
	if r.put(where.URL, strings.NewReader(text), int64(len(text)), header) == nil {
		in["size"], in["uploaded_at"] = len(text), now.UTC()
		_ = r.call(receiver+"CreateStepSummaryMetadata", in, nil)
	}
}
