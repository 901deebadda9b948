// Package pipeline joins the stages in the ways that one machine and AWS have in common: the ledger
// with GitHub, and claims with both. It decides nothing, which is the ledger's part, and stores
// nothing.
//
// What the two do differently they pass in: where the ledger is stored, and how a container is
// removed.
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

// ErrNotProcessable is the error of an event that no retry can process, for example because its
// detail is malformed: it is dead-lettered at once.
var ErrNotProcessable = errors.New("not processable")

// A Config is what a [Pipeline] joins.
type Config struct {
	Ledger ledger.Store
	Forge  forge.Forge
	Limits func() ledger.Limits // the limits in force
	Log    *slog.Logger
	Now    func() time.Time // the clock of Forge; time.Now if nil

	Enterprise string // where runners register at [ledger.LevelEnterprise]: enterprises/SLUG
	HookAt     string // owner of the webhook, in the form of [HookScope]; "" if unknown
	HookURL    string // address of that webhook

	Memo Memo // keeps what a further process has to know; nil: this one lives long

	// Vanish ends the container of a runner and removes what is left of it; nil
	// when nothing is, also when there was nothing.
	Vanish func(ctx context.Context, runner ledger.RunnerName) error
}

// A Pipeline is joined stages. Its methods are safe for concurrent use, also by several processes
// with one ledger.
type Pipeline struct {
	Config
	failing failing
}

// New returns the pipeline of c.
func New(c Config) *Pipeline {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Pipeline{Config: c}
}

// EventOf returns the event that requests an effect, emitted at now. The caller sets its ID.
func EventOf(effect ledger.Effect, now time.Time) (event.Event, error) {
	return event.Say(effect.DetailType(), effect, now)
}

// EffectOf decodes the effect that e requests, of the kind that e's detail type names.
func EffectOf[T ledger.Effect](e event.Event) (effect T, err error) {
	if err := json.Unmarshal(e.Detail, &effect); err != nil {
		return effect, fmt.Errorf("detail of %q: %w: %w", e.DetailType, ErrNotProcessable, err)
	}
	return effect, nil
}

// HookScope parses the owner of a webhook: app, an organization, a repository or enterprises/SLUG.
func HookScope(at string) (forge.Scope, error) {
	if at == "app" {
		return forge.AppScope(), nil
	}
	return forge.ParseScope(at)
}

// scope returns where a runner for a job of s registers.
func (p *Pipeline) scope(s ledger.Scope) (forge.Scope, error) {
	return ScopeOf(p.Limits().Level, s, p.Enterprise)
}

// ScopeOf returns where runners for a scope register; enterprise is enterprises/SLUG, for that
// level only.
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
