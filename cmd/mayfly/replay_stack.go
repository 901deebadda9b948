package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/aws/view"
	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
)

// openReplays opens the replays of the stack, and its log of events.
func openReplays(ctx context.Context, all *commands) (*view.Replays, *view.Events, error) {
	c, err := openCloud(ctx, all)
	if err != nil {
		return nil, nil, err
	}
	state, err := c.Running(ctx)
	return view.NewReplays(c.Account.Config, state.Outputs["ArchiveArn"], state.Outputs["BusArn"]), view.NewEvents(c.Account.Config, state.Outputs["EventsLogName"]), err
}

// startOnAWS has EventBridge begin a replay, or counts what it would deliver.
func (c *replayStartCmd) startOnAWS(ctx context.Context, all *commands, screen *cli.Screen, o eventlog.ReplayOrder) (err error) {
	if o.Selection.Pattern != nil {
		return cli.Usage(errors.New("--pattern: EventBridge replays all events of a time"), "--rule names rules; a rule of your own on the stack's bus has a pattern")
	}
	now := time.Now()
	if o.To.IsZero() || o.To.After(now) {
		o.To = now
	}
	if !o.From.Before(o.To) {
		return cli.Usage(fmt.Errorf("from %s to %s: want a time before, and one after it", o.From.UTC().Format(time.RFC3339), o.To.UTC().Format(time.RFC3339)), "--from and --to say it; without --to it is now")
	}
	if o.Name, err = nameOnAWS(o); err != nil {
		return err
	}
	replays, log, err := openReplays(ctx, all)
	if err != nil {
		return err
	}
	rules, err := replays.Rules(ctx)
	if err != nil {
		return err
	}
	chosen, err := chooseRules(rules, o)
	if err != nil {
		return err
	}
	if c.DryRun {
		if len(chosen) == 0 {
			chosen = rules
		}
		p, err := replays.Preview(ctx, log, o.Name, o.Selection, chosen)
		if err != nil {
			return err
		}
		screen.Notef("counted in the stack's log of events: EventBridge tells nothing before it delivers")
		return c.printPreview(screen, p)
	}
	if err := replays.Start(ctx, o.Name, o.Selection, chosen); err != nil {
		return err
	}
	if now.Sub(o.To) < view.ArchiveLag {
		screen.Notef("events of the last %s may not be in the archive yet: a replay later has them", cli.Duration(view.ArchiveLag))
	}
	return c.printBegun(screen, o)
}

// nameOnAWS is the name of a replay, as rules know it: those that start and remove runners take
// replays of names that only --launch gives.
func nameOnAWS(o eventlog.ReplayOrder) (string, error) {
	switch launches := strings.HasPrefix(o.Name, contract.LaunchPrefix); {
	case o.Launch && !launches:
		o.Name = contract.LaunchPrefix + o.Name
	case launches && !o.Launch:
		return "", cli.Usage(fmt.Errorf("name %q: what begins with %s starts runners", o.Name, contract.LaunchPrefix), "--launch gives such names; choose another, or --launch if that is what you want")
	}
	if err := eventlog.CheckReplayName(o.Name); err != nil {
		return "", cli.Usage(err, "--name gives another")
	}
	return o.Name, nil
}

// chooseRules returns the rules that o names; none for all.
func chooseRules(rules []view.Rule, o eventlog.ReplayOrder) (chosen []view.Rule, err error) {
	if o.Launch && !slices.ContainsFunc(rules, launches) {
		return nil, cli.Hint(errors.New("--launch: no rule of the stack knows such replays: it is of an older version of mayfly"), "mayfly deploy brings it up to date")
	}
	var names []string
	for _, r := range rules {
		names = append(names, r.Name)
	}
	for _, name := range o.Rules {
		i := slices.Index(names, name)
		if i < 0 {
			return nil, cli.Usage(fmt.Errorf("rule %q: want one of the stack's bus: %s", name, strings.Join(names, ", ")), "--rule can be repeated; without it all get what they match")
		}
		if err := wantReplay(rules[i], o); err != nil {
			return nil, err
		}
		chosen = append(chosen, rules[i])
	}
	return chosen, nil
}

// wantReplay refuses a rule that would get nothing of the replay o.
func wantReplay(r view.Rule, o eventlog.ReplayOrder) error {
	if takes, err := r.TakesReplay(o.Name); err != nil || takes {
		return err
	}
	if launches(r) {
		return leftAlone(r.Name)
	}
	return cli.Usage(fmt.Errorf("rule %q leaves replayed events alone, those of --launch, too", r.Name), "leave it out")
}

// launches reports whether a rule takes the replays of --launch, and no others.
func launches(r view.Rule) bool {
	with, err1 := r.TakesReplay(contract.LaunchPrefix)
	without, err2 := r.TakesReplay("")
	return err1 == nil && err2 == nil && with && !without
}

// listOnAWS lists EventBridge's replays, the newest first.
func (c *replayListCmd) listOnAWS(ctx context.Context, all *commands, screen *cli.Screen) error {
	replays, _, err := openReplays(ctx, all)
	if err != nil {
		return err
	}
	list, err := replays.List(ctx)
	switch {
	case err != nil:
		return err
	case c.JSON:
		return screen.JSON(append([]view.Replay{}, list...))
	}
	var rows [][]cli.Cell
	for _, r := range list {
		rows = append(rows, cli.Text(r.Name, r.State, stamp(r.Begun), stamp(r.Ended), stamp(r.From), stamp(r.To), stamp(r.Reached), orDash(r.Reason)))
	}
	screen.Table([]string{"REPLAY", "STATE", "BEGUN", "ENDED", "FROM", "TO", "REACHED", "REASON"}, rows)
	return nil
}

// cancelOnAWS has EventBridge end a replay.
func (c *replayCancelCmd) cancelOnAWS(ctx context.Context, all *commands) error {
	replays, _, err := openReplays(ctx, all)
	if err != nil {
		return err
	}
	if err = replays.Cancel(ctx, c.Name); errors.Is(err, view.ErrNoReplay) {
		err = cli.Hint(err, "mayfly replay list shows what there is")
	}
	return err
}
