package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
	"github.com/mayfly-ci/mayfly/internal/machine"
	"github.com/mayfly-ci/mayfly/internal/tool/tooltest"
)

// publishPings puts events on the bus that lead to the rule "pings" of smallConfig.
func publishPings(t *testing.T, m *machine.StandIn, ids ...string) {
	t.Helper()
	for _, id := range ids {
		e := event.Event{ID: id, Source: event.SourceGitHub, DetailType: "ping", Time: time.Now(), Detail: []byte(`{"zen":"Half measures are as bad as nothing at all."}`)}
		if _, err := m.Bus.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
}

// replayOf waits until the replay of that name is over, and returns how it stands.
func replayOf(t *testing.T, file, name string) eventlog.Replay {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		for _, r := range tooltest.JSON[[]eventlog.Replay](t, "-c", file, "replay", "list", "--json") {
			if r.Name == name && r.State != eventlog.ReplayRunning {
				return r
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("replay %s is not over", name)
		}
	}
}

func TestReplayCommands(t *testing.T) {
	t.Parallel()
	file, state := writeConfig(t, smallConfig)
	m := serveStore(t, file, state, true)
	publishPings(t, m, "a", "b", "c")
	job := event.Event{ID: "job", Source: event.SourceGitHub, DetailType: event.TypeWorkflowJob, Time: time.Now(),
		Detail: []byte(`{"action":"queued","workflow_job":{"id":7,"run_attempt":1,"labels":["linux"]},"repository":{"full_name":"acme/web"},"mayfly":{"pool":"small","labels":"linux"}}`)}
	if _, err := m.Bus.Publish(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	pattern := filepath.Join(t.TempDir(), "pattern.json")
	if err := os.WriteFile(pattern, []byte(`{"id": ["b", "job"]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		args string
		want int
	}{
		"all":     {"--from 1h", 3},
		"rule":    {"--from 1h --rule pings", 3},
		"pattern": {"--from 1h --pattern " + pattern, 1},
		"launch":  {"--from 1h --launch --pattern " + pattern, 2},
		"early":   {"--from 2h --to 1h", 0},
		"utc":     {"start --from 2026-01-31T12:00:00Z --to " + time.Now().Add(time.Hour).UTC().Format(time.RFC3339) + " --rule pings", 3},
		"day":     {"--from 2026-01-31 --rule pings", 3},
	} {
		args := append([]string{"-c", file, "replay"}, strings.Fields(test.args)...)
		preview := tooltest.JSON[eventlog.Preview](t, append(args, "--dry-run", "--json")...)
		if preview.Events != test.want {
			t.Errorf("%s: previewed %+v, want %d", name, preview, test.want)
		}
		if out, errs, code := tooltest.Mayfly(t, append(args, "--name", name)...); code != 0 || !strings.Contains(out, "replay "+name+" has begun") {
			t.Fatalf("%s: exit code %d\n%s%s", name, code, out, errs)
		}
		if r := replayOf(t, file, name); r.State != eventlog.ReplayCompleted || r.Deliveries != test.want || r.Dead != 0 {
			t.Errorf("%s: %+v, want %d deliveries", name, r, test.want)
		}
	}
	out, _, _ := tooltest.Mayfly(t, "-c", file, "replay", "--from", "1h", "--dry-run")
	if !strings.Contains(out, "pings  3\n") || !strings.Contains(out, "events: 3; nothing was delivered") {
		t.Errorf("dry run:\n%s", out)
	}
	for args, want := range map[string]struct {
		code int
		hint string
	}{
		"replay --from 1h --rule jobs":                  {2, "hint: --launch gives them"},
		"replay --from 1h --name all":                   {1, `a replay of that name exists`},
		"replay --from 1h --rule no-such":               {1, "hint: mayfly rule list"},
		"replay --from yesterday":                       {2, "want a time such as"},
		"replay --from 2026-02-30":                      {2, "a day such as 2026-01-31"},
		"replay":                                        {2, "--from"},
		"replay cancel all":                             {1, "no replay of that name runs"},
		"replay --from 1h --pattern " + file:            {2, "mayfly.yaml"},
		"replay --from 1h --name ../x --rule pings":     {1, "want letters, digits"},
		"replay cancel --state " + t.TempDir() + " all": {1, "hint: nothing has run"},
	} {
		if _, errs, code := tooltest.Mayfly(t, append([]string{"-c", file}, strings.Fields(args)...)...); code != want.code || !strings.Contains(errs, want.hint) {
			t.Errorf("%s: exit code %d, want %d and %q\n%s", args, code, want.code, want.hint, errs)
		}
	}
}

// TestReplayWaits begins replays where no mayfly up runs: one is cancelled, the other is
// delivered by the next.
func TestReplayWaits(t *testing.T) {
	t.Parallel()
	file, state := writeConfig(t, smallConfig)
	bury(t, state, "pings", "a", "b")
	for _, name := range []string{"go", "stay"} {
		if _, errs, code := tooltest.Mayfly(t, "-c", file, "replay", "--from", "1h", "--name", name); code != 0 || !strings.Contains(errs, "it delivers when it does") {
			t.Fatalf("exit code %d\n%s", code, errs)
		}
	}
	if out, errs, code := tooltest.Mayfly(t, "-c", file, "replay", "cancel", "stay"); code != 0 {
		t.Errorf("replay cancel: exit code %d\n%s%s", code, out, errs)
	}
	serveStore(t, file, state, true)
	if r := replayOf(t, file, "go"); r.Deliveries != 2 {
		t.Errorf("%+v, want 2 deliveries", r)
	}
	if r := replayOf(t, file, "stay"); r.State != eventlog.ReplayCancelled || r.Deliveries != 0 {
		t.Errorf("%+v, want it cancelled before it did anything", r)
	}
}

// TestReplayStartsNoRunner replays all that made two jobs run. Without --launch nothing of
// it comes to mayfly's own rules; with it the ledger knows that the jobs are over.
func TestReplayStartsNoRunner(t *testing.T) {
	t.Parallel()
	tooltest.Need(t, "bwrap")
	w := newWorld(t, worldConfig{})
	w.serve(t)
	w.push(t, map[string]string{".github/workflows/two.yml": workflow(2, "true")})
	w.completed(t, 2, time.Minute)
	w.nothingLeft(t, 30*time.Second)
	runners := len(w.runners(t, "--all"))
	for name, flags := range map[string]string{"shadow": "", "real": "--launch"} {
		args := append([]string{"-c", w.config(), "replay", "--from", "1h", "--name", name}, strings.Fields(flags)...)
		if out, errs, code := tooltest.Mayfly(t, args...); code != 0 {
			t.Fatalf("%v: exit code %d\n%s%s", args, code, out, errs)
		}
		r := replayOf(t, w.config(), name)
		if r.State != eventlog.ReplayCompleted || (r.Deliveries > 0) != (name == "real") {
			t.Errorf("%s: %+v", name, r)
		}
	}
	w.once(t)
	w.nothingLeft(t, 30*time.Second)
	if n := len(w.runners(t, "--all")); n != runners {
		t.Errorf("%d runners were made, want the %d from before", n, runners)
	}
	w.up.stop(t)
}
