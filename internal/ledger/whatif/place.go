package whatif

import (
	"slices"

	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// A place is where runners are registered, and the jobs that they may get: a
// repository, an organisation or an enterprise.
type place struct {
	lines []*line   // in the order in which they came up
	idle  []*runner // in the order in which they came to listen
}

// A line is the queued jobs with the same labels, the oldest first. Those that are
// not queued any more leave it when they come to its head.
type line struct {
	labels ledger.LabelSet
	want   []string
	jobs   []int
}

// placeOf returns where job i may find a runner.
func (w *world) placeOf(i int) *place { return w.place(w.work[i].Scope) }

func (w *world) place(s ledger.Scope) *place {
	name := w.limits.Level.Place(s)
	p := w.places[name]
	if p == nil {
		p = &place{}
		w.places[name] = p
	}
	return p
}

// push puts job i at the end of its line.
func (p *place) push(i int, labels ledger.LabelSet) {
	at := slices.IndexFunc(p.lines, func(l *line) bool { return l.labels == labels })
	if at < 0 {
		at = len(p.lines)
		p.lines = append(p.lines, &line{labels: labels, want: labels.Labels()})
	}
	p.lines[at].jobs = append(p.lines[at].jobs, i)
}

// serve gives jobs to the runners that listen, as GitHub does: to each the oldest
// whose labels it has all of, whomever it was started for.
func (w *world) serve(p *place) {
	p.idle = slices.DeleteFunc(p.idle, func(r *runner) bool {
		if r.listening {
			if i := w.oldest(p, r); i >= 0 {
				r.listening = false
				w.begin(i, r)
			}
		}
		return !r.listening
	})
}

// oldest returns the job that is r's, -1 when there is none.
func (w *world) oldest(p *place, r *runner) int {
	best := -1
	for _, l := range p.lines {
		for len(l.jobs) > 0 && !w.jobs[l.jobs[0]].queued {
			l.jobs = l.jobs[1:]
		}
		if len(l.jobs) > 0 && (best < 0 || l.jobs[0] < best) && has(r.labels, l.want) {
			best = l.jobs[0]
		}
	}
	return best
}

// has reports whether all of want are among labels; both are as a
// [ledger.LabelSet] gives them.
func has(labels, want []string) bool {
	for _, l := range want {
		if !slices.Contains(labels, l) {
			return false
		}
	}
	return true
}
