// Package deploy has the steps that create and remove a stack. Each step looks at what exists and does
// what is missing, so all of them can be repeated, also after an interruption at any point. Steps find
// resources by name: there is no separate state that could be lost.
//
// Package aws/rollout has their order.
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

// Look is the default interval of polling AWS.
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
