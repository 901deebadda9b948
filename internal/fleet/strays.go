package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// RemoveStrays removes the containers of this instance that the fleet knows nothing of:
// such as of a start that failed, and could not be undone, while the engine restarted.
// Those that are [Fleet.Lend]'s stay. Call it after [Fleet.Adopt], now and then.
func (f *Fleet) RemoveStrays(ctx context.Context) error {
	known := f.known() // and after the list again: runners come and go meanwhile
	found, err := f.config.Launcher.List(ctx)
	if err != nil {
		return fmt.Errorf("finding strays: %w", err)
	}
	var errs []error
	known = append(known, f.known()...)
	for _, c := range found {
		if slices.Contains(known, c.Runner) {
			continue
		}
		f.config.Log.Warn("removing a container that no runner has", "runner", c.Runner, "pool", c.Pool, "job", c.Job)
		errs = append(errs, f.config.Launcher.Stop(ctx, c.Runner, f.config.Grace))
	}
	return errors.Join(errs...)
}

// Lend has a container that the caller starts and removes by itself, such as a canary's, be no
// stray until done is called.
func (f *Fleet) Lend(name string) (done func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lent[name] = true
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.lent, name)
	}
}

// known returns the names of the containers that are no strays.
func (f *Fleet) known() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.AppendSeq(slices.Collect(maps.Keys(f.runners)), maps.Keys(f.lent))
}
