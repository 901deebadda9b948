// Package fleet is stage 4: a runner that is wanted becomes a container that
// runs, and a container that ended leaves nothing behind.
//
// Where containers run is a [Launcher]: fleet/engine (Docker's API, so Docker or
// Podman) or fleet/sandbox (bubblewrap, where there is no engine). What joins
// runners to a launcher is a [Fleet]: starts a few at a time, watches all, removes
// what ended. Which runner is started when is the ledger's to say, not the fleet's.
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

// A Launcher starts and stops the containers of runners. A runner's name is the
// name of its container: there is never more than one of a name. All methods
// may be called from several goroutines at once.
type Launcher interface {
	// Start makes the container of spec and starts it. It may block as long as
	// a container takes to start, and returns when the first process runs. When
	// a container of that name is there already, Start leaves it alone and
	// returns nil, so that a call that is repeated after a crash does no harm.
	Start(ctx context.Context, spec Spec) error

	// Wait blocks until the container of runner has ended and returns how.
	// [ErrNotFound] when there is none.
	Wait(ctx context.Context, runner string) (Exit, error)

	// Stop ends the container of runner, with SIGTERM and after grace with
	// SIGKILL, and removes it and all it wrote. It returns nil when nothing of
	// it is left, also when there was nothing.
	Stop(ctx context.Context, runner string, grace time.Duration) error

	// List returns every container of this Mayfly (its instance), running or ended,
	// whichever process started it.
	List(ctx context.Context) ([]Container, error)
}

// A Spec is all that a launcher needs to know to start a runner. It holds no
// secret: a container gets none.
type Spec struct {
	Runner    string // name of runner and container: [a-z0-9-]{1,64}
	Pool      string
	Job       string   // the job it was made for, as text, for the container's labels
	Image     string   // unused by the sandbox
	Command   []string // the runner's program, run by the agent
	Resources pool.Resources
	PIDs      int
	Network   pool.Network
	ClaimDir  string // host folder with the runner's claim socket, mounted at [ClaimMount]

	ReadOnlyRoot bool           // as in [pool.Pool]
	Isolation    pool.Isolation // the same
	Setup        pool.Setup     // the same
}

// SpecOf returns what all runners of p have in common. Runner, Job, Image and ClaimDir are each one's own.
func SpecOf(p pool.Pool) Spec {
	return Spec{
		Pool: p.Name, Command: p.Command, Resources: p.Resources, PIDs: p.PIDs, Network: p.Network,
		ReadOnlyRoot: p.ReadOnlyRoot, Isolation: p.Isolation, Setup: p.Setup,
	}
}

// A LogQuery says what of a container's output to read.
type LogQuery struct {
	Lines  int  `json:"lines"`  // the last, at most; what launchers keep is about a megabyte
	Follow bool `json:"follow"` // and what comes, until the container has ended
}

// A LogReader is a launcher that has the output of its containers until they are removed.
type LogReader interface {
	// Logs writes the output of runner's container to out, as it comes. [ErrNotFound] when there is none.
	Logs(ctx context.Context, runner string, q LogQuery, out io.Writer) error
}

// Errors that launchers and the fleet return, wrapped in what they are about.
var (
	ErrNotFound    = errors.New("no such runner")
	ErrUnsupported = errors.New("not supported by this launcher")
	ErrRemoved     = errors.New("runner was removed")
	ErrClosed      = errors.New("fleet is closed")
	ErrFull        = errors.New("no room on the disk")
)

// names are those that are safe as a folder, a control group and a container.
var names = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)

// Check returns what is wrong with s, whatever the launcher.
func (s Spec) Check() error {
	switch {
	case !names.MatchString(s.Runner):
		return fmt.Errorf("runner name %q: want 1 to 64 of a-z, 0-9 and -", s.Runner)
	case len(s.Command) == 0:
		return fmt.Errorf("runner %s: command is empty: want the runner's program", s.Runner)
	case s.ClaimDir == "":
		return fmt.Errorf("runner %s: claim folder is missing", s.Runner)
	}
	return nil
}

// Args returns what every launcher runs in the container: the agent, told where
// the claim socket is, with the runner's program as its arguments.
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

// Where things are inside every container.
const (
	ClaimMount  = "/run/mayfly"              // folder of the claim socket
	ClaimSocket = ClaimMount + "/claim.sock" // the claim socket
	AgentPath   = "/opt/mayfly/mayfly-agent" // the agent, its first process
)

// A Container is what a launcher knows of one container.
type Container struct {
	Runner  string
	Pool    string
	Job     string
	Image   string // what it was made from: its digest, where the launcher has images
	Running bool
	Fresh   bool      // made, and never started: whoever made it ended in between
	Started time.Time // made, to the second
}

// An Exit is how a container ended.
type Exit struct {
	Code int    // exit code of the first process; 128+n when signal n ended it; [CodeUnknown]
	Note string // what else is known, such as "out of memory"; may be empty

	Memory pool.MemoryUse // zero where the launcher cannot tell
}

// CodeUnknown is the code of a container that is known to have ended but not how.
const CodeUnknown = -1

// Notes that an [Exit] can carry.
const (
	NoteOutOfMemory = "out of memory"
	NoteKilled      = "killed from outside" // by hand, by a limit of the host, or at its stop
	NoteRemoved     = "removed"             // before its end could be seen
	NoteLost        = "its end was not recorded"
)
