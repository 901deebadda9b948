// Package engine is the launcher for hosts with a container engine: Docker or
// Podman, through Docker's API on a unix socket.
//
// By default a runner's container has no capability and no way to gain one. It has limits of
// processors, memory and processes ([docker.Unheld] tells which of them an engine cannot
// enforce), and the network of this Mayfly, the host's, or none. Differences of Podman's
// API are commented where the code works around them.
// https://docs.docker.com/reference/api/engine/
package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/mayfly-ci/mayfly/internal/docker"
	"github.com/mayfly-ci/mayfly/internal/fleet"
)

// Config is what a Launcher needs.
type Config struct {
	Socket   string // of the engine, as returned by docker.Find
	Instance string // distinguishes Mayflies on one engine, [a-z0-9-]; part of all names there
	Folder   string // for disks of runners with an engine; created when needed
	Agent    string // absolute path of mayfly-agent on the host; it must be static, or every image needs its libraries
	Log      *slog.Logger
}

// A Launcher starts and stops containers. It implements [fleet.Launcher].
type Launcher struct {
	*docker.Images
	config    Config
	api       *client.Client
	podman    bool
	mostFiles int64 // the most open files that the engine can allow a process
	ends      *ends

	network sync.Mutex // held while the network is created, so that it is created once
}

var _ fleet.Launcher = (*Launcher)(nil)

// New returns a launcher. The engine must answer.
func New(ctx context.Context, config Config) (*Launcher, error) {
	config.Log = cmp.Or(config.Log, slog.New(slog.DiscardHandler))
	api, err := docker.Dial(config.Socket)
	if err != nil {
		return nil, err
	}
	if _, err := docker.Ping(ctx, api); err != nil {
		return nil, fmt.Errorf("%w: %w", fleet.ErrUnsupported, err)
	}
	podman, err := docker.IsPodman(ctx, api)
	if err != nil {
		return nil, err
	}
	l := &Launcher{Images: docker.NewImages(api), config: config, api: api, podman: podman, mostFiles: mostFiles(config.Socket)}
	l.ends = newEnds(api, l.mine(), config.Log)
	if err := l.sweepDisks(ctx, time.Now()); err != nil {
		config.Log.Warn("removing disks without a runner", "err", err)
	}
	return l, nil
}

// Close ends the waits for containers and closes the connections to the engine. Containers
// keep running.
func (l *Launcher) Close() error {
	l.ends.close()
	return l.api.Close()
}

// Start implements [fleet.Launcher]. It pulls a missing image. After an error it removes the
// runner's disk only if no container has the name: another Start of the same runner may have
// succeeded, and its container uses the disk.
func (l *Launcher) Start(ctx context.Context, spec fleet.Spec) error {
	err := l.createAndRun(ctx, spec)
	if err != nil {
		if _, there := l.inspect(context.WithoutCancel(ctx), spec.Runner); errors.Is(there, errNotThere) {
			err = errors.Join(err, l.removeDisk(spec.Runner))
		}
		return fmt.Errorf("starting runner %s: %w", spec.Runner, err)
	}
	return nil
}

func (l *Launcher) createAndRun(ctx context.Context, spec fleet.Spec) error {
	options, err := l.options(ctx, spec)
	if err != nil {
		return err
	}
	if options.HostConfig.NetworkMode == container.NetworkMode(l.networkName()) {
		if err := l.makeNetwork(ctx); err != nil {
			return err
		}
	}
	_, err = l.api.ContainerCreate(ctx, options)
	if err != nil {
		there, inspectErr := l.inspectTaken(ctx, spec.Runner, err)
		switch {
		case inspectErr == nil && !isFresh(there.State.Status):
			return nil // it runs or has run: leave it alone
		case inspectErr == nil: // created but not started: a crash, or another Start at work
		case errdefs.IsNotFound(err):
			if err := l.pullAndCreate(ctx, options); err != nil {
				return err
			}
		default:
			return fmt.Errorf("making the container: %w", err)
		}
	}
	if _, err := l.api.ContainerStart(ctx, spec.Runner, client.ContainerStartOptions{}); err != nil {
		clean := context.WithoutCancel(ctx)
		return errors.Join(fmt.Errorf("starting the container: %w", err), l.removeUnlessRunning(clean, spec.Runner))
	}
	return nil
}

