package ledger_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/ledger/ledgertest"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// A world is a tiny GitHub, with launchers and agents, around a ledger. It knows what is
// really so; the ledger knows what it is told, late, twice, in disorder or not at all.
type world struct {
	fail  func(format string, args ...any)
	pick  func(n int) int // chooses one of n
	now   time.Time
	store *ledgertest.Memory
	kept  ledgertest.Kept
	limit ledger.Limits
	label [][]string // what jobs run on

	jobs       []*job              // all that there ever were
	open       []*job              // of them, those that are not completed
	mail       []ledger.JobSeen    // deliveries under way
	wishes     []ledger.Effect     // effects under way
	containers map[string]*machine // running, by runner
	registered map[string]*machine // runners that GitHub knows
	doneOn     map[string]int      // jobs that each runner ran
	made       int                 // runners that were started
	stolen     int                 // jobs that ran on one made for another
}

// A job is one at GitHub.
type job struct {
	seen   event.WorkflowJob // as GitHub would describe it now
	queued time.Time         // when it was last queued
}

// A machine is a runner's container, and the runner in it.
type machine struct {
	name    string
	labels  ledger.LabelSet
	claimed bool
	job     *job // it runs this
}

func newWorld(l ledger.Limits, pick func(int) int, fail func(string, ...any)) *world {
	w := &world{
		fail: fail, pick: pick, now: start, limit: l, label: worldLabels,
		containers: map[string]*machine{}, registered: map[string]*machine{}, doneOn: map[string]int{},
	}
	w.begin()
	return w
}

// begin begins, or begins again from what is kept.
func (w *world) begin() {
	w.store = ledgertest.NewMemory(&w.kept, ledgertest.Config{
		Limits: w.limit, Now: func() time.Time { return w.now },
		Emit: func(effects []ledger.Effect) error {
			w.wishes = append(w.wishes, effects...)
			return nil
		},
	})
}

// tell gives the ledger an input and looks whether all is still sound.
func (w *world) tell(in ledger.Input) ledger.Result {
	result := w.apply(in)
	for more := result; more.More; {
		more = w.apply(ledger.Tick{})
	}
	if faults := w.store.State().Invariants(w.now); faults != nil {
		w.fail("after %T %+v: %v", in, in, faults)
	}
	return result
}

// apply gives the ledger an input.
func (w *world) apply(in ledger.Input) ledger.Result {
	result, err := w.store.Apply(context.Background(), in)
	if err != nil {
		w.fail("%T: %v", in, err)
	}
	_, list := in.(ledger.Found)
	if n, bound := len(result.Jobs)+len(result.Runners), w.limit.Changes; bound > 0 && n > bound+2 && !list {
		w.fail("%T changes %d jobs and runners: want at most %d", in, n, bound+2)
	}
	return result
}

// say has GitHub send a delivery about j.
func (w *world) say(j *job, action string) {
	j.seen.Action = action
	w.mail = append(w.mail, ledger.JobSeen{Job: j.seen, At: w.now})
}

var worldLabels = [][]string{{"self-hosted", "linux"}, {"linux"}, {"Linux", "X64"}, {"linux", "gpu"}, {"macos"}}

// push queues a new job at GitHub.
func (w *world) push() {
	j := &job{seen: event.WorkflowJob{
		Repository: fmt.Sprintf("acme/r%d", w.pick(3)), ID: int64(len(w.jobs) + 1), Attempt: 1,
		Name: "build", Labels: w.label[w.pick(len(w.label))], Created: w.now,
	}, queued: w.now}
	w.jobs, w.open = append(w.jobs, j), append(w.open, j)
	w.say(j, event.ActionQueued)
}

// deliver brings one delivery to the ledger, or loses it, or brings it twice.
func (w *world) deliver(lossy bool) {
	if len(w.mail) == 0 {
		return
	}
	i := w.pick(len(w.mail))
	m := w.mail[i]
	w.mail = slices.Delete(w.mail, i, i+1)
	if lossy && w.pick(10) == 0 {
		return
	}
	w.tell(m)
	if lossy && w.pick(10) == 0 {
		w.mail = append(w.mail, m)
	}
}

// grant carries out one of the ledger's wishes, or does so twice.
func (w *world) grant(doubling bool) {
	if len(w.wishes) == 0 {
		return
	}
	i := w.pick(len(w.wishes))
	wish := w.wishes[i]
	w.wishes = slices.Delete(w.wishes, i, i+1)
	if doubling && w.pick(10) == 0 {
		w.wishes = append(w.wishes, wish)
	}
	switch e := wish.(type) {
	case ledger.WantRunner:
		w.launch(e)
	case ledger.RemoveRunner:
		w.remove(e)
	case ledger.CheckJob:
		w.check(e)
	}
}

func (w *world) launch(e ledger.WantRunner) {
	name := string(e.Runner)
	if !w.tell(ledger.Starting{Runner: e.Runner}).Granted {
		return
	}
	if w.containers[name] == nil {
		w.containers[name] = &machine{name: name, labels: ledger.LabelSet(e.Labels)}
		w.made++
	}
	if w.pick(4) > 0 { // or the word is lost
		w.tell(ledger.Started{Runner: e.Runner})
	}
}

