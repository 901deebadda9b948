package main

import (
	"bufio"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/tool/tooltest"
)

// startSim runs `mayfly sim` until the test is over, and returns what it says at its start.
func startSim(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(tooltest.Binary("mayfly"), append([]string{"sim", "--listen", "127.0.0.1:0"}, args...)...)
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		_ = cmd.Wait() // how it ends is another test's
	})
	var text strings.Builder
	for lines := bufio.NewScanner(said); lines.Scan(); {
		text.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "config.sh") { // the last line
			break
		}
	}
	go func() { _, _ = io.Copy(io.Discard, said) }()
	return text.String()
}

// TestSimHintsWork runs each command that the simulator prints, as it is printed.
func TestSimHintsWork(t *testing.T) {
	t.Parallel()
	text, dir := startSim(t), t.TempDir()
	path := filepath.Dir(tooltest.Binary("mayfly")) + string(os.PathListSeparator) + os.Getenv("PATH")
	var outputs []string
	for line := range strings.Lines(text) {
		command, is := strings.CutPrefix(line, "  ")
		if !is {
			continue
		}
		cmd := exec.Command("sh", "-ec", command)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "PATH="+path, "GIT_TERMINAL_PROMPT=0")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", command, err, out)
		}
		outputs = append(outputs, string(out))
	}
	if len(outputs) != 5 {
		t.Fatalf("%d commands in\n%s", len(outputs), text)
	}
	for i, want := range []string{"", "--url http://127.0.0.1:", "", "[]", "[]"} {
		if !strings.Contains(outputs[i], want) {
			t.Errorf("command %d said %q, want %q", i+1, outputs[i], want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "web", ".git")); err != nil {
		t.Error(err)
	}
	if !strings.Contains(text, "config.sh drops the port") || !strings.Contains(text, "--listen :80") {
		t.Errorf("no word on the port in\n%s", text)
	}
}

func TestSimListensHere(t *testing.T) {
	for listen, want := range map[string]string{":80": "127.0.0.1:80", ":0": "127.0.0.1:0", "127.0.0.2:1": "127.0.0.2:1", "[::1]:1": "[::1]:1"} {
		if got := (&simCmd{Listen: listen}).address(); got != want {
			t.Errorf("--listen %s listens on %s, want %s", listen, got, want)
		}
	}
	c := simCmd{Token: "t", Repository: []string{"acme/web"}}
	if text := c.welcome(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80}); !strings.Contains(text, `url: "http://127.0.0.1",`) || strings.Contains(text, "drops the port") {
		t.Errorf("at port 80 it says\n%s", text)
	}
}

// TestTokenNeedsOnlyGitHub: neither a webhook nor pools, nor the secrets of others.
func TestTokenNeedsOnlyGitHub(t *testing.T) {
	t.Parallel()
	text, dir := startSim(t, "--token", "ghp_x"), t.TempDir()
	_, url, _ := strings.Cut(text, `url: "`)
	url, _, _ = strings.Cut(url, `"`)
	for content, code := range map[string]int{
		"github: {url: " + url + ", token: env:GITHUB_TOKEN}":                                                      0,
		"github: {url: " + url + ", token: env:GITHUB_TOKEN}\nwebhook: {secrets: [env:MAYFLY_NO_SUCH_VARIABLE]}\n": 0,
		"github: {url: " + url + ", token: env:GITHUB_TOKEN}\npools: 3\n":                                          2,
		"github: {url: " + url + ", token: env:MAYFLY_NO_SUCH_VARIABLE}":                                           2,
		"listen: 127.0.0.1:1": 2,
	} {
		file := filepath.Join(dir, "mayfly.yaml")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		out, errs, got := tooltest.Run(t, []string{"GITHUB_TOKEN=ghp_x"}, "-c", file, "token", "acme/web")
		if got != code || code == 0 && !(strings.Contains(out, "config.sh") && strings.Contains(errs, "drops port")) || code != 0 && !strings.Contains(errs, "hint:") {
			t.Errorf("%s\nexit code %d, want %d\n%s%s", content, got, code, out, errs)
		}
		if _, errs, got := tooltest.Mayfly(t, "-c", file, "up"); got != 2 {
			t.Errorf("%s\nmayfly up: exit code %d, want 2\n%s", content, got, errs)
		}
	}
}
