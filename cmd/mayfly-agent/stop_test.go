package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/claim"
)

// updating is what GitHub's runner prints when it was told to update itself.
const updating = `echo "Runner will exit shortly for update, should be back online within 10 seconds.";`

// TestUpdateIsNotIdle has a runner update itself for longer than its idle limit, and get a job then.
func TestUpdateIsNotIdle(t *testing.T) {
	t.Parallel()
	s := &side{permit: claim.Permit{IdleLimit: enough}}
	dir := t.TempDir()
	restarted := false
	s.seen = func(r claim.Report) {
		restarted = restarted || r.Phase == claim.PhaseRestarting
		if restarted {
			os.WriteFile(filepath.Join(dir, r.Phase), nil, 0o600)
		}
	}
	socket, _ := open(t, filepath.Join(dir, "claims"), s)
	until := func(phase string) string { return fmt.Sprintf("until [ -e %s/%s ]; do sleep 0.01; done;", dir, phase) }
	_, wait := start(t, socket, listening+updating+`sleep 2; echo "Restarting runner...";`+until("restarting")+
		listening+until("idle")+running+until("busy")+completed)
	if end := wait(); end.code != 0 {
		t.Errorf("exit code %d: %s", end.code, end.stderr)
	}
	if r := s.last(t); !r.Ran || r.Reason != "job done" {
		t.Errorf("%+v, want a job that was done", r)
	}
	if phases := strings.Join(s.phases(), " "); phases != "idle restarting idle busy gone" {
		t.Errorf("phases %s, want idle restarting idle busy gone", phases)
	}
}

// TestIdleLimitAfterUpdate counts idleness from the runner's return on.
func TestIdleLimitAfterUpdate(t *testing.T) {
	t.Parallel()
	s := &side{permit: claim.Permit{IdleLimit: enough}}
	socket, _ := open(t, t.TempDir(), s)
	_, wait := start(t, socket, `trap 'exit 0' TERM;`+listening+updating+listening+`sleep 60 & wait`)
	wait()
	if r := s.last(t); r.Reason != "idle limit" {
		t.Errorf("reason %q, want idle limit", r.Reason)
	}
}

// TestRestartsWithoutEnd ends a runner that comes again and again and gets nowhere, as one
// does that cannot read its job.
func TestRestartsWithoutEnd(t *testing.T) {
	t.Parallel()
	s := &side{}
	socket, _ := open(t, t.TempDir(), s)
	_, wait := start(t, socket, `trap 'exit 0' TERM; while :; do `+listening+
		`echo "An error occurred: no JsonWebToken"; echo "Restarting runner..."; sleep 0.05; done`)
	wait()
	if r := s.last(t); r.Reason != "restarted 13 times without a job" || !strings.Contains(r.Output, "no JsonWebToken") {
		t.Errorf("%+v, want the restarts and what was printed", r)
	}
}

// TestOutputIsBounded has a runner print without end: the log gets head and tail.
func TestOutputIsBounded(t *testing.T) {
	t.Parallel()
	s := &side{}
	socket, _ := open(t, t.TempDir(), s)
	_, wait := start(t, socket, `echo first; yes x | head -c 100000 >&2; yes 0123456789012345678901234567890 | head -c 200000000; echo; echo last; exit 1`)
	end := wait()
	all := end.stdout + end.stderr
	if len(all) > 1<<20 {
		t.Errorf("%d bytes of output, want a few hundred KiB", len(all))
	}
	for _, part := range []string{"first\n", "more bytes suppressed\n", "last\n"} {
		if !strings.Contains(all, part) {
			t.Errorf("output lacks %q", part)
		}
	}
	if r := s.last(t); !strings.HasSuffix(r.Output, "last") || len(r.Output) > claim.MaxOutput || r.Reason != "terminated error: last" {
		t.Errorf("reported %q and %d bytes", r.Reason, len(r.Output))
	}
}

// TestLogIsOutOfReach tries to write to the container's log past the bounds. Root may see
// everything, so the agent is nobody.
func TestLogIsOutOfReach(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED HERE: starts the agent as another user, for which it must be root")
	}
	s := &side{}
	dir, err := os.MkdirTemp("", "agent") // t.TempDir's parents are root's alone
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	os.Chmod(dir, 0o711)
	socket, _ := open(t, dir+"/claims", s)
	os.Chmod(dir+"/claims", 0o711)
	nobodys := dir + "/mayfly-agent"
	if err := copyProgram(nobodys); err != nil {
		t.Fatal(err)
	}
	script := `for fd in 1 2; do echo escaped > /proc/$PPID/fd/$fd && echo REACHED; done; cat /proc/$PPID/environ && echo REACHED; readlink /proc/self/fd/1`
	cmd := exec.Command(nobodys, "--socket", socket, "--", "bash", "-c", script)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Dir = &out, &out, "/"
	if err := cmd.Run(); err != nil || strings.Contains(out.String(), "REACHED") || !strings.Contains(out.String(), "pipe:") {
		t.Errorf("%v, %s", err, out.String())
	}
}

func copyProgram(to string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	data, err := os.ReadFile(self)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o755)
}

// TestStubbornStep gives a runner the 12 s that GitHub's own takes for a step which ignores
// SIGINT and SIGTERM (7.5 s and 2.5 s, ProcessInvoker.cs, and then the upload).
func TestStubbornStep(t *testing.T) {
	t.Parallel()
	s := &side{}
	dir := t.TempDir()
	socket, _ := open(t, dir, s)
	cmd := exec.Command(program, "--socket", socket, "--", "bash", "-c", fmt.Sprintf(
		`trap '{ sleep 12; echo completed; exit 0; }' TERM; %s touch %s; while :; do sleep 0.1; done`, running, dir+"/up"))
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	waitFor(t, dir+"/up")
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), "completed") {
		t.Errorf("%v, %s: the runner was cut off while it ended a step", err, out.String())
	}
}

// TestSignalsOfRunner starts the agent as a shell script does with & in the background: with
// SIGINT ignored. GitHub's runner, whose run.sh turns SIGTERM into SIGINT, would go on for
// ever if that was passed on.
func TestSignalsOfRunner(t *testing.T) {
	t.Parallel()
	s := &side{}
	socket, _ := open(t, t.TempDir(), s)
	cmd := exec.Command("bash", "-c", `trap '' INT QUIT HUP; exec "$0" --socket "$1" -- bash -c 'grep SigIgn /proc/self/status; env'`, program, socket)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var ignored uint64
	if _, err := fmt.Sscanf(string(out), "SigIgn:\t%x", &ignored); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		if ignored&(1<<(sig-1)) != 0 {
			t.Errorf("%v is ignored in the runner", sig)
		}
	}
	if !strings.Contains(string(out), "\nRUNNER_MANUALLY_TRAP_SIG=1\n") {
		t.Error("RUNNER_MANUALLY_TRAP_SIG is not set: SIGTERM would leave the listener behind")
	}
}
