package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/agent"
	"github.com/mayfly-ci/mayfly/internal/claim"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

// program is the path of this test itself under the agent's name: called so it is
// the agent, a process of its own.
var program string

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "mayfly-agent" {
		main()
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	dir, err := os.MkdirTemp("", "agent")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "mayfly-agent")
	if err := os.Symlink(self, program); err != nil {
		panic(err)
	}
	return m.Run()
}

// jit is what must be found nowhere but in the runner's environment.
const jit = "c3BlbnQgd2hlbiB0aGUgam9iIGVuZHM="

// A side is Mayfly's side of the socket: a real desk, with a ledger and a forge
// that do as the test says.
type side struct {
	permit  claim.Permit
	ca      string                  // for the grant
	leaving []error                 // answers to PhaseLeaving, in turn; then nil
	answer  func(attempt int) error // of the forge
	seen    func(claim.Report)      // called for each report
	mu      sync.Mutex
	tries   int
	claimed bool
	reports []claim.Report
	gone    chan claim.Report
}

func (s *side) Claim(context.Context, string) (claim.Permit, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.claimed {
		return claim.Permit{}, &claim.Refused{Reason: "claimed already"}
	}
	s.claimed = true
	return s.permit, nil
}

func (s *side) PutOff(context.Context, string, claim.Permit, *claim.Later) error { return nil }

func (s *side) Registered(context.Context, string, int64) error { return nil }

func (s *side) Report(_ context.Context, _ string, r claim.Report) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reports = append(s.reports, r)
	if s.seen != nil {
		s.seen(r)
	}
	switch {
	case r.Phase == claim.PhaseGone:
		s.gone <- r
	case r.Phase == claim.PhaseLeaving && len(s.leaving) > 0:
		err := s.leaving[0]
		s.leaving = s.leaving[1:]
		return err
	}
	return nil
}

func (s *side) Register(context.Context, claim.Permit, string) (claim.Registration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tries++
	if s.answer != nil {
		if err := s.answer(s.tries); err != nil {
			return claim.Registration{}, err
		}
	}
	return claim.Registration{ID: 7, JIT: secret.New(jit)}, nil
}

func (s *side) Forget(context.Context, claim.Permit, string) error { return nil }

// last returns the next report of an end.
func (s *side) last(t *testing.T) claim.Report {
	t.Helper()
	select {
	case r := <-s.gone:
		return r
	case <-time.After(time.Minute):
		t.Fatalf("no report of the end in a minute, only %v", s.phases())
		return claim.Report{}
	}
}

func (s *side) phases() (all []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.reports {
		all = append(all, r.Phase)
	}
	return all
}

