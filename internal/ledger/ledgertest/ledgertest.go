// Package ledgertest has the test that every [ledger.Store] passes, and the
// plainest store that does.
package ledgertest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// Config is how a test wants a store.
type Config struct {
	Dir    string // where it keeps what it keeps; a store opened on it later finds that
	Limits ledger.Limits
	Now    func() time.Time

	// Emit passes effects on. Its error either makes the write fail, as where both are one
	// transaction, or leaves the effects kept, to be passed on by an input that comes later: then
	// they may be passed on more than once.
	Emit func([]ledger.Effect) error

	// Commit, if set, is called in place of each commit and may fail before it calls
	// commit, or after.
	Commit func(commit func() error) error
}

// Open opens a store, to be closed by t's cleanup or before Dir is opened again.
type Open func(t *testing.T, c Config) ledger.Store

// Test is the contract of [ledger.Store].
func Test(t *testing.T, open Open) {
	tests := map[string]func(*testing.T, Open){
		"keeps what it said":                 testReopening,
		"loads finished ones when named":     testFinished,
		"knows a job by its number":          testRenamed,
		"loses no effect":                    testEmit,
		"is sound after a commit that fails": testCommit,
		"knows why a claim is refused":       testRefusal,
		"grants one of many claims":          testConcurrent,
		"takes a grant back":                 testPutOff,
		"lists newest first, page by page":   testLists,
		"lists by image, of what came out":   testImages,
		"gives copies":                       testSnapshot,
		"keeps warm runners":                 testWarm,
		"applies many inputs at once":        testBatch,
		"keeps what it says of a batch":      testBatchFault,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(t, open) })
	}
}

// at is the time at which nothing else is said.
var at = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

// config returns a plain configuration; emitted gathers the effects.
func config(t *testing.T, emitted *[]ledger.Effect) Config {
	return Config{
		Dir:    t.TempDir(),
		Limits: ledger.Limits{Pools: pool.Set{pool.Pool{Name: "small", Labels: []string{"linux"}}.WithDefaults()}},
		Now:    func() time.Time { return at },
		Emit: func(effects []ledger.Effect) error {
			*emitted = append(*emitted, effects...)
			return nil
		},
	}
}

func seen(id int64, action string) ledger.JobSeen {
	w := event.WorkflowJob{
		Action: action, Repository: "Acme/Web", ID: id, Attempt: 1, Name: "build", Labels: []string{"Linux"},
		Created: at.Add(time.Duration(id) * time.Second),
	}
	if action == event.ActionCompleted {
		w.Conclusion = "success"
	}
	return ledger.JobSeen{Job: w, At: at}
}

func key(id int64) ledger.JobKey { return ledger.NewJobKey("acme/web", id, 1) }

func apply(t *testing.T, s ledger.Store, in ledger.Input) ledger.Result {
	t.Helper()
	result, err := s.Apply(t.Context(), in)
	if err != nil {
		t.Fatalf("%#v: %v", in, err)
	}
	return result
}

// queue has the store see a queued job, and returns the runner that is wanted for it.
func queue(t *testing.T, s ledger.Store, id int64) ledger.RunnerName {
	t.Helper()
	result := apply(t, s, seen(id, event.ActionQueued))
	if len(result.Effects) != 1 {
		t.Fatalf("effects of a queued job: %v: want one runner wanted", result.Effects)
	}
	return result.Effects[0].(ledger.WantRunner).Runner
}

func job(t *testing.T, s ledger.Store, id int64) ledger.Job {
	t.Helper()
	jobs, err := s.Jobs(t.Context(), ledger.JobQuery{Key: key(id)})
	if err != nil {
		t.Fatal(err)
	}
	return jobs[0]
}

