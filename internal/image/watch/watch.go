// Package watch carries out the effects that the image catalog requests, and reports their outcome
// to the catalog: on one machine continuously ([Watch.Run]), on AWS for each event that a
// function gets ([Watch.Settle]).
package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/mayfly-ci/mayfly/internal/image"
)

// Config configures a [Watch]. Its funcs may be called concurrently, each with another effect.
type Config struct {
	Store image.Store

	// Check looks up the newest release and the end of the current one, and returns the inputs for
	// the catalog.
	Check func(ctx context.Context, e image.CheckRelease) []image.Input

	// Build builds an image. An empty digest means that the build runs elsewhere, and that its end
	// will be reported separately.
	Build func(ctx context.Context, e image.BuildImage) (image.Digest, error)

	// Try runs a canary job on a runner from an image. It returns nil if the job passed.
	Try func(ctx context.Context, i image.Image) error

	// Promote makes launches use an image from now on.
	Promote func(ctx context.Context, e image.PromoteImage) error

	// Remove removes an image. It returns nil if nothing is left of it.
	Remove func(ctx context.Context, digest image.Digest) error

	// Look returns the images that have containers, and those of known that no longer exist.
	Look func(ctx context.Context, known []image.Digest) (used, gone []image.Digest, err error)

	// Working returns the runner from an image that claimed last, of those that were given a job, and
	// when it claimed; "" if there is none.
	Working func(ctx context.Context, digest image.Digest) (runner string, claimed time.Time, err error)

	// Alarm tells people of an alarm, besides the log; nil where the store does.
	Alarm func(ctx context.Context, a image.Alarm) error

	Log *slog.Logger
}

// How often a watch sends a [image.Tick], and calls Look.
const (
	TickEvery = 10 * time.Second
	LookEvery = 5 * time.Minute
)

// A Watch carries out effects. Its methods are safe for concurrent use.
type Watch struct {
	config Config
	queue  chan image.Effect // effects that are not yet being carried out
}

// New returns a watch, which does nothing before one of its methods is called.
func New(c Config) *Watch {
	return &Watch{config: c, queue: make(chan image.Effect, 64)}
}

// Apply applies an input to the catalog. [Watch.Run] or [Watch.Settle] carries out the effects.
func (w *Watch) Apply(ctx context.Context, in image.Input) (image.Result, error) {
	result, err := w.config.Store.Apply(ctx, in)
	if err != nil {
		return image.Result{}, err
	}
	for _, e := range result.Effects {
		w.enqueue(e)
	}
	return result, nil
}

func (w *Watch) enqueue(e image.Effect) {
	select {
	case w.queue <- e:
	default: // the queue is full: drop the effect, the catalog requests it again
		w.config.Log.Warn("an effect of the image catalog waits: there are too many", "effect", fmt.Sprintf("%T", e))
	}
}

// Order carries out a person's request, and returns the digest of the image that is then current
// and used by launches. [Watch.Run] or [Watch.Settle] carries out the other effects.
func (w *Watch) Order(ctx context.Context, o image.Order) (image.Digest, error) {
	in, err := o.Input()
	if err != nil {
		return "", err
	}
	if o.Promote != nil && o.Built != nil {
		if err := w.learn(ctx, *o.Built); err != nil {
			return "", err
		}
	}
	result, err := w.config.Store.Apply(ctx, in)
	if err == nil && result.Reason != "" {
		err = errors.New(result.Reason)
	}
	if err != nil {
		return "", err
	}
	for _, e := range result.Effects {
		if p, ok := e.(image.PromoteImage); !ok {
			w.enqueue(e)
		} else if err := w.promote(ctx, p); err != nil {
			return "", err
		}
	}
	return w.current(ctx)
}

// learn adds an image that the catalog does not know.
func (w *Watch) learn(ctx context.Context, built image.Built) error {
	c, err := w.config.Store.Catalog(ctx)
	if err != nil {
		return err
	}
	if _, known := c.Find(built.Digest); known {
		return nil
	}
	return w.tell(ctx, built)
}

// Settle applies an input to the catalog and carries out the effects, and those that follow from
// their outcomes, until there are none. What is still open then runs elsewhere.
func (w *Watch) Settle(ctx context.Context, in image.Input) error {
	_, err := w.Apply(ctx, in)
	errs := []error{err}
	for {
		select {
		case e := <-w.queue:
			errs = append(errs, w.Do(ctx, e))
		default:
			return errors.Join(errs...)
		}
	}
}

// Run carries out effects until ctx ends, and returns when none is being carried out any more. It
// logs errors; the catalog requests a failed effect again.
func (w *Watch) Run(ctx context.Context) error {
	var working sync.WaitGroup
	defer working.Wait()
	do := func(e image.Effect) {
		working.Go(func() {
			if err := w.Do(ctx, e); err != nil && ctx.Err() == nil {
				w.config.Log.Warn("image catalog", "doing", fmt.Sprintf("%T", e), "err", err)
			}
		})
	}
	tick, look := time.NewTicker(TickEvery), time.NewTicker(LookEvery)
	defer tick.Stop()
	defer look.Stop()
	if err := w.tell(ctx, image.Restarted{}); err != nil {
		if ctx.Err() != nil { // interrupted, so the error means nothing
			return nil
		}
		return err
	}
	if err := w.Look(ctx); err != nil && ctx.Err() == nil {
		w.config.Log.Warn("looking at images", "err", err)
	}
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case e := <-w.queue:
			do(e)
		case <-tick.C:
			err = w.tell(ctx, image.Tick{})
		case <-look.C:
			err = w.Look(ctx)
		}
		if err != nil && ctx.Err() == nil {
			w.config.Log.Warn("image catalog", "err", err)
		}
	}
}

