package ledger_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// A story is a ledger being told things one by one.
type story struct {
	*testing.T
	state *ledger.State
	now   time.Time
}

func tell(t *testing.T, l ledger.Limits) *story {
	return &story{t, ledger.NewState("i", l), start}
}

// is applies in and compares the effects with what is wanted, each in a word: "+name" a runner
// is wanted, "-name" one has to go, "!name" even though busy, "?id" a job is asked about.
func (s *story) is(in ledger.Input, want ...string) ledger.Result {
	s.Helper()
	result := s.state.Apply(in, s.now)
	var got []string
	for _, e := range result.Effects {
		got = append(got, word(e))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.Fatalf("effects of %T %+v (-want +got):\n%s%s", in, in, diff, result.Reason)
	}
	if faults := s.state.Invariants(s.now); faults != nil {
		s.Fatalf("after %T: %v", in, faults)
	}
	return result
}

func word(e ledger.Effect) string {
	switch e := e.(type) {
	case ledger.WantRunner:
		return "+" + string(e.Runner)
	case ledger.RemoveRunner:
		if e.Force {
			return "!" + string(e.Runner)
		}
		return "-" + string(e.Runner)
	case ledger.CheckJob:
		return fmt.Sprintf("?%d", e.Job.ID)
	}
	return "an effect of no known kind"
}

// after lets time pass and sweeps.
func (s *story) after(d time.Duration, want ...string) {
	s.Helper()
	s.now = s.now.Add(d)
	s.is(ledger.Tick{}, want...)
}

// up brings a wanted runner to where it listens.
func (s *story) up(name ledger.RunnerName) {
	s.Helper()
	for _, in := range []ledger.Input{ledger.Starting{Runner: name}, ledger.Started{Runner: name}, ledger.Claim{Runner: name}, ledger.Registered{Runner: name, GitHubID: 9}, ledger.Idle{Runner: name}} {
		s.is(in)
	}
	s.runner(name, ledger.RunnerIdle)
}

func atOrganization(l ledger.Limits) ledger.Limits {
	l.Level = ledger.LevelOrganization
	return l
}

func (s *story) runner(name ledger.RunnerName, want ledger.RunnerState) ledger.Runner {
	s.Helper()
	r, _ := s.state.Runner(name)
	if r.State != want {
		s.Fatalf("runner %s is %q: want %q", name, r.State, want)
	}
	return r
}

// why compares what is said about job 1 of acme/web.
func (s *story) why(id int64, want string) {
	s.Helper()
	j, _ := s.state.Job(ledger.NewJobKey("acme/web", id, 1))
	if got := s.state.Why(j, s.now).Text; got != want {
		s.Fatalf("why %s:\n got %s\nwant %s", j.Key, got, want)
	}
}

// about makes GitHub's word on a job; with edits of the form "label=gpu".
func about(id int64, action string, edits ...string) ledger.JobSeen {
	w := event.WorkflowJob{Action: action, Repository: "acme/web", ID: id, Attempt: 1, Name: "build", Labels: []string{"linux"}, Created: start.Add(time.Duration(id) * time.Second)}
	for _, e := range edits {
		name, value, _ := strings.Cut(e, "=")
		switch name {
		case "on":
			w.RunnerName = value
		case "label":
			w.Labels = []string{value}
		case "conclusion":
			w.Conclusion = value
		case "repository":
			w.Repository = value
		case "status":
			w.Status = value
		case "started":
			d, _ := time.ParseDuration(value)
			w.Started = start.Add(d)
		case "attempt":
			fmt.Sscan(value, &w.Attempt)
		}
	}
	return ledger.JobSeen{Job: w}
}

// asked is in as an answer to a question of the time at.
func asked(in ledger.JobSeen, at time.Time) ledger.JobSeen {
	in.Asked, in.At = true, at
	return in
}

func queued(id int64, edits ...string) ledger.JobSeen  { return about(id, "queued", edits...) }
func running(id int64, edits ...string) ledger.JobSeen { return about(id, "in_progress", edits...) }
func done(id int64, edits ...string) ledger.JobSeen    { return about(id, "completed", edits...) }

