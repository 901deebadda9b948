package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/machine"
	"github.com/mayfly-ci/mayfly/internal/tool/tooltest"
)

// probed is what /healthz and /readyz answer.
type probed struct {
	status       int
	OK           bool
	Loops, Parts []probedPart
}

// A probedPart is one of them.
type probedPart struct {
	Name, State string
	OK          bool
	Since       time.Time
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

func (p probed) part(name string) probedPart {
	for _, s := range append(p.Parts, p.Loops...) {
		if s.Name == name {
			return s
		}
	}
	return probedPart{}
}

// TestProbes asks a real mayfly up, with a credential that GitHub takes and with another.
func TestProbes(t *testing.T) {
	t.Parallel()
	tooltest.Need(t, "bwrap")
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
	ready(200, "forge", "works")
	resp, err := http.Get("http://" + w.listen + "/healthz")
	if p := readProbe(t, resp, err); p.status != 200 || len(p.Loops) < 6 {
		t.Errorf("%+v; want 200 and all loops", p)
	}
	w.up.stop(t)
	right := w.token
	w.token = "revoked"
	w.serve(t)
	ready(503, "forge", "credential is not accepted")
	if !strings.Contains(w.up.whole(), "hint=\"mayfly config check") {
		t.Errorf("the log has no hint:\n%s", w.up.said())
	}
	w.up.stop(t)
	w.token = right
}

// TestStateThatIsNoUse: the error of a state folder that cannot be used ends with a way on.
func TestStateThatIsNoUse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldConfig{})
	if err := os.MkdirAll(w.state(), 0o700); err != nil {
		t.Fatal(err)
	}
	database := filepath.Join(w.state(), machine.DatabaseName)
	if err := os.WriteFile(database, bytes.Repeat([]byte("no database "), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{"up", "status"} {
		_, errs, code := w.mayfly(t, args)
		if code != 1 || !strings.Contains(errs, "database is damaged") || !strings.Contains(errs, "hint: put mayfly.db aside") {
			t.Errorf("mayfly %s with a damaged database: exit code %d\n%s", args, code, errs)
		}
	}
	if err := errors.Join(os.RemoveAll(w.state()), os.WriteFile(w.state(), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	_, errs, code := w.mayfly(t, "up")
	if code != 1 || !strings.Contains(errs, "hint: ") || !strings.Contains(errs, "state:") {
		t.Errorf("mayfly up with a file in place of the folder: exit code %d\n%s", code, errs)
	}
	if err := os.Remove(w.state()); err != nil {
		t.Fatal(err)
	}
}
