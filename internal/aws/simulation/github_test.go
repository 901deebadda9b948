package simulation

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/aws/runtimeapi"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim/hook"
)

// A hub is GitHub: jobs, their events, and runners. All of it is guarded by mu.
type hub struct {
	*world
	jobs       []*job
	waiting    map[string][]*job          // queued, by organization
	idle       map[string][]*registration // that listen and have no job
	runners    map[int64]*registration
	names      map[string]*registration
	last       int64
	deliveries []*attempt
	limits     map[string]*limit // by whose token
	left       int               // jobs that are not over
}

// A job is one at GitHub.
type job struct {
	id         int64
	org        string
	status     string
	conclusion string
	runner     string
	begun      int
	queued     time.Time
	recorded   time.Time // when the ledger first had it
	started    time.Time
	ended      time.Time
	excused    bool // its host was ended by AWS
}

// A registration is a runner as GitHub knows it.
type registration struct {
	id   int64
	name string
	org  string
	box  *container // that listens
	job  *job
}

// An attempt is one to bring the webhook an event.
type attempt struct {
	id   int64
	guid string
	body []byte
	at   time.Time
	code int
}

func newHub(w *world) *hub {
	return &hub{
		world: w, waiting: map[string][]*job{}, idle: map[string][]*registration{}, runners: map[int64]*registration{},
		names: map[string]*registration{}, limits: map[string]*limit{}, left: w.jobs,
	}
}

func (h *hub) open() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.left
}

// push queues the i-th job.
func (h *hub) push(i int) {
	h.mu.Lock()
	j := &job{id: int64(i + 1), org: fmt.Sprintf("org%d", i%h.orgs+1), status: "queued", queued: time.Now()}
	h.jobs = append(h.jobs, j)
	h.waiting[j.org] = append(h.waiting[j.org], j)
	h.mu.Unlock()
	h.tell(j, "queued")
	h.matchSoon(j.org)
}

// recorded notes that the ledger's table has an item of that name.
func (h *hub) recorded(name string) {
	if !strings.HasPrefix(name, "job#") {
		return
	}
	number, _, _ := strings.Cut(strings.TrimPrefix(name, "job#"), "/")
	id, _ := strconv.ParseInt(number, 10, 64)
	if id < 1 || int(id) > len(h.jobs) {
		h.faultLocked("the ledger has %s, which is no job of GitHub's", name)
		return
	}
	if j := h.jobs[id-1]; j.recorded.IsZero() {
		j.recorded = time.Now()
	}
}

// shape is what GitHub says of j.
func (j *job) shape() map[string]any {
	stamp := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	s := map[string]any{
		"id": j.id, "run_id": j.id, "run_attempt": 1, "name": "build", "workflow_name": "CI", "labels": []string{"self-hosted", "small"}, "status": j.status,
		"html_url": fmt.Sprintf("https://github.com/%s/web/actions/runs/%d/job/%d", j.org, j.id, j.id), "created_at": stamp(j.queued), "started_at": stamp(j.queued),
	}
	if j.runner != "" {
		s["runner_name"], s["started_at"] = j.runner, stamp(j.started)
	}
	if j.status == "completed" {
		s["conclusion"], s["completed_at"] = j.conclusion, stamp(j.ended)
	}
	return s
}

// tell sends a delivery about j.
func (h *hub) tell(j *job, action string) {
	h.mu.Lock()
	body, err := json.Marshal(map[string]any{
		"action": action, "workflow_job": j.shape(), "repository": map[string]any{"full_name": j.org + "/web"}, "organization": map[string]any{"login": j.org},
	})
	h.mu.Unlock()
	if err != nil {
		h.fault("delivery: %v", err)
	}
	d := attempt{guid: fmt.Sprintf("%s-%d", action, j.id), body: body}
	h.start(func() {
		if h.takes(h.ctx, deliverySent) == nil {
			h.deliver(d, h.bad && h.chance(lostOnIt))
		}
	})
}

