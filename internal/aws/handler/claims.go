package handler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/aws/function"
	"github.com/mayfly-ci/mayfly/internal/claim"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
)

// Claims serves the claim protocol to tasks. AWS identifies the caller: its role is one of the
// stack's task roles, and the name of its session is the id of its task.
type Claims struct {
	Pipeline *pipeline.Pipeline
	Tasks    *Tasks
	CA       string   // certificates in PEM that runners trust besides those of their image
	Roles    []string // unique ids (AROA…) of the roles that may claim
	Now      func() time.Time
	Log      *slog.Logger
}

// ServeHTTP answers one call of an agent.
func (c *Claims) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	task, runner, err := c.identify(r)
	if err != nil {
		c.Log.Warn("call not served", "path", r.URL.Path, "task", task.ID, "job", task.Job, "err", err)
		claim.Refuse(w, err)
		return
	}
	claim.Handler(claim.Config{
		Ledger: c.Pipeline.ClaimLedger(task.ID), Forge: c.Pipeline.ClaimForge(), CA: c.CA, Log: c.Log.With("task", task.ID),
	}, string(runner)).ServeHTTP(w, r)
}

// identify returns the task that calls and the runner it represents.
func (c *Claims) identify(r *http.Request) (task Task, runner ledger.RunnerName, err error) {
	id, err := c.caller(r)
	if err != nil {
		return task, "", err
	}
	if task, err = c.Tasks.Find(r.Context(), id); err != nil {
		return task, "", err
	}
	if runner, err = c.runnerOf(r.Context(), task); err != nil {
		return task, "", err
	}
	return task, runner, c.check(r, task, runner)
}

var taskID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// caller returns the id of the task that signed r.
//
// https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads
func (c *Claims) caller(r *http.Request) (string, error) {
	by, ok := function.Caller(r)
	if !ok {
		return "", &claim.Refused{Reason: "the call is not signed"}
	}
	role, session, _ := strings.Cut(by.UserID, ":")
	if !slices.Contains(c.Roles, role) || !taskID.MatchString(session) {
		return "", &claim.Refused{Reason: by.UserARN + " is no task of this stack"}
	}
	return session, nil
}

// runnerOf returns the runner that task represents. A job that the ledger does not know is waited for.
func (c *Claims) runnerOf(ctx context.Context, task Task) (ledger.RunnerName, error) {
	name, why, err := task.runner(ctx, c.Pipeline.Ledger, c.Now())
	if errors.Is(err, ledger.ErrNotFound) {
		if name, why, err = c.ask(ctx, task); errors.Is(err, ledger.ErrNotFound) {
			err = &claim.Refused{Reason: fmt.Sprintf("neither the ledger nor GitHub knows job %s", task.Job)}
		}
	}
	if err == nil && name == "" {
		err = &claim.Refused{Reason: why}
	}
	return name, err
}

// A job's event reaches ECS and the ledger by different routes, and a task may be first. After
// patience GitHub is asked for the job, in case its event was lost.
const (
	again    = time.Second
	patience = 10 * time.Second
)

// ask waits for a job that the ledger does not know, and finally asks GitHub for it.
func (c *Claims) ask(ctx context.Context, task Task) (name ledger.RunnerName, why string, err error) {
	if task.Started.IsZero() || c.Now().Sub(task.Started) < patience {
		return "", "", &claim.Later{After: again, Err: fmt.Errorf("the ledger does not know the job %s yet", task.Job)}
	}
	owner, _, _ := strings.Cut(task.Job.Repository, "/")
	if err := c.Pipeline.Check(ctx, ledger.CheckJob{
		Job: task.Job, Scope: ledger.Scope{Repository: task.Job.Repository, Organization: owner},
	}); err != nil {
		return "", "", err
	}
	return task.runner(ctx, c.Pipeline.Ledger, c.Now())
}

// check returns why task may not act for runner. The ledger decides whether it may claim; a report
// is accepted only from the task that claimed.
func (c *Claims) check(r *http.Request, task Task, name ledger.RunnerName) error {
	list, err := c.Pipeline.Ledger.Runners(r.Context(), ledger.RunnerQuery{Name: name})
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return &claim.Refused{Reason: fmt.Sprintf("runner %s is not in the ledger", name)}
	case err != nil:
		return err
	case list[0].Pool != task.Pool:
		return &claim.Refused{Reason: fmt.Sprintf("runner %s is of the pool %s, and task %s of %s", name, list[0].Pool, task.ID, task.Pool)}
	case r.URL.Path != claim.PathClaim && list[0].Container != task.ID:
		return &claim.Refused{Reason: fmt.Sprintf("runner %s is another task", name)}
	}
	return nil
}
