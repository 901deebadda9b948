package agent

import (
	"context"
	"time"

	"github.com/mayfly-ci/mayfly/internal/claim"
)

// Claim, Report and Insist are what [Run] says over its channel, for who has a runner that is no process: a simulation.

// Claim claims over c until there is a final answer, or limit has passed.
func Claim(ctx context.Context, c Channel, limit time.Duration) (claim.Grant, error) {
	return claimWithin(ctx, newClient(c), limit)
}

// Report makes one attempt to report r.
func Report(ctx context.Context, c Channel, r claim.Report) error { return newClient(c).report(ctx, r) }

// Insist reports r until it is taken or refused, or ctx ends.
func Insist(ctx context.Context, c Channel, r claim.Report) error { return newClient(c).insist(ctx, r) }
