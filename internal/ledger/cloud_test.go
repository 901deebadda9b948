package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// Here containers have ids of their own, and several may be started for one runner: as
// on AWS, where a doubled event starts a second task.

const first = ledger.RunnerName("i-small-1-1-1")

// refused wants a refusal with a reason, and whether asking again is worth it.
func (s *story) refused(in ledger.Input, want string, again time.Duration) {
	s.Helper()
	if got := s.is(in); got.Granted || got.Reason != want || got.RetryAfter != again {
		s.Fatalf("%T: granted %t, %q, again in %s: want a refusal: %q, again in %s", in, got.Granted, got.Reason, got.RetryAfter, want, again)
	}
}

func (s *story) granted(in ledger.Input) {
	s.Helper()
	if got := s.is(in); !got.Granted {
		s.Fatalf("%T refused: %s", in, got.Reason)
	}
}

func TestContainersOfTheirOwn(t *testing.T) {
	slow := twoPools()
	slow.Launch = 35 * time.Minute
	max1 := twoPools()
	max1.Pools[0].Max = 1
	for _, test := range []struct {
		name   string
		limits ledger.Limits
		tell   func(s *story)
	}{
		{"a doubled event: two containers, one claim", twoPools(), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.is(ledger.Starting{Runner: first}) // the first is on its way
			s.is(ledger.Starting{Runner: first}) // the second, too
			s.is(ledger.Started{Runner: first, Container: "a"})
			s.granted(ledger.Claim{Runner: first, Container: "b"})
			s.refused(ledger.Claim{Runner: first, Container: "a"}, "runner i-small-1-1-1 is bound to container b", 0)
			s.is(ledger.Gone{Runner: first, Container: "a"}) // the late one leaves
			s.is(ledger.Started{Runner: first, Container: "b"})
			s.is(ledger.Registered{Runner: first, GitHubID: 7})
			s.is(ledger.Idle{Runner: first})
			s.is(running(1, "on=i-small-1-1-1"))
			s.is(done(1, "on=i-small-1-1-1"))
			s.is(ledger.Gone{Runner: first, Container: "b"})
		}},
		{"a start is granted to one container", twoPools(), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.granted(ledger.Starting{Runner: first, Container: "a"})
			s.granted(ledger.Starting{Runner: first, Container: "a"})
			s.refused(ledger.Starting{Runner: first, Container: "b"}, "runner i-small-1-1-1 is bound to container a", 0)
			s.refused(ledger.Claim{Runner: first, Container: "b"}, "runner i-small-1-1-1 is bound to container a", 0)
			s.is(ledger.Gone{Runner: first, Container: "b"})
			s.is(ledger.Started{Runner: first, Container: "b"})
			if r := s.runner(first, ledger.RunnerStarting); !r.Started.IsZero() {
				s.Errorf("started at %v by the word on another container", r.Started)
			}
			s.granted(ledger.Claim{Runner: first, Container: "a"})
		}},
		{"a container that ends before its claim", twoPools(), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.is(ledger.Starting{Runner: first})
			s.is(ledger.Gone{Runner: first, Container: "a", ExitCode: 137, Reason: "OutOfMemoryError"})
			s.after(time.Second, "+i-small-1-1-2")
			s.refused(ledger.Claim{Runner: first, Container: "b"}, "runner i-small-1-1-1 is gone: OutOfMemoryError (exit code 137)", 0)
		}},
		{"no host in half an hour", slow, func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.is(ledger.Starting{Runner: first})
			s.after(29 * time.Minute)
			s.is(ledger.Gone{Runner: first, Container: "a", Reason: "TaskFailedToStart"})
			s.after(time.Second, "+i-small-1-1-2")
			s.is(ledger.Starting{Runner: "i-small-1-1-2"})
			s.after(30*time.Minute, "?1")
			s.after(5*time.Minute, "-i-small-1-1-2", "+i-small-1-1-3") // nobody said that it ended
			if r := s.runner("i-small-1-1-2", ledger.RunnerStarting); r.Leaving != "did not run within 35m0s of its start" {
				s.Errorf("leaving: %q", r.Leaving)
			}
		}},
		{"a container that runs has to claim soon", slow, func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.is(ledger.Starting{Runner: first})
			s.after(20 * time.Minute)
			s.is(ledger.Started{Runner: first, Container: "a"})
			s.after(time.Minute)
			s.after(time.Minute, "-i-small-1-1-1", "+i-small-1-1-2")
		}},
		{"a claim of which nothing came", twoPools(), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.granted(ledger.Claim{Runner: first, Container: "a"})
			s.now = s.now.Add(20 * time.Second)
			s.refused(ledger.Claim{Runner: first, Container: "a"}, "runner i-small-1-1-1 is being registered: ask again in 40s", 40*time.Second)
			s.refused(ledger.Claim{Runner: first, Container: "b"}, "runner i-small-1-1-1 is bound to container a", 0)
			s.now = s.now.Add(40 * time.Second)
			s.granted(ledger.Claim{Runner: first, Container: "a"})
			s.is(ledger.Registered{Runner: first, GitHubID: 7})
			s.now = s.now.Add(time.Hour)
			s.refused(ledger.Claim{Runner: first, Container: "a"}, "runner i-small-1-1-1 has claimed before", 0)
		}},
		{"a claim that GitHub put off", twoPools(), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.granted(ledger.Claim{Runner: first, Container: "a"})
			granted := s.now
			s.now = s.now.Add(time.Second)
			s.is(ledger.PutOff{Runner: first, Granted: granted, After: 7 * time.Second})
			s.now = s.now.Add(6 * time.Second)
			s.refused(ledger.Claim{Runner: first, Container: "a"}, "runner i-small-1-1-1 is being registered: ask again in 1s", time.Second)
			s.now = s.now.Add(time.Second)
			s.refused(ledger.Claim{Runner: first, Container: "b"}, "runner i-small-1-1-1 is bound to container a", 0)
			s.granted(ledger.Claim{Runner: first, Container: "a"})
			s.now = s.now.Add(20 * time.Second) // whoever has it now has a lease of its own
			s.refused(ledger.Claim{Runner: first, Container: "a"}, "runner i-small-1-1-1 is being registered: ask again in 40s", 40*time.Second)
		}},
		{"a claim that is put off too late", twoPools(), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.granted(ledger.Claim{Runner: first, Container: "a"})
			slow := s.now
			s.now = s.now.Add(time.Minute)
			s.granted(ledger.Claim{Runner: first, Container: "a"}) // another call, which is at it now
			s.now = s.now.Add(time.Second)
			s.is(ledger.PutOff{Runner: first, Granted: slow})
			s.now = s.now.Add(time.Second)
			s.refused(ledger.Claim{Runner: first, Container: "a"}, "runner i-small-1-1-1 is being registered: ask again in 58s", 58*time.Second)
			s.is(ledger.Registered{Runner: first, GitHubID: 7})
			s.is(ledger.PutOff{Runner: first, Granted: slow.Add(time.Minute)})
			s.now = s.now.Add(time.Hour)
			s.refused(ledger.Claim{Runner: first, Container: "a"}, "runner i-small-1-1-1 has claimed before", 0)
		}},
		{"a claim that is put off and made again at once", twoPools(), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.granted(ledger.Claim{Runner: first, Container: "a"})
			granted := s.now
			s.is(ledger.PutOff{Runner: first, Granted: granted})
			s.refused(ledger.Claim{Runner: first, Container: "a"}, "runner i-small-1-1-1 is being registered: ask again in 1ms", time.Millisecond)
			s.now = s.now.Add(time.Millisecond)
			s.granted(ledger.Claim{Runner: first, Container: "a"})
			s.is(ledger.PutOff{Runner: first, Granted: granted}) // said twice
			s.now = s.now.Add(time.Second)
			s.refused(ledger.Claim{Runner: first, Container: "a"}, "runner i-small-1-1-1 is being registered: ask again in 59s", 59*time.Second)
		}},
		{"who is told to wait is not late", twoPools(), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.granted(ledger.Claim{Runner: first, Container: "a"})
			s.is(ledger.PutOff{Runner: first, Granted: s.now, After: 10 * time.Minute})
			s.after(11 * time.Minute)
			s.after(time.Minute, "-i-small-1-1-1")
		}},
		{"nobody is put off for more than an hour", twoPools(), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.granted(ledger.Claim{Runner: first, Container: "a"})
			s.is(ledger.PutOff{Runner: first, Granted: s.now, After: 1000 * time.Hour})
			s.after(62*time.Minute, "?1", "-i-small-1-1-1")
		}},
		{"a claim of which nothing came, and the job is taken", twoPools(), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.granted(ledger.Claim{Runner: first, Container: "a"})
			s.is(done(1, "conclusion=cancelled"), "-i-small-1-1-1")
			s.refused(ledger.Claim{Runner: first, Container: "a"}, "job acme/web/1/1 is completed: cancelled", 0)
		}},
		{"a runner without a container of its own claims until it is registered", twoPools(), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.granted(ledger.Claim{Runner: first})
			s.granted(ledger.Claim{Runner: first}) // after a crash: whoever asked before has ended
			s.is(ledger.PutOff{Runner: first, Granted: s.now, After: 7 * time.Second})
			s.now = s.now.Add(6 * time.Second)
			s.refused(ledger.Claim{Runner: first}, "runner i-small-1-1-1 is being registered: ask again in 1s", time.Second)
			s.now = s.now.Add(time.Second)
			s.granted(ledger.Claim{Runner: first})
			s.refused(ledger.Claim{Runner: first, Container: "a"}, "runner i-small-1-1-1 is bound to container i-small-1-1-1", 0)
			s.is(ledger.Registered{Runner: first, GitHubID: 7})
			s.refused(ledger.Claim{Runner: first}, "runner i-small-1-1-1 has claimed before", 0)
		}},
		{"the first runner is passed on with its container", twoPools(), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.is(queued(2), "+i-small-2-1-1")
			s.granted(ledger.Claim{Runner: "i-small-2-1-1", Container: "b"})
			s.is(ledger.Registered{Runner: "i-small-2-1-1", GitHubID: 8})
			s.is(running(1, "on=i-small-2-1-1")) // GitHub gave it the other's job
			s.granted(ledger.Claim{Runner: first, Container: "a"})
			if r := s.runner(first, ledger.RunnerClaimed); r.MadeFor.ID != 2 {
				s.Errorf("runner %s is for job %s: want job 2", first, r.MadeFor)
			}
		}},
		{"a removal names the container", twoPools(), func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.granted(ledger.Starting{Runner: first, Container: "a"})
			if e := s.is(done(1), "-i-small-1-1-1").Effects[0].(ledger.RemoveRunner); e.Container != "a" {
				s.Errorf("%+v: want container a", e)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) { test.tell(tell(t, test.limits)) })
	}
}

