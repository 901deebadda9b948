package machine

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/docker/dockertest"
	"github.com/mayfly-ci/mayfly/internal/fleet/engine"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// TestImagesAreFetchedAhead: of the pools at start, and of those that a reload brings;
// one that cannot be had keeps none of the others waiting.
func TestImagesAreFetchedAhead(t *testing.T) {
	registry := dockertest.NewRegistry(t)
	e, err := engine.New(t.Context(), engine.Config{Socket: dockertest.Serve(t), Instance: "ahead-test", Agent: os.Args[0]})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	first, _ := registry.Push(t, e.Images, "small:1", "first")
	second, _ := registry.Push(t, e.Images, "large:1", "second")
	pools := func(images ...string) *ledger.Limits {
		var set pool.Set
		for _, image := range images {
			set = append(set, pool.Pool{Image: image})
		}
		return &ledger.Limits{Pools: set}
	}
	m := newMachine(Config{Log: slog.New(slog.DiscardHandler)})
	m.engine = e
	m.limits.Store(pools(registry.Address+"/none:1", first, first))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- m.fetchImages(ctx) }()
	await(t, e, first)
	m.limits.Store(pools(first, second))
	m.poolsChanged <- struct{}{}
	await(t, e, second)
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// await waits until the engine has image.
func await(t *testing.T, e *engine.Launcher, image string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		has, err := e.Has(ctx, image)
		if err != nil {
			t.Fatal(err)
		}
		if has {
			tick.Stop()
			return
		}
		<-tick.C
	}
}

func TestIsFixed(t *testing.T) {
	for image, want := range map[string]bool{
		"sha256:0123": true, "debian@sha256:0123": true, "localhost/mayfly-demo:latest": true,
		"ghcr.io/actions/actions-runner:latest": false, "localhost:5000/runner": false,
	} {
		if got := isFixed(image); got != want {
			t.Errorf("%s: %v, want %v", image, got, want)
		}
	}
}
