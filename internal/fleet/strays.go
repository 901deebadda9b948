package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// RemoveStrays removes containers of this instance that the fleet does not know, for example of a
// failed start that could not be undone because the engine restarted. It spares those of
// [Fleet.Lend]. Call it after [Fleet.Adopt], from time to time.
func (f *Fleet) RemoveStrays(ctx context.Context) error {
	known := f.known() // and again after the list: runners come and go meanwhile
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

// Lend protects a container that the caller starts and removes, such as a canary's, from
// RemoveStrays until done is called.
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

// known returns the names of containers that are not strays.
func (f *Fleet) known() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.AppendSeq(slices.Collect(maps.Keys(f.runners)), maps.Keys(f.lent))
}
