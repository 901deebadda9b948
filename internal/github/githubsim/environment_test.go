package githubsim_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
)

// gated is a job that deploys to a protected environment, and one that does not.
const gated = "on: push\njobs: {d: {runs-on: linux, environment: Production, steps: [{run: 'true'}]}, e: {runs-on: linux, environment: dev, steps: [{run: 'true'}]}}"

// pending gives the environments that a run waits for, by name.
func (w *world) pending(run int64) map[string]float64 {
	w.t.Helper()
	out := map[string]float64{}
	for _, p := range w.api(http.StatusOK, "GET", fmt.Sprintf("/repos/acme/web/actions/runs/%d/pending_deployments", run), nil).list {
		e := p.(map[string]any)["environment"].(map[string]any)
		out[e["name"].(string)] = e["id"].(float64)
	}
	return out
}

// TestApproval has the deliveries of a job that waits for a person: queued with the
// status waiting, waiting, and queued again when it is approved.
func TestApproval(t *testing.T) {
	w := newWorld(t)
	l := w.listen(t)
	run := w.push(gated)[0]
	news := l.news()
	if len(news) != 3 {
		t.Fatalf("deliveries: %+v", news)
	}
	for _, p := range news {
		switch {
		case p.Job.Name == "e" && (p.Action != "queued" || p.Job.Status != "queued" || p.Deployment == nil || p.Deployment.Environment != "dev"):
			t.Errorf("a job of an environment without protection: %+v", p)
		case p.Job.Name == "d" && p.Job.Status != "waiting":
			t.Errorf("%s of a job that waits has the status %s", p.Action, p.Job.Status)
		case p.Job.Name == "d" && (p.Action == "queued") != (p.Deployment != nil):
			t.Errorf("%s has the deployment %v", p.Action, p.Deployment)
		}
	}
	if got := w.jitRunner("early", "linux").connect().offered(); got.ID == "" {
		t.Error("the other job is not given out")
	}
	if got := w.jitRunner("idle", "linux").connect().poll().code; got != http.StatusAccepted {
		t.Errorf("a job that waits was given out: %d", got)
	}
	waiting := w.pending(run.ID)
	if len(waiting) != 1 || waiting["production"] == 0 {
		t.Errorf("pending deployments: %v", waiting)
	}
	review := func(want int, state string, id float64) {
		t.Helper()
		w.api(want, "POST", fmt.Sprintf("/repos/acme/web/actions/runs/%d/pending_deployments", run.ID),
			map[string]any{"environment_ids": []float64{id}, "state": state, "comment": "fine"})
	}
	w.clock.advance(5 * 24 * time.Hour) // longer than a job may be queued
	w.Expire()
	if got := w.job("e").Conclusion; got != githubsim.Cancelled {
		t.Errorf("the job that was queued for days is %q", got)
	}
	l.news()
	if got := w.unchecked("POST", fmt.Sprintf("/repos/acme/web/actions/runs/%d/pending_deployments", run.ID), map[string]any{"environment_ids": []float64{1}, "state": "approved", "comment": ""}); got != http.StatusUnprocessableEntity {
		t.Errorf("another environment: %d", got)
	}
	review(http.StatusOK, "approved", waiting["production"])
	news = l.news()
	if len(news) != 1 || news[0].Action != "queued" || news[0].Job.Status != "queued" || news[0].Deployment == nil {
		t.Fatalf("after the approval: %+v", news)
	}
	w.runNext("succeeded", nil, "linux")
	l.expect("d: in_progress, in_progress", "d: completed, success")
}

func TestRejection(t *testing.T) {
	w := newWorld(t)
	l := w.listen(t)
	run := w.push("on: push\njobs: {d: {runs-on: linux, environment: {name: production}, steps: [{run: 'true'}]}}")[0]
	l.news()
	w.api(http.StatusOK, "POST", fmt.Sprintf("/repos/acme/web/actions/runs/%d/pending_deployments", run.ID),
		map[string]any{"environment_ids": []float64{w.pending(run.ID)["production"]}, "state": "rejected", "comment": "not today"})
	l.expect("d: completed, failure")
	w.annotation(w.job("d").ID, "rejected. not today")
	w.push("on: push\njobs: {late: {runs-on: linux, environment: production, steps: [{run: 'true'}]}}")
	w.clock.advance(30*24*time.Hour + time.Second)
	w.Expire()
	if got := w.job("late"); got.Conclusion != githubsim.Failure {
		t.Errorf("nobody approved for 30 days: %+v", got)
	}
}

// TestWaitingRunsAreListed: a run that waits is under waiting, and not under queued
// or in_progress. https://github.com/kedacore/keda/issues/5788
func TestWaitingRunsAreListed(t *testing.T) {
	w := newWorld(t)
	w.push("on: push\njobs: {d: {runs-on: linux, environment: production, steps: [{run: 'true'}]}, b: {runs-on: linux, needs: d, steps: [{run: 'true'}]}}")
	w.push(gated)
	lists := func(want map[string]float64) {
		t.Helper()
		for status, n := range want {
			if got := w.api(http.StatusOK, "GET", "/repos/acme/web/actions/runs?status="+status, nil).body["total_count"]; got != n {
				t.Errorf("%v runs are %s, want %v", got, status, n)
			}
		}
	}
	lists(map[string]float64{"waiting": 1, "queued": 1, "in_progress": 0, "pending": 0})
	if err := w.Approve(w.job("e").ID); err == nil {
		t.Error("a job that does not wait was approved")
	}
	for _, j := range w.Jobs() {
		if j.Name == "d" {
			if err := w.Approve(j.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	lists(map[string]float64{"waiting": 0, "queued": 2, "in_progress": 0})
	w.runNext("succeeded", nil, "linux")
	lists(map[string]float64{"queued": 1, "in_progress": 1})
}

func TestEnvironmentCalls(t *testing.T) {
	w := newWorld(t)
	l := w.listen(t)
	w.api(http.StatusOK, "PUT", "/repos/acme/web/environments/slow", map[string]any{"wait_timer": 30})
	w.api(http.StatusOK, "PUT", "/repos/acme/web/environments/seen", map[string]any{"reviewers": []any{map[string]any{"type": "User", "id": 1}}})
	w.api(http.StatusOK, "GET", "/repos/acme/web/environments/seen", nil)
	w.api(http.StatusNotFound, "GET", "/repos/acme/web/environments/none", nil)
	if got := w.api(http.StatusOK, "GET", "/repos/acme/web/environments", nil).body["total_count"]; got != 3.0 {
		t.Errorf("%v environments", got)
	}
	w.push("on: push\njobs: {s: {runs-on: linux, environment: slow, steps: [{run: 'true'}]}, n: {runs-on: linux, environment: {name: seen, deployment: false}, steps: [{run: 'true'}]}}")
	l.expect("n: queued, waiting", "n: waiting, waiting", "s: queued, waiting", "s: waiting, waiting")
	w.clock.advance(30 * time.Minute)
	w.Expire()
	l.expect("s: queued, queued")
	if err := w.Reject(w.job("n").ID); err != nil {
		t.Fatal(err)
	}
	l.expect("n: completed, failure")
}