// deliver makes one attempt; GitHub makes no other by itself.
func (h *hub) deliver(d attempt, lost bool) {
	h.mu.Lock()
	d.id, d.at = int64(len(h.deliveries)+1), time.Now()
	one := &d
	h.deliveries = append(h.deliveries, one)
	h.mu.Unlock()
	if lost {
		return
	}
	req, err := http.NewRequestWithContext(h.ctx, http.MethodPost, hookURL, bytes.NewReader(d.body))
	if err != nil {
		h.fault("delivery: %v", err)
		return
	}
	req.Header = http.Header{
		"Content-Type": {"application/json"}, "X-Github-Event": {"workflow_job"}, "X-Github-Delivery": {d.guid},
		"X-Hub-Signature-256": {hook.Sign(hookSecret, d.body)},
	}
	event, err := runtimeapi.Event(req, d.body, nil)
	if err != nil {
		h.fault("delivery: %v", err)
		return
	}
	begun := time.Now()
	res, err := h.lambda.url("WebhookFunction", req, d.body, event)
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, res.Body)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tally.answers = append(h.tally.answers, time.Since(begun))
	if one.code = res.StatusCode; time.Since(begun) > deliveryWait {
		one.code = 0 // GitHub has hung up
	}
	if one.code/100 != 2 {
		h.tally.deliveriesFailed++
	}
}

// matchSoon gives jobs to runners in a while.
func (h *hub) matchSoon(org string) {
	h.after(h.draw(jobMatched), func() { h.match(org) })
}

// match gives queued jobs to idle runners, in their order: all fit.
func (h *hub) match(org string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.waiting[org]) > 0 && len(h.idle[org]) > 0 {
		j, r := h.waiting[org][0], h.idle[org][0]
		h.waiting[org], h.idle[org] = h.waiting[org][1:], h.idle[org][1:]
		r.job = j
		r.box.jobs <- j
	}
}

// connect has a runner listen, and reports whether GitHub knows it.
func (h *hub) connect(jit string, box *container) bool {
	id, _ := strconv.ParseInt(jit, 10, 64)
	h.mu.Lock()
	r := h.runners[id]
	if r != nil {
		if r.box != nil {
			h.faultLocked("two containers are the runner %s", r.name)
		}
		r.box = box
		h.idle[r.org] = append(h.idle[r.org], r)
	}
	h.mu.Unlock()
	if r == nil {
		return false
	}
	h.matchSoon(r.org)
	return true
}

// of returns the registration that box listens as.
func (h *hub) of(box *container) *registration {
	for _, r := range h.runners {
		if r.box == box {
			return r
		}
	}
	return nil
}

func (h *hub) disconnect(box *container) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r := h.of(box); r != nil {
		h.idle[r.org] = slices.DeleteFunc(h.idle[r.org], func(o *registration) bool { return o == r })
	}
}

// began notes that a runner took its job.
func (h *hub) began(j *job, box *container) {
	h.mu.Lock()
	r := h.of(box)
	if j.begun++; j.begun > 1 || r == nil {
		h.faultLocked("job %d began %d times", j.id, j.begun)
	}
	j.status, j.started = "in_progress", time.Now()
	if r != nil {
		j.runner = r.name
	}
	h.mu.Unlock()
	h.tell(j, "in_progress")
}

// completed ends a job and its runner's registration.
func (h *hub) completed(j *job) { h.end(j, "success") }

// abandoned ends a job whose runner went, as GitHub does when nothing is heard of it for ten minutes.
func (h *hub) abandoned(j *job) {
	j.excused = true
	h.after(10*time.Minute, func() { h.end(j, "failure") })
}

func (h *hub) end(j *job, conclusion string) {
	h.mu.Lock()
	j.status, j.conclusion, j.ended = "completed", conclusion, time.Now()
	h.left--
	if r := h.names[j.runner]; r != nil {
		delete(h.names, r.name)
		delete(h.runners, r.id)
	}
	h.mu.Unlock()
	h.tell(j, "completed")
}

// RoundTrip is the API.
func (h *hub) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	leave, no := h.enter(req)
	if err := h.takes(ctx, githubCall); err != nil {
		leave()
		return nil, err
	}
	defer leave()
	if no != nil {
		return no.response(req), nil
	}
	h.mu.Lock()
	a := h.serve(req)
	h.mu.Unlock()
	h.note(req, &a)
	return a.response(req), context.Cause(ctx)
}
