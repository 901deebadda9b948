package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/docker/dockertest"
	"github.com/mayfly-ci/mayfly/internal/fleet"
	"github.com/mayfly-ci/mayfly/internal/fleet/fleettest"
	"github.com/mayfly-ci/mayfly/internal/image/hosttools"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// levels are what a pool can say of its runners' isolation.
var levels = map[string]pool.Isolation{
	"strict":    {Privileges: pool.Strict},
	"sudo":      {Privileges: pool.Sudo},
	"host-root": {Privileges: pool.HostRoot},
	"docker":    {Privileges: pool.Strict, Docker: pool.Docker{Engine: true, Disk: 1 << 30}},
}

// isolated returns containers of a runner's image on Podman; the test is skipped where it has no user ids to give.
func isolated(t *testing.T) subject {
	t.Helper()
	socket := dockertest.Serve(t)
	s := on(t, socket)
	fleettest.Require(t, s.open(t, socket).Check(t.Context(), pool.Isolation{Privileges: pool.Sudo}))
	s.Image = hosttools.NewName("isolation-test")
	dockertest.Runner().Load(t, socket, s.Image)
	return s
}

// become is a script that becomes root where it can, and says who it is.
const become = `exec 2>&1; sudo -n id -u || echo no sudo; read inside outside count < /proc/self/uid_map; echo $inside $((outside != 0)) $count
sudo -n bash -c 'echo 1 > /proc/sys/kernel/sysrq' 2>/dev/null && echo SYSCTL; sudo -n dmesg 2>/dev/null | grep -q . && echo DMESG
sudo -n mknod /tmp/disk b 7 0 2>/dev/null && echo MKNOD; sudo -n cat /sys/kernel/debug/x 2>&1 | grep -q denied; grep NoNewPrivs /proc/self/status; echo end`

func TestIsolation(t *testing.T) {
	t.Parallel()
	s := isolated(t)
	t.Run("privileges", func(t *testing.T) { testPrivileges(t, s) })
	for name, i := range levels {
		t.Run("thief "+name, func(t *testing.T) { testThief(t, s, i) })
	}
}

func testPrivileges(t *testing.T, s subject) {
	for name, want := range map[string]string{
		"strict":    "no sudo\n0 0 4294967295\nNoNewPrivs:\t1\nend\n",
		"sudo":      "0\n0 1 65536\nNoNewPrivs:\t0\nend\n",
		"host-root": "0\n0 0 4294967295\nNoNewPrivs:\t0\nend\n",
		"docker":    "0\n0 1 165536\nNoNewPrivs:\t0\nend\n",
	} {
		t.Run(name, func(t *testing.T) {
			out := s.say(t, become, levels[name])
			if i := strings.LastIndex(out, "sudo: "); i >= 0 { // why it cannot
				_, out, _ = strings.Cut(out[i:], "\n")
			}
			if out != want {
				t.Errorf("%q, want %q", out, want)
			}
		})
	}
	s.NothingLeft(t)
}

// say returns what a script prints in a runner of isolation i.
func (s subject) say(t *testing.T, script string, i pool.Isolation) string {
	t.Helper()
	l, r := s.New(t), s.NewRunner(t, script)
	r.Spec.Isolation, r.Spec.Resources.Memory = i, 1<<30
	r.Start(t, l)
	defer r.Stop(t, l, 0)
	return r.Rest(t)
}

