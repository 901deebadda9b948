package whatif

import (
	"math"
	"time"

	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// A runner is a live runner.
type runner struct {
	name      ledger.RunnerName
	pool      pool.Pool
	labels    []string
	site      *site
	listening bool
	job       int // the job it runs; -1 for none
}

// most returns how long a job of r may run.
func (r *runner) most() time.Duration {
	if limit := r.pool.TotalLimit; limit > 0 {
		return limit
	}
	return math.MaxInt64
}

// carryOut carries out the ledger's effects.
func (w *world) carryOut() {
	for len(w.effects) > 0 {
		effect := w.effects[0]
		w.effects = w.effects[1:]
		switch e := effect.(type) {
		case ledger.WantRunner:
			w.launch(e)
		case ledger.RemoveRunner:
			w.remove(e)
		case ledger.CheckJob: // the ledger knows everything already
		}
	}
}

// launch starts a runner, which listens after its pool's startup time.
func (w *world) launch(e ledger.WantRunner) {
	if w.runners[e.Runner] != nil || !w.apply(ledger.Starting{Runner: e.Runner}).Granted {
		return
	}
	p, _ := w.limits.Pools.Find(e.Pool)
	r := &runner{name: e.Runner, pool: p, labels: ledger.LabelSet(e.Labels).Labels(), site: w.site(e.Scope), job: -1}
	w.runners[r.name] = r
	w.counts[p.Name].runner(+1)
	w.total.runner(+1)
	w.in(w.startup.Of(p.Name), func() { w.ready(r) })
}

// ready has r claim and listen.
func (w *world) ready(r *runner) {
	if w.runners[r.name] != r {
		return
	}
	w.apply(ledger.Started{Runner: r.name})
	if claim := w.apply(ledger.Claim{Runner: r.name}); !claim.Granted {
		w.gone(r, claim.Reason)
		return
	}
	w.apply(ledger.Idle{Runner: r.name})
	r.listening = true
	r.site.idle = append(r.site.idle, r)
	w.serve(r.site)
	if limit := r.pool.IdleLimit; r.listening && limit > 0 {
		w.in(limit, func() {
			if r.listening {
				w.gone(r, "idle limit")
			}
		})
	}
}

// remove removes a runner as the ledger requested, unless it is busy.
func (w *world) remove(e ledger.RemoveRunner) {
	r := w.runners[e.Runner]
	switch {
	case r == nil:
	case r.job >= 0 && !e.Force:
		w.apply(ledger.Busy{Runner: r.name})
	default:
		if r.job >= 0 {
			w.done(r.job, "failure")
		}
		w.gone(r, "")
	}
}

// gone ends r.
func (w *world) gone(r *runner, why string) {
	delete(w.runners, r.name)
	r.listening = false
	w.counts[r.pool.Name].runner(-1)
	w.total.runner(-1)
	w.apply(ledger.Gone{Runner: r.name, Reason: why})
}
