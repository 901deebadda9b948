// Package machine is the whole system on one machine: the stages of the pipeline, joined around one
// SQLite file. It is the twin of aws/handler; what both join in the same way is in package pipeline.
//
// The arrows between the stages are in rules.go: the machine's own rules as data, and the targets that they
// name. sweep.go finds what no event told; orders.go has what commands may ask of a running machine, control.go
// the socket for that and asking.go its other end; health.go and metrics.go tell how it stands, takedown.go
// removes it. images.go joins the image catalog, imagework.go does what the catalog asks for.
package machine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mayfly-ci/mayfly/internal/bus"
	"github.com/mayfly-ci/mayfly/internal/bus/registry"
	"github.com/mayfly-ci/mayfly/internal/claim"
	"github.com/mayfly-ci/mayfly/internal/config"
	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/fleet"
	"github.com/mayfly-ci/mayfly/internal/fleet/engine"
	"github.com/mayfly-ci/mayfly/internal/forge"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/ledger/sqlite"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
	"github.com/mayfly-ci/mayfly/internal/webhook"
)

// Config is what a machine is made of, all references resolved.
type Config struct {
	State      string // folder of the database and of the runners
	Archive    config.Archive
	Metrics    config.Metrics
	Outside    Outside        // rules besides the machine's own, and what they lead to
	Webhook    webhook.Config // Publish, Quarantine, Full and Pools are the machine's
	Forge      forge.Forge    // where jobs come from
	Enterprise string         // where runners are registered at ledger.LevelEnterprise: enterprises/SLUG
	HookAt     string         // whose webhook the sweep looks after; "" for none
	HookURL    string         // the address of that webhook
	Launcher   Launch
	Image      ImageConfig   // of images that are built; none are where watch is off
	Limits     ledger.Limits // with the pools, and what runners may take of the host together
	Version    string        // of mayfly, for the metrics
	Log        *slog.Logger

	// Try runs a canary job in an image of the engine on socket; only where images are built.
	Try func(ctx context.Context, candidate image.Image, socket string) error
}

// A Machine is the whole system on one machine, joined:
//
//	webhook ──▶ bus ──▶ ledger ──▶ bus ──▶ fleet ──▶ agent
//	                      ▲                            │
//	                      └───────── claim ◀───────────┘
//
// What each arrow does is in rules.go, and where AWS does the same, in package pipeline.
type Machine struct {
	config   Config
	db       *disk.DB
	bus      *bus.Bus
	ledger   observed
	joins    *pipeline.Pipeline
	fleet    *fleet.Fleet
	launcher Launcher
	engine   *engine.Launcher // nil unless it is the launcher
	images   *images

	engineSocket string    // where the engine answers
	unheld       []Trouble // limits that do not hold
	desk         *claim.Desk
	hook         *webhook.Handler
	closers      []func() error // in the order of opening
	schemas      *registry.Discoverer
	vitals       vitals
	limits       atomic.Pointer[ledger.Limits] // in force; those of the settings until they are changed

	stop         func()        // ends mayfly up; nil where that does not run
	poolsChanged chan struct{} // has room for one: pools may want other images
}

// DatabaseName is the one file of a machine, in its state folder.
const DatabaseName = "mayfly.db"

// newMachine returns a machine of which nothing is open yet.
func newMachine(s Config) *Machine {
	m := &Machine{config: s, poolsChanged: make(chan struct{}, 1)}
	m.limits.Store(&s.Limits)
	m.joins = pipeline.New(pipeline.Config{
		Limits: func() ledger.Limits { return *m.limits.Load() }, Enterprise: m.config.Enterprise,
		HookAt: m.config.HookAt, HookURL: m.config.HookURL, Forge: m.config.Forge, Vanish: m.vanish, Log: m.config.Log,
	})
	return m
}

