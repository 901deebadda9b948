// Package deploy brings the stack up and takes it down. Each step looks at what is
// there and does what is missing, so all of it can be run again, after an interruption
// at any point, too. What a step leaves behind is found by its name: there is no state of
// its own to lose.
//
// Their order is in aws/rollout.
package deploy

import (
	"context"
	"time"
)

// Parameters of the template that have a meaning here; some have the suffix of an
// architecture, "Amd64" or "Arm64".
const (
	ArtifactBucket = "ArtifactBucket"
	WebhookKey     = "WebhookKey"
	HandlersKey    = "HandlersKey"
	SourceKey      = "SourceKey"
	AgentKey       = "AgentKey"    // and suffix
	ToolKey        = "ToolKey"     // and suffix
	ImageDigest    = "ImageDigest" // and suffix
	RulesState     = "RulesState"
	LogPolicy      = "LogPolicy"

	RulesOn  = "ENABLED"
	RulesOff = "DISABLED"
)

// Look is how far apart looks at what AWS is doing are, unless a test has less time.
const Look = 3 * time.Second

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
