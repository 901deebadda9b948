// Package fleet is stage 4: it turns a requested runner into a running container, and removes a
// container that ended without leaving anything.
//
// A [Launcher] runs containers: fleet/engine (the Docker API, so Docker or Podman) or fleet/sandbox
// (bubblewrap, without an engine). A [Fleet] manages the runners of a launcher: it starts a few at
// a time, watches all, and removes those that ended. The ledger, not the fleet, decides which
// runner starts when.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	"github.com/mayfly-ci/mayfly/internal/pool"
)

// A Launcher starts and stops the containers of runners. A container has the name of its runner, so
// there is at most one of a name. All methods are safe for concurrent use.
type Launcher interface {
	// Start creates and starts the container of spec. It may block as long as that takes, and
	// returns when the first process runs. If a container of that name exists, Start leaves it
	// alone and returns nil, so that repeating a call after a crash is harmless.
	Start(ctx context.Context, spec Spec) error

	// Wait blocks until the container of runner has ended and returns how. The error is
	// [ErrNotFound] if there is none.
	Wait(ctx context.Context, runner string) (Exit, error)

	// Stop ends the container of runner, with SIGTERM and after grace with SIGKILL, and removes it
	// and everything it wrote. It returns nil if nothing of it is left, including if there was
	// nothing.
	Stop(ctx context.Context, runner string, grace time.Duration) error

	// List returns every container of this Mayfly instance, running or ended, whichever process
	// started it.
	List(ctx context.Context) ([]Container, error)
}

// A Spec is what a launcher needs to start a runner. It has no secrets: a container gets none.
type Spec struct {
	Runner    string // name of runner and container: [a-z0-9-]{1,64}
	Pool      string
	Job       string   // the job it was made for, as text, for the container's labels
	Image     string   // ignored by the sandbox
	Command   []string // the runner's program, started by the agent
	Resources pool.Resources
	PIDs      int
	Network   pool.Network
	ClaimDir  string // host folder with the runner's claim socket, mounted at [ClaimMount]

	ReadOnlyRoot bool           // as in [pool.Pool]
	Isolation    pool.Isolation // the same
	Setup        pool.Setup     // the same
}

// SpecOf returns what all runners of p have in common. Runner, Job, Image and ClaimDir differ for each.
func SpecOf(p pool.Pool) Spec {
	return Spec{
		Pool: p.Name, Command: p.Command, Resources: p.Resources, PIDs: p.PIDs, Network: p.Network,
		ReadOnlyRoot: p.ReadOnlyRoot, Isolation: p.Isolation, Setup: p.Setup,
	}
}

// A LogQuery says what of a container's output to read.
type LogQuery struct {
	Lines  int  `json:"lines"`  // at most so many of the last lines; launchers keep about a megabyte
	Follow bool `json:"follow"` // also new output, until the container ends
}

// A LogReader is a launcher that keeps the output of its containers until they are removed.
type LogReader interface {
	// Logs writes the output of runner's container to out, as it arrives. The error is [ErrNotFound]
	// if there is no such container.
	Logs(ctx context.Context, runner string, q LogQuery, out io.Writer) error
}

// Errors of launchers and the fleet, wrapped with what they concern.
var (
	ErrNotFound    = errors.New("no such runner")
	ErrUnsupported = errors.New("not supported by this launcher")
	ErrRemoved     = errors.New("runner was removed")
	ErrClosed      = errors.New("fleet is closed")
	ErrFull        = errors.New("no room on the disk")
)

// names matches names that are safe as a folder, a control group and a container, at most maxName
// bytes long.
var names = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)

const maxName = 64

// Check returns the fault of s that concerns every launcher.
func (s Spec) Check() error {
	switch {
	case len(s.Runner) > maxName || !names.MatchString(s.Runner):
		return fmt.Errorf("runner name %q: want 1 to 64 of a-z, 0-9 and -", s.Runner)
	case len(s.Command) == 0:
		return fmt.Errorf("runner %s: command is empty: want the runner's program", s.Runner)
	case s.ClaimDir == "":
		return fmt.Errorf("runner %s: claim folder is missing", s.Runner)
	}
	return nil
}

// Args returns the command of every container: the agent, the path of the claim socket, and the
// runner's program as the agent's arguments.
func (s Spec) Args() []string {
	args := []string{AgentPath, "--socket", ClaimSocket}
	if s.Isolation.Docker.Engine {
		args = append(args, "--docker")
	}
	if mirror := s.Isolation.Docker.Mirror; mirror != "" {
		args = append(args, "--docker-mirror", mirror)
	}
	return append(append(args, "--"), s.Command...)
}

// Paths inside every container.
const (
	ClaimMount  = "/run/mayfly"              // folder of the claim socket
	ClaimSocket = ClaimMount + "/claim.sock" // the claim socket
	AgentPath   = "/opt/mayfly/mayfly-agent" // the agent, the first process
)

// A Container is what a launcher knows about a container.
type Container struct {
	Runner  string
	Pool    string
	Job     string
	Image   string // what it was created from: its digest, if the launcher has images
	Running bool
	Fresh   bool      // created and never started: its creator ended in between
	Started time.Time // when it was created, to the second
}

// An Exit is how a container ended.
type Exit struct {
	Code int    // exit code of the first process; 128+n if signal n ended it; [CodeUnknown]
	Note string // what else is known, such as "out of memory"; may be empty

	Memory pool.MemoryUse // zero if the launcher cannot tell
}

// CodeUnknown is the code of a container that ended in an unknown way.
const CodeUnknown = -1

// Notes of an [Exit].
const (
	NoteOutOfMemory = "out of memory"
	NoteKilled      = "killed from outside" // by hand, by a limit of the host, or when it was stopped
	NoteRemoved     = "removed"             // before its end was seen
	NoteLost        = "its end was not recorded"
)
