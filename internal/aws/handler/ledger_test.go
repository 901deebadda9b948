package handler_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// env is what the rule of a pool gives a task.
func env(runner ledger.RunnerName) map[string]string {
	return map[string]string{contract.EnvRunner: string(runner)}
}

// TestJobAndItsTask takes one job to its end, by the events that GitHub and ECS send.
func TestJobAndItsTask(t *testing.T) {
	s := newStage(t)
	tell := func(e event.Event) {
		t.Helper()
		s.must(s.told(e))
	}
	tell(s.aboutJob(1, "queued"))
	name := s.first(1)
	if got := s.wanted(); len(got) != 1 || got[0] != name {
		t.Errorf("wanted by an event: %v: want %s, which nothing else starts", got, name)
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
		tell(s.aboutTask(id, status, "ci-small", env(name), more))
	}
	task("a", "PROVISIONING", "")
	is(ledger.RunnerStarting)
	task("b", "PROVISIONING", "") // of a doubled event
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
	s.must(s.told(s.aboutJob(1, "queued")))
	s.must(s.told(s.aboutTask("a", "STOPPED", "ci-small", env(s.first(1)),
		`,"stopCode":"TaskFailedToStart","stoppedReason":"CannotPullContainerError: no such image"`)))
	if r := s.runner(s.first(1)); r.Reason != "CannotPullContainerError: no such image" {
		t.Errorf("reason %q", r.Reason)
	}
}

func TestVersionRefused(t *testing.T) {
	s := newStage(t)
	s.must(s.told(s.aboutJob(1, "queued")))
	s.must(s.told(s.aboutTask("a", "STOPPED", "ci-small", env(s.first(1)),
		`,"stopCode":"EssentialContainerExited","containers":[{"name":"runner","exitCode":7,"imageDigest":"sha256:00"}]`)))
	want := fmt.Sprintf(`{"pool":"small","task":"a","runner":%q,"image":"sha256:00"}`, s.first(1))
	if len(s.published) != 1 || s.published[0].DetailType != contract.TypeVersionRefused || string(s.published[0].Detail) != want {
		t.Errorf("published %+v: want one event of a refused version, %s", s.published, want)
	}
}

// stopped is the rest of the event of a task that stopped; a code below 0 stands for none.
func stopped(code, why string, exit int, reason string) string {
	container := map[string]any{"name": "runner", "image": imageURI + "@sha256:00"}
	if exit >= 0 {
		container["exitCode"] = exit
	}
	if reason != "" {
		container["reason"] = reason
	}
	list, _ := json.Marshal([]any{map[string]any{"name": "other", "image": "x@sha256:99", "exitCode": 0}, container})
	return fmt.Sprintf(`,"stopCode":%q,"stoppedReason":%q,"containers":%s`, code, why, list)
}

