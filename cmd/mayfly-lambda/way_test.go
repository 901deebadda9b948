package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/agent"
	"github.com/mayfly-ci/mayfly/internal/agent/signed"
	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// A gate holds a job at a step until it is opened: the step asks it over HTTP.
type gate struct {
	*httptest.Server
	arrived, open chan struct{}
}

func newGate(t *testing.T) *gate {
	g := &gate{arrived: make(chan struct{}, 10), open: make(chan struct{})}
	g.Server = serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		g.arrived <- struct{}{}
		<-g.open
		fmt.Fprintln(w, "go on")
	}))
	return g
}

// workflow is one job that shows its environment and waits at the gate.
func (g *gate) workflow(label string) map[string]string {
	return map[string]string{".github/workflows/one.yml": fmt.Sprintf(`on: push
jobs:
  one:
    runs-on: [self-hosted, %s]
    steps:
      - run: env; cat /proc/1/environ || echo the environment of the first process is hidden
      - run: exec 3<>/dev/tcp/%s; printf 'GET / HTTP/1.0\r\n\r\n' >&3; cat <&3
`, label, strings.Replace(g.Listener.Addr().String(), ":", "/", 1))}
}

// TestWay takes a job the whole way that it has on AWS, and lets others try to go
// it, too.
func TestWay(t *testing.T) {
	t.Parallel()
	w, g := newWorld(t, ""), newGate(t)
	w.push(g.workflow("small"))
	select {
	case <-g.arrived:
	case <-time.After(10 * time.Minute):
		t.Fatalf("the job did not run: %+v\n%s", w.sim.Jobs(), w.told())
	}
	job, task := w.sim.Jobs()[0], w.ecs.all()[0]
	queued := w.bus.events("workflow_job")[0]

	w.othersClaim(task)
	wanted := w.bus.events("Runner Wanted")[0]
	w.again(wanted, agent.ExitRefused) // a doubled event: a container more, and no registration
	close(g.open)
	w.completed(1)
	w.settle()

	w.jobWent(job.ID, task)
	w.again(wanted, agent.ExitRefused) // an event that was delivered late
	w.settle()
	w.nothingStarts(queued)
	w.replayLaunches(queued)
	w.jobWent(job.ID, task)
	w.noPool(g)
	if wanted := w.bus.events("Runner Wanted"); len(wanted) != 1 {
		t.Errorf("the ledger wanted %s: want one runner, which the rule starts", wanted)
	}
	if left := w.sim.Runners(); len(left) > 0 {
		t.Errorf("GitHub has %+v: want no runner left", left)
	}
	w.mayCall()
}

// mayCall holds what each function called against what its role allows; and for those
// whose calls a job's way has, the other way round.
func (w *world) mayCall() {
	for id, front := range w.calls {
		handler, called := strings.ToLower(strings.TrimSuffix(id, "Function")), front.Calls()
		if called["dynamodb:TransactWriteItems"] > 0 { // which needs what its items do
			delete(called, "dynamodb:TransactWriteItems")
			called["dynamodb:PutItem"]++
			called["dynamodb:DeleteItem"]++
		}
		for call := range called {
			if !slices.Contains(awstest.Calls()[handler], call) {
				w.t.Errorf("the function %s called %s: its role allows %v", handler, call, awstest.Calls()[handler])
			}
		}
		for _, call := range awstest.Calls()[handler] {
			// A claim puts events only if it makes a runner unwanted.
			if whole := handler == contract.HandlerWebhook || handler == contract.HandlerClaim && call != "events:PutEvents"; whole && called[call] == 0 {
				w.t.Errorf("the function %s may call %s, and never did", handler, call)
			}
		}
	}
}

// TestLostDelivery has a delivery come when the bus is out of reach: GitHub is told
// so, and the sweep has it sent again.
func TestLostDelivery(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.calls["WebhookFunction"].SetLose(func(call string) awstest.Loss {
		if call == "events:PutEvents" {
			return awstest.RequestLost
		}
		return awstest.Kept
	})
	w.push(matrix("1"))
	w.settle()
	if events, tasks := w.bus.events("workflow_job"), w.ecs.all(); len(events)+len(tasks) > 0 {
		t.Errorf("%d events and %d tasks: want none", len(events), len(tasks))
	}
	w.calls["WebhookFunction"].SetLose(nil)
	w.sweep()
	w.completed(1)
	w.settle()
	w.ranOnce(1)
	w.mayCall()
}

// TestFullPool has three jobs come to a pool that has one runner at a time: the ledger wants a runner for each when there is room.
func TestFullPool(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ", max: 1")
	w.push(matrix("1, 2, 3"))
	w.completed(3)
	w.settle()
	w.ranOnce(3)
	if wanted := w.bus.events("Runner Wanted"); len(wanted) != 3 {
		t.Errorf("the ledger wanted %d runners, want one for each job", len(wanted))
	}
	w.sweep() // which finds nothing to do
	w.settle()
	w.ranOnce(3)
	w.mayCall()
}

