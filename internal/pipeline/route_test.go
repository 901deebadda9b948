package pipeline_test

import (
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/ledger/ledgertest"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
	"github.com/mayfly-ci/mayfly/internal/pool"
	"github.com/mayfly-ci/mayfly/internal/webhook"
)

// words are labels and parts of labels, with what could part or join them.
var words = []string{"linux", "Linux", "self-hosted", "a", "a,b", "b", "a,b,c", "", " ", "a ", "%", "%2C", "a%2Cb", `"`, `["a","b"]`, "\n", "ubuntu-latest", "größe"}

// TestRouteLikeLedger: whatever a job's labels, the webhook and the ledger route it alike: with the
// webhook's word on it, without, and after the job was kept and read again. The runner
// that is wanted has the job's labels, neither more nor less.
func TestRouteLikeLedger(t *testing.T) {
	some := rapid.SliceOfNDistinct(rapid.SampledFrom(words), 0, 4, func(s string) string { return s })
	rapid.Check(t, func(t *rapid.T) {
		var pools pool.Set
		for range rapid.IntRange(0, 3).Draw(t, "pools") {
			pools = append(pools, pool.Pool{
				Name: string(rune('p' + len(pools))), Labels: some.Draw(t, "pool's"), OfOrganization: rapid.Bool().Draw(t, "of an organization"),
				Repositories: rapid.SampledFrom([][]string{nil, {"acme/*"}, {"other/*"}}).Draw(t, "serves"),
			}.WithDefaults())
		}
		labels := some.Draw(t, "labels")
		payload, err := json.Marshal(map[string]any{
			"action": "queued", "workflow_job": map[string]any{"id": 7, "run_attempt": 1, "labels": append([]string{}, labels...)},
			"repository":   map[string]string{"full_name": "Acme/Web"},
			"organization": map[string]string{"login": rapid.SampledFrom([]string{"", "Acme"}).Draw(t, "organization")},
		})
		if err != nil {
			t.Fatal(err)
		}
		routed, err := webhook.Route(event.Event{ID: "guid", DetailType: event.TypeWorkflowJob, Detail: payload}, pools)
		if err != nil {
			t.Fatal(err)
		}
		for _, detail := range []json.RawMessage{routed.Event.Detail, payload} {
			var effects []ledger.Effect
			limits := ledger.Limits{Pools: pools}
			p := pipeline.New(pipeline.Config{Limits: func() ledger.Limits { return limits }, Ledger: ledgertest.NewMemory(&ledgertest.Kept{}, ledgertest.Config{
				Limits: limits, Now: time.Now, Emit: func(e []ledger.Effect) error { effects = append(effects, e...); return nil },
			})})
			err := p.Observe(t.Context(), []event.Event{{Time: time.Now(), Detail: detail}})[0]
			jobs, _ := p.Ledger.Jobs(t.Context(), ledger.JobQuery{})
			if err != nil || len(jobs) != 1 {
				t.Fatalf("%+v, %v", jobs, err)
			}
			job := jobs[0]
			if job.Pool != routed.Pool || (job.State == ledger.JobUnroutable) != (routed.Pool == "" && !pool.Hosted(labels)) {
				t.Fatalf("labels %q: the ledger says pool %q, %s; the webhook %q (%s)", labels, job.Pool, job.State, routed.Pool, routed.Note)
			}
			for _, e := range effects {
				if want, ok := e.(ledger.WantRunner); !ok || ledger.LabelSet(want.Labels) != ledger.NewLabelSet(labels) {
					t.Fatalf("labels %q: %+v", labels, e)
				}
			}
			if parsed, _ := event.ParseWorkflowJob(routed.Event.Detail); ledger.NewLabelSet(event.ParseLabels(parsed.Routing.Labels)) != ledger.NewLabelSet(labels) {
				t.Fatalf("labels %q: in the event %q", labels, parsed.Routing.Labels)
			}
		}
	})
}
