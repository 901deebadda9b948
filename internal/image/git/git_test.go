package git_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/image/git"
)

// Names that git has given, so that there need be no git.
func TestNames(t *testing.T) {
	if got := git.Blob([]byte("what is up, doc?")); got != "bd9dbf5aae1a3862dd1526723246b20206e5fc37" {
		t.Errorf("blob %s", got)
	}
	if got := git.Tree(nil); got != "4b825dc642cb6eb9a060e54bf8d69288fbee4904" {
		t.Errorf("tree of nothing %s", got)
	}
}

// TestNamesAreGits holds a tree with all that order and modes can do against git's own.
func TestNamesAreGits(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("SKIPPED, NOT TESTED: git is not installed")
	}
	dir, files := t.TempDir(), map[string]git.File{}
	for name, content := range map[string]string{
		"Dockerfile": "FROM scratch\n", "a": "", "a.b": "1", "a-b/c": "2", "a.d/e": "3", "ab": "4", "run.sh": "true\n", "deep/er/still": "5", "deep/er.txt": "6", "ä ö": "7",
	} {
		f, mode := filepath.Join(dir, filepath.FromSlash(name)), os.FileMode(0o644)
		if name == "run.sh" {
			mode = 0o755
		}
		if err := errors.Join(os.MkdirAll(filepath.Dir(f), 0o755), os.WriteFile(f, []byte(content), mode)); err != nil {
			t.Fatal(err)
		}
		files[name] = git.File{Blob: git.Blob([]byte(content)), Executable: mode == 0o755}
	}
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	run("init", "-q")
	run("add", "-A")
	if got, want := git.Tree(files), run("write-tree"); got != want {
		t.Errorf("tree %s, git says %s", got, want)
	}
}
