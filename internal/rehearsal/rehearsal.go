// Package rehearsal is a whole Mayfly against a forge of its own, in one process: what the demo, the
// canary of an image and the benchmarks play on. The forge is a simulated GitHub, unless a canary
// brings another [Stage]. The mini runner stands in for GitHub's runner, but in a
// canary, which runs the runner of its image.
package rehearsal

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/docker"
	"github.com/mayfly-ci/mayfly/internal/fleet"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/image/hosttools"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/machine"
	"github.com/mayfly-ci/mayfly/internal/pool"
	"github.com/mayfly-ci/mayfly/internal/secret"
	"github.com/mayfly-ci/mayfly/internal/webhook"
)

// A Rehearsal is a machine against a GitHub of our own, in one process: what the
// demo and the launch benchmark run on. The mini runner stands in for GitHub's.
type Rehearsal struct {
	*machine.Machine
	Sim        *githubsim.Sim // nil on a stage of another kind
	SimURL     string
	stage      Stage
	token      secret.Secret // for the simulator's API and for pushing to it
	listener   net.Listener  // for deliveries
	Repository string
	image      string // loaded into the engine; "" with the sandbox
	end        context.CancelFunc
	served     chan error // how run ended; nil before it began
}

// Config say how.
type Config struct {
	Launcher   string        // auto, engine or sandbox
	Sockets    []string      // where an engine may answer
	Image      string        // one that is there, with a runner in it; "" for one from this machine's programs
	State      string        // folder for everything
	Listen     string        // for deliveries
	Secret     secret.Secret // of deliveries; made up when zero
	Stage      Stage         // what it plays on, closed with it; nil for a simulated GitHub
	Repository string        // there, with a webhook to this machine
	Pools      pool.Set      // with labels and resources; the rest is filled in
	Wrap       func(machine.Launcher) machine.Launcher
	Progress   func(format string, args ...any) // told what takes a while
	Log        *slog.Logger
}

// Minirunner is where the stand-in for the official runner is in every container.
const Minirunner = "/opt/runner/mayfly-minirunner"

// Open starts the simulator and opens a machine that serves it.
func Open(ctx context.Context, c Config) (s *Rehearsal, err error) {
	s = &Rehearsal{Repository: c.Repository}
	ctx, s.end = context.WithCancel(ctx)
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	s.token = secret.New(rand.Text())
	if c.Secret.IsZero() {
		c.Secret = secret.New(rand.Text())
	}
	if s.stage = c.Stage; s.stage == nil {
		if err := s.serveSim(ctx, c); err != nil {
			return s, err
		}
	}
	if s.listener, err = net.Listen("tcp", c.Listen); err != nil {
		return s, err
	}
	at, err := s.stage.Forge()
	if err != nil {
		return s, err
	}
	settings := machine.Config{
		State: filepath.Join(c.State, "mayfly"), Limits: ledger.Limits{Pools: c.Pools},
		Webhook: webhook.Config{Secrets: []secret.Secret{c.Secret}},
		Forge:   at, HookAt: c.Repository, HookURL: s.HookURL(), Log: c.Log,
	}
	if settings.Limits.Host, err = fleet.Host(); err != nil {
		return s, err
	}
	if err := s.openMachine(ctx, c, settings); err != nil {
		return s, err
	}
	if err := s.stage.Hook(ctx, s.HookURL(), c.Secret); err != nil {
		return s, err
	}
	s.served = make(chan error, 1)
	go func() { s.served <- s.Run(ctx, s.listener) }()
	return s, nil
}

// serveSim starts the simulator, with a repository.
func (s *Rehearsal) serveSim(ctx context.Context, c Config) (err error) {
	s.Sim, err = githubsim.New(githubsim.Config{
		Log: c.Log, Now: time.Now, Tokens: []secret.Secret{s.token}, Dir: filepath.Join(c.State, "repositories"),
	})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.SimURL = "http://" + l.Addr().String()
	s.stage = &simulated{Sim: s.Sim, url: s.SimURL, token: s.token, repository: c.Repository}
	go s.Sim.Serve(ctx, l)
	return s.Sim.CreateRepository(githubsim.Repository{Name: c.Repository})
}