func (w *Watch) tell(ctx context.Context, in image.Input) error {
	_, err := w.Apply(ctx, in)
	return err
}

// Look reports to the catalog which images are in use and which no longer exist.
func (w *Watch) Look(ctx context.Context) error {
	c, err := w.config.Store.Catalog(ctx)
	if err != nil {
		return err
	}
	var known []image.Digest
	for _, i := range c.Images {
		if i.State != image.StateRemoved || !i.Done {
			known = append(known, i.Digest)
		}
	}
	used, gone, err := w.config.Look(ctx, known)
	if err != nil {
		return err
	}
	if len(gone) > 0 {
		if err := w.tell(ctx, image.Lost{Digests: gone}); err != nil {
			return err
		}
	}
	if err := w.tell(ctx, image.InUse{Digests: used}); err != nil {
		return err
	}
	return w.askWorking(ctx, c)
}

// askWorking ends the refusal of the current image when one of its runners works all the same.
func (w *Watch) askWorking(ctx context.Context, c *image.Catalog) error {
	current, some := c.Current()
	if !some || !c.Refused() {
		return nil
	}
	runner, claimed, err := w.config.Working(ctx, current.Digest)
	if err != nil || runner == "" || !claimed.After(c.Refusal.Last) {
		return err
	}
	return w.tell(ctx, image.Accepted{Digest: current.Digest, Runner: runner, Claimed: claimed})
}

// Do carries out an effect and reports its outcome to the catalog. An error means that the outcome
// was not reported, or that the effect must be tried again; the catalog requests it again.
func (w *Watch) Do(ctx context.Context, e image.Effect) error {
	switch e := e.(type) {
	case image.CheckRelease:
		for _, in := range w.config.Check(ctx, e) {
			if err := w.tell(ctx, in); err != nil {
				return err
			}
		}
	case image.BuildImage:
		return w.build(ctx, e)
	case image.TryImage:
		return w.try(ctx, e.Image)
	case image.PromoteImage:
		return w.promote(ctx, e)
	case image.RemoveImage:
		return w.remove(ctx, e)
	case image.Alarm:
		w.config.Log.Error("image: "+e.Message, "kind", string(e.Kind))
		if w.config.Alarm != nil {
			return w.config.Alarm(ctx, e)
		}
	}
	return nil
}

func (w *Watch) build(ctx context.Context, e image.BuildImage) error {
	w.config.Log.Info("building an image", "runner", string(e.Release.Version), "why", e.Why)
	digest, err := w.config.Build(ctx, e)
	switch {
	case ctx.Err() != nil:
		return ctx.Err() // interrupted, which says nothing about the build
	case err != nil:
		w.config.Log.Error("image not built", "runner", string(e.Release.Version), "err", err)
		return w.tell(ctx, image.BuildFailed{Version: e.Release.Version, Revision: e.Revision, Reason: err.Error()})
	case digest == "":
		return nil
	}
	w.config.Log.Info("image built", "runner", string(e.Release.Version), "image", digest.Short())
	return w.tell(ctx, image.Built{Digest: digest, Version: e.Release.Version, Revision: e.Revision})
}

func (w *Watch) try(ctx context.Context, i image.Image) error {
	err := w.config.Try(ctx, i)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		w.config.Log.Error("canary failed", "image", i.Digest.Short(), "runner", string(i.Version), "err", err)
		return w.tell(ctx, image.CanaryFailed{Digest: i.Digest, Reason: err.Error()})
	}
	w.config.Log.Info("canary passed", "image", i.Digest.Short(), "runner", string(i.Version))
	return w.tell(ctx, image.CanaryPassed{Digest: i.Digest})
}

func (w *Watch) promote(ctx context.Context, e image.PromoteImage) error {
	if current, err := w.current(ctx); err != nil || current != e.Image.Digest {
		return err // another image is current by now
	}
	if err := w.config.Promote(ctx, e); err != nil {
		return fmt.Errorf("putting image %s in force: %w", e.Image.Digest.Short(), err)
	}
	w.config.Log.Info("image promoted", "image", e.Image.Digest.Short(), "runner", string(e.Image.Version), "why", e.Reason)
	return w.tell(ctx, image.InForce{Digest: e.Image.Digest})
}

func (w *Watch) current(ctx context.Context) (image.Digest, error) {
	c, err := w.config.Store.Catalog(ctx)
	if err != nil {
		return "", err
	}
	current, _ := c.Current()
	return current.Digest, nil
}

func (w *Watch) remove(ctx context.Context, e image.RemoveImage) error {
	c, err := w.config.Store.Catalog(ctx)
	if err != nil {
		return err
	}
	if i, _ := c.Find(e.Digest); i.State != image.StateRemoved {
		return nil // the same image was built again meanwhile
	}
	if err := w.config.Remove(ctx, e.Digest); err != nil {
		return fmt.Errorf("removing image %s: %w", e.Digest.Short(), err)
	}
	w.config.Log.Info("image removed", "image", e.Digest.Short(), "why", e.Reason)
	return w.tell(ctx, image.Removed{Digest: e.Digest})
}