// TestStartFailed: which ends of a task are held against its image, and told of. The texts
// are those of ECS and Docker.
func TestStartFailed(t *testing.T) {
	s := newStage(t)
	const exited, notStarted = "EssentialContainerExited", "TaskFailedToStart"
	const own = "Essential container in task exited"
	id := int64(0)
	for what, test := range map[string]struct {
		rest   string
		blamed bool
	}{
		"the agent ends":                  {stopped(exited, own, 1, ""), true},
		"there is no runner in the image": {stopped(exited, own, 127, ""), true},
		"it has no memory":                {stopped(exited, own, 137, "OutOfMemoryError: Container killed due to memory usage"), true},
		"no such image":                   {stopped(notStarted, "CannotPullContainerError: Error response from daemon: manifest for x@sha256:00 not found: manifest unknown: Requested image not found", -1, ""), true},
		"no such image, says containerd":  {stopped(notStarted, "Task failed to start", -1, `CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref x@sha256:00: not found`), true},
		"of another processor":            {stopped(notStarted, "CannotPullContainerError: pull image manifest has been retried 7 time(s): image Manifest does not contain descriptor matching platform 'linux/arm64'", -1, ""), true},
		"no entry point":                  {stopped(notStarted, "Task failed to start", -1, `CannotStartContainerError: Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "/opt/mayfly/mayfly-agent": stat /opt/mayfly/mayfly-agent: no such file or directory: unknown`), true},
		"an entry point of another kind":  {stopped(notStarted, "Task failed to start", -1, `CannotStartContainerError: Error response from daemon: exec /opt/mayfly/mayfly-agent: exec format error`), true},
		"it cannot reach us":              {stopped(exited, own, 69, ""), false},
		"it was told to leave":            {stopped(exited, own, 143, ""), false},
		"a registry out of reach":         {stopped(notStarted, `CannotPullContainerError: ref pull has been retried 5 time(s): failed to copy: httpReadSeeker: failed open: failed to do request: Get "https://x": dial tcp 52.219.199.138:443: i/o timeout`, -1, ""), false},
		"a name that does not resolve":    {stopped(notStarted, `CannotPullContainerError: Error response from daemon: Get "https://x/v2/": dial tcp: lookup x on 10.0.0.2:53: no such host`, -1, ""), false},
		"a registry that is busy":         {stopped(notStarted, "CannotPullContainerError: inspect image has been retried 5 time(s): unexpected status code Too Many Requests - Server message: toomanyrequests", -1, ""), false},
		"no permission to pull":           {stopped(notStarted, "CannotPullECRContainerError: AccessDeniedException: User is not authorized to perform: ecr:GetAuthorizationToken", -1, ""), false},
		"a full disk":                     {stopped(notStarted, "Task failed to start", -1, "CannotPullContainerError: failed to register layer: write /x: no space left on device"), false},
		"a log that cannot be opened":     {stopped(notStarted, "Task failed to start", -1, "CannotStartContainerError: Error response from daemon: failed to initialize logging driver: failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log group does not exist."), false},
		"a container that is not made":    {stopped(notStarted, "Task failed to start", -1, "CannotCreateContainerError: Error response from daemon: no space left on device"), false},
		"a host that ended":               {stopped("TerminationNotice", "Host EC2 (instance i-0123456789abcdef0) terminated.", -1, ""), false},
		"a spot interruption":             {stopped("SpotInterruption", "Your Spot Task was interrupted.", 1, ""), false},
		"a host that is not well":         {stopped("InfrastructureHealth", "", -1, ""), false},
		"somebody stopped it":             {stopped("UserInitiated", "Task stopped by user", 1, ""), false},
		"a word of ECS that is not known": {stopped("Tomorrow", "", 1, ""), false},
	} {
		id++
		s.published = nil
		s.must(s.told(s.aboutJob(id, "queued")))
		end := s.aboutTask(fmt.Sprint("t", id), "STOPPED", "ci-small", env(s.first(id)), test.rest)
		s.must(s.told(end))
		r := s.runner(s.first(id))
		if well, known := r.Outcome(); well || known != test.blamed || r.Image != "sha256:00" {
			t.Errorf("%s: image %s, blamed %t: want %t of sha256:00", what, r.Image, known, test.blamed)
		}
		s.must(s.told(end)) // Lambda gives it again when the event could not be put
		want := 0
		if test.blamed {
			want = 2
		}
		for _, e := range s.published {
			if e.DetailType != contract.TypeStartFailed || !strings.Contains(string(e.Detail), fmt.Sprintf(`"runner":%q,"image":"sha256:00","reason":`, r.Name)) {
				t.Errorf("%s: published %s %s", what, e.DetailType, e.Detail)
			}
		}
		if len(s.published) != want {
			t.Errorf("%s: %d events, want %d", what, len(s.published), want)
		}
	}
}

// TestStartThatWentWell: what comes after a runner has listened says nothing of its start,
// and the end of a task that a runner is not bound to nothing at all.
func TestStartThatWentWell(t *testing.T) {
	s := newStage(t)
	s.must(s.told(s.aboutJob(1, "queued")))
	name := s.first(1)
	about := func(task, status, rest string) {
		s.must(s.told(s.aboutTask(task, status, "ci-small", env(name), rest)))
	}
	about("a", "RUNNING", `,"containers":[{"name":"runner","image":"ghcr.io/acme/runner:1"}]`)
	if r := s.runner(name); r.Image != "ghcr.io/acme/runner:1" {
		t.Errorf("image %q: want the name, since ECS finds no digest", r.Image)
	}
	for _, in := range []ledger.Input{ledger.Claim{Runner: name, Container: "a"}, ledger.Idle{Runner: name}} {
		_, err := s.store.Apply(t.Context(), in)
		s.must(err)
	}
	about("a", "STOPPED", stopped("EssentialContainerExited", "", 1, ""))
	about("b", "STOPPED", stopped("EssentialContainerExited", "", 1, ""))
	if well, known := s.runner(name).Outcome(); !well || !known || len(s.published) > 0 {
		t.Errorf("well %t, known %t, published %v: want a start that went well", well, known, s.published)
	}
}

