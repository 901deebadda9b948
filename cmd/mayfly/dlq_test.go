package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/bus"
	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/event/pattern"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
	"github.com/mayfly-ci/mayfly/internal/machine"
	"github.com/mayfly-ci/mayfly/internal/tool/tooltest"
)

// smallConfig is a configuration whose secrets nobody needs here.
const smallConfig = `
github: {token: "env:NO_TOKEN"}
webhook: {secrets: ["env:NO_SECRET"]}
state: state
pools: [{name: small, labels: [linux]}]
rules:
  - name: pings
    pattern: {detail-type: [ping]}
`

// writeConfig writes a configuration and makes its state folder, and returns the path
// of the one and of the other.
func writeConfig(t *testing.T, yaml string) (file, state string) {
	t.Helper()
	dir := t.TempDir()
	file, state = filepath.Join(dir, "mayfly.yaml"), filepath.Join(dir, "state")
	if err := errors.Join(os.WriteFile(file, []byte(yaml), 0o600), os.Mkdir(state, 0o700)); err != nil {
		t.Fatal(err)
	}
	return file, state
}

// leftBehind opens the database that mayfly up has left in a state folder.
func leftBehind(t *testing.T, state string) *disk.DB {
	t.Helper()
	in, err := machine.OpenStandIn(t.Context(), machine.Config{State: state, Log: slog.New(slog.DiscardHandler)})
	if err == nil {
		err = in.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	db, err := disk.Open(filepath.Join(state, machine.DatabaseName), disk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// bury leaves dead letters of the rule in the database of a state folder.
func bury(t *testing.T, state, rule string, ids ...string) {
	t.Helper()
	db := leftBehind(t, state)
	defer db.Close()
	p, err := pattern.Parse([]byte(`{"detail-type": ["ping"]}`))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	b, err := bus.Open(ctx, db, bus.Config{
		Rules: []bus.Rule{{Name: rule, Pattern: p, Target: "wall"}}, Log: slog.New(slog.DiscardHandler),
		Targets: map[string]bus.Target{"wall": func(context.Context, event.Event) error {
			return bus.Permanent(errors.New("a wall is not passed"))
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		e := event.Event{ID: id, Source: event.SourceGitHub, DetailType: "ping", Time: time.Now(), Detail: []byte(`{"zen":"Keep it logically awesome."}`)}
		if _, err := b.Publish(ctx, e); err != nil {
			t.Fatal(err)
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	for b.Counters.Dead.Load() < int64(len(ids)) {
		time.Sleep(time.Millisecond)
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

// serveStore opens the database of a configuration as mayfly up does, and takes orders
// beside it, until the test ends. Deliveries are made when run is set.
func serveStore(t *testing.T, file, state string, run bool) *machine.StandIn {
	t.Helper()
	s, err := readSetup(file)
	if err != nil {
		t.Fatal(err)
	}
	if s.Secrets, err = s.Resolve(func(string) (string, bool) { return "x", true }); err != nil {
		t.Fatal(err)
	}
	in, err := machine.OpenStandIn(t.Context(), machine.Config{State: state, Limits: s.Limits, Outside: s.outside(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		if !run {
			ended <- nil
			return
		}
		ended <- in.Bus.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-ended, in.Close()); err != nil {
			t.Error(err)
		}
	})
	return in
}

// ids lists the events of the dead letters, by the command.
func deadIDs(t *testing.T, file string) (ids []string) {
	t.Helper()
	for _, d := range tooltest.JSON[[]eventlog.DeadLetter](t, "-c", file, "dlq", "list", "--json") {
		ids = append(ids, d.Event.ID)
	}
	return ids
}

func TestDLQ(t *testing.T) {
	t.Parallel()
	for _, beside := range []bool{false, true} {
		name := map[bool]string{false: "by itself", true: "beside mayfly up"}[beside]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, state := writeConfig(t, smallConfig)
			bury(t, state, "pings", "a", "b", "c")
			var m *machine.StandIn
			if beside {
				m = serveStore(t, file, state, true)
			}
			out, _, _ := tooltest.Mayfly(t, "-c", file, "dlq", "list")
			if !strings.Contains(out, "permanent error: a wall is not passed") || len(deadIDs(t, file)) != 3 {
				t.Errorf("dlq list:\n%s", out)
			}
			out, _, _ = tooltest.Mayfly(t, "-c", file, "dlq", "show", "b")
			if !strings.Contains(out, "Keep it logically awesome.") || !strings.Contains(out, "rule pings") {
				t.Errorf("dlq show:\n%s", out)
			}
			for _, refused := range [][]string{{"retry"}, {"drop"}, {"retry", "--all", "a"}} {
				if _, errs, code := tooltest.Mayfly(t, append([]string{"-c", file, "dlq"}, refused...)...); code != 2 {
					t.Errorf("dlq %v: exit code %d, want 2\n%s", refused, code, errs)
				}
			}
			tooltest.JSON[map[string]int](t, "-c", file, "dlq", "retry", "a", "--json")
			tooltest.JSON[map[string]int](t, "-c", file, "dlq", "drop", "b", "--json")
			if ids := deadIDs(t, file); len(ids) != 1 || ids[0] != "c" {
				t.Errorf("dead letters %v, want c", ids)
			}
			if _, errs, code := tooltest.Mayfly(t, "-c", file, "dlq", "retry", "a"); code != 1 || !strings.Contains(errs, "hint: mayfly dlq list") {
				t.Errorf("dlq retry of what is not dead: exit code %d\n%s", code, errs)
			}
			if !beside {
				m = serveStore(t, file, state, true)
			}
			for m.Bus.Counters.Delivered.Load() < 1 {
				time.Sleep(time.Millisecond)
			}
		})
	}
}

// TestControlSocket looks at who may use it, and at what strangers send.
func TestControlSocket(t *testing.T) {
	t.Parallel()
	file, state := writeConfig(t, smallConfig)
	serveStore(t, file, state, false)
	info, err := os.Stat(filepath.Join(state, machine.ControlName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want that of the owner alone", info.Mode(), err)
	}
	for _, nonsense := range []any{1, []string{"a"}, map[string]any{"events": "a"}, map[string]any{"rule": strings.Repeat("x", machine.MaxOrder)}} {
		if _, err := machine.Ask[int](t.Context(), state, "/dlq/drop", nonsense); err == nil {
			t.Errorf("an order was taken: %.40v", nonsense)
		}
	}
	if _, err := machine.Ask[int](t.Context(), state, "/dlq/eat", 1); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("an order that there is not: %v", err)
	}
}

// TestControlSilent asks where the database is in use and nobody takes orders.
func TestControlSilent(t *testing.T) {
	t.Parallel()
	file, state := writeConfig(t, smallConfig)
	db := leftBehind(t, state)
	defer db.Close()
	if _, errs, code := tooltest.Mayfly(t, "-c", file, "dlq", "drop", "--all"); code != 3 || !strings.Contains(errs, "does not answer") {
		t.Errorf("exit code %d, want 3\n%s", code, errs)
	}
}
