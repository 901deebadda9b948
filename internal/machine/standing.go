package machine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/docker"
	"github.com/mayfly-ci/mayfly/internal/pool"
	"github.com/mayfly-ci/mayfly/internal/why"
)

// A Trouble is something that people should know about what runs runners, and what they can do.
type Trouble struct {
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// String returns both in one line.
func (t Trouble) String() string {
	if t.Hint == "" {
		return t.Message
	}
	return t.Message + ": " + t.Hint
}

// A Standing is how a running machine is doing, by its own word.
type Standing struct {
	Parts    []Part    `json:"parts"`    // that it needs to be ready
	Troubles []Trouble `json:"troubles"` // of what runs runners
}

// A Part is how one part of a machine is doing.
type Part struct {
	Name  string    `json:"name"`
	OK    bool      `json:"ok"`
	State string    `json:"state"`
	Since time.Time `json:"since"`           // zero before the first look
	Fix   string    `json:"fix,omitempty"`   // the next thing to do, unless it is OK
	Cause why.Cause `json:"cause,omitempty"` // what it means for a job that waits, unless it is OK
}

// parts are those of /readyz, with what to do.
func (m *Machine) parts() (all []Part) {
	looks := m.looks()
	for _, v := range m.vitals.ready("") {
		p := Part{Name: v.Name, OK: v.OK, State: v.State, Since: v.Since}
		if !v.OK {
			p.Fix, p.Cause = looks[v.Name].hint, v.cause
		}
		all = append(all, p)
	}
	return all
}

// standing answers commands that only read.
func (m *Machine) standing(ctx context.Context, _ struct{}) (s Standing, err error) {
	s.Parts = m.parts()
	if m.engine != nil {
		if _, err := docker.Find(ctx, m.engineSocket); err != nil {
			i := slices.IndexFunc(s.Parts, func(p Part) bool { return p.Name == partLauncher })
			s.Parts[i] = Part{
				Name: partLauncher, State: "the container engine does not answer: no runner can start, those that run go on: " + err.Error(),
				Since: cmp.Or(s.Parts[i].Since, time.Now()), Fix: HowToStart(), Cause: why.EngineDown,
			}
		}
	}
	s.Troubles = append(s.Troubles, m.unheld...)
	for _, p := range m.pools() {
		if p.Isolation.Privileges == pool.HostRoot {
			s.Troubles = append(s.Troubles, Trouble{
				fmt.Sprintf("pool %q has privileges: host-root: a job that escapes from its container is root on this machine", p.Name),
				"privileges: sudo gives jobs root in a user namespace",
			})
		}
	}
	return s, nil
}

// EngineLimits returns a trouble if the engine on socket does not enforce limits.
func EngineLimits(ctx context.Context, socket string) ([]Trouble, error) {
	unheld, err := docker.Unheld(ctx, socket)
	if err != nil || len(unheld) == 0 {
		return nil, err
	}
	return []Trouble{{
		fmt.Sprintf("the container engine on %s does not hold runners to %s: a job can take more of this machine than its pool says", socket, strings.Join(unheld, ", ")),
		"run the engine as root, or with control groups of version 2 delegate cpu, memory and pids to its user (docs/operate.md)",
	}}, nil
}

// sandboxLimits returns a trouble if sandboxes have no limits.
func sandboxLimits(limited bool) []Trouble {
	if limited {
		return nil
	}
	return []Trouble{{"sandboxes are not held to cpus, memory, pids: a job can take more of this machine than its pool says", "run mayfly up as root"}}
}

// noteTroubles logs troubles at startup.
func (m *Machine) noteTroubles(list []Trouble) {
	for _, t := range list {
		m.config.Log.Warn(t.Message, "hint", t.Hint)
	}
}

// noEngine adds the hint that fits this machine to the error that no engine answers.
func noEngine(err error, launch Launch) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return cli.Hint(err, "run mayfly as a user who may use the socket: root, or for Docker a member of the group docker")
	case launch.Named:
		return cli.Hint(err, "%s; engine.socket names another socket, and without it the usual places are tried", HowToStart())
	}
	if launch.Kind == Auto {
		return cli.Hint(err, "%s; or set launcher: sandbox", HowToStart())
	}
	return cli.Hint(err, "%s", HowToStart())
}

// EngineInstalled reports whether this machine has an engine, running or not.
func EngineInstalled() bool { return isInstalled("podman") || isInstalled("dockerd") }

// HowToStart returns how to start an engine: it may be installed but not running.
func HowToStart() string { return HowToStartWith(isInstalled, os.Geteuid() == 0) }

func isInstalled(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

func HowToStartWith(installed func(program string) bool, root bool) string {
	switch {
	case installed("podman") && root:
		return "start Podman's service: systemctl enable --now podman.socket (without systemd: podman system service --time=0 unix:///run/podman/podman.sock)"
	case installed("podman"):
		return "start Podman's service: systemctl --user enable --now podman.socket (without systemd: podman system service --time=0 unix://$XDG_RUNTIME_DIR/podman/podman.sock)"
	case installed("dockerd"):
		return "start Docker: systemctl enable --now docker"
	}
	return "install podman and runc, and start Podman's service: systemctl enable --now podman.socket"
}
