package rehearsal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mayfly-ci/mayfly/internal/fleet"
	"github.com/mayfly-ci/mayfly/internal/fleet/engine"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/machine"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// A canary is a whole Mayfly of its own against a stand-in of the forge, with one job: a
// delivery, a claim, a runner from the image under trial that registers, runs the job,
// reports and leaves. The stand-in makes the forge's checks of the runner's protocol.
const canaryWithin = 5 * time.Minute // a slow disk may take one of them to unpack an image

// Canary say what to try, and where.
type Canary struct {
	Image   string                // digest or name of an image that the engine has
	Stage   func() (Stage, error) // opens what it plays on; nil for a simulated GitHub
	Within  time.Duration
	Sockets []string // where the engine may answer
	Log     *slog.Logger
}

// TryWith returns a machine's Try, which plays on stage and logs to log.
func TryWith(stage func() (Stage, error), log *slog.Logger) func(context.Context, image.Image, string) error {
	return func(ctx context.Context, candidate image.Image, socket string) error {
		return Try(ctx, Canary{Image: string(candidate.Digest), Stage: stage, Within: canaryWithin, Sockets: []string{socket}, Log: log})
	}
}

// Try runs a canary job in an image. An error says what went wrong, with the last
// lines that the runner printed.
func Try(ctx context.Context, c Canary) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.Within, fmt.Errorf("the canary job was not done within %v", c.Within))
	defer cancel()
	state, err := os.MkdirTemp("", "mayfly-canary-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(state)) }()
	var stage Stage
	if c.Stage != nil {
		if stage, err = c.Stage(); err != nil {
			return err
		}
	}
	said := &lastLines{}
	s, err := Open(ctx, Config{
		Launcher: machine.Engine, Sockets: c.Sockets, Image: c.Image, State: state, Listen: "127.0.0.1:0",
		Stage: stage, Repository: CanaryRepository, Pools: canaryPool(), Log: c.Log, Wrap: said.listen,
		Progress: func(string, ...any) {},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := s.sing(ctx); err != nil {
		return fmt.Errorf("%w%s", err, said.text())
	}
	return nil
}

// canaryPool is a pool for one small job.
func canaryPool() pool.Set {
	return pool.Set{{
		Name: CanaryLabel, Labels: []string{"self-hosted", CanaryLabel}, Max: 1, PIDs: 512,
		Resources: pool.Resources{CPUs: 1, Memory: 1 << 30},
	}}
}

// sing has the canary's job run, and follows it to the end of its runner.
func (s *Rehearsal) sing(ctx context.Context) error {
	watched, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go s.stopIfFailing(watched, stop)
	if err := s.stage.Sing(watched); err != nil {
		return err
	}
	return s.left(ctx)
}

// canaryFailures is how many runners of a canary may fail: the second shows that it was
// no accident.
const canaryFailures = 2

// stopIfFailing ends the wait for a job whose runners fail again and again.
func (s *Rehearsal) stopIfFailing(ctx context.Context, stop context.CancelCauseFunc) {
	for {
		jobs, err := s.Ledger().Jobs(ctx, ledger.JobQuery{})
		for _, j := range jobs {
			if j.Failures >= canaryFailures {
				err = errors.New("its runner failed: " + j.LastFailure)
			}
		}
		if err != nil {
			stop(err)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// left waits until the runner is gone, and looks for what should not be left of it.
func (s *Rehearsal) left(ctx context.Context) error {
	if err := s.Settle(ctx); err != nil {
		return err
	}
	left, err := s.Inventory(ctx)
	if err == nil && left.Containers+left.Registrations > 0 {
		err = fmt.Errorf("the canary left %d containers and %d registrations", left.Containers, left.Registrations)
	}
	return err
}

// lastLines keeps what containers printed last, until they are removed.
type lastLines struct {
	mu   sync.Mutex
	said string // guarded by mu
}

// listen is put around the launcher.
func (l *lastLines) listen(to machine.Launcher) machine.Launcher { return listening{to, l} }

// text is what to add to the reason of a failure.
func (l *lastLines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.said == "" {
		return ""
	}
	return "; the runner printed last:\n" + l.said
}

type listening struct {
	machine.Launcher
	last *lastLines
}

// Stop implements fleet.Launcher: before a container goes, what it printed is read.
func (l listening) Stop(ctx context.Context, runner string, grace time.Duration) error {
	const most = 20
	if e, ok := l.Launcher.(*engine.Launcher); ok {
		var text strings.Builder
		if err := e.Logs(ctx, runner, fleet.LogQuery{Lines: most}, &text); err == nil && strings.TrimSpace(text.String()) != "" {
			l.last.mu.Lock()
			l.last.said = strings.TrimSpace(text.String())
			l.last.mu.Unlock()
		}
	}
	return l.Launcher.Stop(ctx, runner, grace)
}

var _ fleet.Launcher = listening{}

// farewells are the lines with which GitHub's runner begins the end of each job's log, and so does
// the mini runner. https://github.com/actions/runner/blob/main/src/Runner.Worker/JobExtension.cs
var farewells = []string{"Evaluate and set job outputs", "Cleaning up orphan processes"}

// LastLine is the last line that a job's steps printed, without its time.
func LastLine(sim *githubsim.Sim, job int64) (last string) {
	for line := range strings.Lines(sim.Log(job)) {
		_, text, timed := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		switch {
		case timed && slices.Contains(farewells, text):
			return last
		case timed && strings.TrimSpace(text) != "":
			last = strings.TrimPrefix(text, "##[error]")
		}
	}
	return last
}
