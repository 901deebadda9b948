package fleettest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/fleet"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// testLimits runs into each limit.
func testLimits(t *testing.T, s Subject) {
	if !s.Limited && os.Geteuid() == 0 {
		Require(t, errors.New("limits: root has none here"))
	} else if !s.Limited {
		t.Skip("NOT TESTED HERE: an ordinary user has no limits to give")
	}
	t.Run("memory", func(t *testing.T) {
		_, exit := s.run(t, `exec dd bs=100M count=1 if=/dev/zero of=/dev/null`,
			func(s *fleet.Spec) { s.Resources.Memory = 40 << 20 })
		if exit.Code != 137 || exit.Note != fleet.NoteOutOfMemory {
			t.Errorf("%v, want %q", exit, fleet.NoteOutOfMemory)
		}
	})
	t.Run("processes", func(t *testing.T) {
		out, _ := s.run(t, `timeout 1 bash -c 'for i in {1..60}; do sleep 5 & done; echo DONE'`, func(s *fleet.Spec) { s.PIDs = 40 })
		if !strings.Contains(out, "fork") || strings.Contains(out, "DONE") {
			t.Errorf("%q, want a fork that is refused", out)
		}
	})
	t.Run("processors", func(t *testing.T) {
		out, _ := s.run(t, `timeout 1 bash -c 'while :; do :; done'; times > /tmp/t; { read own; read children kernel; } < /tmp/t; echo $children`,
			func(s *fleet.Spec) { s.Resources.CPUs = 0.2 })
		seconds, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(out), "0m"), "s"), 64)
		if err != nil || seconds > 0.5 || seconds == 0 {
			t.Errorf("%q of a second's work used (%v), want about 0.2", out, err)
		}
	})
}

// testIdentity tests what a runner is and what it may.
func testIdentity(t *testing.T, s Subject) {
	out, _ := s.run(t, `id -u; whoami; echo $HOME; touch ~/mine && echo writes
grep -E '^(CapInh|CapPrm|CapEff|CapAmb|NoNewPrivs)' /proc/self/status
echo 1 2>/dev/null > /proc/sys/kernel/sysrq || echo sysctl refused
cat /etc/shadow 2>/dev/null || echo shadow refused
mount -t tmpfs x /mnt 2>/dev/null || echo mount refused
touch /tmp/mine /var/tmp/mine && echo scratch
ls /run/mayfly`)
	const want = `1001
runner
/home/runner
writes
CapInh:	0000000000000000
CapPrm:	0000000000000000
CapEff:	0000000000000000
CapAmb:	0000000000000000
NoNewPrivs:	1
sysctl refused
shadow refused
mount refused
scratch
`
	if !strings.HasPrefix(out, want) {
		t.Errorf("%s\nwant\n%s", out, want)
	}
	// An ordinary user's sandbox is that user, whose the folder is.
	if os.Geteuid() == 0 && strings.Contains(out, filepath.Base(fleet.ClaimSocket)) {
		t.Error("the claim folder can be listed")
	}
}

// testHidden looks for what belongs to the host: files, processes, environment.
func testHidden(t *testing.T, s Subject) {
	var look strings.Builder
	for _, path := range s.Hidden {
		fmt.Fprintf(&look, "ls -d %q 2>/dev/null && echo SE''EN\n", path)
	}
	out, _ := s.run(t, look.String()+`env; cat /proc/*/environ | tr '\0' '\n'; cat /proc/*/cmdline | tr '\0' ' '; ls -l /proc/self/fd /proc/1/fd`)
	for _, path := range s.Hidden {
		out = strings.ReplaceAll(out, "ls -d "+strconv.Quote(path), "") // the script itself, among the command lines
	}
	if strings.Contains(out, hostSecret) || strings.Contains(out, "SEEN") || strings.Contains(out, "-test.") {
		t.Errorf("of the host is seen: %s", out)
	}
}

// testNeighbours looks for another runner from within one.
func testNeighbours(t *testing.T, s Subject) {
	l, other := s.New(t), s.NewRunner(t, "echo secret > ~/file; echo secret > /tmp/file; echo ready; sleep 60")
	other.Start(t, l)
	other.Line(t)
	out, _ := s.run(t, fmt.Sprintf(`cat ~/file /tmp/file 2>/dev/null; cat /proc/*/root/home/runner/file 2>/dev/null
cat /proc/*/cmdline | tr '\0' ' ' | grep -c 'sleep 60'; ls -d %q 2>/dev/null`, other.Spec.ClaimDir))
	if strings.Contains(out, "secret") || strings.Contains(out, other.Spec.ClaimDir) {
		t.Errorf("another runner is seen: %s", out)
	}
}

// testNetwork tests what is in reach with the networks every launcher has.
func testNetwork(t *testing.T, s Subject) {
	host, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	dial := fmt.Sprintf("echo hello 2>/dev/null > /dev/tcp/127.0.0.1/%d && echo connected || echo refused", host.Addr().(*net.TCPAddr).Port)
	for network, want := range map[pool.Network]string{pool.NetworkHost: "connected\n", pool.NetworkNone: "refused\n"} {
		if out, _ := s.run(t, dial, func(s *fleet.Spec) { s.Network = network }); out != want {
			t.Errorf("network %s: %q, want %q", network, out, want)
		}
	}
}

func testReadOnlyRoot(t *testing.T, s Subject) {
	out, _ := s.run(t, `for d in / /usr /etc /opt/mayfly /run/mayfly; do touch $d/x 2>/dev/null && echo $d; done
for d in ~ /tmp /var/tmp; do touch $d/x || echo $d; done; echo end`, func(s *fleet.Spec) { s.ReadOnlyRoot = true })
	if out != "end\n" {
		t.Errorf("to be written, or not, against expectation: %s", out)
	}
}

// testCache writes where GitHub's runner keeps its cache, which takes it a second when it cannot.
func testCache(t *testing.T, s Subject) {
	if s.NoCache {
		t.Skip("NOT TESTED HERE: runners have no folder for the runner's cache")
	}
	for _, readOnly := range []bool{false, true} {
		out, _ := s.run(t, "touch "+pool.CacheFolder+"/x && echo cache; ls /usr/share | wc -l", func(s *fleet.Spec) { s.ReadOnlyRoot = readOnly })
		if !strings.HasPrefix(out, "cache\n") {
			t.Errorf("read-only root %v: %q, want a folder to write to", readOnly, out)
		}
	}
}
