package ledger_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// captured returns the workflow_job events of a real forge, in their order.
func captured(t *testing.T) (events []ledger.JobSeen) {
	files, err := filepath.Glob("../../testdata/webhooks/gitea/*workflow_job*.http")
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	for i, file := range files {
		request, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, body, _ := bytes.Cut(request, []byte("\r\n\r\n"))
		w, err := event.ParseWorkflowJob(body)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		events = append(events, ledger.JobSeen{Job: w, At: start.Add(time.Duration(i) * time.Second)})
	}
	return events
}

// TestCaptures replays what a real forge sent: in order each job that is queued
// gets one runner and what completed is completed; in any other order the end is the same.
func TestCaptures(t *testing.T) {
	events := captured(t)
	all := pool.Pool{Name: "all"}.WithDefaults()
	want := map[ledger.JobKey]string{} // the furthest that each job is told of
	actions := []string{"waiting", "queued", "in_progress", "completed"}
	for _, in := range events {
		all.Labels = append(all.Labels, in.Job.Labels...)
		key := ledger.KeyOf(in.Job)
		if slices.Index(actions, in.Job.Action) > slices.Index(actions, want[key]) {
			want[key] = in.Job.Action
		}
	}
	limits := ledger.Limits{Pools: pool.Set{all}, Queue: 100 * 365 * 24 * time.Hour}
	replay := func(events []ledger.JobSeen) (*ledger.State, map[ledger.JobKey]string, int) {
		s, got, runners := ledger.NewState("i", limits), map[ledger.JobKey]string{}, map[ledger.JobKey]int{}
		for _, in := range events {
			for _, e := range s.Apply(in, in.At).Effects {
				if w, ok := e.(ledger.WantRunner); ok {
					runners[w.Job]++
				}
			}
			if again := s.Apply(in, in.At); again.Changed() {
				t.Errorf("%s of %s, told again, changes %+v", in.Job.Action, ledger.KeyOf(in.Job), again)
			}
		}
		for key, n := range runners {
			if n > 1 {
				t.Errorf("job %s got %d runners: want one", key, n)
			}
		}
		words := map[ledger.JobState]string{ledger.JobWaiting: "waiting", ledger.JobQueued: "queued", ledger.JobRunning: "in_progress", ledger.JobCompleted: "completed"}
		for j := range s.Jobs() {
			got[j.Key] = words[j.State]
		}
		return s, got, len(runners)
	}
	_, inOrder, wanted := replay(events)
	if diff := cmp.Diff(want, inOrder); diff != "" {
		t.Errorf("in order (-want +got):\n%s", diff)
	}
	if wanted == 0 {
		t.Error("no runner was wanted")
	}
	slices.Reverse(events)
	if _, backwards, _ := replay(events); cmp.Diff(want, backwards) != "" {
		t.Errorf("backwards (-want +got):\n%s", cmp.Diff(want, backwards))
	}
	t.Logf("%d events, %d jobs, %d of which were wanted a runner", len(events), len(want), wanted)
}
