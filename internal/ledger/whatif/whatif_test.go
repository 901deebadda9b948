package whatif

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pool"
	"github.com/mayfly-ci/mayfly/internal/racetest"
)

var start = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

func after(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }

// one returns the work of id that arrives and runs for so many seconds.
func one(id int64, arrives, runs int, labels ledger.LabelSet) Work {
	return Work{
		Key: ledger.NewJobKey("acme/web", id, 1), Scope: ledger.Scope{Repository: "acme/web"}, Labels: labels,
		Created: after(arrives), Arrived: after(arrives), Runs: time.Duration(runs) * time.Second,
	}
}

func pools(max int) pool.Set {
	small := pool.Pool{Name: "small", Labels: []string{"self-hosted", "linux"}, Max: max}.WithDefaults()
	big := pool.Pool{Name: "big", Labels: []string{"linux", "gpu"}, Resources: pool.Resources{CPUs: 4}}.WithDefaults()
	return pool.Set{small, big}
}

// TestRun compares with what was computed by hand: start-up takes 10 s.
func TestRun(t *testing.T) {
	three := []Work{one(1, 0, 60, "linux"), one(2, 5, 30, "linux"), one(3, 100, 10, "linux")}
	for _, test := range []struct {
		name   string
		work   []Work
		limits ledger.Limits
		want   string
	}{
		// 1: 0 wanted, 10 starts, 70 ends. 2: held from 5 to 70, starts at 80, ends at 110. 3: held from 100 to 110, starts at 120.
		{"one at a time", three, ledger.Limits{Pools: pools(1)}, `
			small: 3 jobs, 3 started, waits 20s 1m15s 1m15s, 3 runners, 1 at once, at max 1m15s, at host 0s
			big: 0 jobs, 0 started, waits 0s 0s 0s, 0 runners, 0 at once, at max 0s, at host 0s
			: 3 jobs, 3 started, waits 20s 1m15s 1m15s, 3 runners, 1 at once, at max 1m15s, at host 0s
			until 130`},
		{"two at a time", three, ledger.Limits{Pools: pools(2)}, `
			small: 3 jobs, 3 started, waits 10s 10s 10s, 3 runners, 2 at once, at max 0s, at host 0s
			big: 0 jobs, 0 started, waits 0s 0s 0s, 0 runners, 0 at once, at max 0s, at host 0s
			: 3 jobs, 3 started, waits 10s 10s 10s, 3 runners, 2 at once, at max 0s, at host 0s
			until 120`},
		// The host has room for one runner of big, or for two of small. 1 runs from 10 to 70, 2 (big) from 70+10 to 110.
		{"a full host", []Work{one(1, 0, 60, "linux"), one(2, 5, 30, "gpu")}, ledger.Limits{Pools: pools(0), Host: pool.Resources{CPUs: 5}}, `
			small: 1 jobs, 1 started, waits 10s 10s 10s, 1 runners, 1 at once, at max 0s, at host 0s
			big: 1 jobs, 1 started, waits 1m15s 1m15s 1m15s, 1 runners, 1 at once, at max 0s, at host 1m5s
			: 2 jobs, 2 started, waits 10s 1m15s 1m15s, 2 runners, 1 at once, at max 0s, at host 1m5s
			until 110`},
		{"no pool", []Work{one(1, 0, 60, "macos"), one(2, 0, 60, "linux,macos"), one(3, 7, 1, "macos")}, ledger.Limits{Pools: pools(0)}, `
			small: 0 jobs, 0 started, waits 0s 0s 0s, 0 runners, 0 at once, at max 0s, at host 0s
			big: 0 jobs, 0 started, waits 0s 0s 0s, 0 runners, 0 at once, at max 0s, at host 0s
			: 0 jobs, 0 started, waits 0s 0s 0s, 0 runners, 0 at once, at max 0s, at host 0s
			unroutable macos: 2
			unroutable linux, macos: 1
			until 0`},
		// 1 is cancelled at 4 s, when its runner is still coming: that goes to nobody.
		{"cancelled", []Work{{Key: ledger.NewJobKey("acme/web", 1, 1), Scope: ledger.Scope{Repository: "acme/web"}, Labels: "linux", Created: start, Arrived: start, Leaves: 4 * time.Second}}, ledger.Limits{Pools: pools(0)}, `
			small: 1 jobs, 0 started, waits 0s 0s 0s, 1 runners, 1 at once, at max 0s, at host 0s
			big: 0 jobs, 0 started, waits 0s 0s 0s, 0 runners, 0 at once, at max 0s, at host 0s
			: 1 jobs, 0 started, waits 0s 0s 0s, 1 runners, 1 at once, at max 0s, at host 0s
			until 4`},
		// The pool's runners are stopped after 6 hours, and GitHub fails what has waited for a day.
		{"over limits", []Work{one(1, 0, 30*3600, "linux"), one(2, 0, 1, "gpu")}, ledger.Limits{Pools: pools(0), Host: pool.Resources{CPUs: 3}}, `
			small: 1 jobs, 1 started, waits 10s 10s 10s, 1 runners, 1 at once, at max 0s, at host 0s, 1 cut
			big: 1 jobs, 0 started, waits 0s 0s 0s, 0 runners, 0 at once, at max 0s, at host 24h0m0s, 1 failed
			: 2 jobs, 1 started, waits 10s 10s 10s, 1 runners, 1 at once, at max 0s, at host 24h0m0s, 1 cut, 1 failed
			until 86400`},
		// A runner of big listens at 15 and has the labels of 1, which is older than 2, whom it was started for. What
		// small was starting for 1 is of no use then, and 2 gets another, which listens at 25.
		{"stolen", []Work{one(1, 0, 60, "linux"), one(2, 5, 30, "gpu,linux")}, ledger.Limits{Pools: pools(0)}, `
			small: 1 jobs, 1 started, waits 15s 15s 15s, 1 runners, 1 at once, at max 0s, at host 0s
			big: 1 jobs, 1 started, waits 20s 20s 20s, 2 runners, 2 at once, at max 0s, at host 0s
			: 2 jobs, 2 started, waits 15s 20s 20s, 3 runners, 2 at once, at max 0s, at host 0s
			until 75`},
	} {
		startup := Startup{Other: 10 * time.Second}
		if test.name == "stolen" {
			startup.Pools = map[string]time.Duration{"small": 30 * time.Second}
		}
		got := portrait(Run(test.work, test.limits, startup))
		if diff := cmp.Diff(unindent(test.want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func unindent(s string) string {
	return string(bytes.ReplaceAll(bytes.TrimSpace([]byte(s)), []byte("\n\t\t\t"), []byte("\n")))
}

// portrait is a report in few words.
func portrait(r Report) string {
	var b bytes.Buffer
	for _, c := range append(r.Pools, r.Total) {
		fmt.Fprintf(&b, "%s: %d jobs, %d started, waits %v %v %v, %d runners, %d at once, at max %v, at host %v",
			c.Pool, c.Jobs, c.Started, c.P50, c.P95, c.Max, c.Runners, c.Peak, c.AtMax, c.AtHost)
		if c.Cut > 0 {
			fmt.Fprintf(&b, ", %d cut", c.Cut)
		}
		if c.Failed > 0 {
			fmt.Fprintf(&b, ", %d failed", c.Failed)
		}
		b.WriteByte('\n')
	}
	for _, u := range r.Unroutable {
		fmt.Fprintf(&b, "unroutable %s: %d\n", u.Labels, u.Jobs)
	}
	until := r.End
	if until.IsZero() {
		until = start
	}
	fmt.Fprintf(&b, "until %v", until.Sub(start).Seconds())
	return b.String()
}

// TestMoreCapacity: in one queue, in which the oldest is always first, more room lets no job
// start later. (It does not hold between pools that share a host, nor between
// repositories, which take turns: there a job that starts sooner may take another's place.)
func TestMoreCapacity(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string, most int) int { return rapid.IntRange(0, most).Draw(t, name) }
		var work []Work
		at := 0
		for id := range draw("jobs", 20) {
			at += draw("gap", 120)
			work = append(work, one(int64(id+1), at, draw("runs", 900), "linux"))
		}
		startup := Startup{Other: time.Duration(draw("startup", 100)) * time.Second}
		fewer := ledger.Limits{Pools: pools(1 + draw("max", 3)), Host: pool.Resources{CPUs: float64(2 + 2*draw("host", 3))}}
		more := ledger.Limits{Pools: pools(fewer.Pools[0].Max + draw("more", 3)), Host: pool.Resources{CPUs: fewer.Host.CPUs + 2*float64(draw("larger", 3))}}
		a, b := newWorld(work, fewer, startup), newWorld(work, more, startup)
		a.play()
		b.play()
		if len(a.total.waits) != len(work) || len(b.total.waits) != len(work) {
			t.Fatalf("%d and %d of %d jobs started", len(a.total.waits), len(b.total.waits), len(work))
		}
		for i := range work { // the waits are in the order of starts, which is that of arrivals
			if b.total.waits[i] > a.total.waits[i] {
				t.Errorf("job %d waits %v with max %d, and %v with max %d", i+1, a.total.waits[i], fewer.Pools[0].Max, b.total.waits[i], more.Pools[0].Max)
			}
		}
	})
}

// TestSound holds whatever the traffic is: every job that fits a pool ends, nothing is left, the
// limits are kept, and the same once more gives the same.
func TestSound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pick := func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "pick") }
		var work []Work
		at := 0
		for id := range pick(40) {
			at += pick(60)
			k := one(int64(id+1), at, pick(4000), []ledger.LabelSet{"linux", "linux,self-hosted", "gpu", "gpu,linux", "macos"}[pick(5)])
			k.Scope.Repository = fmt.Sprintf("acme/r%d", pick(2))
			k.Key = ledger.NewJobKey(k.Scope.Repository, k.Key.ID, 1)
			if pick(5) == 0 {
				k.Leaves = time.Duration(1+pick(300)) * time.Second
			}
			work = append(work, k)
		}
		limits := ledger.Limits{Pools: pools(pick(4)), Host: pool.Resources{CPUs: float64(4 * pick(3))}, Level: []ledger.Level{ledger.LevelRepository, ledger.LevelEnterprise}[pick(2)]}
		startup := Startup{Other: time.Duration(pick(60)) * time.Second, Pools: map[string]time.Duration{"big": time.Duration(pick(200)) * time.Second}}
		w := newWorld(work, limits, startup)
		w.play()
		if w.open > 0 || len(w.runners) > 0 {
			t.Errorf("open jobs %d, runners %v", w.open, w.runners)
		}
		r := w.report()
		unroutable := 0
		for _, u := range r.Unroutable {
			unroutable += u.Jobs
		}
		if got := r.Total.Jobs + unroutable; got != len(work) {
			t.Errorf("%d jobs and %d unroutable of %d", r.Total.Jobs, unroutable, len(work))
		}
		if max := limits.Pools[0].Max; max > 0 && r.Pools[0].Peak > max {
			t.Errorf("%d runners at once: want %d at most", r.Pools[0].Peak, max)
		}
		if diff := cmp.Diff(r, Run(work, limits, startup)); diff != "" {
			t.Errorf("once more (-first +second):\n%s", diff)
		}
	})
}

