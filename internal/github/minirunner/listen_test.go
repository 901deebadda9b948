package minirunner_test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github/minirunner"
)

// lacks checks that text holds none of parts.
func lacks(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if strings.Contains(text, p) {
			t.Errorf("%q is in:\n%s", p, text)
		}
	}
}

func exited(t *testing.T, code, want int, out string) {
	t.Helper()
	if code != want {
		t.Errorf("exit code %d, want %d:\n%s", code, want, out)
	}
}

// configured reports whether the runner's folder holds a configuration.
func configured(root string) bool {
	_, err := os.Stat(filepath.Join(root, ".runner"))
	return err == nil
}

// TestLines holds what is printed, asked and written against what the official
// runner was seen to do.
func TestLines(t *testing.T) {
	f := newFake(t, script("hello", "echo hello", "success()"))
	f.offer()
	r := start(t.Context(), t, f.config())
	code, out := r.wait()
	exited(t, code, minirunner.ExitDone, out)
	lines := regexp.MustCompile(`^
√ Connected to GitHub

Current runner version: '2\.336\.0'
\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ: Listening for Jobs
\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ: Running job: build
\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ: Job build completed with result: Succeeded
$`)
	if !lines.MatchString(out) {
		t.Errorf("printed:\n%s", out)
	}
	for _, path := range []string{
		"_work/_temp", "_work/_actions", "_work/_tool", "_work/web/web", "_work/_PipelineMapping/acme/web/PipelineFolder.json", "_diag",
	} {
		if _, err := os.Stat(filepath.Join(r.root, path)); err != nil {
			t.Error(err)
		}
	}
	if configured(r.root) {
		t.Error("the configuration of a runner whose job is done is left")
	}
	begin := []string{
		"GET /tenant/_apis/connectionData", "POST /token", "POST /broker/session", "GET /broker/message",
		"POST /broker/acknowledge", "POST /token", "POST /run/acquirejob",
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if got := strings.Join(f.asked[:len(begin)], "\n"); got != strings.Join(begin, "\n") {
		t.Errorf("asked\n%s", got)
	}
}

// TestNoJWT is what githubsim once sent: a token that is no JWT.
func TestNoJWT(t *testing.T) {
	f := newFake(t)
	endpoint := f.job["resources"].(object)["endpoints"].([]any)[0].(object)
	endpoint["authorization"] = object{"parameters": object{"AccessToken": "ghs_0123"}}
	code, out := f.run(t.Context())
	exited(t, code, minirunner.ExitRetryable, out)
	has(t, out, "An error occurred: Failed to deserialize the JsonWebToken object.\n")
	lacks(t, out, "Running job")
}

// TestMissingFields: a job message without what a runner needs ends it loudly.
func TestMissingFields(t *testing.T) {
	for name, change := range map[string]func(job object){
		"plan.planId":         func(job object) { delete(job, "plan") },
		"jobId":               func(job object) { delete(job, "jobId") },
		"SystemVssConnection": func(job object) { delete(job, "resources") },
		"AccessToken": func(job object) {
			delete(job["resources"].(object)["endpoints"].([]any)[0].(object), "authorization")
		},
	} {
		f := newFake(t)
		change(f.job)
		code, out := f.run(t.Context())
		exited(t, code, minirunner.ExitRetryable, out)
		has(t, out, "An error occurred: Value cannot be null. (Parameter '"+name)
	}
}

// TestRunnerRemoved: GitHub has removed the registration of an idle runner.
func TestRunnerRemoved(t *testing.T) {
	f := newFake(t)
	f.answer("GET /broker/message", 404, refusal(404, "RunnerNotFound"))
	r := start(t.Context(), t, f.config())
	code, out := r.wait()
	exited(t, code, minirunner.ExitDone, out)
	has(t, out, "The runner no longer exists on the server. Cleaning up local configuration.\n")
	if configured(r.root) {
		t.Error("the configuration is left")
	}
}

// TestUnsignedRefusal: an error body without its source is not understood.
func TestUnsignedRefusal(t *testing.T) {
	f := newFake(t, script("hello", "echo hello", "success()"))
	body := refusal(404, "RunnerNotFound")
	delete(body, "source")
	for range 6 { // five in a row are one failure
		f.answer("GET /broker/message", 404, body)
	}
	code, out := f.run(t.Context())
	exited(t, code, minirunner.ExitDone, out)
	has(t, out, "Runner connect error: Failed to get job message. Request to GET /broker/message failed with status: NotFound. "+
		"Error message Error: Not Found. Retrying until reconnected.", "completed with result: Succeeded")
}

func TestVersionTooOld(t *testing.T) {
	for code, env := range map[int]string{minirunner.ExitDeprecated: "1", minirunner.ExitTerminated: ""} {
		f := newFake(t)
		f.answer("GET /broker/message", 403, refusal(403, "RunnerVersionTooOld"))
		c := f.config()
		c.Env["ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE"] = env
		got, out := start(t.Context(), t, c).wait()
		exited(t, got, code, out)
		has(t, out, "Listening for Jobs", "An error occurred: because of RunnerVersionTooOld\n")
		if f.count("DELETE /broker/session") != 1 {
			t.Error("the session was not deleted")
		}
	}
}

// TestSessionInvalid: the broker has forgotten the session. The token is tried
// anew first.
func TestSessionInvalid(t *testing.T) {
	f := newFake(t, script("hello", "echo hello", "success()"))
	for range 2 {
		f.answer("GET /broker/message", 401, refusal(401, "RunnerSessionInvalid"))
	}
	code, out := f.run(t.Context())
	exited(t, code, minirunner.ExitDone, out)
	if n := f.count("POST /broker/session"); n != 2 {
		t.Errorf("%d sessions, want 2:\n%s", n, out)
	}
}

func TestUnauthorized(t *testing.T) {
	f := newFake(t)
	for range 10 {
		f.answer("GET /broker/message", 401, refusal(401, "Unauthorized"))
	}
	code, out := start(t.Context(), t, f.config()).wait()
	exited(t, code, minirunner.ExitTerminated, out)
	has(t, out, "An error occurred: Get next message failed with non-retryable error.\n")
}

func TestSessionConflictPasses(t *testing.T) {
	f := newFake(t, script("hello", "echo hello", "success()"))
	for range 2 {
		f.answer("POST /broker/session", 409, nil)
	}
	code, out := f.run(t.Context())
	exited(t, code, minirunner.ExitDone, out)
	has(t, out, "A session for this runner already exists.\n", "Runner connect error: Error: Conflict. Retrying until reconnected.\n", "Runner reconnected.\n")
	if n := strings.Count(out, "Runner connect error"); n != 1 {
		t.Errorf("told %d times, want once:\n%s", n, out)
	}
}

func TestRegistrationDeleted(t *testing.T) {
	f := newFake(t)
	f.answer("POST /token", 400, object{"error": "invalid_client", "error_description": "no such client"})
	code, out := start(t.Context(), t, f.config()).wait()
	exited(t, code, minirunner.ExitTerminated, out)
	has(t, out, "Failed to create a session. The runner registration has been deleted from the server, please re-configure.")
}

// TestBrokerWithoutSlash: what follows the last slash of an address is dropped.
func TestBrokerWithoutSlash(t *testing.T) {
	f := newFake(t)
	c := f.config()
	c.Identity.Broker = strings.TrimSuffix(c.Identity.Broker, "/")
	ctx, stop := context.WithCancel(t.Context())
	r := start(ctx, t, c)
	until(t, func() bool { return f.count("POST /session") > 0 })
	stop()
	r.wait()
}

func TestJobThatIsGone(t *testing.T) {
	for name, prepare := range map[string]func(f *fake){
		"not acknowledged":    func(f *fake) { f.answer("POST /broker/acknowledge", 404, refusal(404, "AcknowledgeJobNotFound")) },
		"not found":           func(f *fake) { f.answer("POST /run/acquirejob", 404, runRefusal(404)) },
		"another's":           func(f *fake) { f.answer("POST /run/acquirejob", 409, runRefusal(409)) },
		"cannot be processed": func(f *fake) { f.answer("POST /run/acquirejob", 422, runRefusal(422)) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, script("hello", "echo hello", "success()"))
			prepare(f)
			f.offer()
			code, out := f.run(t.Context())
			exited(t, code, minirunner.ExitDone, out)
			if n := strings.Count(out, "Running job"); n != 1 {
				t.Errorf("ran %d jobs, want the second offered:\n%s", n, out)
			}
			if n := f.count("POST /broker/acknowledge"); n != 2 {
				t.Errorf("acknowledged %d jobs, want both", n)
			}
			lacks(t, out, "error")
		})
	}
}

