package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/pool"
	"github.com/mayfly-ci/mayfly/internal/rehearsal"
)

// idleCmd is `mayfly-bench idle`.
type idleCmd struct {
	Launcher string        `help:"Where runners run: ${enum}." enum:"auto,engine,sandbox" default:"auto"`
	Jobs     int           `help:"How many jobs sleep at once." default:"10"`
	For      time.Duration `help:"How long to measure." default:"10s"`
	Limit    float64       `help:"Fail when it is more than PERCENT of a processor altogether; 0 for never." placeholder:"PERCENT"`
	JSON     bool          `help:"Print JSON."`
}

// An idleFigure is the processor time that one part took, in percent of a processor.
type idleFigure struct {
	What    string  `json:"what"`
	Percent float64 `json:"percent"`
}

// errIdle says that jobs that do nothing cost too much.
var errIdle = errors.New("sleeping jobs cost too much")

// Run measures what is spent on jobs that do nothing.
func (c *idleCmd) Run(ctx context.Context, screen *cli.Screen) (err error) {
	dir, err := os.MkdirTemp("", "mayfly-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	progress := screen.Progress(time.Now)
	defer progress.End()
	s, err := rehearsal.Open(ctx, rehearsal.Config{
		Launcher: c.Launcher, Sockets: engineSockets(), State: dir, Listen: "127.0.0.1:0", Repository: benchRepository,
		Pools: pool.Set{{Name: "bench", Labels: []string{"bench"}, Resources: pool.Resources{CPUs: 0.1, Memory: 64 << 20}}},
		Log:   slog.New(slog.DiscardHandler), Progress: progress.Set,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	figures, err := c.measure(ctx, s, progress)
	progress.End()
	if err != nil {
		return err
	}
	return c.report(screen, figures)
}

// report prints the figures, the last of which is their sum, and holds it to the limit.
func (c *idleCmd) report(screen *cli.Screen, figures []idleFigure) error {
	if c.JSON {
		if err := screen.JSON(figures); err != nil {
			return err
		}
	} else {
		var rows [][]cli.Cell
		for _, f := range figures {
			rows = append(rows, cli.Text(f.What, fmt.Sprintf("%.2f", f.Percent)))
		}
		screen.Table([]string{fmt.Sprintf("%d JOBS SLEEP FOR %v", c.Jobs, c.For), "% OF A PROCESSOR"}, rows)
	}
	if all := figures[len(figures)-1].Percent; c.Limit > 0 && all > c.Limit {
		return cli.Hint(fmt.Errorf("%w: %.1f %% of a processor, limit %g %%", errIdle, all, c.Limit), "strace -f -p PID shows what a process is busy with")
	}
	return nil
}

// measure has jobs sleep and looks at the processor time of all who look after them.
func (c *idleCmd) measure(ctx context.Context, s *rehearsal.Rehearsal, progress *cli.Progress) ([]idleFigure, error) {
	progress.Set("starting %d jobs …", c.Jobs)
	if err := c.sleepers(ctx, s); err != nil {
		return nil, err
	}
	progress.Set("measuring for %v while they sleep …", c.For)
	parts, err := idleParts(ctx, s)
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	before := make([]time.Duration, len(parts))
	for i, p := range parts {
		before[i] = processorTime(p.processes())
	}
	select {
	case <-time.After(c.For):
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	took := time.Since(begun)
	var figures []idleFigure
	sum := 0.0
	for i, p := range parts {
		percent := 100 * float64(processorTime(p.processes())-before[i]) / float64(took)
		figures = append(figures, idleFigure{p.what, percent})
		sum += percent
	}
	for _, j := range s.Sim.Jobs() {
		if j.Status != githubsim.StatusInProgress {
			return nil, fmt.Errorf("job %d is %s: it was to sleep", j.ID, j.Status)
		}
	}
	return append(figures, idleFigure{"altogether", sum}), nil
}

// sleepers starts the jobs, which sleep for longer than is measured, until they are
// removed with their runners.
func (c *idleCmd) sleepers(ctx context.Context, s *rehearsal.Rehearsal) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 5*time.Minute, errors.New("the jobs did not start within 5 minutes"))
	defer cancel()
	workflow := "on: push\njobs:\n"
	for i := range c.Jobs {
		workflow += fmt.Sprintf("  sleep%d:\n    runs-on: bench\n    steps:\n      - run: sleep 3600\n", i)
	}
	_, err := s.Sim.Push(githubsim.Push{
		Repository: s.Repository, Message: "sleep", Files: map[string]string{".github/workflows/sleep.yml": workflow},
	})
	if err != nil {
		return err
	}
	return s.Sim.Wait(ctx, func(jobs []githubsim.Job) bool {
		running := 0
		for _, j := range jobs {
			if j.Status == githubsim.StatusInProgress {
				running++
			}
		}
		return running == c.Jobs
	})
}

// An idlePart is a group of processes.
type idlePart struct {
	what      string
	processes func() []process
}

// idleParts are Mayfly, which is this process, and of an engine its service and what
// stays beside each container.
func idleParts(ctx context.Context, s *rehearsal.Rehearsal) ([]idlePart, error) {
	parts := []idlePart{{"mayfly, and GitHub's simulator", func() []process { return []process{readProcess(os.Getpid())} }}}
	if s.EngineImages() == nil {
		return parts, nil
	}
	service, err := servedBy(s.EngineSocket())
	if err != nil {
		return nil, err
	}
	containers, err := s.Runs().List(ctx)
	if err != nil {
		return nil, err
	}
	if n := len(beside(containers, service)); n == 0 {
		return nil, fmt.Errorf("no process is found beside %d containers of the engine", len(containers))
	}
	return append(parts,
		idlePart{"the engine's service, and what it started", func() []process { return descendants(service) }},
		idlePart{"what the engine has beside each container", func() []process { return beside(containers, service) }},
	), nil
}
