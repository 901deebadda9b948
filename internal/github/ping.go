package github

import (
	"context"
	"fmt"
	"time"
)

// How long a ping may take, and how far apart looks for it are.
const (
	pingWithin = time.Minute
	pingLook   = time.Second
)

// A PingRefused is a ping that was answered, with no 2xx.
type PingRefused struct{ Answer Delivery }

func (e *PingRefused) Error() string {
	return fmt.Sprintf("a ping was answered with %d %s", e.Answer.Code, e.Answer.Status)
}

// ErrNoPing says that GitHub did not tell in time how a ping was answered.
var ErrNoPing = fmt.Errorf("no ping came through within %s", pingWithin)

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
	limited, cancel := context.WithTimeoutCause(ctx, pingWithin, ErrNoPing)
	defer cancel()
	for {
		latest, found, err := c.LatestDelivery(limited, at, hook.ID, "ping")
		switch {
		case err != nil && limited.Err() == nil:
			return 0, err
		case err == nil && found && latest.ID != before.ID && latest.Code/100 == 2:
			return latest.Code, nil
		case err == nil && found && latest.ID != before.ID && latest.Code != 0:
			return latest.Code, &PingRefused{latest}
		}
		select {
		case <-limited.Done():
			return 0, context.Cause(limited)
		case <-time.After(pingLook):
		}
	}
}
