package build

import (
	"context"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/image"
)

// Launch makes an image what tasks of an architecture start from, and then says so on the
// stack's bus. It may be repeated.
func (t *Tasks) Launch(ctx context.Context, arch string, e image.PromoteImage, publish func(context.Context, ...event.Event) error, now time.Time) error {
	if _, err := t.Promote(ctx, arch, string(e.Image.Digest)); err != nil {
		return err
	}
	said, err := event.Say(event.TypeImagePromoted, e, now)
	if err != nil {
		return err
	}
	return publish(ctx, said)
}
