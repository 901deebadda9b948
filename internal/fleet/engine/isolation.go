package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"golang.org/x/sys/unix"

	"github.com/mayfly-ci/mayfly/internal/fleet"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// forRoot are the capabilities of root in a container, which are Docker's defaults without those to
// make devices and raw packets.
// https://docs.docker.com/engine/containers/run/#runtime-privilege-and-linux-capabilities
var forRoot = []string{
	"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
}

// User ids of a container in a user namespace: those of an image, and for an engine in it as
// many again from 100000 on, which /etc/subuid of the image gives its user.
const (
	ids       = 65_536
	engineIDs = 100_000 + ids
)

// isolate gives a container what its pool's jobs may become. Without anything said it
// has no capability and no way to gain one.
func (l *Launcher) isolate(ctx context.Context, host *container.HostConfig, spec fleet.Spec) error {
	i := spec.Isolation
	if err := l.Check(ctx, i); err != nil {
		return err
	}
	host.Runtime = i.Runtime
	host.CapDrop = []string{"ALL"}
	switch {
	case i.NeedsUserNamespace():
		if l.podman {
			host.UsernsMode = container.UsernsMode(fmt.Sprintf("auto:size=%d", ids))
		}
		host.CapAdd = slices.Clone(forRoot)
	case i.Privileges == pool.HostRoot:
		host.CapAdd = slices.Clone(forRoot)
	default:
		host.SecurityOpt = []string{"no-new-privileges"}
	}
	if i.Docker.Engine {
		return l.engineInside(ctx, host, spec)
	}
	return nil
}

// engineInside makes room for an engine in a container, each option for a reason. SYS_ADMIN counts in the
// container's user namespace only: Podman mounts with it, and newuidmap asks for it. Engines mask what is
// in /proc and /sys, and the kernel lets nobody mount them anew whose own have parts masked; network rules of
// inner containers are there, too. AppArmor's profile for containers forbids to mount. Inner networks are
// taps. Overlays cannot be stacked, so the engine keeps everything on a disk.
func (l *Launcher) engineInside(ctx context.Context, host *container.HostConfig, spec fleet.Spec) error {
	tap, err := l.tap()
	if err != nil {
		return err
	}
	disk, err := l.makeDisk(ctx, spec.Runner, spec.Isolation.Docker.Disk)
	if err != nil {
		return err
	}
	host.UsernsMode = container.UsernsMode(fmt.Sprintf("auto:size=%d", engineIDs))
	host.CapAdd = append(host.CapAdd, "SYS_ADMIN")
	host.SecurityOpt = append(host.SecurityOpt, "unmask=ALL", "apparmor=unconfined")
	host.DeviceCgroupRules = append(host.DeviceCgroupRules, "c 10:200 rwm")
	host.Binds = append(host.Binds, tap+":/dev/net/tun:dev", disk+":"+pool.DockerFolder+":U")
	return nil
}

// Check returns why runners of isolation i cannot be started on this engine, and what would help; nil
// when they can.
func (l *Launcher) Check(ctx context.Context, i pool.Isolation) error {
	return errors.Join(l.checkRuntime(ctx, i.Runtime), l.checkNamespace(ctx, i))
}

// checkRuntime finds a runtime that the engine does not know, in what both engines say of themselves.
// https://docs.docker.com/reference/api/engine/version/v1.41/#tag/System/operation/SystemInfo
func (l *Launcher) checkRuntime(ctx context.Context, name string) error {
	if name == "" {
		return nil
	}
	about, err := l.api.Info(ctx, client.InfoOptions{})
	if err != nil {
		return fmt.Errorf("asking the engine for its runtimes: %w", err)
	}
	if _, known := about.Info.Runtimes[name]; known {
		return nil
	}
	var names []string
	for name := range about.Info.Runtimes {
		names = append(names, name)
	}
	slices.Sort(names)
	where := "runtimes in /etc/docker/daemon.json"
	if l.podman {
		where = "[engine.runtimes] in /etc/containers/containers.conf"
	}
	return fmt.Errorf("runtime %q: %w: the engine knows %s: add it to %s", name, fleet.ErrUnsupported, strings.Join(names, ", "), where)
}

// checkNamespace finds that an engine cannot give a container a user namespace that is needed.
func (l *Launcher) checkNamespace(ctx context.Context, i pool.Isolation) error {
	if !i.NeedsUserNamespace() {
		return nil
	}
	what := "privileges: sudo"
	if i.Docker.Engine {
		what = "docker: engine"
	}
	about, err := l.api.Info(ctx, client.InfoOptions{})
	if err != nil {
		return fmt.Errorf("asking the engine for user namespaces: %w", err)
	}
	has := func(option string) bool {
		return slices.ContainsFunc(about.Info.SecurityOptions, func(s string) bool { return strings.HasPrefix(s, "name="+option) })
	}
	switch {
	case l.podman && has("rootless"):
		return fmt.Errorf("%s: %w: Podman of an ordinary user has too few user ids: run Podman's service and mayfly up as root", what, fleet.ErrUnsupported)
	case l.podman:
		return checkSubIDs(what)
	case i.Docker.Engine:
		return fmt.Errorf("%s: %w: Docker has no user namespace by container: use Podman as root", what, fleet.ErrUnsupported)
	case !has("userns"):
		return fmt.Errorf("%s: %w: Docker runs without user namespaces, so that root in a job would be root on this machine: "+
			`set "userns-remap": "default" in /etc/docker/daemon.json, use Podman, or accept it with privileges: host-root`, what, fleet.ErrUnsupported)
	}
	return nil
}

// autoUser is of whom Podman takes the ids of user namespaces.
// https://docs.podman.io/en/latest/markdown/podman-run.1.html#userns-mode
const autoUser = "containers"

// checkSubIDs finds that Podman has no ids to give.
func checkSubIDs(what string) error {
	for _, file := range []string{"/etc/subuid", "/etc/subgid"} {
		text, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if !slices.ContainsFunc(strings.Split(string(text), "\n"), func(line string) bool { return strings.HasPrefix(line, autoUser+":") }) {
			return fmt.Errorf("%s: %w: %s gives Podman no user ids for namespaces: "+
				"echo %s:2147483647:2147483648 | tee -a /etc/subuid /etc/subgid", what, fleet.ErrUnsupported, file, autoUser)
		}
	}
	return nil
}

// tap returns a device for taps that everybody may open, as udev makes it; where there is
// no udev, one of ours.
func (l *Launcher) tap() (string, error) {
	const usual = "/dev/net/tun"
	if info, err := os.Stat(usual); err == nil && info.Mode().Perm()&0o006 == 0o006 {
		return usual, nil
	}
	ours := l.config.Folder + "/tun"
	if _, err := os.Stat(ours); err == nil {
		return ours, nil
	}
	if err := os.MkdirAll(l.config.Folder, 0o700); err != nil {
		return "", err
	}
	if err := unix.Mknod(ours, unix.S_IFCHR|0o666, int(unix.Mkdev(10, 200))); err != nil && !errors.Is(err, os.ErrExist) {
		return "", fmt.Errorf("making a device for the networks of docker: engine: %w", err)
	}
	return ours, os.Chmod(ours, 0o666)
}
