package inspect

import (
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// TestUse: waits are ranked, a part of the time counts what ran in it, and what never started,
// belongs to no pool or is older than a day does not count.
func TestUse(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	job := func(pool string, ago, wait, took time.Duration) ledger.Job {
		started := now.Add(-ago)
		j := ledger.Job{Pool: pool, Queued: started.Add(-wait), Started: started}
		if took > 0 {
			j.Completed = started.Add(took)
		}
		return j
	}
	u := useOf([]ledger.Job{
		job("small", time.Hour, time.Second, time.Hour), job("small", 30*time.Minute, 3*time.Second, 0), job("small", 20*time.Minute, 2*time.Second, time.Minute),
		job("large", time.Minute, -time.Second, 0), job("", time.Minute, 0, 0), job("small", 30*time.Hour, time.Hour, time.Hour), {Pool: "small", Queued: now},
	}, now)
	if len(u.Pools) != 2 || u.Since != now.Add(-time.Hour-time.Second) {
		t.Fatalf("%+v: want small and large, of an hour", u)
	}
	small, large := u.Pools[0], u.Pools[1]
	if small.Jobs != 3 || small.P50 != 2*time.Second || small.P95 != 3*time.Second || small.Longest != 3*time.Second || large.P50 != 0 {
		t.Errorf("waits are %+v and %+v", small, large)
	}
	if first, last := small.Busy[10], small.Busy[useParts-1]; first < 0.99 || first > 1.01 || last < 1.99 || last > 2.01 {
		t.Errorf("%v at first and %v at last were busy: want 1 and 2", first, last)
	}
	if empty := useOf(nil, now); len(empty.Pools) != 0 || empty.Since != now.Add(-useTime) {
		t.Errorf("without jobs: %+v", empty)
	}
}
