package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/github"
)

// An InstalledHook is what came of [InstallHook].
type InstalledHook struct {
	At     github.Scope
	Hook   github.Hook
	ByHand *github.Manual // what a person must enter, where GitHub has no call for the webhook; else nil
}

// InstallHook makes the webhook of at as want says.
func InstallHook(ctx context.Context, forge *github.Client, at github.Scope, want github.HookConfig) (InstalledHook, error) {
	hook, err := forge.InstallWebhook(ctx, at, want)
	if errors.Is(err, github.ErrByHand) {
		manual := forge.ByHand(at, want)
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
	return "GitHub has no call for an App's events: tick " + strings.Join(i.Hook.Missing, ", ") + " on its settings page"
}