// remove does what [ledger.RemoveRunner] says.
func (w *world) remove(e ledger.RemoveRunner) {
	m := w.registered[string(e.Runner)]
	if e.Registered && !e.Force && m != nil {
		if m.job != nil {
			w.tell(ledger.Busy{Runner: e.Runner})
			return
		}
		delete(w.registered, m.name)
	}
	if c := w.containers[string(e.Runner)]; c != nil && c.job != nil && !e.Force {
		w.fail("%s was running %s and is removed: %s", e.Runner, ledger.KeyOf(c.job.seen), e.Reason)
	}
	w.vanish(string(e.Runner))
	w.tell(ledger.Gone{Runner: e.Runner, ExitCode: 143})
}

// vanish ends a container; its job, if it runs one, fails some time at GitHub.
func (w *world) vanish(name string) {
	if m := w.containers[name]; m != nil {
		delete(w.containers, name)
		if m.job != nil {
			w.complete(m.job, "failure")
		}
	}
}

func (w *world) check(e ledger.CheckJob) {
	w.tell(ledger.JobSeen{Job: w.jobs[e.Job.ID-1].seen, At: w.now, Asked: true})
}

// gate has a job wait for an approval that no runner runs, or approves one that waits.
func (w *world) gate() {
	var can []*job
	for _, j := range w.open {
		if j.seen.RunnerName == "" {
			can = append(can, j)
		}
	}
	j := choose(w, can)
	if j == nil {
		return
	}
	if w.pick(2) == 0 { // GitHub's times may be the same
		j.seen.Started = w.now
	}
	if j.seen.Action == event.ActionWaiting {
		w.approve(j)
		return
	}
	j.seen.Status = event.ActionWaiting
	w.say(j, []string{event.ActionQueued, event.ActionWaiting}[w.pick(2)])
	j.seen.Action = event.ActionWaiting
}

// approve has GitHub queue a job that waits.
func (w *world) approve(j *job) {
	j.seen.Status, j.queued = "", w.now
	w.say(j, event.ActionQueued)
}

// machines returns those of m that match, in one order.
func machines(m map[string]*machine, match func(*machine) bool) (list []*machine) {
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if match(m[name]) {
			list = append(list, m[name])
		}
	}
	return list
}

// choose returns one of list; nil when there is none.
func choose[T any](w *world, list []*T) *T {
	if len(list) == 0 {
		return nil
	}
	return list[w.pick(len(list))]
}

// claim has an agent claim, and its runner register or leave.
func (w *world) claim() {
	m := choose(w, machines(w.containers, func(m *machine) bool { return !m.claimed }))
	if m == nil {
		return
	}
	m.claimed = true
	name := ledger.RunnerName(m.name)
	result := w.tell(ledger.Claim{Runner: name})
	if !result.Granted {
		w.vanish(m.name)
		w.tell(ledger.Gone{Runner: name, Reason: result.Reason})
		return
	}
	for _, other := range w.registered {
		if r, _ := w.store.State().Runner(ledger.RunnerName(other.name)); !r.Warm() && r.MadeFor == result.Runner.MadeFor && other.job == nil && r.State != ledger.RunnerGone {
			w.fail("%s registers for job %s beside %s", m.name, r.MadeFor, other.name)
		}
	}
	if result.Runner.Labels != m.labels {
		w.fail("%s has labels %q: want %q", m.name, result.Runner.Labels, m.labels)
	}
	w.registered[m.name] = m
	w.tell(ledger.Registered{Runner: name, GitHubID: int64(len(w.doneOn) + 1)})
	if w.pick(4) > 0 {
		w.tell(ledger.Idle{Runner: name})
	}
}

// fits reports whether GitHub would give j to m.
func fits(j *job, m *machine) bool {
	for _, l := range j.seen.Labels {
		if !slices.Contains(m.labels.Labels(), strings.ToLower(l)) {
			return false
		}
	}
	return true
}

// assign has GitHub give a job to a runner that listens, whoever it was made for.
func (w *world) assign() {
	m := choose(w, machines(w.registered, func(m *machine) bool { return m.job == nil && w.containers[m.name] == m }))
	if m == nil {
		return
	}
	var can []*job
	for _, j := range w.open {
		if j.seen.Action == event.ActionQueued && fits(j, m) {
			can = append(can, j)
		}
	}
	if j := choose(w, can); j != nil {
		m.job = j
		w.doneOn[m.name]++
		if r, _ := w.store.State().Runner(ledger.RunnerName(m.name)); r.MadeFor != ledger.KeyOf(j.seen) {
			w.stolen++
		}
		w.run(j, m.name)
		if w.pick(2) == 0 {
			w.tell(ledger.Busy{Runner: ledger.RunnerName(m.name)})
		}
	}
}

func (w *world) run(j *job, runner string) {
	j.seen.RunnerName, j.seen.Started = runner, w.now
	w.say(j, event.ActionInProgress)
}

