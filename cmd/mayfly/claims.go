package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mayfly-ci/mayfly/internal/claim"
	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// claimLedger joins the claim stage to the ledger.
type claimLedger struct{ *machine }

// Claim implements claim.Ledger.
func (m claimLedger) Claim(ctx context.Context, runner string) (claim.Permit, error) {
	result, err := m.ledger.Apply(ctx, ledger.Claim{Runner: ledger.RunnerName(runner)})
	switch {
	case err != nil:
		return claim.Permit{}, err
	case !result.Granted:
		return claim.Permit{}, &claim.Refused{Reason: result.Reason}
	}
	r := result.Runner
	p, ok := m.pools().Find(r.Pool)
	if !ok {
		return claim.Permit{}, &claim.Refused{Reason: "pool " + r.Pool + " is not configured any more"}
	}
	scope, err := m.scope(r.Scope)
	if err != nil {
		return claim.Permit{}, &claim.Refused{Reason: err.Error()}
	}
	return claim.Permit{
		Job: r.MadeFor.String(), Scope: scope.String(), Labels: r.Labels.Labels(), Group: p.RunnerGroup,
		IdleLimit: p.IdleLimit, TotalLimit: p.TotalLimit,
	}, nil
}

// Registered implements claim.Ledger.
func (m claimLedger) Registered(ctx context.Context, runner string, id int64) error {
	_, err := m.ledger.Apply(ctx, ledger.Registered{Runner: ledger.RunnerName(runner), GitHubID: id})
	return err
}

// Report implements claim.Ledger. That a runner is gone is said by its agent, but
// counts only when the fleet sees the end of its container; until then the agent's
// reason is kept.
func (m claimLedger) Report(ctx context.Context, runner string, r claim.Report) error {
	name := ledger.RunnerName(runner)
	var in ledger.Input
	switch r.Phase {
	case claim.PhaseIdle:
		in = ledger.Idle{Runner: name}
	case claim.PhaseBusy:
		in = ledger.Busy{Runner: name}
	case claim.PhaseLeaving:
		return m.dismiss(ctx, name)
	case claim.PhaseGone:
		m.words.keep(runner, r.Reason)
		return nil
	}
	_, err := m.ledger.Apply(ctx, in)
	return err
}

// dismiss answers an idle runner that wants to leave: its registration is removed,
// unless GitHub has just given it a job.
func (m claimLedger) dismiss(ctx context.Context, name ledger.RunnerName) error {
	list, err := m.ledger.Runners(ctx, ledger.RunnerQuery{Name: name})
	if err != nil {
		return err
	}
	scope, err := m.scope(list[0].Scope)
	if err != nil {
		return err
	}
	err = m.forget(ctx, scope, string(name), list[0].GitHubID)
	if !errors.Is(err, github.ErrBusy) {
		return err
	}
	if _, err := m.ledger.Apply(ctx, ledger.Busy{Runner: name}); err != nil {
		return err
	}
	return claim.ErrBusy
}

// claimForge joins the claim stage to GitHub.
type claimForge struct{ *machine }

// Register implements claim.Forge with generate-jitconfig: one POST.
func (m claimForge) Register(ctx context.Context, p claim.Permit, runner string) (claim.Registration, error) {
	scope, err := github.ParseScope(p.Scope)
	if err != nil {
		return claim.Registration{}, err
	}
	jit, err := m.forge.GenerateJIT(ctx, scope, github.JITRequest{Name: runner, Labels: p.Labels, Group: p.Group})
	if err != nil {
		err = m.claimError(ctx, runner, err)
		return claim.Registration{}, err
	}
	return claim.Registration{ID: jit.RunnerID, JIT: jit.Config}, nil
}

// Forget implements claim.Forge.
func (m claimForge) Forget(ctx context.Context, p claim.Permit, runner string) error {
	scope, err := github.ParseScope(p.Scope)
	if err != nil {
		return err
	}
	return m.forget(ctx, scope, runner, 0)
}

// claimError says what GitHub's answer means for a claim.
func (m claimForge) claimError(ctx context.Context, runner string, err error) error {
	var limited *github.RateLimited
	switch {
	case errors.Is(err, github.ErrConflict):
		return claim.ErrTaken
	case errors.As(err, &limited):
		return &claim.Later{After: time.Until(limited.Until), Err: err}
	case errors.Is(err, github.ErrNotFound), errors.Is(err, github.ErrUnprocessable),
		errors.Is(err, github.ErrUnauthorized), errors.Is(err, github.ErrForbidden):
		if _, lerr := m.ledger.Apply(ctx, ledger.Failed{Runner: ledger.RunnerName(runner), Reason: err.Error()}); lerr != nil {
			return lerr
		}
		return &claim.Refused{Reason: err.Error()}
	}
	return &claim.Later{Err: err}
}

// forget removes a registration, by id or where that is unknown by name; nil when
// there is none.
func (m *machine) forget(ctx context.Context, scope github.Scope, name string, id int64) error {
	if id == 0 {
		return m.forge.ForgetRunner(ctx, scope, name)
	}
	return m.forge.RemoveRunner(ctx, scope, id)
}

// scope says where a runner for a job of s is registered.
func (m *machine) scope(s ledger.Scope) (github.Scope, error) {
	switch m.Limits.Level {
	case ledger.LevelRepository:
		return github.ParseScope(s.Repository)
	case ledger.LevelOrganization:
		if s.Organization == "" {
			return github.Scope{}, fmt.Errorf("repository %s belongs to no organization: runners_at: organization cannot serve it", s.Repository)
		}
		return github.ParseScope(s.Organization)
	}
	return github.ParseScope(m.Enterprise)
}

// lastWords keeps what agents gave as the reason for their end, until the fleet
// sees that end. The zero value is ready.
type lastWords struct {
	mu      sync.Mutex
	reasons map[string]string // by runner
}

func (w *lastWords) keep(runner, reason string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.reasons == nil {
		w.reasons = map[string]string{}
	}
	w.reasons[runner] = reason
}

func (w *lastWords) of(runner string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.reasons[runner]
}

func (w *lastWords) forget(runner string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.reasons, runner)
}
