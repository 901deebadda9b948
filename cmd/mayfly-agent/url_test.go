package main

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/agent"
	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
	"github.com/mayfly-ci/mayfly/internal/claim"
)

// function serves claims as a Function URL behind IAM does: first the signature is
// checked, then the function answers. The first answers are of what stands in front.
func function(t *testing.T, keys aws.Credentials, s *side, front ...int) *httptest.Server {
	t.Helper()
	s.gone = make(chan claim.Report, 2)
	config := claim.Config{Ledger: s, Forge: s, Log: slog.New(slog.DiscardHandler)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if len(front) > 0 {
			w.WriteHeader(front[0])
			io.WriteString(w, `{"Message":"not from the function"}`)
			front = front[1:]
			return
		}
		if err := awstest.CheckSignature(r, body, keys, "lambda"); err != nil {
			t.Errorf("%s: %v", r.URL, err)
			w.WriteHeader(http.StatusForbidden)
			return
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		claim.Handler(config, "r1").ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server
}

// TestOneJobOverURL is a job whose runner claims as a task on AWS does.
func TestOneJobOverURL(t *testing.T) {
	t.Parallel()
	keys := aws.Credentials{AccessKeyID: "ASIAX", SecretAccessKey: "hunter2", SessionToken: "session=="}
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(map[string]string{
			"AccessKeyId": keys.AccessKeyID, "SecretAccessKey": keys.SecretAccessKey, "Token": keys.SessionToken,
			"Expiration": time.Now().Add(time.Hour).UTC().Format(time.RFC3339),
		})
	}))
	t.Cleanup(endpoint.Close)
	s := &side{}
	url := function(t, keys, s, http.StatusForbidden, http.StatusTooManyRequests, http.StatusBadGateway).URL + "/"
	cmd := exec.Command(program, "--url", url, "--", "bash", "-c", listening+running+completed+"env")
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "AWS_REGION=" + awstest.Region,
		"AWS_CONTAINER_CREDENTIALS_FULL_URI=" + endpoint.URL + "/role", "MAYFLY_RUNNER=ci-small-1-1-1",
	}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := claim.Report{Phase: claim.PhaseGone, Reason: "job done", Ran: true}
	if diff := cmp.Diff(want, s.last(t)); diff != "" {
		t.Errorf("last report (-want +got):\n%s", diff)
	}
	for text, want := range map[string]bool{
		"ACTIONS_RUNNER_INPUT_JITCONFIG=" + jit: true, "AWS_CONTAINER": false, "MAYFLY_": false, "hunter2": false, "session==": false,
	} {
		if strings.Contains(string(out), text) != want {
			t.Errorf("the runner's output has %q: %v, want %v\n%s", text, !want, want, out)
		}
	}
}

func TestURLWithoutRole(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(program, "--url", "https://abc.lambda-url.eu-west-1.on.aws/", "--", "true")
	cmd.Env = []string{}
	out, _ := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != agent.ExitUsage || !strings.Contains(string(out), "no credentials of a task role") {
		t.Errorf("exit code %d: %s", cmd.ProcessState.ExitCode(), out)
	}
}