// open opens the socket of a runner called r1 and returns its path and the desk.
func open(t *testing.T, dir string, s *side) (string, *claim.SocketServer) {
	t.Helper()
	if s.gone == nil {
		s.gone = make(chan claim.Report, 2)
	}
	desk, err := claim.New(claim.Config{Dir: dir, Ledger: s, Forge: s, CA: s.ca, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	folder, err := desk.Open("r1")
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(folder, claim.SocketName), desk
}

// An ended is how an agent ended.
type ended struct {
	code           int
	stdout, stderr string
}

// start starts the agent with a runner that is a shell script.
func start(t *testing.T, socket, script string, flags ...string) (*exec.Cmd, func() ended) {
	t.Helper()
	args := append([]string{"--socket", socket, "--grace", "300ms"}, flags...)
	cmd := exec.Command(program, append(args, "--", "bash", "-c", script)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "FROM_IMAGE=yes", "ACTIONS_RUNNER_INPUT_TOKEN=of-somebody",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/of-somebody", "MAYFLY_RUNNER=of-somebody", "AWS_REGION=eu-west-1"}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	return cmd, func() ended {
		err := cmd.Wait()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return ended{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
	}
}

// The runner's lines, as GitHub's own prints them.
const (
	listening  = `echo "2026-01-31 12:00:00Z: Listening for Jobs";`
	running    = `echo "2026-01-31 12:00:01Z: Running job: build";`
	deprecated = `echo "An error occured: Runner version v2.330.0 is deprecated and cannot receive messages.";`
	completed  = `echo "2026-01-31 12:00:02Z: Job build completed with result: Succeeded";`
)

func TestOneJob(t *testing.T) {
	t.Parallel()
	s := &side{}
	socket, _ := open(t, t.TempDir(), s)
	_, wait := start(t, socket, listening+running+completed+`env; echo to stderr >&2`)
	end := wait()
	if end.code != 0 {
		t.Fatalf("exit code %d: %s", end.code, end.stderr)
	}
	want := claim.Report{Phase: claim.PhaseGone, Reason: "job done", Ran: true}
	if diff := cmp.Diff(want, s.last(t)); diff != "" {
		t.Errorf("last report (-want +got):\n%s", diff)
	}
	for _, line := range []string{
		"Z: Running job: build", "ACTIONS_RUNNER_INPUT_JITCONFIG=" + jit, "HOME=/home/runner", "LANG=C.UTF-8",
		"ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE=1", "FROM_IMAGE=yes", "AWS_REGION=eu-west-1",
	} {
		if !strings.Contains(end.stdout, line) {
			t.Errorf("output lacks %q:\n%s", line, end.stdout)
		}
	}
	if strings.Contains(end.stdout, "of-somebody") {
		t.Errorf("the runner got what was not from the claim:\n%s", end.stdout)
	}
	if !strings.Contains(end.stderr, "to stderr") || strings.Contains(end.stderr, jit) {
		t.Errorf("stderr = %q, want the runner's and no configuration", end.stderr)
	}
}

func TestPhasesInOrder(t *testing.T) {
	t.Parallel()
	s := &side{}
	dir := t.TempDir()
	// The runner goes on only when its phase was taken.
	s.seen = func(r claim.Report) { os.WriteFile(filepath.Join(dir, r.Phase), nil, 0o600) }
	socket, _ := open(t, filepath.Join(dir, "claims"), s)
	until := func(phase string) string {
		return fmt.Sprintf("until [ -e %s ]; do sleep 0.01; done;", filepath.Join(dir, phase))
	}
	_, wait := start(t, socket, listening+listening+until("idle")+running+until("busy")+completed)
	wait()
	want := []string{claim.PhaseIdle, claim.PhaseBusy, claim.PhaseGone}
	if diff := cmp.Diff(want, s.phases()); diff != "" {
		t.Errorf("reports (-want +got):\n%s", diff)
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		script string
		want   claim.Report
	}{
		{"exit 0", claim.Report{Reason: "ended without a job"}},
		{"exit 1", claim.Report{ExitCode: 1, Reason: "terminated error"}},
		{`echo 'cp: read-only' >&2; echo 'Exiting runner...' >&2`,
			claim.Report{Reason: "ended without a job: cp: read-only", Output: "cp: read-only\nExiting runner..."}},
		{"echo boom; exit 1", claim.Report{ExitCode: 1, Reason: "terminated error: boom", Output: "boom"}},
		{"exit 2", claim.Report{ExitCode: 2, Reason: "retryable error"}},
		{"exit 3", claim.Report{ExitCode: 3, Reason: "runner wants to update itself: its version is too old"}},
		{"exit 5", claim.Report{ExitCode: 5, Reason: "session conflict: another runner uses this registration"}},
		{listening + "exit 7", claim.Report{ExitCode: 7, Reason: "runner version deprecated: GitHub no longer takes it"}},
		{listening + deprecated + "exit 0", claim.Report{ExitCode: 7, Reason: "runner version deprecated: GitHub no longer takes it"}},
		{running + deprecated + "exit 0", claim.Report{Reason: "job done", Ran: true}},
		{running + "exit 42", claim.Report{ExitCode: 42, Reason: "exit code 42", Ran: true}},
		{"kill -KILL $$", claim.Report{ExitCode: 137, Reason: "killed by SIGKILL"}},
	} {
		t.Run(test.script, func(t *testing.T) {
			t.Parallel()
			s := &side{}
			socket, _ := open(t, t.TempDir(), s)
			_, wait := start(t, socket, test.script)
			if end := wait(); end.code != test.want.ExitCode {
				t.Errorf("exit code %d, want %d\n%s", end.code, test.want.ExitCode, end.stdout)
			}
			test.want.Phase = claim.PhaseGone
			got := s.last(t)
			if test.want.Output == "" { // the lines of the script
				got.Output = ""
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("last report (-want +got):\n%s", diff)
			}
		})
	}
}

func TestClaimRefused(t *testing.T) {
	t.Parallel()
	s := &side{claimed: true}
	socket, _ := open(t, t.TempDir(), s)
	_, wait := start(t, socket, "echo started")
	end := wait()
	if end.code != agent.ExitRefused || strings.Contains(end.stdout, "started") {
		t.Errorf("exit code %d, output %q: want %d and no runner", end.code, end.stdout, agent.ExitRefused)
	}
	want := claim.Report{Phase: claim.PhaseGone, ExitCode: agent.ExitRefused, Reason: "claim refused: claimed already"}
	if diff := cmp.Diff(want, s.last(t)); diff != "" {
		t.Errorf("last report (-want +got):\n%s", diff)
	}
}

func TestNoSuchProgram(t *testing.T) {
	t.Parallel()
	for runner, code := range map[string]int{
		"/nowhere/run.sh": agent.ExitNotFound, "no-such-runner": agent.ExitNotFound, "/dev/null": agent.ExitNotStarted,
	} {
		s := &side{}
		socket, _ := open(t, t.TempDir(), s)
		cmd := exec.Command(program, "--socket", socket, "--", runner)
		cmd.Run()
		if got := cmd.ProcessState.ExitCode(); got != code {
			t.Errorf("%s: exit code %d, want %d", runner, got, code)
		}
		if r := s.last(t); r.ExitCode != code || r.Ran || !strings.Contains(r.Reason, runner) {
			t.Errorf("%s: reported %+v", runner, r)
		}
	}
}

// TestSocketAway has Mayfly away when the agent starts, putting it off at first,
// and away again when the runner ends.
func TestSocketAway(t *testing.T) {
	t.Parallel()
	s := &side{gone: make(chan claim.Report, 2), answer: func(attempt int) error {
		if attempt < 3 {
			return &claim.Later{After: time.Millisecond, Err: errors.New("rate limit")}
		}
		return nil
	}}
	dir := t.TempDir()
	socket := filepath.Join(dir, "r1", claim.SocketName)
	_, wait := start(t, socket, running+fmt.Sprintf("touch %s; until [ -e %s ]; do sleep 0.01; done", dir+"/ran", dir+"/end"))
	_, desk := open(t, dir, s)
	waitFor(t, dir+"/ran")
	s.mu.Lock()
	if s.tries != 3 {
		t.Errorf("%d attempts, want 3", s.tries)
	}
	s.mu.Unlock()
	if err := desk.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	os.WriteFile(dir+"/end", nil, 0o600)
	_, again := open(t, dir, s)
	defer again.Shutdown(t.Context())
	if r := s.last(t); !r.Ran {
		t.Errorf("reported %+v after the restart", r)
	}
	if end := wait(); end.code != 0 {
		t.Errorf("exit code %d: %s", end.code, end.stderr)
	}
}

// waitFor returns when path is there.
func waitFor(t *testing.T, path string) {
	t.Helper()
	for ctx := t.Context(); ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(path); err == nil {
			return
		}
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	_, wait := start(t, filepath.Join(t.TempDir(), "none.sock"), "", "--claim-within", "200ms")
	if end := wait(); end.code != agent.ExitUnreachable {
		t.Errorf("exit code %d, want %d: %s", end.code, agent.ExitUnreachable, end.stderr)
	}
}

// enough is a limit within which a runner's shell comes to its first lines, on a busy machine, too.
const enough = time.Second

func TestIdleLimit(t *testing.T) {
	t.Parallel()
	s := &side{permit: claim.Permit{IdleLimit: enough}, leaving: []error{errors.New("away"), claim.ErrBusy}}
	socket, _ := open(t, t.TempDir(), s)
	_, wait := start(t, socket, `trap 'exit 0' TERM;`+listening+`sleep 60 & wait`)
	if end := wait(); end.code != 0 {
		t.Errorf("exit code %d: %s", end.code, end.stderr)
	}
	want := claim.Report{Phase: claim.PhaseGone, Reason: "idle limit"}
	if diff := cmp.Diff(want, s.last(t)); diff != "" {
		t.Errorf("last report (-want +got):\n%s", diff)
	}
	asked := strings.Count(strings.Join(s.phases(), " "), claim.PhaseLeaving)
	if asked != 3 { // not answered, told to stay, allowed
		t.Errorf("asked %d times, want 3: %v", asked, s.phases())
	}
}

func TestBusyRunnerHasNoIdleLimit(t *testing.T) {
	t.Parallel()
	s := &side{permit: claim.Permit{IdleLimit: enough}}
	socket, _ := open(t, t.TempDir(), s)
	_, wait := start(t, socket, running+`sleep 2; exit 9`)
	if end := wait(); end.code != 9 {
		t.Errorf("exit code %d, want the runner's 9", end.code)
	}
	if slices.Contains(s.phases(), claim.PhaseLeaving) {
		t.Errorf("a busy runner asked to leave: %v", s.phases())
	}
}

// TestSevenOfNoRunner: the code by which GitHub's runner says that it is too old means nothing of another program.
func TestSevenOfNoRunner(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]int{
		"echo hello; exit 7": agent.ExitForeign, listening + "exit 7": agent.ExitDeprecated,
		`echo "An error occurred: too old"; exit 7`: agent.ExitDeprecated,
	} {
		s := &side{}
		socket, _ := open(t, t.TempDir(), s)
		_, wait := start(t, socket, script)
		if end := wait(); end.code != want || s.last(t).ExitCode != want {
			t.Errorf("%s: exit code %d and %+v, want %d", script, end.code, s.last(t), want)
		}
	}
}

// TestTotalLimitIsOfJob: a runner that waits for half its limit has all of it for its job.
func TestTotalLimitIsOfJob(t *testing.T) {
	t.Parallel()
	s := &side{permit: claim.Permit{TotalLimit: 3 * enough}}
	socket, _ := open(t, t.TempDir(), s)
	_, wait := start(t, socket, listening+`sleep 2;`+running+`sleep 2;`+completed)
	if end := wait(); end.code != 0 {
		t.Errorf("exit code %d: %s", end.code, end.stderr)
	}
	if r := s.last(t); r.Reason != "job done" {
		t.Errorf("reason %q, want job done", r.Reason)
	}
}

func TestTotalLimitKills(t *testing.T) {
	t.Parallel()
	s := &side{permit: claim.Permit{TotalLimit: enough}}
	socket, _ := open(t, t.TempDir(), s)
	_, wait := start(t, socket, `trap '' TERM;`+running+`while :; do sleep 60; done`)
	if end := wait(); end.code != 137 {
		t.Errorf("exit code %d, want 137: %s", end.code, end.stderr)
	}
	want := claim.Report{Phase: claim.PhaseGone, ExitCode: 137, Reason: "total limit", Ran: true}
	if diff := cmp.Diff(want, s.last(t)); diff != "" {
		t.Errorf("last report (-want +got):\n%s", diff)
	}
}

func TestSignalIsForwarded(t *testing.T) {
	t.Parallel()
	s := &side{}
	dir := t.TempDir()
	socket, _ := open(t, dir, s)
	cmd, wait := start(t, socket, fmt.Sprintf(`trap 'echo got it; exit 3' TERM; touch %s; sleep 60 & wait`, dir+"/up"))
	waitFor(t, dir+"/up")
	cmd.Process.Signal(syscall.SIGTERM)
	end := wait()
	if end.code != 3 || !strings.Contains(end.stdout, "got it") {
		t.Errorf("exit code %d, output %q", end.code, end.stdout)
	}
	if r := s.last(t); r.Reason != "terminated" {
		t.Errorf("reason %q, want terminated", r.Reason)
	}
}

// TestNothingIsLeft looks where a job would: for the configuration, and for what
// the runner left running.
func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	s := &side{}
	dir := t.TempDir()
	socket, _ := open(t, dir, s)
	script := fmt.Sprintf(`cat /proc/$PPID/environ /proc/$PPID/cmdline; sleep 300 & echo $! > %s`, dir+"/pid")
	_, wait := start(t, socket, script)
	end := wait()
	if strings.Contains(end.stdout, jit) || !strings.Contains(end.stdout, "FROM_IMAGE") {
		t.Errorf("the agent's process shows %q", end.stdout)
	}
	var pid int
	text, _ := os.ReadFile(dir + "/pid")
	if _, err := fmt.Sscan(string(text), &pid); err != nil {
		t.Fatal(err)
	}
	if state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && !strings.Contains(string(state), ") Z ") {
		t.Errorf("process %d is still there: %s", pid, state)
	}
}

// TestFirstProcess runs the agent as the first process of a container: orphans
// become its children, and it reaps them.
func TestFirstProcess(t *testing.T) {
	t.Parallel()
	namespace := []string{"--user", "--map-root-user", "--pid", "--fork", "--mount-proc"}
	if out, err := exec.Command("unshare", append(namespace, "true")...).CombinedOutput(); err != nil {
		t.Skipf("no process namespace to be had here: %v %s", err, out)
	}
	s := &side{}
	socket, _ := open(t, t.TempDir(), s)
	script := `pid=$(sh -c 'sleep 0.02 & echo $!'); while [ -e /proc/$pid ]; do sleep 0.01; done; echo reaped by $PPID`
	args := append(namespace, program, "--socket", socket, "--", "bash", "-c", script)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "unshare", args...).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "reaped by 1\n") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for args, code := range map[string]int{"": agent.ExitUsage, "--": agent.ExitUsage, "--wrong": agent.ExitUsage, "--help": 0, "--version": 0} {
		cmd := exec.Command(program, strings.Fields(args)...)
		out, _ := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != code || len(out) == 0 {
			t.Errorf("%q: exit code %d, want %d and a word about it: %s", args, got, code, out)
		}
	}
}
