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

// The machine's own rules, as data. They do not match events of a replay, so that a replay starts
// and removes no runner, unless it is asked to.
var ownRules = []struct {
	name, pattern, target string
	workers               int
}{
	{event.RuleJobs, `{"source": [{"anything-but": ["mayfly"]}], "detail-type": ["workflow_job"], "replay-name": [{"exists": false}]}`, "ledger", 1},
	{event.RuleLaunch, `{"source": ["mayfly"], "detail-type": ["Runner Wanted"], "replay-name": [{"exists": false}]}`, "fleet", 32},
	{event.RuleRemove, `{"source": ["mayfly"], "detail-type": ["Runner Unwanted"], "replay-name": [{"exists": false}]}`, "removal", 16},
	{event.RuleCheck, `{"source": ["mayfly"], "detail-type": ["Job Uncertain"], "replay-name": [{"exists": false}]}`, "check", 2},
}

// Rules returns the machine's own rules, followed by those of the configuration.
func Rules(o Outside) (list []bus.Rule, err error) {
	for _, r := range ownRules {
		p, err := pattern.Parse([]byte(r.pattern))
		if err != nil {
			return nil, fmt.Errorf("rule %q: %w", r.name, err)
		}
		// The ledger requests again what a rule of ours does, so an event that is hours old may be
		// dropped: the default MaxAge suffices.
		list = append(list, bus.Rule{Name: r.name, Pattern: p, Target: r.target, Workers: r.workers})
	}
	return append(list, o.Rules...), nil
}

// targets returns the targets of rules by name: the machine's own, and those of the configuration.
func (m *Machine) targets() map[string]bus.Target {
	all := map[string]bus.Target{
		"fleet":   final(carry(m.launch)),
		"removal": final(carry(m.pipeline.Remove)),
		"check":   final(carry(m.pipeline.Check)),
		"log":     m.note,
	}
	maps.Copy(all, m.config.Outside.Targets)
	return all
}

// emit publishes the ledger's effects, in the transaction in which they were decided.
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

// batches returns the targets that take events together.
func (m *Machine) batches() map[string]bus.Batch {
	return map[string]bus.Batch{"ledger": m.observe}
}

// observe tells the ledger what GitHub said of jobs.
func (m *Machine) observe(ctx context.Context, events []event.Event) []error {
	errs := m.pipeline.Observe(ctx, events)
	for i := range errs {
		errs[i] = permanent(errs[i])
	}
	return errs
}

// launch starts a runner, unless it was started already or is no longer needed. A runner that
// cannot be started is gone, and the ledger decides what follows.
func (m *Machine) launch(ctx context.Context, want ledger.WantRunner) error {
	p, from, cannot := m.poolAndImage(ctx, want.Pool)
	starting, err := m.ledger.Apply(ctx, ledger.Starting{Runner: want.Runner, Image: from})
	if err != nil || !starting.Granted {
		return err
	}
	if cannot == nil {
		cannot = m.openSocketAndStart(ctx, want, p, from)
	}
	if cannot != nil {
		if ctx.Err() != nil {
			return cannot // shutting down: the next run repeats it
		}
		m.config.Log.Warn("starting a runner", "runner", want.Runner, "job", want.Job, "err", cannot)
		gone := ledger.Gone{Runner: want.Runner, Reason: "not started: " + cannot.Error(), Outside: !isEngineAnswer(cannot)}
		return errors.Join(m.sockets.Close(string(want.Runner)), m.pipeline.Gone(ctx, gone))
	}
	_, err = m.ledger.Apply(ctx, ledger.Started{Runner: want.Runner})
	return err
}

// poolAndImage returns the pool called name, and the image of its next runner.
func (m *Machine) poolAndImage(ctx context.Context, name string) (p pool.Pool, from string, err error) {
	p, ok := m.pools().Find(name)
	if !ok {
		return p, "", fmt.Errorf("pool %q is not configured any more", name)
	}
	from, err = m.images.imageOf(ctx, p)
	return p, from, err
}

// openSocketAndStart opens the runner's claim socket and starts its container.
func (m *Machine) openSocketAndStart(ctx context.Context, want ledger.WantRunner, p pool.Pool, from string) error {
	dir, err := m.sockets.Open(string(want.Runner))
	if err != nil {
		return err
	}
	spec := fleet.SpecOf(p)
	spec.Runner, spec.Job, spec.Image, spec.ClaimDir = string(want.Runner), want.Job.String(), from, dir
	return m.fleet.Launch(ctx, spec)
}

// exited is called by the fleet when a container has ended.
func (m *Machine) exited(ctx context.Context, runner string, exit fleet.Exit) error {
	name := ledger.RunnerName(runner)
	// The order matters: a machine that resumes opens the socket of every container it finds, and
	// this closes it again for runners that the ledger knows to be gone.
	err := m.pipeline.Gone(ctx, endOf(name, exit))
	if errors.Is(err, disk.ErrFull) {
		return fmt.Errorf("%w: %w", fleet.ErrFull, err)
	} else if err != nil {
		return err
	}
	return m.sockets.Close(runner)
}

// endOf returns what the launcher saw of a runner's end.
func endOf(name ledger.RunnerName, exit fleet.Exit) ledger.Gone {
	gone := ledger.Gone{Runner: name, ExitCode: exit.Code, Reason: exit.Note, Outside: exit.Code == fleet.CodeUnknown, Memory: exit.Memory}
	if exit.Code == fleet.CodeUnknown {
		gone.ExitCode = 0
	}
	return gone
}

// vanish implements the pipeline's Vanish: after it nothing of a runner is left here.
func (m *Machine) vanish(ctx context.Context, runner ledger.RunnerName) error {
	if err := m.fleet.Remove(ctx, string(runner)); err != nil {
		return err
	}
	return m.sockets.Close(string(runner))
}

// note is the target "log".
func (m *Machine) note(_ context.Context, e event.Event) error {
	m.config.Log.Info("event", "event", e.ID, "source", e.Source, "type", e.DetailType, "resources", e.Resources)
	return nil
}

// carry returns the target that carries out one kind of effect.
func carry[T ledger.Effect](out func(context.Context, T) error) bus.Target {
	return func(ctx context.Context, e event.Event) error {
		effect, err := pipeline.EffectOf[T](e)
		if err != nil {
			return err
		}
		return out(ctx, effect)
	}
}

// final marks non-retryable errors permanent, so that the event is dead-lettered at once.
func final(target bus.Target) bus.Target {
	return func(ctx context.Context, e event.Event) error { return permanent(target(ctx, e)) }
}

// permanent marks an error of the pipeline that no repetition makes good.
func permanent(err error) error {
	if errors.Is(err, pipeline.ErrNotProcessable) {
		return bus.Permanent(err)
	}
	return err
}
