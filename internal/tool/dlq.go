package tool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
	"github.com/mayfly-ci/mayfly/internal/inspect"
)

// dlqCmd is `mayfly dlq`: the dead-letter queue.
type dlqCmd struct {
	List  dlqListCmd  `cmd:"" help:"List dead letters and why they were given up."`
	Show  dlqShowCmd  `cmd:"" help:"Print the dead letters of an event with the whole event."`
	Retry dlqRetryCmd `cmd:"" help:"Deliver dead letters again, as if they had never been tried."`
	Drop  dlqDropCmd  `cmd:"" help:"Forget dead letters."`
}

type dlqListCmd struct {
	Reading
	Rule  string     `help:"Only those of this rule." placeholder:"RULE"`
	Limit atLeastOne `help:"The newest, at most so many." default:"50"`
}

// Run lists dead letters, the newest first.
func (c *dlqListCmd) Run(ctx context.Context, all *Globals, screen *cli.Screen, log *slog.Logger) error {
	list, err := c.letters(ctx, all, log, eventlog.LetterFilter{Rule: c.Rule}, int(c.Limit))
	if err != nil {
		return err
	}
	if c.JSON {
		return screen.JSON(list)
	}
	var rows [][]cli.Cell
	for _, d := range list {
		rows = append(rows, cli.Text(Stamp(d.Died), d.Rule, d.Event.DetailType, fmt.Sprint(d.Attempts), d.Reason, OrDash(d.Event.ReplayName), d.Event.ID))
	}
	screen.Table([]string{"GIVEN UP", "RULE", "TYPE", "ATTEMPTS", "REASON", "REPLAY", "EVENT"}, rows)
	return nil
}

// letters reads the dead letters that pass f.
func (r Reading) letters(ctx context.Context, all *Globals, log *slog.Logger, f eventlog.LetterFilter, limit int) ([]eventlog.DeadLetter, error) {
	from, err := r.source(ctx, all, log)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	list, err := from.Letters.Letters(ctx, f, limit)
	return append([]eventlog.DeadLetter{}, list...), err
}

type dlqShowCmd struct {
	Reading
	Event string `arg:"" help:"Id of the event."`
}

// Run prints why each delivery of an event was given up, and the event.
func (c *dlqShowCmd) Run(ctx context.Context, all *Globals, screen *cli.Screen, log *slog.Logger) error {
	list, err := c.letters(ctx, all, log, eventlog.LetterFilter{Events: []string{c.Event}}, 1000)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return noLetter(fmt.Errorf("event %q: want one with a dead letter", c.Event))
	}
	if c.JSON {
		return screen.JSON(list)
	}
	for _, d := range list {
		fmt.Fprintf(screen.Out, "rule %s, given up %s after %d attempts: %s\n", d.Rule, Stamp(d.Died), d.Attempts, cli.Printable(d.Reason))
	}
	return screen.JSON(list[0].Event)
}

// picking says which dead letters a command is about.
type picking struct {
	Events []string `arg:"" optional:"" name:"event" help:"Ids of events."`
	Rule   string   `help:"Those of this rule." placeholder:"RULE"`
	All    bool     `help:"All there are."`
}

// filter returns what was picked. Nothing is not all.
func (p picking) filter() (eventlog.LetterFilter, error) {
	if some := len(p.Events) > 0 || p.Rule != ""; some == p.All {
		return eventlog.LetterFilter{}, cli.Usage(errors.New("want ids of events, --rule or both; or --all"), "mayfly dlq list shows what there is")
	}
	return eventlog.LetterFilter{Events: p.Events, Rule: p.Rule}, nil
}

type dlqRetryCmd struct {
	Reading
	picking
}

// Run makes dead letters pending again.
func (c *dlqRetryCmd) Run(ctx context.Context, all *Globals, screen *cli.Screen, log *slog.Logger) error {
	n, err := c.change(ctx, all, log, inspect.Letters.Retry, c.picking)
	if err != nil {
		return err
	}
	return c.report(screen, "retried", n)
}

type dlqDropCmd struct {
	Reading
	picking
}

// Run forgets dead letters.
func (c *dlqDropCmd) Run(ctx context.Context, all *Globals, screen *cli.Screen, log *slog.Logger) error {
	n, err := c.change(ctx, all, log, inspect.Letters.Drop, c.picking)
	if err != nil {
		return err
	}
	return c.report(screen, "dropped", n)
}

// change has what was picked changed and returns how many letters it was.
func (r Reading) change(ctx context.Context, all *Globals, log *slog.Logger, do func(inspect.Letters, context.Context, eventlog.LetterFilter) (int, error), p picking) (int, error) {
	f, err := p.filter()
	if err != nil {
		return 0, err
	}
	from, err := r.source(ctx, all, log)
	if err != nil {
		return 0, err
	}
	defer from.Close()
	return do(from.Letters, ctx, f)
}

// report says how many letters were changed. None is an error: who names one means one.
func (r Reading) report(screen *cli.Screen, done string, n int) error {
	if r.JSON {
		if err := screen.JSON(map[string]int{done: n}); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(screen.Out, "dead letters %s: %d\n", done, n)
	}
	if n == 0 {
		return noLetter(errors.New("no dead letter that could be " + done))
	}
	return nil
}

func noLetter(err error) error {
	return cli.Hint(err, "mayfly dlq list shows what there is; those of rules that are no longer configured can only be dropped")
}
