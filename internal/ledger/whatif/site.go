package whatif

import (
	"slices"

	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// A site is where runners are registered, and the jobs that they may get: a
// repository, an organisation or an enterprise.
type site struct {
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

// siteOf returns where job i may find a runner.
func (w *world) siteOf(i int) *site { return w.site(w.work[i].Scope) }

func (w *world) site(s ledger.Scope) *site {
	name := w.limits.Level.RegisteredAt(s)
	p := w.sites[name]
	if p == nil {
		p = &site{}
		w.sites[name] = p
	}
	return p
}

// push puts job i at the end of its line.
func (p *site) push(i int, labels ledger.LabelSet) {
	at := slices.IndexFunc(p.lines, func(l *line) bool { return l.labels == labels })
	if at < 0 {
		at = len(p.lines)
		p.lines = append(p.lines, &line{labels: labels, want: labels.Labels()})
	}
	p.lines[at].jobs = append(p.lines[at].jobs, i)
}

// serve gives jobs to the runners that listen, as GitHub does: to each the oldest
// whose labels it has all of, whomever it was started for.
func (w *world) serve(p *site) {
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
func (w *world) oldest(p *site, r *runner) int {
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
