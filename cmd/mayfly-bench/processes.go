package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mayfly-ci/mayfly/internal/fleet"
)

// A process is one of this host, as /proc shows it: proc_pid_stat(5).
type process struct {
	pid, parent int
	name        string
	took        time.Duration // of processors, with its children that have ended
}

// tick is the unit of times in /proc, the same on all of Linux's platforms.
const tick = time.Second / 100

// readProcess returns what /proc has of pid; the zero process when it is gone.
func readProcess(pid int) process {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}
	}
	// PID (NAME) STATE PPID …: a name can hold spaces and parentheses.
	open, end := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if open < 0 || end < open {
		return process{}
	}
	fields := strings.Fields(string(stat[end+1:])) // from the third on
	if len(fields) < 15 {
		return process{}
	}
	p := process{pid: pid, name: string(stat[open+1 : end])}
	p.parent, _ = strconv.Atoi(fields[1])
	for _, field := range fields[11:15] { // utime, stime, cutime, cstime
		ticks, _ := strconv.Atoi(field)
		p.took += time.Duration(ticks) * tick
	}
	return p
}

func processorTime(list []process) (sum time.Duration) {
	for _, p := range list {
		sum += p.took
	}
	return sum
}

// allProcesses returns the processes of this host.
func allProcesses() (list []process) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		if p := readProcess(pid); p.pid != 0 {
			list = append(list, p)
		}
	}
	return list
}

// descendants returns root and what it started, as long as that has not been left to
// init.
func descendants(root int) (list []process) {
	all := allProcesses()
	family := map[int]bool{root: true}
	for grown := true; grown; {
		grown = false
		for _, p := range all {
			if family[p.parent] && !family[p.pid] {
				family[p.pid], grown = true, true
			}
		}
	}
	for _, p := range all {
		if family[p.pid] {
			list = append(list, p)
		}
	}
	return list
}

// beside returns the parents of the containers' first processes: conmon of Podman, the
// shims of Docker; but for those that descend from the service.
func beside(containers []fleet.Container, service int) (list []process) {
	known := map[int]bool{}
	for _, p := range descendants(service) {
		known[p.pid] = true
	}
	for _, p := range allProcesses() {
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.pid))
		if err != nil || known[p.parent] || !isFirstOf(containers, env, p.pid) {
			continue
		}
		known[p.parent] = true
		list = append(list, readProcess(p.parent))
	}
	return list
}

// isFirstOf reports whether a process is the first of one of containers, whose name is
// its host's.
func isFirstOf(containers []fleet.Container, env []byte, pid int) bool {
	command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || !bytes.HasPrefix(command, []byte(fleet.AgentPath+"\x00")) {
		return false
	}
	vars := strings.Split(string(env), "\x00")
	return slices.ContainsFunc(containers, func(c fleet.Container) bool { return slices.Contains(vars, "HOSTNAME="+c.Runner) })
}

// servedBy returns the process that listens on a unix socket: whoever made it, or the
// service for which systemd did.
func servedBy(socket string) (pid int, err error) {
	conn, err := net.Dial("unix", strings.TrimPrefix(socket, "unix://"))
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	var peer *unix.Ucred
	var peerErr error
	if err := raw.Control(func(fd uintptr) { peer, peerErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return 0, err
	}
	if peerErr != nil {
		return 0, fmt.Errorf("finding who serves %s: %w", socket, peerErr)
	}
	if peer.Pid != 1 {
		return int(peer.Pid), nil
	}
	for _, p := range allProcesses() {
		if p.name == "dockerd" || p.name == "podman" {
			return p.pid, nil
		}
	}
	return 0, fmt.Errorf("finding who serves %s: systemd listens, and neither podman nor dockerd runs", socket)
}
