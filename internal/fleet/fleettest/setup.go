package fleettest

import (
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