// TestOneContainerClaims: whatever comes in whatever order, of a runner's containers one is
// granted its claim, no sooner again than a lease later, or than it was put off, and never once it
// is registered.
func TestOneContainerClaims(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := ledger.NewState("i", twoPools())
		now := start
		s.Apply(queued(1), now)
		var holder string
		var last, free, retry time.Time // when it was granted, when it may be again, and until when it is put off
		registered := false
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			container := fmt.Sprint(rapid.IntRange(0, 2).Draw(t, "container"))
			var in ledger.Input
			switch rapid.IntRange(0, 7).Draw(t, "act") {
			case 0:
				in = ledger.Starting{Runner: first, Container: container}
			case 1:
				in = ledger.Started{Runner: first, Container: container}
			case 2:
				in = ledger.Gone{Runner: first, Container: container}
			case 3:
				now = now.Add(time.Duration(rapid.IntRange(1, 70).Draw(t, "seconds")) * time.Second)
				in = ledger.Tick{}
			case 4:
				in = ledger.Registered{Runner: first, GitHubID: 7}
				registered = registered || holder != ""
			case 5:
				after := time.Duration(rapid.IntRange(0, 90).Draw(t, "after")) * time.Second
				granted := last.Add(-time.Duration(rapid.IntRange(0, 1).Draw(t, "late")) * time.Minute) // or that of an earlier one
				in = ledger.PutOff{Runner: first, Granted: granted, After: after}
				if r, _ := s.Runner(first); granted.Equal(last) && r.State == ledger.RunnerClaimed && !registered && !now.Before(retry) {
					retry = now.Add(max(after, time.Millisecond))
					free = retry
				}
			default:
				in = ledger.Claim{Runner: first, Container: container}
			}
			result := s.Apply(in, now)
			if faults := s.Invariants(now); faults != nil {
				t.Fatalf("after %T: %v", in, faults)
			}
			if _, ok := in.(ledger.Claim); !ok || !result.Granted {
				continue
			}
			switch {
			case registered:
				t.Fatalf("container %s is granted a claim of a runner that is registered", container)
			case holder != "" && holder != container:
				t.Fatalf("container %s is granted the claim of container %s", container, holder)
			case holder != "" && now.Before(free):
				t.Fatalf("container %s is granted its claim again after %s, %s too soon", container, now.Sub(last), free.Sub(now))
			}
			holder, last, free, retry = container, now, now.Add(time.Minute), time.Time{}
		}
	})
}

// TestChangesAreBounded: room for many at once is filled turn by turn, to the end.
func TestChangesAreBounded(t *testing.T) {
	full := twoPools()
	full.Pools[0].Max = 1
	before := ledger.NewState("i", full)
	for id := range int64(200) {
		before.Apply(queued(id+1), start)
	}
	var jobs []ledger.Job
	for j := range before.Jobs() {
		jobs = append(jobs, j)
	}
	roomy := twoPools()
	roomy.Pools[0].Max, roomy.Changes = 150, 45
	s := ledger.NewState("i", roomy)
	s.Load(jobs, nil)
	wanted, turns := 0, 0
	for more := true; more; turns++ {
		result := s.Apply(ledger.Tick{}, start)
		if n := len(result.Jobs) + len(result.Runners); n > 47 {
			t.Fatalf("%d changes in a turn: want at most 47", n)
		}
		wanted, more = wanted+len(result.Effects), result.More
	}
	if faults := s.Invariants(start); faults != nil || wanted != 150 {
		t.Errorf("%d runners after %d turns, %v: want 150", wanted, turns, faults)
	}
}
