// Package engine builds images of runners on this host, with Docker or Podman, and
// keeps them in the engine's own store: no registry is needed.
//
// Labels, defined in package image/source, identify the images. Launches use an image's digest,
// the engine's id, which never changes; the tag only protects the image from being pruned as
// unused.
package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/mayfly-ci/mayfly/internal/docker"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/image/source"
)

// Repository is the name of all images in the engine's store; each has a unique tag.
const Repository = "localhost/mayfly-runner"

// ErrInUse means that an image has containers.
var ErrInUse = errors.New("image is in use")

// A Builder builds and keeps images of runners on one engine.
type Builder struct {
	*docker.Images
	api *client.Client
	now func() time.Time
}

// New returns a builder on the engine at socket, as returned by [docker.Find]. The engine must answer.
func New(ctx context.Context, socket string) (*Builder, error) {
	api, err := docker.Dial(socket)
	if err != nil {
		return nil, err
	}
	if _, err := docker.Ping(ctx, api); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", docker.ErrNoEngine, err), api.Close())
	}
	return &Builder{Images: docker.NewImages(api), api: api, now: time.Now}, nil
}

// Close closes idle connections to the engine.
func (b *Builder) Close() error { return b.api.Close() }

// An Image is a runner's image in the engine's store.
type Image = image.Stored

// errForeign means that an image is not a runner's image of Mayfly's.
var errForeign = errors.New("not an image of mayfly's for runners")

// Inspect returns the image with a digest or a tag. The error is [errdefs.ErrNotFound] if it does
// not exist, and another one if it is not a runner's image.
func (b *Builder) Inspect(ctx context.Context, ref string) (Image, error) {
	there, err := b.api.ImageInspect(ctx, ref)
	if err != nil {
		return Image{}, fmt.Errorf("looking at image %s: %w", ref, err)
	}
	i := Image{Digest: there.ID, Architecture: there.Architecture, Bytes: there.Size}
	for _, tag := range there.RepoTags {
		if strings.HasPrefix(tag, Repository+":") {
			i.Tag = tag
		}
	}
	i.Tag = cmp.Or(i.Tag, strings.Join(there.RepoTags[:min(1, len(there.RepoTags))], ""))
	labels := there.Config.Labels
	i.Version, i.SHA256, i.Revision = labels[source.LabelVersion], labels[source.LabelSHA256], labels[source.LabelRevision]
	i.Base, i.Docker = labels[source.LabelBase], labels[source.LabelDocker] == "yes"
	if labels[source.LabelImage] != source.KindRunner || i.Version == "" {
		return i, fmt.Errorf("image %s: %w: want the labels %s and %s, as Mayfly's Dockerfile sets them", ref, errForeign, source.LabelImage, source.LabelVersion)
	}
	if i.Built, err = time.Parse(time.RFC3339, labels[source.LabelCreated]); err != nil {
		return i, fmt.Errorf("image %s: label %s: %w", ref, source.LabelCreated, err)
	}
	return i, nil
}

// List returns the runners' images that have a tag, newest first.
func (b *Builder) List(ctx context.Context) ([]Image, error) {
	var found client.ImageListResult
	err := again(ctx, func() (err error) {
		filters := client.Filters{}.Add("label", source.LabelImage+"="+source.KindRunner)
		found, err = b.api.ImageList(ctx, client.ImageListOptions{Filters: filters})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing images: %w", err)
	}
	var all []Image
	for _, f := range found.Items {
		if !slices.ContainsFunc(f.RepoTags, func(tag string) bool { return tag != "<none>:<none>" }) {
			continue // left by a build
		}
		i, err := b.Inspect(ctx, f.ID)
		if errdefs.IsNotFound(err) || errors.Is(err, errForeign) {
			continue // it was removed meanwhile, or somebody else made it
		} else if err != nil {
			return nil, err
		}
		all = append(all, i)
	}
	slices.SortFunc(all, func(x, y Image) int { return cmp.Or(y.Built.Compare(x.Built), cmp.Compare(x.Digest, y.Digest)) })
	return all, nil
}

// Remove removes the image with a digest and all its tags. It returns nil if the image does not
// exist, and [ErrInUse] while it has containers.
func (b *Builder) Remove(ctx context.Context, digest string) error {
	there, err := b.api.ImageInspect(ctx, digest)
	if errdefs.IsNotFound(err) {
		return nil
	} else if err != nil {
		return fmt.Errorf("removing image %s: %w", digest, err)
	}
	if used, err := b.inUse(ctx, there.ID); err != nil {
		return fmt.Errorf("removing image %s: looking for its containers: %w", digest, err)
	} else if used {
		return fmt.Errorf("removing image %s: %w", digest, ErrInUse)
	}
	for _, name := range append(there.RepoTags, there.ID) { // never with force: Podman would also remove containers
		_, err := b.api.ImageRemove(ctx, name, client.ImageRemoveOptions{PruneChildren: true})
		switch {
		case errdefs.IsConflict(err):
			return fmt.Errorf("removing image %s: %w: %w", digest, ErrInUse, err)
		case err != nil && !errdefs.IsNotFound(err):
			return fmt.Errorf("removing image %s: %w", digest, err)
		}
	}
	return nil
}

// inUse reports whether an image has a container. Remove checks this first: if it removed the tag
// and then failed, List would not find the image again.
func (b *Builder) inUse(ctx context.Context, id string) (bool, error) {
	found, err := b.api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("ancestor", id)})
	return err == nil && len(found.Items) > 0, err
}

// again repeats a call that concurrent removals can disturb: Podman fails to list or prune images
// if one of them disappears meanwhile.
func again(ctx context.Context, do func() error) error {
	const tries, pause = 6, 100 * time.Millisecond
	for try := 1; ; try++ {
		err := do()
		if err == nil || try == tries || !errdefs.IsInternal(err) && !errdefs.IsNotFound(err) {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		}
	}
}
