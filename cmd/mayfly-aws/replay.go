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
	"github.com/mayfly-ci/mayfly/internal/tool"
)

// openReplays opens the replays of the stack, and its log of events.
func openReplays(ctx context.Context, all *tool.Globals) (*view.Replays, *view.Events, error) {
	c, err := openCloud(ctx, all)
	if err != nil {
		return nil, nil, err
	}
	state, err := c.Running(ctx)
	return view.NewReplays(c.Account.Config, state.Outputs["ArchiveArn"], state.Outputs["BusArn"]), view.NewEvents(c.Account.Config, state.Outputs["EventsLogName"]), err
}

// replays are EventBridge's.
type replays struct{ tool.Call }

// prepare completes o, and opens what carries it out: the stack's replays, its log of events, and
// of its rules all and those that o names.
func (r replays) prepare(ctx context.Context, o *eventlog.ReplayOrder) (at *view.Replays, log *view.Events, rules, chosen []view.Rule, err error) {
	if err := complete(o, time.Now()); err != nil {
		return nil, nil, nil, nil, err
	}
	if at, log, err = openReplays(ctx, r.Globals); err != nil {
		return nil, nil, nil, nil, err
	}
	if rules, err = at.Rules(ctx); err == nil {
		chosen, err = chooseRules(rules, *o)
	}
	return at, log, rules, chosen, err
}

// complete gives o its end and its name, or says what EventBridge cannot do.
func complete(o *eventlog.ReplayOrder, now time.Time) (err error) {
	if o.Selection.Pattern != nil {
		return cli.Usage(errors.New("--pattern: EventBridge replays all events of a time"), "--rule names rules; a rule of your own on the stack's bus has a pattern")
	}
	if o.To.IsZero() || o.To.After(now) {
		o.To = now
	}
	if !o.From.Before(o.To) {
		return cli.Usage(fmt.Errorf("from %s to %s: want a time before, and one after it", o.From.UTC().Format(time.RFC3339), o.To.UTC().Format(time.RFC3339)), "--from and --to say it; without --to it is now")
	}
	o.Name, err = nameOnAWS(*o)
	return err
}

// Preview implements [tool.Replays].
func (r replays) Preview(ctx context.Context, o eventlog.ReplayOrder) (p eventlog.Preview, err error) {
	at, log, rules, chosen, err := r.prepare(ctx, &o)
	if err != nil {
		return p, err
	}
	if len(chosen) == 0 {
		chosen = rules
	}
	if p, err = at.Preview(ctx, log, o.Name, o.Selection, chosen); err == nil {
		r.Screen.Notef("counted in the stack's log of events: EventBridge tells nothing before it delivers")
	}
	return p, err
}

// Start implements [tool.Replays].
func (r replays) Start(ctx context.Context, o eventlog.ReplayOrder) (eventlog.ReplayOrder, error) {
	now := time.Now()
	at, _, _, chosen, err := r.prepare(ctx, &o)
	if err != nil {
		return o, err
	}
	if err := at.Start(ctx, o.Name, o.Selection, chosen); err != nil {
		return o, err
	}
	if now.Sub(o.To) < view.ArchiveLag {
		r.Screen.Notef("events of the last %s may not be in the archive yet: a replay later has them", cli.Duration(view.ArchiveLag))
	}
	return o, nil
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
		return tool.LeftAlone(r.Name)
	}
	return cli.Usage(fmt.Errorf("rule %q leaves replayed events alone, those of --launch, too", r.Name), "leave it out")
}

// launches reports whether a rule takes the replays of --launch, and no others.
func launches(r view.Rule) bool {
	with, err1 := r.TakesReplay(contract.LaunchPrefix)
	without, err2 := r.TakesReplay("")
	return err1 == nil && err2 == nil && with && !without
}

// List implements [tool.Replays].
func (r replays) List(ctx context.Context) (l tool.Listing, err error) {
	at, _, err := openReplays(ctx, r.Globals)
	if err != nil {
		return l, err
	}
	list, err := at.List(ctx)
	for _, r := range list {
		l.Rows = append(l.Rows, cli.Text(r.Name, r.State, tool.Stamp(r.Begun), tool.Stamp(r.Ended), tool.Stamp(r.From), tool.Stamp(r.To), tool.Stamp(r.Reached), tool.OrDash(r.Reason)))
	}
	l.JSON = append([]view.Replay{}, list...)
	l.Head = []string{"REPLAY", "STATE", "BEGUN", "ENDED", "FROM", "TO", "REACHED", "REASON"}
	return l, err
}

// Cancel implements [tool.Replays].
func (r replays) Cancel(ctx context.Context, name string) error {
	at, _, err := openReplays(ctx, r.Globals)
	if err != nil {
		return err
	}
	if err = at.Cancel(ctx, name); errors.Is(err, view.ErrNoReplay) {
		err = cli.Hint(err, "mayfly replay list shows what there is")
	}
	return err
}