// testThief has a job that may do anything inside look for what is not its own: files of another job, the
// engine's socket, claim sockets. It fills its disk and leaves a process behind.
func testThief(t *testing.T, s subject, i pool.Isolation) {
	l := s.open(t, s.socket)
	other := s.NewRunner(t, "echo loot > ~/file; (sudo -n cp ~/file /root || true) 2>/dev/null; echo loot > /tmp/file; echo ready; sleep 4321")
	other.Spec.Isolation, other.Spec.Resources.Memory = i, 1<<30
	other.Start(t, l)
	if got := other.Line(t); got != "ready" {
		t.Fatal(got)
	}
	mark := "mayfly-thief-" + other.Spec.Runner
	thief := s.NewRunner(t, fmt.Sprintf(`as() { sudo -n "$@" 2>/dev/null || "$@" 2>/dev/null; }
as cat /proc/*/root/home/runner/file /proc/*/root/root/file /proc/*/root/tmp/file
for path in %q %q; do as ls -d $path && echo SEEN; done
as find / -xdev -name claim.sock -not -path '/run/mayfly/*'
as find / -name %q
as mount /dev/vda /mnt; as mknod /tmp/disk b 254 0 && as dd if=/tmp/disk of=/dev/null count=1 && echo DEVICE
for pid in /proc/[0-9]*; do as cat $pid/cmdline | tr '\0' ' ' | grep 'sleep 432[1]'; done
if [ -d /var/lib/mayfly ]; then as dd if=/dev/zero of=/var/lib/mayfly/full bs=1M count=4000; as stat -c 'disk %%s' /var/lib/mayfly/full; fi
(exec -a %s setsid sleep 600) > /dev/null 2>&1 &
echo end`, other.Spec.ClaimDir, s.socket, filepath.Base(s.socket), mark))
	thief.Spec.Isolation, thief.Spec.Resources.Memory = i, 1<<30
	thief.Start(t, l)
	out := thief.Rest(t)
	thief.Wait(t, l)
	thief.Stop(t, l, 0)
	out, size, _ := cutDisk(out)
	if out != "end\n" {
		t.Errorf("the thief got %q, want nothing", out)
	}
	if i.Docker.Engine && (size < 900<<20 || size > i.Docker.Disk) {
		t.Errorf("%d bytes written to a disk of %d", size, i.Docker.Disk)
	}
	if left := processes(t, mark); left != "" {
		t.Errorf("a process outlived its job: %s", left)
	}
	other.Stop(t, l, 0)
	s.NothingLeft(t)
	if left, _ := filepath.Glob(filepath.Join(s.folder, "disks", "*")); len(left) > 0 {
		t.Errorf("left: %s", left)
	}
}

// cutDisk takes the line out that says how much a thief could write.
func cutDisk(out string) (rest string, size int64, found bool) {
	before, after, found := strings.Cut(out, "disk ")
	if !found {
		return out, 0, false
	}
	_, err := fmt.Sscan(after, &size)
	_, after, _ = strings.Cut(after, "\n")
	return before + after, size, err == nil
}

// processes returns the command lines on this host that have a word in them.
func processes(t *testing.T, word string) (found string) {
	t.Helper()
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range lines {
		if line, _ := os.ReadFile(path); strings.HasPrefix(string(line), word) {
			found += path + " "
		}
	}
	return found
}

// TestCheck refuses what an engine cannot do, and says what would help.
func TestCheck(t *testing.T) {
	t.Parallel()
	dockertest.Each(t, func(t *testing.T, socket string) {
		l := on(t, socket).open(t, socket)
		err := l.Check(t.Context(), pool.Isolation{Runtime: "no-such"})
		if !errors.Is(err, fleet.ErrUnsupported) || !strings.Contains(err.Error(), `runtime "no-such": the engine knows`) || !strings.Contains(err.Error(), "runc") {
			t.Errorf("%v, want one of the runtime, with those that there are", err)
		}
		if err := l.Check(t.Context(), pool.Isolation{Privileges: pool.HostRoot}); err != nil {
			t.Errorf("host-root: %v", err)
		}
		if l.podman {
			return
		}
		for _, i := range []pool.Isolation{{Privileges: pool.Sudo}, {Docker: pool.Docker{Engine: true}}} {
			if err := l.Check(t.Context(), i); !errors.Is(err, fleet.ErrUnsupported) {
				t.Errorf("%+v on a Docker without user namespaces: %v, want a refusal", i, err)
			}
		}
	})
}

// TestRuntime starts a runner with a runtime by its name.
func TestRuntime(t *testing.T) {
	t.Parallel()
	dockertest.Each(t, func(t *testing.T, socket string) {
		s := on(t, socket)
		if got := s.say(t, "echo ran", pool.Isolation{Runtime: "runc"}); got != "ran\n" {
			t.Errorf("%q", got)
		}
	})
}
