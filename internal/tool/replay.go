package tool

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
)

// replayCmd is `mayfly replay`.
type replayCmd struct {
	Start  replayStartCmd  `cmd:"" default:"withargs" help:"Deliver events once more, in their order, to rules that match them with their replay-name."`
	List   replayListCmd   `cmd:"" help:"List replays and how far they are."`
	Cancel replayCancelCmd `cmd:"" help:"End a replay that runs. What was delivered stays delivered."`
}

// A moment is a time on the command line: RFC 3339, a day, which is its first moment by UTC, or
// how long ago, such as 2h.
type moment struct{ time.Time }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *moment) UnmarshalText(text []byte) (err error) {
	if ago, err := time.ParseDuration(string(text)); err == nil {
		m.Time = time.Now().Add(-ago)
		return nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if m.Time, err = time.Parse(layout, string(text)); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%q: want a time such as 2026-01-31T12:00:00Z, a day such as 2026-01-31, which begins by UTC, or how long ago, such as 2h", text)
}

// selecting says what to replay.
type selecting struct {
	From    moment   `required:"" help:"Events that were published then or later: a time, a day, or how long ago, such as 2h." placeholder:"TIME"`
	To      moment   `help:"Events that were published before that; by default all there are." placeholder:"TIME"`
	Rule    []string `help:"Only to this rule; can be repeated." placeholder:"NAME"`
	Pattern string   `help:"Only events that match the event pattern in this file; - is standard input." placeholder:"FILE"`
	Launch  bool     `help:"Match events as if they were new: mayfly's own rules, which start and remove runners, and all others that leave replayed events alone get them, too."`
}

// selection reads what was selected.
func (s selecting) selection() (out eventlog.Selection, err error) {
	switch now := time.Now(); {
	case s.From.After(now):
		return out, cli.Usage(fmt.Errorf("--from %s: want a time that is over", s.From.Format(time.RFC3339)), "mayfly events lists what there is to replay")
	case !s.To.IsZero() && !s.From.Before(s.To.Time):
		return out, cli.Usage(fmt.Errorf("--to %s: want a time after --from, %s", s.To.Format(time.RFC3339), s.From.Format(time.RFC3339)), "mayfly events lists what there is to replay")
	}
	out = eventlog.Selection{From: s.From.Time, To: s.To.Time, Rules: s.Rule, Launch: s.Launch}
	if s.Pattern != "" {
		out.Pattern, err = ReadPattern(s.Pattern)
	}
	return out, err
}

// LeftAlone refuses a replay without --launch to a rule of mayfly's own.
func LeftAlone(rule string) error {
	return cli.Usage(fmt.Errorf("rule %q leaves replayed events alone", rule),
		"--launch gives them to it, as if they were new; jobs that are known to be over get no runner even then")
}

type replayStartCmd struct {
	Reading
	selecting
	imagining
	Name   string `help:"Name of the replay, which each event carries as its replay-name; by default the time." placeholder:"NAME"`
	DryRun bool   `help:"Only count what would be delivered."`
}

// Run begins a replay.
func (c *replayStartCmd) Run(ctx context.Context, all *Globals, screen *cli.Screen, log *slog.Logger) (err error) {
	o := eventlog.ReplayOrder{Name: c.Name}
	if o.Selection, err = c.selection(); err != nil {
		return err
	}
	if c.WhatIf != "" {
		return c.compare(ctx, all, screen, log, o.Selection)
	}
	if o.Name == "" {
		o.Name = "replay-" + time.Now().UTC().Format("20060102-150405.000")
	}
	replays := all.Program.Platform.Replays(Call{all, screen, log}, c.Reading)
	if c.DryRun {
		p, err := replays.Preview(ctx, o)
		if err != nil {
			return err
		}
		return c.printPreview(screen, p)
	}
	begun, err := replays.Start(ctx, o)
	if err != nil {
		return err
	}
	return c.printBegun(screen, begun)
}

func (c *replayStartCmd) printBegun(screen *cli.Screen, o eventlog.ReplayOrder) error {
	if c.JSON {
		return screen.JSON(o)
	}
	_, err := fmt.Fprintf(screen.Out, "replay %s has begun: mayfly replay list shows how far it is\n", o.Name)
	return err
}

func (c *replayStartCmd) printPreview(screen *cli.Screen, p eventlog.Preview) error {
	if c.JSON {
		return screen.JSON(p)
	}
	var rows [][]cli.Cell
	for _, rule := range slices.Sorted(maps.Keys(p.Deliveries)) {
		rows = append(rows, cli.Text(rule, fmt.Sprint(p.Deliveries[rule])))
	}
	screen.Table([]string{"RULE", "DELIVERIES"}, rows)
	fmt.Fprintf(screen.Out, "\nevents: %d; nothing was delivered\n", p.Events)
	if p.Dropped > 0 {
		screen.Notef("%d events are left out: their details were dropped to keep archive.max_size", p.Dropped)
	}
	return nil
}

type replayListCmd struct{ Reading }

// Run lists replays, the newest first.
func (c *replayListCmd) Run(ctx context.Context, all *Globals, screen *cli.Screen, log *slog.Logger) error {
	list, err := all.Program.Platform.Replays(Call{all, screen, log}, c.Reading).List(ctx)
	if err != nil {
		return err
	}
	return list.print(screen, c.JSON)
}

type replayCancelCmd struct {
	Reading
	Name string `arg:"" help:"Name of the replay."`
}

// Run cancels a replay.
func (c *replayCancelCmd) Run(ctx context.Context, all *Globals, screen *cli.Screen, log *slog.Logger) error {
	if err := all.Program.Platform.Replays(Call{all, screen, log}, c.Reading).Cancel(ctx, c.Name); err != nil {
		return err
	}
	if c.JSON {
		return screen.JSON(map[string]string{"cancelled": c.Name})
	}
	_, err := fmt.Fprintf(screen.Out, "replay %s is cancelled\n", c.Name)
	return err
}
