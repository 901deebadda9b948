package pipeline

import (
	"context"
	"errors"

	"github.com/mayfly-ci/mayfly/internal/claim"
	"github.com/mayfly-ci/mayfly/internal/forge"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// ClaimLedger returns the ledger as the claim stage sees it. Claims are made for container, the
// launcher's id of it, or "" if containers have the name of their runner.
func (p *Pipeline) ClaimLedger(container string) claim.Ledger { return claimLedger{p, container} }

// ClaimForge returns GitHub as the claim stage sees it.
func (p *Pipeline) ClaimForge() claim.Forge { return claimForge{p} }

type claimLedger struct {
	*Pipeline
	container string
}

// Claim implements claim.Ledger.
func (p claimLedger) Claim(ctx context.Context, runner string) (claim.Permit, error) {
	result, err := p.Ledger.Apply(ctx, ledger.Claim{Runner: ledger.RunnerName(runner), Container: p.container})
	switch {
	case err != nil:
		return claim.Permit{}, err
	case result.RetryAfter > 0:
		return claim.Permit{}, &claim.Later{After: result.RetryAfter, Err: errors.New(result.Reason)}
	case !result.Granted:
		return claim.Permit{}, &claim.Refused{Reason: result.Reason}
	}
	r := result.Runner
	pool, ok := p.Limits().Pools.Find(r.Pool)
	if !ok {
		return claim.Permit{}, &claim.Refused{Reason: "pool " + r.Pool + " is not configured any more"}
	}
	scope, err := p.scope(r.Scope)
	if err != nil {
		return claim.Permit{}, &claim.Refused{Reason: err.Error()}
	}
	return claim.Permit{
		Granted: r.Claimed, Job: r.MadeFor.String(), Scope: scope.String(), Labels: r.Labels.Labels(), Group: string(pool.RunnerGroup),
		IdleLimit: pool.IdleLimit, TotalLimit: pool.TotalLimit,
	}, nil
}

// PutOff implements claim.Ledger.
func (p claimLedger) PutOff(ctx context.Context, runner string, permit claim.Permit, later *claim.Later) error {
	_, err := p.Ledger.Apply(ctx, ledger.PutOff{
		Runner: ledger.RunnerName(runner), Granted: permit.Granted, After: later.After, Reason: later.Err.Error(), Blame: Blame(later.Err),
	})
	return err
}

// Registered implements claim.Ledger.
func (p claimLedger) Registered(ctx context.Context, runner string, id int64) error {
	_, err := p.Ledger.Apply(ctx, ledger.Registered{Runner: ledger.RunnerName(runner), GitHubID: id})
	return err
}

// Report implements claim.Ledger.
func (p claimLedger) Report(ctx context.Context, runner string, r claim.Report) error {
	name := ledger.RunnerName(runner)
	in := Progress(name, r.Phase)
	switch r.Phase {
	case claim.PhaseLeaving:
		return p.dismiss(ctx, name)
	case claim.PhaseGone:
		if r.Ran && r.ExitCode == 0 && r.Memory.Kills == 0 { // the common case: the launcher reports the end, and there is nothing to add
			return nil
		}
		in = ledger.LastWords{Runner: name, Reason: r.Reason, Memory: r.Memory, Output: r.Output}
	}
	_, err := p.Ledger.Apply(ctx, in)
	return err
}

// Progress returns what it means for the ledger that a runner has reached phase; nil for a phase whose report has to
// be answered, or says more.
func Progress(name ledger.RunnerName, phase string) ledger.Input {
	switch phase {
	case claim.PhaseIdle:
		return ledger.Idle{Runner: name}
	case claim.PhaseBusy:
		return ledger.Busy{Runner: name}
	case claim.PhaseRestarting:
		return ledger.Restarting{Runner: name}
	}
	return nil
}

// dismiss answers an idle runner that asks to leave: its registration is removed, unless GitHub has
// just given it a job. Only GitHub knows that, so the answer is its own: it refuses to remove a
// busy runner.
func (p claimLedger) dismiss(ctx context.Context, name ledger.RunnerName) error {
	list, err := p.Ledger.Runners(ctx, ledger.RunnerQuery{Name: name})
	if err != nil {
		return err
	}
	scope, err := p.scope(list[0].Scope)
	if err != nil {
		return err
	}
	err = p.forget(ctx, scope, string(name), list[0].GitHubID)
	if !errors.Is(err, forge.ErrBusy) {
		return err
	}
	if _, err := p.Ledger.Apply(ctx, ledger.Busy{Runner: name}); err != nil {
		return err
	}
	return claim.ErrBusy
}

type claimForge struct{ *Pipeline }

// Register implements claim.Forge with one POST to generate-jitconfig.
func (p claimForge) Register(ctx context.Context, permit claim.Permit, runner string) (claim.Registration, error) {
	scope, err := forge.ParseScope(permit.Scope)
	if err != nil {
		return claim.Registration{}, err
	}
	made, err := p.Forge.Register(ctx, scope, forge.Registration{Name: runner, Labels: permit.Labels, Group: permit.Group})
	if err != nil {
		return claim.Registration{}, p.answer(ctx, runner, err)
	}
	return claim.Registration{ID: made.RunnerID, JIT: made.Config, Program: made.Program}, nil
}

// Forget implements claim.Forge.
func (p claimForge) Forget(ctx context.Context, permit claim.Permit, runner string) error {
	scope, err := forge.ParseScope(permit.Scope)
	if err != nil {
		return err
	}
	if err := p.forget(ctx, scope, runner, 0); err != nil {
		return p.later(err)
	}
	return nil
}

// answer translates GitHub's refusal to register into the answer to a claim. A final one fails the
// runner, so that the ledger makes the next one after a growing pause.
func (p claimForge) answer(ctx context.Context, runner string, err error) error {
	switch {
	case errors.Is(err, forge.ErrConflict):
		return claim.ErrTaken
	case errors.Is(err, forge.ErrNotFound), errors.Is(err, forge.ErrUnprocessable),
		errors.Is(err, forge.ErrUnauthorized), errors.Is(err, forge.ErrForbidden):
		failed := ledger.Failed{Runner: ledger.RunnerName(runner), Reason: err.Error(), Refused: true, Unauthorized: errors.Is(err, forge.ErrUnauthorized), Blame: Blame(err)}
		if _, lerr := p.Ledger.Apply(ctx, failed); lerr != nil {
			return lerr
		}
		return &claim.Refused{Reason: err.Error()}
	}
	return p.later(err)
}

// later has the call repeated, at the time that GitHub named if it did.
func (p claimForge) later(err error) *claim.Later {
	if limited := (*forge.RateLimited)(nil); errors.As(err, &limited) {
		return &claim.Later{After: limited.Until.Sub(p.Now()), Err: err}
	}
	return &claim.Later{Err: err}
}
