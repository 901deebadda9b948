package whatif

import (
	"slices"

	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// A site is a repository, organization or enterprise at which runners register, and the jobs that
// those runners may get.
type site struct {
	lines []*line   // in the order of their first job
	idle  []*runner // in the order in which they began to listen
}

// A line is the queued jobs with the same labels, oldest first. Jobs that are no longer queued are
// removed when they reach the front.
type line struct {
	labels ledger.LabelSet
	want   []string
	jobs   []int
}

// siteOf returns the site of job i.
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

// push appends job i to its line.
func (p *site) push(i int, labels ledger.LabelSet) {
	at := slices.IndexFunc(p.lines, func(l *line) bool { return l.labels == labels })
	if at < 0 {
		at = len(p.lines)
		p.lines = append(p.lines, &line{labels: labels, want: labels.Labels()})
	}
	p.lines[at].jobs = append(p.lines[at].jobs, i)
}

// serve gives jobs to listening runners, as GitHub does: each gets the oldest job whose labels it
// has, whichever job it was started for.
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

// oldest returns the job that r gets, -1 if none.
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

// has reports whether labels include all of want.
func has(labels, want []string) bool {
	for _, l := range want {
		if !slices.Contains(labels, l) {
			return false
		}
	}
	return true
}
