package forgetest

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestForge(t *testing.T) {
	t.Parallel()
	b := find(t)
	for _, kind := range []string{"sandbox", "engine"} {
		t.Run(kind, func(t *testing.T) { t.Parallel(); judge(t, open(t, b, kind)) })
	}
}

// judge takes jobs the whole way, in the order of what may go wrong.
func judge(t *testing.T, w *world) {
	for _, test := range []struct {
		name string
		f    func(*testing.T, *world)
	}{
		{"push", testPush}, {"matrix", testMatrix}, {"needs", testNeeds}, {"failure", testFailure}, {"skipped", testSkipped},
		{"cancel", testCancel}, {"rerun", testRerun}, {"spelling", testSpelling}, {"secrets", testSecrets}, {"registry", testRegistry},
		{"busy", testBusy}, {"hooks", testHooks}, {"refusals", testRefusals},
		{"lost deliveries", testLost}, {"twenty at once", testTwenty}, {"killed", testKilled},
	} {
		if !t.Run(test.name, func(t *testing.T) { test.f(t, w) }) {
			t.FailNow() // what follows would wait for what is left
		}
	}
}

// workflow is one of jobs, each given by its lines below the name.
func workflow(jobs string) string { return "on: push\njobs:\n" + jobs }

// job is a job of the pool with steps in bash.
func job(name, more string, steps ...string) string {
	text := fmt.Sprintf("  %s:\n    runs-on: [self-hosted, linux, Small]\n%s    steps:\n", name, more)
	for _, s := range steps {
		text += "    - run: " + s + "\n      shell: bash\n"
	}
	return text
}

// TestPush: a push becomes a job that runs, on a runner which is gone afterwards.
func testPush(t *testing.T, w *world) {
	repository, sha := w.push(t, "push", workflow(job("build", "", w.marks.step("push"), "echo hello from $HOSTNAME")))
	w.marks.of(t, "push")
	r, jobs := w.done(t, repository, sha)
	if r.Conclusion != "success" {
		log, _ := w.JobLog(t.Context(), repository, jobs["build"].ID)
		t.Fatalf("%+v, %+v: want success\n%s", r, jobs, log)
	}
	w.quiet(t)
	list := w.list(t, "jobs")
	if len(list) != 1 || list[0].State != "completed" || list[0].Conclusion != "success" || list[0].Runners != 1 {
		t.Errorf("%+v: want one job that is done, with one runner", list)
	}
	if want := fmt.Sprintf("%s/%d/1", repository, jobs["build"].ID); list[0].Job != want {
		t.Errorf("job %s: want %s, its first attempt", list[0].Job, want)
	}
}

