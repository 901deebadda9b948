package main

import (
	"context"
	"fmt"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github"
)

// How long a ping may take, and how far apart looks for it are.
const (
	pingWithin = time.Minute
	pingLook   = time.Second
)

// A pingRefused is a ping that was answered, with no 2xx.
type pingRefused struct{ answer github.Delivery }

func (e *pingRefused) Error() string {
	return fmt.Sprintf("a ping was answered with %d %s", e.answer.Code, e.answer.Status)
}

var errNoPing = fmt.Errorf("no ping came through within %s", pingWithin)

// pingHook has GitHub send a ping, waits until GitHub says how it was answered, and returns
// with what. An App's webhook cannot be pinged: [github.ErrByHand].
func pingHook(ctx context.Context, forge *github.Client, at github.Scope, hook github.Hook) (code int, err error) {
	before, _, err := forge.LatestDelivery(ctx, at, hook.ID, "ping")
	if err != nil {
		return 0, err
	}
	if err := forge.PingWebhook(ctx, at, hook.ID); err != nil {
		return 0, err
	}
	limited, cancel := context.WithTimeoutCause(ctx, pingWithin, errNoPing)
	defer cancel()
	for {
		latest, found, err := forge.LatestDelivery(limited, at, hook.ID, "ping")
		switch {
		case err != nil && limited.Err() == nil:
			return 0, err
		case err == nil && found && latest.ID != before.ID && latest.Code/100 == 2:
			return latest.Code, nil
		case err == nil && found && latest.ID != before.ID && latest.Code != 0:
			return latest.Code, &pingRefused{latest}
		}
		select {
		case <-limited.Done():
			return 0, context.Cause(limited)
		case <-time.After(pingLook):
		}
	}
}
