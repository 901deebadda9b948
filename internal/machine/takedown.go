package machine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/forge"
	imageengine "github.com/mayfly-ci/mayfly/internal/image/engine"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
)

// A Takedown configures how a machine is taken down.
type Takedown struct {
	Within     time.Duration // time limit for running jobs
	KeepImages bool
	Webhook    bool // remove the webhook
	Say        func(format string, args ...any)
}

// TakeDown removes everything that the machine made, here and at GitHub, and returns what a listing
// still finds of it. The machine is open but not running, so nothing new starts.
func (m *Machine) TakeDown(ctx context.Context, t Takedown) (left []string, err error) {
	if err := m.drain(ctx, t); err != nil {
		return nil, err
	}
	places, err := m.registrationScopes(ctx)
	if err != nil {
		return nil, err
	}
	errs := []error{m.launcher.Purge(ctx), m.deregisterAll(ctx, places, t)}
	if t.Webhook {
		errs = append(errs, m.removeHook(ctx, t))
	}
	if !t.KeepImages {
		errs = append(errs, m.removeImages(ctx, t))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return m.leftovers(ctx, places, t)
}

// allRunners is more than a ledger has.
const allRunners = 1 << 20

// drain ends runners: idle and starting ones at once, busy ones when their job ends or the time
// limit passes.
func (m *Machine) drain(ctx context.Context, t Takedown) error {
	if err := m.resume(ctx); err != nil {
		return err
	}
	if err := m.removeRunners(ctx, false); err != nil {
		return err
	}
	if busy := len(m.fleet.Runners()); busy > 0 {
		t.Say("waiting for the jobs of %s, %v at most", cli.Count(busy, "runner"), t.Within)
	}
	waiting, cancel := context.WithTimeout(ctx, t.Within)
	defer cancel()
	if err := m.fleet.Wait(waiting); err == nil {
		return nil
	} else if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	t.Say("stopping %s", cli.Count(len(m.fleet.Runners()), "runner"))
	if err := m.removeRunners(ctx, true); err != nil {
		return err
	}
	return m.fleet.Wait(ctx)
}

// removeRunners removes the runners that are not busy, or with force all.
func (m *Machine) removeRunners(ctx context.Context, force bool) error {
	live, err := m.ledger.Runners(ctx, ledger.RunnerQuery{Live: true, Limit: allRunners})
	if err != nil {
		return err
	}
	var errs []error
	for _, r := range live {
		if r.State == ledger.RunnerBusy && !force {
			continue
		}
		errs = append(errs, m.pipeline.Remove(ctx, ledger.RemoveRunner{
			Runner: r.Name, Pool: r.Pool, GitHubID: r.GitHubID, Registered: !r.Claimed.IsZero(), Force: force,
			Scope: r.Scope, Reason: "mayfly down",
		}))
	}
	return errors.Join(errs...)
}

// registrationScopes returns the scopes at which runners of this machine may be registered, as far
// as the ledger knows.
func (m *Machine) registrationScopes(ctx context.Context) (map[forge.Scope]bool, error) {
	runners, err := m.ledger.Runners(ctx, ledger.RunnerQuery{Limit: allRunners})
	if err != nil {
		return nil, err
	}
	places := map[forge.Scope]bool{}
	for _, r := range runners {
		if at, err := pipeline.ScopeOf(m.config.Limits.Level, r.Scope, m.config.Enterprise); err == nil { // else it never was
			places[at] = true
		}
	}
	return places, nil
}

// registered calls f for each runner of this machine that GitHub lists.
func (m *Machine) registered(ctx context.Context, places map[forge.Scope]bool, f func(forge.Scope, forge.Runner) error) error {
	for at := range places {
		there, err := m.pipeline.Forge.Runners(ctx, at)
		if errors.Is(err, forge.ErrNotFound) { // the repository is gone, and they with it
			continue
		} else if err != nil {
			return err
		}
		for _, r := range there {
			if strings.HasPrefix(r.Name, m.ledger.Instance()+"-") {
				if err := f(at, r); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (m *Machine) deregisterAll(ctx context.Context, places map[forge.Scope]bool, t Takedown) error {
	return m.registered(ctx, places, func(at forge.Scope, r forge.Runner) error {
		t.Say("removing the registration of %s from %s", r.Name, at)
		err := m.pipeline.Forge.RemoveRunner(ctx, at, r.ID)
		if errors.Is(err, forge.ErrBusy) { // GitHub has yet to hear of its end; it is listed
			return nil
		}
		return err
	})
}

func (m *Machine) removeHook(ctx context.Context, t Takedown) error {
	at, hook, err := m.findHook(ctx)
	if err != nil || hook == nil {
		return err
	}
	err = m.pipeline.Forge.RemoveWebhook(ctx, at, hook.ID)
	if errors.Is(err, forge.ErrByHand) {
		t.Say("%s has no call to remove the webhook of %s to %s: do it on its settings page", m.pipeline.Forge.Name(), at, hook.URL)
		return nil
	}
	return err
}

// findHook returns the webhook that sends here; nil if there is none, or if its owner is not
// configured.
func (m *Machine) findHook(ctx context.Context) (forge.Scope, *forge.Hook, error) {
	if m.config.HookAt == "" || m.config.HookURL == "" {
		return forge.Scope{}, nil, nil
	}
	at, err := pipeline.HookScope(m.config.HookAt)
	if err != nil {
		return at, nil, err
	}
	hook, err := m.pipeline.Forge.Webhook(ctx, at, m.config.HookURL)
	switch {
	case errors.Is(err, forge.ErrNotFound), errors.Is(err, forge.ErrByHand):
		return at, nil, nil
	case err != nil:
		return at, nil, err
	}
	return at, &hook, nil
}

// built calls f for each image of the catalog that the engine has.
func (m *Machine) built(ctx context.Context, f func(b *imageengine.Builder, digest string) error) (err error) {
	if m.engine == nil {
		return nil
	}
	known, err := m.images.store.Catalog(ctx)
	if err != nil {
		return err
	}
	b, err := imageengine.New(ctx, m.engineSocket)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	for _, i := range known.Images {
		has, err := m.engine.Has(ctx, string(i.Digest))
		if err != nil {
			return err
		}
		if has {
			if err := f(b, string(i.Digest)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *Machine) removeImages(ctx context.Context, t Takedown) error {
	return m.built(ctx, func(b *imageengine.Builder, digest string) error {
		t.Say("removing image %s", digest)
		return b.Remove(ctx, digest)
	})
}

// leftovers lists what should be gone.
func (m *Machine) leftovers(ctx context.Context, places map[forge.Scope]bool, t Takedown) (left []string, err error) {
	containers, err := m.launcher.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range containers {
		left = append(left, "container "+c.Runner)
	}
	claims, err := m.sockets.Runners()
	if err != nil {
		return nil, err
	}
	for _, name := range claims {
		left = append(left, "claim folder "+name)
	}
	err = m.registered(ctx, places, func(at forge.Scope, r forge.Runner) error {
		left = append(left, fmt.Sprintf("registration %s at %s", r.Name, at))
		return nil
	})
	if err == nil && t.Webhook {
		var hook *forge.Hook
		if _, hook, err = m.findHook(ctx); hook != nil {
			left = append(left, "webhook to "+hook.URL)
		}
	}
	if err == nil && !t.KeepImages {
		err = m.built(ctx, func(_ *imageengine.Builder, digest string) error {
			left = append(left, "image "+digest)
			return nil
		})
	}
	return left, err
}