func (l *Launcher) pullAndCreate(ctx context.Context, options client.ContainerCreateOptions) error {
	if err := l.Pull(ctx, options.Config.Image, l.logProgress); err != nil {
		return err
	}
	if _, err := l.api.ContainerCreate(ctx, options); err != nil {
		return fmt.Errorf("making the container: %w", err)
	}
	return nil
}

func (l *Launcher) logProgress(image, step string) {
	l.config.Log.Info("pulling image", "image", image, "step", step)
}

// removeUnlessRunning cleans up after a failed start, unless a concurrent start of the same
// runner succeeded.
func (l *Launcher) removeUnlessRunning(ctx context.Context, runner string) error {
	if there, err := l.inspect(ctx, runner); err == nil && there.State.Running {
		return nil
	}
	return l.remove(ctx, runner)
}

// errNotThere means that no container has the name, not even one of another instance.
var errNotThere = fmt.Errorf("%w", fleet.ErrNotFound)

// inspect returns the engine's description of runner's container. The error is
// [fleet.ErrNotFound] if there is none, or if it belongs to another instance.
func (l *Launcher) inspect(ctx context.Context, runner string) (container.InspectResponse, error) {
	there, err := l.api.ContainerInspect(ctx, runner, client.ContainerInspectOptions{})
	switch {
	case errdefs.IsNotFound(err):
		return container.InspectResponse{}, fmt.Errorf("runner %q: %w", runner, errNotThere)
	case err != nil:
		return container.InspectResponse{}, fmt.Errorf("looking at runner %s: %w", runner, err)
	case there.Container.Config.Labels[labelInstance] != l.config.Instance:
		return container.InspectResponse{}, fmt.Errorf("runner %q: a container of that name is not of this Mayfly: %w", runner, fleet.ErrNotFound)
	}
	return there.Container, nil
}

// inspectTaken is inspect after creating runner's container failed with err. If err says that
// the name is taken, it waits for the container to appear: Docker reserves the name before it
// creates the container, so during another call's creation the name is taken but nothing has it.
func (l *Launcher) inspectTaken(ctx context.Context, runner string, err error) (container.InspectResponse, error) {
	for try := 1; ; try++ {
		there, inspectErr := l.inspect(ctx, runner)
		if !isTaken(err) || !errors.Is(inspectErr, errNotThere) || try == tries {
			return there, inspectErr
		}
		if err := pause(ctx); err != nil {
			return there, err
		}
	}
}

// isTaken reports whether err means that the name of a container is taken. If Podman's storage has reserved the name
// but Podman has not yet, the answer is not a conflict but a 500.
// https://github.com/containers/storage/blob/main/errors.go (ErrDuplicateName)
func isTaken(err error) bool {
	return errdefs.IsConflict(err) || strings.Contains(err.Error(), "name is already in use")
}

// Wait implements [fleet.Launcher]. It continues while the engine restarts.
func (l *Launcher) Wait(ctx context.Context, runner string) (fleet.Exit, error) {
	for {
		told := l.ends.of(runner)
		there, err := l.inspect(ctx, runner)
		if err != nil {
			return fleet.Exit{}, err
		}
		if hasEnded(*there.State) {
			return exitOf(*there.State), nil
		}
		select {
		case <-told:
		case <-ctx.Done():
			return fleet.Exit{}, fmt.Errorf("waiting for runner %s: %w", runner, context.Cause(ctx))
		}
	}
}

// hasEnded reports whether a container has ended for good. A paused container has not: Podman
// reports it as not running, Docker as both paused and running.
func hasEnded(s container.State) bool {
	return !s.Running && !isFresh(s.Status) && s.Status != container.StatePaused && s.Status != "stopping"
}

