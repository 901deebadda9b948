package machine

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/pool"
)

// Images are pulled before a job needs them: at startup, when pools change, and periodically,
// because a name such as actions-runner:latest moves on, and GitHub refuses runners that are too
// old. Failures are retried sooner.
const (
	renewImages = 6 * time.Hour
	retryImages = time.Minute
)

// fetchImages keeps the pools' images on this host until ctx ends.
func (m *Machine) fetchImages(ctx context.Context) error {
	for m.engine != nil {
		wait := renewImages
		for _, image := range imagesOf(m.pools()) {
			if err := m.fetchImage(ctx, image); err != nil && ctx.Err() == nil {
				m.config.Log.Warn("image is not there yet: a job that needs it waits", "image", image, "err", err, "again_in", retryImages)
				wait = retryImages
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		case <-m.poolsChanged:
		}
	}
	return nil
}

// imagesOf returns the images of pools, each once.
func imagesOf(pools pool.Set) (list []string) {
	for _, p := range pools {
		if p.Image != "" && !slices.Contains(list, p.Image) {
			list = append(list, p.Image)
		}
	}
	return list
}

// fetchImage pulls an image unless it is present and cannot change. If its registry cannot be
// reached, the present one is used.
func (m *Machine) fetchImage(ctx context.Context, image string) error {
	if isFixed(image) {
		return m.engine.Pull(ctx, image, m.logPull)
	}
	err := m.engine.Renew(ctx, image, m.logPull)
	if err == nil {
		return nil
	}
	has, hasErr := m.engine.Has(ctx, image)
	if has && hasErr == nil {
		m.config.Log.Warn("image is not renewed: jobs run in the one that is there", "image", image, "err", err)
		return nil
	}
	return err
}

func (m *Machine) logPull(image, step string) {
	m.config.Log.Debug("pulling image", "image", image, "step", step)
}

// isFixed reports whether a name always means the same image, or one of this host that no registry
// has.
func isFixed(image string) bool {
	return strings.Contains(image, "sha256:") || strings.HasPrefix(image, "localhost/")
}
