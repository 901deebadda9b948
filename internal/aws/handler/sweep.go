package handler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
)

// A Sweep carries out the ledger's effects other than starting runners, asks GitHub for what the
// release function needs to know, and every minute corrects what was missed. Several may run at
// once.
type Sweep struct {
	Pipeline *pipeline.Pipeline
	Flush    func(context.Context) error // sends effects that the ledger stored and nobody sent
	Tasks    *Tasks
	Letters  *Letters
	Publish  func(context.Context, ...event.Event) error // puts events on the stack's bus
	Measure  func(map[string]float64) error              // receives the stack's metrics by name every minute; may be nil
	Now      func() time.Time
	Log      *slog.Logger

	stray time.Time // when orphaned registrations were last looked for; a function runs one call at a time, which owns it
}

// firstLook is how far back a new process looks for failed deliveries.
const firstLook = time.Hour

// HandleAll takes events, one after another. errs[i] is what became of list[i].
func (s *Sweep) HandleAll(ctx context.Context, list []event.Event) (errs []error) {
	for _, e := range list {
		errs = append(errs, s.Handle(ctx, e))
	}
	return errs
}

// Handle takes one event.
func (s *Sweep) Handle(ctx context.Context, e event.Event) error {
	var err error
	switch e.DetailType {
	case contract.TypeScheduled:
		err = s.sweep(ctx, e.Time)
	case event.TypeRunnerUnwanted:
		var effect ledger.RemoveRunner
		if effect, err = pipeline.EffectOf[ledger.RemoveRunner](e); err == nil {
			err = s.Pipeline.Remove(ctx, effect)
		}
	case event.TypeJobUncertain:
		var effect ledger.CheckJob
		if effect, err = pipeline.EffectOf[ledger.CheckJob](e); err == nil {
			err = s.Pipeline.Check(ctx, effect)
		}
	case contract.TypeRunwayUncertain:
		err = s.askRunway(ctx, e)
	default:
		err = fmt.Errorf("detail type %q: %w: want %q, %q, %q or %q", e.DetailType, pipeline.ErrNotProcessable,
			contract.TypeScheduled, event.TypeRunnerUnwanted, event.TypeJobUncertain, contract.TypeRunwayUncertain)
	}
	if err != nil {
		s.Log.Error("event not taken", "event", e.ID, "type", e.DetailType, "err", err)
	}
	return err
}

// sweep does everything that is due every minute, whatever of it fails. What asks GitHub, and so
// may take long, comes last.
func (s *Sweep) sweep(ctx context.Context, at time.Time) error {
	var faults error
	do := func(what string, f func(context.Context) error) {
		if err := f(ctx); err != nil {
			faults = errors.Join(faults, fmt.Errorf("%s: %w", what, err))
		}
	}
	do("dead letters", s.returnLetters)
	do("time passing", s.Pipeline.Tick)
	do("effects that were left", s.Flush)
	do("comparing tasks with the ledger", s.compareTasks)
	do("metrics", s.measure)
	do("the credential", s.Pipeline.CheckCredential)
	if at.Minute()%int(s.Pipeline.Forge.Pace().Jobs/time.Minute) == 0 {
		// Jobs first: they are what counts, and the list of deliveries may be long. A hundred calls may take all the time there is.
		do("comparing jobs with GitHub", leaving(forRest, s.Pipeline.CompareJobs))
		do("looking for registrations that are left", leaving(forEnd, s.removeRegistrations))
	}
	do("looking for failed deliveries", leaving(forEnd, func(ctx context.Context) error { return s.Pipeline.Redeliver(ctx, firstLook) }))
	return faults
}

// How much of its time a sweep has left for what comes after comparing jobs, and for its own end: what a deadline ends is
// said and kept, while a function that Lambda ends has done nothing.
const (
	forRest = 15 * time.Second
	forEnd  = 3 * time.Second
)

// leaving returns f with a deadline that leaves some time until the one that there is.
func leaving(time time.Duration, f func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		deadline, bounded := ctx.Deadline()
		if !bounded {
			return f(ctx)
		}
		ctx, cancel := context.WithDeadline(ctx, deadline.Add(-time))
		defer cancel()
		return f(ctx)
	}
}

// removeRegistrations removes registrations that runners have left since the last look but one.
func (s *Sweep) removeRegistrations(ctx context.Context) error {
	now := s.Now()
	since := s.stray.Add(-2 * s.Pipeline.Forge.Pace().Jobs)
	if s.stray.IsZero() {
		since = now.Add(-pipeline.RegistrationsBack)
	}
	err := s.Pipeline.RemoveRegistrations(ctx, since)
	if err == nil {
		s.stray = now
	}
	return err
}

// askRunway asks GitHub from when it refuses a version, for the release function, which has no key,
// and publishes the answer. If GitHub does not tell, there is nothing to publish.
func (s *Sweep) askRunway(ctx context.Context, e event.Event) error {
	var d image.Deprecated
	if err := json.Unmarshal(e.Detail, &d); err != nil {
		return fmt.Errorf("detail of %q: %w: %w", e.DetailType, pipeline.ErrNotProcessable, err)
	}
	end, told := s.Pipeline.RunnerEnd(ctx, d.Version)
	if !told {
		return nil
	}
	return publish(ctx, s.Publish, s.Now(), contract.TypeRunwayKnown, end)
}

// Vanish stops the task that a runner is bound to, if any. A task that no runner needs and that has
// not claimed is found by the next sweep.
func Vanish(store ledger.Store, tasks *Tasks) func(context.Context, ledger.RunnerName) error {
	return func(ctx context.Context, name ledger.RunnerName) error {
		list, err := store.Runners(ctx, ledger.RunnerQuery{Name: name})
		switch {
		case errors.Is(err, ledger.ErrNotFound):
			return nil
		case err != nil:
			return err
		case list[0].Container == "":
			return nil
		}
		return tasks.Stop(ctx, list[0].Container, "the ledger has no more need of runner "+string(name))
	}
}
