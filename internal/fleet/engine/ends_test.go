package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/mayfly-ci/mayfly/internal/docker/dockertest"
	"github.com/mayfly-ci/mayfly/internal/fleet"
	"github.com/mayfly-ci/mayfly/internal/fleet/fleettest"
)

// A waited is what came of the wait for a runner.
type waited struct {
	runner string
	exit   fleet.Exit
	err    error
}

// wait waits for a runner in the background.
func wait(t *testing.T, l *Launcher, r *fleettest.Runner) <-chan waited {
	t.Helper()
	result := make(chan waited, 1)
	go func() {
		exit, err := l.Wait(t.Context(), r.Spec.Runner)
		result <- waited{r.Spec.Runner, exit, err}
	}()
	return result
}

func within(t *testing.T, result <-chan waited) waited {
	t.Helper()
	select {
	case w := <-result:
		return w
	case <-time.After(time.Minute):
		t.Fatal("the end was missed")
		return waited{}
	}
}

// asked reports whether requests has one that begins with each.
func asked(each ...string) func(requests []string) bool {
	return func(requests []string) bool {
		for _, want := range each {
			if !slices.ContainsFunc(requests, func(r string) bool { return strings.HasPrefix(r, want) }) {
				return false
			}
		}
		return true
	}
}

// testAsksForNoEnd: no call waits for a container, which makes Podman 4.3 look for its
// end without a pause, and nothing at all is asked while containers sleep.
func testAsksForNoEnd(t *testing.T, s subject) {
	relay := dockertest.NewRelay(t, s.socket)
	l := s.open(t, relay.Socket)
	relay.Take()
	direct := s.open(t, s.socket)
	var ends []<-chan waited
	var runners []*fleettest.Runner
	for range 3 {
		r := s.NewRunner(t, "trap 'exit 5' TERM; echo ready; while :; do sleep 0.1; done")
		runners = append(runners, r)
		r.Start(t, l)
		looks := "GET /containers/" + r.Spec.Runner + "/json"
		ends = append(ends, wait(t, l, r))
		relay.Await(t, asked(looks))
		r.Line(t)
	}
	relay.Await(t, asked("GET /events", "GET /containers/json"))
	before := relay.Take()
	for i, end := range ends {
		kill(t, direct, runners[i])
		if got := within(t, end); got.err != nil || got.exit.Code != 5 {
			t.Errorf("%+v, want 5", got)
		}
	}
	after := relay.Take()
	if n := len(slices.Compact(slices.Sorted(slices.Values(after)))); n != len(ends) || len(after) > 2*len(ends) {
		t.Errorf("while containers slept and at their ends the engine was asked %q: want a look or two at each", after)
	}
	for _, request := range append(before, after...) {
		if strings.HasSuffix(request, "/wait") || strings.HasSuffix(request, "/attach") {
			t.Errorf("the engine was asked %s", request)
		}
	}
	if n := count(append(before, after...), "GET /events"); n != 1 {
		t.Errorf("%d streams of events, want one for all containers", n)
	}
}

func count(requests []string, one string) (n int) {
	for _, request := range requests {
		if request == one {
			n++
		}
	}
	return n
}

// testEngineLost loses the engine's API while runners are at work. One that ends
// meanwhile is found when it is back, and one that ends after that is told of.
func testEngineLost(t *testing.T, s subject) {
	relay := dockertest.NewRelay(t, s.socket)
	l, direct := s.open(t, relay.Socket), s.open(t, s.socket)
	const script = "trap 'exit 8' TERM; echo ready; while :; do sleep 0.1; done"
	during, after := s.NewRunner(t, script), s.NewRunner(t, script)
	for _, r := range []*fleettest.Runner{during, after} {
		r.Start(t, direct)
		r.Line(t)
	}
	ended := adopt(t, l)
	relay.Await(t, asked("GET /events", "GET /containers/json", "GET /containers/"+during.Spec.Runner, "GET /containers/"+after.Spec.Runner))

	relay.Cut()
	kill(t, direct, during)
	if exit := during.Wait(t, direct); exit.Code != 8 {
		t.Fatalf("%v, want 8", exit)
	}
	relay.Take()
	relay.Mend(t)
	if got := within(t, ended); got.runner != during.Spec.Runner || got.exit.Code != 8 {
		t.Errorf("%+v, want 8 of %s, which ended while the engine was away", got, during.Spec.Runner)
	}
	relay.Await(t, asked("GET /events"))
	kill(t, direct, after)
	if got := within(t, ended); got.runner != after.Spec.Runner || got.exit.Code != 8 {
		t.Errorf("%+v, want 8 of %s, which ended after the engine was back", got, after.Spec.Runner)
	}
}

// adopt has a fleet watch the containers of l, and returns the ends that it tells of.
func adopt(t *testing.T, l *Launcher) <-chan waited {
	t.Helper()
	ended := make(chan waited, 10)
	f := fleet.New(fleet.Config{Launcher: l, Exited: func(_ context.Context, runner string, exit fleet.Exit) error {
		ended <- waited{runner, exit, nil}
		return nil
	}})
	t.Cleanup(f.Close)
	if _, err := f.Adopt(t.Context()); err != nil {
		t.Fatal(err)
	}
	return ended
}

func kill(t *testing.T, l *Launcher, r *fleettest.Runner) {
	t.Helper()
	if _, err := l.api.ContainerKill(t.Context(), r.Spec.Runner, client.ContainerKillOptions{Signal: "SIGTERM"}); err != nil {
		t.Fatal(err)
	}
}

// testNoEvents has an engine that tells of nothing, as Podman with events_logger = "none".
func testNoEvents(t *testing.T, s subject) {
	relay := dockertest.NewRelay(t, s.socket)
	relay.Silence("/events")
	l, r := s.open(t, relay.Socket), s.NewRunner(t, "trap 'exit 8' TERM; echo ready; while :; do sleep 0.1; done")
	l.ends.every = 50 * time.Millisecond
	r.Start(t, l)
	r.Line(t)
	end := wait(t, l, r)
	relay.Await(t, asked("GET /events", "GET /containers/json", "GET /containers/"+r.Spec.Runner))
	kill(t, l, r)
	if got := within(t, end); got.err != nil || got.exit.Code != 8 {
		t.Errorf("%+v, want 8", got)
	}
}

// testPaused: a runner that somebody pauses has not ended.
func testPaused(t *testing.T, s subject) {
	l, r := s.open(t, s.socket), s.NewRunner(t, "echo ready; exec sleep 60")
	r.Start(t, l)
	r.Line(t)
	if _, err := l.api.ContainerPause(t.Context(), r.Spec.Runner, client.ContainerPauseOptions{}); err != nil {
		t.Fatal(err)
	}
	defer l.api.ContainerUnpause(context.WithoutCancel(t.Context()), r.Spec.Runner, client.ContainerUnpauseOptions{})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if exit, err := l.Wait(ctx, r.Spec.Runner); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, %v of a paused runner", exit, err)
	}
}
