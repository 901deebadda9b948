package ledger_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// TestHeld: a cap holds a pool only while a job lacks a runner, its own max before
// the host.
func TestHeld(t *testing.T) {
	pools := pool.Set{
		{Name: "small", Labels: []string{"linux"}, Max: 1, Resources: pool.Resources{CPUs: 2}},
		{Name: "big", Labels: []string{"gpu"}, Resources: pool.Resources{CPUs: 8}},
	}
	s := ledger.NewState("i", ledger.Limits{Pools: pools, Host: pool.Resources{CPUs: 9}})
	id := int64(0)
	queue := func(label string) {
		id++
		s.Apply(ledger.JobSeen{Job: event.WorkflowJob{Action: "queued", Repository: "acme/web", ID: id, Attempt: 1, Labels: []string{label}}}, start)
	}
	holds := func(want map[string]ledger.Cap) {
		t.Helper()
		if diff := cmp.Diff(want, s.Held()); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
	holds(map[string]ledger.Cap{})
	queue("linux")
	holds(map[string]ledger.Cap{}) // at its max, and nobody waits for that
	queue("linux")
	holds(map[string]ledger.Cap{"small": ledger.CapPool})
	queue("gpu")
	holds(map[string]ledger.Cap{"small": ledger.CapPool, "big": ledger.CapHost})
	for r := range s.Runners() {
		s.Apply(ledger.Gone{Runner: r.Name, Reason: "crashed"}, start.Add(time.Second))
		break
	}
	// The job whose runner is gone waits for its next; the room went to the other of its pool.
	holds(map[string]ledger.Cap{"small": ledger.CapPool, "big": ledger.CapHost})
}
