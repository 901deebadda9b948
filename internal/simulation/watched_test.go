package simulation

import (
	"context"
	"fmt"
	"net/http"
	"os"

	"github.com/mayfly-ci/mayfly/internal/claim"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// A watched ledger is held against its invariants after each input.
type watched struct {
	ledger.Store
	p *process
}

func (s watched) Apply(ctx context.Context, in ledger.Input) (ledger.Result, error) {
	results, err := s.ApplyAll(ctx, []ledger.Input{in})
	if err != nil || len(results) == 0 {
		return ledger.Result{}, err
	}
	return results[0], nil
}

func (s watched) ApplyAll(ctx context.Context, ins []ledger.Input) ([]ledger.Result, error) {
	if s.p.dead {
		return nil, errPower
	}
	ins = s.broken(ins)
	results, err := s.Store.ApplyAll(ctx, ins)
	if s.p.dead {
		return nil, errPower
	}
	if err != nil {
		s.p.fault("%T: %v", ins, err)
		return results, err
	}
	all := ledger.Merge(results)
	s.reflect(all)
	s.p.wanted(all.Runners)
	if faults := s.p.mirror.Invariants(s.p.wall()); faults != nil {
		s.p.fault("after %T %+v: %v", ins, ins, faults)
	}
	return results, nil
}

// broken is ins as a ledger sees them that is broken on purpose.
func (s watched) broken(ins []ledger.Input) (list []ledger.Input) {
	for _, in := range ins {
		seen, ok := in.(ledger.JobSeen)
		switch {
		case ok && seen.Job.Action == event.ActionCompleted && s.p.broken == "the end of a job is not heard":
			continue
		case ok && s.p.broken == "the status of a job does not count":
			seen.Job.Status = ""
			in = seen
		}
		list = append(list, in)
	}
	return list
}

// reflect brings the mirror to what the ledger holds now.
func (s watched) reflect(result ledger.Result) {
	if s.p.mirror == nil {
		state, err := s.Store.Snapshot(context.Background())
		if err != nil {
			s.p.fault("reading the ledger: %v", err)
		}
		s.p.mirror = state
	}
	s.p.mirror.Load(result.Jobs, result.Runners)
	s.p.mirror.Compact()
	for _, r := range result.Runners {
		s.p.note("ledger: %s %s %s", r.Name, r.State, r.Reason+r.Leaving)
	}
	for _, j := range result.Jobs {
		s.p.note("ledger: job %d %s %s", j.Key.ID, j.State, j.Conclusion)
	}
}

// wanted fails the world if a runner is made for a job that waits for an approval.
func (p *process) wanted(changed []ledger.Runner) {
	for _, r := range changed {
		if id := int(r.MadeFor.ID); id > 0 && id <= len(p.github.jobs) && r.State == ledger.RunnerWanted {
			if j := p.github.jobs[id-1]; j.status == "waiting" {
				p.fault("%s is made for job %d, which waits for an approval", r.Name, j.id)
			}
		}
	}
}

// claims is the ledger as the claim stage sees it, and forge GitHub.
func (p *process) claims() claim.Ledger { return brokenClaims{p.joins.ClaimLedger(""), p} }
func (p *process) forge() claim.Forge   { return brokenForge{p.joins.ClaimForge(), p} }

// brokenClaims has the faults of a claim stage that is broken on purpose.
type brokenClaims struct {
	claim.Ledger
	p *process
}

func (b brokenClaims) Claim(ctx context.Context, runner string) (claim.Permit, error) {
	if b.p.broken == "claims are granted without the ledger" {
		list, err := b.p.ledger.Runners(ctx, ledger.RunnerQuery{Name: ledger.RunnerName(runner)})
		if err != nil {
			return claim.Permit{}, err
		}
		r := list[0]
		return claim.Permit{Job: r.MadeFor.String(), Scope: r.Scope.Repository, Labels: r.Labels.Labels()}, nil
	}
	permit, err := b.Ledger.Claim(ctx, runner)
	if b.p.broken == "runners have the labels of another pool" {
		permit.Labels = []string{"linux", "gpu"}
	}
	return permit, err
}

func (b brokenClaims) Report(ctx context.Context, runner string, r claim.Report) error {
	if r.Phase == claim.PhaseLeaving && b.p.broken == "idle runners leave without asking" {
		return nil
	}
	return b.Ledger.Report(ctx, runner, r)
}

type brokenForge struct {
	claim.Forge
	p *process
}

// claimed fails the world unless GitHub may register name: by the ledger it has claimed, for a job with these labels.
func (w *world) claimed(name string, labels []string) {
	p := w.mayfly
	if p == nil || p.mirror == nil {
		return
	}
	r, ok := p.mirror.Runner(ledger.RunnerName(name))
	switch {
	case ok && r.Live() && r.Claimed.IsZero():
		w.fault("%s is registered and has not claimed", name)
	case ok && r.GitHubID != 0:
		w.fault("%s is registered again, and may have its configuration from the first time", name)
	case ok && r.Live() && fmt.Sprint(r.Labels.Labels()) != fmt.Sprint(labels):
		w.fault("%s is registered with the labels %v: want those of its job, %v", name, labels, r.Labels.Labels())
	case !ok && w.running(name):
		w.fault("%s is registered, and the ledger says that it is gone", name)
	}
}

func (w *world) running(name string) bool {
	c := w.container(name)
	return c != nil && c.running
}

// lose removes the database.
func (w *world) lose() {
	os.RemoveAll(w.dir)
	os.Mkdir(w.dir, 0o700)
}

var _ http.RoundTripper = line{}
