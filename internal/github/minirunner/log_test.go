package minirunner_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/github/minirunner"
)

// TestLongLog: a log of more than 2 MB goes in blocks, the last of which seals it.
func TestLongLog(t *testing.T) {
	f := newFake(t, script("long", "yes 0123456789012345678901234567890123456789 | head -n 60000", "success()"))
	f.offer()
	r := start(t.Context(), t, f.config())
	code, out := r.wait()
	exited(t, code, minirunner.ExitDone, out)
	for _, step := range []string{newID("long"), ""} {
		log := f.stepLog(step)
		if n := strings.Count(log, "0123456789\n"); n != 60000 {
			t.Errorf("the log of %q has %d lines, want 60000", step, n)
		}
		if !strings.HasPrefix(log, "\ufeff20") {
			t.Errorf("the log of %q begins with %.20q", step, log)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	bodies, query := f.bodies["PUT /blob/log-"+newID("long")], f.queries["PUT /blob/log-"+newID("long")]
	if query != "sig=x&comp=appendblock&seal=true" {
		t.Errorf("the last block went with %q", query)
	}
	if len(bodies) != 4 || len(bodies[0]) != 0 || len(bodies[1]) < 2<<20 || len(bodies[1]) > 2<<20+1000 {
		t.Errorf("%d uploads: want an empty one, and blocks of 2 MB", len(bodies))
	}
	if left, err := os.ReadDir(filepath.Join(r.root, "_diag", "blocks")); err != nil || len(left) > 0 {
		t.Errorf("blocks are left: %v, %v", left, err)
	}
}

// TestLogRefused: a log that the server does not want is no reason for a job to fail.
func TestLogRefused(t *testing.T) {
	f := newFake(t, script("hello", "echo hello", "success()"))
	for range 3 {
		f.answer("POST /results/twirp/results.services.receiver.Receiver/GetStepLogsSignedBlobURL", 500, nil)
	}
	f.answer("PUT /blob/log-", 413, nil)
	code, out := f.run(t.Context())
	exited(t, code, minirunner.ExitDone, out)
	has(t, out, "completed with result: Succeeded")
}

// TestResultsWithoutSlash: the endpoint's last part is dropped, as .NET does.
func TestResultsWithoutSlash(t *testing.T) {
	f := newFake(t, script("hello", "echo hello", "success()"))
	f.set("system.github.results_endpoint", f.url+"/results")
	code, out := f.run(t.Context())
	exited(t, code, minirunner.ExitDone, out)
	if f.log() != "" || f.count("POST /twirp/results.services.receiver.Receiver/GetJobLogsSignedBlobURL") == 0 {
		t.Errorf("log %q, asked %q", f.log(), f.asked)
	}
}
