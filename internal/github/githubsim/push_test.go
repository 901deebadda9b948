package githubsim_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
)

// A clone is a working copy of acme/web.
type clone struct {
	w   *world
	dir string
}

func (w *world) clone(password string) (*clone, error) {
	c := &clone{w, filepath.Join(w.t.TempDir(), "web")}
	address := strings.Replace(w.url, "http://", "http://x:"+password+"@", 1) + "/acme/web.git"
	return c, c.git("clone", "-q", address, c.dir)
}

func (c *clone) git(args ...string) error {
	cmd := exec.Command("git", args...)
	if _, err := os.Stat(c.dir); err == nil {
		cmd.Dir = c.dir
	}
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=t", "GIT_AUTHOR_EMAIL=t@example.com", "GIT_COMMITTER_NAME=t", "GIT_COMMITTER_EMAIL=t@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		c.w.t.Logf("git %v: %s", args, out)
	}
	return err
}

func (c *clone) must(args ...string) {
	c.w.t.Helper()
	if err := c.git(args...); err != nil {
		c.w.t.Fatal(err)
	}
}

func (c *clone) write(name, text string) {
	c.w.t.Helper()
	file := filepath.Join(c.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		c.w.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		c.w.t.Fatal(err)
	}
}

func TestGitPushStartsRuns(t *testing.T) {
	w := newWorld(t)
	w.pushFiles(map[string]string{".github/workflows/ci.yml": one, "src/a.txt": "a\n", "src/b/c.txt": "c\n"})
	c, err := w.clone(pat)
	if err != nil {
		t.Fatal(err)
	}
	c.must("fsck", "--strict") // what was written without git is as git writes it
	if text, err := os.ReadFile(filepath.Join(c.dir, "src/b/c.txt")); err != nil || string(text) != "c\n" {
		t.Errorf("clone has %q, %v", text, err)
	}
	c.write(".github/workflows/more.yml", "on: {push: {branches: ['rel/**']}}\njobs: {m: {runs-on: linux, steps: [{run: 'true'}]}}")
	c.write("large", strings.Repeat("0123456789abcdef\n", 1<<17)+time.Now().String()) // more than git sends in one piece
	c.must("add", ".")
	c.must("commit", "-qm", "second")
	c.must("push", "-q", "origin", "main")
	c.must("push", "-q", "origin", "main:rel/1")
	var got []string
	for _, r := range w.Runs() {
		got = append(got, r.Path[len(".github/workflows/"):]+" "+r.Ref)
	}
	want := "ci.yml refs/heads/main, ci.yml refs/heads/main, ci.yml refs/heads/rel/1, more.yml refs/heads/rel/1"
	if strings.Join(got, ", ") != want {
		t.Errorf("runs: %v, want %s", got, want)
	}
	if _, err := w.Dispatch("acme/web", "ci.yml", "main", nil); err == nil {
		t.Error("a workflow without workflow_dispatch was dispatched")
	}
	c.must("push", "-q", "origin", "--delete", "rel/1")
	if got := len(w.Runs()); got != 4 {
		t.Errorf("%d runs after a branch was deleted, want 4", got)
	}
}

func TestGitChecksWhoAsks(t *testing.T) {
	w := newWorld(t)
	w.push(one)
	c, err := w.clone("wrong")
	if err != nil {
		t.Fatalf("a public repository cannot be read: %v", err)
	}
	c.must("commit", "-q", "--allow-empty", "-m", "x")
	if c.git("push", "-q", "origin", "main") == nil {
		t.Error("a stranger pushed")
	}
	if err := w.CreateRepository(githubsim.Repository{Name: "acme/secret", Private: true}); err != nil {
		t.Fatal(err)
	}
	if c.git("ls-remote", w.url+"/acme/secret.git") == nil {
		t.Error("a stranger read a private repository")
	}
}
