package simulation

import (
	"strings"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
	"github.com/mayfly-ci/mayfly/internal/racetest"
)

// set changes a property of a resource: keys lead to it, and a nil value removes it.
func set(id string, value any, keys ...string) func(*awstest.Deployed) {
	return func(d *awstest.Deployed) {
		d.TB.Helper()
		r, ok := d.Resources[id].(map[string]any)
		if !ok {
			d.TB.Fatalf("the template has no %s", id)
		}
		at := r["Properties"].(map[string]any)
		last := len(keys) - 1
		for _, key := range keys[:last] {
			next, ok := at[key].(map[string]any)
			if !ok {
				d.TB.Fatalf("%s has no %s", id, strings.Join(keys, "."))
			}
			at = next
		}
		if _, there := at[keys[last]]; !there {
			d.TB.Fatalf("%s has no %s", id, strings.Join(keys, "."))
		}
		if at[keys[last]] = value; value == nil {
			delete(at, keys[last])
		}
	}
}

// TestBrokenRules breaks one rule of the template, or of the account, at a time: the judge must see it.
func TestBrokenRules(t *testing.T) {
	racetest.Skip(t)
	plain := burst(40)
	plain.within = 90 * time.Minute
	large := burst(120)
	large.over = time.Second
	bad := plain
	bad.bad = true
	small := plain
	small.account = 2
	for _, b := range []struct {
		name  string
		s     scenario
		plant func(*awstest.Deployed)
		says  string
	}{
		{"the queue's function may run as often as it likes", large, set("LedgerPoller", nil, "ScalingConfig"), "executions of the ledger's function"},
		{"messages are visible again before their batch is done", plain, set("LedgerQueue", 1, "VisibilityTimeout"), "messages came again"},
		{"jobs do not come to the ledger", plain, set("JobsRule", []any{"github"}, "EventPattern", "source"), "a job was recorded"},
		{"runners that are wanted are not started", plain, set("PoolSmallWanted", "DISABLED", "State"), "jobs are not over"},
		{"the ledger's function has no time", plain, set("LedgerFunction", 0, "Timeout"), "the ledger's function timed out"},
		{"tasks are larger than hosts", plain, set("PoolSmallTask", "9000", "Memory"), "jobs are not over"},
		{"the sweep does not come", bad, set("SweepSchedule", "DISABLED", "State"), "left are"},
		{"the account has hardly any concurrency", small, nil, "the webhook was throttled"},
		{"hosts are fewer than the template's limit", plain, set("HostAmd64Group", "0", "MaxSize"), "jobs are not over"},
	} {
		t.Run(b.name, func(t *testing.T) {
			b.s.plant = b.plant
			w := play(t, b.s)
			if all := strings.Join(w.faults, "\n"); !strings.Contains(all, b.says) || all == "" {
				t.Errorf("the judge says\n%s\nwant something of %q\n%s", all, b.says, w.counts())
			}
		})
	}
}

// TestBadWeather has one call in a hundred fail, one answer in a hundred get lost, and one delivery in a hundred not arrive.
func TestBadWeather(t *testing.T) {
	s := burst(few / 2)
	s.bad = true
	expect(t, s)
}
