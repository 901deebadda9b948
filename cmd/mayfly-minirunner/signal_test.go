package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

// program is the test binary under the program's name.
func program(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "mayfly-minirunner")
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// jitOf registers a runner at a simulated GitHub.
func jitOf(t *testing.T, url string) string {
	t.Helper()
	body := `{"name":"r1","runner_group_id":1,"labels":["x"]}`
	req, err := http.NewRequest(http.MethodPost, url+"/api/v3/repos/acme/web/actions/runners/generate-jitconfig", bytes.NewBufferString(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer ghp_test")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var made struct {
		JIT string `json:"encoded_jit_config"`
	}
	if err := json.NewDecoder(res.Body).Decode(&made); err != nil || made.JIT == "" {
		t.Fatalf("%s, %v", res.Status, err)
	}
	return made.JIT
}

// TestSignals stops the program while it is idle, by either signal: it says so,
// ends its session and leaves its registration.
func TestSignals(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		sim, err := githubsim.New(githubsim.Config{
			Log: slog.New(slog.DiscardHandler), Now: time.Now, Tokens: []secret.Secret{secret.New("ghp_test")}, Dir: t.TempDir(),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer sim.Close()
		server := httptest.NewServer(sim)
		defer server.Close()
		if err := sim.CreateRepository(githubsim.Repository{Name: "acme/web"}); err != nil {
			t.Fatal(err)
		}
		root := t.TempDir()
		cmd := exec.Command(program(t), "--root", root, "--cache", "")
		cmd.Env = []string{jitVariable + "=" + jitOf(t, server.URL), "PATH=" + os.Getenv("PATH")}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(out)
		for line := ""; !strings.Contains(line, "Listening for Jobs"); {
			if line, err = lines.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		rest, _ := io.ReadAll(lines)
		if err := cmd.Wait(); err != nil || string(rest) != "Exiting...\n" {
			t.Errorf("%v: %v, printed %q", signal, err, rest)
		}
		if left := sim.Runners(); len(left) != 1 || left[0].Online {
			t.Errorf("%v: runners %+v, want one that is offline", signal, left)
		}
		server.CloseClientConnections()
	}
}
