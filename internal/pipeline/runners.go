package pipeline

import (
	"context"
	"errors"
	"fmt"

	"github.com/mayfly-ci/mayfly/internal/forge"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// Remove removes a runner: first its registration, which GitHub refuses while the runner is busy,
// then its container. With Force the container goes first, because a busy runner's registration can
// only be removed after that.
func (p *Pipeline) Remove(ctx context.Context, r ledger.RemoveRunner) error {
	if r.Registered && !r.Force {
		switch err := p.deregister(ctx, r); {
		case errors.Is(err, forge.ErrBusy):
			_, err := p.Ledger.Apply(ctx, ledger.Busy{Runner: r.Runner})
			return err
		case err != nil:
			return err
		}
	}
	if err := p.Vanish(ctx, r.Runner); err != nil {
		return err
	}
	if r.Registered && r.Force {
		if err := p.deregister(ctx, r); err != nil && !errors.Is(err, forge.ErrBusy) {
			return err
		}
	}
	return p.Gone(ctx, ledger.Gone{Runner: r.Runner})
}

// Gone reports to the ledger that a runner's container no longer exists, or could not be started.
// The exit code may tell, too, that its image is not to blame.
func (p *Pipeline) Gone(ctx context.Context, in ledger.Gone) error {
	in.Outside = in.Outside || FromOutside(in.ExitCode)
	if in.Blame.Cause == "" {
		in.Blame.Cause = causeOfExit(in.ExitCode)
	}
	_, err := p.Ledger.Apply(ctx, in)
	return err
}

// deregister removes a registration; nil if there is none.
func (p *Pipeline) deregister(ctx context.Context, r ledger.RemoveRunner) error {
	scope, err := p.scope(r.Scope)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotProcessable, err)
	}
	return p.forget(ctx, scope, string(r.Runner), r.GitHubID)
}

// forget removes a registration; nil if there is none. It does so by id or, if the answer to
// generate-jitconfig was lost, by name. A scope that the credential does not see counts as having
// none of ours: asking again would get the same answer.
func (p *Pipeline) forget(ctx context.Context, scope forge.Scope, name string, id int64) error {
	var err error
	if id == 0 {
		err = p.Forge.ForgetRunner(ctx, scope, name)
	} else {
		err = p.Forge.RemoveRunner(ctx, scope, id)
	}
	if errors.Is(err, forge.ErrNotFound) {
		return nil
	}
	return err
}
