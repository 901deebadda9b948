// Package giteasim is as much of a Gitea as one job needs: registration, the protocol of
// runners, and signed deliveries. The canary of an image plays on it, so that the real runner in
// the image registers, runs a job and reports. It is no judge of Mayfly: a real Gitea is, in
// internal/forgetest.
//
// What it refuses, Gitea 1.26 refuses: routers/api/actions/runner/interceptor.go and runner.go.
package giteasim

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/mayfly-ci/mayfly/internal/secret"
)

// A Config says what job there is.
type Config struct {
	Repository string   // owner/name
	Labels     []string // of the job
	Workflow   string   // with one job, JobName
}

// JobName is that of the job in the workflow.
const JobName = "canary"

const jobID = 1

// A Sim is a Gitea with one repository and one job.
type Sim struct {
	config       Config
	token        string // of the API
	registration string
	server       *http.Server
	address      string

	mu        sync.Mutex
	hook      string        // where deliveries go; under mu, as is what follows
	secret    secret.Secret // signs them
	state     string        // of the job: "", queued, in_progress, completed
	attempt   int
	result    string // its conclusion
	runners   map[int64]*runner
	next      int64 // id of the next runner
	runnerID  int64 // that runs, or ran, the job
	ranOn     string
	log       []string
	completed chan struct{} // closed when the job is over
}

// A runner is one that is registered.
type runner struct {
	id          int64
	uuid, token string
	name        string
	labels      []string
	disabled    bool
	ephemeral   bool
}

// Open serves a Sim on loopback.
func Open(c Config) (*Sim, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Sim{
		config: c, token: rand.Text(), registration: rand.Text(), address: "http://" + l.Addr().String(),
		runners: map[int64]*runner{}, next: 1, completed: make(chan struct{}),
	}
	s.server = &http.Server{Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second}
	go s.server.Serve(l) // until Close
	return s, nil
}

// URL is its address.
func (s *Sim) URL() string { return s.address }

// Token is good for its API.
func (s *Sim) Token() secret.Secret { return secret.New(s.token) }

// Close ends it.
func (s *Sim) Close() error { return s.server.Close() }

// Hook has deliveries sent to a URL.
func (s *Sim) Hook(_ context.Context, url string, key secret.Secret) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook, s.secret = url, key
	return nil
}

// Registered returns how many runners there are.
func (s *Sim) Registered() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.runners)
}

// Sing queues the job, and returns when it is over: an error unless it succeeded.
func (s *Sim) Sing(ctx context.Context) error {
	s.mu.Lock()
	s.state = "queued"
	s.mu.Unlock()
	if err := s.deliver(ctx, "queued"); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.completed:
	}
	if err := s.deliver(ctx, "completed"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.result != "success" {
		return fmt.Errorf("the canary job ended with %s: %s", s.result, strings.Join(s.log[max(0, len(s.log)-5):], "; "))
	}
	return nil
}

// runnerBy returns the runner whose uuid and token a request of the protocol has.
func (s *Sim) runnerBy(r *http.Request) (*runner, error) {
	for _, one := range s.runners {
		if one.uuid == r.Header.Get("x-runner-uuid") && one.token == r.Header.Get("x-runner-token") {
			return one, nil
		}
	}
	return nil, errors.New("unregistered runner")
}
