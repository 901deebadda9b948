package tool

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
	"github.com/mayfly-ci/mayfly/internal/inspect"
)

// eventsCmd is `mayfly events`.
type eventsCmd struct {
	Reading
	Type  string        `help:"Only events of this detail type, such as workflow_job." placeholder:"TYPE"`
	From  string        `help:"Only events of this source, such as github.com." placeholder:"SOURCE"`
	Since time.Duration `help:"Only events from the last DURATION, such as 1h." placeholder:"DURATION"`
	Limit atLeastOne    `help:"The newest, at most so many." default:"50"`
	Full  bool          `help:"Print whole events, one envelope a line."`

	Pattern string `help:"Only events that match the event pattern in this file; - is standard input." placeholder:"FILE"`
	Follow  bool   `short:"f" help:"Go on with what comes, until stopped; the oldest first. With --json, one envelope a line."`
}

// Run lists events, the newest first.
func (c *eventsCmd) Run(ctx context.Context, all *Globals, screen *cli.Screen, log *slog.Logger) error {
	from, err := c.source(ctx, all, log)
	if err != nil {
		return err
	}
	defer from.Close()
	filter := eventlog.Filter{Source: c.From, DetailType: c.Type, Limit: int(c.Limit)}
	if c.Since > 0 {
		filter.Since = time.Now().Add(-c.Since)
	}
	if c.Pattern != "" {
		if filter.Pattern, err = ReadPattern(c.Pattern); err != nil {
			return err
		}
	}
	if c.Follow {
		return c.follow(ctx, from, filter, screen)
	}
	list, err := from.Events.Events(ctx, filter)
	if err != nil {
		return err
	}
	if c.JSON || c.Full {
		return printEvents(screen, list, c.JSON)
	}
	var rows [][]cli.Cell
	for _, s := range list {
		rows = append(rows, cli.Text(Stamp(s.Published), s.Event.Source, s.Event.DetailType, inspect.Gist(s.Event), s.Event.ID))
	}
	screen.Table([]string{"TIME", "SOURCE", "TYPE", "ABOUT", "ID"}, rows)
	return nil
}

// follow prints events as they come, after those that are there.
func (c *eventsCmd) follow(ctx context.Context, from *inspect.Source, filter eventlog.Filter, screen *cli.Screen) error {
	for {
		list, err := from.Events.Events(ctx, filter)
		switch {
		case ctx.Err() != nil:
			return nil // stopped, as it was meant to be
		case err != nil:
			return err
		}
		slices.Reverse(list)
		for _, s := range list {
			if err := c.line(screen, s); err != nil {
				return err
			}
			filter.After = s.Seq
		}
		filter.Limit = 0 // from now on all that comes
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(from.Pause):
		}
	}
}

// line prints one event that came.
func (c *eventsCmd) line(screen *cli.Screen, s eventlog.Stored) error {
	if c.JSON || c.Full {
		return printEvents(screen, []eventlog.Stored{s}, false)
	}
	_, err := fmt.Fprintf(screen.Out, "%s  %s  %s  %s  %s\n", Stamp(s.Published),
		cli.Printable(s.Event.Source), cli.Printable(s.Event.DetailType), cli.Printable(inspect.Gist(s.Event)), s.Event.ID)
	return err
}

// printEvents prints whole events: as one JSON list, or an envelope a line.
func printEvents(screen *cli.Screen, list []eventlog.Stored, asList bool) error {
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
