package ledger_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

var start = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

func twoPools() ledger.Limits {
	small := pool.Pool{Name: "small", Labels: []string{"self-hosted", "linux", "x64"}, Max: 4, Resources: pool.Resources{CPUs: 1, Memory: 1 << 30}}
	large := pool.Pool{Name: "large", Labels: []string{"self-hosted", "linux", "gpu"}, Resources: pool.Resources{CPUs: 4, Memory: 8 << 30}}
	return ledger.Limits{Pools: pool.Set{small.WithDefaults(), large.WithDefaults()}}
}

// lifeOf is all that GitHub ever says of one job.
func lifeOf(t *rapid.T) []ledger.JobSeen {
	w := event.WorkflowJob{
		Repository: "acme/web", Organization: "acme", ID: 1, Attempt: rapid.IntRange(0, 2).Draw(t, "attempt"),
		Name: "build", Workflow: "CI", Created: start,
		Labels: rapid.SampledFrom([][]string{{"linux"}, {"Linux", "GPU"}, {"windows"}, nil}).Draw(t, "labels"),
	}
	var life []ledger.JobSeen
	say := func(action string) {
		w.Action = action
		life = append(life, ledger.JobSeen{Job: w, At: start.Add(time.Duration(len(life)) * time.Minute)})
	}
	if rapid.Bool().Draw(t, "waits") {
		say(event.ActionWaiting)
	}
	say(event.ActionQueued)
	if rapid.Bool().Draw(t, "queued again") { // as when GitHub takes a job back from a runner
		say(event.ActionQueued)
	}
	for range rapid.IntRange(0, 2).Draw(t, "waits again") {
		w.Started = start.Add(time.Duration(len(life)) * time.Minute)
		w.Status = event.ActionWaiting
		say(rapid.SampledFrom([]string{event.ActionQueued, event.ActionWaiting}).Draw(t, "told as"))
		w.Status = ""
		if rapid.Bool().Draw(t, "approved later") {
			w.Started = w.Started.Add(time.Second)
		}
		say(event.ActionQueued)
	}
	w.RunnerName = rapid.SampledFrom([]string{"", "foreign", "i-small-1-1-1"}).Draw(t, "runner")
	if w.RunnerName != "" {
		w.Started = start.Add(time.Minute)
		say(event.ActionInProgress)
	}
	w.Conclusion = rapid.SampledFrom([]string{"success", "failure", "cancelled"}).Draw(t, "conclusion")
	w.Completed = start.Add(time.Hour)
	if rapid.Bool().Draw(t, "terse at the end") {
		w.Name, w.Workflow, w.Labels, w.RunnerName = "", "", nil, ""
	}
	say(event.ActionCompleted)
	return life[:rapid.IntRange(1, len(life)).Draw(t, "told so far")]
}

// TestOrderDoesNotMatter: whatever the order of a job's events, and however often
// each comes, the job ends up the same.
func TestOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		life := lifeOf(t)
		reported := append(append([]ledger.JobSeen{}, life...), rapid.SliceOfN(rapid.SampledFrom(life), 0, 4).Draw(t, "doubles")...)
		after := func(events []ledger.JobSeen) ledger.Job {
			s := ledger.NewState("i", twoPools())
			for _, in := range events {
				s.Apply(in, start)
				if faults := s.Invariants(start); faults != nil {
					t.Fatalf("after %s: %v", in.Job.Action, faults)
				}
			}
			j, _ := s.Job(ledger.KeyOf(life[0].Job))
			return j
		}
		// What the ledger did meanwhile may differ: a job that was first seen completed got no runner.
		own := cmpopts.IgnoreFields(ledger.Job{}, "Runners", "History", "CheckAt")
		if diff := cmp.Diff(after(life), after(rapid.Permutation(reported).Draw(t, "order")), own); diff != "" {
			t.Fatalf("job in order and out of order (-in +out):\n%s", diff)
		}
	})
}

// TestBegunOnlyMovesForward: no event takes a job back that runs or is over, and none of before takes one
// that is queued back to waiting.
func TestBegunOnlyMovesForward(t *testing.T) {
	order := map[ledger.JobState]int{"": 0, ledger.JobWaiting: 1, ledger.JobQueued: 1, ledger.JobUnroutable: 1, ledger.JobRunning: 3, ledger.JobCompleted: 4}
	rapid.Check(t, func(t *rapid.T) {
		s := ledger.NewState("i", twoPools())
		life := lifeOf(t)
		var last ledger.Job
		for _, in := range rapid.SliceOfN(rapid.SampledFrom(life), 1, 12).Draw(t, "events") {
			s.Apply(in, start)
			j, _ := s.Job(ledger.KeyOf(in.Job))
			if order[j.State] < order[last.State] {
				t.Fatalf("%s takes the job from %s back to %s", in.Job.Action, last.State, j.State)
			}
			if j.State == ledger.JobWaiting && last.State == ledger.JobQueued && !j.ReportedAt.After(last.ReportedAt) {
				t.Fatalf("%s of %s takes the job from queued back to waiting", in.Job.Action, in.Job.Started)
			}
			last = j
		}
	})
}

// TestCompletedFirst: a job that was seen completed never gets a runner.
func TestCompletedFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		life := lifeOf(t)
		done := life[len(life)-1]
		done.Job.Action = event.ActionCompleted
		s := ledger.NewState("i", twoPools())
		for _, in := range append([]ledger.JobSeen{done}, life...) {
			for _, e := range s.Apply(in, start).Effects {
				if _, wanted := e.(ledger.WantRunner); wanted {
					t.Fatalf("%s of a completed job: %v", in.Job.Action, e)
				}
			}
		}
	})
}