// isFresh reports whether a container was created but never started. Podman has two more
// states for that.
func isFresh(s container.ContainerState) bool {
	return s == container.StateCreated || s == "configured" || s == "initialized"
}

// exitOf returns how a container ended. Podman never sets OOMKilled, and Docker does not if the
// kernel killed a process other than the first. So a SIGKILL that nobody requested counts as
// the kernel's, for lack of memory.
func exitOf(s container.State) fleet.Exit {
	const killed = 128 + 9
	switch {
	case s.OOMKilled, s.ExitCode == killed:
		return fleet.Exit{Code: s.ExitCode, Note: fleet.NoteOutOfMemory}
	}
	return fleet.Exit{Code: s.ExitCode, Note: s.Error}
}

// Stop implements [fleet.Launcher]. grace is rounded up, because engines take whole seconds. If
// the engine fails to stop the container gracefully, Stop still removes it: a runner too
// stubborn to end must not stay.
func (l *Launcher) Stop(ctx context.Context, runner string, grace time.Duration) error {
	there, err := l.inspect(ctx, runner)
	if errors.Is(err, errNotThere) {
		return l.removeDisk(runner)
	} else if errors.Is(err, fleet.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	if there.State.Running && grace > 0 {
		seconds := int(math.Ceil(grace.Seconds()))
		_, err := l.api.ContainerStop(ctx, runner, client.ContainerStopOptions{Timeout: &seconds})
		if err != nil && ctx.Err() != nil {
			return fmt.Errorf("stopping runner %s: %w", runner, err)
		} else if err != nil {
			l.config.Log.Warn("runner is not stopped gracefully", "runner", runner, "err", err)
		}
	}
	return l.remove(ctx, runner)
}

// tries is how often a call is repeated that an engine refuses while it works on the container:
// while that is created, ends, or is removed by another call.
const tries = 20

// pause waits between two tries. It returns an error if ctx ends.
func pause(ctx context.Context) error {
	select {
	case <-time.After(100 * time.Millisecond):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// remove removes a container, killing it if it runs, and its disk.
func (l *Launcher) remove(ctx context.Context, runner string) error {
	for try := 1; ; try++ {
		_, err := l.api.ContainerRemove(ctx, runner, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		if err == nil || errdefs.IsNotFound(err) {
			return l.removeDisk(runner)
		} else if try == tries {
			return fmt.Errorf("removing runner %s: %w", runner, err)
		}
		if given := pause(ctx); given != nil {
			return fmt.Errorf("removing runner %s: %w", runner, errors.Join(given, err))
		}
	}
}

// List implements [fleet.Launcher].
func (l *Launcher) List(ctx context.Context) ([]fleet.Container, error) {
	found, err := l.api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: l.mine()})
	if err != nil {
		return nil, fmt.Errorf("listing containers: %w", err)
	}
	var all []fleet.Container
	for _, c := range found.Items {
		all = append(all, fleet.Container{
			Runner: c.Labels[labelRunner], Pool: c.Labels[labelPool], Job: c.Labels[labelJob], Image: c.ImageID,
			Running: c.State == container.StateRunning, Fresh: isFresh(c.State), Started: time.Unix(c.Created, 0),
		})
	}
	return all, nil
}

// Purge removes every container of this instance, running or not, and its network. An error
// names what is left. Images stay, because they are shared.
func (l *Launcher) Purge(ctx context.Context) error {
	all, err := l.List(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range all {
		errs = append(errs, l.remove(ctx, c.Runner))
	}
	errs = append(errs, l.removeNetwork(ctx), l.sweepDisks(ctx, time.Now().Add(2*halfMade)), l.removeShared())
	left, err := l.List(ctx)
	if err != nil || len(left) > 0 {
		errs = append(errs, fmt.Errorf("%d containers are left: %v", len(left), left), err)
	}
	return errors.Join(errs...)
}
