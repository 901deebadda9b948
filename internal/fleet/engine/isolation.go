package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"golang.org/x/sys/unix"

	"github.com/mayfly-ci/mayfly/internal/docker"
	"github.com/mayfly-ci/mayfly/internal/fleet"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// forRoot are the capabilities of root in a container: Docker's defaults without those to create
// devices and raw packets.
// https://docs.docker.com/engine/containers/run/#runtime-privilege-and-linux-capabilities
var forRoot = []string{
	"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
}

// User ids of a container in a user namespace: those of an image, and as many again from 100000
// on for an engine in it, which the image's /etc/subuid assigns to its user.
const (
	ids       = 65_536
	engineIDs = 100_000 + ids
)

// isolate sets the privileges of a container. By default it has no capability and no way to gain
// one.
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
			if err := l.showSys(host); err != nil {
				return err
			}
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

// showSys mounts the host's sysfs into a container on the host's network, because the kernel lets a user namespace mount
// sysfs only if it owns the network namespace. Podman does the same by itself, but not with auto. The sysfs is a separate mount
// of ours, because the host's has other mounts below it: the kernel would require to show all of them, and an engine in
// the container would take the host's control groups for its own.
// https://github.com/containers/podman/blob/v4.3.1/pkg/specgen/generate/oci.go
func (l *Launcher) showSys(host *container.HostConfig) error {
	if !host.NetworkMode.IsHost() {
		return nil
	}
	l.network.Lock()
	defer l.network.Unlock()
	if !isMounted(l.sysfs()) {
		if err := os.MkdirAll(l.sysfs(), 0o755); err != nil {
			return err
		}
		if err := unix.Mount("sysfs", l.sysfs(), "sysfs", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
			return fmt.Errorf("mounting sysfs for a user namespace on the host's network: %w", err)
		}
	}
	host.Binds = append(host.Binds, l.sysfs()+":/sys:ro,rbind")
	return nil
}

func (l *Launcher) sysfs() string { return filepath.Join(l.config.Folder, "sys") }

// removeShared removes what runners of [Launcher.isolate] share.
func (l *Launcher) removeShared() error {
	var errs []error
	if isMounted(l.sysfs()) {
		errs = append(errs, unix.Unmount(l.sysfs(), unix.MNT_DETACH))
	}
	for _, path := range []string{l.sysfs(), filepath.Join(l.config.Folder, "tun")} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// engineInside lets a container run an engine. Each option has a reason:
//   - SYS_ADMIN is effective only in the container's user namespace. Podman needs it to mount, and newuidmap
//     requires it.
//   - Nothing in /proc and /sys is masked, as it is by default: the kernel refuses new mounts of either to a process
//     whose own are partly masked. Inner containers also need the network settings there.
//   - AppArmor's profile for containers forbids mounts, so it is off.
//   - Inner networks use taps, so the container gets the device for them.
//   - Overlays cannot be stacked, so the engine keeps its data on a disk.
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

// Check is [Launcher.Check] for the engine on socket.
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

// Check returns a [fleet.Refusal] if this engine cannot start runners with isolation i, else nil.
func (l *Launcher) Check(ctx context.Context, i pool.Isolation) error {
	if i.Runtime == "" && !i.NeedsUserNamespace() {
		return nil
	}
	// Both engines list their runtimes and support for user namespaces here.
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

// checkNamespace returns a Refusal if an engine with these options cannot create the user namespace that i needs.
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

// autoUser is the user whose ids Podman assigns to user namespaces.
// https://docs.podman.io/en/latest/markdown/podman-run.1.html#userns-mode
const autoUser = "containers"

// checkSubIDs returns a Refusal if Podman has no ids to assign.
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

// tap returns a device for taps that every user may open. udev creates one; on a host without
// udev, tap creates it.
func (l *Launcher) tap() (string, error) {
	const usual = "/dev/net/tun"
	if info, err := os.Stat(usual); err == nil && info.Mode().Perm()&0o006 == 0o006 {
		return usual, nil
	}
	ours := l.config.Folder + "/tun"
	switch info, err := os.Stat(ours); {
	case err == nil && info.Mode()&os.ModeCharDevice != 0:
		return ours, nil
	case err == nil: // Podman creates a folder in place of a missing device, so it is not left to Podman
		if err := os.RemoveAll(ours); err != nil {
			return "", err
		}
	}
	if err := os.MkdirAll(l.config.Folder, 0o700); err != nil {
		return "", err
	}
	if err := unix.Mknod(ours, unix.S_IFCHR|0o666, int(unix.Mkdev(10, 200))); err != nil && !errors.Is(err, os.ErrExist) {
		return "", fmt.Errorf("making a device for the networks of docker: engine: %w", err)
	}
	return ours, os.Chmod(ours, 0o666)
}
