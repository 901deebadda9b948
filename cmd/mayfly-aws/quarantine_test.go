package main

import (
	"strings"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/aws/eventbus"
	"github.com/mayfly-ci/mayfly/internal/event"
)

// TestQuarantineOnAWS lists, releases and drops what a stack holds, whose own rule brings what the webhook's function could not
// route into its queue: moto's.
func TestQuarantineOnAWS(t *testing.T) {
	w := newCloudWorld(t)
	const odd = `{"action":"queued","workflow_job":{"id":8,"run_attempt":1,"runs_on":["linux"]},"repository":{"full_name":"acme/web"}}`
	out, errs, code := w.deploy(t)
	w.must(t, out, errs, code)
	bus := eventbus.New(w.cloud.Config, "ci")
	for id, e := range map[string]event.Event{
		"fit": {DetailType: "ping", Detail: []byte(`{"repository":{"full_name":"acme/web"}}`)}, // of a job, moto's rules would start a task
		"odd": {DetailType: event.TypeWorkflowJob, Detail: []byte(odd)},
	} {
		e.ID, e.Source, e.Time = id, event.SourceGitHub, time.Now()
		for range 2 { // as when an answer of EventBridge's was lost
			if _, err := bus.Quarantine(t.Context(), e, "reason of old"); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, test := range []struct {
		args string
		code int
		want string
	}{
		{"status", 0, "2 deliveries in quarantine"},
		{"events --type Delivery_Quarantined", 0, "reason of old"},
		{"quarantine list", 0, "reason of old"},
		{"quarantine show odd", 0, `"runs_on"`},
		{"quarantine release", 2, "want ids of events, or --all"},
		{"quarantine release none", 1, "no event that could be released"},
		{"quarantine release --all", 1, "events released: 1\nerror: 1 delivery still cannot be routed\nhint: mayfly quarantine list"},
		{"events --type ping --full", 0, `"resources":["acme/web"]`},
		{"quarantine drop odd", 0, "events dropped: 1"},
		{"quarantine drop --all", 1, "no event that could be dropped"},
	} {
		args := strings.Fields(test.args)
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "_", " ")
		}
		out, errs, code := w.run(t, nil, args...)
		if code != test.code || !strings.Contains(out+errs, test.want) {
			t.Errorf("%s: exit code %d, want %d and %q\n%s%s", test.args, code, test.code, test.want, out, errs)
		}
	}
}
