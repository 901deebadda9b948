package simulation

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// How long things take.
const (
	day     = 24 * time.Hour
	maxWait = 4 * time.Hour // that a job is in the queue: what GitHub and the machine are away for, and more
	calmed  = 7 * time.Hour // after the day, in which nothing goes wrong any more: about a job that waits for an approval, GitHub is asked each six hours
)

// A happening is one thing that befalls a world.
type happening struct {
	at   time.Duration
	kind string
	n    uint64 // decides what is open
}

func (h happening) String() string { return fmt.Sprintf("%v %s %d", h.at, h.kind, h.n) }

// kinds are what can happen, how often in a day at least and at most, and how.
var kinds = []struct {
	name        string
	least, most int
	do          func(w *world, n uint64)
}{
	{"jobs come", 12, 40, func(w *world, n uint64) { w.come(n) }},
	{"a job is cancelled", 0, 6, func(w *world, n uint64) {
		if open := w.github.open(""); len(open) > 0 {
			w.github.cancel(open[n%uint64(len(open))])
		}
	}},
	{"a run is run again", 0, 4, func(w *world, n uint64) {
		if over := w.github.over(); len(over) > 0 {
			w.github.rerun(over[n%uint64(len(over))])
		}
	}},
	{"a repository is renamed", 0, 2, func(w *world, n uint64) { w.github.rename(n) }},
	{"somebody else's runner takes a job", 0, 3, func(w *world, n uint64) {
		if open := w.github.open("queued"); len(open) > 0 {
			w.github.hosted(open[n%uint64(len(open))])
		}
	}},
	{"a container is killed", 0, 6, func(w *world, n uint64) {
		if list := w.host.containers; len(list) > 0 {
			list[n%uint64(len(list))].kill()
		}
	}},
	{"mayfly is killed", 0, 3, func(w *world, n uint64) { w.crash(w.mayfly) }},
	{"mayfly is killed in a step", 8, 24, func(w *world, n uint64) { w.armed = 1 + int(n%60) }},
	{"the clock is set", 0, 3, func(w *world, n uint64) {
		w.set(time.Duration(n%(10*3600))*time.Second - 5*time.Hour)
	}},
	{"the machine sleeps", 0, 1, func(w *world, n uint64) { w.sleep(time.Minute + time.Duration(n%3600)*time.Second) }},
	{"GitHub is down", 0, 2, func(w *world, n uint64) { w.spell("down", n%1800) }},
	{"GitHub limits calls", 0, 2, func(w *world, n uint64) { w.spell("limited", n%3000) }},
	{"answers are lost", 0, 2, func(w *world, n uint64) { w.spell("answers are lost", n%3600) }},
	{"starts fail", 0, 4, func(w *world, n uint64) { w.failing = 1 + int(n%4) }},
	{"reports are lost", 0, 4, func(w *world, n uint64) { w.mute = w.now + time.Duration(n%2400)*time.Second }},
	{"the engine is away", 0, 2, func(w *world, n uint64) { w.engine = w.now + time.Duration(n%1200)*time.Second }},
}

// scenario is what happens in the world of a seed, in the order of time.
func scenario(seed uint64) (list []happening) {
	w := &world{seed: seed, draws: map[string]uint64{}}
	for _, k := range kinds {
		for range k.least + w.pick("number of "+k.name, k.most-k.least+1) {
			list = append(list, happening{w.span("when "+k.name, 0, day-time.Hour), k.name, w.draw("what " + k.name)})
		}
	}
	slices.SortStableFunc(list, func(a, b happening) int { return int(a.at - b.at) })
	return list
}

// play lets a scenario happen, and all come to its end. It returns what must not be and was.
func (w *world) play(list []happening) []string {
	w.github = found(w)
	w.host.stopping = map[string]bool{}
	w.boot()
	for _, h := range list {
		for _, k := range kinds {
			if k.name == h.kind {
				w.there(h.at, func() { w.note("%s", h); k.do(w, h.n) })
			}
		}
	}
	w.until(day)
	w.calm, w.armed = true, 0
	w.until(day + calmed)
	for w.mayfly == nil && len(w.faults) == 0 && w.next(day+2*calmed) {
	}
	if len(w.faults) == 0 {
		w.nothingLeft()
	}
	if p := w.mayfly; p != nil {
		p.dead = true
		p.cancel()
		p.db.Close()
	}
	return w.faults
}

