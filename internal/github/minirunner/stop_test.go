package minirunner_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/github/minirunner"
)

const shutdownMessage = "The runner has received a shutdown signal. This can happen when the runner service is stopped, or a manually started runner is canceled."

// TestStopIdle stops a runner that waits: the session is deleted, and the
// configuration stays, as the registration does.
func TestStopIdle(t *testing.T) {
	f := newFake(t)
	ctx, stop := context.WithCancel(t.Context())
	r := start(ctx, t, f.config())
	r.listening()
	stop()
	code, out := r.wait()
	exited(t, code, minirunner.ExitDone, out)
	has(t, out, "Exiting...\n")
	if f.count("DELETE /broker/session") != 1 || !configured(r.root) {
		t.Errorf("deleted sessions: %d, configured: %v", f.count("DELETE /broker/session"), configured(r.root))
	}
}

// TestStopInJob stops a runner whose step listens to no signal but SIGKILL: the
// job has failed, and no step runs after it, whatever its condition.
func TestStopInJob(t *testing.T) {
	began := filepath.Join(t.TempDir(), "began")
	f := newFake(t,
		script("deaf", "trap '' INT TERM; touch "+began+"; while :; do sleep 0.1; done", "success()"),
		script("always", "echo unreached", "always()"),
		script("cancelled", "echo unreached", "cancelled()"),
	)
	f.offer()
	ctx, stop := context.WithCancel(t.Context())
	r := start(ctx, t, f.config())
	waitFor(t, began)
	stop()
	code, out := r.wait()
	exited(t, code, minirunner.ExitDone, out)
	want := map[string]string{
		"Set up job": "succeeded", "deaf": "canceled", "always": "skipped", "cancelled": "skipped", "Complete job": "succeeded",
	}
	if diff := cmp.Diff(want, f.steps()); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	said := f.last("POST /run/completejob")
	annotations := said["annotations"].([]any)
	if said["conclusion"] != "failed" || len(annotations) != 1 || annotations[0].(object)["message"] != shutdownMessage {
		t.Errorf("completed with %v, annotations %v", said["conclusion"], annotations)
	}
	has(t, f.log(), "##[error]"+shutdownMessage, "##[error]The operation was canceled.")
	lacks(t, f.stepLog(newID("deaf")), shutdownMessage)
}

// TestStepsGetSignals: a step that listens ends with the first signal, and only its
// own process gets it.
func TestStepsGetSignals(t *testing.T) {
	began := filepath.Join(t.TempDir(), "began")
	f := newFake(t,
		script("listens", "trap 'echo got INT; exit 3' INT; touch "+began+"; while :; do sleep 0.05; done", "success()"),
		script("clean up", "echo cleaned up", "always()"),
	)
	f.offer()
	c := f.config()
	c.Pauses.Interrupt = 20e9 // it must not come to more
	r := start(t.Context(), t, c)
	waitFor(t, began)
	f.message("JobCancellation", object{"jobId": "job", "timeout": "00:05:00"})
	code, out := r.wait()
	exited(t, code, minirunner.ExitDone, out)
	has(t, out, "completed with result: Canceled")
	has(t, f.log(), "Z got INT\n", "##[error]The operation was canceled.", "Z cleaned up\n")
	if got := f.last("POST /run/completejob")["conclusion"]; got != "canceled" {
		t.Errorf("completed with %v", got)
	}
}

// TestOutputHeldOpen: what a step has left running holds its output open, which is
// waited for a while.
func TestOutputHeldOpen(t *testing.T) {
	f := newFake(t, script("leaves", "sleep 60 & echo left", "success()"), script("next", "echo next", "success()"))
	code, out := f.run(t.Context())
	exited(t, code, minirunner.ExitDone, out)
	has(t, f.log(), "Z left\n", "Z next\n", "Terminate orphan process: pid (")
}

// TestCancellationOfAnother job does not matter.
func TestCancellationOfAnother(t *testing.T) {
	f := newFake(t, script("hello", "echo hello", "success()"))
	f.message("JobCancellation", object{"jobId": "other", "timeout": "00:05:00"})
	f.message("SomethingNew", object{})
	f.message("ForceTokenRefresh", object{})
	code, out := f.run(t.Context())
	exited(t, code, minirunner.ExitDone, out)
	if !strings.Contains(out, "Succeeded") {
		t.Errorf("printed:\n%s", out)
	}
}
