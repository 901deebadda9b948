package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/github"
)

// probed is what /healthz and /readyz answer.
type probed struct {
	status       int
	OK           bool
	Loops, Parts []vital
}

func readProbe(t *testing.T, resp *http.Response, err error) (p probed) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	p.status = resp.StatusCode
	if err := json.NewDecoder(resp.Body).Decode(&p); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p probed) part(name string) vital {
	for _, s := range append(p.Parts, p.Loops...) {
		if s.Name == name {
			return s
		}
	}
	return vital{}
}

// ask asks v, as a probe does.
func (v *vitals) ask(t *testing.T, path string) probed {
	t.Helper()
	mux := http.NewServeMux()
	v.routes(mux)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return readProbe(t, w.Result(), nil)
}

// TestHealthOfLoops: a loop that stands still is told.
func TestHealthOfLoops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer synctest.Wait()
		defer stop()
		m := newMachine(settings{Log: slog.New(slog.DiscardHandler)})
		hang, again := make(chan struct{}), make(chan struct{})
		go func() {
			_ = m.every(ctx, time.Second, "time passing", func(context.Context) error {
				select {
				case <-hang:
					<-again
				default:
				}
				return errors.New("disk full") // is no reason to be started anew
			})
		}()
		time.Sleep(5 * time.Minute)
		if p := m.vitals.ask(t, "/healthz"); p.status != 200 || !p.OK || p.part("time passing").State != "turns" {
			t.Errorf("%+v; want 200", p)
		}
		close(hang)
		time.Sleep(2 * time.Minute)
		if p := m.vitals.ask(t, "/healthz"); p.status != 503 || p.OK || p.part("time passing").State != "stands still" {
			t.Errorf("%+v; want 503", p)
		}
		close(again)
	})
}

// TestHealthOfLongTurns: a turn that asks GitHub for much takes its time, and is no reason to be started anew.
func TestHealthOfLongTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var v vitals
		v.turn("looking for failed deliveries", deliveriesEvery)
		time.Sleep(50 * time.Minute)
		if p := v.ask(t, "/healthz"); p.status != 200 {
			t.Errorf("after 50 minutes: %+v; want 200", p)
		}
		time.Sleep(15 * time.Minute)
		if p := v.ask(t, "/healthz"); p.status != 503 {
			t.Errorf("after 65 minutes: %+v; want 503", p)
		}
	})
}

// TestReadiness: each part says how it stands and since when, and tells strangers nothing more.
func TestReadiness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		m := newMachine(settings{Log: slog.New(slog.NewTextHandler(&log, nil))})
		is := func(name string, err error) {
			m.notice(t.Context(), name, look{do: func(context.Context) error { return err }, hint: "do this"})
		}
		if p := m.vitals.ask(t, "/readyz"); p.status != 503 || len(p.Parts) != 3 {
			t.Errorf("before anything was looked at: %+v", p)
		}
		for _, name := range []string{partDatabase, partLauncher, partForge} {
			is(name, nil)
		}
		if p := m.vitals.ask(t, "/readyz"); p.status != 200 || !p.OK {
			t.Errorf("all is well: %+v", p)
		}
		begun := time.Now()
		for _, c := range []struct {
			part  string
			err   error
			state string
		}{
			{partDatabase, fmt.Errorf("%w: /secret/place", disk.ErrFull), "disk full"},
			{partDatabase, errors.New("/secret/place"), "fails"},
			{partForge, &github.Error{Kind: github.ErrUnauthorized, Message: "/secret/place"}, "credential is not accepted"},
			{partForge, &github.Error{Kind: github.ErrUnavailable}, "does not answer"},
			{partLauncher, context.DeadlineExceeded, "does not answer"},
		} {
			is(c.part, c.err)
			time.Sleep(time.Minute)
			is(c.part, c.err)
			p := m.vitals.ask(t, "/readyz")
			one := m.vitals.ask(t, "/readyz/"+c.part)
			got := p.part(c.part)
			if p.status != 503 || got.OK || got.State != c.state || !got.Since.Equal(begun) || one.status != 503 || len(one.Parts) != 1 {
				t.Errorf("%v: %+v, alone %+v; want 503 and %q since %v", c.err, p, one, c.state, begun)
			}
			other := partLauncher
			if c.part == other {
				other = partForge
			}
			if p := m.vitals.ask(t, "/readyz/"+other); p.status != 200 {
				t.Errorf("another part: %+v", p)
			}
			is(c.part, nil)
			begun = time.Now()
		}
		is(partForge, &github.Error{Kind: &github.RateLimited{}})
		if p := m.vitals.ask(t, "/readyz"); p.status != 200 {
			t.Errorf("GitHub limits calls: %+v; want 200", p)
		}
		if n := strings.Count(log.String(), "not ready"); n != 5 || strings.Count(log.String(), "hint=") != 5 {
			t.Errorf("%d lines of what is not ready; want 5, each with a hint:\n%s", n, &log)
		}
	})
}

// TestProbes asks a real mayfly up, with a credential that GitHub takes and with another.
func TestProbes(t *testing.T) {
	need(t, "bwrap")
	w := newWorld(t, worldConfig{})
	ready := func(want int, part, state string) {
		t.Helper()
		var p probed
		for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
			resp, err := http.Get("http://" + w.listen + "/readyz")
			if p = readProbe(t, resp, err); p.status == want && p.part(part).State == state {
				return
			}
		}
		t.Errorf("%+v; want %d and %s of %s", p, want, state, part)
	}
	w.serve(t)
	ready(200, partForge, "works")
	resp, err := http.Get("http://" + w.listen + "/healthz")
	if p := readProbe(t, resp, err); p.status != 200 || len(p.Loops) < 6 {
		t.Errorf("%+v; want 200 and all loops", p)
	}
	w.up.stop(t)
	right := w.token
	w.token = "revoked"
	w.serve(t)
	ready(503, partForge, "credential is not accepted")
	if !strings.Contains(w.up.whole(), "hint=\"mayfly config check") {
		t.Errorf("the log has no hint:\n%s", w.up.said())
	}
	w.up.stop(t)
	w.token = right
}

// TestStateThatIsNoUse: the error of a state folder that cannot be used ends with a way on.
func TestStateThatIsNoUse(t *testing.T) {
	w := newWorld(t, worldConfig{})
	t.Setenv("GITHUB_TOKEN", w.token)
	t.Setenv("MAYFLY_WEBHOOK_SECRET", w.secret)
	if err := os.MkdirAll(w.state(), 0o700); err != nil {
		t.Fatal(err)
	}
	database := filepath.Join(w.state(), databaseName)
	if err := os.WriteFile(database, bytes.Repeat([]byte("no database "), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"up"}, {"status"}} {
		_, errs, code := mayfly(t, append(args, "--config", w.config())...)
		if code != 1 || !strings.Contains(errs, "database is damaged") || !strings.Contains(errs, "hint: put mayfly.db aside") {
			t.Errorf("mayfly %v with a damaged database: exit code %d\n%s", args, code, errs)
		}
	}
	if err := errors.Join(os.RemoveAll(w.state()), os.WriteFile(w.state(), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	_, errs, code := mayfly(t, "up", "--config", w.config())
	if code != 1 || !strings.Contains(errs, "hint: ") || !strings.Contains(errs, "state:") {
		t.Errorf("mayfly up with a file in place of the folder: exit code %d\n%s", code, errs)
	}
	if err := os.Remove(w.state()); err != nil {
		t.Fatal(err)
	}
}
