package sandbox

import (
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/fleet"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// The user inside every sandbox, as in GitHub's runner images.
const (
	id     = "1001"
	home   = pool.Home
	passwd = "root:x:0:0:root:/nonexistent:/usr/sbin/nologin\nrunner:x:" + id + ":" + id + ":runner:" + home + ":/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
	group  = "root:x:0:\nrunner:x:" + id + ":\nnogroup:x:65534:\n"
)

// programs returns the host's folders of programs and libraries.
func programs() []string {
	return []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"}
}

// settings returns the files of /etc that programs cannot do without: names, time, the
// distribution, certificates, libraries and alternatives. None is secret.
func settings() []string {
	return []string{
		"/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d",
		"/etc/hosts", "/etc/host.conf", "/etc/gai.conf", "/etc/nsswitch.conf", "/etc/resolv.conf",
		"/etc/os-release", "/etc/debian_version", "/etc/lsb-release",
		"/etc/protocols", "/etc/services", "/etc/localtime", "/etc/timezone", "/etc/mime.types",
		"/etc/ssl/certs", "/etc/ssl/cert.pem", "/etc/ssl/openssl.cnf", "/etc/ca-certificates", "/etc/pki/ca-trust", "/etc/pki/tls/certs",
	}
}

// arguments returns bubblewrap's arguments up to and including "--". Files that the sandbox's
// user cannot read directly are added to sources.
func (l *Launcher) arguments(r run, spec fleet.Spec, laid []binding, sources *stage) []string {
	args := []string{
		"--json-status-fd", "3", "--as-pid-1", "--new-session",
		"--unshare-user", "--unshare-all", "--hostname", spec.Runner, "--uid", id, "--gid", id,
	}
	if l.noNest {
		args = append(args, "--disable-userns")
	}
	if spec.Network == pool.NetworkHost {
		args = append(args, "--share-net")
	}
	args = append(args, l.files(r, spec, laid, sources)...)
	args = append(args, environment(spec.Setup.Environ())...)
	return append(args, "--chdir", home, "--")
}

// files returns the mounts. Their order matters: a mount hides earlier ones below its target.
func (l *Launcher) files(r run, spec fleet.Spec, laid []binding, sources *stage) []string {
	var args []string
	add := func(words ...string) { args = append(args, words...) }
	for _, folder := range programs() {
		if target, err := os.Readlink(folder); err == nil {
			add("--symlink", target, folder)
		} else {
			add("--ro-bind-try", folder, folder)
		}
	}
	for _, file := range settings() {
		add("--ro-bind-try", file, file)
	}
	if l.cache != cacheNone {
		if l.cache == cacheStaged {
			add("--ro-bind", sources.share(), "/usr/share")
		}
		add("--tmpfs", pool.CacheFolder)
	}
	add("--ro-bind", sources.path(r.path("passwd")), "/etc/passwd")
	add("--ro-bind", sources.path(r.path("group")), "/etc/group")
	add("--proc", "/proc", "--dev", "/dev")
	if size := spec.Setup.SharedMemory; size > 0 && l.sizes {
		add("--perms", "1777", "--size", strconv.FormatInt(size, 10), "--tmpfs", "/dev/shm")
	}
	add("--perms", "1777", "--tmpfs", "/tmp", "--tmpfs", "/run", "--tmpfs", "/var", "--perms", "1777", "--dir", "/var/tmp")
	add("--bind", sources.path(r.path("home")), home)
	for _, m := range laid {
		add("--ro-bind", sources.path(m.host), m.inside)
	}
	for _, host := range slices.Sorted(maps.Keys(l.config.Programs)) {
		if inside := l.config.Programs[host]; !inHome(inside) { // see layAll for programs in the home
			add("--ro-bind", sources.path(host), inside)
		}
	}
	for _, m := range spec.Setup.Mounts {
		bind := "--ro-bind"
		if m.Writable {
			bind = "--bind"
		}
		add(bind, sources.path(m.Source), m.Target)
	}
	add("--ro-bind", sources.path(l.config.Agent), fleet.AgentPath)
	add("--ro-bind", sources.path(spec.ClaimDir), fleet.ClaimMount)
	add("--remount-ro", "/")
	return args
}

// environment returns the agent's whole environment. Of two values of a name the later one counts.
func environment(more []string) []string {
	args := []string{"--clearenv"}
	for _, v := range append([]string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=" + home, "USER=runner", "LOGNAME=runner", "SHELL=/bin/bash", "LANG=C.UTF-8",
	}, more...) {
		name, value, _ := strings.Cut(v, "=")
		args = append(args, "--setenv", name, value)
	}
	return args
}
