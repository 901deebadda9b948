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

// ulimits returns the limits of a runner's processes. A limit that s does not name gets a default here,
// because Podman does not apply its own defaults to API requests. Without any, it asks for more than root
// without CAP_SYS_RESOURCE can give.
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

// mostFiles returns how many open files the engine on socket can probably allow a process. An engine of
// another user has its own limits, which are generous. One that this user runs has this process's limits,
// and can exceed them only with a capability.
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

// canExceed reports whether this process may exceed its hard limits, that is, has CAP_SYS_RESOURCE.
func canExceed() bool {
	status, _ := os.ReadFile("/proc/self/status")
	_, after, _ := bytes.Cut(status, []byte("CapEff:"))
	line, _, _ := bytes.Cut(after, []byte("\n"))
	caps, _ := strconv.ParseUint(string(bytes.TrimSpace(line)), 16, 64)
	return caps&(1<<unix.CAP_SYS_RESOURCE) != 0
}
