package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// Images is the image store of an engine.
type Images struct {
	api   *client.Client
	pulls sync.Mutex // held during a pull, so that concurrent requests for an image pull it once
}

// NewImages returns the image store of the engine behind api.
func NewImages(api *client.Client) *Images { return &Images{api: api} }

// Has reports whether the engine has image.
func (i *Images) Has(ctx context.Context, image string) (bool, error) {
	_, err := i.api.ImageInspect(ctx, image)
	if errdefs.IsNotFound(err) {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("looking for image %s: %w", image, err)
	}
	return true, nil
}

// Pull gets image from its registry unless the engine has it. It calls progress for each step.
// Pulls run one at a time, so that an image that many request is pulled once.
func (i *Images) Pull(ctx context.Context, image string, progress func(image, step string)) error {
	i.pulls.Lock()
	defer i.pulls.Unlock()
	if has, err := i.Has(ctx, image); has || err != nil {
		return err
	}
	return i.pull(ctx, image, progress)
}

// Renew gets image from its registry even if the engine has one of that name. The image that
// had the name before is removed, unless something still uses it.
func (i *Images) Renew(ctx context.Context, image string, progress func(image, step string)) error {
	i.pulls.Lock()
	defer i.pulls.Unlock()
	before, err := i.api.ImageInspect(ctx, image)
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("looking for image %s: %w", image, err)
	}
	if err := i.pull(ctx, image, progress); err != nil || before.ID == "" {
		return err
	}
	if old, err := i.api.ImageInspect(ctx, before.ID); err != nil || len(old.RepoTags) > 0 {
		return nil // unchanged, or still in use under another name, or gone already
	}
	_, err = i.api.ImageRemove(ctx, before.ID, client.ImageRemoveOptions{PruneChildren: true})
	if err != nil && !errdefs.IsConflict(err) && !errdefs.IsNotFound(err) {
		return fmt.Errorf("removing what image %s was before: %w", image, err)
	}
	return nil
}

func (i *Images) pull(ctx context.Context, image string, progress func(image, step string)) error {
	pull, err := i.api.ImagePull(ctx, image, client.ImagePullOptions{})
	if err != nil {
		return fmt.Errorf("pulling image %s: %w", image, err)
	}
	defer pull.Close()
	last := ""
	for message, err := range pull.JSONMessages(ctx) {
		if err == nil && message.Error != nil {
			err = message.Error
		}
		if err != nil {
			return fmt.Errorf("pulling image %s: %w", image, err)
		}
		if message.Status != "" && message.Status != last { // the engine repeats a status as bytes arrive
			progress(image, message.Status)
			last = message.Status
		}
	}
	return nil
}

// Load reads an image in the form of `docker save` into the engine.
func (i *Images) Load(ctx context.Context, archive io.Reader) error {
	loaded, err := i.api.ImageLoad(ctx, archive, client.ImageLoadWithQuiet(true))
	if err != nil {
		return fmt.Errorf("loading an image: %w", err)
	}
	_, err = io.Copy(io.Discard, loaded)
	if err := errors.Join(err, loaded.Close()); err != nil {
		return fmt.Errorf("loading an image: %w", err)
	}
	return nil
}

// RemoveImage removes image. It returns nil if the engine does not have it.
func (i *Images) RemoveImage(ctx context.Context, image string) error {
	_, err := i.api.ImageRemove(ctx, image, client.ImageRemoveOptions{Force: true})
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("removing image %s: %w", image, err)
	}
	return nil
}