// matrix is a workflow with a job for each of a list.
func matrix(of string) map[string]string {
	return map[string]string{".github/workflows/some.yml": fmt.Sprintf(`on: push
jobs:
  some:
    strategy: {matrix: {n: [%s]}}
    runs-on: [self-hosted, small]
    steps:
      - run: echo ${{ matrix.n }}
`, of)}
}

// ranOnce looks that n jobs succeeded, each in a task of its own, and that nothing is
// left of any.
func (w *world) ranOnce(n int) {
	w.t.Helper()
	runners := map[string]bool{}
	for _, j := range w.sim.Jobs() {
		runners[j.Runner] = true
		if j.Conclusion != "success" || j.Started != 1 {
			w.t.Errorf("job %d ended with %s, begun %d times", j.ID, j.Conclusion, j.Started)
		}
	}
	served := slices.DeleteFunc(w.ecs.all(), func(t *ecsTask) bool { return t.exit != 0 })
	if len(w.sim.Jobs()) != n || len(runners) != n || len(served) != n || len(w.sim.Runners()) > 0 {
		w.t.Errorf("%d jobs ran on %d runners in %d tasks, and GitHub has %v: want %d, and nothing left\n%s",
			len(w.sim.Jobs()), len(runners), len(served), w.sim.Runners(), n, w.told())
	}
	if live, err := w.ledger.Runners(w.t.Context(), ledger.RunnerQuery{Live: true}); err != nil || len(live) > 0 {
		w.t.Errorf("the ledger has the live runners %+v, %v: want none", live, err)
	}
}

func (w *world) push(files map[string]string) {
	w.t.Helper()
	if _, err := w.sim.Push(githubsim.Push{Repository: repository, Files: files}); err != nil {
		w.t.Fatal(err)
	}
}

// completed waits until n jobs have.
func (w *world) completed(n int) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 10*time.Minute)
	defer cancel()
	if err := w.sim.Wait(ctx, func(jobs []githubsim.Job) bool {
		return len(slices.DeleteFunc(jobs, func(j githubsim.Job) bool { return j.Status != githubsim.StatusCompleted })) >= n
	}); err != nil {
		w.t.Fatalf("%v: %+v\n%s", err, w.sim.Jobs(), w.told())
	}
}

// told is what the containers printed, of those that have ended.
func (w *world) told() string {
	var b strings.Builder
	for _, task := range w.ecs.all() {
		w.ecs.mu.Lock()
		fmt.Fprintf(&b, "task %s %s %d:\n%s\n", task.id, task.status, task.exit, task.output)
		w.ecs.mu.Unlock()
	}
	return b.String()
}

// othersClaim has those try to claim that must not, while the runner of task is busy.
func (w *world) othersClaim(task *ecsTask) {
	w.t.Helper()
	d := w.ecs.define("ci-small")
	foreign, stranger, other := w.ecs.add(d, task.overrides), w.ecs.add(d, task.overrides), w.ecs.add(d, task.overrides)
	foreign.cluster, stranger.role = "arn:aws:ecs:"+awstest.Region+":"+awstest.Account+":cluster/other", "AROAOTHER"
	forged := *task
	forged.keys.SecretAccessKey = "guessed"
	for what, c := range map[string]struct {
		as     ecsTask
		answer string
	}{
		"the runner's task, once more": {*task, "has claimed before"},
		"another cluster's task":       {*foreign, "is none of the cluster ci"},
		"another role":                 {*stranger, "is no task of this stack"},
		"another task":                 {*other, "runner"},
		"a forged signature":           {forged, "Forbidden"},
	} {
		status, answer := w.post(w.ecs.client(c.as), w.claims.URL+"/claim", "{}", nil)
		if status != http.StatusForbidden || !strings.Contains(answer, c.answer) {
			w.t.Errorf("claim by %s: %d %s, want 403 %s", what, status, answer, c.answer)
		}
	}
	if status, answer := w.post(http.DefaultClient, w.claims.URL+"/claim", "{}", nil); status != http.StatusForbidden {
		w.t.Errorf("claim by nobody: %d %s, want 403", status, answer)
	}
	if runners := w.sim.Runners(); len(runners) != 1 {
		w.t.Errorf("GitHub has %+v: want one runner", runners)
	}
	w.ecs.forget(foreign, stranger, other)
}

// again brings an event to the rule of the pool once more, and waits for the end of
// the task that comes of it.
func (w *world) again(event json.RawMessage, code int) {
	w.t.Helper()
	before := w.ecs.all()
	for _, to := range w.bus.match("ci", event) {
		if to.rule.family != "" {
			w.ecs.run(w.t.Context(), to)
		}
	}
	after := slices.DeleteFunc(w.ecs.all(), func(t *ecsTask) bool { return slices.Contains(before, t) })
	if len(after) != 1 || after[0].exit != code {
		w.t.Errorf("the event once more: %d tasks, want one that ends with %d\n%s", len(after), code, w.told())
	}
}

