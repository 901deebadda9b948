package ledger_test

import (
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// TestApprovals tells the ledger of jobs that wait for an approval, as GitHub does: queued
// with the status waiting, waiting, and queued once somebody has approved it.
func TestApprovals(t *testing.T) {
	const day = 24 * time.Hour
	for _, test := range []struct {
		name string
		tell func(s *story)
	}{
		{"status counts as well as action", func(s *story) {
			s.is(queued(1, "status=waiting"))
			s.is(about(1, "waiting", "status=waiting"))
			s.job(1, ledger.JobWaiting)
			s.is(queued(1, "status=queued"), "+i-small-1-1-1")
		}},
		{"pending and requested wait, too", func(s *story) {
			s.is(queued(1, "status=pending"))
			s.is(queued(2, "status=requested"))
			s.job(1, ledger.JobWaiting)
			s.job(2, ledger.JobWaiting)
		}},
		{"approved after days", func(s *story) {
			s.is(queued(1, "status=waiting"))
			s.is(about(1, "waiting", "status=waiting"))
			s.after(3*day, "?1")
			s.job(1, ledger.JobWaiting)
			s.is(queued(1, "status=queued"), "+i-small-1-1-1")
			s.after(time.Hour, "+i-small-1-1-1")
			s.job(1, ledger.JobQueued)
		}},
		{"nobody approves it", func(s *story) {
			s.is(queued(1, "status=waiting"))
			s.giveUp(36 * day)
			s.why(1, "completed: abandoned")
		}},
		{"waits again: a runner that has not claimed goes", func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.is(ledger.Starting{Runner: "i-small-1-1-1"})
			s.is(about(1, "waiting", "started=1m"), "-i-small-1-1-1")
			s.job(1, ledger.JobWaiting)
			s.is(ledger.Gone{Runner: "i-small-1-1-1"})
			s.is(queued(1, "started=48h"), "+i-small-1-1-2")
			if j := s.job(1, ledger.JobQueued); j.Failures != 0 {
				s.Errorf("%+v: want no failure", j)
			}
		}},
		{"waits again: a runner that listens goes", func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.up("i-small-1-1-1")
			s.is(about(1, "waiting", "started=1m"), "-i-small-1-1-1")
		}},
		{"waits again: its runner is passed on", func(s *story) {
			l := twoPools()
			l.Pools[0].Max = 1
			s.state = ledger.NewState("i", l)
			s.is(queued(1), "+i-small-1-1-1")
			s.is(ledger.Starting{Runner: "i-small-1-1-1"})
			s.is(queued(2))
			s.is(about(1, "waiting", "started=1m"))
			if r := s.runner("i-small-1-1-1", ledger.RunnerStarting); r.MadeFor.ID != 2 {
				s.Errorf("made for %s: want job 2", r.MadeFor)
			}
		}},
		{"late words of before the approval", func(s *story) {
			s.is(queued(1, "started=1h"), "+i-small-1-1-1")
			s.is(queued(1, "status=waiting", "started=1s"))
			s.is(about(1, "waiting", "started=1s"))
			s.job(1, ledger.JobQueued)
		}},
		{"in doubt GitHub is asked, and its answer counts", func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.after(time.Second)
			s.is(about(1, "waiting"), "?1")
			s.job(1, ledger.JobQueued)
			s.is(asked(about(1, "waiting"), s.now))
			s.job(1, ledger.JobWaiting)
			s.runner("i-small-1-1-1", ledger.RunnerGone)
			s.after(time.Second)
			s.is(queued(1), "+i-small-1-1-2")
		}},
		{"in doubt and no answer", func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.up("i-small-1-1-1")
			s.is(about(1, "waiting"), "?1")
			s.after(31*time.Second, "?1")
		}},
		{"an answer that the approval has overtaken", func(s *story) {
			s.is(about(1, "waiting"))
			question := s.now
			s.now = s.now.Add(time.Second)
			s.is(queued(1), "+i-small-1-1-1")
			s.is(asked(about(1, "waiting"), question))
			s.job(1, ledger.JobQueued)
		}},
		{"approved after it was given up", func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.giveUp(day, "+i-small-1-1-1")
			s.why(1, "completed: abandoned")
			s.after(day)
			s.is(queued(1, "started=48h"), "+i-small-1-1-2")
			s.after(23*time.Hour, "?1", "+i-small-1-1-2")
			s.job(1, ledger.JobQueued)
		}},
		{"approved after it was given up, without a time", func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.giveUp(day, "+i-small-1-1-1")
			s.after(day)
			s.is(queued(1), "+i-small-1-1-2")
		}},
		{"approved after it was lost", func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.is(ledger.JobLost{Job: ledger.NewJobKey("acme/web", 1, 1), Reason: "404"})
			s.now = s.now.Add(time.Minute)
			s.is(queued(1), "+i-small-1-1-2")
		}},
		{"GitHub's word on one that was given up", func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.giveUp(day, "+i-small-1-1-1")
			s.is(done(1, "conclusion=cancelled"))
			s.why(1, "completed: cancelled")
			s.now = s.now.Add(time.Minute)
			s.is(queued(1, "started=48h")) // too late: it is over
			s.why(1, "completed: cancelled")
		}},
		{"a word of before it was given up", func(s *story) {
			s.is(queued(1), "+i-small-1-1-1")
			s.giveUp(day, "+i-small-1-1-1")
			in := queued(1)
			in.At = start.Add(time.Hour)
			s.is(in)
			s.why(1, "completed: abandoned")
		}},
	} {
		t.Run(test.name, func(t *testing.T) { test.tell(tell(t, twoPools())) })
	}
}

