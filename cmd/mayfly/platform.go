package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/bus"
	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
	"github.com/mayfly-ci/mayfly/internal/inspect"
	"github.com/mayfly-ci/mayfly/internal/inspect/local"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/machine"
	"github.com/mayfly-ci/mayfly/internal/tool"
)

// thisMachine is the platform of this program.
type thisMachine struct{}

// Open implements [tool.Platform].
func (thisMachine) Open(ctx context.Context, all *tool.Globals, r tool.Reading, log *slog.Logger) (*inspect.Source, error) {
	d := database{Globals: all, Reading: r, log: log}
	db, path, err := d.open(ctx)
	if err != nil {
		return nil, err
	}
	return local.New(db, path, d.order), nil
}

// Limits implements [tool.Platform].
func (thisMachine) Limits(s tool.Setup) ledger.Limits { return s.Limits }

// Replays implements [tool.Platform].
func (thisMachine) Replays(c tool.Call, r tool.Reading) tool.Replays {
	return replays{database{Globals: c.Globals, Reading: r, log: c.Log}, c.Screen}
}

// Images implements [tool.Platform].
func (thisMachine) Images(c tool.Call, r tool.Reading) tool.Images { return images{c, r} }

// replays are those of the machine's own bus.
type replays struct {
	database
	screen *cli.Screen
}

// check refuses a replay that one of the machine's own rules would get nothing of.
func (replays) check(o eventlog.ReplayOrder) error {
	for _, own := range event.OwnRules() {
		if slices.Contains(o.Rules, own) && !o.Launch {
			return tool.LeftAlone(own)
		}
	}
	return nil
}

// Preview implements [tool.Replays].
func (r replays) Preview(ctx context.Context, o eventlog.ReplayOrder) (p eventlog.Preview, err error) {
	if err := r.check(o); err != nil {
		return p, err
	}
	config, err := readSetup(r.Config)
	if err != nil {
		return p, err
	}
	rules, err := machine.Rules(config.outside())
	if err != nil {
		return p, err
	}
	db, _, err := r.open(ctx)
	if err != nil {
		return p, err
	}
	defer db.Close()
	return bus.PreviewReplay(ctx, db, o.Selection, rules)
}

// Start implements [tool.Replays].
func (r replays) Start(ctx context.Context, o eventlog.ReplayOrder) (eventlog.ReplayOrder, error) {
	if err := r.check(o); err != nil {
		return o, err
	}
	path, err := r.path()
	if err != nil {
		return o, err
	}
	running := disk.InUse(path)
	if _, err := askFor[string](ctx, r.database, "/replay/start", o); err != nil {
		return o, cli.HintIfNone(err, "mayfly rule list shows the rules, mayfly replay list the names that were given")
	}
	if !running {
		r.screen.Notef("mayfly up is not running: it delivers when it does")
	}
	return o, nil
}

// List implements [tool.Replays].
func (r replays) List(ctx context.Context) (l tool.Listing, err error) {
	db, _, err := r.open(ctx)
	if err != nil {
		return l, err
	}
	defer db.Close()
	list, err := bus.Replays(ctx, db)
	for _, r := range list {
		l.Rows = append(l.Rows, cli.Text(r.Name, r.State, tool.Stamp(r.Begun), tool.Stamp(r.Ended), tool.OrDash(strings.Join(r.Rules, ",")),
			fmt.Sprint(r.Events), fmt.Sprint(r.Deliveries), fmt.Sprint(r.Pending), fmt.Sprint(r.Dead), fmt.Sprint(r.Ahead)))
	}
	l.JSON = append([]eventlog.Replay{}, list...)
	l.Head = []string{"REPLAY", "STATE", "BEGUN", "ENDED", "RULES", "EVENTS", "DELIVERIES", "PENDING", "DEAD", "AHEAD"}
	return l, err
}

// Cancel implements [tool.Replays].
func (r replays) Cancel(ctx context.Context, name string) error {
	_, err := askFor[string](ctx, r.database, "/replay/cancel", name)
	return cli.HintIfNone(err, "mayfly replay list shows what there is")
}
