package pipeline

import (
	"context"
	"errors"
	"fmt"

	"github.com/mayfly-ci/mayfly/internal/forge"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// Remove takes a runner away: first its registration, which GitHub refuses while
// it is busy, then its container.
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

// Gone tells the ledger that nothing of a runner's container is left, or that it
// could not be started. Whether that says something of its image, its exit code may tell, too.
func (p *Pipeline) Gone(ctx context.Context, in ledger.Gone) error {
	in.Outside = in.Outside || FromOutside(in.ExitCode)
	_, err := p.Ledger.Apply(ctx, in)
	return err
}

// deregister removes a registration, nil when there is none.
func (p *Pipeline) deregister(ctx context.Context, r ledger.RemoveRunner) error {
	scope, err := p.scope(r.Scope)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUseless, err)
	}
	return p.forget(ctx, scope, string(r.Runner), r.GitHubID)
}

// forget removes a registration, nil when there is none: by id or, where the answer to
// generate-jitconfig was lost, by name. A place that the credential does not see has none of ours, as far as
// can be known: to ask again would only get the same answer.
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
