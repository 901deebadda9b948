package simulation

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// GitHub's figures.
const (
	// A job that its runner does not take within this is given to another.
	// https://docs.github.com/en/actions/reference/runners/self-hosted-runners#routing-precedence-for-self-hosted-runners
	requeueAfter = time.Minute

	// A queued job ends as cancelled after a day.
	// https://docs.github.com/en/actions/reference/limits
	queueLimit = 24 * time.Hour

	// A job whose runner is not heard of fails (actions/runner: the lock on a job is renewed each minute and lasts ten).
	lockLimit = 10 * time.Minute

	// GitHub sends no delivery again that is older.
	// https://docs.github.com/en/webhooks/using-webhooks/redelivering-webhooks
	redeliverable = 3 * 24 * time.Hour
)

// A job is one at GitHub.
type job struct {
	id         int64
	run        int64
	attempt    int // of the run
	repository string
	labels     []string
	status     string // waiting, queued, in_progress, completed
	conclusion string
	created    time.Duration
	queued     time.Duration // since when it waits for a runner
	started    time.Duration // as GitHub tells it
	told       int           // how many events there were of it
	began      time.Duration
	ended      time.Duration
	lasts      time.Duration
	runner     *registration // that it is given to
	ranOn      string        // name of the runner that took it
	excused    bool          // it may fail: something outside Mayfly saw to that
	ours       bool          // a pool takes it
}

// A registration is a runner as GitHub knows it.
type registration struct {
	id         int64
	name       string
	repository string
	labels     []string
	box        *container // that is connected; nil while it is offline
	job        *job       // that it is given
}

// A delivery is one attempt to bring the webhook an event.
type delivery struct {
	id   int64
	guid string
	body []byte
	at   time.Duration
	code int // of the answer; 0 while there is none
}

// A hub is GitHub.
type hub struct {
	*world
	names      []string         // of the repositories, whose ids are 1, 2, 3
	moved      map[string]int64 // ids by the names that they had before
	jobs       []*job
	runners    map[int64]*registration
	last       int64 // id of the newest runner
	deliveries []*delivery
	weather    []spell
	late       bool // a call is served of a process that was killed
}

// A spell is a time in which calls go wrong.
type spell struct {
	kind  string
	until time.Duration
}

// found makes GitHub as it is before anything happens.
func found(w *world) *hub {
	return &hub{world: w, names: []string{"acme/web", "acme/api", "acme/lib"}, moved: map[string]int64{}, runners: map[int64]*registration{}}
}

// rename gives a repository another name. Its jobs and runners move with it; deliveries that were made before keep the old one.
func (g *hub) rename(n uint64) {
	at := n % uint64(len(g.names))
	old := g.names[at]
	name := fmt.Sprintf("acme/renamed%d", len(g.moved)+1)
	g.note("repository %s is now %s", old, name)
	g.names[at], g.moved[old] = name, int64(at+1)
	for _, j := range g.jobs {
		if j.repository == old {
			j.repository = name
		}
	}
	for _, r := range g.runners {
		if r.repository == old {
			r.repository = name
		}
	}
}

// push makes a job, which waits for a runner, or before that for an approval.
func (g *hub) push(repository string, labels []string, lasts time.Duration, approved bool) {
	j := g.create(repository, labels, lasts)
	if approved {
		g.enqueue(j)
		return
	}
	j.status = "waiting"
	g.note("job %d of %s waits for an approval, %v", j.id, j.repository, j.labels)
	g.say(j, "queued") // https://github.com/CloudSnorkel/cdk-github-runners/pull/416
	g.say(j, "waiting")
	g.there(g.span("approval", time.Minute, max(2*time.Minute, day-g.now)), func() { g.review(j) })
}

func (g *hub) create(repository string, labels []string, lasts time.Duration) *job {
	id := int64(len(g.jobs) + 1)
	j := &job{
		id: id, run: id, attempt: 1, repository: repository, labels: labels, created: g.now, started: g.now, lasts: lasts,
		ours: slices.ContainsFunc(pools(), func(p poolShape) bool { return p.takes(labels) }),
	}
	g.jobs = append(g.jobs, j)
	return j
}

// review is somebody's word on a job that waits for it.
func (g *hub) review(j *job) {
	switch {
	case j.status != "waiting":
	case g.pick("review", 5) == 0:
		j.excused = true
		g.complete(j, "failure")
	default:
		if g.pick("approval has a time", 2) == 0 {
			j.started = g.now
		}
		g.enqueue(j)
	}
}

