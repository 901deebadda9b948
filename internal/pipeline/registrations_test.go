package pipeline_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim/fault"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// TestStrays: a registration that a crash left is removed once its runner has been gone for a while. Those of
// runners that live stay, and those of another Mayfly, also where they fill the first page of the list.
func TestStrays(t *testing.T) {
	s := open(t)
	at, err := github.ParseScope("acme/web")
	if err != nil {
		t.Fatal(err)
	}
	var others []string
	for i := range 120 {
		name := fmt.Sprintf("another-small-%d-1-1", i)
		if _, err := s.Forge.Register(t.Context(), at, github.JITRequest{Name: name, Labels: []string{"linux"}}); err != nil {
			t.Fatal(err)
		}
		others = append(others, name)
	}
	left, lives := s.queue(t), s.queueMore(t, 8)
	s.register(t, lives)
	if _, err := s.sim.Faults().Add(fault.Rule{Cut: true, Count: 1, Path: "/repos/*/*/actions/runners/generate-jitconfig"}); err != nil {
		t.Fatal(err)
	}
	permit, err := s.ClaimLedger("").Claim(t.Context(), string(left))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.ClaimForge().Register(t.Context(), permit, string(left)); err == nil {
		t.Fatal("the answer was not lost")
	}
	s.tell(t, ledger.Gone{Runner: left, Reason: "killed"}) // and what follows is lost, too
	for _, test := range []struct {
		name string
		now  time.Time
		want []string
	}{
		{"its removal may be under way", time.Now(), append([]string{string(left), string(lives)}, others...)},
		{"it has been gone for long", time.Now().Add(2 * time.Minute), append([]string{string(lives)}, others...)},
	} {
		s.Now = func() time.Time { return test.now }
		if err := s.RemoveRegistrations(t.Context(), time.Now().Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range s.sim.Runners() {
			got = append(got, r.Name)
		}
		slices.Sort(got)
		slices.Sort(test.want)
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: registrations %v, want %v", test.name, got, test.want)
		}
	}
}

// TestStraysBehindShortPages: a page of the ledger's list is short where rows cannot be read.
func TestStraysBehindShortPages(t *testing.T) {
	s := open(t)
	left := s.queue(t)
	s.register(t, left)
	s.tell(t, ledger.Gone{Runner: left, Reason: "killed"})
	later := s.queueMore(t, 8)
	s.tell(t, ledger.Gone{Runner: later, Reason: "never started"})
	s.Ledger = pageOfOne{s.Ledger}
	s.Now = func() time.Time { return time.Now().Add(2 * time.Minute) }
	if err := s.RemoveRegistrations(t.Context(), time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got := s.sim.Runners(); len(got) != 0 {
		t.Errorf("registrations left: %v", got)
	}
}

type pageOfOne struct{ ledger.Store }

func (p pageOfOne) Runners(ctx context.Context, q ledger.RunnerQuery) ([]ledger.Runner, error) {
	q.Limit = 1
	return p.Store.Runners(ctx, q)
}

// TestNoStrays: where no runner can have left a registration, GitHub is not asked for any.
func TestNoStrays(t *testing.T) {
	s := open(t)
	s.register(t, s.queue(t))
	if _, err := s.sim.Faults().Add(fault.Rule{Status: http.StatusBadRequest, Path: "/repos/*/*/actions/runners"}); err != nil {
		t.Fatal(err)
	}
	if err := s.RemoveRegistrations(t.Context(), time.Now().Add(-time.Hour)); err != nil {
		t.Error(err)
	}
}

// queueMore queues a further job and returns the runner that is started for it.
func (s *site) queueMore(t *testing.T, id int64) ledger.RunnerName {
	t.Helper()
	job := event.WorkflowJob{Action: event.ActionQueued, Repository: "acme/web", ID: id, Attempt: 1, Labels: []string{"linux"}}
	s.tell(t, ledger.JobSeen{Job: job})
	runner := s.effects[len(s.effects)-1].(ledger.WantRunner).Runner
	s.tell(t, ledger.Starting{Runner: runner})
	return runner
}

// register has a runner claim and be registered.
func (s *site) register(t *testing.T, runner ledger.RunnerName) {
	t.Helper()
	permit, err := s.ClaimLedger("").Claim(t.Context(), string(runner))
	if err != nil {
		t.Fatal(err)
	}
	made, err := s.ClaimForge().Register(t.Context(), permit, string(runner))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.ClaimLedger("").Registered(t.Context(), string(runner), made.ID); err != nil {
		t.Fatal(err)
	}
}
