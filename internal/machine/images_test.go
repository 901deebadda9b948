package machine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/containerd/errdefs"

	"github.com/mayfly-ci/mayfly/internal/claim"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/fleet"
	"github.com/mayfly-ci/mayfly/internal/fleet/engine"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// refusing is a launcher that starts nothing.
type refusing struct{ err error }

func (r *refusing) Start(context.Context, fleet.Spec) error { return r.err }
func (r *refusing) Wait(context.Context, string) (fleet.Exit, error) {
	return fleet.Exit{}, fleet.ErrNotFound
}
func (r *refusing) Stop(context.Context, string, time.Duration) error { return nil }
func (r *refusing) List(context.Context) ([]fleet.Container, error)   { return nil, nil }

// TestStartFailuresRollBack: a machine whose engine cannot start runners from the image
// that was just promoted goes back to the one before, by what its ledger has of both. An
// engine that is away says nothing of an image.
func TestStartFailuresRollBack(t *testing.T) {
	ctx, from := t.Context(), &refusing{}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	m := newMachine(Config{State: t.TempDir(), Log: log, Limits: ledger.Limits{Pools: pool.Set{pool.Pool{Name: "small", Labels: []string{"linux"}}.WithDefaults()}}})
	t.Cleanup(func() { must(t, m.Close()) })
	must(t, m.openStore(ctx))
	var err error
	m.sockets, err = claim.New(claim.Config{Dir: filepath.Join(t.TempDir(), "c"), Ledger: m.pipeline.ClaimLedger(""), Forge: m.pipeline.ClaimForge(), Log: log})
	must(t, err)
	m.engine, m.fleet = &engine.Launcher{}, fleet.New(fleet.Config{Launcher: from, Exited: m.exited})
	t.Cleanup(m.fleet.Close)

	jobs := int64(0)
	wanted := func() ledger.WantRunner { // by a job that is queued
		t.Helper()
		jobs++
		result, err := m.pipeline.Ledger.Apply(ctx, ledger.JobSeen{Job: event.WorkflowJob{Action: event.ActionQueued, Repository: "acme/web", ID: jobs, Attempt: 1, Labels: []string{"linux"}}})
		must(t, err)
		return result.Effects[0].(ledger.WantRunner)
	}
	current := func(digest image.Digest) image.Image {
		t.Helper()
		c, err := m.images.store.Catalog(ctx)
		must(t, err)
		i, _ := c.Current()
		if i.Digest != digest {
			t.Fatalf("current is %s, want %s: %+v", i.Digest, digest, c.Images)
		}
		must(t, m.images.promote(ctx, image.PromoteImage{Image: i}))
		return i
	}
	promoted := func(digest image.Digest, version image.Version) {
		t.Helper()
		for _, in := range []image.Input{image.Built{Digest: digest, Version: version}, image.CanaryPassed{Digest: digest}} {
			_, err := m.images.watch.Apply(ctx, in)
			must(t, err)
		}
		current(digest)
	}
	promoted("sha256:a", "2.998.0")
	for range 4 {
		name := wanted().Runner
		for _, in := range []ledger.Input{ledger.Starting{Runner: name, Image: "sha256:a"}, ledger.Started{Runner: name}, ledger.Claim{Runner: name}, ledger.Idle{Runner: name}} {
			_, err := m.pipeline.Ledger.Apply(ctx, in)
			must(t, err)
		}
	}
	promoted("sha256:b", "2.999.0")
	for _, test := range []struct {
		answer error
		then   image.Digest
	}{{errors.New("dial unix: no such file or directory"), "sha256:b"}, {fmt.Errorf("starting the container: exec: no such file: %w", errdefs.ErrNotFound), "sha256:a"}} {
		from.err = test.answer
		for range leastFailures {
			must(t, m.launch(ctx, wanted()))
		}
		current(test.then)
	}
	list, err := m.ledger.Runners(ctx, ledger.RunnerQuery{Image: "sha256:b"})
	if err != nil || len(list) != leastFailures {
		t.Fatalf("%d runners from sha256:b did not start, %v: want %d", len(list), err, leastFailures)
	}
	c, err := m.images.store.Catalog(ctx)
	must(t, err)
	want := fmt.Sprintf("3 of 3 runners did not start, of the image before 0 of 4; %s: not started: starting the container: exec: no such file: not found", list[0].Name)
	if i, _ := c.Find("sha256:b"); i.State != image.StateFailed || i.Reason != want {
		t.Errorf("the image that was rolled back: %+v: want it failed: %s", i, want)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// leastFailures is how many failed starts make an image go.
const leastFailures = 3