// rerun makes another attempt of the run of j, which is over: j is done again, and another job is carried over, which
// GitHub tells as completed at once.
func (g *hub) rerun(j *job) {
	again := g.create(j.repository, j.labels, j.lasts)
	again.run, again.attempt = j.run, j.attempt+1
	carried := g.create(j.repository, j.labels, j.lasts)
	carried.run, carried.attempt, carried.ranOn, carried.began = j.run, again.attempt, j.ranOn, j.began
	g.note("jobs %d and %d are attempt %d of run %d", again.id, carried.id, again.attempt, j.run)
	carried.status = "in_progress"
	g.complete(carried, "success")
	g.enqueue(again)
}

// enqueue has j wait for a runner.
func (g *hub) enqueue(j *job) {
	j.status, j.queued = "queued", g.now
	g.note("job %d of %s is queued, %v", j.id, j.repository, j.labels)
	g.say(j, j.status)
	g.there(queueLimit, func() {
		if j.status == "queued" {
			g.complete(j, "cancelled")
			if j.ours {
				g.fault("job %d of %s was in the queue for a day", j.id, j.repository)
			}
		}
	})
	if j.ours {
		g.matchSoon()
	} else {
		g.there(g.span("hosted", time.Second, time.Minute), func() { g.hosted(j) })
	}
}

// hosted has a runner take j that is not ours.
func (g *hub) hosted(j *job) {
	if j.status != "queued" || j.runner != nil {
		return
	}
	g.begin(j, "somebody else's")
	g.there(j.lasts, func() { g.complete(j, "success") })
}

// matchSoon gives jobs to runners in a while.
func (g *hub) matchSoon() { g.there(g.span("match", 50*time.Millisecond, 3*time.Second), g.match) }

// match gives each queued job to any idle runner that fits, in the order of the jobs.
func (g *hub) match() {
	for _, j := range g.jobs {
		if j.status != "queued" || j.runner != nil {
			continue
		}
		var fitting []*registration
		for _, id := range sorted(g.runners) {
			if r := g.runners[id]; r.box != nil && r.job == nil && r.takes(j) {
				fitting = append(fitting, r)
			}
		}
		if len(fitting) > 0 {
			g.give(j, fitting[g.pick("runner of a job", len(fitting))])
		}
	}
}

func (r *registration) takes(j *job) bool {
	return r.repository == j.repository && !slices.ContainsFunc(j.labels, func(l string) bool { return !slices.Contains(r.labels, strings.ToLower(l)) })
}

// give sends j to r, which has a minute to take it.
func (g *hub) give(j *job, r *registration) {
	j.runner, r.job = r, j
	g.note("job %d is given to %s", j.id, r.name)
	box := r.box
	g.here(g.span("message", 50*time.Millisecond, 2*time.Second), func() { g.take(j, r, box) })
	g.there(requeueAfter, func() {
		if j.status == "queued" && j.runner == r {
			g.note("job %d is queued again", j.id)
			j.runner, r.job = nil, nil
			g.match()
		}
	})
}

// take has the runner in box begin j.
func (g *hub) take(j *job, r *registration, box *container) {
	if j.status != "queued" || j.runner != r || r.box != box || !box.running {
		return
	}
	g.begin(j, r.name)
	box.report("busy")
	g.here(j.lasts, func() {
		if r.box != box || !box.running {
			return
		}
		g.complete(j, "success")
		box.endSoon(0, "job done")
	})
}

func (g *hub) begin(j *job, runner string) {
	if j.ranOn != "" {
		g.fault("job %d began on %s and on %s", j.id, j.ranOn, runner)
	}
	j.status, j.began, j.ranOn = "in_progress", g.now, runner
	g.note("job %d begins on %s", j.id, runner)
	if waited := g.now - j.queued; j.ours && waited > maxWait {
		g.fault("job %d of %s waited for %v: want %v at most", j.id, j.repository, waited.Round(time.Second), maxWait)
	}
	g.say(j, j.status)
}

