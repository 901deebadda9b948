package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/machine"
)

// statusCmd is `mayfly status`.
type statusCmd struct{ reading }

// A statusView is what there is to say at a glance.
type statusView struct {
	Running  bool                `json:"running"` // whether a mayfly up has the state folder open, or the stack's rules are on
	Words    string              `json:"standing"`
	Unknown  bool                `json:"limits_unknown"` // then max says nothing
	Troubles []machine.Trouble   `json:"troubles"`       // of what runs runners
	Pools    []poolView          `json:"pools"`
	Waiting  []jobView           `json:"waiting"`    // queued and unroutable jobs, the oldest first
	Hosted   int                 `json:"hosted"`     // jobs that wait for GitHub's own runners; of the newest 1,000
	Aside    []ledger.Unreadable `json:"unreadable"` // rows of the ledger that cannot be read
	Backlogs []eventlog.Backlog  `json:"backlogs"`
	Dead     int                 `json:"dead_letters"` // of the newest 1,000
	Held     int                 `json:"quarantined"`
	Replays  []eventlog.Replay   `json:"replays"` // that run
	Runners  []ledger.Runner     `json:"runners"`
	Images   *imageView          `json:"images"`
	Drift    []driftGist         `json:"drift"` // schemas that have changed in the last 24 hours
}

// A poolView is a pool's demand and supply.
type poolView struct {
	Pool    string `json:"pool"`
	Queued  int    `json:"queued"`
	Running int    `json:"running"`
	Coming  int    `json:"runners_coming"`
	Idle    int    `json:"runners_idle"`
	Busy    int    `json:"runners_busy"`
	Max     int    `json:"max"` // 0 for no limit of its own
}

// Run prints the status.
func (c *statusCmd) Run(ctx context.Context, all *commands, screen *cli.Screen, log *slog.Logger) error {
	from, err := c.source(ctx, all, log)
	if err != nil {
		return err
	}
	defer from.close()
	v, err := statusOf(ctx, from)
	if err != nil {
		return err
	}
	if c.JSON {
		return screen.JSON(v)
	}
	printStatus(screen, v)
	return nil
}

func statusOf(ctx context.Context, from *source) (v statusView, err error) {
	state, err := from.ledger.Snapshot(ctx)
	if err != nil {
		return v, err
	}
	health, err1 := from.health(ctx)
	dead, err2 := from.letters.Letters(ctx, eventlog.LetterFilter{}, 1000)
	v.Running, v.Words, v.Backlogs, v.Dead = health.Running, health.Words, health.Backlogs, len(dead)
	v.Troubles = append([]machine.Trouble{}, health.Troubles...)
	v.Aside = state.Unreadable()
	v.Held, v.Replays = health.Quarantined, health.Replays
	v.Pools, v.Unknown = poolViews(state), len(state.Limits().Pools) == 0
	images, err := from.images(ctx)
	if err != nil {
		return v, err
	}
	v.Images = viewImages(images, time.Now())
	hosted, err4 := from.ledger.Jobs(ctx, ledger.JobQuery{States: []ledger.JobState{ledger.JobHosted}, Limit: 1000})
	v.Hosted = len(hosted)
	unroutable, err3 := from.ledger.Jobs(ctx, ledger.JobQuery{States: []ledger.JobState{ledger.JobUnroutable}})
	for _, j := range append(slices.Collect(state.Jobs()), unroutable...) {
		if j.State == ledger.JobQueued || j.State == ledger.JobUnroutable {
			v.Waiting = append(v.Waiting, viewJob(state, images, j, time.Now()))
		}
	}
	slices.SortFunc(v.Waiting, func(a, b jobView) int { return a.Queued.Compare(b.Queued) })
	v.Runners = slices.SortedFunc(state.Runners(), func(a, b ledger.Runner) int { return a.Made.Compare(b.Made) })
	v.Drift, err = drift(ctx, from.schemas, time.Now())
	return v, errors.Join(err1, err2, err3, err4, err)
}