// TestTraffic says what becomes of jobs with all sorts of gaps in what is told of them.
func TestTraffic(t *testing.T) {
	var traffic Traffic
	add := func(id int64, action string, at int, change func(*event.WorkflowJob)) {
		j := event.WorkflowJob{Action: action, Repository: "acme/web", ID: id, Attempt: 1, Labels: []string{"Linux"}, Created: after(0)}
		if change != nil {
			change(&j)
		}
		traffic.Add(j, after(at))
	}
	ran := func(start, end int) func(*event.WorkflowJob) {
		return func(j *event.WorkflowJob) {
			j.RunnerName, j.Conclusion, j.Started, j.Completed = "r", "success", after(start), after(end)
		}
	}
	concluded := func(what string, at int) func(*event.WorkflowJob) {
		return func(j *event.WorkflowJob) { j.Conclusion, j.Started, j.Completed = what, after(0), after(at) }
	}
	add(1, "completed", 90, ran(20, 80)) // out of order, and one of them twice
	add(1, "queued", 5, nil)
	add(1, "queued", 9, nil)
	add(1, "in_progress", 25, nil)
	add(2, "completed", 70, ran(10, 50)) // its queued event was lost
	add(3, "queued", 3, nil)             // still runs
	add(3, "in_progress", 8, nil)
	add(4, "queued", 4, nil) // cancelled before it ran: started_at means nothing
	add(4, "completed", 34, concluded("cancelled", 34))
	add(5, "queued", 6, nil) // nobody came for it
	add(5, "completed", 86500, concluded("cancelled", 86500))
	add(6, "waiting", 1, nil) // never let in
	add(7, "queued", 1, nil)
	add(7, "completed", 2, concluded("skipped", 2))                                // needed no runner
	add(8, "queued", 7, func(j *event.WorkflowJob) { j.Labels = []string{"gpu"} }) // the only one of its labels
	want := map[int64]string{
		1: "5 runs 1m0s", // in_progress, without a time of its own, was told at 25; completed says 20
		2: "0 runs 40s", 3: "3 runs 40s assumed", 4: "4 leaves 30s", 5: "6 runs 40s assumed", 8: "7 runs 40s assumed",
	}
	got := map[int64]string{}
	work := traffic.Work()
	for _, w := range work {
		text := fmt.Sprintf("%v runs %v", w.Arrived.Sub(start).Seconds(), w.Runs)
		if w.Leaves > 0 {
			text = fmt.Sprintf("%v leaves %v", w.Arrived.Sub(start).Seconds(), w.Leaves)
		}
		if w.Assumed {
			text += " assumed"
		}
		got[w.Key.ID] = text
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if !slices.IsSortedFunc(work, func(a, b Work) int { return a.Arrived.Compare(b.Arrived) }) {
		t.Errorf("not by arrival: %v", work)
	}
}

func TestMeasureStartup(t *testing.T) {
	r := func(pool string, took int, steps ...string) (r ledger.Runner) {
		r.Pool, r.Made = pool, start
		for _, s := range steps {
			r.History = append(r.History, ledger.Step{At: after(took), What: s})
		}
		return r
	}
	got := MeasureStartup([]ledger.Runner{
		r("small", 4, "wanted", "idle"), r("small", 2, "idle", "busy"), r("small", 9, "idle"),
		r("small", 100, "wanted", "gone"), r("big", 30, "idle"),
	}, time.Hour)
	want := Startup{Pools: map[string]time.Duration{"small": 4 * time.Second, "big": 30 * time.Second}, Other: 4 * time.Second, Measured: 4}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if d := got.Of("small"); d != 4*time.Second {
		t.Errorf("small starts in %v", d)
	}
	if d := MeasureStartup(nil, time.Hour).Of("small"); d != time.Hour {
		t.Errorf("without runners: %v", d)
	}
}

// TestCaptures plays what a real forge sent.
func TestCaptures(t *testing.T) {
	files, err := filepath.Glob("../../../testdata/webhooks/gitea/*workflow_job*.http")
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	var traffic Traffic
	all := pool.Pool{Name: "all"}.WithDefaults()
	queued := map[ledger.JobKey]bool{}
	for i, file := range files {
		request, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, body, _ := bytes.Cut(request, []byte("\r\n\r\n"))
		j, err := event.ParseWorkflowJob(body)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all.Labels = append(all.Labels, j.Labels...)
		if j.Action != event.ActionWaiting {
			queued[ledger.KeyOf(j)] = true
		}
		traffic.Add(j, after(i))
	}
	work := traffic.Work()
	if len(work) != len(queued) {
		t.Errorf("%d jobs of work: want the %d that were queued", len(work), len(queued))
	}
	for _, max := range []int{0, 2} {
		all.Max = max
		r := Run(work, ledger.Limits{Pools: pool.Set{all}}, Startup{Other: time.Second})
		if r.Total.Started != len(work) || max > 0 && (r.Total.Peak != max || r.Total.AtMax == 0) {
			t.Errorf("max %d: %s", max, portrait(r))
		}
		t.Logf("max %d: %s", max, portrait(r))
	}
}

// archive tells of n jobs over a month, three events each, in several repositories.
func archive(n int) *Traffic {
	var traffic Traffic
	for i := range n {
		at := start.Add(time.Duration(i) * (30 * 24 * time.Hour / time.Duration(n)))
		j := event.WorkflowJob{
			Repository: fmt.Sprintf("acme/r%d", i%50), Organization: "acme", ID: int64(i + 1), Attempt: 1, Labels: []string{"self-hosted", "linux"},
			Created: at, Action: event.ActionQueued,
		}
		traffic.Add(j, at)
		j.Action, j.Started, j.RunnerName = event.ActionInProgress, at.Add(5*time.Second), "r"
		traffic.Add(j, j.Started)
		j.Action, j.Completed, j.Conclusion = event.ActionCompleted, j.Started.Add(time.Duration(30+i%600)*time.Second), "success"
		traffic.Add(j, j.Completed)
	}
	return &traffic
}

func inUse() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// TestArchiveIsBounded takes in 100,000 events, 1.2 GB of payload, and plays them: each job may take
// a few hundred bytes, whatever its events had.
func TestArchiveIsBounded(t *testing.T) {
	const each = 1000
	jobs := racetest.Fewer(33_334, 3_334)
	before := inUse()
	traffic := archive(jobs)
	if took := inUse() - before; took > jobs*each {
		t.Errorf("%d jobs take %d bytes: want %d each at most", jobs, took, each)
	}
	work := traffic.Work()
	runtime.KeepAlive(traffic)
	traffic = nil
	before = inUse()
	w := newWorld(work, ledger.Limits{Pools: pools(6)}, Startup{Other: 5 * time.Second})
	w.play()
	if took := inUse() - before; took > jobs*each/2 {
		t.Errorf("a run of %d jobs takes %d bytes: want %d each at most", jobs, took, each/2)
	}
	if got := w.report().Total; got.Started != jobs {
		t.Errorf("%d of %d jobs started", got.Started, jobs)
	}
	runtime.KeepAlive(work)
}

// BenchmarkRun plays a month of 100,000 events: with room for all, with too little for the peaks, and with
// so little that a line of a day builds up.
func BenchmarkRun(b *testing.B) {
	work := archive(33_334).Work()
	for _, max := range []int{0, 6, 4} {
		b.Run(fmt.Sprintf("max=%d", max), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Run(work, ledger.Limits{Pools: pools(max)}, Startup{Other: 5 * time.Second})
			}
		})
	}
}
