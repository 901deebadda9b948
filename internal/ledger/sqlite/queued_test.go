package sqlite

import (
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// TestManyQueuedJobs: 100,000 jobs that wait for room take some 110 MB of the heap at most.
func TestManyQueuedJobs(t *testing.T) {
	if testing.Short() {
		t.Skip("stores 100,000 jobs")
	}
	db, err := disk.Open(filepath.Join(t.TempDir(), "mayfly.db"), disk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	small := pool.Pool{Name: "small", Labels: []string{"self-hosted", "linux", "x64"}, Max: 20}.WithDefaults()
	l, err := Open(t.Context(), db, Config{
		Limits: ledger.Limits{Pools: pool.Set{small}},
		Emit:   func(*disk.Tx, []ledger.Effect) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	before := inUse()
	const many, batch = 100_000, 500
	for id := int64(0); id < many; {
		var ins []ledger.Input
		for range batch {
			id++
			ins = append(ins, queuedJob(id))
		}
		if _, err := l.ApplyAll(t.Context(), ins); err != nil {
			t.Fatal(err)
		}
	}
	if took := (inUse() - before) >> 20; took > 115 {
		t.Errorf("%d queued jobs take %d MB of memory: want 115 at most", many, took)
	} else {
		t.Logf("%d queued jobs take %d MB", many, took)
	}
	runtime.KeepAlive(l)
}

// queuedJob is a delivery's job, each text in memory of its own, as they are read.
func queuedJob(id int64) ledger.JobSeen {
	text := func(s string) string { return string([]byte(s)) }
	return ledger.JobSeen{At: time.Now(), Job: event.WorkflowJob{
		Action: text("queued"), Repository: text("octo-org/octo-repo"), Organization: text("octo-org"), ID: id, Attempt: 1, Installation: 12345,
		Labels: []string{text("self-hosted"), text("linux"), text("x64")}, Name: text("build (ubuntu, 1.26)"), Workflow: text("Continuous integration"),
		URL: text("https://github.com/octo-org/octo-repo/actions/runs/2202229078/job/289782451"), Created: time.Now(),
	}}
}

// inUse is what of the heap is in use.
func inUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
