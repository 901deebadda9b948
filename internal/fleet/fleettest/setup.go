package fleettest

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/fleet"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// testSharedMemory writes to /dev/shm up to its end.
func testSharedMemory(t *testing.T, s Subject) {
	const script = `df -k --output=size /dev/shm | tail -1; for m in 90 20; do head -c ${m}M /dev/zero > /dev/shm/$m 2>/dev/null && echo $m; done`
	out, _ := s.run(t, script, func(s *fleet.Spec) { s.Setup.SharedMemory = 100 << 20 })
	if got := strings.Join(strings.Fields(out), " "); got != "102400 90" {
		t.Errorf("%q, want 102400 KiB, of which 90 MiB can be written and not 110", got)
	}
}

// testUlimits reads the limits of a job's processes, and raises one.
func testUlimits(t *testing.T, s Subject) {
	out, _ := s.run(t, `ulimit -Sn; ulimit -Hn; ulimit -c; ulimit -n 7000 && echo raised; ulimit -n 7001 2>/dev/null || echo refused`, func(s *fleet.Spec) {
		s.Setup.Ulimits = map[string]pool.Ulimit{"nofile": {Soft: 6000, Hard: 7000}, "core": {}}
	})
	if got := strings.Join(strings.Fields(out), " "); got != "6000 7000 0 raised refused" {
		t.Errorf("%q, want 6000 open files, which can be raised to 7000, and no core", got)
	}
}

// testEnvironment reads a variable of the pool's, also one that runners have anyway.
func testEnvironment(t *testing.T, s Subject) {
	out, _ := s.run(t, `echo "$GREETING|$LANG"`, func(s *fleet.Spec) {
		s.Setup.Env = map[string]string{"GREETING": "good 'morning'", "LANG": "de_DE.UTF-8"}
	})
	if out != "good 'morning'|de_DE.UTF-8\n" {
		t.Errorf("%q", out)
	}
}

// testMounts reads and writes what is mounted: a folder that only its owner can reach by its path, a file, and a folder to write to.
func testMounts(t *testing.T, s Subject) {
	folder, shared := t.TempDir(), t.TempDir()
	file := filepath.Join(folder, "tool")
	if err := errors.Join(os.WriteFile(file, []byte("tool\n"), 0o644), os.Chmod(shared, 0o777)); err != nil {
		t.Fatal(err)
	}
	out, _ := s.run(t, `cat /opt/tools/tool /opt/one; for f in /opt/tools/tool /opt/tools/x /opt/one; do echo 2>/dev/null > $f && echo WRITTEN $f; done; echo mine > /opt/shared/x`,
		func(s *fleet.Spec) {
			s.Setup.Mounts = []pool.Mount{
				{Source: folder, Target: "/opt/tools"}, {Source: file, Target: "/opt/one"}, {Source: shared, Target: "/opt/shared", Writable: true},
			}
		})
	if out != "tool\ntool\n" {
		t.Errorf("%q, want the file twice, and nothing written", out)
	}
	if left, err := os.ReadFile(filepath.Join(shared, "x")); string(left) != "mine\n" {
		t.Errorf("the folder to write to has %q, %v", left, err)
	}
}

// testLogs reads what a container prints, at its end and as it comes. The stand-in of an agent prints to the container's
// log what its runner does not.
func testLogs(t *testing.T, s Subject) {
	l, r := s.New(t), s.NewRunner(t, `echo ready; sleep 60`)
	if err := l.(fleet.LogReader).Logs(t.Context(), r.Spec.Runner, fleet.LogQuery{Lines: 10}, io.Discard); !errors.Is(err, fleet.ErrNotFound) {
		t.Errorf("of no runner: %v, want %v", err, fleet.ErrNotFound)
	}
	r.Start(t, l)
	r.Line(t)
	if got := logs(t, l, r, fleet.LogQuery{Lines: 2}); got != "line 2\nline 3\n" {
		t.Errorf("%q, want the last two lines", got)
	}
	followed := make(chan string)
	go func() { followed <- logs(t, l, r, fleet.LogQuery{Lines: 1, Follow: true}) }()
	r.Stop(t, l, patience)
	// Less, if it had ended when the reading began, or was removed before all was read.
	if got := <-followed; got != "terminated\n" && !strings.HasPrefix("line 3\nterminated\n", got) {
		t.Errorf("%q, want a line and what came after it", got)
	}
}

func logs(t *testing.T, l fleet.Launcher, r *Runner, q fleet.LogQuery) string {
	var out strings.Builder
	if err := l.(fleet.LogReader).Logs(t.Context(), r.Spec.Runner, q, &out); err != nil && !errors.Is(err, fleet.ErrNotFound) {
		t.Error(err)
	}
	return out.String()
}
