package pipeline

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/forge"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// Time limits of the search for orphaned registrations.
const (
	// strayGrace is how long a runner has to be gone before its registration counts as orphaned:
	// its removal may be under way.
	strayGrace = time.Minute

	// RegistrationsBack is how far back a new process looks. GitHub removes an ephemeral runner
	// after a day without a connection.
	// https://docs.github.com/en/actions/reference/runners/self-hosted-runners#ephemeral-runners-for-autoscaling
	RegistrationsBack = 24 * time.Hour

	madeBefore = time.Hour // upper bound of the life of a runner that ran no job
)

// RemoveRegistrations removes orphaned registrations of gone runners: those of a crash during the
// call that creates one, or of a removal that never reached GitHub. It lists the registrations of
// every scope where a runner may have left one since then. It spares busy runners, those of live
// runners, and those of another Mayfly, whose names begin with another instance.
func (p *Pipeline) RemoveRegistrations(ctx context.Context, since time.Time) error {
	if latest := p.Now().Add(-madeBefore); since.After(latest) { // the clock was set back since
		since = latest
	}
	places, err := p.straying(ctx, since)
	if err != nil {
		return err
	}
	var faults error
	for _, place := range slices.SortedFunc(maps.Keys(places), func(a, b forge.Scope) int { return cmp.Compare(a.String(), b.String()) }) {
		if err := p.removeRegistrations(ctx, place); err != nil {
			faults = errors.Join(faults, err)
		}
	}
	return faults
}

// straying returns the scopes of runners that claimed and ended since then without a job. After a
// job GitHub removes the registration by itself.
func (p *Pipeline) straying(ctx context.Context, since time.Time) (map[forge.Scope]bool, error) {
	places := map[forge.Scope]bool{}
	q := ledger.RunnerQuery{}
	for {
		page, err := p.Ledger.Runners(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, r := range page {
			if r.Live() || r.Claimed.IsZero() || !r.Runs.IsZero() || r.Since.Before(since) {
				continue
			}
			if scope, err := p.scope(r.Scope); err == nil { // without a scope it was never registered
				places[scope] = true
			}
		}
		// A page may be short without being the last: a store leaves out rows that it cannot read.
		if len(page) == 0 || page[len(page)-1].Made.Before(since.Add(-madeBefore)) {
			return places, nil
		}
		q.After = page[len(page)-1].Name
	}
}

// removeRegistrations removes what runners of this ledger have left at scope.
func (p *Pipeline) removeRegistrations(ctx context.Context, scope forge.Scope) error {
	registered, err := p.Forge.Runners(ctx, scope)
	if err != nil {
		return err
	}
	state, err := p.Ledger.Snapshot(ctx) // after the list, so that it has every listed runner that is live
	if err != nil {
		return err
	}
	var faults error
	for _, r := range registered {
		if r.Busy || !strings.HasPrefix(r.Name, state.Instance()+"-") {
			continue
		}
		stray, err := p.isStray(ctx, state, ledger.RunnerName(r.Name))
		if err == nil && stray {
			p.Log.Info("removing a registration that is left", "runner", r.Name, "at", scope.String())
			err = p.Forge.RemoveRunner(ctx, scope, r.ID)
		}
		if err != nil && !errors.Is(err, forge.ErrBusy) {
			faults = errors.Join(faults, err)
		}
	}
	return faults
}

// isStray reports whether the runner called name has been gone for a while, or is unknown.
func (p *Pipeline) isStray(ctx context.Context, state *ledger.State, name ledger.RunnerName) (bool, error) {
	if r, ok := state.Runner(name); ok && r.Live() {
		return false, nil
	}
	list, err := p.Ledger.Runners(ctx, ledger.RunnerQuery{Name: name})
	if errors.Is(err, ledger.ErrNotFound) {
		return true, nil
	}
	if err != nil || list[0].Live() {
		return false, err
	}
	age := p.Now().Sub(list[0].Since)
	return age >= strayGrace || age < 0, nil // or the clock was set back
}
