package handler_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	mayfly "github.com/mayfly-ci/mayfly/internal/aws"
	"github.com/mayfly-ci/mayfly/internal/aws/handler"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

func env(job string) map[string]string { return map[string]string{"MAYFLY_JOB": job} }

// TestJobAndItsTask takes one job to its end, by the events that GitHub and ECS send.
func TestJobAndItsTask(t *testing.T) {
	s := newStage(t)
	tell := func(e event.Event) {
		t.Helper()
		s.must(s.ledger.Handle(t.Context(), e))
	}
	tell(s.aboutJob(1, "queued"))
	name := s.first(1)
	if got := s.wanted(); got != nil {
		t.Errorf("wanted by an event: %v: want none, since the pool's rule has started a task", got)
	}
	is := func(want ledger.RunnerState) ledger.Runner {
		t.Helper()
		r := s.runner(name)
		if r.State != want {
			t.Fatalf("runner is %s: want %s", r.State, want)
		}
		return r
	}
	task := func(id, status, more string) {
		t.Helper()
		tell(s.aboutTask(id, status, "ci-small", env("acme/web/1/1"), more))
	}
	task("a", "PROVISIONING", "")
	is(ledger.RunnerStarting)
	task("b", "PROVISIONING", "")                                                                                 // of a doubled event
	task("c", "STOPPED", `,"stopCode":"EssentialContainerExited","containers":[{"name":"runner","exitCode":77}]`) // refused before there was a runner
	is(ledger.RunnerStarting)
	task("a", "RUNNING", "")
	if r := is(ledger.RunnerStarting); r.Started.IsZero() {
		t.Error("its container is not known to run")
	}
	claim, err := s.store.Apply(t.Context(), ledger.Claim{Runner: name, Container: "a"})
	s.must(err)
	if !claim.Granted {
		t.Fatalf("claim refused: %s", claim.Reason)
	}
	task("b", "STOPPED", `,"stopCode":"EssentialContainerExited","containers":[{"name":"runner","exitCode":77}]`)
	is(ledger.RunnerClaimed)
	task("a", "DEPROVISIONING", "")
	is(ledger.RunnerClaimed)
	task("a", "STOPPED", `,"stopCode":"EssentialContainerExited","stoppedReason":"Essential container in task exited","containers":[{"name":"runner","exitCode":137,"reason":"OutOfMemoryError: killed"}]`)
	if r := is(ledger.RunnerGone); r.Reason != "OutOfMemoryError: killed (exit code 137)" {
		t.Errorf("reason %q", r.Reason)
	}
	s.now = s.now.Add(time.Minute)
	s.must(s.sweep.Handle(t.Context(), s.minute()))
	if got := s.wanted(); len(got) != 1 || got[0] == name {
		t.Errorf("wanted by an event: %v: want the second runner", got)
	}
}

// minute is the schedule's event.
func (s *stage) minute() event.Event {
	return event.Event{ID: "e", Source: "aws.events", DetailType: "Scheduled Event", Time: s.now, Detail: []byte(`{}`)}
}

// TestTaskThatNeverRan: what ECS says of it is the reason, and the job gets another.
func TestTaskThatNeverRan(t *testing.T) {
	s := newStage(t)
	s.must(s.ledger.Handle(t.Context(), s.aboutJob(1, "queued")))
	s.must(s.ledger.Handle(t.Context(), s.aboutTask("a", "STOPPED", "ci-small", env("acme/web/1/1"),
		`,"stopCode":"TaskFailedToStart","stoppedReason":"CannotPullContainerError: no such image"`)))
	if r := s.runner(s.first(1)); r.Reason != "CannotPullContainerError: no such image" {
		t.Errorf("reason %q", r.Reason)
	}
}

