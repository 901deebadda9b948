package rehearsal_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/machine"
	"github.com/mayfly-ci/mayfly/internal/pool"
	"github.com/mayfly-ci/mayfly/internal/rehearsal"
)

const repository = "acme/web"

// open returns a machine in sandboxes, with a pool that has so many warm runners.
func open(t *testing.T, warm int) *rehearsal.Rehearsal {
	t.Helper()
	s, err := rehearsal.Open(t.Context(), rehearsal.Config{
		Launcher: machine.Sandbox, State: t.TempDir(), Listen: "127.0.0.1:0", Repository: repository, Log: slog.New(slog.DiscardHandler),
		Pools: pool.Set{{
			Name: "small", Labels: []string{"linux", "small"}, Max: 4, Resources: pool.Resources{CPUs: 0.1, Memory: 256 << 20},
			Warm: pool.Warm{Runners: warm, At: []string{repository}},
		}},
		Progress: func(string, ...any) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// runners waits until the live runners are as they should be.
func runners(t *testing.T, s *rehearsal.Rehearsal, what string, good func(idle []ledger.Runner) bool) (idle []ledger.Runner) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		state, err := s.Ledger().Snapshot(ctx)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		idle = nil
		for r := range state.Runners() {
			if r.Warm() && r.State == ledger.RunnerIdle {
				idle = append(idle, r)
			}
		}
		if good(idle) {
			return idle
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %d warm runners are idle", what, len(idle))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// TestWarmRunners: jobs run on runners that listened before, on which nobody else's job ran, and others take their places.
func TestWarmRunners(t *testing.T) {
	s := open(t, 2)
	first := runners(t, s, "at the start", func(idle []ledger.Runner) bool { return len(idle) == 2 })
	changes := s.Sim.Subscribe()
	defer changes.Close()
	const job = "    runs-on: %\n    steps:\n    - run: test ! -e ~/used && touch ~/used\n"
	text := "on: push\njobs:\n"
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		text += "  " + name + ":\n" + strings.Replace(job, "%", map[bool]string{true: "small", false: "[linux, small]"}[name < "c"], 1)
	}
	if _, err := s.Sim.Push(githubsim.Push{Repository: repository, Message: "x", Files: map[string]string{".github/workflows/x.yml": text}}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for done := 0; done < 5; {
		change, ok := changes.Next(ctx)
		if !ok {
			t.Fatal(context.Cause(ctx))
		}
		if j := change.Job; j != nil && j.Status == githubsim.StatusCompleted {
			if done++; j.Conclusion != "success" {
				t.Errorf("job %s: %s: %s", j.Name, j.Conclusion, rehearsal.LastLine(s.Sim, j.ID))
			}
		}
	}
	runners(t, s, "afterwards", func(idle []ledger.Runner) bool { return len(idle) == 2 })
	all, err := s.Ledger().Runners(ctx, ledger.RunnerQuery{})
	if err != nil {
		t.Fatal(err)
	}
	ran := map[ledger.RunnerName]bool{}
	jobs := map[ledger.JobKey]bool{}
	for _, r := range all {
		if !r.Runs.IsZero() {
			ran[r.Name], jobs[r.Runs] = true, true
		}
	}
	if !ran[first[0].Name] || !ran[first[1].Name] || len(ran) != 5 || len(jobs) != 5 {
		t.Errorf("jobs ran on %v, want five runners, with the warm ones %s and %s among them", ran, first[0].Name, first[1].Name)
	}
}

// TestWarmRunnersLeave with the machine's pools: when fewer are wanted, nothing is left.
func TestWarmRunnersLeave(t *testing.T) {
	s := open(t, 3)
	runners(t, s, "at the start", func(idle []ledger.Runner) bool { return len(idle) == 3 })
	state, err := s.Ledger().Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	limits := state.Limits()
	limits.Pools = slices.Clone(limits.Pools)
	limits.Pools[0].Warm = pool.Warm{}
	if err := s.Reload(t.Context(), limits, machine.Outside{}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.Settle(ctx); err != nil {
		t.Fatal(err)
	}
	left, err := s.Inventory(ctx)
	if err != nil || left.Containers+left.Registrations+left.Claims != 0 {
		t.Errorf("left: %+v, %v", left, err)
	}
}
