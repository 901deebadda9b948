package inspect

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/mayfly-ci/mayfly/internal/eventlog"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// A Status is what there is to say at a glance.
type Status struct {
	Running  bool                `json:"running"` // whether a mayfly up has the state folder open, or the stack's rules are on
	Words    string              `json:"standing"`
	Health   []Check             `json:"health"`         // of each part; the service first
	Unknown  bool                `json:"limits_unknown"` // then max says nothing
	Pools    []Pool              `json:"pools"`
	Waiting  []Job               `json:"waiting"`    // queued and unroutable jobs, the oldest first
	Hosted   int                 `json:"hosted"`     // jobs that wait for GitHub's own runners; of the newest 1,000
	Aside    []ledger.Unreadable `json:"unreadable"` // rows of the ledger that cannot be read
	Backlogs []eventlog.Backlog  `json:"backlogs"`
	Dead     int                 `json:"dead_letters"` // of the newest 1,000
	Held     int                 `json:"quarantined"`
	Replays  []eventlog.Replay   `json:"replays"` // that run
	Runners  []ledger.Runner     `json:"runners"`
	Images   *Images             `json:"images"`
	Drift    []SchemaDrift       `json:"drift"` // schemas that have changed in the last 24 hours

	parts int // how many of Health are about parts, behind the service
}

// A Pool is a pool's demand and supply.
type Pool struct {
	Pool    string `json:"pool"`
	Queued  int    `json:"queued"`
	Running int    `json:"running"`
	Coming  int    `json:"runners_coming"`
	Idle    int    `json:"runners_idle"`
	Busy    int    `json:"runners_busy"`
	Max     int    `json:"max"` // 0 for no limit of its own
}

// Status reads the status.
func (s *Source) Status(ctx context.Context, now time.Time) (*Status, error) {
	state, err := s.Ledger.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	catalog, err := s.Images(ctx)
	if err != nil {
		return nil, err
	}
	v := &Status{
		Pools: poolsOf(state), Unknown: len(state.Limits().Pools) == 0, Aside: state.Unreadable(), Images: imagesOf(catalog, now),
		Runners: slices.SortedFunc(state.Runners(), func(a, b ledger.Runner) int { return a.Made.Compare(b.Made) }),
	}
	health, err1 := s.Health(ctx)
	v.Running, v.Words, v.Backlogs, v.Held, v.Replays = health.Running, health.Words, health.Backlogs, health.Quarantined, health.Replays
	dead, err2 := s.Letters.Letters(ctx, eventlog.LetterFilter{}, counted)
	hosted, err3 := s.Ledger.Jobs(ctx, ledger.JobQuery{States: []ledger.JobState{ledger.JobHosted}, Limit: counted})
	unroutable, err4 := s.Ledger.Jobs(ctx, ledger.JobQuery{States: []ledger.JobState{ledger.JobUnroutable}})
	v.Dead, v.Hosted = len(dead), len(hosted)
	c := scene{state: state, images: catalog, health: health, now: now}
	for _, j := range append(slices.Collect(state.Jobs()), unroutable...) {
		if j.State == ledger.JobQueued || j.State == ledger.JobUnroutable {
			v.Waiting = append(v.Waiting, c.jobOf(j))
		}
	}
	slices.SortFunc(v.Waiting, func(a, b Job) int { return a.Queued.Compare(b.Queued) })
	schemas, err5 := s.Schemas.Schemas(ctx)
	v.Drift = driftOf(schemas, now)
	v.Health = v.checks(health, now)
	return v, errors.Join(err1, err2, err3, err4, err5)
}

func poolsOf(state *ledger.State) (views []Pool) {
	index := map[string]int{}
	at := func(pool string) *Pool {
		i, ok := index[pool]
		if !ok {
			i, index[pool] = len(views), len(views)
			views = append(views, Pool{Pool: pool})
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
