package machine

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/claim"
	"github.com/mayfly-ci/mayfly/internal/fleet"
	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/secret"
	"github.com/mayfly-ci/mayfly/internal/webhook"
)

// A slowLauncher takes its time to say what runs.
type slowLauncher struct {
	fleet.Launcher
	listed chan error
}

func (l slowLauncher) List(ctx context.Context) ([]fleet.Container, error) {
	select {
	case err := <-l.listed:
		return nil, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// TestProbesWhileResuming: what an earlier run left may take long to be taken up, as on a full disk. That
// is no reason to be started anew, and a fault of it ends the run.
func TestProbesWhileResuming(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	m := newMachine(Config{State: t.TempDir(), Log: log})
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := m.openStore(t.Context()); err != nil {
		t.Fatal(err)
	}
	slow := slowLauncher{listed: make(chan error)}
	m.fleet = fleet.New(fleet.Config{Launcher: slow, Log: log})
	var errs [4]error
	m.pipeline.Forge, errs[0] = github.New(github.Config{URL: "http://127.0.0.1:1", Token: secret.New("t"), Log: log})
	m.sockets, errs[1] = claim.New(claim.Config{Dir: filepath.Join(m.config.State, "claims"), Log: log})
	m.hook, errs[2] = webhook.New(webhook.Config{Secrets: []secret.Secret{secret.New("s")}, MaxBody: 1 << 20, Publish: m.bus.Publish, Log: log})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	errs[3] = err
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- m.Run(t.Context(), listener) }()
	resp, err := http.Get("http://" + listener.Addr().String() + "/healthz")
	if p := readAnswered(t, resp, err); p.status != http.StatusOK {
		t.Errorf("%+v: want 200", p)
	}
	away := errors.New("engine is away")
	slow.listed <- away
	if err := <-ended; !errors.Is(err, away) {
		t.Errorf("%v: want %v", err, away)
	}
}