func TestVersionRefused(t *testing.T) {
	s := newStage(t)
	s.must(s.ledger.Handle(t.Context(), s.aboutJob(1, "queued")))
	s.must(s.ledger.Handle(t.Context(), s.aboutTask("a", "STOPPED", "ci-small", env("acme/web/1/1"),
		`,"stopCode":"EssentialContainerExited","containers":[{"name":"runner","exitCode":7,"imageDigest":"sha256:00"}]`)))
	if len(s.published) != 1 || s.published[0].DetailType != mayfly.TypeVersionRefused || string(s.published[0].Detail) != `{"image":"sha256:00","pool":"small","task":"a"}` {
		t.Errorf("published %+v: want one event of a refused version", s.published)
	}
}

// TestEventsOfNoUse: what cannot be taken is an error, which Lambda brings to the dead
// letters; what is none of ours is not.
func TestEventsOfNoUse(t *testing.T) {
	s := newStage(t)
	job := s.aboutJob(1, "queued")
	job.Detail = []byte(`{"action":"queued"}`)
	other := s.aboutJob(1, "queued")
	other.DetailType = "push"
	task := s.aboutTask("a", "RUNNING", "ci-small", nil, "")
	broken := task
	broken.Detail = []byte(`[]`)
	for name, test := range map[string]struct {
		event event.Event
		want  string // in the error; "" for none
	}{
		"a job without its fields":        {job, "of no use"},
		"another type":                    {other, `detail type "push": of no use`},
		"a task without a job":            {task, "of no use: job"},
		"a task of another shape":         {broken, "of no use"},
		"a task of others":                {s.aboutTask("a", "RUNNING", "another", nil, ""), ""},
		"a task before its job":           {s.aboutTask("a", "RUNNING", "ci-small", env("acme/web/9/1"), ""), "not in the ledger"},
		"a task of a runner that is gone": {s.aboutTask("a", "RUNNING", "ci-small", map[string]string{"MAYFLY_JOB": "acme/web/9/1", "MAYFLY_RUNNER": "old"}, ""), ""},
	} {
		err := s.ledger.Handle(t.Context(), test.event)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v: want %q", name, err, test.want)
		}
	}
}

// TestStartedByRule says which runners need an event of their own.
func TestStartedByRule(t *testing.T) {
	key := ledger.NewJobKey("acme/web", 1, 1)
	seen := func(action, routed string) ledger.JobSeen {
		w := event.WorkflowJob{Action: action, Repository: "acme/web", ID: 1, Attempt: 1}
		w.Routing.Pool = routed
		return ledger.JobSeen{Job: w}
	}
	want := ledger.WantRunner{Job: key, Pool: "small", First: true}
	further, other := want, want
	further.First, other.Job.ID = false, 2
	for name, test := range map[string]struct {
		in   ledger.Input
		e    ledger.Effect
		want bool
	}{
		"the job's own event":     {seen("queued", "small"), want, true},
		"a further runner":        {seen("queued", "small"), further, false},
		"another job's runner":    {seen("queued", "small"), other, false},
		"an event of another":     {seen("in_progress", "small"), want, false},
		"routed elsewhere":        {seen("queued", "large"), want, false},
		"routed nowhere":          {seen("queued", ""), want, false},
		"asked for again":         {ledger.Tick{}, want, false},
		"another kind of request": {seen("queued", "small"), ledger.CheckJob{Job: key}, false},
	} {
		if got := handler.StartedByRule(test.in, test.e); got != test.want {
			t.Errorf("%s: %t: want %t", name, got, test.want)
		}
	}
}

// TestCallsOfTheLedgerFunction: it needs what the stack's role gives it.
func TestCallsOfTheLedgerFunction(t *testing.T) {
	s := newStage(t)
	s.must(s.ledger.Handle(t.Context(), s.aboutJob(1, "queued")))
	s.must(s.ledger.Handle(t.Context(), s.aboutTask("a", "STOPPED", "ci-small", env("acme/web/1/1"), "")))
	s.needs("ledger", mayfly.HandlerLedger)
}

// needs holds what a function called against what its role allows.
func (s *stage) needs(function, name string) {
	s.Helper()
	for _, action := range s.calls[function].Actions() {
		if !slices.Contains(mayfly.Calls()[name], action) {
			s.Errorf("the function %s calls %s: its role allows %v", function, action, mayfly.Calls()[name])
		}
	}
}