// TestRetries: an answer of 5xx, and a refusal that is not signed, is asked again.
func TestRetries(t *testing.T) {
	f := newFake(t, script("hello", "echo hello", "success()"))
	f.answer("POST /run/acquirejob", 500, nil)
	f.answer("POST /run/acquirejob", 404, object{"message": "Job not found"})
	f.answer("POST /run/renewjob", 500, nil)
	f.answer("POST /run/completejob", 503, nil)
	f.answer("POST /run/completejob", 503, nil)
	code, out := f.run(t.Context())
	exited(t, code, minirunner.ExitDone, out)
	if a, c := f.count("POST /run/acquirejob"), f.count("POST /run/completejob"); a != 3 || c != 3 {
		t.Errorf("acquired %d times, completed %d times, want 3 of each", a, c)
	}
}

// TestLeaseRefused: a job that cannot be renewed once is not begun, and the runner
// leaves without a word.
func TestLeaseRefused(t *testing.T) {
	f := newFake(t, script("hello", "echo hello", "success()"))
	f.answer("POST /run/renewjob", 404, runRefusal(404))
	f.offer()
	r := start(t.Context(), t, f.config())
	code, out := r.wait()
	exited(t, code, minirunner.ExitDone, out)
	has(t, out, "Running job")
	lacks(t, out, "completed")
	if f.count("POST /run/completejob") != 0 || configured(r.root) {
		t.Error("the job was completed, or the configuration is left")
	}
}

