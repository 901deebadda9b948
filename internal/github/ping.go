package github

import (
	"context"
	"time"

	"github.com/mayfly-ci/mayfly/internal/forge"
)

// pingLook is how far apart looks for a ping are.
const pingLook = time.Second

// Ping has GitHub send a ping, waits until GitHub says how it was answered, and returns
// with what. An App's webhook cannot be pinged: [ErrByHand].
func (c *Client) Ping(ctx context.Context, at Scope, hook Hook) (code int, err error) {
	before, _, err := c.LatestDelivery(ctx, at, hook.ID, "ping")
	if err != nil {
		return 0, err
	}
	if err := c.PingWebhook(ctx, at, hook.ID); err != nil {
		return 0, err
	}
	limited, cancel := context.WithTimeoutCause(ctx, forge.PingWithin, ErrNoPing)
	defer cancel()
	for {
		latest, found, err := c.LatestDelivery(limited, at, hook.ID, "ping")
		switch {
		case err != nil && limited.Err() == nil:
			return 0, err
		case err == nil && found && latest.ID != before.ID && latest.Code/100 == 2:
			return latest.Code, nil
		case err == nil && found && latest.ID != before.ID && latest.Code != 0:
			return latest.Code, &PingRefused{Answer: latest}
		}
		select {
		case <-limited.Done():
			return 0, context.Cause(limited)
		case <-time.After(pingLook):
		}
	}
}
