package webhook_test

import (
	"slices"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/pool"
	"github.com/mayfly-ci/mayfly/internal/webhook"
)

// FuzzRoute: whatever a signed payload has, it is refused with a reason or it names a job that all else can keep and
// read again, with its labels one by one; and it stays what GitHub sent.
func FuzzRoute(f *testing.F) {
	for _, capture := range files(f, "github/workflow_job*.json") {
		f.Add(capture)
	}
	for _, odd := range []string{
		`{"action":"queued","workflow_job":null,"repository":{"full_name":"acme/web"}}`,
		`{"action":"queued","workflow_job":{"id":4611686018427387904,"run_attempt":-1,"labels":["a,b"]},"repository":{"full_name":"acme/web"}}`,
		`{"action":"queued","workflow_job":{"id":7e0,"labels":[""]},"repository":{"full_name":"a/b"},"mayfly":{"pool":"small"}}`,
		`{"action":"queued","workflow_job":{"id":7,"run_attempt":2147483647,"labels":["a,b,c","%2C","\u0000"]},"repository":{"full_name":"a/b"}}`,
	} {
		f.Add([]byte(odd))
	}
	pools := pool.Set{{Name: "small", Labels: []string{"a,b", "linux"}}}
	f.Fuzz(func(t *testing.T, payload []byte) {
		routed, err := webhook.Route(event.Event{ID: "guid", Source: event.SourceGitHub, DetailType: event.TypeWorkflowJob, Detail: payload}, pools)
		if err != nil {
			return
		}
		before, err := event.ParseWorkflowJob(payload)
		if err != nil {
			t.Fatal(err)
		}
		job, err := event.ParseWorkflowJob(routed.Event.Detail)
		if err != nil || job.Routing.Pool != routed.Pool || job.Routing.Job != before.Key() || job.Key() != before.Key() {
			t.Fatalf("%q: routed %+v, %v", payload, job, err)
		}
		if got := event.ParseLabels(job.Routing.Labels); !slices.Equal(got, job.Labels) {
			t.Errorf("%q: labels %q: want %q", payload, got, job.Labels)
		}
		if job.ID < 1 || job.ID > event.MaxID || job.Attempt < 0 || job.Attempt > event.MaxAttempt || routed.Event.Validate() != nil {
			t.Errorf("%q: %+v is on the bus", payload, job)
		}
		if want, ok := pools.Route(job); ok != (routed.Pool != "") || want.Name != routed.Pool {
			t.Errorf("%q: pool %q: want %q", payload, routed.Pool, want.Name)
		}
	})
}