// come pushes a few jobs at once.
func (w *world) come(n uint64) {
	labels := [][]string{{"self-hosted", "linux"}, {"self-hosted", "linux"}, {"Linux", "X64"}, {"linux"}, {"linux", "gpu"}, {"macos"}}
	for i := range 1 + n%4 {
		lasts := w.span("how long a job lasts", 10*time.Second, 10*time.Minute)
		if w.pick("a long job", 40) == 0 {
			lasts = w.span("how long a long job lasts", time.Hour, 3*time.Hour)
		}
		w.github.push(w.github.names[(n/7+i/2)%3], labels[(n/31+i/2)%uint64(len(labels))], lasts, w.pick("an approval is asked for", 8) > 0)
	}
}

// open returns the jobs that are not over, or those in a status, that we are to run.
func (g *hub) open(status string) (list []*job) {
	for _, j := range g.jobs {
		if j.ours && (j.status == status || status == "" && j.status != "completed") {
			list = append(list, j)
		}
	}
	return list
}

// over returns the jobs that ran and are the last of their run.
func (g *hub) over() (list []*job) {
	for _, j := range g.jobs {
		if j.ours && j.status == "completed" && j.ranOn != "" && !slices.ContainsFunc(g.jobs, func(o *job) bool { return o.run == j.run && o.attempt > j.attempt }) {
			list = append(list, j)
		}
	}
	return list
}

// set sets the machine's clock, or sets it right when it is wrong already.
func (w *world) set(by time.Duration) {
	if w.ahead != 0 {
		by = -w.ahead
	}
	w.ahead += by
	w.note("the clock is set by %v", by)
	if w.mayfly != nil {
		w.mayfly.mirror = nil // what the ledger does of itself is in no result
	}
}

// sleep suspends the machine. Where that lasts, GitHub gives up the jobs that it runs.
func (w *world) sleep(d time.Duration) {
	w.wakes, w.slept = w.now+d, w.slept+d
	if w.mayfly != nil {
		w.mayfly.mirror = nil
	}
	if d <= lockLimit {
		return
	}
	for _, j := range w.github.open("in_progress") {
		if j.runner == nil || j.runner.box == nil {
			continue
		}
		j.excused = true
		w.there(lockLimit, func() { w.github.complete(j, "failure") })
	}
}

func (w *world) spell(kind string, seconds uint64) {
	w.github.weather = append(w.github.weather, spell{kind, w.now + time.Duration(seconds)*time.Second})
}

// nothingLeft looks for what is there when all jobs are done.
func (w *world) nothingLeft() {
	for _, j := range w.github.open("") {
		w.fault("job %d is %s", j.id, j.status)
	}
	for _, id := range sorted(w.github.runners) {
		w.fault("registration %s is left", w.github.runners[id].name)
	}
	for _, c := range w.host.containers {
		w.fault("container %s is left, running: %t", c.name, c.running)
	}
	if w.mayfly == nil {
		w.fault("no Mayfly runs")
		return
	}
	w.mayfly.nothingLeft()
}

func (p *process) nothingLeft() {
	state, err := p.ledger.Snapshot(p.ctx)
	if err != nil {
		p.fault("reading the ledger: %v", err)
		return
	}
	for j := range state.Jobs() {
		p.fault("job %s is %s in the ledger", j.Key, j.State)
	}
	for r := range state.Runners() {
		p.fault("runner %s is %s in the ledger: %s", r.Name, r.State, r.Leaving)
	}
	for name := range p.doors {
		p.fault("claim socket of %s is left", name)
	}
	dead, err := p.letters()
	if err != nil || len(dead) > 0 {
		p.fault("dead letters %s: %v", strings.Join(dead, ", "), err)
	}
}
