package ledger_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// warmLimits are two pools, of which small has n warm runners at acme/web.
func warmLimits(n int) ledger.Limits {
	l := twoPools()
	l.Pools[0].Warm = pool.Warm{Runners: n, At: []string{"acme/web"}}
	return l
}

// warmStory is a story, and the names of the warm runners wanted since the last call, which come up.
type warmStory struct {
	*story
	t *testing.T
}

func warmly(t *testing.T, l ledger.Limits) warmStory { return warmStory{tell(t, l), t} }

// tick sweeps after d, brings wanted runners up and returns what was wanted (+) and had to go (-), by kind: w for warm.
func (s warmStory) tick(d time.Duration) string {
	s.t.Helper()
	s.now = s.now.Add(d)
	return s.does(ledger.Tick{})
}

// does applies in and carries out what follows, as launchers and agents do.
func (s warmStory) does(in ledger.Input) string {
	s.t.Helper()
	var words []string
	for todo := []ledger.Input{in}; len(todo) > 0; todo = todo[1:] {
		result := s.state.Apply(todo[0], s.now)
		if faults := s.state.Invariants(s.now); faults != nil {
			s.t.Fatalf("after %T: %v", todo[0], faults)
		}
		for _, e := range result.Effects {
			switch e := e.(type) {
			case ledger.WantRunner:
				words = append(words, "+"+kind(e.Job))
				todo = append(todo, ledger.Starting{Runner: e.Runner, Image: "sha256:a"}, ledger.Started{Runner: e.Runner}, ledger.Claim{Runner: e.Runner},
					ledger.Registered{Runner: e.Runner, GitHubID: 9}, ledger.Idle{Runner: e.Runner})
			case ledger.RemoveRunner:
				r, _ := s.state.Runner(e.Runner)
				words = append(words, "-"+kind(r.MadeFor))
				todo = append(todo, ledger.Gone{Runner: e.Runner})
			}
		}
	}
	return strings.Join(words, " ")
}

func kind(made ledger.JobKey) string {
	if made.IsZero() {
		return "warm"
	}
	return "cold"
}

// warm returns the warm runners that listen.
func (s warmStory) warm() (names []ledger.RunnerName) {
	for r := range s.state.Runners() {
		if r.Warm() && r.State == ledger.RunnerIdle {
			names = append(names, r.Name)
		}
	}
	return names
}

func (s warmStory) queue(id int64, repository string, labels ...string) string {
	s.t.Helper()
	return s.does(ledger.JobSeen{Job: event.WorkflowJob{Action: event.ActionQueued, Repository: repository, ID: id, Attempt: 1, Labels: labels, Created: s.now}})
}

func (s warmStory) report(action string, id int64, repository string, on ledger.RunnerName, labels ...string) string {
	s.t.Helper()
	return s.does(ledger.JobSeen{Job: event.WorkflowJob{Action: action, Repository: repository, ID: id, Attempt: 1, Labels: labels, RunnerName: string(on), Created: s.now, Started: s.now, Conclusion: "success"}})
}

