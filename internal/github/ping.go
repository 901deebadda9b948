package github

import (
	"context"
	"time"

	"github.com/mayfly-ci/mayfly/internal/forge"
)

// pingLook is how often Ping looks for the delivery.
const pingLook = time.Second

// Ping makes GitHub send a ping, waits until GitHub lists the delivery, and returns the status
// code of its answer. It returns [ErrByHand] for an App, whose webhook cannot be pinged.
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
