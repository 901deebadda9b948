package simulation

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"time"

	"github.com/mayfly-ci/mayfly/internal/agent"
	"github.com/mayfly-ci/mayfly/internal/claim"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// A host is what has containers: it goes on while no Mayfly runs.
type host struct {
	containers []*container // in the order of their start, until they are removed
	stopping   map[string]bool
}

// A container is a runner's, with the agent in it.
type container struct {
	*world
	name    string
	began   time.Duration
	running bool
	code    int           // once it has ended
	note    string        // what is known of its end besides
	id      int64         // of its registration, once it has one
	idle    time.Duration // its limit
	ran     bool          // a job
	leaving bool          // its runner has been told to end
	asking  bool          // a call is under way: the socket serves one after another
}

func (w *world) container(name string) *container {
	for _, c := range w.host.containers {
		if c.name == name {
			return c
		}
	}
	return nil
}

var errEngine = errors.New("the engine is away")

// start starts the container of runner, as a launcher does.
func (w *world) start(p *process, want ledger.WantRunner) error {
	if w.now < w.engine && !w.calm {
		return errEngine
	}
	if w.failing > 0 && !w.calm {
		w.failing--
		return errors.New("no such image")
	}
	name := string(want.Runner)
	if w.container(name) != nil {
		return nil
	}
	if !w.step(p) || !w.elapse(p, w.span("container start", 50*time.Millisecond, 2*time.Second)) {
		return errPower
	}
	switch {
	case w.host.stopping[name]:
		delete(w.host.stopping, name)
		return errors.New("removed before it ran")
	case w.container(name) != nil:
		return nil
	}
	c := &container{world: w, name: name, began: w.now, running: true}
	w.host.containers = append(w.host.containers, c)
	w.note("%s runs", c.name)
	w.here(w.span("agent", 50*time.Millisecond, time.Second), c.claim)
	if most := p.limit(want.Pool); w.living(want.Pool) > most {
		w.fault("%d containers of pool %s: want %d at most", w.living(want.Pool), want.Pool, most)
	}
	if !w.step(p) {
		return errPower
	}
	return nil
}

// living counts the containers of a pool that run.
func (w *world) living(pool string) (n int) {
	for _, c := range w.host.containers {
		if c.running && bytes.Contains([]byte(c.name), []byte("-"+pool+"-")) {
			n++
		}
	}
	return n
}

// stop ends a container and removes it, as a launcher does.
func (w *world) stop(p *process, name string) error {
	if w.now < w.engine && !w.calm {
		return errEngine
	}
	c := w.container(name)
	if c == nil {
		if p.starting[name] {
			w.host.stopping[name] = true
		}
		return nil
	}
	if !w.step(p) {
		return errPower
	}
	if j := w.runs(c); j != nil && c.running && !c.leaving {
		w.fault("%s runs job %d and is removed", name, j.id)
	}
	c.leaving = true
	if !w.elapse(p, w.span("container stop", 10*time.Millisecond, 2*time.Second)) {
		return errPower
	}
	c.end(agent.ExitTerminated, "")
	if w.broken != "containers are not removed" {
		w.host.containers = slices.DeleteFunc(w.host.containers, func(o *container) bool { return o == c })
	}
	if !w.step(p) {
		return errPower
	}
	return nil
}

// runs returns the job that the runner in c runs.
func (w *world) runs(c *container) *job {
	for _, j := range w.github.jobs {
		if j.status == "in_progress" && j.runner != nil && j.runner.box == c {
			return j
		}
	}
	return nil
}

// end ends the container's processes.
func (c *container) end(code int, note string) {
	if !c.running {
		return
	}
	c.running, c.code, c.note = false, code, note
	c.world.note("%s ends: %d %s", c.name, code, note)
	c.github.disconnect(c)
	c.here(c.span("watch", 10*time.Millisecond, 500*time.Millisecond), func() { c.mayfly.exited(c) })
}

// kill is what somebody on the host does, or the kernel.
func (c *container) kill() {
	if j := c.world.runs(c); j != nil {
		j.excused = true
	}
	c.end(137, "killed from outside")
}

