package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/fleet"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/machine"
	"github.com/mayfly-ci/mayfly/internal/pool"
	"github.com/mayfly-ci/mayfly/internal/rehearsal"
)

// launchCmd is `mayfly-bench launch`.
type launchCmd struct {
	Launcher string `help:"Where runners run: ${enum}." enum:"auto,engine,sandbox" default:"auto"`
	Jobs     int    `help:"How many, one after another." default:"20"`
	JSON     bool   `help:"Print JSON."`
}

// benchRepository is the one in the simulator.
const benchRepository = "acme/web"

// A launchFigure is what one part of the way took, in milliseconds.
type launchFigure struct {
	What string  `json:"what"`
	P50  float64 `json:"p50_ms"`
	P99  float64 `json:"p99_ms"`
}

// Run sends jobs one after another through the whole machine, and then starts as
// many runners with the launcher alone.
func (c *launchCmd) Run(ctx context.Context, screen *cli.Screen) (err error) {
	dir, err := os.MkdirTemp("", "mayfly-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	progress := screen.Progress(time.Now)
	defer progress.End()
	clock := &launchClock{starts: map[string]started{}}
	s, err := rehearsal.Open(ctx, rehearsal.Config{
		Launcher: c.Launcher, Sockets: engineSockets(), State: dir, Listen: "127.0.0.1:0", Repository: benchRepository, Wrap: clock.wrap,
		Pools: pool.Set{{Name: "bench", Labels: []string{"bench"}, Resources: pool.Resources{CPUs: 0.5, Memory: 256 << 20}}},
		Log:   slog.New(slog.DiscardHandler), Progress: progress.Set,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	figures, err := c.measure(ctx, s, clock, progress)
	progress.End()
	if err != nil {
		return err
	}
	if c.JSON {
		return screen.JSON(figures)
	}
	var rows [][]cli.Cell
	for _, f := range figures {
		rows = append(rows, cli.Text(f.What, fmt.Sprintf("%.1f", f.P50), fmt.Sprintf("%.1f", f.P99)))
	}
	screen.Table([]string{"", "P50 MS", "P99 MS"}, rows)
	return nil
}

func (c *launchCmd) measure(ctx context.Context, s *rehearsal.Rehearsal, clock *launchClock, progress *cli.Progress) ([]launchFigure, error) {
	var control, launcher, whole, bare []float64
	for i := range c.Jobs {
		progress.Set("job %d of %d through the machine …", i+1, c.Jobs)
		j, err := oneJob(ctx, s, i)
		if err != nil {
			return nil, err
		}
		at, ok := clock.take(j.Runner)
		if !ok {
			return nil, fmt.Errorf("job %d ran on %q, which this machine did not start", j.ID, j.Runner)
		}
		control = append(control, milliseconds(at.begun.Sub(j.Created)))
		launcher = append(launcher, milliseconds(at.done.Sub(at.begun)))
		whole = append(whole, milliseconds(j.StartedAt.Sub(j.Created)))
	}
	for i := range c.Jobs {
		progress.Set("start %d of %d of the launcher alone …", i+1, c.Jobs)
		d, err := c.bare(ctx, s, clock.last, i)
		if err != nil {
			return nil, err
		}
		bare = append(bare, milliseconds(d))
	}
	var figures []launchFigure
	for _, f := range []struct {
		what   string
		values []float64
	}{
		{"queued → launcher called (control plane)", control},
		{"launcher called → first process runs", launcher},
		{"the launcher alone, for comparison", bare},
		{"queued → job runs (all, with claim, registration and the runner's start)", whole},
	} {
		q := rehearsal.QuantilesOf(f.values)
		figures = append(figures, launchFigure{f.what, q.P50, q.P99})
	}
	return figures, nil
}

// oneJob has one job run and waits until nothing is left of its runner.
func oneJob(ctx context.Context, s *rehearsal.Rehearsal, i int) (j githubsim.Job, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("a job took longer than a minute"))
	defer cancel()
	known := len(s.Sim.Jobs())
	_, err = s.Sim.Push(githubsim.Push{Repository: s.Repository, Message: fmt.Sprint("job ", i), Files: map[string]string{
		".github/workflows/one.yml": "on: push\njobs:\n  one:\n    runs-on: bench\n    steps:\n      - run: 'true'\n",
	}})
	if err != nil {
		return j, err
	}
	err = s.Sim.Wait(ctx, func(jobs []githubsim.Job) bool {
		if len(jobs) == known {
			return false
		}
		j = jobs[len(jobs)-1]
		return j.Status == githubsim.StatusCompleted
	})
	if err == nil && j.Conclusion != "success" {
		err = fmt.Errorf("job %d ended with %s: %s", j.ID, j.Conclusion, s.Sim.Log(j.ID))
	}
	return j, errors.Join(err, s.Settle(ctx))
}

// bare starts and removes one runner with the launcher alone. Its agent finds no
// claim socket; its first process runs all the same.
func (c *launchCmd) bare(ctx context.Context, s *rehearsal.Rehearsal, spec fleet.Spec, i int) (d time.Duration, err error) {
	spec.Runner = fmt.Sprintf("%s-bare-%d", s.Instance(), i)
	if spec.ClaimDir, err = os.MkdirTemp("", "mayfly-bare-"); err != nil {
		return 0, err
	}
	defer os.RemoveAll(spec.ClaimDir)
	defer s.Lend(spec.Runner)()
	begun := time.Now()
	if err := s.Runs().Start(ctx, spec); err != nil {
		return 0, err
	}
	return time.Since(begun), s.Runs().Stop(ctx, spec.Runner, 0)
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

// A launchClock notes when the launcher around which it is put was called.
type launchClock struct {
	machine.Launcher
	mu     sync.Mutex
	starts map[string]started // by runner
	last   fleet.Spec
}

type started struct{ begun, done time.Time }

func (l *launchClock) wrap(inner machine.Launcher) machine.Launcher {
	l.Launcher = inner
	return l
}

// Start implements fleet.Launcher.
func (l *launchClock) Start(ctx context.Context, spec fleet.Spec) error {
	begun := time.Now()
	err := l.Launcher.Start(ctx, spec)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.starts[spec.Runner], l.last = started{begun, time.Now()}, spec
	return err
}

func (l *launchClock) take(runner string) (started, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, ok := l.starts[runner]
	delete(l.starts, runner)
	return s, ok
}
