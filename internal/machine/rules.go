package machine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/mayfly-ci/mayfly/internal/bus"
	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/event/pattern"
	"github.com/mayfly-ci/mayfly/internal/fleet"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// The machine's own rules, as data. They leave events of a replay alone, so that it starts
// and removes no runner, unless it is told to.
var ownRules = []struct {
	name, pattern, target string
	workers               int
}{
	{"jobs", `{"source": [{"anything-but": ["mayfly"]}], "detail-type": ["workflow_job"], "replay-name": [{"exists": false}]}`, "ledger", 32},
	{"launch", `{"source": ["mayfly"], "detail-type": ["Runner Wanted"], "replay-name": [{"exists": false}]}`, "fleet", 32},
	{"remove", `{"source": ["mayfly"], "detail-type": ["Runner Unwanted"], "replay-name": [{"exists": false}]}`, "removal", 16},
	{"check", `{"source": ["mayfly"], "detail-type": ["Job Uncertain"], "replay-name": [{"exists": false}]}`, "check", 2},
}

// Rules returns the machine's own rules and, after them, those of the configuration.
func Rules(o Outside) (list []bus.Rule, err error) {
	for _, r := range ownRules {
		p, err := pattern.Parse([]byte(r.pattern))
		if err != nil {
			return nil, fmt.Errorf("rule %q: %w", r.name, err)
		}
		// What a rule of ours does is asked for again by the ledger, so an event
		// that is hours old has nothing to say any more.
		list = append(list, bus.Rule{Name: r.name, Pattern: p, Target: r.target, Workers: r.workers})
	}
	return append(list, o.Rules...), nil
}

// OwnRuleNames are the names of the machine's own rules, in their order.
func OwnRuleNames() (names []string) {
	for _, r := range ownRules {
		names = append(names, r.name)
	}
	return names
}

// targets returns what rules can lead to, by name: the machine's own, and those of
// the configuration's rules.
func (m *Machine) targets() map[string]bus.Target {
	all := map[string]bus.Target{
		"ledger":  final(m.observe),
		"fleet":   final(carry(m.launch)),
		"removal": final(carry(m.joins.Remove)),
		"check":   final(carry(m.joins.Check)),
		"log":     m.note,
	}
	maps.Copy(all, m.config.Outside.Targets)
	return all
}

// emit puts what the ledger wants on the bus, in the transaction in which it was
// decided.
func (m *Machine) emit(tx *disk.Tx, effects []ledger.Effect) error {
	for _, effect := range effects {
		e, err := pipeline.EventOf(effect, time.Now())
		if err != nil {
			return err
		}
		e.ID = rand.Text()
		if _, err := m.bus.PublishTx(tx, e); err != nil {
			return err
		}
	}
	return nil
}

// observe tells the ledger what GitHub said of a job.
func (m *Machine) observe(ctx context.Context, e event.Event) error {
	_, err := m.joins.Observe(ctx, e)
	return err
}

// launch starts a runner that is wanted, unless that has been done or is of no use
// any more. One that cannot be started is gone, and the ledger decides on.
func (m *Machine) launch(ctx context.Context, want ledger.WantRunner) error {
	p, from, cannot := m.poolAndImage(ctx, want.Pool)
	starting, err := m.ledger.Apply(ctx, ledger.Starting{Runner: want.Runner, Image: from})
	if err != nil || !starting.Granted {
		return err
	}
	if cannot == nil {
		cannot = m.start(ctx, want, p, from)
	}
	if cannot != nil {
		if ctx.Err() != nil {
			return cannot
		}
		m.config.Log.Warn("starting a runner", "runner", want.Runner, "job", want.Job, "err", cannot)
		gone := ledger.Gone{Runner: want.Runner, Reason: "not started: " + cannot.Error(), Outside: !isEngineAnswer(cannot)}
		return errors.Join(m.desk.Close(string(want.Runner)), m.joins.Gone(ctx, gone))
	}
	_, err = m.ledger.Apply(ctx, ledger.Started{Runner: want.Runner})
	return err
}

// poolAndImage returns a pool by its name, and what its next runner starts from.
func (m *Machine) poolAndImage(ctx context.Context, name string) (p pool.Pool, from string, err error) {
	p, ok := m.pools().Find(name)
	if !ok {
		return p, "", fmt.Errorf("pool %q is not configured any more", name)
	}
	from, err = m.images.imageOf(ctx, p)
	return p, from, err
}

// start opens the runner's claim socket and starts its container.
func (m *Machine) start(ctx context.Context, want ledger.WantRunner, p pool.Pool, from string) error {
	dir, err := m.desk.Open(string(want.Runner))
	if err != nil {
		return err
	}
	return m.fleet.Start(ctx, fleet.Spec{
		Runner: string(want.Runner), Pool: p.Name, Job: want.Job.String(),
		Image: from, Command: p.Command, Resources: p.Resources, PIDs: p.PIDs,
		Network: p.Network, ReadOnlyRoot: p.ReadOnlyRoot, ClaimDir: dir,
	})
}

// exited is told by the fleet that a container has ended.
func (m *Machine) exited(ctx context.Context, runner string, exit fleet.Exit) error {
	name := ledger.RunnerName(runner)
	// In this order: a machine that resumes opens the socket of every container it
	// found, and has it closed again for those that the ledger knows to be gone.
	err := m.joins.Gone(ctx, endOf(name, exit))
	if errors.Is(err, disk.ErrFull) {
		return fmt.Errorf("%w: %w", fleet.ErrFull, err)
	} else if err != nil {
		return err
	}
	return m.desk.Close(runner)
}

// endOf is what the launcher saw of a runner's end.
func endOf(name ledger.RunnerName, exit fleet.Exit) ledger.Gone {
	gone := ledger.Gone{Runner: name, ExitCode: exit.Code, Reason: exit.Note, Outside: exit.Code == fleet.CodeUnknown, Memory: exit.Memory}
	if exit.Code == fleet.CodeUnknown {
		gone.ExitCode = 0
	}
	return gone
}

// vanish is the pipeline's: nothing is left of a runner here after it.
func (m *Machine) vanish(ctx context.Context, runner ledger.RunnerName) error {
	if err := m.fleet.Remove(ctx, string(runner)); err != nil {
		return err
	}
	return m.desk.Close(string(runner))
}

// note is the target "log".
func (m *Machine) note(_ context.Context, e event.Event) error {
	m.config.Log.Info("event", "event", e.ID, "source", e.Source, "type", e.DetailType, "resources", e.Resources)
	return nil
}

// carry makes a target of what carries out one kind of effect.
func carry[T ledger.Effect](out func(context.Context, T) error) bus.Target {
	return func(ctx context.Context, e event.Event) error {
		effect, err := pipeline.EffectOf[T](e)
		if err != nil {
			return err
		}
		return out(ctx, effect)
	}
}

// final has an error of the pipeline that no repetition makes good make a dead letter.
func final(target bus.Target) bus.Target {
	return func(ctx context.Context, e event.Event) error {
		err := target(ctx, e)
		if errors.Is(err, pipeline.ErrUseless) {
			return bus.Permanent(err)
		}
		return err
	}
}
