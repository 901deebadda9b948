// Package githubsim is GitHub's side, in process and over a real socket: the part
// of the REST API that runner scaling uses, workflows that become runs and jobs,
// signed webhook deliveries, and the protocol that GitHub's own runners speak. An
// unmodified runner can register with it, by a registration token or a JIT
// configuration, take a job and report. Tests of everything else stand on it, and
// so does `mayfly demo`.
//
// It makes the checks that GitHub makes: credentials and their expiry, the
// signatures of Apps and runners, one job per ephemeral runner, one runner per job,
// names that are taken, labels and groups. It misbehaves as GitHub does where a
// test asks for it: see [Sim.Faults] and [Sim.SetDeliveryFaults].
//
// # Paths
//
//	/api/v3/…           the REST API, as on Enterprise Server; also without /api/v3
//	/OWNER/REPO.git     git's smart HTTP, also without .git; a push starts workflows
//	/actions/build/…    the launch service, which resolves the actions of a job
//	/_runner/…          what registered runners speak
//	/repositories/ID/…  a repository by its id, where redirects of renamed ones point
//	/_sim/…             faults and state, for whoever tests; needs one of Config.Tokens
package githubsim

import (
	"context"
	"crypto/rsa"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim/fault"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim/hook"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim/jit"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

// A Config is what a Sim is made with. Without Tokens and App nobody gets in.
type Config struct {
	Log *slog.Logger     // required
	Now func() time.Time // required

	// URL is the base of every address in answers, such as http://10.0.2.2:8080.
	// If empty, each answer takes it from its request's Host, and deliveries from
	// the first request there was.
	URL string

	Tokens     []secret.Secret // personal access tokens, each with every right
	App        *App            // nil: no App
	Enterprise string          // slug of the one enterprise, which has every organisation; "": none
	Users      []string        // logins that are users; every other owner is an organisation
	Dir        string          // for git repositories; "": a temporary folder, removed by Close

	RunnerVersion  string // of the first actions/runner release; default [DefaultRunnerVersion]. It has no files; see PublishRunner
	RateLimit      int    // requests per hour and credential; default 15,000
	AnonymousLimit int    // requests per hour and address without one; default 60
	Seed           uint64 // of everything random in faults

	Keys *jit.Ring // of JIT runners; nil: its own. Several Sims can have one, which saves making keys

	// Periods of GitHub's; zero takes GitHub's own.
	Poll    time.Duration // how long a runner's poll waits for a message: 50 s
	PickUp  time.Duration // a job that its runner does not take for so long is queued again: 60 s
	Lock    time.Duration // a job not renewed for so long has lost its runner: 10 min
	Timeout time.Duration // of a webhook delivery: 10 s
	Hosted  time.Duration // a job that GitHub runs itself takes so long: 10 s
	Idle    time.Duration // a JIT runner without a job for so long is removed: 2 to 6 min, another for each; negative: never
}

// DefaultRunnerVersion is what releases/latest of actions/runner says by default.
const DefaultRunnerVersion = "2.336.0"

func (c Config) withDefaults() Config {
	setDefault(&c.RunnerVersion, DefaultRunnerVersion)
	setDefault(&c.RateLimit, 15000)
	setDefault(&c.AnonymousLimit, 60)
	setDefault(&c.Poll, 50*time.Second)
	setDefault(&c.PickUp, time.Minute)
	setDefault(&c.Lock, 10*time.Minute)
	setDefault(&c.Timeout, 10*time.Second)
	setDefault(&c.Hosted, 10*time.Second)
	if c.Keys == nil {
		c.Keys = jit.NewRing()
	}
	return c
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// A Sim is one GitHub. It is an http.Handler; all its methods may be called at once.
type Sim struct {
	cfg     Config
	log     *slog.Logger
	mux     *http.ServeMux
	faults  *fault.Set
	hooks   *hook.Sender
	ids     atomic.Int64
	seenURL atomic.Pointer[string]          // base of the first request
	ownDir  string                          // temporary folder to remove
	blobDir string                          // in it: logs, as runners upload them
	signing func() (*rsa.PrivateKey, error) // the key of tokens that can be checked by their signature

	stop context.CancelFunc
	done sync.WaitGroup

	mu sync.Mutex
	state
}

// New returns a Sim at work; Close ends it. An error means that there is no
// folder for repositories.
func New(cfg Config) (*Sim, error) {
	cfg = cfg.withDefaults()
	s := &Sim{cfg: cfg, log: cfg.Log, faults: fault.NewSet(cfg.Seed), state: newState()}
	var err error
	if s.ownDir, err = os.MkdirTemp("", "githubsim-*"); err != nil {
		return nil, err
	}
	s.blobDir = filepath.Join(s.ownDir, "blobs")
	if err := os.Mkdir(s.blobDir, 0o700); err != nil {
		return nil, err
	}
	if cfg.Dir == "" {
		s.cfg.Dir = filepath.Join(s.ownDir, "git")
	}
	s.ids.Store(1000)
	s.signing = sync.OnceValues(cfg.Keys.Key)
	s.hooks = hook.New(hook.Settings{
		Log: cfg.Log, Now: cfg.Now, NextID: s.nextID, Seed: cfg.Seed,
		Timeout: cfg.Timeout, Workers: 8, Keep: 20000,
	})
	s.addCredentials()
	s.PublishRunner(RunnerRelease{Version: cfg.RunnerVersion})
	s.routes()
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.done.Go(func() { s.expireEvery(ctx, time.Second) })
	return s, nil
}

// Close stops deliveries and timers and removes the temporary folder. Whoever
// serves the Sim stops that first.
func (s *Sim) Close() error {
	s.stop()
	s.done.Wait()
	s.hooks.Close()
	return os.RemoveAll(s.ownDir)
}

// Serve answers on l until ctx ends, then closes open connections and returns nil.
func (s *Sim) Serve(ctx context.Context, l net.Listener) error {
	base := "http://" + l.Addr().String()
	s.seenURL.CompareAndSwap(nil, &base)
	server := &http.Server{
		Handler: s, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10, BaseContext: func(net.Listener) context.Context { return ctx },
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// ServeHTTP answers one request.
func (s *Sim) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	base := s.base(r)
	s.seenURL.CompareAndSwap(nil, &base)
	if name, service, ok := gitPath(r.URL.Path); ok {
		s.serveGit(w, r, name, service)
		return
	}
	if strings.HasPrefix(r.URL.Path, "/api/v3/") {
		http.StripPrefix("/api/v3", http.HandlerFunc(s.serve)).ServeHTTP(w, r)
		return
	}
	s.serve(w, r)
}

// serve answers everything but git, by paths without /api/v3.
func (s *Sim) serve(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/_sim/") {
		s.mux.ServeHTTP(w, r)
		return
	}
	if strings.HasPrefix(r.URL.Path, "/repositories/") { // by id, as redirects of renamed ones say
		if path, found := s.byID(r.URL.Path); found {
			r = r.Clone(r.Context())
			r.URL.Path, r.URL.RawPath = path, ""
		}
	}
	s.faults.Serve(w, r, s.mux)
}

// base gives the address of the Sim as the sender of r knows it.
func (s *Sim) base(r *http.Request) string {
	if s.cfg.URL != "" {
		return strings.TrimSuffix(s.cfg.URL, "/")
	}
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// publicURL returns the address of the Sim where no request tells it.
func (s *Sim) publicURL() string {
	if s.cfg.URL != "" {
		return strings.TrimSuffix(s.cfg.URL, "/")
	}
	if seen := s.seenURL.Load(); seen != nil {
		return *seen
	}
	return "http://localhost"
}

func (s *Sim) nextID() int64  { return s.ids.Add(1) }
func (s *Sim) now() time.Time { return s.cfg.Now().UTC() }
