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

// How long registrations that are left are looked for.
const (
	// strayGrace is how long a runner is gone before its registration counts as left: its
	// removal may be under way.
	strayGrace = time.Minute

	// RegistrationsBack is how far back a process looks that has not looked before. After a day without a
	// connection GitHub removes an ephemeral runner by itself.
	// https://docs.github.com/en/actions/reference/runners/self-hosted-runners#ephemeral-runners-for-autoscaling
	RegistrationsBack = 24 * time.Hour

	madeBefore = time.Hour // how much older than its end a runner is that ran no job, at most
)

// RemoveRegistrations removes the registrations that runners have left which are gone: those of a crash while
// GitHub was being asked for one, or of a removal that GitHub never took. It lists the registrations of each
// place where a runner may have left one since then, and takes none that is busy, none of a runner that lives, and
// none of another Mayfly: their names begin with another instance.
func (p *Pipeline) RemoveRegistrations(ctx context.Context, since time.Time) error {
	if latest := p.Now().Add(-madeBefore); since.After(latest) { // of a clock that was set back since
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

// straying returns where runners that have claimed, and are gone since then without a job, were to be
// registered. After a job GitHub removes the registration by itself.
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
			if scope, err := p.scope(r.Scope); err == nil { // or it could not be registered
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
	state, err := p.Ledger.Snapshot(ctx) // after the list, so that a runner which was listed is in it while it lives
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

// isStray reports whether the runner called name has been gone for a while, or was never known.
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
