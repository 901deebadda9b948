package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A host runs containers that are nothing but a time to live, in the time of a
// synctest bubble. It fails every call of the methods that are in broken.
type host struct {
	mu         sync.Mutex
	containers map[string]*container
	starting   int
	mostStarts int
	broken     map[string]error
}

type container struct {
	Container
	ends chan struct{}
	exit Exit
}

func newHost() *host {
	return &host{containers: map[string]*container{}, broken: map[string]error{}}
}

const (
	startTakes = 100 * time.Millisecond
	jobTakes   = time.Minute
)

func (h *host) Start(ctx context.Context, spec Spec) error {
	h.mu.Lock()
	h.starting++
	h.mostStarts = max(h.mostStarts, h.starting)
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		h.starting--
		h.mu.Unlock()
	}()
	select {
	case <-time.After(startTakes):
	case <-ctx.Done():
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	c := &container{Container: Container{Runner: spec.Runner, Running: true}, ends: make(chan struct{})}
	h.containers[spec.Runner] = c // before the error: a start that failed, or was given up, can leave something
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := h.broken["Start"]; err != nil {
		return err
	}
	time.AfterFunc(jobTakes, func() { h.end(c, Exit{Code: 3}) })
	return nil
}

func (h *host) end(c *container, exit Exit) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.Running {
		c.Running, c.exit = false, exit
		close(c.ends)
	}
}

func (h *host) Wait(ctx context.Context, name string) (Exit, error) {
	h.mu.Lock()
	c, err := h.containers[name], h.broken["Wait"]
	h.mu.Unlock()
	if err != nil {
		return Exit{}, err
	} else if c == nil {
		return Exit{}, ErrNotFound
	}
	select {
	case <-c.ends:
		return c.exit, nil
	case <-ctx.Done():
		return Exit{}, ctx.Err()
	}
}

func (h *host) Stop(ctx context.Context, name string, _ time.Duration) error {
	if err := ctx.Err(); err != nil { // as a launcher that asks an engine: nothing is done
		return err
	}
	h.mu.Lock()
	c, err := h.containers[name], h.broken["Stop"]
	h.mu.Unlock()
	if err != nil || c == nil {
		return err
	}
	h.end(c, Exit{Code: 143})
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.containers, name)
	return nil
}

func (h *host) List(context.Context) ([]Container, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []Container
	for _, c := range h.containers {
		all = append(all, c.Container)
	}
	return all, h.broken["List"]
}

func (h *host) fail(method string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.broken[method] = err
}

func (h *host) names() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Sorted(maps.Keys(h.containers))
}

// ends are what a fleet told.
type ends struct {
	mu   sync.Mutex
	told map[string][]Exit
	err  error
}

func (e *ends) tell(_ context.Context, name string, exit Exit) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.told == nil {
		e.told = map[string][]Exit{}
	}
	e.told[name] = append(e.told[name], exit)
	return e.err
}

func (e *ends) fail(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.err = err
}

func (e *ends) want(t *testing.T, want map[string][]Exit) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if diff := cmp.Diff(want, e.told); diff != "" {
		t.Error("ends told:\n" + diff)
	}
}

// inBubble runs f in a synctest bubble with a host, a fleet on it and its ends.
func inBubble(t *testing.T, f func(t *testing.T, h *host, fl *Fleet, e *ends)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h, e := newHost(), &ends{}
		fl := New(Config{Launcher: h, Exited: e.tell, Starts: 8})
		defer fl.Close()
		f(t, h, fl, e)
	})
}

func (f *Fleet) wait(t *testing.T) {
	t.Helper()
	if err := f.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestBurstIsStartedAFewAtATime(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host, f *Fleet, e *ends) {
		want := map[string][]Exit{}
		var starts sync.WaitGroup
		for n := range 1000 {
			name := fmt.Sprintf("r%d", n)
			want[name] = []Exit{{Code: 3}}
			for range 2 { // doubled
				starts.Go(func() {
					if err := f.Launch(t.Context(), Spec{Runner: name}); err != nil {
						t.Error(err)
					}
				})
			}
		}
		starts.Wait()
		if h.mostStarts != 8 {
			t.Errorf("%d starts at once, want 8", h.mostStarts)
		}
		f.wait(t)
		e.want(t, want)
		if left := h.names(); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
	})
}

