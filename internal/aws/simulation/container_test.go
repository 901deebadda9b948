package simulation

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/mayfly-ci/mayfly/internal/agent"
	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
	"github.com/mayfly-ci/mayfly/internal/aws/runtimeapi"
	"github.com/mayfly-ci/mayfly/internal/claim"
)

var (
	errStopped  = errors.New("stopped")
	errHostGone = errors.New("its host is gone")
)

// A container is a task's, with the agent and GitHub's runner in it. The agent's way to the claim function is the real
// one; the runner is what GitHub sees of it.
type container struct {
	*world
	task    *task
	channel agent.Channel
	jobs    chan *job     // that GitHub gives it; one
	fired   chan struct{} // closed when GitHub no longer knows it
	fire    func()
	reports sync.WaitGroup
}

// contain runs the container of t to its end.
func (c *cluster) contain(t *task) {
	ctx, stop := context.WithCancelCause(c.ctx)
	defer stop(nil)
	c.mu.Lock()
	if t.ended {
		c.mu.Unlock()
		return
	}
	t.stop = stop
	c.enterLocked(t, "RUNNING")
	c.mu.Unlock()
	fired := make(chan struct{})
	box := &container{world: c.world, task: t, jobs: make(chan *job, 1), fired: fired, fire: sync.OnceFunc(func() { close(fired) })}
	box.channel = agent.Channel{URL: claimURL, Transport: box}
	code := box.run(ctx)
	box.reports.Wait()
	if c.ctx.Err() != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	t.stop = nil
	stopCode, reason := "EssentialContainerExited", "Essential container in task exited"
	if t.stopCode != "" {
		stopCode, reason = t.stopCode, t.reason
	}
	c.endLocked(t, code, stopCode, reason)
}

// claimWithin is how long an agent asks (cmd/mayfly-agent).
const claimWithin = 2 * time.Minute

// run is what the agent does; it returns its exit code.
func (c *container) run(ctx context.Context) int {
	grant, err := agent.Claim(ctx, c.channel, claimWithin)
	switch refused := (*claim.Refused)(nil); {
	case errors.As(err, &refused):
		c.say(claim.Report{Phase: claim.PhaseGone, ExitCode: agent.ExitRefused, Reason: refused.Reason})
		return agent.ExitRefused
	case ctx.Err() != nil:
		return agent.ExitTerminated
	case err != nil:
		return agent.ExitUnreachable
	}
	if c.takes(ctx, runnerStart) != nil {
		return c.leave(agent.ExitTerminated, "terminated")
	}
	if !c.github.connect(grant.JIT, c) {
		return c.leave(1, "terminated error")
	}
	c.reports.Go(func() { c.say(claim.Report{Phase: claim.PhaseIdle}) })
	return c.listen(ctx, grant.IdleLimit)
}

// listen waits for a job, as long as the idle limit and GitHub allow.
func (c *container) listen(ctx context.Context, limit time.Duration) int {
	for {
		timer := time.NewTimer(limit)
		select {
		case j := <-c.jobs:
			timer.Stop()
			return c.perform(ctx, j)
		case <-c.fired:
			timer.Stop()
			return c.leave(1, "terminated error")
		case <-ctx.Done():
			timer.Stop()
			c.github.disconnect(c)
			return c.leave(agent.ExitTerminated, "terminated")
		case <-timer.C:
			err := agent.Report(ctx, c.channel, claim.Report{Phase: claim.PhaseLeaving})
			if !errors.Is(err, claim.ErrBusy) && err == nil {
				return c.leave(0, "idle limit")
			}
		}
	}
}

// perform runs a job.
func (c *container) perform(ctx context.Context, j *job) int {
	c.github.began(j, c)
	c.reports.Go(func() { c.say(claim.Report{Phase: claim.PhaseBusy}) })
	if c.takes(ctx, c.lasts) != nil {
		c.github.abandoned(j)
		return agent.ExitTerminated
	}
	c.github.completed(j)
	c.say(claim.Report{Phase: claim.PhaseGone, Ran: true})
	return 0
}

func (c *container) leave(code int, reason string) int {
	c.say(claim.Report{Phase: claim.PhaseGone, ExitCode: code, Reason: reason})
	return code
}

// say makes a report as the agent does: for a while.
func (c *container) say(r claim.Report) {
	ctx, cancel := context.WithTimeout(c.ctx, 10*time.Second)
	defer cancel()
	_ = agent.Insist(ctx, c.channel, r) // the end of the task is seen without it
}

// RoundTrip calls the claim function, signed as the task's role.
func (c *container) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	who := c.stack.Value(resource(c.task.definition.TaskRoleArn)+".RoleId") + ":" + c.task.id
	event, err := runtimeapi.Event(req, body, &runtimeapi.Identity{
		AccountID: awstest.Account, CallerID: who, UserID: who, UserARN: "arn:aws:sts::" + awstest.Account + ":assumed-role/task/" + c.task.id,
	})
	if err != nil {
		return nil, err
	}
	return c.lambda.url("ClaimFunction", req, body, event)
}
