package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/fleet"
	"github.com/mayfly-ci/mayfly/internal/fleet/fleettest"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

func TestMain(m *testing.M) {
	fleettest.Main(m, map[string]func(){"start-and-die": startAndDie})
}

// subject returns sandboxes in a folder of the test's own.
func subject(t testing.TB) fleettest.Subject {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "sandbox")
	instance := fmt.Sprintf("test%d", os.Getpid())
	open := func(t testing.TB) fleet.Launcher {
		l, err := New(t.Context(), Config{Folder: folder, Instance: instance, Agent: fleettest.Self(t), Log: slog.New(slog.DiscardHandler)})
		fleettest.Require(t, err)
		return l
	}
	first := open(t).(*Launcher)
	return fleettest.Subject{
		New: open, Limited: first.Limited(), NoCache: first.cache == cacheNone, Hidden: []string{folder, "/root", "/etc/shadow", "/sys", "/boot"},
		Leftover: func() string {
			folders, _ := filepath.Glob(folder + "/*")
			groups, _ := filepath.Glob("/sys/fs/cgroup/*/mayfly-" + instance + "*")
			processes, _ := exec.Command("pgrep", "-f", folder).Output()
			return strings.Join(folders, " ") + strings.Join(groups, " ") + string(processes)
		},
	}
}

func TestContract(t *testing.T) { fleettest.Run(t, subject(t)) }

// startAndDie is a Mayfly that is killed right after it started a runner; its
// arguments are the folder, the instance, the claim folder and the runner.
func startAndDie() {
	folder, instance, claims, runner := os.Args[2], os.Args[3], os.Args[4], os.Args[5]
	self, _ := os.Executable()
	l, err := New(context.Background(), Config{Folder: folder, Instance: instance, Agent: self})
	if err == nil {
		err = l.Start(context.Background(), fleet.Spec{
			Runner: runner, ClaimDir: claims, Network: "none", PIDs: 100,
			Command: []string{"bash", "-c", "echo ready; sleep 0.5; exit 6"},
		})
	}
	fmt.Println(err)
	syscall.Kill(os.Getpid(), syscall.SIGKILL)
}

// TestFoundByANewProcess kills the process that started a runner and finds the
// runner, and later its exit code, from another.
func TestFoundByANewProcess(t *testing.T) {
	s := subject(t)
	l := s.New(t).(*Launcher)
	r := s.NewRunner(t, "")
	starter := exec.Command(fleettest.Self(t), "start-and-die", l.config.Folder, l.config.Instance, r.Spec.ClaimDir, r.Spec.Runner)
	out, err := starter.CombinedOutput()
	t.Cleanup(func() { r.Stop(t, l, 0) })
	if starter.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL || string(out) != "<nil>\n" {
		t.Fatalf("starting: %v, %s", err, out)
	}
	if got := r.Line(t); got != "ready" {
		t.Fatal(got)
	}
	if all, err := l.List(t.Context()); err != nil || len(all) != 1 || !all[0].Running || all[0].Runner != r.Spec.Runner {
		t.Fatalf("%v, %v: want the runner", all, err)
	}
	r.Start(t, l) // finds it; starts no other
	if exit := r.Wait(t, l); exit.Code != 6 {
		t.Errorf("%v, want 6", exit)
	}
	r.Stop(t, l, 0)
	s.NothingLeft(t)
}

// TestHalfMade leaves what a crash can leave in the middle of Start.
func TestHalfMade(t *testing.T) {
	s := subject(t)
	l := s.New(t).(*Launcher)
	for name, crash := range map[string]func(run){
		"folder only":    func(r run) { os.Mkdir(r.folder, 0o700) },
		"not yet forked": func(r run) { os.Mkdir(r.folder, 0o700); os.WriteFile(r.path("status"), nil, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			r := s.NewRunner(t, "exit 5")
			crash(run{filepath.Join(l.config.Folder, r.Spec.Runner)})
			if all, err := l.List(t.Context()); err != nil || len(all) != 1 || all[0].Running {
				t.Errorf("%v, %v: want one that does not run", all, err)
			}
			if exit := r.Wait(t, l); exit.Code != fleet.CodeUnknown || exit.Note != fleet.NoteLost {
				t.Errorf("%v, want %q", exit, fleet.NoteLost)
			}
			r.Start(t, l)
			if exit := r.Wait(t, l); exit.Code != 5 {
				t.Errorf("%v, want 5", exit)
			}
			r.Stop(t, l, 0)
		})
	}
}

