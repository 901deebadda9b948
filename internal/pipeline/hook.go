package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/forge"
)

// An InstalledHook is what came of [InstallHook].
type InstalledHook struct {
	At     forge.Scope
	Hook   forge.Hook
	ByHand *forge.Manual // what a person must enter, where GitHub has no call for the webhook; else nil
}

// InstallHook makes the webhook of at as want says.
func InstallHook(ctx context.Context, to forge.Forge, at forge.Scope, want forge.HookConfig) (InstalledHook, error) {
	hook, err := to.InstallWebhook(ctx, at, want)
	if errors.Is(err, forge.ErrByHand) {
		manual := to.ByHand(at, want)
		return InstalledHook{At: at, ByHand: &manual}, nil
	}
	return InstalledHook{At: at, Hook: hook}, err
}

// String says what the webhook sends.
func (i InstalledHook) String() string {
	return fmt.Sprintf("webhook of %s sends %s to %s", i.At, strings.Join(i.Hook.Events, ", "), i.Hook.URL)
}

// Rest says what is still to be done by hand; "" for nothing.
func (i InstalledHook) Rest() string {
	if len(i.Hook.Missing) == 0 {
		return ""
	}
	return "there is no call for an App's events: tick " + strings.Join(i.Hook.Missing, ", ") + " on its settings page"
}
