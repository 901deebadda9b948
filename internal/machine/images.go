package machine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/image"
	imageengine "github.com/mayfly-ci/mayfly/internal/image/engine"
	"github.com/mayfly-ci/mayfly/internal/image/release"
	imagesqlite "github.com/mayfly-ci/mayfly/internal/image/sqlite"
	"github.com/mayfly-ci/mayfly/internal/image/watch"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// images joins the image catalog to the machine: launches use the current image, and the outcomes
// of starts are reported to the catalog. Its effects are carried out in imagework.go.
type images struct {
	m       *Machine
	store   *imagesqlite.Catalog
	watch   *watch.Watch
	feed    release.Feed
	builder *imageengine.Builder // nil without an engine

	mu      sync.Mutex
	current image.Digest // in force; guarded by mu
}

// openCatalog opens the catalog in the machine's database, and reads which image is current.
func (m *Machine) openCatalog(ctx context.Context) (err error) {
	i := &images{m: m, feed: release.Feed{URL: m.config.Image.Feed}}
	every := time.Hour - time.Duration(rand.Text()[0]%16)*30*time.Second // spreads the requests of all machines in the world
	i.store, err = imagesqlite.Open(ctx, m.db, imagesqlite.Config{
		Settings: func() image.Settings {
			return image.Settings{Keep: m.config.Image.Keep, Every: every, Off: !i.wanted()}
		},
		Emit: i.emit,
	})
	if err != nil {
		return err
	}
	i.watch = watch.New(watch.Config{
		Store: i.store, Check: i.check, Build: i.build, Try: i.try, Promote: i.promote, Remove: i.remove, Look: i.look, Working: i.working, Log: m.config.Log,
	})
	known, err := i.store.Catalog(ctx)
	if err != nil {
		return err
	}
	current, _ := known.Current()
	i.current, m.images = current.Digest, i
	return nil
}

// wanted reports whether images are built: there is an engine, and a pool without its own image.
func (i *images) wanted() bool {
	if !i.m.config.Image.Watch || i.builder == nil {
		return false
	}
	for _, p := range i.m.pools() {
		if p.Image == "" {
			return true
		}
	}
	return false
}

// openBuilder opens the builder of images, on the engine that runs runners.
func (m *Machine) openBuilder(ctx context.Context) (err error) {
	if m.engine == nil || !m.config.Image.Watch {
		return nil
	}
	if _, err := m.config.Image.Open(); err != nil { // a check only: every build reads it again
		return err
	}
	if m.images.builder, err = imageengine.New(ctx, m.engineSocket); err != nil {
		return err
	}
	m.closers = append(m.closers, m.images.builder.Close)
	return nil
}

// run watches and builds images until ctx ends.
func (i *images) run(ctx context.Context) error {
	if i.builder == nil {
		return nil
	}
	if err := i.sourced(ctx); err != nil {
		return err
	}
	return i.watch.Run(ctx)
}

// sourced reads the source and reports its revision to the catalog.
func (i *images) sourced(ctx context.Context) error {
	if i.builder == nil {
		return nil
	}
	files, err := i.m.config.Image.Open()
	if err != nil {
		return err
	}
	_, err = i.watch.Apply(ctx, image.Sourced{Revision: i.m.config.Image.Revision(files)})
	return err
}

// imageOf returns the image of a pool's runners: its own, or the current one; "" if they need none.
func (i *images) imageOf(ctx context.Context, p pool.Pool) (string, error) {
	switch {
	case i.m.engine == nil:
		return "", nil
	case p.Image != "":
		return p.Image, nil
	}
	i.mu.Lock()
	current := i.current
	i.mu.Unlock()
	if current != "" {
		return string(current), nil
	}
	if !i.m.config.Image.Watch {
		return "", fmt.Errorf("pool %q has no image, and image.watch is off: name one, or promote one with mayfly image promote", p.Name)
	}
	c, err := i.store.Catalog(ctx)
	if err != nil {
		return "", err
	}
	return "", errors.New("no image is current yet: " + c.Next(time.Now()))
}

// emit publishes alarms and promotions for the configuration's rules, in the transaction in which
// they were decided.
func (i *images) emit(tx *disk.Tx, effects []image.Effect) error {
	for _, e := range effects {
		var kind string
		switch e.(type) {
		case image.Alarm:
			kind = event.TypeImageAlarm
		case image.PromoteImage:
			kind = event.TypeImagePromoted
		default:
			continue
		}
		said, err := event.Say(kind, e, time.Now())
		if err != nil {
			return err
		}
		said.ID = rand.Text()
		if _, err := i.m.bus.PublishTx(tx, said); err != nil {
			return err
		}
	}
	return nil
}
