package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/mayfly-ci/mayfly/internal/bus"
	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/event/pattern"
	"github.com/mayfly-ci/mayfly/internal/fleet"
	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// The machine's own rules, as data.
var ownRules = []struct {
	name, pattern, target string
	workers               int
}{
	{"jobs", `{"source": ["github.com"], "detail-type": ["workflow_job"]}`, "ledger", 32},
	{"launch", `{"source": ["mayfly"], "detail-type": ["Runner Wanted"]}`, "fleet", 32},
	{"remove", `{"source": ["mayfly"], "detail-type": ["Runner Unwanted"]}`, "removal", 16},
	{"check", `{"source": ["mayfly"], "detail-type": ["Job Uncertain"]}`, "check", 2},
}

// rules returns the machine's own rules and those of the configuration.
func (m *machine) rules() (list []bus.Rule, err error) {
	for _, r := range ownRules {
		p, err := pattern.Parse([]byte(r.pattern))
		if err != nil {
			return nil, fmt.Errorf("rule %q: %w", r.name, err)
		}
		// What a rule of ours does is asked for again by the ledger, so an event
		// that is hours old has nothing to say any more.
		list = append(list, bus.Rule{Name: r.name, Pattern: p, Target: r.target, Workers: r.workers})
	}
	return append(list, m.Outside.Rules...), nil
}

// targets returns what rules can lead to, by name: the machine's own, and those of
// the configuration's rules.
func (m *machine) targets() map[string]bus.Target {
	all := map[string]bus.Target{
		"ledger":  m.observe,
		"fleet":   m.launch,
		"removal": m.remove,
		"check":   m.check,
		"log":     m.note,
	}
	maps.Copy(all, m.Outside.Targets)
	return all
}

// emit puts what the ledger wants on the bus, in the transaction in which it was
// decided.
func (m *machine) emit(tx *disk.Tx, effects []ledger.Effect) error {
	for _, effect := range effects {
		detail, err := json.Marshal(effect)
		if err != nil {
			return err
		}
		if _, err := m.bus.PublishTx(tx, event.Event{
			ID: rand.Text(), Source: event.SourceMayfly, DetailType: effect.DetailType(), Time: time.Now(), Detail: detail,
		}); err != nil {
			return err
		}
	}
	return nil
}

// observe tells the ledger what GitHub said of a job.
func (m *machine) observe(ctx context.Context, e event.Event) error {
	job, err := event.ParseWorkflowJob(e.Detail)
	if err != nil {
		return bus.Permanent(err)
	}
	_, err = m.ledger.Apply(ctx, ledger.JobSeen{Job: job, At: e.Time})
	return err
}

// launch starts a runner that is wanted, unless that has been done or is of no use
// any more. One that cannot be started is gone, and the ledger decides on.
func (m *machine) launch(ctx context.Context, e event.Event) error {
	want, err := detail[ledger.WantRunner](e)
	if err != nil {
		return err
	}
	starting, err := m.ledger.Apply(ctx, ledger.Starting{Runner: want.Runner})
	if err != nil || !starting.Granted {
		return err
	}
	if err := m.start(ctx, want); err != nil {
		if ctx.Err() != nil {
			return err
		}
		m.Log.Warn("starting a runner", "runner", want.Runner, "job", want.Job, "err", err)
		return errors.Join(m.desk.Close(string(want.Runner)), m.gone(ctx, want.Runner, 0, "not started: "+err.Error()))
	}
	_, err = m.ledger.Apply(ctx, ledger.Started{Runner: want.Runner})
	return err
}

// start opens the runner's claim socket and starts its container.
func (m *machine) start(ctx context.Context, want ledger.WantRunner) error {
	p, ok := m.pools().Find(want.Pool)
	if !ok {
		return fmt.Errorf("pool %q is not configured any more", want.Pool)
	}
	dir, err := m.desk.Open(string(want.Runner))
	if err != nil {
		return err
	}
	return m.fleet.Start(ctx, fleet.Spec{
		Runner: string(want.Runner), Pool: p.Name, Job: want.Job.String(),
		Image: p.Image, Command: p.Command, Resources: p.Resources, PIDs: p.PIDs,
		Network: p.Network, ReadOnlyRoot: p.ReadOnlyRoot, ClaimDir: dir,
	})
}