func TestScenarios(t *testing.T) {
	max1 := twoPools()
	max1.Pools[0].Max = 1
	host4 := twoPools()
	host4.Pools[0].Max = 0
	host4.Host = pool.Resources{CPUs: 4}

	for _, test := range []struct {
		name   string
		limits ledger.Limits
		tell   func(s *story)
	}{
		{"a job's way", twoPools(), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.up("i-small-1-1-1")
			s.is(running(1, "on=i-small-1-1-1"))
			s.runner("i-small-1-1-1", ledger.RunnerBusy)
			s.is(done(1, "on=i-small-1-1-1", "conclusion=success"))
			s.is(ledger.Gone{Runner: "i-small-1-1-1"})
			s.why(1, "completed: success on i-small-1-1-1")
		}},
		{"every event twice", twoPools(), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.is(queued(1))
			s.up("i-small-1-1-1")
			for range 2 {
				s.is(running(1, "on=i-small-1-1-1"))
			}
			for range 2 {
				s.is(done(1, "on=i-small-1-1-1"))
			}
			s.is(ledger.Gone{Runner: "i-small-1-1-1"})
			s.is(ledger.Gone{Runner: "i-small-1-1-1"})
			s.is(queued(1))
		}},
		{"completed before queued", twoPools(), func(s *story) {
			s.is(done(1))
			s.is(queued(1))
		}},
		{"an action nobody knows", twoPools(), func(s *story) {
			if r := s.is(about(1, "paused")); r.Changed() || !strings.Contains(r.Reason, `"paused"`) {
				s.Errorf("%+v: want no change, and a reason that names the action", r)
			}
		}},
		{"runner asked for twice starts once", twoPools(), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.up("i-small-1-1-1")
			if s.is(ledger.Starting{Runner: "i-small-1-1-1"}).Granted {
				s.Error("a start was granted after the claim")
			}
			s.is(ledger.Gone{Runner: "i-small-1-1-1", ExitCode: 1}, "-i-small-1-1-1")
			if s.is(ledger.Starting{Runner: "i-small-1-1-1"}).Granted {
				s.Error("a start was granted after the end")
			}
		}},
		{"stolen by a job with the same labels", twoPools(), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.is(queued(2), "+i-small-2-1-1")
			s.up("i-small-1-1-1")
			s.up("i-small-2-1-1")
			s.is(running(1, "on=i-small-2-1-1")) // the other one is there for job 2
			s.why(2, "GitHub gave this job's runner to another job; an equivalent runner is idle for it")
			s.is(running(2, "on=i-small-1-1-1"))
		}},
		{"stolen, and busy by the agent's word", twoPools(), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.is(queued(2), "+i-small-2-1-1")
			s.up("i-small-1-1-1")
			s.up("i-small-2-1-1")
			s.is(running(1, "on=i-small-2-1-1"))
			s.is(ledger.Busy{Runner: "i-small-1-1-1"}) // with job 2, it can be no other
		}},
		{"stolen twice: what listens goes before what starts", twoPools(), func(s *story) {
			for id := range int64(3) {
				s.is(queued(id+1), fmt.Sprintf("+i-small-%d-1-1", id+1))
			}
			s.up("i-small-1-1-1")
			s.up("i-small-3-1-1")
			s.is(ledger.Starting{Runner: "i-small-2-1-1"})
			s.is(running(1, "on=i-small-3-1-1"))              // runner 1 is there for job 3
			s.is(running(2, "on=somebody"), "-i-small-2-1-1") // so runner 2 is not needed for it
		}},
		{"GitHub changes its word", twoPools(), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.up("i-small-1-1-1")
			s.is(running(2, "on=i-small-1-1-1"), "+i-small-1-1-2")
			s.is(ledger.Starting{Runner: "i-small-1-1-2"})
			s.is(done(2, "on=somebody")) // so it may run job 1 after all
			r := s.is(ledger.Claim{Runner: "i-small-1-1-2"}, "-i-small-1-1-2")
			if want := "job acme/web/1/1 is claimed by runner i-small-1-1-1"; r.Granted || r.Reason != want {
				s.Errorf("claim: %t, %q: want a refusal: %s", r.Granted, r.Reason, want)
			}
		}},
		{"surplus spares a runner whose own job is queued", twoPools(), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.is(queued(2), "+i-small-2-1-1")
			s.up("i-small-1-1-1")
			s.up("i-small-2-1-1")
			s.is(done(2, "conclusion=cancelled"), "-i-small-2-1-1")
		}},
		{"two attempts of a job", twoPools(), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.is(queued(1, "attempt=2"), "+i-small-1-2-1")
		}},
		{"told a day late", twoPools(), func(s *story) {
			in := queued(1)
			in.At = start.Add(-24 * time.Hour)
			s.is(in)
			s.is(ledger.Tick{}, "?1") // before it gets a runner
			s.is(done(1, "conclusion=cancelled"))
			s.why(1, "completed: cancelled")
		}},
		{"few questions at once", twoPools(), func(s *story) {
			for id := range int64(6) {
				s.is(running(id+1, "on=somebody"))
			}
			s.after(30*time.Minute, "?1", "?2", "?3", "?4")
			s.after(time.Second, "?5", "?6")
		}},
		{"stolen while its own runner starts", twoPools(), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.is(queued(2), "+i-small-2-1-1")
			s.up("i-small-2-1-1")
			s.is(ledger.Starting{Runner: "i-small-1-1-1"})
			// Runner 1 could not claim for job 1 any more: it is passed on to job 2.
			s.is(running(1, "on=i-small-2-1-1"))
			if got := s.is(ledger.Claim{Runner: "i-small-1-1-1"}); !got.Granted || got.Runner.MadeFor != ledger.NewJobKey("acme/web", 2, 1) {
				s.Errorf("claim of a runner that was passed on: granted %v for %s", got.Granted, got.Runner.MadeFor)
			}
			s.is(running(2, "on=i-small-1-1-1"))
		}},
		{"taken by somebody else while its own runner starts", twoPools(), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.is(ledger.Starting{Runner: "i-small-1-1-1"})
			s.is(running(1, "on=somebody"), "-i-small-1-1-1")
			if s.is(ledger.Claim{Runner: "i-small-1-1-1"}).Granted {
				s.Error("a claim was granted for a job that runs")
			}
		}},
		{"a runner of one repository is none of another's", twoPools(), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.up("i-small-1-1-1")
			s.is(queued(2, "repository=acme/api"), "+i-small-2-1-1")
			s.up("i-small-2-1-1")
			s.is(done(1, "conclusion=cancelled"), "-i-small-1-1-1")
		}},
		{"runners of an organization serve all of it", atOrganization(twoPools()), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.is(queued(2, "repository=acme/api"), "+i-small-2-1-1")
			s.up("i-small-2-1-1")
			s.is(ledger.Starting{Runner: "i-small-1-1-1"})
			s.is(running(1, "on=i-small-2-1-1"))
			if got := s.is(ledger.Claim{Runner: "i-small-1-1-1"}); !got.Granted || got.Runner.Scope.Repository != "acme/api" {
				s.Errorf("claim: granted %v at %s", got.Granted, got.Runner.Scope.Repository)
			}
		}},
		{"stolen by a job with fewer labels", twoPools(), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.is(queued(2, "label=gpu"), "+i-large-2-1-1")
			s.up("i-small-1-1-1")
			s.up("i-large-2-1-1")
			s.is(running(1, "on=i-large-2-1-1"), "-i-small-1-1-1", "+i-large-2-1-2")
		}},
		{"stolen by a foreign runner", twoPools(), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.up("i-small-1-1-1")
			s.is(running(1, "on=somebody"), "-i-small-1-1-1")
		}},
		{"busy by the agent's word first", twoPools(), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.up("i-small-1-1-1")
			s.is(ledger.Busy{Runner: "i-small-1-1-1"}) // no second runner
			s.is(running(1, "on=i-small-1-1-1"))
		}},
		{"over before GitHub's word came", twoPools(), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.up("i-small-1-1-1")
			s.is(ledger.Busy{Runner: "i-small-1-1-1"})
			s.is(ledger.Gone{Runner: "i-small-1-1-1"}, "-i-small-1-1-1") // its registration, if any is left
			s.after(time.Second, "?1")
			s.is(done(1, "on=i-small-1-1-1"))
			s.after(time.Hour)
		}},
		{"GitHub never says how it ended", twoPools(), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.up("i-small-1-1-1")
			s.is(running(1, "on=i-small-1-1-1"))
			s.is(ledger.Gone{Runner: "i-small-1-1-1"})
			s.after(10 * time.Second)
			s.after(20*time.Second, "?1")
			s.why(1, "running on i-small-1-1-1, which is gone: GitHub has not said how the job ended")
			s.is(ledger.JobLost{Job: ledger.NewJobKey("acme/web", 1, 1), Reason: "404"})
			s.why(1, "completed: lost on i-small-1-1-1")
		}},
		{"cancelled before it starts", twoPools(), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.is(done(1, "conclusion=cancelled"))
			s.runner("i-small-1-1-1", ledger.RunnerGone)
			if s.is(ledger.Starting{Runner: "i-small-1-1-1"}).Granted {
				s.Error("a start was granted for a cancelled job")
			}
		}},
		{"cancelled while it starts", twoPools(), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.is(ledger.Starting{Runner: "i-small-1-1-1"})
			s.is(done(1, "conclusion=cancelled"), "-i-small-1-1-1")
			s.after(20 * time.Second)
			s.after(10*time.Second, "-i-small-1-1-1") // asked again
			s.after(10 * time.Minute)
			s.runner("i-small-1-1-1", ledger.RunnerGone)
		}},
		{"removal that GitHub refuses", twoPools(), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.up("i-small-1-1-1")
			s.is(done(1, "conclusion=cancelled"), "-i-small-1-1-1")
			s.is(ledger.Busy{Runner: "i-small-1-1-1"}) // 422: it runs something
			s.after(time.Minute)
			if r := s.runner("i-small-1-1-1", ledger.RunnerBusy); r.Leaving != "" {
				s.Errorf("a busy runner is still to go: %s", r.Leaving)
			}
		}},
		{"registered after its removal was requested", twoPools(), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.is(ledger.Starting{Runner: "i-small-1-1-1"})
			s.is(ledger.Claim{Runner: "i-small-1-1-1"})
			s.is(done(1, "conclusion=cancelled"), "-i-small-1-1-1")
			s.is(ledger.Gone{Runner: "i-small-1-1-1"})
			s.is(ledger.Registered{Runner: "i-small-1-1-1", GitHubID: 5}, "-i-small-1-1-1")
		}},
		{"a re-run that keeps the id", twoPools(), func(s *story) {
			s.is(done(1, "attempt=0"))
			s.is(queued(1, "attempt=1"), "+i-small-1-1-1")
		}},
		{"pool at its max", max1, func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.is(queued(2))
			s.why(2, "pool small is full: 1 of 1")
			s.up("i-small-1-1-1")
			s.is(running(1, "on=i-small-1-1-1"))
			s.is(done(1, "on=i-small-1-1-1"))
			s.is(ledger.Gone{Runner: "i-small-1-1-1"}, "+i-small-2-1-1")
		}},
		{"repositories take turns", twoPools(), func(s *story) {
			for id := range int64(4) {
				s.is(queued(id+1), fmt.Sprintf("+i-small-%d-1-1", id+1))
			}
			for id := range int64(3) {
				s.is(queued(id + 5))
			}
			s.is(queued(8, "repository=acme/api"))
			s.is(done(1), "+i-small-8-1-1") // the youngest, but of a repository that has none
			s.is(done(2), "+i-small-5-1-1")
		}},
		{"host without room", host4, func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.is(queued(2, "label=gpu"))
			s.why(2, "host has no room: a runner of pool large needs 4 CPUs and 8 GiB, and 1 CPUs and 1 GiB of 4 CPUs and 0 GiB are taken")
			s.is(queued(3), "+i-small-3-1-1") // what fits goes ahead
			s.now = s.now.Add(11 * time.Minute)
			s.is(queued(4)) // but not for ever
			s.is(done(1))
			s.is(done(3), "+i-large-2-1-1")
		}},
		{"a runner that fails", twoPools(), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.is(ledger.Starting{Runner: "i-small-1-1-1"})
			s.is(ledger.Gone{Runner: "i-small-1-1-1", ExitCode: 127})
			s.why(1, "the next runner starts in 1s; 1 runner failed: exit code 127")
			s.after(time.Second, "+i-small-1-1-2")
			s.is(ledger.Starting{Runner: "i-small-1-1-2"})
			s.is(ledger.Gone{Runner: "i-small-1-1-2", Reason: "no such image"})
			s.after(time.Second)
			s.after(time.Second, "+i-small-1-1-3")
			s.is(ledger.Failed{Runner: "i-small-1-1-3", Reason: "GitHub answered 403"})
			s.why(1, "the next runner starts in 4s; 3 runners failed, the last: GitHub answered 403")
		}},
		{"nobody takes a runner up", twoPools(), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.after(time.Minute)
			s.after(time.Minute, "+i-small-1-1-1") // the same: it is asked for again
			s.why(1, "runner i-small-1-1-1 was requested 2m0s ago and no launcher has started it yet")
		}},
		{"a container that never claims", twoPools(), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.is(ledger.Starting{Runner: "i-small-1-1-1"})
			s.why(1, "runner i-small-1-1-1 has been starting for 0s")
			s.after(2*time.Minute, "-i-small-1-1-1", "+i-small-1-1-2")
		}},
		{"a runner that never listens", twoPools(), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.is(ledger.Starting{Runner: "i-small-1-1-1"})
			s.is(ledger.Claim{Runner: "i-small-1-1-1"})
			s.after(2*time.Minute, "-i-small-1-1-1") // it holds the claim until it is gone
			s.is(ledger.Gone{Runner: "i-small-1-1-1", ExitCode: 143})
			s.after(time.Second, "+i-small-1-1-2")
		}},
		{"a runner that idles", twoPools(), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.up("i-small-1-1-1")
			s.after(5 * time.Minute)
			s.after(time.Minute, "-i-small-1-1-1")
		}},
		{"a job without an end", twoPools(), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.up("i-small-1-1-1")
			s.is(running(1, "on=i-small-1-1-1"))
			s.after(pool.DefaultTotalLimit)
			s.after(time.Minute, "!i-small-1-1-1")
		}},
		{"a runner that stays after its job", twoPools(), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.up("i-small-1-1-1")
			s.is(done(1, "on=i-small-1-1-1"))
			s.after(time.Minute, "!i-small-1-1-1")
		}},
		{"a job of which nothing is heard", twoPools(), func(s *story) {
			s.is(running(1, "on=somebody"))
			s.after(30*time.Minute, "?1")
			s.after(29 * time.Minute)
			s.after(time.Minute, "?1")
		}},
		{"a day in the queue", max1, func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.is(queued(2))
			s.after(24*time.Hour, "?1", "?2", "+i-small-1-1-1") // which is asked for again
			s.is(asked(queued(2), s.now))
			s.after(29*time.Minute, "+i-small-1-1-1")
			s.why(2, "pool small is full: 1 of 1")
			s.after(time.Minute, "?2", "+i-small-2-1-1") // of job 1 GitHub says nothing
			s.why(1, "completed: abandoned")

		}},
		{"fits no pool", twoPools(), func(s *story) {
			s.is(queued(1, "label=riscv"))
			s.why(1, "no pool takes label riscv: the nearest is small, with labels self-hosted, linux, x64")
		}},
		{"waits for approval", twoPools(), func(s *story) {
			s.is(about(1, "waiting"))
			s.is(about(1, "waiting"))
			s.is(queued(1), "+i-small-1-1-1")
			s.is(about(1, "waiting"), "?1") // late, or true: its times do not say
			s.is(about(1, "waiting"))
			s.is(asked(queued(1), start))
			s.runner("i-small-1-1-1", ledger.RunnerWanted)
		}},
		{"after a restart", twoPools(), func(s *story) {
			for id := range int64(3) {
				s.is(queued(id+1), fmt.Sprintf("+i-small-%d-1-1", id+1))
			}
			s.up("i-small-1-1-1")
			s.up("i-small-2-1-1")
			s.is(running(2, "on=i-small-2-1-1"))
			s.is(ledger.Starting{Runner: "i-small-3-1-1"}) // its container is not there yet
			s.is(ledger.Found{Runners: []ledger.RunnerName{"i-small-2-1-1", "i-small-9-1-1"}}, "!i-small-9-1-1", "-i-small-1-1-1")
			s.runner("i-small-1-1-1", ledger.RunnerGone)
			s.runner("i-small-2-1-1", ledger.RunnerBusy)
			s.runner("i-small-3-1-1", ledger.RunnerStarting)
		}},
		{"second claim", twoPools(), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.up("i-small-1-1-1")
			r := s.is(ledger.Claim{Runner: "i-small-1-1-1"})
			if r.Granted || r.Reason != "runner i-small-1-1-1 has claimed before" {
				s.Errorf("second claim: %t, %s", r.Granted, r.Reason)
			}
			s.runner("i-small-1-1-1", ledger.RunnerIdle) // the first one stands
		}},
		{"forged reports before a claim", twoPools(), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.is(ledger.Starting{Runner: "i-small-1-1-1"})
			s.is(ledger.Idle{Runner: "i-small-1-1-1"})
			s.is(ledger.Busy{Runner: "i-small-1-1-1"})
			s.runner("i-small-1-1-1", ledger.RunnerStarting)
			s.is(ledger.Claim{Runner: "somebody"})
		}},
	} {
		t.Run(test.name, func(t *testing.T) { test.tell(tell(t, test.limits)) })
	}
}