func TestEndIsToldUntilItIsTaken(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host, f *Fleet, e *ends) {
		e.fail(errors.New("disk is full"))
		if err := f.Launch(t.Context(), Spec{Runner: "a"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(jobTakes + firstPause/2)
		if got := h.names(); len(got) != 1 {
			t.Errorf("%v: the container was removed before its end was taken", got)
		}
		e.fail(nil)
		f.wait(t)
		e.want(t, map[string][]Exit{"a": {{Code: 3}, {Code: 3}}})
	})
}

// TestFullDiskIsFreedBeforeTheEndIsTold has the container itself fill the disk.
func TestFullDiskIsFreedBeforeTheEndIsTold(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host, f *Fleet, e *ends) {
		e.fail(fmt.Errorf("keeping the end: %w", ErrFull))
		if err := f.Launch(t.Context(), Spec{Runner: "a"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(jobTakes + firstPause/2)
		if got := h.names(); len(got) != 0 {
			t.Errorf("%v: still there, and the disk still full", got)
		}
		if got := f.Runners(); len(got) != 1 {
			t.Errorf("%v, want a: its end is not told yet", got)
		}
		e.fail(nil)
		f.wait(t)
		e.want(t, map[string][]Exit{"a": {{Code: 3}, {Code: 3}, {Code: 3}}})
	})
}

func TestLauncherThatFailsIsTriedAgain(t *testing.T) {
	for _, method := range []string{"Wait", "Stop"} {
		inBubble(t, func(t *testing.T, h *host, f *Fleet, e *ends) {
			h.fail(method, errors.New("engine is away"))
			if err := f.Launch(t.Context(), Spec{Runner: "a"}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * jobTakes)
			if got := f.Runners(); len(got) != 1 {
				t.Errorf("%s: %v, want a", method, got)
			}
			h.fail(method, nil)
			f.wait(t)
			e.want(t, map[string][]Exit{"a": {{Code: 3}}})
		})
	}
}

func TestFailedStartLeavesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host, f *Fleet, e *ends) {
		broken := errors.New("no such image")
		h.fail("Start", broken)
		if err := f.Launch(t.Context(), Spec{Runner: "a"}); !errors.Is(err, broken) {
			t.Errorf("%v, want %v", err, broken)
		}
		if left := h.names(); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
		h.fail("Start", nil)
		if err := f.Launch(t.Context(), Spec{Runner: "a"}); err != nil {
			t.Errorf("the next start: %v", err)
		}
		f.wait(t)
		e.want(t, map[string][]Exit{"a": {{Code: 3}}})
	})
}

func TestRemove(t *testing.T) {
	for name, tt := range map[string]struct {
		after time.Duration
		start error
		want  map[string][]Exit
	}{
		"while starting": {startTakes / 2, ErrRemoved, nil},
		"while running":  {2 * startTakes, nil, map[string][]Exit{"a": {{Code: 143}}}},
		"when gone":      {2 * jobTakes, nil, map[string][]Exit{"a": {{Code: 3}}}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *host, f *Fleet, e *ends) {
				started := make(chan error, 1)
				go func() { started <- f.Launch(t.Context(), Spec{Runner: "a"}) }()
				time.Sleep(tt.after)
				if err := f.Remove(t.Context(), "a"); err != nil {
					t.Error(err)
				}
				if left := h.names(); len(left) != 0 {
					t.Errorf("left: %v", left)
				}
				if err := <-started; !errors.Is(err, tt.start) {
					t.Errorf("Start: %v, want %v", err, tt.start)
				}
				f.wait(t)
				e.want(t, tt.want)
			})
		})
	}
}