// TestLeaseLost: GitHub gave the job up while it ran.
func TestLeaseLost(t *testing.T) {
	began := filepath.Join(t.TempDir(), "began")
	f := newFake(t, script("long", "touch "+began+"; sleep 60", "success()"))
	f.offer()
	r := start(t.Context(), t, f.config())
	waitFor(t, began)
	f.answer("POST /run/renewjob", 404, runRefusal(404))
	f.answer("POST /run/completejob", 404, runRefusal(404))
	code, out := r.wait()
	exited(t, code, minirunner.ExitDone, out)
	has(t, out, "completed with result: Abandoned")
}

func TestFolderThatCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c := newFake(t).config()
	c.Root = file
	code, out := start(t.Context(), t, c).wait()
	exited(t, code, 134, out)
	has(t, out, "Unhandled exception. System.IO.IOException: ")
}

// TestCache writes the cache of locations, and waits where that is not possible.
func TestCache(t *testing.T) {
	c := newFake(t).config()
	c.Cache = filepath.Join(t.TempDir(), "GitHubActionsService")
	ctx, stop := context.WithCancel(t.Context())
	r := start(ctx, t, c)
	r.listening()
	stop()
	r.wait()
	if _, err := os.Stat(filepath.Join(c.Cache, "locations.json")); err != nil {
		t.Error(err)
	}
	c.Cache = filepath.Join(c.Cache, "locations.json", "no folder")
	c.Pauses.Cache = 200 * time.Millisecond
	began := time.Now()
	ctx, stop = context.WithCancel(t.Context())
	r = start(ctx, t, c)
	r.listening()
	if waited := time.Since(began); waited < c.Pauses.Cache {
		t.Errorf("listening after %v, want at least %v", waited, c.Pauses.Cache)
	}
	stop()
	r.wait()
}
