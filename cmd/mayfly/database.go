package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/inspect/local"
	"github.com/mayfly-ci/mayfly/internal/machine"
	"github.com/mayfly-ci/mayfly/internal/tool"
)

// A database is the one of this machine that a command names.
type database struct {
	*tool.Globals
	tool.Reading
	log   *slog.Logger
	fresh bool // it is made where there is none
}

// path returns where the database is.
func (d database) path() (string, error) {
	if d.State != "" {
		return filepath.Join(d.State, machine.DatabaseName), nil
	}
	s, err := tool.ReadPart(d.Config)
	if err != nil {
		return "", err
	}
	return filepath.Join(s.State, machine.DatabaseName), nil
}

// find returns where the database is, which must be there.
func (d database) find() (path string, err error) {
	if err := d.wantMachine(); err != nil {
		return "", err
	}
	if path, err = d.path(); err != nil {
		return "", err
	}
	if d.fresh {
		return path, os.MkdirAll(filepath.Dir(path), 0o700)
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return "", cli.Hint(err, "nothing has run with this state folder yet: mayfly up makes it")
	}
	return path, nil
}

// wantMachine refuses what has no database, for the commands that need one.
func (d database) wantMachine() error {
	if d.State != "" && d.Platform == "" { // which needs no configuration
		return nil
	}
	switch aws, err := d.OnAWS(d.Globals); {
	case err != nil:
		return err
	case aws:
		return cli.Usage(errors.New("platform aws: this command is for the bus of one machine"),
			"--platform machine or --state say that this machine is meant")
	}
	return nil
}

// open opens the database for reading. It works beside a running mayfly up and after
// its end.
func (d database) open(ctx context.Context) (*disk.DB, string, error) {
	path, err := d.find()
	if err != nil {
		return nil, "", err
	}
	db, err := local.OpenDatabase(ctx, path)
	return db, path, err
}

// askFor has one order carried out by whoever writes the database.
func askFor[Out any](ctx context.Context, d database, order string, in any) (out Out, err error) {
	path, err := d.find()
	if err != nil {
		return out, err
	}
	state := filepath.Dir(path)
	if !disk.InUse(path) {
		stand, openErr := standInAt(ctx, d.Globals, state, d.log)
		if openErr != nil {
			return out, openErr
		}
		defer func() { err = errors.Join(err, stand.Close()) }()
	}
	return machine.Ask[Out](ctx, state, order, in)
}

// order is askFor with an answer of any type.
func (d database) order(ctx context.Context, order string, in, out any) error {
	text, err := askFor[json.RawMessage](ctx, d, order, in)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, out)
}

// standInAt opens a stand-in for the mayfly up of a state folder.
func standInAt(ctx context.Context, c *tool.Globals, state string, log *slog.Logger) (*machine.StandIn, error) {
	s, err := readPart(c.Config)
	if err != nil {
		return nil, err
	}
	return machine.OpenStandIn(ctx, machine.Config{State: state, Limits: s.Limits, Outside: s.outside(), Log: log})
}
