package main

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
)

// TestPagesAreTold: whoever pushes a workflow that cannot run, or not wholly, reads why.
func TestPagesAreTold(t *testing.T) {
	sim, err := githubsim.New(githubsim.Config{Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: time.Now, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer sim.Close()
	if err := sim.CreateRepository(githubsim.Repository{Name: "acme/web"}); err != nil {
		t.Fatal(err)
	}
	if _, err := sim.Push(githubsim.Push{Repository: "acme/web", Files: map[string]string{
		".github/workflows/broken.yml": "on: push\njobs: {a: {runs-on: linux, needs: none, steps: [{run: a}]}}",
		".github/workflows/wrong.yml":  "on: push\njobs: {a: {runs-on: linux, name: \"a\\e[31m\", timeout-minutes: \"${{ fromJSON('[]') }}\", steps: [{run: a}]}}",
	}}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "screen")
	out, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	pages := pages{screen: cli.NewScreen(out, out, true), told: map[int64]bool{}}
	for range 2 { // what is told twice is printed once
		for _, r := range sim.Runs() {
			pages.run(r)
		}
		for _, j := range sim.Jobs() {
			pages.job(j)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"of .github/workflows/broken.yml in acme/web: startup_failure\n", `failure: Invalid workflow file: .github/workflows/broken.yml:2:35: job "a" needs "none"`,
		"in acme/web: failure: error when evaluating 'timeout-minutes' for job 'a'",
	} {
		if strings.Count(string(text), want) != 1 {
			t.Errorf("want %q once in:\n%s", want, text)
		}
	}
	if strings.Contains(string(text), "\x1b") {
		t.Error("a name reached the terminal as it is")
	}
}