func want(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func TestWarmRunnerServesAJob(t *testing.T) {
	s := warmly(t, warmLimits(2))
	want(t, "at the start", s.tick(0), "+warm +warm")
	want(t, "a job that a warm runner serves", s.queue(1, "acme/web", "linux"), "")
	j, _ := s.state.Job(ledger.NewJobKey("acme/web", 1, 1))
	if why := s.state.Why(j, s.now).Text; why != "a warm runner of pool small is there for it: GitHub gives it the job" {
		t.Errorf("why: %s", why)
	}
	on := s.warm()[0]
	want(t, "its start", s.report(event.ActionInProgress, 1, "acme/web", on, "linux"), "+warm")
	want(t, "its end", s.report(event.ActionCompleted, 1, "acme/web", on, "linux"), "")
	want(t, "the end of its runner", s.does(ledger.Gone{Runner: on}), "")
	if n := len(s.warm()); n != 2 {
		t.Errorf("%d warm runners, want 2", n)
	}
	want(t, "a job elsewhere", s.queue(2, "acme/api", "linux"), "+cold")
}

func TestMoreJobsThanWarmRunners(t *testing.T) {
	s := warmly(t, warmLimits(2))
	s.tick(0)
	got := s.queue(1, "acme/web", "linux") + "," + s.queue(2, "acme/web", "linux", "x64") + "," + s.queue(3, "acme/web", "linux") + "," + s.queue(4, "acme/web", "self-hosted", "linux", "x64")
	want(t, "four jobs of three kinds", got, ",,+cold,+cold")
}

// TestWarmRunnersMakeRoom: a job that has none goes before runners that have no job.
func TestWarmRunnersMakeRoom(t *testing.T) {
	full := warmLimits(4)
	s := warmly(t, full)
	s.tick(0)
	want(t, "the pool is full", s.queue(1, "acme/api", "linux"), "-warm +cold")
	want(t, "and again", s.queue(2, "acme/api", "linux"), "-warm +cold")
	want(t, "its own jobs have the last two", s.queue(3, "acme/web", "linux")+s.queue(4, "acme/web", "linux"), "")
	want(t, "which do not make room", s.queue(5, "acme/api", "linux"), "")

	host := warmLimits(4)
	host.Host = pool.Resources{CPUs: 6}
	s = warmly(t, host)
	s.tick(0)
	want(t, "the host has no room for a large one", s.queue(1, "acme/web", "gpu"), "-warm -warm +cold")
}

// TestFewerWarmRunners: when fewer are wanted, idle ones leave, and busy ones never.
func TestFewerWarmRunners(t *testing.T) {
	l := warmLimits(0)
	window, err := pool.ParseWindow("08:00-18:00", "", 3)
	if err != nil {
		t.Fatal(err)
	}
	l.Pools[0].Warm.Windows = []pool.Window{window}
	s := warmly(t, l)
	s.now = time.Date(2026, 2, 2, 17, 58, 0, 0, time.UTC)
	want(t, "in the window", s.tick(0), "+warm +warm +warm")
	on := s.warm()[0]
	s.queue(1, "acme/web", "linux")
	s.report(event.ActionInProgress, 1, "acme/web", on, "linux")
	want(t, "after it", s.tick(3*time.Minute), "-warm -warm -warm")
	if r, _ := s.state.Runner(on); r.State != ledger.RunnerBusy {
		t.Errorf("%s is %s, want busy", on, r.State)
	}
}

// TestWarmRunnersAreRenewed one by one, before their idle limit.
func TestWarmRunnersAreRenewed(t *testing.T) {
	s := warmly(t, warmLimits(2))
	s.tick(0)
	want(t, "young", s.tick(3*time.Minute), "")
	want(t, "old", s.tick(time.Minute), "+warm +warm -warm -warm")
	want(t, "young again", s.tick(time.Second), "")
	want(t, "the image that they are from", s.does(ledger.Promoted{Image: "sha256:a"}), "")
	want(t, "another image", s.does(ledger.Promoted{Image: "sha256:b"}), "+warm +warm -warm -warm")

	full := warmLimits(2)
	full.Pools[0].Max = 2
	s = warmly(t, full)
	s.tick(0)
	want(t, "old, and no room for one more", s.tick(4*time.Minute), "-warm +warm -warm +warm")
}

// TestFailingWarmRunners are made at growing intervals.
func TestFailingWarmRunners(t *testing.T) {
	s := tell(t, warmLimits(1))
	starts, last := 0, start
	for range 3600 {
		s.now = s.now.Add(time.Second)
		for _, e := range s.state.Apply(ledger.Tick{}, s.now).Effects {
			if w, ok := e.(ledger.WantRunner); ok {
				starts, last = starts+1, s.now
				s.state.Apply(ledger.Starting{Runner: w.Runner}, s.now)
				s.state.Apply(ledger.Gone{Runner: w.Runner, Reason: "no such image"}, s.now)
			}
		}
	}
	if starts > 70 || s.now.Sub(last) > time.Minute {
		t.Errorf("%d starts in an hour, the last %s ago: want one a minute", starts, s.now.Sub(last))
	}
}

// TestJobThatWarmRunnersDoNotGet: GitHub may not give it to them, and then it gets a runner of its own, as without them.
func TestJobThatWarmRunnersDoNotGet(t *testing.T) {
	s := warmly(t, warmLimits(1))
	s.tick(0)
	want(t, "queued", s.queue(1, "acme/web", "linux"), "")
	want(t, "after a while", s.tick(59*time.Second), "")
	want(t, "after a minute", s.tick(time.Second), "+cold")
}

// TestWarmAtOrganization registers there, and serves all repositories of it.
func TestWarmAtOrganization(t *testing.T) {
	l := atOrganization(warmLimits(0))
	l.Pools[0].Warm = pool.Warm{Runners: 1, At: []string{"Acme"}}
	s := tell(t, l)
	result := s.state.Apply(ledger.Tick{}, s.now)
	if w := result.Effects[0].(ledger.WantRunner); w.Organization != "Acme" || w.Labels != "linux,self-hosted,x64" {
		t.Errorf("%+v", w)
	}
	seen := event.WorkflowJob{Action: event.ActionQueued, Repository: "acme/api", Organization: "acme", ID: 1, Attempt: 1, Labels: []string{"x64"}, Created: s.now}
	if e := s.state.Apply(ledger.JobSeen{Job: seen}, s.now).Effects; len(e) != 0 {
		t.Errorf("%v: want none", e)
	}
}
