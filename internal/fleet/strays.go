package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// RemoveStrays removes the containers of this instance that the fleet knows nothing of:
// such as of a start that failed, and could not be undone, while the engine restarted.
// Call it after [Fleet.Adopt], now and then.
func (f *Fleet) RemoveStrays(ctx context.Context) error {
	known := f.Runners() // and after the list again: runners come and go meanwhile
	found, err := f.config.Launcher.List(ctx)
	if err != nil {
		return fmt.Errorf("finding strays: %w", err)
	}
	var errs []error
	known = append(known, f.Runners()...)
	for _, c := range found {
		if slices.Contains(known, c.Runner) {
			continue
		}
		f.config.Log.Warn("removing a container that no runner has", "runner", c.Runner, "pool", c.Pool, "job", c.Job)
		errs = append(errs, f.config.Launcher.Stop(ctx, c.Runner, f.config.Grace))
	}
	return errors.Join(errs...)
}
