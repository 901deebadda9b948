package inspect

import (
	"context"
	"slices"
	"time"

	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/why"
)

// A scene is all that has a say in why a job is where it is: the ledger, and what it depends on.
type scene struct {
	state  *ledger.State
	images *image.Catalog
	health Health // zero, with Running set, if no job depends on it
	now    time.Time
}

// scene reads what has a say in jobs.
func (s *Source) scene(ctx context.Context, state *ledger.State, jobs []ledger.Job, now time.Time) (c scene, err error) {
	c = scene{state: state, health: Health{Running: true}, now: now}
	if c.images, err = s.Images(ctx); err != nil {
		return c, err
	}
	if slices.ContainsFunc(jobs, func(j ledger.Job) bool { return !j.Settled() }) {
		c.health, err = s.Health(ctx)
	}
	return c, err
}

// jobOf says why j is where it is.
func (c scene) jobOf(j ledger.Job) Job { return Job{Job: j, Answer: c.why(j)} }

// why is what the ledger says, unless something that the ledger depends on does not work.
func (c scene) why(j ledger.Job) why.Answer {
	a := c.state.Why(j, c.now)
	if len(c.state.Limits().Pools) == 0 && !j.Settled() {
		return why.New(why.LimitsUnknown, c.facts(j), "%s", LimitsUnknown)
	}
	if j.State != ledger.JobQueued {
		return a
	}
	if !c.health.Running {
		return c.first(why.MayflyDown, j, c.health.Words, a).Advised(c.health.Fix)
	}
	for _, part := range c.health.Parts {
		if part.State == StateFault && c.concerns(part.Cause, a.Cause) {
			return c.first(part.Cause, j, part.Detail, a).Advised(part.Fix)
		}
	}
	return c.ofImage(j, a)
}

// concerns reports whether broken, which a part of Mayfly has, keeps a job waiting that the ledger says waits for waits.
func (c scene) concerns(broken, waits why.Cause) bool {
	switch broken {
	case why.DiskFull:
		return true
	case why.EngineDown: // runners do not start, and are not seen to end
		return waits.Kind() == why.Room || waits.Kind() == why.RunnerFailed || slices.Contains([]why.Cause{why.Next, why.Wanted, why.Starting, why.Leaving, why.EngineDown}, waits)
	}
	return false
}

// ofImage is a, unless the pool of j has no image to start runners from, or GitHub refuses its runner.
func (c scene) ofImage(j ledger.Job, a why.Answer) why.Answer {
	p, ok := c.state.Limits().Pools.Find(j.Pool)
	if !ok || p.Image != "" {
		return a
	}
	for _, alarm := range c.images.Alarms(c.now) {
		switch alarm.Kind {
		case image.KindRefused:
			return c.first(why.VersionRefused, j, alarm.Message, a)
		case image.KindNone:
			return c.first(why.NoImage, j, alarm.Message, a)
		}
	}
	return a
}

// first is a behind what comes before it.
func (c scene) first(cause why.Cause, j ledger.Job, text string, a why.Answer) why.Answer {
	return why.New(cause, c.facts(j), "%s; %s", text, a.Text)
}

func (c scene) facts(j ledger.Job) why.Facts {
	return why.Facts{Pool: j.Pool, Job: j.Key.String(), Runner: string(j.RunnerName), Repository: j.Scope.Repository, Forge: c.state.Limits().Forge.String()}
}

// A Queue is the place of a job that waits for room, and who has the room.
type Queue struct {
	Position int      `json:"position"` // 1 is next
	Of       int      `json:"of"`
	Holders  []Holder `json:"holders"` // the live runners of its pool, the oldest first, at most maxHolders
}

// A Holder is a runner that has a place in a pool.
type Holder struct {
	Runner ledger.RunnerName  `json:"runner"`
	State  ledger.RunnerState `json:"state"`
	Job    ledger.JobKey      `json:"job"` // that it runs or was made for; zero for a warm one
	Made   time.Time          `json:"made"`
}

const maxHolders = 5

// queue returns the place of j in its pool. Between repositories the pool is shared, so that a job
// may overtake one that came before.
func (c scene) queue(j ledger.Job) *Queue {
	q := &Queue{Position: 1}
	for other := range c.state.Jobs() {
		if other.State != ledger.JobQueued || other.Pool != j.Pool || len(c.state.RunnersFor(other.Key)) > 0 {
			continue
		}
		if q.Of++; other.Created.Before(j.Created) {
			q.Position++
		}
	}
	for r := range c.state.Runners() {
		if !r.Live() || r.Pool != j.Pool {
			continue
		}
		h := Holder{Runner: r.Name, State: r.State, Job: r.Runs, Made: r.Made}
		if r.Runs.IsZero() {
			h.Job = r.MadeFor
		}
		q.Holders = append(q.Holders, h)
	}
	slices.SortFunc(q.Holders, func(a, b Holder) int { return a.Made.Compare(b.Made) })
	q.Holders = q.Holders[:min(len(q.Holders), maxHolders)]
	return q
}
