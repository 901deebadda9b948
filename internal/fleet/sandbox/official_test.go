package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/fleet/fleettest"
	"github.com/mayfly-ci/mayfly/internal/fleet/fleettest/official"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// officialAt returns sandboxes with GitHub's runner at inside, and where it is on the host.
func officialAt(t *testing.T, inside string) (fleettest.Subject, *Launcher, string) {
	t.Helper()
	s := subject(t)
	l := s.New(t).(*Launcher)
	host := filepath.Join(t.TempDir(), "actions-runner")
	if err := official.LayOut(host, ""); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".credentials", ".runner", "_work"} { // somebody configured it
		if err := os.WriteFile(filepath.Join(host, name), []byte("somebody's"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l.config.Programs = map[string]string{host: inside}
	return s, l, host
}

// TestOfficialRunner runs GitHub's run.sh in the home, where it writes beside itself.
func TestOfficialRunner(t *testing.T) {
	s, l, host := officialAt(t, pool.Home)
	before := tree(t, host)
	r := s.NewRunner(t, `grep -q somebody .runner .credentials 2>/dev/null && echo LEAK; /home/runner/run.sh; echo "code $?"
		ls -A | tr '\n' ' '; echo >> bin/Runner.Listener && echo "program written"; mv externals e && echo renamed; e/node24/bin/node && echo node`)
	r.Start(t, l)
	out := r.Rest(t)
	for _, line := range []string{
		"Listening for Jobs", "Runner listener exit with 0 return code", "Exiting runner...", "code 0", "_diag", "run-helper.sh", "renamed", "node",
	} {
		if !strings.Contains(out, line) {
			t.Errorf("output lacks %q:\n%s", line, out)
		}
	}
	bad := []string{"LEAK", "cannot"}
	if l.cache != cacheNone {
		bad = append(bad, "slow start")
	} else if l.asRoot {
		t.Error("NOT TESTED HERE: no folder for the runner's cache")
	}
	for _, line := range bad {
		if strings.Contains(out, line) {
			t.Errorf("output has %q:\n%s", line, out)
		}
	}
	r.Wait(t, l)
	r.Stop(t, l, 0)
	s.NothingLeft(t)
	if after := tree(t, host); after != before {
		t.Errorf("the host's folder has changed:\n%s\nwas\n%s", after, before)
	}
}

// tree lists a folder: names, modes, sizes and times of change of what is in files.
func tree(t *testing.T, folder string) string {
	t.Helper()
	var list strings.Builder
	err := filepath.Walk(folder, func(path string, info os.FileInfo, err error) error {
		if err == nil {
			list.WriteString(strings.Join([]string{path, info.Mode().String(), info.ModTime().String()}, " ") + "\n")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list.String()
}

// TestOfficialRunnerUpdatesItself has GitHub tell the runner so: bin and externals are
// renamed, and the new ones started.
func TestOfficialRunnerUpdatesItself(t *testing.T) {
	s, l, _ := officialAt(t, pool.Home)
	r := s.NewRunner(t, `MAYFLY_TEST_UPDATE=1 ./run.sh; cat _diag/SelfUpdate.log; readlink bin externals`)
	r.Start(t, l)
	out := r.Rest(t)
	for _, line := range []string{"Update finished successfully.", "Restarting runner...", "bin.2.337.0", "externals.2.337.0"} {
		if !strings.Contains(out, line) {
			t.Errorf("output lacks %q:\n%s", line, out)
		}
	}
	if n := strings.Count(out, "Listening for Jobs"); n != 2 {
		t.Errorf("listened %d times, want before and after the update:\n%s", n, out)
	}
}

// TestOfficialRunnerElsewhere shows why it has to be in the home.
func TestOfficialRunnerElsewhere(t *testing.T) {
	s, l, _ := officialAt(t, "/opt/actions-runner")
	r := s.NewRunner(t, `/opt/actions-runner/run.sh; echo "code $?"`)
	r.Start(t, l)
	if out := r.Rest(t); !strings.Contains(out, "Read-only file system") || strings.Contains(out, "Listening") {
		t.Errorf("%s\nwant a runner that cannot write beside itself", out)
	}
}

// TestOfficialRunnerInParts lays more than one thing, below the home.
func TestOfficialRunnerInParts(t *testing.T) {
	s, l, host := officialAt(t, "/home/runner/actions/runner")
	l.config.Programs[filepath.Join(host, "safe_sleep.sh")] = "/home/runner/bin/zzz"
	r := s.NewRunner(t, `actions/runner/run.sh | grep -c Listening; bin/zzz 0 && touch actions/x bin/y && echo mine`)
	r.Start(t, l)
	if out := r.Rest(t); out != "1\nmine\n" {
		t.Errorf("%q", out)
	}
}

// TestUpdatedHost lays a host's runner that has updated itself: its links are of full paths.
func TestUpdatedHost(t *testing.T) {
	s, l, host := officialAt(t, pool.Home)
	if err := os.Rename(host+"/bin", host+"/bin.2.336.0"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(host+"/bin.2.336.0", host+"/bin"); err != nil {
		t.Fatal(err)
	}
	r := s.NewRunner(t, `./run.sh | grep -c Listening`)
	r.Start(t, l)
	if out := r.Rest(t); out != "1\n" {
		t.Errorf("%q", out)
	}
}

// TestMemoryIsCounted has the kernel kill a process of a job that goes on and ends well.
func TestMemoryIsCounted(t *testing.T) {
	s := subject(t)
	if !s.Limited {
		t.Skip("NOT TESTED HERE: no limits")
	}
	l := s.New(t)
	r := s.NewRunner(t, `head -c 300000000 /dev/zero | tail | wc -c; exit 0`)
	r.Spec.Resources.Memory = 64 << 20
	r.Start(t, l)
	exit := r.Wait(t, l)
	if m := exit.Memory; exit.Code != 0 || m.Kills != 1 || m.Limit != 64<<20 || m.Peak < 32<<20 || m.Peak > 64<<20 || exit.Note != "" {
		t.Errorf("%+v, want one kill at 64 MiB of a runner that ended well", exit)
	}
}

// TestNoRouteWithoutNetwork looks at routes, and sends nothing: with network none a
// runner has none, so it reaches no metadata service of a cloud.
func TestNoRouteWithoutNetwork(t *testing.T) {
	s := subject(t)
	l := s.New(t)
	r := s.NewRunner(t, `tail -n +2 /proc/net/route | wc -l; grep -vc ' lo$' /proc/net/ipv6_route`)
	r.Start(t, l)
	if out := r.Rest(t); !strings.HasPrefix(out, "0\n") {
		t.Errorf("%q, want no route", out)
	}
}

// BenchmarkLay measures what it costs to lay a runner of the size of GitHub's: some
// 12,000 files, of which 600 are in bin.
func BenchmarkLay(b *testing.B) {
	host := b.TempDir()
	for i := range 1200 {
		folder := filepath.Join(host, "externals", fmt.Sprintf("node%d", i%4), strconv.Itoa(i))
		if i < 60 {
			folder = filepath.Join(host, "bin")
		}
		if err := os.MkdirAll(folder, 0o755); err != nil {
			b.Fatal(err)
		}
		for j := range 10 {
			if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%d-%d", i, j)), make([]byte, 8<<10), 0o644); err != nil {
				b.Fatal(err)
			}
		}
	}
	for b.Loop() {
		to := filepath.Join(b.TempDir(), "home")
		if _, err := (laying{host, to, pool.Home, 12345}).lay(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		os.RemoveAll(to)
		b.StartTimer()
	}
}
