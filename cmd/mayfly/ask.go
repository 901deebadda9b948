package main

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"

	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/machine"
)

// askFor has one order carried out by whoever writes the database that r names.
func askFor[Out any](ctx context.Context, r reading, all *commands, log *slog.Logger, path string, in any) (out Out, err error) {
	database, err := r.database(all)
	if err != nil {
		return out, err
	}
	state := filepath.Dir(database)
	if !disk.InUse(database) {
		stand, openErr := standInAt(ctx, all, state, log)
		if openErr != nil {
			return out, openErr
		}
		defer func() { err = errors.Join(err, stand.Close()) }()
	}
	return machine.Ask[Out](ctx, state, path, in)
}

// standInAt opens a stand-in for the mayfly up of a state folder.
func standInAt(ctx context.Context, c *commands, state string, log *slog.Logger) (*machine.StandIn, error) {
	s, err := readPart(c.Config)
	if err != nil {
		return nil, err
	}
	return machine.OpenStandIn(ctx, machine.Config{State: state, Limits: s.limits, Outside: s.outside(), Log: log})
}
