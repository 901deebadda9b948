package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim/fault"
	"github.com/mayfly-ci/mayfly/internal/proof"
	"github.com/mayfly-ci/mayfly/internal/rehearsal"
	"github.com/mayfly-ci/mayfly/internal/secret"
	"github.com/mayfly-ci/mayfly/internal/tool/tooltest"
)

// twoPools are lines for a world's configuration that give it a second pool.
const twoPools = `max: 4
  - name: large
    labels: [mayfly-large, linux]
    memory: 512MiB
    network: host
    command: [` + rehearsal.Minirunner + `]`

// proofWorld is a world with a commit in its repository, and nobody serves it yet.
func proofWorld(t *testing.T, c worldConfig) *world {
	t.Helper()
	tooltest.Need(t, "bwrap")
	w := newWorld(t, c)
	w.push(t, map[string]string{"README": "hello", ".github/workflows/other.yml": "on: {push: {branches: [main]}}\njobs: {a: {runs-on: elsewhere, steps: [{run: 'true'}]}}\n"})
	return w
}

// proves runs mayfly test and returns what it says, which is removed in any case.
func (w *world) proves(t *testing.T, want int, args ...string) (v proof.Report, errs string) {
	t.Helper()
	out, errs, code := w.mayfly(t, append([]string{"test", worldRepository, "--json", "--branch", "try"}, args...)...)
	if code != want {
		t.Fatalf("exit code %d, want %d\n%s%s%s", code, want, out, errs, w.said())
	}
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatalf("%v in %q\n%s", err, out, errs)
	}
	w.noBranch(t)
	return v, errs
}

// said is what the world's mayfly up wrote, if there is one.
func (w *world) said() string {
	if w.up == nil {
		return ""
	}
	return w.up.said()
}

// noBranch fails t if the test's branch exists, or if a run of it goes on.
func (w *world) noBranch(t *testing.T) {
	t.Helper()
	tooltest.NoBranch(t, github.Config{URL: w.simURL, Token: secret.New(w.token)}, w.sim, worldRepository, "try")
}

func TestProof(t *testing.T) {
	t.Parallel()
	w := proofWorld(t, worldConfig{pool: twoPools})
	w.serve(t)
	v, errs := w.proves(t, 0)
	want := map[string]string{"pool small": "small", "pool large": "large", "after all pools": "small", "after that": "small"}
	places := map[string]bool{}
	for _, j := range v.Jobs {
		if want[j.Name] != j.Pool || j.Result != "success" || len(j.Hops) != 8 {
			t.Errorf("%+v, want all hops on pool %s", j, want[j.Name])
		}
		places[j.Runner], places[j.Place] = true, true
	}
	if len(v.Jobs) != len(want) || len(places) != 2*len(want) || v.Broken != nil {
		t.Errorf("%+v\n%s", v, errs)
	}
	if runs := w.sim.Runs(); len(runs) != 2 || runs[1].Workflow != "mayfly test" {
		t.Errorf("runs %+v: want none of the repository's own workflows on the branch", runs)
	}
	if left := w.left(t); left != "" {
		t.Errorf("left:\n%s", left)
	}

	out, errs, code := w.mayfly(t, "test", worldRepository, "--pools", "large")
	for _, line := range []string{"LISTENING", "pool large", "after that", "3 jobs, each in a container of its own"} {
		if code != 0 || !strings.Contains(out, line) || strings.Contains(out, "pool small") {
			t.Errorf("exit code %d, no %q in\n%s%s", code, line, out, errs)
		}
	}
	w.up.stop(t)
}

