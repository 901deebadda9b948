// Package fleettest is the contract of a [fleet.Launcher] as a test, which every
// launcher passes with real containers.
package fleettest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/fleet"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// A Subject is a launcher under test. Its tests call [Main] from TestMain and give
// the launcher the test binary ([Self]) as agent; containers need bash and coreutils.
type Subject struct {
	New      func(t testing.TB) fleet.Launcher // another value each time, for the same instance
	Image    string
	Limited  bool          // limits of processors, memory and processes hold
	NoCache  bool          // runners have no pool.CacheFolder
	Hidden   []string      // paths of this host that no runner may see
	Leftover func() string // what of the instance is left on this host; "" for nothing
}

// Require says loudly that a test cannot run here, and why; in CI, where
// everything is there, that is a failure.
func Require(t testing.TB, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("CI must be able to test this: %v", err)
	}
	t.Skipf("NOT TESTED HERE: %v", err)
}

// Self returns the path of the test binary.
func Self(t testing.TB) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

const patience = 4 * time.Minute // for what should take milliseconds, beside others that load the machine

// Run tests that s keeps the contract.
func Run(t *testing.T, s Subject) {
	tests := map[string]func(*testing.T, Subject){
		"exit codes":                    testExitCodes,
		"start again":                   testStartAgain,
		"start at once":                 testStartAtOnce,
		"refused specs":                 testRefusedSpecs,
		"graceful stop":                 testGracefulStop,
		"hard stop":                     testHardStop,
		"nothing there":                 testNothingThere,
		"list":                          testList,
		"found again":                   testFoundAgain,
		"wait is given up":              testWaitIsGivenUp,
		"limits":                        testLimits,
		"identity":                      testIdentity,
		"sees nothing of the host":      testHidden,
		"sees nothing of other runners": testNeighbours,
		"network":                       testNetwork,
		"read-only root":                testReadOnlyRoot,
		"runner's cache":                testCache,
		"shared memory":                 testSharedMemory,
		"limits of processes":           testUlimits,
		"environment":                   testEnvironment,
		"mounts":                        testMounts,
		"logs":                          testLogs,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Cleanup(func() {
				s.NothingLeft(t)
			})
			test(t, s)
		})
	}
}

// NothingLeft fails t when something of s is left. A process that has already let
// go of everything may still be on its way out, so it looks again for a while.
func (s Subject) NothingLeft(t testing.TB) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	left := s.Leftover()
	for end := time.Now().Add(patience); left != "" && time.Now().Before(end); left = s.Leftover() {
		<-tick.C
	}
	if left != "" {
		t.Errorf("left: %s", left)
	}
}

// sequence makes names unique within a test binary.
type sequence struct{ n atomic.Int64 }

func (s *sequence) next(t testing.TB) string {
	return fmt.Sprintf("t%d-%d", os.Getpid(), s.n.Add(1))
}

// A Runner is one container of a test and the line to it.
type Runner struct {
	Spec   fleet.Spec
	claims net.Listener
	out    *bufio.Reader
}

var runners sequence

// NewRunner returns a runner of script, not started, whose output can be read.
// Its claim folder is as Mayfly makes it: whoever is given the folder may use the
// socket, and nobody gets to the folder by its path.
func (s Subject) NewRunner(t testing.TB, script string) *Runner {
	t.Helper()
	private, err := os.MkdirTemp("", "claims") // short: a socket's path is limited
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(private) })
	dir := filepath.Join(private, "c")
	if err := os.Mkdir(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, filepath.Base(fleet.ClaimSocket))
	claims, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { claims.Close() })
	if err := errors.Join(os.Chmod(dir, 0o711), os.Chmod(socket, 0o666)); err != nil {
		t.Fatal(err)
	}
	return &Runner{claims: claims, Spec: fleet.Spec{
		Runner: runners.next(t), Pool: "small", Job: "octo/repo#7.1", Image: s.Image,
		Command:   []string{"bash", "-c", script},
		Resources: pool.Resources{CPUs: 1, Memory: 256 << 20}, PIDs: 200,
		Network: pool.NetworkNone, ClaimDir: dir,
	}}
}

// Start starts r and sees to it that it is gone after the test.
func (r *Runner) Start(t testing.TB, l fleet.Launcher) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	t.Cleanup(func() { r.Stop(t, l, 0) })
	if err := l.Start(ctx, r.Spec); err != nil {
		t.Fatal(err)
	}
}

// Stop stops r.
func (r *Runner) Stop(t testing.TB, l fleet.Launcher, grace time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := l.Stop(ctx, r.Spec.Runner, grace); err != nil {
		t.Error(err)
	}
}

