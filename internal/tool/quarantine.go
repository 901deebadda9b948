package tool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/event/schema"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
	"github.com/mayfly-ci/mayfly/internal/inspect"
)

// quarantineCmd is `mayfly quarantine`.
type quarantineCmd struct {
	List    quarantineListCmd    `cmd:"" help:"List deliveries in quarantine and what they lack."`
	Show    quarantineShowCmd    `cmd:"" help:"Print a delivery in quarantine, and what of it its schema does not say."`
	Release quarantineReleaseCmd `cmd:"" help:"Route deliveries again, by this version of mayfly and this configuration, and publish them."`
	Drop    quarantineDropCmd    `cmd:"" help:"Forget deliveries in quarantine."`
}

type quarantineListCmd struct {
	Reading
	Limit atLeastOne `help:"The newest, at most so many." default:"50"`
}

// quarantined reads what is in quarantine and passes f.
func (r Reading) quarantined(ctx context.Context, all *Globals, log *slog.Logger, f eventlog.QuarantineFilter, limit int) ([]eventlog.Quarantined, error) {
	from, err := r.source(ctx, all, log)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	list, err := from.Quarantine.Quarantined(ctx, f, limit)
	return append([]eventlog.Quarantined{}, list...), err
}

// Run lists what is in quarantine, the newest first.
func (c *quarantineListCmd) Run(ctx context.Context, all *Globals, screen *cli.Screen, log *slog.Logger) error {
	list, err := c.quarantined(ctx, all, log, eventlog.QuarantineFilter{}, int(c.Limit))
	switch {
	case err != nil:
		return err
	case c.JSON:
		return screen.JSON(list)
	}
	var rows [][]cli.Cell
	for _, q := range list {
		rows = append(rows, cli.Text(Stamp(q.At), q.Event.DetailType, q.Reason, q.Event.ID))
	}
	screen.Table([]string{"SINCE", "TYPE", "REASON", "EVENT"}, rows)
	return nil
}

type quarantineShowCmd struct {
	Reading
	Event string `arg:"" help:"Id of the event, which is the delivery's."`
}

// Run prints why an event is in quarantine, in which it differs from its schema, and all of it.
func (c *quarantineShowCmd) Run(ctx context.Context, all *Globals, screen *cli.Screen, log *slog.Logger) error {
	list, err := c.quarantined(ctx, all, log, eventlog.QuarantineFilter{Events: []string{c.Event}}, 1)
	switch {
	case err != nil:
		return err
	case len(list) == 0:
		return notHeld(fmt.Errorf("event %q: want one in quarantine", c.Event))
	case c.JSON:
		return screen.JSON(list[0])
	}
	q := list[0]
	fmt.Fprintf(screen.Out, "in quarantine since %s: %s\n", Stamp(q.At), cli.Printable(q.Reason))
	schemas, err := c.schemas(ctx, all, log)
	if err != nil {
		return err
	}
	if err := printStrange(screen, schemas, q.Event); err != nil {
		return err
	}
	return screen.JSON(q.Event)
}

// printStrange prints what an event has that its schema does not say.
func printStrange(screen *cli.Screen, schemas map[string][]*schema.Schema, e event.Event) error {
	versions := schemas[schema.Name(e.Source, e.DetailType)]
	if len(versions) == 0 {
		return nil
	}
	envelope, err := e.AppendEnvelope(nil)
	if err != nil {
		return err
	}
	changes, err := versions[len(versions)-1].Drift(envelope)
	for _, change := range changes {
		fmt.Fprintln(screen.Out, cli.Printable(change.String()))
	}
	return err
}

// holding says which events in quarantine a command is about.
type holding struct {
	Reading
	Events []string `arg:"" optional:"" name:"event" help:"Ids of events."`
	All    bool     `help:"All there are."`
}

// changeQuarantine has what was named changed. Nothing is not all.
func changeQuarantine[Out any](ctx context.Context, h holding, all *Globals, log *slog.Logger, do func(inspect.Quarantine, context.Context, eventlog.QuarantineFilter) (Out, error)) (out Out, err error) {
	if (len(h.Events) > 0) == h.All {
		return out, cli.Usage(errors.New("want ids of events, or --all"), "mayfly quarantine list shows what there is")
	}
	from, err := h.source(ctx, all, log)
	if err != nil {
		return out, err
	}
	defer from.Close()
	return do(from.Quarantine, ctx, eventlog.QuarantineFilter{Events: h.Events})
}

type quarantineReleaseCmd struct{ holding }

// Run releases events. That one stays in quarantine is an error.
func (c *quarantineReleaseCmd) Run(ctx context.Context, all *Globals, screen *cli.Screen, log *slog.Logger) error {
	r, err := changeQuarantine(ctx, c.holding, all, log, inspect.Quarantine.Release)
	switch {
	case err != nil:
		return err
	case c.JSON:
		err = screen.JSON(r)
	default:
		_, err = fmt.Fprintf(screen.Out, "events released: %d\n", r.Released)
	}
	switch {
	case r.Held > 0:
		return cli.Hint(stillHeld(r.Held), "mayfly quarantine list gives the reason; a later version of mayfly may be able to route them")
	case r.Released == 0:
		return notHeld(errors.New("no event that could be released"))
	}
	return err
}

type quarantineDropCmd struct{ holding }

// Run forgets events.
func (c *quarantineDropCmd) Run(ctx context.Context, all *Globals, screen *cli.Screen, log *slog.Logger) error {
	n, err := changeQuarantine(ctx, c.holding, all, log, inspect.Quarantine.Drop)
	switch {
	case err != nil:
		return err
	case c.JSON:
		err = screen.JSON(map[string]int{"dropped": n})
	default:
		_, err = fmt.Fprintf(screen.Out, "events dropped: %d\n", n)
	}
	if n == 0 {
		return notHeld(errors.New("no event that could be dropped"))
	}
	return err
}

func notHeld(err error) error { return cli.Hint(err, "mayfly quarantine list shows what there is") }

func stillHeld(n int) error {
	if n == 1 {
		return errors.New("1 delivery still cannot be routed")
	}
	return fmt.Errorf("%d deliveries still cannot be routed", n)
}
