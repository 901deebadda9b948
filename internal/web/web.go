// Package web is the page of a Mayfly: what runs, what waits and why, and the few things that a
// person can do about it. It reads an [inspect.Source], so it is the same on one machine and on AWS.
//
// The page is HTML from the server, readable without JavaScript. A view is a function from a request
// to a template and its data (overview.go, jobs.go, ...); page.go renders it, and live.go sends it
// again when it changes, to the script that asked for the same address as an event stream.
// access.go decides who may read and who may act, guard.go what a browser may do with the page.
// Templates, style and script are embedded; templates are parsed with the first request, so that a
// page that nobody opens costs no memory.
package web

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/inspect"
	"github.com/mayfly-ci/mayfly/internal/serve"
)

// A Config says what a page shows, and to whom.
type Config struct {
	// Open opens what the page reads, with the first request; after an error the next request tries again.
	Open func(context.Context) (*inspect.Source, error)

	// Order has whoever keeps the image catalog carry out an order, and returns which image is
	// current then. Without it the page shows images only.
	Order func(context.Context, image.Order) (image.Digest, error)

	Access  Access
	Version string
	Every   time.Duration // between looks at what a live page shows; 0 means a second
	Log     *slog.Logger
}

// A Page is an [http.Handler]. Close it after use.
type Page struct {
	config Config
	mux    *http.ServeMux
	guard  http.Handler
	seal   []byte // key of what only this process has to recognize
	limit  attempts
	live   chan struct{} // holds one token for each live connection

	mu     sync.Mutex
	source *inspect.Source // nil until the first request; guarded by mu
	recent recent
	use    lastUse
}

// maxLive is how many live pages there may be at once: each is rendered again and again.
const maxLive = 64

// New returns a page. Nothing is opened yet.
func New(c Config) *Page {
	if c.Every == 0 {
		c.Every = time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	p := &Page{config: c, mux: http.NewServeMux(), seal: []byte(rand.Text()), live: make(chan struct{}, maxLive)}
	p.routes()
	p.guard = p.guarded(p.mux)
	return p
}

// ServeHTTP implements [http.Handler].
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.guard.ServeHTTP(w, r) }

// routes has every address of the page.
func (p *Page) routes() {
	p.mux.Handle("GET /{$}", p.show(p.overview))
	p.mux.Handle("GET /jobs", p.show(p.jobs))
	p.mux.Handle("GET /jobs/{key...}", p.show(p.job))
	p.mux.Handle("GET /pools", p.show(p.pools))
	p.mux.Handle("GET /runners", p.show(p.runners))
	p.mux.Handle("GET /runners/{name}", p.show(p.runner))
	p.mux.HandleFunc("GET /runners/{name}/output", p.output)
	p.mux.Handle("GET /events", p.show(p.events))
	p.mux.Handle("GET /events/{id}", p.show(p.event))
	p.mux.Handle("GET /schemas/{name...}", p.show(p.schema))
	p.mux.Handle("GET /letters", p.show(p.letters))
	p.mux.Handle("GET /image", p.show(p.images))
	p.mux.Handle("POST /image/promote", p.acting(p.promote))
	p.mux.Handle("POST /image/rollback", p.acting(p.rollback))
	p.mux.Handle("POST /letters/retry", p.acting(p.retryLetters))
	p.mux.Handle("POST /letters/drop", p.acting(p.dropLetters))
	p.mux.Handle("POST /quarantine/release", p.acting(p.releaseHeld))
	p.mux.Handle("POST /quarantine/drop", p.acting(p.dropHeld))
	p.mux.HandleFunc("GET /assets/{name}", serveAsset)
	p.mux.HandleFunc("GET /login", p.login)
	p.mux.HandleFunc("POST /login", p.enter)
	p.mux.HandleFunc("POST /logout", p.leave)
}

// open returns the source, and opens it if need be.
func (p *Page) open(ctx context.Context) (*inspect.Source, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.source != nil {
		return p.source, nil
	}
	source, err := p.config.Open(context.WithoutCancel(ctx))
	if err != nil {
		return nil, err
	}
	p.source = source
	return source, nil
}

// Close closes what the page has opened.
func (p *Page) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.source == nil {
		return nil
	}
	source := p.source
	p.source = nil
	return source.Close()
}

// Serve serves l until ctx ends, which also ends live pages.
func (p *Page) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler: p, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx },
		ErrorLog:    slog.NewLogLogger(p.config.Log.Handler(), slog.LevelDebug),
	}
	return serve.Until(ctx, server, l)
}