// complete ends j, and with it the registration of the ephemeral runner that ran it.
func (g *hub) complete(j *job, conclusion string) {
	if j.status == "completed" {
		return
	}
	if conclusion == "failure" && !j.excused {
		g.fault("job %d of %s failed on %s, and nothing outside Mayfly saw to that", j.id, j.repository, j.ranOn)
	}
	begun := j.status == "in_progress"
	j.status, j.conclusion, j.ended = "completed", conclusion, g.now
	g.note("job %d ends: %s", j.id, conclusion)
	if r := j.runner; r != nil {
		r.job, j.runner = nil, nil
		if begun {
			delete(g.runners, r.id)
		} else {
			g.matchSoon()
		}
	}
	g.say(j, j.status)
}

// cancel ends j as a person does.
func (g *hub) cancel(j *job) {
	r, begun := j.runner, j.status == "in_progress"
	j.excused = true
	g.complete(j, "cancelled")
	if begun && r != nil && r.box != nil && r.box.running {
		r.box.endSoon(0, "job done")
	}
}

// connect has the runner in box listen, and reports whether GitHub knows it.
func (g *hub) connect(id int64, box *container) bool {
	r := g.runners[id]
	if r == nil {
		return false
	}
	r.box = box
	g.note("%s listens", r.name)
	g.matchSoon()
	// GitHub removes runners that listen for long (actions/runner#4726): the runner is told that it is not known.
	g.there(g.span("idle at GitHub", 6*time.Minute, 30*time.Minute), func() {
		if g.runners[id] == r && r.job == nil && r.box == box && box.running {
			delete(g.runners, id)
			g.note("GitHub forgets %s", r.name)
			box.endSoon(1, "terminated error")
		}
	})
	return true
}

// disconnect notes that box has ended. GitHub does not notice at once.
func (g *hub) disconnect(box *container) {
	for _, id := range sorted(g.runners) {
		r := g.runners[id]
		if r.box != box {
			continue
		}
		r.box = nil
		if j := r.job; j != nil && j.status == "in_progress" {
			g.there(lockLimit, func() { g.complete(j, "failure") })
		}
	}
	// https://docs.github.com/en/actions/reference/runners/self-hosted-runners: after a day, which is longer than anything here waits
}

// say sends a delivery of an action about j, or what becomes of one.
func (g *hub) say(j *job, action string) {
	j.told++
	if g.chance("delivery is never sent", 1) {
		return
	}
	d := &delivery{guid: fmt.Sprintf("delivery-%d-%s-%d", j.id, action, j.told), body: g.payload(j, action), at: g.now}
	after := g.span("delivery", 200*time.Millisecond, 3*time.Second)
	if g.chance("delivery is late", 8) {
		after += g.span("late", time.Second, 20*time.Minute)
	}
	g.there(after, func() { g.deliver(d, g.chance("delivery is lost", 7)) })
	if g.chance("delivery is doubled", 7) {
		g.there(after+g.span("doubled", time.Millisecond, time.Hour), func() { g.deliver(d, false) })
	}
}

// deliver makes one attempt. One that is lost has no answer.
func (g *hub) deliver(d *delivery, lost bool) {
	one := *d
	one.id, one.at, one.code = int64(len(g.deliveries)+1), g.now, 0
	g.deliveries = append(g.deliveries, &one)
	if !lost && g.now >= g.wakes {
		one.code = g.mayfly.receive(one.guid, one.body)
	}
	g.note("%s is delivered: %d", d.guid, one.code)
}

// payload is what GitHub says of j.
func (g *hub) payload(j *job, action string) []byte {
	body, err := json.Marshal(map[string]any{
		"action": action, "workflow_job": j.shape(), "repository": map[string]any{"full_name": j.repository},
		"organization": map[string]any{"login": "acme"},
	})
	if err != nil {
		panic(err)
	}
	return body
}

func (j *job) shape() map[string]any {
	s := map[string]any{
		"id": j.id, "run_id": j.run, "run_attempt": j.attempt, "name": "build", "workflow_name": "CI", "labels": j.labels, "status": j.status,
		"html_url": fmt.Sprintf("https://github.com/%s/actions/runs/%d/job/%d", j.repository, j.run, j.id), "created_at": stamp(j.created),
		"run_url": fmt.Sprintf("http://127.0.0.1:1/api/v3/repos/%s/actions/runs/%d", j.repository, j.run), "started_at": stamp(j.started),
	}
	if j.ranOn != "" {
		s["runner_name"], s["started_at"] = j.ranOn, stamp(j.began)
	}
	if j.status == "completed" {
		s["conclusion"], s["completed_at"] = j.conclusion, stamp(j.ended)
	}
	return s
}

func stamp(at time.Duration) string { return truly(at).Format(time.RFC3339) }