func poolViews(state *ledger.State) (views []poolView) {
	index := map[string]int{}
	at := func(pool string) *poolView {
		i, ok := index[pool]
		if !ok {
			i, index[pool] = len(views), len(views)
			views = append(views, poolView{Pool: pool})
		}
		return &views[i]
	}
	for _, p := range state.Limits().Pools {
		at(p.Name).Max = p.Max
	}
	for j := range state.Jobs() {
		switch j.State {
		case ledger.JobQueued:
			at(j.Pool).Queued++
		case ledger.JobRunning:
			at(j.Pool).Running++
		}
	}
	for r := range state.Runners() {
		switch r.State {
		case ledger.RunnerWanted, ledger.RunnerStarting, ledger.RunnerClaimed:
			at(r.Pool).Coming++
		case ledger.RunnerIdle:
			at(r.Pool).Idle++
		case ledger.RunnerBusy:
			at(r.Pool).Busy++
		}
	}
	return views
}

func printStatus(screen *cli.Screen, v statusView) {
	colour := cli.Red
	if v.Running {
		colour = cli.Green
	}
	fmt.Fprintln(screen.Out, screen.Paint(colour, cli.Printable(v.Words)))
	for _, t := range v.Troubles {
		fmt.Fprintln(screen.Out, screen.Paint(cli.Yellow, "warning:"), cli.Printable(t.String()))
	}
	fmt.Fprintln(screen.Out)
	var rows [][]cli.Cell
	for _, p := range v.Pools {
		limit := "-"
		if v.Unknown {
			limit = "?"
		} else if p.Max > 0 {
			limit = fmt.Sprint(p.Max)
		}
		rows = append(rows, cli.Text(p.Pool, fmt.Sprint(p.Queued), fmt.Sprint(p.Running), fmt.Sprint(p.Coming), fmt.Sprint(p.Idle), fmt.Sprint(p.Busy), limit))
	}
	screen.Table([]string{"POOL", "JOBS QUEUED", "RUNNING", "RUNNERS COMING", "IDLE", "BUSY", "MAX"}, rows)
	if v.Unknown {
		screen.Notef(limitsUnknown)
	}
	if len(v.Waiting) > 0 {
		fmt.Fprintln(screen.Out)
		listJobs(screen, v.Waiting)
	}
	if v.Hosted > 0 {
		screen.Notef("jobs for GitHub's own runners: %s; mayfly jobs --in hosted lists them", atMost(v.Hosted, 1000))
	}
	if v.Images.Current != nil {
		screen.Notef("image %s", currentLine(v.Images))
	}
	for _, a := range v.Images.Alarms {
		screen.Notef("%s %s", screen.Paint(cli.Red, "alarm:"), cli.Printable(a.Message))
	}
	for _, b := range v.Backlogs {
		if b.Failing > 0 {
			screen.Notef("rule %s: %d of %d deliveries have failed and are tried again, the oldest for %s", b.Rule, b.Failing, b.Pending, cli.Duration(time.Since(b.Oldest)))
		}
	}
	if v.Dead > 0 {
		screen.Notef("%s dead letters: mayfly dlq list shows them", atMost(v.Dead, 1000))
	}
	if v.Held > 0 {
		screen.Notef("%d deliveries in quarantine, for lack of what routing needs: mayfly quarantine list shows them", v.Held)
	}
	for _, r := range v.Aside {
		screen.Notef("%s the ledger cannot read %s and goes on without it: %s", screen.Paint(cli.Red, "alarm:"), cli.Printable(r.Row), cli.Printable(r.Reason))
	}
	for _, r := range v.Replays {
		screen.Notef("replay %s runs: %d deliveries pending, %d events ahead", r.Name, r.Pending, r.Ahead)
	}
	for _, d := range v.Drift {
		screen.Notef("schema %s has changed: %s%s: mayfly schema drift %s", d.Schema, cli.Printable(d.First), andMore(d.Changes-1), d.Schema)
	}
}

// atMost prints a count that was cut at limit.
func atMost(n, limit int) string {
	return fmt.Sprint(n) + strings.Repeat("+", max(0, n-limit+1))
}
