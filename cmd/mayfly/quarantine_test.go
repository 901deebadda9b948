package main

import (
	"strings"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
	"github.com/mayfly-ci/mayfly/internal/inspect"
	"github.com/mayfly-ci/mayfly/internal/tool/tooltest"
)

const (
	fitJob  = `{"action":"queued","workflow_job":{"id":7,"run_attempt":1,"labels":["linux"]},"repository":{"full_name":"acme/web"}}`
	oddJob  = `{"action":"queued","workflow_job":{"id":8,"run_attempt":1,"runs_on":["linux"]},"repository":{"full_name":"acme/web"}}`
	oddPing = `{"repository":"acme/web"}`
)

// heldIDs lists what is in quarantine, by the command.
func heldIDs(t *testing.T, file string) (ids []string) {
	t.Helper()
	for _, q := range tooltest.JSON[[]eventlog.Quarantined](t, "-c", file, "quarantine", "list", "--json") {
		ids = append(ids, q.Event.ID)
	}
	return ids
}

// TestQuarantine releases and drops what an earlier version, say, could not route.
func TestQuarantine(t *testing.T) {
	t.Parallel()
	file, state := writeConfig(t, smallConfig)
	m := serveStore(t, file, state, true)
	for id, detail := range map[string]string{"fit": fitJob, "odd": oddJob} {
		e := event.Event{ID: id, Source: event.SourceGitHub, DetailType: event.TypeWorkflowJob, Time: time.Now(), Detail: []byte(detail)}
		if _, err := m.Bus.Quarantine(t.Context(), e, "reason of old"); err != nil {
			t.Fatal(err)
		}
	}
	if _, errs, _ := tooltest.Mayfly(t, "-c", file, "status"); !strings.Contains(errs, "2 deliveries in quarantine") {
		t.Errorf("status says nothing of them:\n%s", errs)
	}
	for _, test := range []struct {
		args string
		code int
		want string
	}{
		{"list", 0, "reason of old"},
		{"show odd", 0, `"runs_on"`},
		{"show none", 1, "hint: mayfly quarantine list"},
		{"release", 2, "want ids of events, or --all"},
		{"release --all fit", 2, "want ids of events, or --all"},
		{"release none", 1, "no event that could be released"},
		{"release --all", 1, "events released: 1\nerror: 1 delivery still cannot be routed\nhint: mayfly quarantine list"},
		{"list", 0, "workflow_job.labels is missing"},
		{"drop", 2, "want ids of events, or --all"},
		{"drop odd", 0, "events dropped: 1"},
		{"drop --all", 1, "no event that could be dropped"},
	} {
		out, errs, code := tooltest.Mayfly(t, append([]string{"-c", file, "quarantine"}, strings.Fields(test.args)...)...)
		if code != test.code || !strings.Contains(out+errs, test.want) {
			t.Errorf("quarantine %s: exit code %d, want %d and %q\n%s%s", test.args, code, test.code, test.want, out, errs)
		}
	}
	for m.Bus.Counters.Delivered.Load() < 1 {
		time.Sleep(time.Millisecond)
	}
	jobs := tooltest.JSON[[]inspect.Job](t, "-c", file, "jobs", "--json")
	if len(jobs) != 1 || jobs[0].Pool != "small" || jobs[0].Key.String() != "acme/web/7/1" {
		t.Errorf("jobs %+v; want the one that was released, routed", jobs)
	}
}

// TestDriftedDelivery has a real mayfly up meet deliveries that lack what routing needs:
// each is kept, no runner is made for it, and the next job has its own.
func TestDriftedDelivery(t *testing.T) {
	t.Parallel()
	tooltest.Need(t, "bwrap")
	w := newWorld(t, worldConfig{})
	w.serve(t)
	for name, body := range map[string]string{event.TypeWorkflowJob: oddJob, "ping": oddPing} {
		if pool := w.deliver(t, name, []byte(body)); pool != "" {
			t.Errorf("%s was routed to %s", body, pool)
		}
	}
	if held := heldIDs(t, w.config()); len(held) != 2 {
		t.Errorf("in quarantine: %v; want both", held)
	}
	if !w.up.kill() {
		t.Fatal(w.up.said())
	}
	w.serve(t)
	if held := heldIDs(t, w.config()); len(held) != 2 {
		t.Errorf("in quarantine after a kill: %v; want both", held)
	}
	w.push(t, map[string]string{".github/workflows/one.yml": workflow(1, "true")})
	w.completed(t, 1, time.Minute)
	w.once(t)
	w.nothingLeft(t, 30*time.Second)
	if made := w.runners(t, "--all"); len(made) != 1 {
		t.Errorf("runners made: %+v; want one", made)
	}
	w.up.stop(t)
}
