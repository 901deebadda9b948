// Package pipeline joins the stages where one machine and AWS do the same: the
// ledger with GitHub, and claims with both. It decides nothing, which is the ledger's
// part, and keeps nothing.
//
// What the two places do each in their own way, they give it: where the ledger is kept,
// and how a container is taken away.
package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/forge"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// ErrUseless is the error of an event that no repetition makes good, such as
// one whose detail cannot be read: it belongs among the dead letters at once.
var ErrUseless = errors.New("of no use")

// A Config is what a [Pipeline] joins.
type Config struct {
	Ledger ledger.Store
	Forge  forge.Forge
	Limits func() ledger.Limits // those in force
	Log    *slog.Logger
	Now    func() time.Time // the clock of Forge; nil: time.Now

	Enterprise string // where runners are registered at [ledger.LevelEnterprise]: enterprises/SLUG
	HookAt     string // whose webhook it is, as [HookScope] reads it; "" when that is not known
	HookURL    string // the address of that webhook

	// Vanish ends the container of a runner and removes what is left of it; nil
	// when nothing is, also when there was nothing.
	Vanish func(ctx context.Context, runner ledger.RunnerName) error
}

// A Pipeline is stages, joined. Its methods may be called from several goroutines and,
// for one ledger, by several processes at once.
type Pipeline struct {
	Config
	failing failing
}

// New joins what c has.
func New(c Config) *Pipeline {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Pipeline{Config: c}
}

// EventOf returns the event that asks for an effect, said at now. The caller gives it
// its ID.
func EventOf(effect ledger.Effect, now time.Time) (event.Event, error) {
	return event.Say(effect.DetailType(), effect, now)
}

// EffectOf reads the effect that e asks for, of a kind that the caller knows by e's
// detail type.
func EffectOf[T ledger.Effect](e event.Event) (effect T, err error) {
	if err := json.Unmarshal(e.Detail, &effect); err != nil {
		return effect, fmt.Errorf("detail of %q: %w: %w", e.DetailType, ErrUseless, err)
	}
	return effect, nil
}

// HookScope reads whose webhook it is: app, an organisation, a repository or
// enterprises/SLUG.
func HookScope(at string) (forge.Scope, error) {
	if at == "app" {
		return forge.AppScope(), nil
	}
	return forge.ParseScope(at)
}

// scope says where a runner for a job of s is registered.
func (p *Pipeline) scope(s ledger.Scope) (forge.Scope, error) {
	return ScopeOf(p.Limits().Level, s, p.Enterprise)
}

// ScopeOf returns where the runners for a scope are registered; enterprise is
// enterprises/SLUG, for that level only.
func ScopeOf(level ledger.Level, s ledger.Scope, enterprise string) (forge.Scope, error) {
	switch level {
	case ledger.LevelRepository:
		return forge.ParseScope(s.Repository)
	case ledger.LevelOrganization:
		if s.Organization == "" {
			return forge.Scope{}, fmt.Errorf("repository %s belongs to no organization: runners_at: organization cannot serve it", s.Repository)
		}
		return forge.ParseScope(s.Organization)
	}
	return forge.ParseScope(enterprise)
}