// complete ends j at GitHub, which forgets the ephemeral runner that ran it.
func (w *world) complete(j *job, conclusion string) {
	if j.seen.Action == event.ActionCompleted {
		return
	}
	j.seen.Conclusion, j.seen.Completed = conclusion, w.now
	w.say(j, event.ActionCompleted)
	w.open = slices.DeleteFunc(w.open, func(o *job) bool { return o == j })
	delete(w.registered, j.seen.RunnerName)
}

// finish lets a job end, and its container after it.
func (w *world) finish() {
	m := choose(w, machines(w.containers, func(m *machine) bool { return m.job != nil }))
	if m == nil {
		return
	}
	w.complete(m.job, []string{"success", "failure"}[w.pick(2)])
	w.vanish(m.name)
	w.tell(ledger.Gone{Runner: ledger.RunnerName(m.name)})
}

// cancel ends a queued job, or one that a foreign runner runs.
func (w *world) cancel() {
	var can []*job
	for _, j := range w.open {
		if w.containers[j.seen.RunnerName] == nil {
			can = append(can, j)
		}
	}
	if j := choose(w, can); j != nil {
		w.complete(j, "cancelled")
	}
}

// steal lets a runner that is not ours take a queued job.
func (w *world) steal() {
	if j := choose(w, w.queued()); j != nil {
		w.run(j, "foreign")
	}
}

func (w *world) queued() (list []*job) {
	for _, j := range w.open {
		if j.seen.Action == event.ActionQueued {
			list = append(list, j)
		}
	}
	return list
}

// crash ends a container at any moment.
func (w *world) crash() {
	if m := choose(w, machines(w.containers, func(*machine) bool { return true })); m != nil {
		w.vanish(m.name)
		w.tell(ledger.Gone{Runner: ledger.RunnerName(m.name), ExitCode: 137, Reason: "out of memory"})
	}
}

// pass lets time go by, in which GitHub fails what has been queued for a day.
func (w *world) pass(d time.Duration) {
	w.now = w.now.Add(d)
	for _, j := range w.queued() {
		if w.now.Sub(j.queued) >= 24*time.Hour {
			w.complete(j, "failure")
		}
	}
	w.tell(ledger.Tick{})
}

// restart begins again from what was kept, which takes a while.
func (w *world) restart() {
	w.now = w.now.Add(time.Millisecond)
	w.begin()
	var found []ledger.RunnerName
	for _, name := range slices.Sorted(maps.Keys(w.containers)) {
		found = append(found, ledger.RunnerName(name))
	}
	w.tell(ledger.Found{Runners: found})
}

// portrait is all of a state as text.
func portrait(s *ledger.State) string {
	jobs := slices.SortedFunc(s.Jobs(), func(a, b ledger.Job) int { return cmp.Compare(a.Key.String(), b.Key.String()) })
	runners := slices.SortedFunc(s.Runners(), func(a, b ledger.Runner) int { return cmp.Compare(a.Name, b.Name) })
	text, err := json.Marshal([]any{jobs, runners})
	if err != nil {
		panic(err)
	}
	return string(text)
}

// settle lets everything go well from now on and wants all jobs done and nothing left.
func (w *world) settle() {
	w.coolDown()
	limit := w.now.Add(48 * time.Hour)
	for step := 10 * time.Second; w.now.Before(limit) && !w.quiet(); w.pass(step) {
		step = min(step+10*time.Second, 4*time.Minute) // a sweep at the end of a long wait is as good as many
		for _, j := range w.open {
			if j.seen.Action == event.ActionWaiting {
				w.approve(j)
			}
		}
		w.redeliver()
		for len(w.mail) > 0 {
			w.deliver(false)
		}
		for len(w.wishes) > 0 {
			w.grant(false)
		}
		for range len(w.containers) {
			w.claim()
			w.assign()
		}
		for range len(w.containers) {
			w.finish()
		}
		for _, j := range w.queued() {
			if j.seen.Labels[0] == "macos" {
				w.steal() // somebody else's
			}
		}
		for _, j := range slices.Clone(w.open) {
			if j.seen.RunnerName == "foreign" {
				w.complete(j, "success")
			}
		}
	}
	if !w.quiet() {
		w.fail("not done after two days: open %d, containers %v, registered %v\n%s",
			len(w.open), slices.Collect(maps.Keys(w.containers)), slices.Collect(maps.Keys(w.registered)), portrait(w.store.State()))
	}
}

// coolDown wants no warm runners from now on.
func (w *world) coolDown() {
	w.limit.Pools = slices.Clone(w.limit.Pools)
	for i := range w.limit.Pools {
		w.limit.Pools[i].Warm = pool.Warm{}
	}
	w.restart()
}

// redeliver tells of the jobs that GitHub has queued, as the sweep does.
func (w *world) redeliver() {
	for _, j := range w.queued() {
		w.tell(ledger.JobSeen{Job: j.seen, At: w.now, Asked: true})
	}
}

// quiet reports whether nothing is left, in the world and in the ledger.
func (w *world) quiet() bool {
	for range w.store.State().Jobs() {
		return false
	}
	for range w.store.State().Runners() {
		return false
	}
	return len(w.open)+len(w.mail)+len(w.wishes)+len(w.containers)+len(w.registered) == 0
}
