package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"golang.org/x/sys/unix"

	"github.com/mayfly-ci/mayfly/internal/docker"
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
			showSys(host)
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

// showSys gives a container on the host's network /sys as it is, read-only: nobody may mount it anew in a
// user namespace to which the network does not belong. Podman does so itself, but not with auto.
// https://github.com/containers/podman/blob/v4.3.1/pkg/specgen/generate/oci.go
func showSys(host *container.HostConfig) {
	if host.NetworkMode.IsHost() {
		host.Binds = append(host.Binds, "/sys:/sys:ro,rbind")
	}
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

// Check is [Launcher.Check] of the engine on socket.
func Check(ctx context.Context, socket string, i pool.Isolation) error {
	api, err := docker.Dial(socket)
	if err != nil {
		return err
	}
	defer api.Close()
	podman, err := docker.IsPodman(ctx, api)
	if err != nil {
		return err
	}
	return (&Launcher{api: api, podman: podman}).Check(ctx, i)
}

// Check returns why runners of isolation i cannot be started on this engine, a [fleet.Refusal]; nil when
// they can.
func (l *Launcher) Check(ctx context.Context, i pool.Isolation) error {
	if i.Runtime == "" && !i.NeedsUserNamespace() {
		return nil
	}
	// Both engines tell of their runtimes and of user namespaces here.
	// https://docs.docker.com/reference/api/engine/version/v1.41/#tag/System/operation/SystemInfo
	about, err := l.api.Info(ctx, client.InfoOptions{})
	if err != nil {
		return fmt.Errorf("asking the engine what it can do: %w", err)
	}
	if err := l.checkRuntime(i.Runtime, slices.Sorted(maps.Keys(about.Info.Runtimes))); err != nil {
		return err
	}
	return l.checkNamespace(i, about.Info.SecurityOptions)
}

func (l *Launcher) checkRuntime(name string, known []string) error {
	if name == "" || slices.Contains(known, name) {
		return nil
	}
	where := "runtimes in /etc/docker/daemon.json"
	if l.podman {
		where = "[engine.runtimes] in /etc/containers/containers.conf"
	}
	return refuse("runtime", "install it and add it to "+where, "%q: the engine knows %s", name, strings.Join(known, ", "))
}

func refuse(key, hint, format string, args ...any) error {
	return &fleet.Refusal{Key: key, Hint: hint, Err: fmt.Errorf(format, args...)}
}

// checkNamespace finds that an engine with these options cannot give a container the user namespace that it needs.
func (l *Launcher) checkNamespace(i pool.Isolation, options []string) error {
	key, value := "privileges", "sudo"
	if i.Docker.Engine {
		key, value = "docker", "engine"
	}
	has := func(option string) bool {
		return slices.ContainsFunc(options, func(s string) bool { return strings.HasPrefix(s, "name="+option) })
	}
	switch {
	case !i.NeedsUserNamespace():
		return nil
	case l.podman && has("rootless"):
		return refuse(key, "run Podman's service and mayfly up as root", "%s: Podman of an ordinary user has too few user ids for it", value)
	case l.podman:
		return checkSubIDs(key, value)
	case i.Docker.Engine:
		return refuse(key, "use Podman, as root, in place of Docker", "%s: Docker has no user namespace for a single container", value)
	case !has("userns"):
		return refuse(key, `set "userns-remap": "default" in /etc/docker/daemon.json, use Podman, or accept it with privileges: host-root`,
			"%s: Docker runs without user namespaces: root in a job would be root on this machine", value)
	}
	return nil
}

// autoUser is of whom Podman takes the ids of user namespaces.
// https://docs.podman.io/en/latest/markdown/podman-run.1.html#userns-mode
const autoUser = "containers"

// checkSubIDs finds that Podman has no ids to give.
func checkSubIDs(key, value string) error {
	for _, file := range []string{"/etc/subuid", "/etc/subgid"} {
		text, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if !slices.ContainsFunc(strings.Split(string(text), "\n"), func(line string) bool { return strings.HasPrefix(line, autoUser+":") }) {
			return refuse(key, "echo "+autoUser+":2147483647:2147483648 | tee -a /etc/subuid /etc/subgid",
				"%s: %s gives Podman no user ids for namespaces: it has no line for %s", value, file, autoUser)
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