// exited is told by the fleet that nothing of a container is left.
func (m *machine) exited(ctx context.Context, runner string, exit fleet.Exit) error {
	code, reason := exit.Code, m.words.of(runner)
	if reason == "" {
		reason = exit.Note
	}
	if code == fleet.CodeUnknown {
		code = 0
	}
	// In this order: a machine that resumes opens the socket of every container it
	// found, and has it closed again for those that the ledger knows to be gone.
	if err := m.gone(ctx, ledger.RunnerName(runner), code, reason); err != nil {
		return err
	}
	m.words.forget(runner)
	return m.desk.Close(runner)
}

func (m *machine) gone(ctx context.Context, runner ledger.RunnerName, code int, reason string) error {
	_, err := m.ledger.Apply(ctx, ledger.Gone{Runner: runner, ExitCode: code, Reason: reason})
	return err
}

// remove takes a runner away: first its registration, which GitHub refuses while
// it is busy, then its container.
func (m *machine) remove(ctx context.Context, e event.Event) error {
	r, err := detail[ledger.RemoveRunner](e)
	if err != nil {
		return err
	}
	if r.Registered && !r.Force {
		switch err := m.deregister(ctx, r); {
		case errors.Is(err, github.ErrBusy):
			_, err := m.ledger.Apply(ctx, ledger.Busy{Runner: r.Runner})
			return err
		case err != nil:
			return err
		}
	}
	if err := m.fleet.Remove(ctx, string(r.Runner)); err != nil {
		return err
	}
	if r.Registered && r.Force {
		if err := m.deregister(ctx, r); err != nil && !errors.Is(err, github.ErrBusy) {
			return err
		}
	}
	return errors.Join(m.desk.Close(string(r.Runner)), m.gone(ctx, r.Runner, 0, ""))
}

// deregister removes a registration, nil when there is none. Without an id the
// answer to generate-jitconfig was lost, and the name tells.
func (m *machine) deregister(ctx context.Context, r ledger.RemoveRunner) error {
	scope, err := m.scope(r.Scope)
	if err != nil {
		return bus.Permanent(err)
	}
	return m.forget(ctx, scope, string(r.Runner), r.GitHubID)
}

// check asks GitHub how a job stands, and tells the ledger.
func (m *machine) check(ctx context.Context, e event.Event) error {
	q, err := detail[ledger.CheckJob](e)
	if err != nil {
		return err
	}
	job, err := m.forge.Job(ctx, q.Scope.Repository, q.Job.ID)
	switch {
	case errors.Is(err, github.ErrNotFound):
		_, err = m.ledger.Apply(ctx, ledger.JobLost{Job: q.Job, Reason: "GitHub does not know it"})
		return err
	case err != nil:
		return err
	}
	return m.seen(ctx, job.WorkflowJob, q.Scope)
}

// seen tells the ledger of a job that GitHub was asked about. What an answer lacks
// beside a delivery is filled in from what is known: scope and pool.
func (m *machine) seen(ctx context.Context, job event.WorkflowJob, known ledger.Scope) error {
	job.Organization, job.Enterprise, job.Installation = known.Organization, known.Enterprise, known.Installation
	if p, ok := m.pools().Route(job); ok {
		job.Routing.Pool = p.Name
	}
	_, err := m.ledger.Apply(ctx, ledger.JobSeen{Job: job})
	return err
}

// note is the target "log".
func (m *machine) note(_ context.Context, e event.Event) error {
	m.Log.Info("event", "event", e.ID, "source", e.Source, "type", e.DetailType, "resources", e.Resources)
	return nil
}

// detail reads the detail of one of the ledger's own events.
func detail[T any](e event.Event) (v T, err error) {
	if err := json.Unmarshal(e.Detail, &v); err != nil {
		return v, bus.Permanent(fmt.Errorf("detail of %q: %w", e.DetailType, err))
	}
	return v, nil
}
