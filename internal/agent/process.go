package agent

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"

	"github.com/mayfly-ci/mayfly/internal/claim"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// errStart is of a program that could not be started.
var errStart = errors.New("starting the runner")

// A process is the runner's program and whatever it starts: its process group.
type process struct {
	pid    int
	ended  chan syscall.WaitStatus // gets one
	phases chan string             // what its output tells; closed at the output's end
	output output
	program
	spent func() // removes what it was started with
}

// start starts the runner with what g has for it.
//
// Its outputs are pipes: neither it nor a job has the container's log open.
func start(c Config, g claim.Grant) (*process, error) {
	path, err := exec.LookPath(c.Command[0])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errStart, err)
	}
	program, err := programOf(g)
	if err != nil {
		return nil, err
	}
	l, err := program.prepare(c.Command, c.Env, g.JIT)
	if err != nil {
		return nil, err
	}
	nothing, err := os.Open(os.DevNull)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errStart, err)
	}
	defer nothing.Close()
	out, toOut, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errStart, err)
	}
	defer toOut.Close()
	errs, toErrs, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", errStart, err), out.Close())
	}
	defer toErrs.Close()
	started, err := os.StartProcess(path, l.args, &os.ProcAttr{
		Env:   l.env,
		Files: []*os.File{nothing, toOut, toErrs},
		Sys:   &syscall.SysProcAttr{Setpgid: true},
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", errStart, err), out.Close(), errs.Close())
	}
	p := &process{pid: started.Pid, ended: make(chan syscall.WaitStatus, 1), phases: make(chan string), program: program, spent: l.spent}
	started.Release() // reap waits for it
	go p.reap()
	go p.follow(watched{out, c.Stdout}, watched{errs, c.Stderr})
	return p, nil
}

// reap waits for every child until none is left: the runner, and the orphans
// that the first process of a container inherits.
func (p *process) reap() {
	for {
		var status syscall.WaitStatus
		switch pid, err := syscall.Wait4(-1, &status, 0, nil); {
		case err == syscall.EINTR:
		case err != nil:
			return
		case pid == p.pid:
			p.ended <- status
		}
	}
}

// signal sends s to the process group. That it has ended already is no fault.
func (p *process) signal(s syscall.Signal) { syscall.Kill(-p.pid, s) }

// Where the runner's environment takes them from when the container has none.
const (
	defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	defaultLang = "C.UTF-8"
)

// withheld are the beginnings of variables that are not the runner's: what it might
// take for its own input, what ECS says of the task's role, and what a rule
// says of the task.
var withheld = []string{"ACTIONS_RUNNER_INPUT_", "AWS_CONTAINER_", "MAYFLY_"}

// environment is the container's, with what a program may rely on filled in, without
// what is withheld, or begins with one of also.
func environment(container []string, also ...string) []string {
	env := []string{"PATH=" + defaultPath, "HOME=" + pool.Home, "LANG=" + defaultLang}
	no := slices.Concat(withheld, also)
	for _, v := range container {
		if !slices.ContainsFunc(no, func(begin string) bool { return strings.HasPrefix(v, begin) }) {
			env = set(env, v)
		}
	}
	return env
}

// set puts a NAME=value into env, in place of one of that name.
func set(env []string, v string) []string {
	name, _, _ := strings.Cut(v, "=")
	for i := range env {
		if strings.HasPrefix(env[i], name+"=") {
			env[i] = v
			return env
		}
	}
	return append(env, v)
}