// TestStartThatHangs: a runner whose task runs and does not claim in time is removed by the
// sweep, and the end of its task tells of it all the same.
func TestStartThatHangs(t *testing.T) {
	s := newStage(t)
	s.must(s.told(s.aboutJob(1, "queued")))
	name := s.first(1)
	s.must(s.told(s.aboutTask("a", "RUNNING", "ci-small", env(name), stopped("", "", -1, ""))))
	s.now = s.now.Add(10 * time.Minute)
	result, err := s.store.Apply(t.Context(), ledger.Tick{})
	s.must(err)
	for _, e := range result.Effects {
		if remove, ok := e.(ledger.RemoveRunner); ok && remove.Runner == name {
			s.must(s.sweep.Pipeline.Remove(t.Context(), remove))
		}
	}
	if r := s.runner(name); r.State != ledger.RunnerGone || len(s.published) > 0 {
		t.Fatalf("runner is %s, published %v: want it gone, and nothing told yet", r.State, s.published)
	}
	s.must(s.told(s.aboutTask("a", "STOPPED", "ci-small", env(name), stopped("UserInitiated", "no runner of the ledger needs it", 137, ""))))
	if len(s.published) != 1 || s.published[0].DetailType != contract.TypeStartFailed || !strings.Contains(string(s.published[0].Detail), "did not claim within 2m0s of its start") {
		t.Errorf("published %+v: want one event of a start that failed", s.published)
	}
}

// TestProgress: what a runner says of itself comes by the bus, in one turn, and late or twice does no harm.
func TestProgress(t *testing.T) {
	s := newStage(t)
	name := s.queued(1)
	s.apply(ledger.Claim{Runner: name, Container: "a"})
	said := func(phase string) event.Event {
		return event.Event{ID: "e", Source: event.SourceMayfly, DetailType: contract.TypeRunnerReported, Time: s.now,
			Detail: fmt.Appendf(nil, `{"runner":%q,"task":"a","phase":%q}`, name, phase)}
	}
	errs := s.ledger.Handle(t.Context(), []event.Event{said("idle"), said("gone"), said("busy")})
	if errs[0] != nil || errs[2] != nil || errs[1] == nil || !strings.Contains(errs[1].Error(), `phase "gone"`) {
		t.Errorf("%v: want a fault of the second alone", errs)
	}
	s.ledger.Handle(t.Context(), []event.Event{said("idle"), said("restarting")}) // late: queues keep no order, and repeat
	if r := s.runner(name); r.State != ledger.RunnerBusy || r.Listened.IsZero() {
		t.Errorf("runner is %s: want busy", r.State)
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
		"a job without its fields":        {job, "not processable"},
		"another type":                    {other, `detail type "push": not processable`},
		"a task without a runner":         {task, "not processable: MAYFLY_RUNNER is not set"},
		"a task of another shape":         {broken, "not processable"},
		"a task of others":                {s.aboutTask("a", "RUNNING", "another", nil, ""), ""},
		"a task of a runner that is gone": {s.aboutTask("a", "RUNNING", "ci-small", env("old"), ""), ""},
	} {
		err := s.told(test.event)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v: want %q", name, err, test.want)
		}
	}
}

// TestCallsOfTheLedgerFunction: it needs what the stack's role gives it.
func TestCallsOfTheLedgerFunction(t *testing.T) {
	s := newStage(t)
	s.must(s.told(s.aboutJob(1, "queued")))
	s.must(s.told(s.aboutTask("a", "STOPPED", "ci-small", env(s.first(1)), "")))
	s.needs("ledger", contract.HandlerLedger)
}

// needs holds what a function called against what its role allows.
func (s *stage) needs(function, name string) {
	s.Helper()
	for _, action := range s.calls[function].Actions() {
		if !slices.Contains(awstest.Calls()[name], action) {
			s.Errorf("the function %s calls %s: its role allows %v", function, action, awstest.Calls()[name])
		}
	}
}