// openMachine opens the machine on the launcher that is asked for or there. Runners
// share the host's network, because the simulator listens on its loopback.
func (s *Rehearsal) openMachine(ctx context.Context, c Config, settings machine.Config) (err error) {
	agent, err := cli.Companion("mayfly-agent")
	if err != nil {
		return err
	}
	runner, programs := "", map[string]string{}
	if c.Image == "" {
		if runner, err = cli.Companion("mayfly-minirunner"); err != nil {
			return err
		}
		programs[runner] = Minirunner
	}
	image := hosttools.NewName("demo") // of this simulation alone: others on the same engine come and go
	for i := range settings.Limits.Pools {
		p := &settings.Limits.Pools[i]
		p.Network, p.Image = pool.NetworkHost, cmp.Or(c.Image, image)
		if c.Image == "" {
			p.Command = []string{Minirunner}
		}
		*p = p.WithDefaults()
	}
	settings.Launcher = machine.Launch{
		Kind: c.Launcher, Sockets: c.Sockets, Serve: filepath.Join(c.State, "podman.sock"),
		Programs: programs, Agent: agent, Wrap: c.Wrap,
	}
	if s.Machine, err = machine.Open(ctx, settings); err != nil {
		return err
	}
	switch {
	case s.EngineImages() == nil:
		return nil
	case c.Image != "":
		return s.checkImage(ctx, c.Image)
	}
	s.image = image
	c.Progress("building an image from this machine's own programs …")
	return loadTools(ctx, s.EngineImages(), image, hosttools.Config{
		Tools: hosttools.Tools(), Trees: hosttools.Trees(), Files: map[string]string{Minirunner: runner},
	})
}

// checkImage fails unless image is there: the runners of a simulation pull nothing.
func (s *Rehearsal) checkImage(ctx context.Context, image string) error {
	if has, err := s.EngineImages().Has(ctx, image); has || err != nil {
		return err
	}
	return cli.Usage(fmt.Errorf("image %s is not there", image), "mayfly image list has those that mayfly image build made")
}

// loadTools builds an image from this machine's own programs and loads it as ref, which
// owns it: there may be no registry in reach.
func loadTools(ctx context.Context, store *docker.Images, ref string, c hosttools.Config) error {
	c.Owner = ref
	image, err := hosttools.Build(c)
	if err != nil {
		return err
	}
	archive, err := os.CreateTemp("", "mayfly-image-")
	if err != nil {
		return err
	}
	defer os.Remove(archive.Name())
	defer archive.Close()
	if err := hosttools.Write(archive, ref, image); err != nil {
		return err
	}
	if _, err := archive.Seek(0, 0); err != nil {
		return err
	}
	return store.Load(ctx, archive)
}

func (s *Rehearsal) HookURL() string { return "http://" + s.listener.Addr().String() + "/webhook" }

// Settle waits until no runner is left, of this machine or on its stage, and the ledger has heard how all jobs ended: it takes
// events that come together in batches, so it can be behind.
func (s *Rehearsal) Settle(ctx context.Context) error {
	for {
		state, err := s.Ledger().Snapshot(ctx)
		if err != nil {
			return err
		}
		live, open := 0, 0
		for range state.Runners() {
			live++
		}
		for j := range state.Jobs() {
			if !j.Settled() {
				open++
			}
		}
		if live == 0 && open == 0 && s.stage.Registered() == 0 {
			return s.Settled(ctx)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %d runners to leave, and for the ends of %d jobs: %w", live, open, context.Cause(ctx))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// A leftover is what is there when nothing should be.
type leftover struct {
	Containers, Registrations, Claims int
}

// Inventory counts what is left, by listing it.
func (s *Rehearsal) Inventory(ctx context.Context) (l leftover, err error) {
	containers, claims, err := s.Left(ctx)
	return leftover{Containers: containers, Registrations: s.stage.Registered(), Claims: claims}, err
}

// Close stops what runs, removes what the launcher made, and closes the rest.
func (s *Rehearsal) Close() (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	s.end()
	if s.Machine != nil {
		if s.served != nil {
			err = errors.Join(err, <-s.served)
		}
		err = errors.Join(err, s.purge(ctx), s.Machine.Close())
	}
	if s.stage != nil {
		err = errors.Join(err, s.stage.Close())
	}
	return err
}

// purge removes all that the launcher made, and the image.
func (s *Rehearsal) purge(ctx context.Context) error {
	err := s.Runs().Purge(ctx)
	if s.image != "" {
		err = errors.Join(err, s.EngineImages().RemoveImage(ctx, s.image))
	}
	return err
}

// CloneURL is where git can push to, with a password that is good for this simulator
// only.
func (s *Rehearsal) CloneURL() string {
	return strings.Replace(s.SimURL, "://", "://demo:"+s.token.Reveal()+"@", 1) + "/" + s.Repository + ".git"
}
