package ledger_test

import (
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// TestMemoryOfAGoodJob keeps and tells of the kernel's kills although the job went well.
func TestMemoryOfAGoodJob(t *testing.T) {
	s := tell(t, twoPools())
	s.is(queued(1), "+i-small-1-1-1")
	s.up("i-small-1-1-1")
	s.is(running(1, "on=i-small-1-1-1"))
	s.is(done(1, "on=i-small-1-1-1", "conclusion=success"))
	use := pool.MemoryUse{Kills: 1, Peak: 512 << 20, Limit: 512 << 20}
	// Reasons are cut: what matters comes first.
	state, now := s.state, s.now
	state.Apply(ledger.LastWords{Runner: "i-small-1-1-1", Reason: "job done" + strings.Repeat("!", 500), Output: "a line"}, now)
	result := state.Apply(ledger.Gone{Runner: "i-small-1-1-1", Memory: use}, now)
	r := result.Runner
	if r.Memory != use || r.Output != "a line" {
		t.Errorf("%+v and %q are kept, want %+v", r.Memory, r.Output, use)
	}
	if !strings.HasPrefix(r.Reason, "out of memory: the kernel killed 1 process of the job at the limit of 512 MiB; job done") {
		t.Errorf("reason %q", r.Reason)
	}
}

// TestRestarting notes it and changes nothing else.
func TestRestarting(t *testing.T) {
	s := tell(t, twoPools())
	s.is(queued(1), "+i-small-1-1-1")
	s.up("i-small-1-1-1")
	s.is(ledger.Restarting{Runner: "i-small-1-1-1"})
	r := s.runner("i-small-1-1-1", ledger.RunnerIdle)
	if last := r.History[len(r.History)-1]; last.What != "restarting" {
		t.Errorf("the last step is %q, want restarting", last.What)
	}
	s.is(ledger.Restarting{Runner: "nobody"})
}