// expect pushes a workflow and compares conclusions of its jobs, by name, and how many runners were made.
func (w *world) expect(t *testing.T, name, jobs string, runners int, want map[string]string) {
	t.Helper()
	before := len(w.list(t, "runners", "--all"))
	repository, sha := w.push(t, name, workflow(jobs))
	_, got := w.done(t, repository, sha)
	for job, conclusion := range want {
		if got[job].Conclusion != conclusion {
			log, _ := w.JobLog(t.Context(), repository, got[job].ID)
			t.Errorf("job %q ended with %q: want %q\n%s", job, got[job].Conclusion, conclusion, log)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d jobs: %+v: want %d", len(got), got, len(want))
	}
	w.quiet(t)
	if made := len(w.list(t, "runners", "--all")) - before; made != runners {
		t.Errorf("%d runners were made: want %d", made, runners)
	}
}

func testMatrix(t *testing.T, w *world) {
	w.expect(t, "matrix", job("build", "    strategy: {matrix: {n: [1, 2, 3]}}\n", "test ${{ matrix.n }} -lt 4"), 3,
		map[string]string{"build (1)": "success", "build (2)": "success", "build (3)": "success"})
}

// testNeeds: a job that waits for another gets its runner when it is freed, and one whose need failed gets none.
func testNeeds(t *testing.T, w *world) {
	w.expect(t, "needs", job("first", "", "true")+job("second", "    needs: first\n", "true")+
		job("bad", "", "false")+job("never", "    needs: bad\n", "true"), 3,
		map[string]string{"first": "success", "second": "success", "bad": "failure", "never": "skipped"})
}

func testFailure(t *testing.T, w *world) {
	w.expect(t, "failure", job("build", "", "exit 3"), 1, map[string]string{"build": "failure"})
}

// testSkipped: Gitea gives a job with a false condition to a runner, which skips it.
func testSkipped(t *testing.T, w *world) {
	w.expect(t, "skipped", job("build", "    if: false\n", "true"), 1, map[string]string{"build": "skipped"})
}

// testCancel: a job that runs, and one that waits, are cancelled; nothing is left of either.
func testCancel(t *testing.T, w *world) {
	repository, sha := w.push(t, "cancel", workflow(job("build", "", w.marks.step("cancel"), "sleep 600")))
	w.marks.of(t, "cancel")
	must(t, w.Cancel(t.Context(), w.run(t, repository, sha)))
	r, _ := w.done(t, repository, sha)
	if r.Conclusion != "cancelled" {
		t.Errorf("%+v: want it cancelled", r)
	}
	w.quiet(t)
	// A job of labels that fit no pool has no runner: cancelled, it is over.
	repository, sha = w.push(t, "cancel-waiting", strings.Replace(workflow(job("build", "", "true")), "Small", "nowhere", 1))
	r = w.run(t, repository, sha)
	w.eventually(t, "the job is known to fit no pool", func() bool {
		return slices.ContainsFunc(w.list(t, "jobs"), func(v view) bool { return strings.HasPrefix(v.Job, repository) && v.State == "unroutable" })
	})
	must(t, w.Cancel(t.Context(), r))
	w.done(t, repository, sha)
	w.quiet(t)
}

// testRerun: a job that is run again keeps its id, and is another attempt here.
func testRerun(t *testing.T, w *world) {
	repository, sha := w.push(t, "rerun", workflow(job("build", "", "exit 1")))
	r, jobs := w.done(t, repository, sha)
	w.quiet(t)
	for attempt := 2; attempt <= 3; attempt++ {
		must(t, w.Rerun(t.Context(), repository, r.ID))
		key := fmt.Sprintf("%s/%d/%d", repository, jobs["build"].ID, attempt)
		w.eventually(t, key+" is done", func() bool {
			return slices.ContainsFunc(w.list(t, "jobs"), func(v view) bool {
				return v.Job == key && v.State == "completed" && v.Conclusion == "failure" && v.Runners == 1
			})
		})
		w.quiet(t)
	}
	if r, _ = w.done(t, repository, sha); r.Conclusion != "failure" {
		t.Errorf("%+v: want failure", r)
	}
}

// testSpelling: Gitea minds the case of labels, mayfly does not.
func testSpelling(t *testing.T, w *world) {
	text := job("one", "", "true") + strings.Replace(job("two", "", "true"), "Small", "SMALL", 1) + strings.Replace(job("three", "", "true"), "linux, Small", "Linux, small", 1)
	w.expect(t, "spelling", text, 3, map[string]string{"one": "success", "two": "success", "three": "success"})
}

// testSecrets: what a job finds in its environment and its files is no credential of mayfly's.
func testSecrets(t *testing.T, w *world) {
	look := `'env; find / -xdev -type f -size -64k -not -path "/proc/*" -not -path "/usr/*" 2>/dev/null | xargs grep -lsa -e "` + w.Token + `" -e registration_token || true; find / -name .runner 2>/dev/null || true; echo looked'`
	repository, sha := w.push(t, "secrets", workflow(job("build", "", look)))
	r, jobs := w.done(t, repository, sha)
	log, err := w.JobLog(t.Context(), repository, jobs["build"].ID)
	must(t, err)
	if r.Conclusion != "success" || !strings.Contains(log, "looked") {
		t.Fatalf("%+v\n%s", r, log)
	}
	_, found, _ := strings.Cut(log, "looked") // the command itself is printed first
	for _, secret := range []string{"GITEA_TOKEN=" + w.Token, "MAYFLY_", "/.runner\n", "JITCONFIG"} {
		if strings.Contains(log, secret) {
			t.Errorf("a job sees %q in\n%s", secret, found)
		}
	}
	w.quiet(t)
}

// testLost: jobs whose deliveries nobody took, as mayfly was down, run once it is up.
func testLost(t *testing.T, w *world) {
	w.stop(t, syscall.SIGTERM)
	repository, sha := w.push(t, "lost", workflow(job("one", "", "true")+job("two", "", "true")))
	w.run(t, repository, sha)
	other, otherSHA := w.push(t, "lost-too", workflow(job("one", "", "true")))
	w.run(t, other, otherSHA)
	w.start(t)
	for _, at := range [][2]string{{repository, sha}, {other, otherSHA}} {
		if r, _ := w.done(t, at[0], at[1]); r.Conclusion != "success" {
			t.Errorf("%+v: want success", r)
		}
	}
	w.quiet(t)
}

// testTwenty has twenty jobs at once, and measures how long one takes from its push until it runs: first alone, then among
// them. For figures, twenty are alone as well.
func testTwenty(t *testing.T, w *world) {
	alone, together := 2, 20
	if os.Getenv("MAYFLY_FORGE") == "figures" {
		alone = 20
	}
	repository := organization + "/twenty"
	must(t, w.CreateRepository(t.Context(), repository))
	var single []time.Duration
	for n := range alone {
		name := fmt.Sprintf("alone-%d", n)
		begun := time.Now()
		sha := w.pushTo(t, repository, workflow(job("build", "", w.marks.step(name))))
		single = append(single, w.marks.of(t, name)[0].Sub(begun))
		w.done(t, repository, sha)
	}
	w.quiet(t)
	var text string
	var names []string
	for n := range together {
		names = append(names, fmt.Sprintf("together-%d", n))
		text += job(names[n], "", w.marks.step(names[n]), "sleep 1")
	}
	begun := time.Now()
	sha := w.pushTo(t, repository, workflow(text))
	var many []time.Duration
	for _, at := range w.marks.of(t, names...) {
		many = append(many, at.Sub(begun))
	}
	r, jobs := w.done(t, repository, sha)
	if r.Conclusion != "success" || len(jobs) != together {
		t.Errorf("%+v, %d jobs: want success of %d", r, len(jobs), together)
	}
	w.quiet(t)
	t.Logf("push → running, alone: p50 %v, p99 %v; %d at once: p50 %v, the last %v",
		quantile(single, 0.5), quantile(single, 0.99), together, quantile(many, 0.5), quantile(many, 1))
}

// quantile returns that of all, by rank.
func quantile(all []time.Duration, q float64) time.Duration {
	all = slices.Sorted(slices.Values(all))
	return all[int(q*float64(len(all)-1)+0.5)].Round(10 * time.Millisecond)
}

// testKilled: mayfly dies while jobs run, wait and are pushed; each runs once.
func testKilled(t *testing.T, w *world) {
	var text string
	var names []string
	for n := range 6 {
		names = append(names, fmt.Sprintf("killed-%d", n))
		text += job(names[n], "", w.marks.step(names[n]), "sleep 3")
	}
	repository, sha := w.push(t, "killed", workflow(text))
	w.marks.of(t, names[0])
	w.stop(t, syscall.SIGKILL)
	other, otherSHA := w.push(t, "killed-too", workflow(job("build", "", "true")))
	w.run(t, other, otherSHA)
	w.start(t)
	r, jobs := w.done(t, repository, sha)
	if r.Conclusion != "success" {
		t.Errorf("%+v, %+v: want success", r, jobs)
	}
	for name, j := range jobs {
		if j.Attempt != 1 {
			t.Errorf("job %s is at attempt %d: want one", name, j.Attempt)
		}
	}
	if r, _ := w.done(t, other, otherSHA); r.Conclusion != "success" {
		t.Errorf("%+v: want success", r)
	}
	w.quiet(t)
}