// endSoon has the runner end by itself: the agent says so, and then the container ends.
func (c *container) endSoon(code int, reason string) {
	if c.leaving {
		return
	}
	c.leaving = true
	c.here(c.span("runner end", 100*time.Millisecond, 3*time.Second), func() { c.leave(code, reason) })
}

func (c *container) leave(code int, reason string) {
	switch {
	case !c.running:
		return
	case c.asking:
		c.here(100*time.Millisecond, func() { c.leave(code, reason) })
		return
	}
	c.ask(claim.PathReport, claim.Report{Phase: claim.PhaseGone, ExitCode: code, Reason: reason, Ran: c.ran})
	c.end(code, "")
}

// ask makes a call over the container's socket; 0 when nobody answers.
func (c *container) ask(path string, in any) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	answer.Code = 0
	p := c.mayfly
	if p == nil || p.dead || p.doors[c.name] == nil || path == claim.PathReport && c.now < c.mute && !c.calm {
		return answer
	}
	body, err := json.Marshal(in)
	if err != nil {
		panic(err)
	}
	c.asking = true
	defer func() { c.asking = false }()
	p.doors[c.name].ServeHTTP(answer, httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body)))
	if p.dead { // the answer did not come through
		return &httptest.ResponseRecorder{Body: &bytes.Buffer{}}
	}
	return answer
}

// claimWithin is how long an agent asks (cmd/mayfly-agent), and again how long it waits in between.
const (
	claimWithin = 2 * time.Minute
	again       = 2 * time.Second
)

// claim is the agent's first call, made until there is a final answer.
func (c *container) claim() {
	if !c.running || c.leaving {
		return
	}
	answer := c.ask(claim.PathClaim, struct{}{})
	if !c.running {
		return
	}
	switch answer.Code {
	case http.StatusOK:
		var grant claim.Grant
		if err := json.Unmarshal(answer.Body.Bytes(), &grant); err != nil {
			c.fault("claim of %s: %v", c.name, err)
			return
		}
		c.id, _ = strconv.ParseInt(grant.JIT, 10, 64)
		c.idle = grant.IdleLimit
		c.here(c.span("runner start", time.Second, 6*time.Second), c.listen)
	case http.StatusForbidden:
		c.leave(agent.ExitRefused, "refused")
	default:
		seconds, _ := strconv.Atoi(answer.Header().Get("Retry-After"))
		wait := max(again, time.Duration(seconds)*time.Second)
		if c.now+wait-c.began > claimWithin {
			c.end(agent.ExitUnreachable, "")
			return
		}
		c.here(wait, c.claim)
	}
}

// listen connects the runner to GitHub.
func (c *container) listen() {
	if !c.running || c.leaving {
		return
	}
	if !c.github.connect(c.id, c) {
		c.endSoon(1, "terminated error")
		return
	}
	c.report(claim.PhaseIdle)
	c.here(c.idle, c.wantLeave)
}

// report says what the runner does, until it is taken or something else is to be said.
func (c *container) report(phase string) {
	if phase == claim.PhaseBusy {
		c.ran = true
	}
	if !c.running || c.leaving || c.ran != (phase == claim.PhaseBusy) {
		return
	}
	if c.asking || c.ask(claim.PathReport, claim.Report{Phase: phase}).Code/100 != 2 {
		c.here(c.span("report again", again, 10*time.Second), func() { c.report(phase) })
	}
}

// wantLeave is the idle limit: only GitHub can say that the runner has no job.
func (c *container) wantLeave() {
	if !c.running || c.leaving || c.ran {
		return
	}
	code := c.ask(claim.PathReport, claim.Report{Phase: claim.PhaseLeaving}).Code
	switch {
	case !c.running || c.leaving || c.ran:
	case code == http.StatusNoContent:
		if c.github.runners[c.id] != nil {
			c.fault("%s may leave, and GitHub can give it a job", c.name)
		}
		c.endSoon(0, "idle limit")
	case code == http.StatusConflict:
		c.here(c.idle, c.wantLeave)
	default:
		c.here(again, c.wantLeave)
	}
}
