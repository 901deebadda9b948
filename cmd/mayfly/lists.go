package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/mayfly-ci/mayfly/internal/bus"
	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/event"
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

// eventsCmd is `mayfly events`.
type eventsCmd struct {
	reading
	Type  string        `help:"Only events of this detail type, such as workflow_job." placeholder:"TYPE"`
	From  string        `help:"Only events of this source, such as github.com." placeholder:"SOURCE"`
	Since time.Duration `help:"Only events of this last while, such as 1h." placeholder:"TIME"`
	Limit int           `help:"The newest, at most so many." default:"50"`
	Full  bool          `help:"Print whole events, one envelope a line."`
}

// Run lists events, the newest first.
func (c *eventsCmd) Run(ctx context.Context, all *commands, screen *cli.Screen) error {
	db, err := c.open(all)
	if err != nil {
		return err
	}
	defer db.Close()
	filter := bus.Filter{Source: c.From, DetailType: c.Type, Limit: c.Limit}
	if c.Since > 0 {
		filter.Since = time.Now().Add(-c.Since)
	}
	list, err := bus.Events(ctx, db, filter)
	if err != nil {
		return err
	}
	if c.JSON || c.Full {
		return printEvents(screen, list, c.JSON)
	}
	var rows [][]cli.Cell
	for _, s := range list {
		rows = append(rows, cli.Text(stamp(s.Published), s.Event.Source, s.Event.DetailType, gist(s.Event), s.Event.ID))
	}
	screen.Table([]string{"TIME", "SOURCE", "TYPE", "ABOUT", "ID"}, rows)
	return nil
}

// printEvents prints whole events: as one JSON list, or an envelope a line.
func printEvents(screen *cli.Screen, list []bus.Stored, asList bool) error {
	events := make([]event.Event, len(list))
	for i, s := range list {
		events[i] = s.Event
	}
	if asList {
		return screen.JSON(events)
	}
	for _, e := range events {
		text, err := e.MarshalJSON()
		if err != nil {
			return err
		}
		fmt.Fprintf(screen.Out, "%s\n", text)
	}
	return nil
}

// gist says in a few words what an event is about.
func gist(e event.Event) string {
	if job, err := event.ParseWorkflowJob(e.Detail); err == nil && e.DetailType == event.TypeWorkflowJob {
		return fmt.Sprintf("%s %s: %s", job.Action, ledger.KeyOf(job), job.Name)
	}
	if about, err := detail[struct {
		Runner, Reason string
		Job            ledger.JobKey
	}](e); err == nil && e.Source == event.SourceMayfly {
		switch {
		case about.Runner == "":
			return about.Job.String()
		case about.Reason != "":
			return about.Runner + ": " + about.Reason
		}
		return about.Runner
	}
	if len(e.Resources) > 0 {
		return e.Resources[0]
	}
	return ""
}

// stamp prints a time for a list, by the reader's clock.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("01-02 15:04:05.000")
}