// Wait waits for the end of r.
func (r *Runner) Wait(t testing.TB, l fleet.Launcher) fleet.Exit {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	exit, err := l.Wait(ctx, r.Spec.Runner)
	if err != nil {
		t.Fatal(err)
	}
	return exit
}

// Line returns the next line of r's output.
func (r *Runner) Line(t testing.TB) string {
	t.Helper()
	line, err := r.output(t).ReadString('\n')
	if err != nil {
		t.Fatalf("reading a line of the runner: %q, %v", line, err)
	}
	return strings.TrimSuffix(line, "\n")
}

// Rest returns the output of r from here to its end.
func (r *Runner) Rest(t testing.TB) string {
	t.Helper()
	rest, err := io.ReadAll(r.output(t))
	if err != nil {
		t.Fatal(err)
	}
	return string(rest)
}

func (r *Runner) output(t testing.TB) *bufio.Reader {
	t.Helper()
	if r.out == nil {
		r.claims.(*net.UnixListener).SetDeadline(time.Now().Add(patience))
		conn, err := r.claims.Accept()
		if err != nil {
			t.Fatalf("the agent did not call: %v", err)
		}
		conn.SetDeadline(time.Now().Add(patience))
		t.Cleanup(func() { conn.Close() })
		r.out = bufio.NewReader(conn)
	}
	return r.out
}

// run starts script, returns what it said and how it ended, and removes it.
func (s Subject) run(t *testing.T, script string, change ...func(*fleet.Spec)) (string, fleet.Exit) {
	t.Helper()
	l, r := s.New(t), s.NewRunner(t, script)
	for _, c := range change {
		c(&r.Spec)
	}
	r.Start(t, l)
	out, exit := r.Rest(t), r.Wait(t, l)
	r.Stop(t, l, 0)
	exit.Memory.Peak, exit.Memory.Limit = 0, 0 // as they happen to be
	return out, exit
}

func testExitCodes(t *testing.T, s Subject) {
	for script, want := range map[string]fleet.Exit{
		"true": {}, "exit 7": {Code: 7}, "kill -TERM $$": {Code: 143},
	} {
		if _, got := s.run(t, script); got != want {
			t.Errorf("%s: %v, want %v", script, got, want)
		}
	}
}

func testStartAgain(t *testing.T, s Subject) {
	l, r := s.New(t), s.NewRunner(t, "echo run; sleep 0.2; exit 4")
	r.Start(t, l)
	r.Start(t, l)
	if got, exit := r.Rest(t), r.Wait(t, l); got != "run\n" || exit.Code != 4 {
		t.Errorf("%q, %v: want one run that ends with 4", got, exit)
	}
	r.Start(t, l) // one that has ended is left alone as well
	if exit := r.Wait(t, l); exit.Code != 4 {
		t.Errorf("after a start of an ended runner: %v, want 4", exit)
	}
	r.claims.(*net.UnixListener).SetDeadline(time.Now())
	if _, err := r.claims.Accept(); err == nil {
		t.Error("a second container ran")
	}
}

func testStartAtOnce(t *testing.T, s Subject) {
	l, r := s.New(t), s.NewRunner(t, "echo run; exec sleep 60")
	errs := make(chan error)
	for range 4 {
		go func() { errs <- l.Start(t.Context(), r.Spec) }()
	}
	t.Cleanup(func() { r.Stop(t, l, 0) })
	for range 4 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if got := r.Line(t); got != "run" {
		t.Errorf("%q, want run", got)
	}
	if all := s.list(t, l); len(all) != 1 {
		t.Errorf("%d containers, want 1: %v", len(all), all)
	}
}

func testRefusedSpecs(t *testing.T, s Subject) {
	l := s.New(t)
	for name, change := range map[string]func(*fleet.Spec){
		"name with a path": func(s *fleet.Spec) { s.Runner = "../up" },
		"no name":          func(s *fleet.Spec) { s.Runner = "" },
		"long name":        func(s *fleet.Spec) { s.Runner = strings.Repeat("a", 65) },
		"no command":       func(s *fleet.Spec) { s.Command = nil },
		"no claim folder":  func(s *fleet.Spec) { s.ClaimDir = "" },
		"no such folder":   func(s *fleet.Spec) { s.ClaimDir += "/gone" },
		"unknown network":  func(s *fleet.Spec) { s.Network = "moon" },
	} {
		r := s.NewRunner(t, "true")
		change(&r.Spec)
		if err := l.Start(t.Context(), r.Spec); err == nil {
			t.Errorf("%s: started", name)
			r.Stop(t, l, 0)
		}
	}
	if all := s.list(t, l); len(all) != 0 {
		t.Errorf("refused, but listed: %v", all)
	}
}

