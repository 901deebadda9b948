package metrics_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/bus"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/ledger/ledgertest"
	"github.com/mayfly-ci/mayfly/internal/machine/metrics"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// TestFlow counts what befalls three jobs in a real ledger, each thing once, however often it is reported.
func TestFlow(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	flow := metrics.NewFlow()
	store := ledgertest.NewMemory(&ledgertest.Kept{}, ledgertest.Config{
		Limits: ledger.Limits{Pools: pool.Set{pool.Pool{Name: "small", Labels: []string{"linux"}}.WithDefaults()}},
		Now:    func() time.Time { return now }, Emit: func([]ledger.Effect) error { return nil },
	})
	tell := func(after time.Duration, ins ...ledger.Input) {
		now = now.Add(after)
		results, err := store.ApplyAll(t.Context(), ins)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			flow.Observe(r)
		}
	}
	seen := func(id int64, action string, change func(*event.WorkflowJob)) ledger.Input {
		w := event.WorkflowJob{Action: action, Repository: "acme/web", ID: id, Attempt: 1, Labels: []string{"linux"}, Created: now, Installation: id}
		change(&w)
		return ledger.JobSeen{Job: w}
	}
	as := func(*event.WorkflowJob) {}
	tell(0, seen(1, event.ActionQueued, as))
	name := only(t, store)
	tell(time.Second, ledger.Starting{Runner: name}, ledger.Starting{Runner: name})
	tell(time.Second, ledger.Started{Runner: name}, ledger.Claim{Runner: name})
	tell(2*time.Second, ledger.Idle{Runner: name})
	running := seen(1, event.ActionInProgress, func(w *event.WorkflowJob) { w.RunnerName, w.Started = string(name), now.Add(2*time.Second) })
	tell(3*time.Second, running, running)
	done := seen(1, event.ActionCompleted, func(w *event.WorkflowJob) { w.RunnerName, w.Conclusion = string(name), "success" })
	tell(time.Minute, done, done, ledger.Gone{Runner: name}, ledger.Gone{Runner: name}, done)

	tell(0, seen(2, event.ActionQueued, as))
	tell(0, seen(2, event.ActionCompleted, func(w *event.WorkflowJob) { w.Conclusion = "cancelled" }))

	tell(0, seen(3, event.ActionQueued, as))
	name = only(t, store)
	tell(time.Second, ledger.Starting{Runner: name}, ledger.Claim{Runner: name}, ledger.Failed{Runner: name, Reason: "404", Refused: true}, ledger.Gone{Runner: name, ExitCode: 77})

	_, lines := scrape(t, flow, func(context.Context) (metrics.Reading, error) {
		return metrics.Reading{Bus: &bus.Counters{}, Images: &image.Catalog{}}, nil
	})
	for _, want := range []string{
		`mayfly_job_queued_to_running_seconds_count{pool="small"} 1`, `mayfly_job_queued_to_running_seconds_sum{pool="small"} 6`,
		`mayfly_job_queued_to_started_seconds_count{pool="small"} 1`, `mayfly_job_queued_to_started_seconds_sum{pool="small"} 2`,
		`mayfly_runner_start_seconds_sum{pool="small"} 4`, `mayfly_launches_total{pool="small"} 2`, `mayfly_claims_total{pool="small"} 2`,
		`mayfly_jobs_completed_total{conclusion="success",pool="small"} 1`, `mayfly_jobs_completed_total{conclusion="cancelled",pool="small"} 1`,
		`mayfly_runners_ended_total{pool="small",reason="job"} 1`, `mayfly_runners_ended_total{pool="small",reason="surplus"} 1`,
		`mayfly_runners_ended_total{pool="small",reason="refused"} 1`,
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("the scrape lacks %s:\n%s", want, strings.Join(lines, "\n"))
		}
	}
}

// only returns the one live runner.
func only(t *testing.T, store ledger.Store) ledger.RunnerName {
	t.Helper()
	list, err := store.Runners(t.Context(), ledger.RunnerQuery{Live: true})
	if err == nil && len(list) != 1 {
		err = errors.New("want one runner")
	}
	if err != nil {
		t.Fatal(list, err)
	}
	return list[0].Name
}
