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
	for _, name := range []string{AgentFile, ArchiveFile, ProgramFile, ".git/HEAD"} { // no part of it
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

// codebuild runs steps of codebuild.sh where aws, docker and curl only note what they
// are asked, and do what a line of shell says; it returns what was asked.
func codebuild(t *testing.T, programs map[string]string, steps ...string) (asked string, failed error) {
	t.Helper()
	dir, bin := t.TempDir(), t.TempDir()
	if err := Embedded().Eject(dir, false); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"aws", "docker", "curl", "git", "uname"} {
		script := "#!/bin/bash\n[ $0 = " + bin + "/uname ] || echo ${0##*/} \"$@\" >>" + dir + "/asked\n" + programs[name] + "\n"
		if err := os.WriteFile(filepath.Join(bin, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range steps {
		run := exec.Command("bash", "codebuild.sh", step)
		run.Dir = dir
		run.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"),
			"RUNNER_VERSION=2.336.0", "RUNNER_SHA256="+sumOfX, "AGENT_URI=s3://b/agent", "TOOL_URI=s3://b/tool", "ARCHIVES_URI=s3://b/archives",
			"DOWNLOADS="+programs["DOWNLOADS"], "REPOSITORY_URI=1.dkr.ecr.eu-west-1.amazonaws.com/ci", "CODEBUILD_BUILD_NUMBER=7", "ARCHITECTURE=amd64")
		if out, err := run.CombinedOutput(); err != nil {
			return string(out), err
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "asked"))
	if err != nil {
		t.Fatal(err)
	}
	if digest, err := os.ReadFile(filepath.Join(dir, "image-digest")); err == nil {
		text = append(text, "digest "+string(digest)...)
	}
	return string(text), nil
}

// sumOfX is the SHA-256 of an archive that holds an x.
const sumOfX = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"

const (
	copies   = `[ "$1" = s3 ] && printf x >"${@: -1}"`
	noCopies = `[ "$1" = s3 ] && case $4 in *archives*) exit 1 ;; *) printf x >"${@: -1}" ;; esac`
	curls    = `while [ "$1" != -o ]; do shift; done; printf x >"$2"`
	arm      = "echo aarch64"
)

func TestCodebuild(t *testing.T) {
	pushes := `[ "$1" != inspect ] || printf '%s\n' other/ci@sha256:00 1.dkr.ecr.eu-west-1.amazonaws.com/ci@sha256:11`
	for name, c := range map[string]struct {
		programs map[string]string
		steps    []string
		want     []string
		fails    bool
	}{
		"from the bucket": {
			map[string]string{"aws": copies, "uname": "echo x86_64"}, []string{"fetch"},
			[]string{"s3://b/agent mayfly-agent", "s3://b/tool mayfly\n", "s3://b/archives/runner-" + sumOfX + ".tar.gz actions-runner.tar.gz"}, false,
		},
		"from GitHub": {
			map[string]string{"aws": noCopies, "curl": curls, "uname": arm}, []string{"fetch"},
			[]string{"--retry", "https://github.com/actions/runner/releases/download/v2.336.0/actions-runner-linux-arm64-2.336.0.tar.gz"}, false,
		},
		"from a mirror": {
			map[string]string{"aws": noCopies, "curl": curls, "uname": arm, "DOWNLOADS": "https://mirror.example.com/runners"}, []string{"fetch"},
			[]string{"https://mirror.example.com/runners/v2.336.0/actions-runner-linux-arm64-2.336.0.tar.gz"}, false,
		},
		"GitHub refuses": {
			map[string]string{"aws": noCopies, "curl": "exit 22", "uname": arm}, []string{"fetch"},
			[]string{"https://github.com/actions/runner/releases/download/v2.336.0/actions-runner-linux-arm64-2.336.0.tar.gz is not to be had", "--agent-archive"}, true,
		},
		"wrong checksum": {
			map[string]string{"aws": strings.ReplaceAll(copies, "printf x", "printf y"), "uname": arm}, []string{"fetch", "build"},
			[]string{"runner 2.336.0 is not what RUNNER_SHA256 says: not built"}, true,
		},
		"of no git": {map[string]string{"git": "exit 128", "docker": pushes}, []string{"build"}, []string{"SOURCE_REVISION=unknown "}, false},
		"build and push": {
			map[string]string{"git": "echo 0123456789abcdef", "docker": pushes}, []string{"build", "push"},
			[]string{
				"RUNNER_VERSION=2.336.0", "RUNNER_SHA256=" + sumOfX, "SOURCE_REVISION=0123456789ab ", "BUILD_TIME=20", "--password-stdin 1.dkr.ecr.eu-west-1.amazonaws.com\n",
				"docker push 1.dkr.ecr.eu-west-1.amazonaws.com/ci:2.336.0-0123456789ab-amd64-7\n", "digest sha256:11\n",
			}, false,
		},
		"base of Amazon's": {
			map[string]string{"git": "echo 0123456789abcdef", "docker": pushes}, []string{"build"},
			[]string{"docker pull --quiet public.ecr.aws/docker/library/ubuntu@sha256:", "--build-arg BASE=public.ecr.aws/docker/library/ubuntu@sha256:"}, false,
		},
		"base of Docker's, where Amazon's is away": {
			map[string]string{"git": "echo 0123456789abcdef", "docker": `case "$*" in *pull*public.ecr.aws*) exit 1 ;; esac`}, []string{"build"},
			[]string{"docker pull --quiet docker.io/library/ubuntu@sha256:", "--build-arg BASE=docker.io/library/ubuntu@sha256:"}, false,
		},
		"no base": {
			map[string]string{"git": "echo 0123456789abcdef", "docker": `[ "$1" != pull ]`}, []string{"build"},
			[]string{"docker.io/library/ubuntu@sha256:", "is not to be had, here or at public.ecr.aws: image.base names another"}, true,
		},
		"digest unknown": {map[string]string{}, []string{"push"}, []string{"its digest is not known"}, true},
		"wrong use":      {nil, []string{"deploy"}, []string{"usage: bash codebuild.sh fetch|build|canary|push"}, true},
	} {
		asked, err := codebuild(t, c.programs, c.steps...)
		if (err != nil) != c.fails {
			t.Errorf("%s: %v\n%s", name, err, asked)
		}
		for _, want := range c.want {
			if !strings.Contains(asked, want) {
				t.Errorf("%s: %q is not in\n%s", name, want, asked)
			}
		}
	}
}
