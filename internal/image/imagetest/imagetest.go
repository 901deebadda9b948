// Package imagetest has the test that every [image.Store] passes.
package imagetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mayfly-ci/mayfly/internal/image"
)

// A Config is what a store is opened with.
type Config struct {
	Dir      string // one store; opened again, it has what was kept
	Settings image.Settings
	Now      func() time.Time

	// Commit is put around each write: it calls the write, or does not, and its error is
	// what the store gets to hear.
	Commit func(write func() error) error
}

// errInjected is the fault of a commit.
var errInjected = errors.New("injected")

var start = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// inputs are a story in which every one changes the catalog.
func inputs() []image.Input {
	release := image.Release{Version: "2.336.0", SHA256: map[string]string{"amd64": "00"}, Published: start}
	newer := image.Release{Version: "2.337.0", SHA256: map[string]string{"amd64": "11"}, Published: start}
	return []image.Input{
		image.Sourced{Revision: "r"}, image.Released{Release: release, ETag: `"1"`},
		image.Built{Digest: "sha256:a", Version: "2.336.0", Revision: "r"}, image.CanaryPassed{Digest: "sha256:a"},
		image.InForce{Digest: "sha256:a"}, image.Deprecated{Version: "2.336.0", At: start.Add(time.Hour)},
		image.Released{Release: newer}, image.BuildFailed{Version: "2.337.0", Revision: "r", Reason: "no network"},
		image.Built{Digest: "sha256:b", Version: "2.337.0", Revision: "r"}, image.CanaryFailed{Digest: "sha256:b", Reason: "no"},
		image.Promote{Digest: "sha256:b", Force: true}, image.InForce{Digest: "sha256:b"}, image.Rollback{},
		image.Refused{Digest: "sha256:a", Runner: "r1"}, image.FeedFailed{Reason: "down"},
	}
}

// Test tests the stores that open gives. Opening a folder again stands for another
// process: the store opened before is not used any more.
func Test(t *testing.T, open func(*testing.T, Config) image.Store) {
	config := func(t *testing.T) Config {
		return Config{Dir: t.TempDir(), Now: func() time.Time { return start }}
	}
	t.Run("Story", func(t *testing.T) { testStory(t, config(t), open) })
	t.Run("Faults", func(t *testing.T) { testFaults(t, config, open) })
	t.Run("Concurrent", func(t *testing.T) { testConcurrent(t, config(t), open) })
}

// testStory: what a store does is what a catalog does, also when it is opened anew after
// each input.
func testStory(t *testing.T, c Config, open func(*testing.T, Config) image.Store) {
	var want image.Catalog
	for _, in := range inputs() {
		s := open(t, c)
		got, err := s.Apply(t.Context(), in)
		if err != nil {
			t.Fatalf("%T: %v", in, err)
		}
		if diff := cmp.Diff(want.Apply(in, c.Settings, start), got); diff != "" {
			t.Fatalf("result of %T (-want +got):\n%s", in, diff)
		}
		checkKept(t, open(t, c), &want)
	}
}

// checkKept compares what s has with want.
func checkKept(t *testing.T, s image.Store, want *image.Catalog) {
	t.Helper()
	got, err := s.Catalog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("catalog (-want +got):\n%s", diff)
	}
}

// testFaults lets each write fail in two ways: nothing was kept, or it was and this was
// not known. Either way the input is given again and all goes on.
func testFaults(t *testing.T, config func(*testing.T) Config, open func(*testing.T, Config) image.Store) {
	for _, kept := range []bool{false, true} {
		for n, in := range inputs() {
			t.Run(fmt.Sprintf("%T/kept=%v/%d", in, kept, n), func(t *testing.T) {
				testFault(t, config(t), open, n, kept)
			})
		}
	}
}

func testFault(t *testing.T, c Config, open func(*testing.T, Config) image.Store, n int, kept bool) {
	var without, with image.Catalog
	s := open(t, c)
	for _, in := range inputs()[:n] {
		with.Apply(in, c.Settings, start)
		without.Apply(in, c.Settings, start)
		if _, err := s.Apply(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	in := inputs()[n]
	with.Apply(in, c.Settings, start)
	faulty := c
	faulty.Commit = func(write func() error) error {
		if kept {
			return errors.Join(write(), errInjected)
		}
		return errInjected
	}
	if _, err := open(t, faulty).Apply(t.Context(), in); !errors.Is(err, errInjected) {
		t.Fatalf("a write that failed: %v", err)
	}
	s = open(t, c)
	if kept {
		checkKept(t, s, &with)
	} else {
		checkKept(t, s, &without)
	}
	if _, err := s.Apply(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	got, err := s.Catalog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if faults := got.Invariants(); faults != nil {
		t.Fatal(faults)
	}
}

// testConcurrent: inputs that come at once are applied one after another, none is lost.
func testConcurrent(t *testing.T, c Config, open func(*testing.T, Config) image.Store) {
	s := open(t, c)
	for _, in := range inputs()[:5] {
		if _, err := s.Apply(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	const many = 15
	var wg sync.WaitGroup
	errs := make(chan error, many)
	for range many {
		wg.Go(func() {
			_, err := s.Apply(t.Context(), image.Refused{Digest: "sha256:a", Runner: "r"})
			errs <- err
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Catalog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.Refusal == nil || got.Refusal.Count != many {
		t.Errorf("refusals %+v, want %d", got.Refusal, many)
	}
}