func TestStartThatIsGivenUp(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host, f *Fleet, e *ends) {
		ctx, cancel := context.WithTimeout(t.Context(), startTakes/2)
		defer cancel()
		if err := f.Launch(ctx, Spec{Runner: "a"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want %v", err, context.DeadlineExceeded)
		}
		f.wait(t)
		e.want(t, nil)
		if left, err := h.List(t.Context()); err != nil || len(left) != 0 {
			t.Errorf("%v, %v: want nothing left of the start", left, err)
		}
	})
}

func TestRestart(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host, f *Fleet, e *ends) {
		for _, name := range []string{"ended", "running"} {
			if err := f.Launch(t.Context(), Spec{Runner: name}); err != nil {
				t.Fatal(err)
			}
			e.fail(errors.New("process is dying"))
			time.Sleep(jobTakes / 2)
		}
		time.Sleep(jobTakes / 4) // the first has ended, which could not be told
		f.Close()
		if err := f.Launch(t.Context(), Spec{Runner: "late"}); !errors.Is(err, ErrClosed) {
			t.Errorf("%v, want %v", err, ErrClosed)
		}
		if got := h.names(); len(got) != 2 {
			t.Fatalf("%v after Close, want both", got)
		}

		var later ends
		next := New(Config{Launcher: h, Exited: later.tell})
		defer next.Close()
		found, err := next.Adopt(t.Context())
		if err != nil || len(found) != 2 {
			t.Fatalf("%v, %v: want both", found, err)
		}
		if err := next.Launch(t.Context(), Spec{Runner: "running"}); err != nil { // wanted again: not doubled
			t.Error(err)
		}
		next.wait(t)
		later.want(t, map[string][]Exit{"ended": {{Code: 3}}, "running": {{Code: 3}}})
		if left := h.names(); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
	})
}

// TestNeverStartedIsRemoved: a crash between the making of a container and its start
// leaves one that nobody may wait for.
func TestNeverStartedIsRemoved(t *testing.T) {
	for _, broken := range []error{nil, errors.New("engine is away")} {
		inBubble(t, func(t *testing.T, h *host, f *Fleet, e *ends) {
			h.containers["fresh"] = &container{Container: Container{Runner: "fresh", Fresh: true}, ends: make(chan struct{})}
			h.fail("Stop", broken)
			found, err := f.Adopt(t.Context())
			if err != nil || len(found) != 0 {
				t.Errorf("found %v, %v", found, err)
			}
			h.fail("Stop", nil)
			if err := f.RemoveStrays(t.Context()); err != nil {
				t.Error(err)
			}
			if left := h.names(); len(left) != 0 {
				t.Errorf("left: %v", left)
			}
			if err := f.Launch(t.Context(), Spec{Runner: "fresh"}); err != nil {
				t.Error(err)
			}
			f.wait(t)
			e.want(t, map[string][]Exit{"fresh": {{Code: 3}}})
		})
	}
}

// TestStraysAreRemoved: a start that fails and cannot be undone leaves a container that
// nobody watches; those that somebody does stay, and so does a canary's while it is lent.
func TestStraysAreRemoved(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host, f *Fleet, e *ends) {
		if err := f.Launch(t.Context(), Spec{Runner: "known"}); err != nil {
			t.Fatal(err)
		}
		done := f.Lend("lent")
		if err := h.Start(t.Context(), Spec{Runner: "lent"}); err != nil {
			t.Fatal(err)
		}
		away := errors.New("engine is away")
		h.fail("Start", away)
		h.fail("Stop", away)
		if err := f.Launch(t.Context(), Spec{Runner: "stray"}); !errors.Is(err, away) {
			t.Errorf("%v, want %v", err, away)
		}
		if err := f.RemoveStrays(t.Context()); !errors.Is(err, away) {
			t.Errorf("%v, want %v", err, away)
		}
		h.fail("Stop", nil)
		if err := f.RemoveStrays(t.Context()); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff([]string{"known", "lent"}, h.names()); diff != "" {
			t.Error(diff)
		}
		done()
		if err := f.RemoveStrays(t.Context()); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff([]string{"known"}, h.names()); diff != "" {
			t.Error(diff)
		}
		f.wait(t)
		e.want(t, map[string][]Exit{"known": {{Code: 3}}})
	})
}