// jobWent looks at what a job and its runner have become.
func (w *world) jobWent(id int64, task *ecsTask) {
	w.t.Helper()
	job, _ := w.sim.Job(id)
	log := w.sim.Log(id)
	if job.Conclusion != "success" || !strings.Contains(log, "go on") || !strings.Contains(log, "is hidden") {
		w.t.Errorf("the job ended with %s:\n%s", job.Conclusion, log)
	}
	for _, secret := range []string{"AWS_CONTAINER", "MAYFLY_", task.keys.SecretAccessKey, task.keys.SessionToken, "JITCONFIG"} {
		if strings.Contains(log, secret) {
			w.t.Errorf("the job's environment has %s:\n%s", secret, log)
		}
	}
	jobs, err := w.ledger.Jobs(w.t.Context(), ledger.JobQuery{Key: ledger.NewJobKey(repository, id, 1)})
	if err != nil || jobs[0].State != ledger.JobCompleted || jobs[0].Conclusion != "success" {
		w.t.Errorf("the ledger has the job as %+v, %v", jobs, err)
	}
	runners, err := w.ledger.Runners(w.t.Context(), ledger.RunnerQuery{})
	if err != nil || len(runners) != 1 {
		w.t.Fatalf("the ledger has the runners %+v, %v: want one", runners, err)
	}
	r := runners[0]
	if string(r.Name) != job.Runner || r.State != ledger.RunnerGone || r.ExitCode != 0 || r.Container != task.id || r.Runs.ID != id {
		w.t.Errorf("the ledger has the runner as %+v: want %s, gone with 0, in %s, having run %d", r, job.Runner, task.id, id)
	}
}

// nothingStarts has events come that must start nothing.
func (w *world) nothingStarts(queued json.RawMessage) {
	w.t.Helper()
	tasks, events := len(w.ecs.all()), len(w.bus.events("workflow_job"))
	status, answer := w.post(http.DefaultClient, w.hook.URL+"/", `{"action":"queued"}`, http.Header{
		"Content-Type": {"application/json"}, "X-Github-Event": {"workflow_job"}, "X-Github-Delivery": {"forged"},
		"X-Hub-Signature-256": {"sha256=" + strings.Repeat("0", 64)},
	})
	if status != http.StatusUnauthorized {
		w.t.Errorf("a wrong signature: %d %s, want 401", status, answer)
	}
	for _, to := range w.bus.match("ci", w.replayed(queued, "of-yesterday")) {
		if w.bus.send[to.rule.arn] != nil {
			w.t.Errorf("a replayed event leads to %s", to.rule.id)
		}
	}
	w.settle()
	if len(w.ecs.all()) != tasks || len(w.bus.events("workflow_job")) != events {
		w.t.Errorf("%d tasks and %d events more: want none", len(w.ecs.all())-tasks, len(w.bus.events("workflow_job"))-events)
	}
}

// replayed returns an event as EventBridge delivers it in a replay of that name.
func (w *world) replayed(event json.RawMessage, name string) json.RawMessage {
	w.t.Helper()
	var e map[string]any
	if err := json.Unmarshal(event, &e); err != nil {
		w.t.Fatal(err)
	}
	e["replay-name"] = name
	event, err := json.Marshal(e)
	if err != nil {
		w.t.Fatal(err)
	}
	return event
}

// replayLaunches replays the event of a job that is over with --launch: it comes to the ledger, which starts nothing for it.
func (w *world) replayLaunches(queued json.RawMessage) {
	w.t.Helper()
	event := w.replayed(queued, contract.LaunchPrefix+"again")
	told := 0
	for _, to := range w.bus.match("ci", event) {
		if to.rule.family == "" && w.bus.send[to.rule.arn] != nil {
			w.bus.work.Go(func() { w.bus.send[to.rule.arn](context.Background(), to) })
			told++
		}
	}
	w.settle()
	if told != 1 {
		w.t.Errorf("%d functions are told of a replayed event: want the ledger's", told)
	}
}

// noPool has a job come whose labels no pool has: it is kept as such.
func (w *world) noPool(g *gate) {
	w.t.Helper()
	tasks := len(w.ecs.all())
	w.push(g.workflow("large"))
	w.settle()
	job := w.sim.Jobs()[1]
	jobs, err := w.ledger.Jobs(w.t.Context(), ledger.JobQuery{Key: ledger.NewJobKey(repository, job.ID, 1)})
	if err != nil || jobs[0].State != ledger.JobUnroutable || len(w.ecs.all()) != tasks {
		w.t.Errorf("a job of no pool: the ledger has %+v, %v, and there are %d tasks more", jobs, err, len(w.ecs.all())-tasks)
	}
}

// client returns one that signs as task.
func (e *elasticContainers) client(task ecsTask) *http.Client {
	e.t.Helper()
	role := serve(e.t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{
			"AccessKeyId": task.keys.AccessKeyID, "SecretAccessKey": task.keys.SecretAccessKey, "Token": task.keys.SessionToken,
		})
	}))
	env := map[string]string{"AWS_REGION": awstest.Region, "AWS_CONTAINER_CREDENTIALS_FULL_URI": role.URL}
	transport, err := signed.New("http://127.0.0.1/", func(name string) string { return env[name] })
	if err != nil {
		e.t.Fatal(err)
	}
	return &http.Client{Transport: transport}
}