func runner(t *testing.T, s ledger.Store, name ledger.RunnerName) ledger.Runner {
	t.Helper()
	runners, err := s.Runners(t.Context(), ledger.RunnerQuery{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return runners[0]
}

func testReopening(t *testing.T, open Open) {
	var emitted []ledger.Effect
	c := config(t, &emitted)
	s := open(t, c)
	name := queue(t, s, 1)
	apply(t, s, ledger.Starting{Runner: name})
	if result := apply(t, s, ledger.Claim{Runner: name}); !result.Granted {
		t.Fatalf("claim refused: %s", result.Reason)
	}
	wantJob, wantRunner := job(t, s, 1), runner(t, s, name)

	s = open(t, c)
	if diff := cmp.Diff(wantJob, job(t, s, 1)); diff != "" {
		t.Errorf("job after opening again (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(wantRunner, runner(t, s, name)); diff != "" {
		t.Errorf("runner after opening again (-before +after):\n%s", diff)
	}
	if result := apply(t, s, ledger.Claim{Runner: name}); !result.Granted { // nothing came of the first one
		t.Errorf("the claim is refused after opening again: %s", result.Reason)
	}
	apply(t, s, ledger.Registered{Runner: name, GitHubID: 7})
	s = open(t, c)
	if result := apply(t, s, ledger.Claim{Runner: name}); result.Granted {
		t.Error("a claim was granted that is spent")
	}
	if len(emitted) != 1 {
		t.Errorf("effects: %v: want one runner wanted", emitted)
	}
}

func testFinished(t *testing.T, open Open) {
	var emitted []ledger.Effect
	s := open(t, config(t, &emitted))
	name := queue(t, s, 1)
	done := seen(1, event.ActionCompleted)
	done.Job.RunnerName = string(name)
	for _, in := range []ledger.Input{ledger.Starting{Runner: name}, ledger.Claim{Runner: name}, done, ledger.Gone{Runner: name}} {
		apply(t, s, in)
	}
	snapshot, err := s.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for j := range snapshot.Jobs() {
		t.Errorf("job %s is %s and in the snapshot: want open ones only", j.Key, j.State)
	}
	for r := range snapshot.Runners() {
		t.Errorf("runner %s is %s and in the snapshot: want live ones only", r.Name, r.State)
	}
	if result := apply(t, s, seen(1, event.ActionQueued)); result.Changed() || len(result.Effects) > 0 {
		t.Errorf("a queued event after the end: %+v: want nothing", result)
	}
	if result := apply(t, s, ledger.Claim{Runner: name}); result.Granted || result.Runner.State != ledger.RunnerGone {
		t.Errorf("a claim of a runner that is gone: %+v: want a refusal that knows it", result)
	}
}

// testRefusal: a runner learns what became of its job, though that is finished.
func testRefusal(t *testing.T, open Open) {
	var emitted []ledger.Effect
	s := open(t, config(t, &emitted))
	name := queue(t, s, 1)
	apply(t, s, ledger.Starting{Runner: name})
	apply(t, s, seen(1, event.ActionCompleted))
	result := apply(t, s, ledger.Claim{Runner: name})
	if want := "job acme/web/1/1 is completed: success"; result.Granted || result.Reason != want {
		t.Errorf("granted %t, %q: want a refusal: %s", result.Granted, result.Reason, want)
	}
}

func testEmit(t *testing.T, open Open) {
	var emitted []ledger.Effect
	c := config(t, &emitted)
	broken := true
	emit := c.Emit
	c.Emit = func(effects []ledger.Effect) error {
		if broken {
			return errors.New("no bus")
		}
		return emit(effects)
	}
	s := open(t, c)
	_, err := s.Apply(t.Context(), seen(1, event.ActionQueued))
	switch _, missing := s.Jobs(t.Context(), ledger.JobQuery{Key: key(1)}); {
	case err != nil && !errors.Is(missing, ledger.ErrNotFound):
		t.Errorf("the job after %v: %v: want %v", err, missing, ledger.ErrNotFound)
	case err == nil && missing != nil:
		t.Errorf("the job: %v: want it kept, since there was no error", missing)
	}
	broken = false
	apply(t, s, seen(1, event.ActionQueued))
	if len(emitted) != 1 {
		t.Errorf("effects: %v: want one runner wanted", emitted)
	}
	apply(t, s, seen(1, event.ActionQueued))
	if len(emitted) != 1 {
		t.Errorf("effects: %v: want what was passed on to be done with", emitted)
	}
}

func testConcurrent(t *testing.T, open Open) {
	var emitted []ledger.Effect
	s := open(t, config(t, &emitted))
	name := queue(t, s, 1)
	apply(t, s, ledger.Starting{Runner: name})
	var wg sync.WaitGroup
	granted := make(chan bool, 8)
	for range cap(granted) {
		wg.Go(func() {
			result, err := s.Apply(context.Background(), ledger.Claim{Runner: name, Container: "a"})
			granted <- err == nil && result.Granted
		})
	}
	wg.Wait()
	close(granted)
	n := 0
	for ok := range granted {
		if ok {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d claims were granted: want 1", n)
	}
}

// testPutOff: a grant that is given back is given again when that was said, and what is said of
// an earlier grant is no word on a later one.
func testPutOff(t *testing.T, open Open) {
	var emitted []ledger.Effect
	now := at
	c := config(t, &emitted)
	c.Now = func() time.Time { return now }
	s := open(t, c)
	claim := ledger.Claim{Runner: queue(t, s, 1), Container: "a"}
	first := apply(t, s, claim)
	back := ledger.PutOff{Runner: claim.Runner, Granted: first.Runner.Claimed, After: 5 * time.Second}
	apply(t, s, back)
	s = open(t, c)
	for _, step := range []struct {
		after   time.Duration // since the first grant
		granted bool
		again   time.Duration
	}{{4 * time.Second, false, time.Second}, {5 * time.Second, true, 0}, {6 * time.Second, false, 59 * time.Second}} {
		now = at.Add(step.after)
		result := apply(t, s, claim)
		if result.Granted != step.granted || result.RetryAfter != step.again {
			t.Errorf("after %s: granted %t, again in %s: want %t, %s", step.after, result.Granted, result.RetryAfter, step.granted, step.again)
		}
		apply(t, s, back) // late, or once more
	}
}

// testWarm: a runner without a job is kept like any other.
func testWarm(t *testing.T, open Open) {
	var emitted []ledger.Effect
	c := config(t, &emitted)
	c.Limits.Pools[0].Warm = pool.Warm{Runners: 1, At: []string{"acme/web"}}
	s := open(t, c)
	apply(t, s, ledger.Tick{})
	if len(emitted) != 1 {
		t.Fatalf("effects %v: want a runner wanted", emitted)
	}
	name := emitted[0].(ledger.WantRunner).Runner
	for _, in := range []ledger.Input{ledger.Starting{Runner: name}, ledger.Claim{Runner: name}, ledger.Registered{Runner: name, GitHubID: 7}, ledger.Idle{Runner: name}} {
		apply(t, s, in)
	}
	s = open(t, c)
	if r := runner(t, s, name); !r.Warm() || r.State != ledger.RunnerIdle || r.Scope.Repository != "acme/web" {
		t.Errorf("%+v: want a warm runner that is idle", r)
	}
	busy := seen(1, event.ActionInProgress)
	busy.Job.RunnerName = string(name)
	apply(t, s, busy)
	if r := runner(t, s, name); r.Runs != key(1) || len(emitted) != 2 {
		t.Errorf("%+v, effects %v: want a runner of job 1, and another in its place", r, emitted)
	}
}