// TestOtherBoot takes the record of an ended runner for what it is, although its
// process number has gone to another process.
func TestOtherBoot(t *testing.T) {
	s := subject(t)
	l := s.New(t).(*Launcher)
	r := run{filepath.Join(l.config.Folder, "old")}
	os.Mkdir(r.folder, 0o700)
	namespace, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		t.Fatal(err)
	}
	status := fmt.Sprintf(`{"child-pid": %d, "pid-namespace": %s}`, os.Getpid(), strings.Trim(namespace, "pid:[]"))
	os.WriteFile(r.path("status"), []byte(status), 0o600)
	os.WriteFile(r.path("spec.json"), []byte(`{"boot":"another"}`), 0o600)
	if r.running() {
		t.Error("a process of this boot was taken for a runner of another")
	}
	if err := l.Stop(t.Context(), "old", 0); err != nil { // would kill this test
		t.Error(err)
	}
}

func TestPurge(t *testing.T) {
	s := subject(t)
	l := s.New(t).(*Launcher)
	for range 3 {
		r := s.NewRunner(t, "chmod 0 /home/runner; sleep 60")
		r.Start(t, l)
	}
	if err := l.Purge(t.Context()); err != nil {
		t.Error(err)
	}
	s.NothingLeft(t)
}

func TestNetworkOfItsOwnIsRefused(t *testing.T) {
	s := subject(t)
	r := s.NewRunner(t, "true")
	r.Spec.Network = pool.NetworkOwn
	if err := s.New(t).Start(t.Context(), r.Spec); !errors.Is(err, fleet.ErrUnsupported) {
		t.Errorf("%v, want %v", err, fleet.ErrUnsupported)
	}
}

// TestFailedStartSaysWhy passes on what bubblewrap says.
func TestFailedStartSaysWhy(t *testing.T) {
	s := subject(t)
	l := s.New(t).(*Launcher)
	l.config.Programs = map[string]string{l.config.Agent: "/usr/not/possible"}
	r := s.NewRunner(t, "true")
	if err := l.Start(t.Context(), r.Spec); err == nil || !strings.Contains(err.Error(), "/usr/not") {
		t.Errorf("%v, want what bubblewrap says of /usr/not", err)
	}
	s.NothingLeft(t)
}

func TestParseStatus(t *testing.T) {
	const whole = `{ "child-pid": 13460, "cgroup-namespace": 4026532185, "pid-namespace": 4026532184 }
{ "exit-code": 5 }
`
	for cut := range len(whole) + 1 { // at any moment, any part may be written
		s := parseStatus([]byte(whole[:cut]))
		if s.Child != 0 && (s.Child != 13460 || s.PIDNamespace != 4026532184) || s.ExitCode != nil && *s.ExitCode != 5 {
			t.Errorf("%q: %+v", whole[:cut], s)
		}
	}
	if s := parseStatus([]byte(whole)); s.Child == 0 || s.ExitCode == nil {
		t.Errorf("%+v, want all", s)
	}
}

func FuzzParseStatus(f *testing.F) {
	f.Add([]byte(`{ "child-pid": 13460, "pid-namespace": 4026532184 }` + "\n" + `{ "exit-code": 5 }`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if s := parseStatus(data); s.Child < 0 {
			t.Errorf("process %d", s.Child)
		}
	})
}

// BenchmarkStart measures Start until the agent runs, beside bubblewrap alone.
func BenchmarkStart(b *testing.B) {
	s := subject(b)
	l := s.New(b).(*Launcher)
	s.Bench(b, l)
	b.Run("bare whole", func(b *testing.B) {
		for b.Loop() {
			if out, err := exec.Command("bwrap", "--unshare-all", "--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin",
				"--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64", "--proc", "/proc", "--dev", "/dev", "true").CombinedOutput(); err != nil {
				b.Fatalf("%v: %s", err, out)
			}
		}
	})
}