// Open opens and joins the parts. Nothing runs yet, but containers of an
// earlier run do; [Machine.Run] finds them again.
func Open(ctx context.Context, s Config) (*Machine, error) {
	m := newMachine(s)
	if err := m.open(ctx); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

func (m *Machine) open(ctx context.Context) (err error) {
	if err := m.openStore(ctx); err != nil {
		return err
	}
	if m.desk, err = claim.New(claim.Config{
		Dir: filepath.Join(m.config.State, "claims"), Ledger: m.joins.ClaimLedger(""), Forge: m.joins.ClaimForge(), Log: m.config.Log,
	}); err != nil {
		return err
	}
	if err := m.openFleet(ctx); err != nil {
		return err
	}
	if err := m.openBuilder(ctx); err != nil {
		return err
	}
	m.config.Webhook.Pools, m.config.Webhook.Publish, m.config.Webhook.Full, m.config.Webhook.Log = m.config.Limits.Pools, m.bus.Publish, disk.ErrFull, m.config.Log
	m.config.Webhook.Quarantine, m.config.Webhook.Read = m.bus.Quarantine, m.config.Forge.Read
	m.hook, err = webhook.New(m.config.Webhook)
	return err
}

// openStore opens the database and the two that share it, bus and ledger: what the
// ledger decides and the events that tell of it commit together.
func (m *Machine) openStore(ctx context.Context) error {
	if err := os.MkdirAll(m.config.State, 0o700); err != nil {
		return fmt.Errorf("making the state folder: %w", err)
	}
	var err error
	if m.db, err = disk.Open(filepath.Join(m.config.State, DatabaseName), disk.Options{}); err != nil {
		return err
	}
	m.closers = append(m.closers, m.db.Close)
	rules, err := Rules(m.config.Outside)
	if err != nil {
		return err
	}
	m.bus, err = bus.Open(ctx, m.db, bus.Config{
		Rules: rules, Targets: m.targets(), Log: m.config.Log, Retention: m.config.Archive.Keep, MaxSize: int64(m.config.Archive.MaxSize),
	})
	if err != nil {
		return err
	}
	if m.schemas, err = registry.Open(ctx, m.db, m.config.Log); err != nil {
		return err
	}
	kept, err := sqlite.Open(ctx, m.db, sqlite.Config{Limits: m.config.Limits, Emit: m.emit})
	if err != nil {
		return err
	}
	m.ledger = observed{kept, m.hear}
	m.joins.Ledger = m.ledger
	return m.openCatalog(ctx)
}

// Run serves listener and works until ctx ends, then lets what is under way
// finish. Runners go on without us, and are found again by the next run. Deliveries, probes and
// commands are answered at once, because on a full disk it may take long to take up what an
// earlier run left.
func (m *Machine) Run(ctx context.Context, listener net.Listener) error {
	ctx, m.stop = context.WithCancel(ctx)
	defer m.stop()
	mux := http.NewServeMux()
	mux.Handle("/webhook", m.hook)
	m.vitals.routes(mux)

	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return serveUntil(ctx, webhook.Server(mux, m.config.Log), listener) })
	g.Go(func() error { return m.serveControl(ctx) })
	g.Go(func() error { return m.serveMetrics(ctx) })
	m.watchParts(ctx, g)
	if err := m.resume(ctx); err == nil {
		m.work(ctx, g)
	} else if ctx.Err() == nil { // or it is stopped, as it was meant to be
		g.Go(func() error { return err })
	}
	return g.Wait()
}

// work has the machine do its work until ctx ends.
func (m *Machine) work(ctx context.Context, g *errgroup.Group) {
	g.Go(func() error { return m.bus.Run(ctx) })
	g.Go(func() error { return m.tick(ctx) })
	g.Go(func() error { return m.sweepDeliveries(ctx) })
	g.Go(func() error { return m.sweepJobs(ctx) })
	g.Go(func() error { return m.sweepContainers(ctx) })
	g.Go(func() error { return m.sweepRegistrations(ctx) })
	g.Go(func() error { return m.images.run(ctx) })
	g.Go(func() error { return m.schemas.Run(ctx) })
	g.Go(func() error { return m.fetchImages(ctx) })
}

// serveUntil serves until ctx ends, then lets what is under way finish.
func serveUntil(ctx context.Context, server *http.Server, l net.Listener) error {
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return server.Shutdown(ending)
}

// resume takes up what an earlier run left: claim sockets are opened again for the
// containers that are there, and the ledger is told which those are.
func (m *Machine) resume(ctx context.Context) error {
	containers, err := m.fleet.Adopt(ctx)
	if err != nil {
		return fmt.Errorf("finding runners of an earlier run: %w", err)
	}
	names := make([]ledger.RunnerName, 0, len(containers))
	live := map[string]bool{}
	for _, c := range containers {
		names, live[c.Runner] = append(names, ledger.RunnerName(c.Runner)), true
		open := func() error { _, err := m.desk.Open(c.Runner); return err }
		if err := m.untilRoom(ctx, open); err != nil {
			return err
		}
	}
	folders, err := m.desk.Runners()
	if err != nil {
		return err
	}
	for _, name := range folders {
		if !live[name] {
			if err := m.desk.Close(name); err != nil {
				return err
			}
		}
	}
	return m.untilRoom(ctx, func() error {
		_, err := m.ledger.Apply(ctx, ledger.Found{Runners: names})
		return err
	})
}

// untilRoom does do until the disk has room for it: the fleet removes containers meanwhile
// that have ended, which may be what fills it.
func (m *Machine) untilRoom(ctx context.Context, do func() error) error {
	const pause = time.Second
	for {
		err := do()
		if !errors.Is(err, disk.ErrFull) && !errors.Is(err, syscall.ENOSPC) {
			return err
		}
		m.config.Log.Warn("the disk is full: trying again", "err", err, "after", pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		}
	}
}

// Close closes what was opened, the last first.
func (m *Machine) Close() (err error) {
	if m.desk != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		err = m.desk.Shutdown(ctx)
	}
	for i := len(m.closers) - 1; i >= 0; i-- {
		err = errors.Join(err, m.closers[i]())
	}
	return err
}
