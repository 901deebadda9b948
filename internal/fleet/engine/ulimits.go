package engine

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/moby/moby/api/types/container"
	"golang.org/x/sys/unix"

	"github.com/mayfly-ci/mayfly/internal/pool"
)

// ulimits returns the limits of a runner's processes. What s does not name gets a default, as Podman does
// not apply its own to requests, and without them asks for more than root may give where it lacks CAP_SYS_RESOURCE.
func (l *Launcher) ulimits(s pool.Setup) []*container.Ulimit {
	list := []*container.Ulimit{}
	add := func(name string, u pool.Ulimit) {
		list = append(list, &container.Ulimit{Name: name, Soft: u.Soft, Hard: u.Hard})
	}
	for _, name := range s.UlimitList() {
		add(name, s.Ulimits[name])
	}
	if _, named := s.Ulimits["nofile"]; !named {
		files := min(pool.DefaultFiles, l.mostFiles)
		add("nofile", pool.Ulimit{Soft: files, Hard: files})
	}
	if _, named := s.Ulimits["nproc"]; !named {
		add("nproc", pool.Ulimit{Soft: 16384, Hard: 32768})
	}
	return list
}

// mostFiles returns how many open files the engine on socket can be taken to give a process. An engine of
// another user has limits of its own, which are generous; one of ours has ours, and can exceed them with a
// capability only.
func mostFiles(socket string) int64 {
	info, err := os.Stat(strings.TrimPrefix(socket, "unix://"))
	if err != nil {
		return pool.DefaultFiles
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); !ok || int(owner.Uid) != os.Geteuid() || canExceed() {
		return pool.DefaultFiles
	}
	var ours unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &ours); err != nil || ours.Max > pool.DefaultFiles {
		return pool.DefaultFiles
	}
	return int64(ours.Max)
}

// canExceed reports whether this process may exceed its hard limits: the capability CAP_SYS_RESOURCE.
func canExceed() bool {
	status, _ := os.ReadFile("/proc/self/status")
	_, after, _ := bytes.Cut(status, []byte("CapEff:"))
	line, _, _ := bytes.Cut(after, []byte("\n"))
	caps, _ := strconv.ParseUint(string(bytes.TrimSpace(line)), 16, 64)
	return caps&(1<<unix.CAP_SYS_RESOURCE) != 0
}
