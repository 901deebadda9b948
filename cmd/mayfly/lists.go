package main

import (
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/ledger/sqlite"
)

// reading says which database the commands that list read. They read the file
// itself, so they work beside a running mayfly up and after its end.
type reading struct {
	State string `help:"State folder, in place of the configuration's." type:"path" placeholder:"DIR"`
	JSON  bool   `help:"Print JSON."`
}

// path returns where the database is.
func (r reading) path(c *commands) (string, error) {
	if r.State != "" {
		return filepath.Join(r.State, databaseName), nil
	}
	s, err := readSetup(c.Config)
	if err != nil {
		return "", err
	}
	return filepath.Join(s.State, databaseName), nil
}

// open opens the database for reading.
func (r reading) open(c *commands) (*disk.DB, error) {
	path, err := r.path(c)
	if err != nil {
		return nil, err
	}
	db, err := disk.OpenReader(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, cli.Hint(err, "nothing has run with this state folder yet: mayfly up makes it")
	}
	return db, err
}

// limits are those of the configuration, which tell why a job waits. A state folder
// that was named needs no configuration.
func (r reading) limits(c *commands) (ledger.Limits, error) {
	s, err := readSetup(c.Config)
	if err != nil && r.State == "" {
		return ledger.Limits{}, err
	}
	return s.limits, nil
}

// ledger opens the ledger for reading.
func (r reading) ledger(c *commands) (*sqlite.Reader, func() error, error) {
	limits, err := r.limits(c)
	if err != nil {
		return nil, nil, err
	}
	db, err := r.open(c)
	if err != nil {
		return nil, nil, err
	}
	return sqlite.NewReader(db, limits), db.Close, nil
}

// stamp prints a time for a list, by the reader's clock.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("01-02 15:04:05.000")
}
