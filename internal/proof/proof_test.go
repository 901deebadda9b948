package proof

import (
	"strings"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// TestShared has jobs that were not alone, or not on a runner of ours.
func TestShared(t *testing.T) {
	job := func(name, runner, place string) *trace {
		t := &trace{Name: name, Pool: "small", identity: place}
		t.job.RunnerName = runner
		return t
	}
	foreign := job("c", "c", "")
	foreign.foreign = true
	for name, test := range map[string]struct {
		traces []*trace
		link   string
		says   string
	}{
		"all alone":   {traces: []*trace{job("a", "r1", "h1 ns1"), job("b", "r2", "h2 ns2")}},
		"one runner":  {[]*trace{job("a", "r1", "h1 ns1"), job("b", "r1", "h2 ns2")}, "container", `shared one with "a": runner r1`},
		"one place":   {[]*trace{job("a", "r1", "h1 ns1"), job("b", "r2", "h1 ns1")}, "container", `shared one with "a": place h1 ns1`},
		"not said":    {[]*trace{job("a", "r1", "")}, "container", "does not say where"},
		"not of ours": {[]*trace{foreign}, "assignment", "c, which is no runner of this mayfly"},
	} {
		p := &proof{traces: test.traces}
		b := p.hopeless()
		if b == nil {
			b = p.shared()
		}
		if test.link == "" && b != nil || test.link != "" && (b == nil || b.Name != test.link || !strings.Contains(b.What, test.says)) {
			t.Errorf("%s: %+v, want %s: %s", name, b, test.link, test.says)
		}
	}
}

func TestIdentityIn(t *testing.T) {
	const log = `2026-01-31T12:00:00Z ##[group]Run set -eu
2026-01-31T12:00:00Z echo "mayfly-test host=$(cat /proc/sys/kernel/hostname) ns=$(readlink /proc/self/ns/mnt)"
2026-01-31T12:00:01Z mayfly-test host=m-small-1 ns=mnt:[4026532201]
`
	if got := identityIn(log); got != "m-small-1 mnt:[4026532201]" {
		t.Errorf("got %q", got)
	}
	if got := identityIn(log[:150]); got != "" {
		t.Errorf("of the command alone: %q", got)
	}
}

// TestListening: a job's delivery may come before the agent's word that its runner listens, and then
// that hop is not missing.
func TestListening(t *testing.T) {
	idle, busy := time.Unix(1, 0), time.Unix(2, 0)
	step := func(state ledger.RunnerState, at time.Time) ledger.Step {
		return ledger.Step{What: string(state), At: at}
	}
	for _, test := range []struct {
		history []ledger.Step
		want    time.Time
	}{
		{nil, time.Time{}},
		{[]ledger.Step{step(ledger.RunnerIdle, idle), step(ledger.RunnerBusy, busy)}, idle},
		{[]ledger.Step{step(ledger.RunnerBusy, busy)}, busy},
	} {
		one := &trace{}
		one.runner.History = test.history
		if got := one.listening(); !got.Equal(test.want) {
			t.Errorf("%v: %v, want %v", test.history, got, test.want)
		}
	}
}
