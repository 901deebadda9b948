package source

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestEjectedIsTheSameSource(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "image")
	if err := Embedded().Eject(dir, false); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{AgentFile, ArchiveFile, ".git/HEAD"} { // no part of it
		if err := put(filepath.Join(dir, name), []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	ejected, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := ejected.Revision, Embedded().Revision; got != want || len(got) != 12 {
		t.Errorf("revision %q, embedded is %q: want the same, of 12 digits", got, want)
	}
	if err := Embedded().Eject(dir, false); err != nil {
		t.Errorf("again, over the same files: %v", err)
	}
}

func TestEveryChangeIsAnotherRevision(t *testing.T) {
	seen := map[string]string{Embedded().Revision: "embedded"}
	for name, change := range map[string]func(dir string) error{
		"content":  func(dir string) error { return put(filepath.Join(dir, Dockerfile), []byte("FROM scratch\n")) },
		"new file": func(dir string) error { return put(filepath.Join(dir, "tools/x"), nil) },
		"less":     func(dir string) error { return os.Remove(filepath.Join(dir, "README.md")) },
		"name": func(dir string) error {
			return os.Rename(filepath.Join(dir, "README.md"), filepath.Join(dir, "READ.md"))
		},
		"executable": func(dir string) error { return os.Chmod(filepath.Join(dir, "codebuild.sh"), 0o755) },
	} {
		dir := t.TempDir()
		if err := errors.Join(Embedded().Eject(dir, false), change(dir)); err != nil {
			t.Fatal(err)
		}
		s, err := Open(dir)
		if other := seen[s.Revision]; err != nil || other != "" {
			t.Errorf("%s: %v, revision %s is that of %q", name, err, s.Revision, other)
		}
		seen[s.Revision] = name
	}
}

func TestEjectOverwritesOnlyWhenTold(t *testing.T) {
	dir := t.TempDir()
	mine := filepath.Join(dir, Dockerfile)
	if err := put(mine, []byte("FROM scratch\n")); err != nil {
		t.Fatal(err)
	}
	if err := Embedded().Eject(dir, false); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), mine) {
		t.Errorf("%v, want that %s is there", err, mine)
	}
	if all, err := os.ReadDir(dir); err != nil || len(all) != 1 {
		t.Errorf("%v, %v: want nothing written", all, err)
	}
	if err := Embedded().Eject(dir, true); err != nil {
		t.Error(err)
	}
	if s, err := Open(dir); err != nil || s.Revision != Embedded().Revision {
		t.Errorf("%+v, %v: want the embedded source", s, err)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	if _, err := Open(t.TempDir()); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), Dockerfile) {
		t.Errorf("an empty folder: %v", err)
	}
	dir := t.TempDir()
	if err := errors.Join(Embedded().Eject(dir, false), os.Symlink("/etc/passwd", filepath.Join(dir, "link"))); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "link") {
		t.Errorf("a link: %v", err)
	}
}

// TestShell has shellcheck read the script of CodeBuild.
func TestShell(t *testing.T) {
	if _, err := exec.LookPath("shellcheck"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("shellcheck is not installed: scripts/setup test installs it")
		}
		t.Skip("SKIPPED, NOT TESTED: shellcheck is not installed: scripts/setup test installs it")
	}
	if out, err := exec.Command("shellcheck", "codebuild.sh").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
