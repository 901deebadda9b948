// Package machine is the whole system on one machine: the stages of the pipeline, joined around one
// SQLite file. It is the twin of aws/handler; what both have in common is in package pipeline.
//
// rules.go has the arrows between the stages: the machine's own rules as data, and their targets.
// sweep.go corrects what no event reported. orders.go has what commands may ask of a running
// machine, control.go the socket for that, and asking.go its client. health.go and metrics.go (with
// package metrics) report the machine's state, and takedown.go removes it. images.go joins the
// image catalog, and imagework.go carries out its effects.
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
	"github.com/mayfly-ci/mayfly/internal/machine/metrics"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
	"github.com/mayfly-ci/mayfly/internal/serve"
	"github.com/mayfly-ci/mayfly/internal/webhook"
)

// A Config configures a machine, with all references resolved.
type Config struct {
	State      string // folder of the database and of the runners
	Archive    config.Archive
	Metrics    config.Metrics
	Outside    Outside        // the configuration's rules and their targets
	Webhook    webhook.Config // Publish, Quarantine, Full and Pools are set by the machine
	Forge      forge.Forge    // where jobs come from
	Enterprise string         // where runners register at ledger.LevelEnterprise: enterprises/SLUG
	HookAt     string         // owner of the webhook that the sweep checks; "" for none
	HookURL    string         // address of that webhook
	CA         string         // certificates in PEM that runners trust besides those of their image
	Launcher   Launch
	Image      ImageConfig   // for built images; none are built if watch is off
	Limits     ledger.Limits // pools, and what all runners together may use of the host
	Version    string        // of mayfly, for the metrics
	Log        *slog.Logger

	// Try runs a canary job in an image of the engine on socket; needed only if images are built.
	Try func(ctx context.Context, candidate image.Image, socket string) error
}

// A Machine is the whole system on one machine, joined:
//
//	webhook ──▶ bus ──▶ ledger ──▶ bus ──▶ fleet ──▶ agent
//		                    ▲                            │
//		                    └───────── claim ◀───────────┘
//
// The arrows are in rules.go, and in package pipeline if AWS has the same.
type Machine struct {
	config   Config
	db       *disk.DB
	bus      *bus.Bus
	ledger   observedStore
	flow     *metrics.Flow
	pipeline *pipeline.Pipeline
	fleet    *fleet.Fleet
	launcher Launcher
	engine   *engine.Launcher // nil if the launcher is the sandbox
	images   *images

	engineSocket string    // of the engine
	unheld       []Trouble // limits that are not enforced
	sockets      *claim.SocketServer
	hook         *webhook.Handler
	closers      []func() error // in the order of opening
	schemas      *registry.Discoverer
	vitals       vitals
	limits       atomic.Pointer[ledger.Limits] // in force; those of config until they are changed

	stop         func()        // ends mayfly up; nil if that does not run
	poolsChanged chan struct{} // holds one token: pools may need other images
}

// DatabaseName is the machine's one database file, in its state folder.
const DatabaseName = "mayfly.db"

// newMachine returns a machine of which nothing is open.
func newMachine(s Config) *Machine {
	m := &Machine{config: s, flow: metrics.NewFlow(), poolsChanged: make(chan struct{}, 1)}
	m.limits.Store(&s.Limits)
	m.pipeline = pipeline.New(pipeline.Config{
		Limits: func() ledger.Limits { return *m.limits.Load() }, Enterprise: m.config.Enterprise,
		HookAt: m.config.HookAt, HookURL: m.config.HookURL, Forge: m.config.Forge, Vanish: m.vanish, Log: m.config.Log,
	})
	return m
}

// Open opens and joins the parts. Nothing runs yet, except the containers of an earlier run, which
// [Machine.Run] adopts.
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
	if m.sockets, err = claim.New(claim.Config{
		Dir: filepath.Join(m.config.State, "claims"), Ledger: m.pipeline.ClaimLedger(""), Forge: m.pipeline.ClaimForge(), CA: m.config.CA, Log: m.config.Log,
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

// openStore opens the database and what shares it, the bus and the ledger: the ledger's changes and
// the events that request its effects commit together.
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
		Rules: rules, Targets: m.targets(), Batches: m.batches(), Log: m.config.Log, Retention: m.config.Archive.Keep, MaxSize: int64(m.config.Archive.MaxSize),
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
	m.ledger = observedStore{kept, m.hear}
	m.pipeline.Ledger = m.ledger
	return m.openCatalog(ctx)
}

// Run serves listener and works until ctx ends, then finishes what is under way. Runners keep
// running, and the next run adopts them. Deliveries, probes and commands are served at once,
// because on a full disk adopting an earlier run may take long.
func (m *Machine) Run(ctx context.Context, listener net.Listener) error {
	ctx, m.stop = context.WithCancel(ctx)
	defer m.stop()
	mux := http.NewServeMux()
	mux.Handle("/webhook", m.hook)
	m.vitals.routes(mux)

	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return serve.Until(ctx, webhook.Server(mux, m.config.Log), listener) })
	g.Go(func() error { return m.serveControl(ctx) })
	g.Go(func() error { return m.serveMetrics(ctx) })
	m.watchParts(ctx, g)
	if err := m.resume(ctx); err == nil {
		m.work(ctx, g)
	} else if ctx.Err() == nil { // or it was stopped meanwhile
		g.Go(func() error { return err })
	}
	return g.Wait()
}

// work starts the machine's loops, which run until ctx ends.
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

// resume adopts what an earlier run left: it opens the claim sockets of the existing containers
// again, and tells the ledger which those are.
func (m *Machine) resume(ctx context.Context) error {
	containers, err := m.fleet.Adopt(ctx)
	if err != nil {
		return fmt.Errorf("finding runners of an earlier run: %w", err)
	}
	names := make([]ledger.RunnerName, 0, len(containers))
	live := map[string]bool{}
	for _, c := range containers {
		names, live[c.Runner] = append(names, ledger.RunnerName(c.Runner)), true
		open := func() error { _, err := m.sockets.Open(c.Runner); return err }
		if err := m.untilRoom(ctx, open); err != nil {
			return err
		}
	}
	folders, err := m.sockets.Runners()
	if err != nil {
		return err
	}
	for _, name := range folders {
		if !live[name] {
			if err := m.sockets.Close(name); err != nil {
				return err
			}
		}
	}
	return m.untilRoom(ctx, func() error {
		_, err := m.ledger.Apply(ctx, ledger.Found{Runners: names})
		return err
	})
}

// untilRoom repeats do until the disk has room for it. Meanwhile the fleet removes ended
// containers, which may be what fills it.
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

// Close closes what was opened, in reverse order.
func (m *Machine) Close() (err error) {
	if m.sockets != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		err = m.sockets.Shutdown(ctx)
	}
	for i := len(m.closers) - 1; i >= 0; i-- {
		err = errors.Join(err, m.closers[i]())
	}
	return err
}