func testGracefulStop(t *testing.T, s Subject) {
	l, r := s.New(t), s.NewRunner(t, "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.1; done")
	r.Start(t, l)
	if got := r.Line(t); got != "ready" {
		t.Fatal(got)
	}
	r.Stop(t, l, patience)
	if got := r.Rest(t); got != "bye\n" {
		t.Errorf("%q after SIGTERM, want bye", got)
	}
}

func testHardStop(t *testing.T, s Subject) {
	l, r := s.New(t), s.NewRunner(t, "trap '' TERM; echo ready; while :; do sleep 0.1; done")
	r.Start(t, l)
	if got := r.Line(t); got != "ready" {
		t.Fatal(got)
	}
	start := time.Now()
	r.Stop(t, l, time.Second)
	if took := time.Since(start); took < time.Second/2 || took > patience/2 {
		t.Errorf("stopped after %v, want SIGKILL after a second", took)
	}
	if got := r.Rest(t); got != "" {
		t.Errorf("%q, want nothing more", got)
	}
	if _, err := l.Wait(t.Context(), r.Spec.Runner); !errors.Is(err, fleet.ErrNotFound) {
		t.Errorf("after Stop: %v, want %v", err, fleet.ErrNotFound)
	}
}

func testNothingThere(t *testing.T, s Subject) {
	l, r := s.New(t), s.NewRunner(t, "true")
	r.Stop(t, l, patience)
	if _, err := l.Wait(t.Context(), r.Spec.Runner); !errors.Is(err, fleet.ErrNotFound) {
		t.Errorf("Wait: %v, want %v", err, fleet.ErrNotFound)
	}
}

// list returns the containers of s, without the time they started and their image,
// which is a digest or nothing.
func (s Subject) list(t testing.TB, l fleet.Launcher) []fleet.Container {
	t.Helper()
	all, err := l.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for n, c := range all {
		if since := time.Since(c.Started); since < -time.Second || since > 2*patience {
			t.Errorf("%s started %v ago", c.Runner, since)
		}
		if c.Image != "" && !strings.HasPrefix(c.Image, "sha256:") {
			t.Errorf("%s has image %q, want a digest", c.Runner, c.Image)
		}
		all[n].Started, all[n].Image = time.Time{}, ""
	}
	return all
}

func testList(t *testing.T, s Subject) {
	l, r := s.New(t), s.NewRunner(t, "sleep 60")
	r.Start(t, l)
	want := fleet.Container{Runner: r.Spec.Runner, Pool: "small", Job: "octo/repo#7.1", Running: true}
	if diff := cmp.Diff([]fleet.Container{want}, s.list(t, l)); diff != "" {
		t.Error(diff)
	}

	ended := s.NewRunner(t, "exit 3")
	ended.Start(t, l)
	ended.Wait(t, l)
	r.Stop(t, l, 0)
	want.Runner, want.Running = ended.Spec.Runner, false
	if diff := cmp.Diff([]fleet.Container{want}, s.list(t, l)); diff != "" {
		t.Error(diff)
	}
	if exit := ended.Wait(t, l); exit.Code != 3 {
		t.Errorf("%v of a runner that had ended, want 3", exit)
	}
}

func testFoundAgain(t *testing.T, s Subject) {
	r := s.NewRunner(t, "trap 'exit 9' TERM; echo ready; while :; do sleep 0.1; done")
	r.Start(t, s.New(t))
	r.Line(t)
	again := s.New(t)
	if all := s.list(t, again); len(all) != 1 || !all[0].Running {
		t.Fatalf("%v, want the runner", all)
	}
	waited := make(chan fleet.Exit)
	third := s.New(t)
	go func() {
		exit, _ := third.Wait(t.Context(), r.Spec.Runner)
		waited <- exit
	}()
	r.Stop(t, again, patience)
	if exit := <-waited; exit.Code != 9 && exit.Code != 0 { // 0: Stop removed it before Wait could look
		t.Errorf("%v, want 9", exit)
	}
}

func testWaitIsGivenUp(t *testing.T, s Subject) {
	l, r := s.New(t), s.NewRunner(t, "echo ready; exec sleep 60")
	r.Start(t, l)
	r.Line(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := l.Wait(ctx, r.Spec.Runner); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want %v", err, context.DeadlineExceeded)
	}
	if all := s.list(t, l); len(all) != 1 || !all[0].Running {
		t.Errorf("%v: a Wait that was given up ended the runner", all)
	}
}
