package minirunner

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"sync"
	"time"
)

// results is GitHub's service for the state of steps and for logs. It is told as
// well as can be: a job does not fail because nobody could watch it.
type results struct {
	caller *caller
	base   string // ends in a slash; empty when there is no such service
	plan   string
	job    string

	order int64 // of updates; owned by the job's goroutine
}

// callLimit is for one call to the service.
const callLimit = 10 * time.Second

// Numbers of the service's enumerations (actions/runner, ResultsHttpClient's Contracts.cs).
const (
	statusInProgress = 3
	statusCompleted  = 6
)

var conclusionNumbers = map[conclusion]int{succeeded: 2, failed: 3, canceled: 4, skipped: 7}

// update tells the state of a step.
func (r *results) update(s *step) {
	r.order++
	state := map[string]any{
		"external_id": s.ID, "number": s.Number, "name": s.Name, "status": statusInProgress,
		"started_at": s.Started, "conclusion": 0,
	}
	if s.Completed != nil {
		state["status"], state["completed_at"], state["conclusion"] = statusCompleted, s.Completed, conclusionNumbers[s.Conclusion]
	}
	r.call("github.actions.results.api.v1.WorkflowStepUpdateService/WorkflowStepsUpdate", map[string]any{
		"steps": []any{state}, "change_order": r.order,
		"workflow_run_backend_id": r.plan, "workflow_job_run_backend_id": r.job,
	}, nil)
}

// call makes one twirp call.
func (r *results) call(method string, in, out any) error {
	if r.base == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	return r.caller.post(ctx, r.base+"twirp/"+method, in, out)
}

// A logUpload sends a log while it is written: Azure's append blob, one block per
// flush.
type logUpload struct {
	results *results
	step    string // id of the step; empty for the log of the whole job

	mu    sync.Mutex
	buf   bytes.Buffer // not sent yet
	lines int
	stop  chan struct{}
	sent  chan struct{}
	url   string // owned by send
}

const (
	flushEvery = 500 * time.Millisecond
	maxUnsent  = 8 << 20 // of a log that cannot be sent; then lines are dropped
)

// upload begins a log and sends what is written to it until it is closed.
func (r *results) upload(step string) *logUpload {
	u := &logUpload{results: r, step: step, stop: make(chan struct{}), sent: make(chan struct{})}
	go u.send()
	return u
}

func (u *logUpload) line(text string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.buf.Len() < maxUnsent {
		u.buf.WriteString(text + "\n")
	}
	u.lines++
}

// close sends the rest and tells how long the log is.
func (u *logUpload) close(now time.Time) int {
	close(u.stop)
	<-u.sent
	method, in := "CreateStepLogsMetadata", u.names()
	if u.step == "" {
		method = "CreateJobLogsMetadata"
	}
	in["uploaded_at"], in["line_count"] = now.UTC(), u.lines
	u.results.call("results.services.receiver.Receiver/"+method, in, nil)
	return u.lines
}

func (u *logUpload) names() map[string]any {
	in := map[string]any{"workflow_run_backend_id": u.results.plan, "workflow_job_run_backend_id": u.results.job}
	if u.step != "" {
		in["step_backend_id"] = u.step
	}
	return in
}

func (u *logUpload) send() {
	defer close(u.sent)
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			u.flush(false)
		case <-u.stop:
			u.flush(true)
			return
		}
	}
}

// flush sends what is there as one block, and makes the blob before the first.
func (u *logUpload) flush(last bool) {
	u.mu.Lock()
	block := bytes.Clone(u.buf.Bytes())
	u.buf.Reset()
	u.mu.Unlock()
	if u.results.base == "" || len(block) == 0 && !last {
		return
	}
	if u.url == "" && !u.create() {
		return
	}
	query := "&comp=appendblock"
	if last {
		query += "&seal=true"
	}
	u.put(u.url+query, block, nil)
}

func (u *logUpload) create() bool {
	method := "GetStepLogsSignedBlobURL"
	if u.step == "" {
		method = "GetJobLogsSignedBlobURL"
	}
	var where struct {
		URL string `json:"logs_url"`
	}
	if u.results.call("results.services.receiver.Receiver/"+method, u.names(), &where) != nil || where.URL == "" {
		return false
	}
	if !strings.Contains(where.URL, "?") {
		where.URL += "?"
	}
	if !u.put(where.URL, nil, map[string]string{"x-ms-blob-type": "AppendBlob", "x-ms-blob-content-type": "text/plain"}) {
		return false
	}
	u.url = where.URL
	return true
}

func (u *logUpload) put(address string, block []byte, header map[string]string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, address, bytes.NewReader(block))
	if err != nil {
		return false
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	_, err = (&caller{http: u.results.caller.http}).do(req) // the URL is signed: no authorization
	return err == nil
}

// summary sends what a step wrote to its GITHUB_STEP_SUMMARY.
func (r *results) summary(step, text string, now time.Time) {
	u := &logUpload{results: r, step: step}
	in := u.names()
	var where struct {
		URL string `json:"summary_url"`
	}
	if r.call("results.services.receiver.Receiver/GetStepSummarySignedBlobURL", in, &where) != nil || where.URL == "" {
		return
	}
	if u.put(where.URL, []byte(text), map[string]string{"x-ms-blob-type": "BlockBlob", "x-ms-blob-content-type": "text/markdown"}) {
		in["size"], in["uploaded_at"] = len(text), now.UTC()
		r.call("results.services.receiver.Receiver/CreateStepSummaryMetadata", in, nil)
	}
}
