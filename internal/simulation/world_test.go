// Package simulation plays days of Mayfly's life in virtual time: the real stages (webhook, bus, ledger, claim, and
// the pipeline that joins them with GitHub's client) on the real database, beside a model of GitHub's rules and of the
// containers on one machine. Deliveries are lost, doubled and late, GitHub refuses calls and loses answers, containers
// are killed, Mayfly is killed between any two of its steps, and the clock is set.
//
// Everything happens in one goroutine at a time and in one order, which follows from a seed. A call that takes time lets
// the world go on meanwhile, so that what is concurrent in Mayfly overlaps here, too.
package simulation

import (
	"container/heap"
	"fmt"
	"hash/fnv"
	"time"
)

// start is the first moment of every world.
var start = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// A world is GitHub, a machine, and what happens to both.
type world struct {
	seed   uint64
	draws  map[string]uint64 // how often chance was asked, by what
	now    time.Duration     // since start, as it really is
	agenda agenda
	depth  int // of calls that wait for an answer

	ahead   time.Duration // of the machine's wall clock, to what it really is
	slept   time.Duration // the machine's suspends, in all
	wakes   time.Duration // the machine is suspended until then
	armed   int           // the process dies at its so-manieth step from now; 0 for not
	engine  time.Duration // nothing can be started or stopped until then
	failing int           // so many starts fail
	mute    time.Duration // no report of an agent comes through until then
	calm    bool          // nothing goes wrong any more

	broken  string // the rule that is broken on purpose; "" for none
	dir     string // of the database
	github  *hub
	host    host
	mayfly  *process // nil while none runs
	process int      // how many there were
	faults  []string // what must not be and was
	steps   int
	print   uint64                           // of all that happened, to compare two runs
	says    func(format string, args ...any) // hears of all that happens; may be nil
}

// An act is something that will happen.
type act struct {
	at    time.Duration
	seq   int
	local bool // on the machine: not while it is suspended
	do    func()
}

// An agenda is acts, the next one first; those of one moment in the order of their coming.
type agenda struct {
	acts []act
	seq  int
}

func (a *agenda) Len() int      { return len(a.acts) }
func (a *agenda) Swap(i, j int) { a.acts[i], a.acts[j] = a.acts[j], a.acts[i] }
func (a *agenda) Push(x any)    { a.acts = append(a.acts, x.(act)) }
func (a *agenda) Less(i, j int) bool {
	return a.acts[i].at < a.acts[j].at || a.acts[i].at == a.acts[j].at && a.acts[i].seq < a.acts[j].seq
}

func (a *agenda) Pop() any {
	last := a.acts[len(a.acts)-1]
	a.acts = a.acts[:len(a.acts)-1]
	return last
}

// here has the machine do something after d, and there GitHub or anybody else.
func (w *world) here(d time.Duration, do func())  { w.plan(w.now+d, true, do) }
func (w *world) there(d time.Duration, do func()) { w.plan(w.now+d, false, do) }

func (w *world) plan(at time.Duration, local bool, do func()) {
	w.agenda.seq++
	heap.Push(&w.agenda, act{at, w.agenda.seq, local, do})
}

// next does what comes next, if that is not after end, and reports whether it did.
func (w *world) next(end time.Duration) bool {
	if len(w.agenda.acts) == 0 || w.agenda.acts[0].at > end {
		return false
	}
	a := heap.Pop(&w.agenda).(act)
	w.now = max(w.now, a.at)
	if a.local && w.now < w.wakes {
		w.plan(w.wakes, true, a.do)
		return true
	}
	w.steps++
	a.do()
	w.mayfly.pump()
	return true
}

// until lets time pass.
func (w *world) until(end time.Duration) {
	for len(w.faults) == 0 && w.next(end) {
	}
	w.now = max(w.now, end)
}

// maxDepth bounds how many calls wait for an answer at once.
const maxDepth = 5

// elapse lets the world go on while p waits for d, and reports whether p has lived through it.
func (w *world) elapse(p *process, d time.Duration) bool {
	if p.dead || w.depth >= maxDepth {
		return !p.dead
	}
	w.depth++
	defer func() { w.depth-- }()
	end := w.now + d
	for !p.dead && len(w.faults) == 0 && w.next(max(end, w.wakes)) {
	}
	if !p.dead {
		w.now = max(w.now, end, w.wakes)
	}
	return !p.dead
}

// fault notes what must not be.
func (w *world) fault(format string, args ...any) {
	w.faults = append(w.faults, fmt.Sprintf("after %v: ", w.now.Round(time.Millisecond))+fmt.Sprintf(format, args...))
}

// draw gives a number that follows from the seed, from what it is for, and from how often that was asked. So
// what is left out of a run changes little of the rest.
func (w *world) draw(what string) uint64 {
	w.draws[what]++
	h := fnv.New64a()
	fmt.Fprint(h, w.seed, what, w.draws[what])
	return mix(h.Sum64())
}

// mix spreads a hash over all bits (the end of MurmurHash3).
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

func (w *world) pick(what string, n int) int { return int(w.draw(what) % uint64(n)) }

// chance is one of the faults that happen at any time, until it is calm.
func (w *world) chance(what string, percent int) bool { return !w.calm && w.pick(what, 100) < percent }

func (w *world) span(what string, from, to time.Duration) time.Duration {
	return from + time.Duration(w.draw(what)%uint64(to-from))
}

// note adds to the print of what happened.
func (w *world) note(format string, args ...any) {
	h := fnv.New64a()
	fmt.Fprint(h, w.print, w.now)
	fmt.Fprintf(h, format, args...)
	w.print = h.Sum64()
	if w.says != nil {
		w.says("%12v "+format, append([]any{w.now.Round(time.Millisecond)}, args...)...)
	}
}

// wall is the machine's wall clock, and steady the one that nobody sets and that stops in a suspend.
func (w *world) wall() time.Time       { return start.Add(w.now + w.ahead) }
func (w *world) steady() time.Duration { return time.Hour + w.now - w.slept }

// truly is GitHub's time of a moment.
func truly(at time.Duration) time.Time { return start.Add(at) }
