package web

import (
	"time"

	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// A waterfall draws the time of a job, part by part, from left to right and from top to bottom.
type waterfall struct {
	Parts  []fallPart
	Height int
	Total  time.Duration
}

// A fallPart is a part of a job's time.
type fallPart struct {
	Name   string
	Class  string
	Took   time.Duration
	Runs   bool // it goes on
	X, W   float64
	Y, Mid int
	TextX  float64
	Anchor string
}

// The geometry of a waterfall, in units of its drawing.
const (
	fallLeft, fallWide = 150.0, 500.0
	fallRow            = 26
	fallLeast          = 2.0 // so that a short part is seen
)

// A moment is when a part of a job's time began.
type moment struct {
	name, class string
	at          time.Time
}

// fallOf draws j, with the runner that ran it, or else the one that is closest to it.
func fallOf(j ledger.Job, runners []ledger.Runner, now time.Time) (f waterfall) {
	marks := marksOf(j, nearest(j, runners))
	if len(marks) == 0 {
		return f
	}
	end := marks[len(marks)-1].at
	open := !j.Settled()
	if open && now.After(end) {
		end = now
	}
	begin := marks[0].at
	f.Total = max(end.Sub(begin), time.Millisecond)
	for i, m := range marks {
		if m.class == "" { // only the end of what was before it
			continue
		}
		until := end
		if i+1 < len(marks) {
			until = marks[i+1].at
		}
		f.add(m, m.at.Sub(begin), until.Sub(m.at), open && i == len(marks)-1)
	}
	f.Height = len(f.Parts)*fallRow + 4
	return f
}

func (f *waterfall) add(m moment, from, took time.Duration, runs bool) {
	share := func(d time.Duration) float64 { return fallWide * float64(d) / float64(f.Total) }
	p := fallPart{Name: m.name, Class: m.class, Took: took, Runs: runs, X: fallLeft + share(from), W: max(share(took), fallLeast), Y: len(f.Parts)*fallRow + 5}
	p.Mid = p.Y + 12
	p.TextX, p.Anchor = p.X+p.W+7, "start"
	if p.TextX > fallLeft+fallWide-20 {
		p.TextX, p.Anchor = p.X-7, "end"
	}
	if p.TextX < fallLeft+40 && p.Anchor == "end" { // a part as wide as the drawing
		p.TextX, p.Anchor = fallLeft+fallWide+7, "start"
	}
	f.Parts = append(f.Parts, p)
}

// nearest returns the runner that ran j, or else the newest live one that was made for it: one that
// is gone without having run it is no part of its time.
func nearest(j ledger.Job, runners []ledger.Runner) (best ledger.Runner) {
	for _, r := range runners {
		if r.Name == j.RunnerName {
			return r
		}
		if r.Live() && r.Made.After(best.Made) {
			best = r
		}
	}
	return best
}

// marksOf lists when the parts of a job's time began. GitHub's clock has whole seconds, and may be
// behind: a part never begins before the one ahead of it.
func marksOf(j ledger.Job, r ledger.Runner) (all []moment) {
	add := func(name, class string, at time.Time) {
		if at.IsZero() {
			return
		}
		if n := len(all); n > 0 && at.Before(all[n-1].at) {
			at = all[n-1].at
		}
		all = append(all, moment{name, class, at})
	}
	warm := !r.Made.IsZero() && r.Made.Before(j.Queued)
	if !j.Queued.IsZero() && j.Created.Before(j.Queued) && j.Queued.Sub(j.Created) > 2*time.Second {
		add("at GitHub", "pick", j.Created)
	}
	add("held", "held", j.Queued)
	if !warm {
		add("wanted", "start", r.Made)
		add("starting", "start", stepAt(r, ledger.RunnerStarting))
		add("claiming", "claim", r.Started)
		add("registering", "claim", r.Claimed)
		add("listening", "pick", r.Listened)
	}
	add("running", "run", j.Started)
	add("cleaning up", "clean", j.Completed)
	if !r.Live() && r.Name == j.RunnerName {
		add("", "", r.Since)
	} else if !j.Completed.IsZero() {
		add("", "", j.Completed)
	}
	return all
}

func stepAt(r ledger.Runner, state ledger.RunnerState) time.Time {
	for _, s := range r.History {
		if s.What == string(state) {
			return s.At
		}
	}
	return time.Time{}
}
