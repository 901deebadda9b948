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
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
)

// Claims serves the claim protocol to tasks. AWS identifies the caller: its role is one of the
// stack's task roles, and the name of its session is the id of its task.
type Claims struct {
	Pipeline *pipeline.Pipeline
	Tasks    *Tasks
	Publish  func(context.Context, ...event.Event) error // puts events on the stack's bus
	Now      func() time.Time
	CA       string   // certificates in PEM that runners trust besides those of their image
	Roles    []string // unique ids (AROA…) of the roles that may claim
	Log      *slog.Logger
}

// ServeHTTP answers one call of an agent.
func (c *Claims) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	task, err := c.identify(r)
	if err != nil {
		c.Log.Warn("call not served", "path", r.URL.Path, "task", task.ID, "runner", task.Runner, "err", err)
		claim.Refuse(w, err)
		return
	}
	claim.Handler(claim.Config{
		Ledger: telling{c.Pipeline.ClaimLedger(task.ID), task.ID, c.Publish, c.Now}, Forge: c.Pipeline.ClaimForge(), CA: c.CA,
		Log: c.Log.With("task", task.ID),
	}, string(task.Runner)).ServeHTTP(w, r)
}

// identify returns the task that calls.
func (c *Claims) identify(r *http.Request) (task Task, err error) {
	id, err := c.caller(r)
	if err != nil {
		return task, err
	}
	if task, err = c.Tasks.Find(r.Context(), id); err != nil {
		return task, err
	}
	return task, c.check(r, task)
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

// check returns why task may not act for its runner. The ledger decides whether it may claim; a report
// is accepted only from the task that claimed.
func (c *Claims) check(r *http.Request, task Task) error {
	list, err := c.Pipeline.Ledger.Runners(r.Context(), ledger.RunnerQuery{Name: task.Runner})
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return &claim.Refused{Reason: fmt.Sprintf("runner %s is not in the ledger", task.Runner)}
	case err != nil:
		return err
	case list[0].Pool != task.Pool:
		return &claim.Refused{Reason: fmt.Sprintf("runner %s is of the pool %s, and task %s of %s", task.Runner, list[0].Pool, task.ID, task.Pool)}
	case r.URL.Path != claim.PathClaim && list[0].Container != task.ID:
		return &claim.Refused{Reason: fmt.Sprintf("runner %s is another task", task.Runner)}
	}
	return nil
}
