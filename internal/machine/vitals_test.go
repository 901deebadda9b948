package machine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/github"
)

// answered is what /healthz and /readyz answer.
type answered struct {
	status       int
	OK           bool
	Loops, Parts []vital
}

func readAnswered(t *testing.T, resp *http.Response, err error) (p answered) {
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

func (p answered) part(name string) vital {
	for _, s := range append(p.Parts, p.Loops...) {
		if s.Name == name {
			return s
		}
	}
	return vital{}
}

// ask asks v, as a probe does.
func (v *vitals) ask(t *testing.T, path string) answered {
	t.Helper()
	mux := http.NewServeMux()
	v.routes(mux)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return readAnswered(t, w.Result(), nil)
}

// TestHealthOfLoops: a loop that stands still is told.
func TestHealthOfLoops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer synctest.Wait()
		defer stop()
		m := newMachine(Config{Log: slog.New(slog.DiscardHandler)})
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
		v.beat("looking for failed deliveries", deliveriesEvery)
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
		m := newMachine(Config{Log: slog.New(slog.NewTextHandler(&log, nil))})
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
