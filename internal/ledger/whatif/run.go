package whatif

import (
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// sweepEvery is the interval of the ledger's sweep. Here it finds only missed deadlines, because no
// event is lost.
const sweepEvery = time.Minute

// Run plays work, in the order of [Traffic.Work], against limits until the last job is done.
func Run(work []Work, limits ledger.Limits, startup Startup) Report {
	w := newWorld(work, limits, startup)
	w.play()
	return w.report()
}

// play executes the agenda, which begins with the first arrival.
func (w *world) play() {
	if len(w.work) > 0 {
		w.start = w.work[0].Arrived
		w.agenda.add(w.start, func() { w.arrive(0) })
	}
	for next, ok := w.agenda.next(); ok; next, ok = w.agenda.next() {
		w.advance(next.at)
		next.do()
		w.carryOut()
		w.state.Compact()
	}
}

// A world is a GitHub and a launcher around a ledger.
type world struct {
	work    []Work
	limits  ledger.Limits
	startup Startup
	state   *ledger.State
	agenda  agenda
	now     time.Time
	effects []ledger.Effect // still to be carried out

	jobs     []job // parallel to work
	open     int   // of them, those that arrived, fit a pool and are not done
	sites    map[string]*site
	runners  map[ledger.RunnerName]*runner // live
	sweeping bool                          // a sweep is on the agenda

	counts     map[string]*count // by pool
	total      count
	unroutable map[ledger.LabelSet]int
	start, end time.Time
}

// A job is the progress of one item of work.
type job struct {
	count  *count // of its pool
	queued bool
	runner ledger.RunnerName // once it runs
}

func newWorld(work []Work, limits ledger.Limits, startup Startup) *world {
	limits = limits.WithDefaults()
	limits.Stale = 2 * limits.Queue // no event is lost, so GitHub need not be asked
	w := &world{
		work: work, limits: limits, startup: startup,
		state: ledger.NewState("whatif", limits), jobs: make([]job, len(work)),
		sites: map[string]*site{}, runners: map[ledger.RunnerName]*runner{},
		counts: map[string]*count{}, total: count{all: true}, unroutable: map[ledger.LabelSet]int{},
	}
	for _, p := range limits.Pools {
		w.counts[p.Name] = &count{Tally: Tally{Pool: p.Name}}
	}
	return w
}

// advance moves the clock to then, and accounts for jobs held back until then.
func (w *world) advance(then time.Time) {
	if d := then.Sub(w.now); d > 0 && w.open > 0 {
		held := w.state.Held()
		w.total.held(held, d)
		for _, c := range w.counts {
			c.held(held, d)
		}
	}
	w.now = then
}

// apply applies an input to the ledger. Its effects are carried out after the step.
func (w *world) apply(in ledger.Input) ledger.Result {
	result := w.state.Apply(in, w.now)
	w.effects = append(w.effects, result.Effects...)
	return result
}

// notify has GitHub report on job i.
func (w *world) notify(i int, action, conclusion string) ledger.Result {
	k := &w.work[i]
	seen := event.WorkflowJob{
		Action: action, Repository: k.Scope.Repository, Organization: k.Scope.Organization,
		Enterprise: k.Scope.Enterprise, Installation: k.Scope.Installation,
		ID: k.Key.ID, Attempt: k.Key.Attempt, Labels: k.Labels.Labels(), Created: k.Created,
		Conclusion: conclusion, RunnerName: string(w.jobs[i].runner),
	}
	return w.apply(ledger.JobSeen{Job: seen, At: w.now})
}

// arrive queues job i at GitHub.
func (w *world) arrive(i int) {
	if i+1 < len(w.work) {
		w.agenda.add(w.work[i+1].Arrived, func() { w.arrive(i + 1) })
	}
	w.notify(i, event.ActionQueued, "")
	seen, _ := w.state.Job(w.work[i].Key)
	switch {
	case seen.State == ledger.JobHosted:
		return
	case seen.Pool == "":
		w.unroutable[w.work[i].Labels]++
		return
	}
	j := &w.jobs[i]
	j.count, j.queued = w.counts[seen.Pool], true
	j.count.Jobs++
	w.total.Jobs++
	w.open++
	if leaves := w.work[i].Leaves; leaves > 0 && leaves < w.limits.Queue {
		w.in(leaves, func() { w.leave(i, "cancelled") })
	} else {
		w.in(w.limits.Queue, func() { w.leave(i, "failure") })
	}
	p := w.siteOf(i)
	p.push(i, w.work[i].Labels)
	w.serve(p)
	w.sweep()
}

// in adds an action after d to the agenda.
func (w *world) in(d time.Duration, do func()) { w.agenda.add(w.now.Add(d), do) }

// leave ends job i if it is still queued: it was cancelled, or no runner came for it.
func (w *world) leave(i int, conclusion string) {
	j := &w.jobs[i]
	if !j.queued {
		return
	}
	j.queued = false
	if conclusion == "failure" {
		j.count.Failed++
		w.total.Failed++
	}
	w.done(i, conclusion)
}

// begin has r run job i.
func (w *world) begin(i int, r *runner) {
	j, k := &w.jobs[i], &w.work[i]
	j.queued, j.runner, r.job = false, r.name, i
	wait := w.now.Sub(k.Arrived)
	j.count.started(wait)
	w.total.started(wait)
	runs := k.Runs
	if k.Leaves > 0 { // it was cancelled, so how long it would run is unknown
		runs = max(0, k.Leaves-wait)
	}
	if left := r.most(); left < runs {
		runs = left
		j.count.Cut++
		w.total.Cut++
	}
	w.notify(i, event.ActionInProgress, "")
	w.in(runs, func() { w.finish(i, r) })
}

// finish ends job i and the runner that ran it.
func (w *world) finish(i int, r *runner) {
	if w.runners[r.name] != r {
		return
	}
	w.done(i, "success")
	w.gone(r, "")
}

func (w *world) done(i int, conclusion string) {
	w.notify(i, event.ActionCompleted, conclusion)
	w.open--
	w.end = w.now
}

// sweep applies a Tick every sweepEvery while jobs or runners exist.
func (w *world) sweep() {
	if w.sweeping {
		return
	}
	w.sweeping = true
	w.in(sweepEvery, func() {
		w.sweeping = false
		w.apply(ledger.Tick{})
		if w.open+len(w.runners) > 0 {
			w.sweep()
		}
	})
}
