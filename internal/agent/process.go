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

// errStart means that the program could not be started.
var errStart = errors.New("starting the runner")

// A process is the runner's program and its children: a process group.
type process struct {
	pid    int
	signal func(syscall.Signal)    // sends to the process group; a group that has ended is no error
	ended  chan syscall.WaitStatus // receives one value
	phases chan string             // what its output tells; closed with the output
	output output
	program
	spent func() // removes what it was started with
}

// startRunner starts the runner with what g has for it.
//
// Its outputs are pipes, so that neither the runner nor a job has the container's log open.
func startRunner(c Config, g claim.Grant) (*process, error) {
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
	group := -started.Pid
	signal := func(s syscall.Signal) { syscall.Kill(group, s) }
	p := &process{pid: started.Pid, signal: signal, ended: make(chan syscall.WaitStatus, 1), phases: make(chan string), program: program, spent: l.spent}
	started.Release() // reap waits for it
	go p.reap()
	go p.follow(watched{out, c.Stdout}, watched{errs, c.Stderr})
	return p, nil
}

// reap waits for every child until none is left: the runner, and the orphans that the first process
// of a container inherits.
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

// Where the runner's environment takes them from when the container has none.
const (
	defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	defaultLang = "C.UTF-8"
)

// withheld are prefixes of variables that the runner must not see: what it could mistake for its
// own input, what ECS says about the task's role, and what a rule says about the task.
var withheld = []string{"ACTIONS_RUNNER_INPUT_", "AWS_CONTAINER_", "MAYFLY_"}

// environment returns the container's environment with missing defaults, without withheld
// variables and those that begin with one of also.
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

// set replaces the NAME=value in env with the name of v, or appends v.
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