// TestNewPools: a job that fitted no pool gets its runner once one takes it.
func TestNewPools(t *testing.T) {
	s := tell(t, ledger.Limits{})
	s.is(queued(1))
	s.is(about(2, "waiting"))
	jobs := slices.Collect(s.state.Jobs())
	s.state = ledger.NewState("i", twoPools())
	s.state.Load(jobs, nil)
	s.after(time.Minute, "+i-small-1-1-1") // job 2 goes on waiting
	s.is(queued(2), "+i-small-2-1-1")
}

// TestNames holds names to what GitHub and containers take.
func TestNames(t *testing.T) {
	l := twoPools()
	l.Pools[0].Name = "Größe_" + strings.Repeat("x", 80)
	s := ledger.NewState("abcdef", l)
	in := queued(9223372036854775807)
	name := s.Apply(in, start).Effects[0].(ledger.WantRunner).Runner
	if len(name) > 64 || strings.Trim(string(name), "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		t.Errorf("name %q: want at most 64 of a-z, 0-9 and -", name)
	}
	if want := "-9223372036854775807-1-1"; !strings.HasSuffix(string(name), want) {
		t.Errorf("name %q: want the end %q whole", name, want)
	}
}

// TestHistoryIsBounded, and keeps its beginning and its end.
func TestHistoryIsBounded(t *testing.T) {
	s := tell(t, twoPools())
	s.state.Apply(queued(1), s.now)
	for range 100 {
		s.now = s.now.Add(time.Minute)
		for r := range s.state.Runners() {
			if r.Live() {
				s.state.Apply(ledger.Gone{Runner: r.Name, ExitCode: 1, Reason: strings.Repeat("é", 1000)}, s.now)
			}
		}
		s.state.Apply(ledger.Tick{}, s.now)
	}
	j, _ := s.state.Job(ledger.NewJobKey("acme/web", 1, 1))
	before := slices.Clone(j.History)
	s.state.Apply(done(1), s.now)
	if diff := cmp.Diff(before, j.History); diff != "" { // a step too many must not reach into the past
		t.Errorf("history given out earlier (-before +after):\n%s", diff)
	}
	if len(j.History) != 32 || j.History[0].What != "queued" || !j.History[31].At.After(start.Add(98*time.Minute)) {
		t.Errorf("%d steps from %v to %v: want 32 from the first to the last", len(j.History), j.History[0], j.History[31])
	}
}