// TestEarlierVersion: jobs that were kept before waiting was told from queued by word go on.
func TestEarlierVersion(t *testing.T) {
	key := ledger.NewJobKey("acme/web", 1, 1)
	job := ledger.Job{Key: key, Scope: ledger.Scope{Repository: "acme/web"}, Pool: "small", Labels: "linux", Created: start.Add(time.Second)}
	for _, test := range []struct {
		name string
		edit func(*ledger.Job)
		in   ledger.JobSeen
		want ledger.JobState
	}{
		{"a doubled word", func(j *ledger.Job) { j.State, j.Queued = ledger.JobQueued, start }, about(1, "waiting"), ledger.JobQueued},
		{"an approval", func(j *ledger.Job) { j.State = ledger.JobWaiting }, queued(1), ledger.JobQueued},
		{"an approval after it was given up", func(j *ledger.Job) {
			j.State, j.Conclusion, j.Queued = ledger.JobCompleted, ledger.ConclusionAbandoned, start
		}, queued(1, "started=48h"), ledger.JobQueued},
		{"one that is over", func(j *ledger.Job) {
			j.State, j.Conclusion, j.Queued = ledger.JobCompleted, "success", start
		}, queued(1, "started=48h"), ledger.JobCompleted},
	} {
		s := tell(t, twoPools())
		j := job
		test.edit(&j)
		s.state.Load([]ledger.Job{j}, nil)
		s.state.Apply(ledger.Tick{}, s.now)
		s.now = s.now.Add(time.Minute)
		s.state.Apply(test.in, s.now)
		if j, _ := s.state.Job(key); j.State != test.want {
			t.Errorf("%s: %s: want %s", test.name, j.State, test.want)
		}
	}
}

// job compares the state of job id of acme/web.
func (s *story) job(id int64, want ledger.JobState) ledger.Job {
	s.Helper()
	j, _ := s.state.Job(ledger.NewJobKey("acme/web", id, 1))
	if j.State != want {
		s.Fatalf("job %d is %q: want %q", id, j.State, want)
	}
	return j
}

// giveUp lets so much time pass that job 1 is past GitHub's limit, and then as much in which GitHub says nothing.
func (s *story) giveUp(limit time.Duration, others ...string) {
	s.Helper()
	s.after(limit, append([]string{"?1"}, others...)...)
	s.after(30 * time.Minute)
}