// TestProofBroken breaks one link after another.
func TestProofBroken(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		config worldConfig
		breaks func(t *testing.T, w *world)
		args   []string
		link   string
		says   []string
	}{
		"nobody serves": {link: "delivery", says: []string{"mayfly up is not running", "hint: start it"}, breaks: func(t *testing.T, w *world) {
			w.serve(t)
			w.up.stop(t)
		}},
		"no webhook": {link: "delivery", says: []string{"acme/web has no webhook that sends to", "hint: mayfly webhook install"}, breaks: func(t *testing.T, w *world) {
			w.serve(t)
			if out, errs, code := w.mayfly(t, "webhook", "remove"); code != 0 {
				t.Fatal(out, errs)
			}
		}},
		"another secret": {link: "delivery", says: []string{"GitHub could not deliver", "401"}, breaks: func(t *testing.T, w *world) {
			right := w.secret
			w.secret = "another secret than GitHub has"
			w.serve(t)
			w.secret = right
		}},
		"another configuration": {link: "pool", says: []string{"no pool takes labels", "hint: labels and repositories"}, breaks: func(t *testing.T, w *world) {
			w.serve(t)
			w.edit(t, "["+worldLabel+"]", "[new-label]") // without SIGHUP
		}},
		"pools that overlap": {config: worldConfig{pool: "max: 4\n  - {name: same, labels: [" + worldLabel + "], network: host}"}, link: "pool", says: []string{"meant for pool same, it went to pool small"},
			breaks: func(t *testing.T, w *world) { w.serve(t) }},
		"no room": {config: worldConfig{pool: "cpus: 200"}, link: "room", says: []string{"host is too small"}, breaks: func(t *testing.T, w *world) { w.serve(t) }},
		"GitHub registers none": {link: "claim", says: []string{"runners failed", "hint: GitHub registers no runner"}, args: []string{"--patience", "30s"}, breaks: func(t *testing.T, w *world) {
			w.serve(t)
			w.sim.Faults().Add(fault.Rule{Path: "/repos/acme/web/actions/runners/generate-jitconfig", Status: 403})
		}},
		"a program that ends": {link: "runner", says: []string{"hint: the runner's program does not listen"}, args: []string{"--patience", "30s"}, breaks: func(t *testing.T, w *world) {
			w.edit(t, "["+rehearsal.Minirunner+"]", "[/bin/false]")
			w.serve(t)
		}},
		"a container that was used": {link: "result", says: []string{"it ended with failure"}, args: []string{"--patience", "30s"}, breaks: func(t *testing.T, w *world) {
			w.edit(t, "programs: {", "programs: {"+w.config()+": /tmp/mayfly-test, ")
			w.serve(t)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := proofWorld(t, test.config)
			test.breaks(t, w)
			v, errs := w.proves(t, 1, append([]string{"--patience", "2s"}, test.args...)...)
			if v.Broken == nil || v.Broken.Name != test.link {
				t.Fatalf("%+v, want link %s\n%s%s", v.Broken, test.link, errs, w.said())
			}
			for _, text := range test.says {
				if !strings.Contains(errs, text) {
					t.Errorf("no %q in\n%s", text, errs)
				}
			}
		})
	}
}

// edit changes the configuration.
func (w *world) edit(t *testing.T, old, new string) {
	t.Helper()
	text, err := os.ReadFile(w.config())
	if err == nil && !strings.Contains(string(text), old) {
		t.Fatalf("no %q in\n%s", old, text)
	}
	if err == nil {
		err = os.WriteFile(w.config(), []byte(strings.ReplaceAll(string(text), old, new)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestProofStopped stops a test as Ctrl-C does, while its jobs wait.
func TestProofStopped(t *testing.T) {
	t.Parallel()
	w := proofWorld(t, worldConfig{})
	w.serve(t)
	w.up.stop(t)
	changes := w.sim.Subscribe()
	defer changes.Close()
	cmd := exec.Command(tooltest.Binary("mayfly"), "-c", w.config(), "test", worldRepository, "--branch", "try")
	cmd.Env = append(os.Environ(), w.env()...)
	var errs strings.Builder
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for queued := false; !queued; {
		change, more := changes.Next(ctx)
		if !more {
			t.Fatalf("nothing was pushed\n%s", &errs)
		}
		queued = change.Job != nil && change.Job.Status == githubsim.StatusQueued
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(errs.String(), "stopped before its end") {
		t.Errorf("exit code %d\n%s", code, &errs)
	}
	w.noBranch(t)
}

// TestProofRefused has what GitHub or a person got wrong before anything is pushed.
func TestProofRefused(t *testing.T) {
	t.Parallel()
	w := proofWorld(t, worldConfig{pool: "repositories: [acme/*]"})
	w.serve(t)
	for args, want := range map[string]struct {
		code int
		says string
	}{
		"test acme/none":                   {4, "hint:"},
		"test acme":                        {2, "want owner/name"},
		"test other/web":                   {2, "no pool serves other/web"},
		"test acme/web --pools small,none": {2, `pool "none" is not configured`},
		"test acme/web --branch a..b":      {2, "want letters"},
		"test acme/web --branch main":      {2, "is there already"},
	} {
		if out, errs, code := w.mayfly(t, strings.Fields(args)...); code != want.code || !strings.Contains(errs, want.says) {
			t.Errorf("%s: exit code %d, want %d and %q\n%s%s", args, code, want.code, want.says, out, errs)
		}
	}
	w.push(t, map[string]string{"README": "main is still there"})
	if runs := w.sim.Runs(); len(runs) != 1 || runs[0].Ref != "refs/heads/main" {
		t.Errorf("runs %+v: want that of main only", runs)
	}
}
