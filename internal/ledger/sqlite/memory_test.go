package sqlite

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// TestMemoryIsBounded: what is settled, or never ours, does not stay in memory.
func TestMemoryIsBounded(t *testing.T) {
	db, err := disk.Open(filepath.Join(t.TempDir(), "mayfly.db"), disk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	l, err := Open(t.Context(), db, Config{
		Limits: ledger.Limits{Pools: pool.Set{{Name: "small", Labels: []string{"linux"}}}},
		Emit:   func(*disk.Tx, []ledger.Effect) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	for id := range int64(20) {
		for _, action := range []string{"queued", "in_progress", "completed"} {
			label := []string{"linux", "macos"}[id%2]
			if label == "macos" && action == "completed" {
				continue // and nothing is ever heard of it again
			}
			in := ledger.JobSeen{Job: event.WorkflowJob{
				Action: action, Repository: "acme/web", ID: id + 1, Attempt: 1, Labels: []string{label}, RunnerName: fmt.Sprint("hosted ", id),
			}}
			if _, err := l.Apply(t.Context(), in); err != nil {
				t.Fatal(err)
			}
		}
	}
	if jobs, runners := slices.Collect(l.state.Jobs()), slices.Collect(l.state.Runners()); len(jobs)+len(runners) > 0 {
		t.Errorf("in memory: jobs %v, runners %v: want none", jobs, runners)
	}
}
