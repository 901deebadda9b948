package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/inspect"
	"github.com/mayfly-ci/mayfly/internal/machine"
	"github.com/mayfly-ci/mayfly/internal/tool/tooltest"
)

// TestLimitsInForce asks a state folder alone, without a configuration, what limits its mayfly up
// decides by: at its start, after SIGHUP, and when nobody has written them.
func TestLimitsInForce(t *testing.T) {
	t.Parallel()
	tooltest.Need(t, "bwrap")
	w := newWorld(t, worldConfig{pool: "max: 1", command: "/bin/sleep, 1000"})
	w.serve(t)
	for id := range 2 {
		w.deliver(t, "workflow_job", fmt.Appendf(nil, `{"action":"queued","workflow_job":{"id":%d,"run_id":1,"run_attempt":1,"labels":[%q]},"repository":{"full_name":%q}}`,
			300+id, worldLabel, worldRepository))
	}
	status := func() inspect.Status {
		return tooltest.JSON[inspect.Status](t, "status", "--json", "--state", w.state(), "--config", filepath.Join(w.dir, "none.yaml"))
	}
	var v inspect.Status
	whys := func() (all string) {
		for _, j := range v.Waiting {
			all += j.Text + "\n"
		}
		return all
	}
	for v = status(); len(v.Waiting) < 2; v = status() {
		select {
		case <-w.up.ended:
			t.Fatal(w.up.said())
		case <-t.Context().Done():
			t.Fatal("no two jobs are waiting")
		default:
		}
	}
	if v.Unknown || len(v.Pools) != 1 || v.Pools[0].Max != 1 || !strings.Contains(whys(), "pool small is full: 1 of 1") {
		t.Errorf("at the start: %+v, %s; want max 1 and a job that waits for it", v.Pools, whys())
	}

	// The file says otherwise now, and is not in force.
	if err := os.WriteFile(w.config(), []byte(strings.Replace(w.yaml(), "max: 1", "max: 5", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if v = status(); v.Pools[0].Max != 1 {
		t.Errorf("before SIGHUP: max %d, want 1", v.Pools[0].Max)
	}
	w.hangUp(t, "configuration reloaded", 1)
	if v = status(); v.Pools[0].Max != 5 || strings.Contains(whys(), "is full") {
		t.Errorf("after SIGHUP: max %d, %s; want 5", v.Pools[0].Max, whys())
	}

	w.up.stop(t)
	forgetLimits(t, w.state())
	if v = status(); !v.Unknown || v.Pools[0].Max != 0 || strings.Count(whys(), inspect.LimitsUnknown) != len(v.Waiting) {
		t.Errorf("without limits: %+v; want them unknown", v)
	}
	out, errs, _ := tooltest.Mayfly(t, "status", "--state", w.state())
	if !strings.Contains(out, "?") || !strings.Contains(out+errs, inspect.LimitsUnknown) || strings.Contains(out, "not configured") {
		t.Errorf("status without limits:\n%s%s", out, errs)
	}
}

// forgetLimits makes a database one that nobody wrote limits to.
func forgetLimits(t *testing.T, state string) {
	t.Helper()
	db, err := disk.Open(filepath.Join(state, machine.DatabaseName), disk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Write(t.Context(), func(tx *disk.Tx) error {
		_, err := tx.Exec(`DELETE FROM ledger_limits`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
