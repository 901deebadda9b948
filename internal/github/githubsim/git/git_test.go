package git_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim/git"
)

func all(string) bool { return true }

func TestCommitIsReadBackByGit(t *testing.T) {
	root := t.TempDir()
	r, err := git.Init(root, "acme/web")
	if err != nil {
		t.Fatal(err)
	}
	first, err := r.Commit("main", "", git.Commit{
		Message: "one\n\nbody", Author: "A", Email: "a@example.com", Time: time.Unix(1e9, 0).UTC(),
		// a-b sorts before a/ and a.b, as git has it
		Files: map[string]string{"a/x": "1", "a-b": "2", "a.b": "3", "a/y/z": ""},
	})
	if err != nil {
		t.Fatal(err)
	}
	second, err := r.Commit("main", first.SHA, git.Commit{Message: "two", Author: "A", Email: "a", Time: time.Unix(1e9+1, 0), Files: map[string]string{"a/x": "9"}})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if refs, err := r.Refs(ctx); err != nil || refs["refs/heads/main"] != second.SHA {
		t.Errorf("refs are %v, %v", refs, err)
	}
	got, err := r.Read(ctx, first.SHA, all)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(first, got); d != "" {
		t.Errorf("commit (-written +read):\n%s", d)
	}
	changed, err := r.Changed(ctx, first.SHA, second.SHA)
	if d := cmp.Diff([]string{"a-b", "a.b", "a/x", "a/y/z"}, changed); d != "" || err != nil {
		t.Errorf("changed: %v %s", err, d)
	}
	if initial, err := r.Changed(ctx, "", second.SHA); err != nil || len(initial) != 1 {
		t.Errorf("changed since nothing: %v, %v", initial, err)
	}
	if _, err := r.Read(ctx, "--output=/tmp/x", all); err == nil {
		t.Error("an option was read as a commit")
	}
}

func TestNamesStayInside(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"", "acme", "a/b/c", "../x", "acme/..", "acme/.git", "a\x00/b"} {
		if _, err := git.Init(filepath.Join(root, "in"), name); err == nil {
			t.Errorf("repository %q was made", name)
		}
	}
	r, err := git.Init(filepath.Join(root, "in"), "acme/web")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"../x", "/x", "a/../../x", "a//b", ""} {
		if _, err := r.Commit("main", "", git.Commit{Files: map[string]string{file: "x"}}); err == nil {
			t.Errorf("file %q was written", file)
		}
	}
	for _, branch := range []string{"../../../x", "/x/../../../y"} {
		if _, err := r.Commit(branch, "", git.Commit{}); err == nil {
			t.Errorf("branch %q was made", branch)
		}
	}
	if entries, err := os.ReadDir(root); err != nil || len(entries) != 1 {
		t.Errorf("outside there is %v, %v", entries, err)
	}
}
