package bus_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/bus"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
)

// die publishes events that become dead letters at once, and lets the target take
// them from then on.
func (w *world) die(ids ...string) {
	w.t.Helper()
	w.fails(1, bus.Permanent(errTarget), ids...)
	w.publish(ids...)
	synctest.Wait()
	if n := len(w.dead()); n != len(ids) {
		w.t.Fatalf("%d dead letters; want %d", n, len(ids))
	}
	w.want(ids...)
}

func TestRetryAndDrop(t *testing.T) {
	for _, test := range []struct {
		name              string
		filter            eventlog.LetterFilter
		retried, remained []string
	}{
		{"all", eventlog.LetterFilter{}, []string{"a", "b", "c"}, nil},
		{"by event", eventlog.LetterFilter{Events: []string{"c", "a", "x"}}, []string{"a", "c"}, []string{"b"}},
		{"by rule", eventlog.LetterFilter{Rule: "jobs"}, []string{"a", "b", "c"}, nil},
		{"by another rule", eventlog.LetterFilter{Rule: "others"}, nil, []string{"c", "b", "a"}},
		{"none", eventlog.LetterFilter{Events: []string{}}, nil, []string{"c", "b", "a"}},
	} {
		for _, drop := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s drop=%v", test.name, drop), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					w.open()
					defer func() { w.stop() }()
					w.run()
					w.die("a", "b", "c")
					change := w.bus.Retry
					if drop {
						change = w.bus.Drop
					}
					if n, err := change(t.Context(), test.filter); n != len(test.retried) || err != nil {
						t.Errorf("%d letters, %v; want %d", n, err, len(test.retried))
					}
					synctest.Wait()
					if drop {
						w.want()
					} else {
						w.want(test.retried...)
					}
					var remained []string
					for _, id := range test.remained {
						remained = append(remained, "jobs "+id+" after 1: permanent error: no such luck")
					}
					if diff := cmp.Diff(remained, w.dead()); diff != "" {
						t.Errorf("dead letters (-want +got):\n%s", diff)
					}
				})
			})
		}
	}
}

// TestRetryInVain retries a letter, many times over, that dies again each time.
func TestRetryInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.config.Rules[0].MaxAge = time.Minute
		w.open()
		defer func() { w.stop() }()
		w.run()
		var ids []string
		for i := range 250 { // more than one write takes
			ids = append(ids, fmt.Sprintf("%03d", i))
		}
		w.die(ids...)
		w.fails(1<<30, errTarget, ids...)
		time.Sleep(time.Hour)
		for range 3 {
			if n, err := w.bus.Retry(t.Context(), eventlog.LetterFilter{}); n != len(ids) || err != nil {
				t.Fatalf("Retry = %d, %v; want %d", n, err, len(ids))
			}
			synctest.Wait()
			w.want(ids...) // one attempt, as it is older than the rule's age
			if n := len(w.dead()); n != len(ids) {
				t.Fatalf("%d dead letters; want %d", n, len(ids))
			}
		}
	})
}

// TestRetryOfRemovedRule leaves the letters of a rule alone that the bus does not have.
func TestRetryOfRemovedRule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.open()
		w.run()
		w.die("a")
		w.stop()
		w.config.Rules[0].Name = "renamed"
		w.open()
		defer func() { w.stop() }()
		w.run()
		if n, err := w.bus.Retry(t.Context(), eventlog.LetterFilter{}); n != 0 || err != nil {
			t.Errorf("Retry = %d, %v; want none", n, err)
		}
		if n, err := w.bus.Drop(t.Context(), eventlog.LetterFilter{}); n != 1 || err != nil {
			t.Errorf("Drop = %d, %v; want one", n, err)
		}
	})
}

// TestRetryFaults fails the commit that moves a letter, before and after it was
// stored, and goes on with the same process or, as a crash would, with another. Who
// asked asks again, and in the end the event is delivered, once.
func TestRetryFaults(t *testing.T) {
	for _, f := range []fault{{}, {reopen: true}, {stored: true, reopen: true}} {
		t.Run(fmt.Sprintf("%+v", f), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				armed := false
				w.commit = func(commit func() error) error {
					switch {
					case !armed:
						return commit()
					case f.stored:
						return errors.Join(commit(), errFault)
					}
					return errFault
				}
				w.open()
				w.run()
				w.die("a")
				w.stop()
				w.open() // without Run: nothing but the retry is committed
				armed = true
				if n, err := w.bus.Retry(t.Context(), eventlog.LetterFilter{}); n != 0 || !errors.Is(err, errFault) {
					t.Fatalf("Retry = %d, %v; want the fault", n, err)
				}
				armed = false
				if f.reopen {
					w.stop()
					w.open()
				}
				want := 1
				if f.stored {
					want = 0
				}
				if n := len(w.dead()); n != want || w.pending() != 1-want {
					t.Errorf("%d dead and %d pending; want one in all", n, w.pending())
				}
				if n, err := w.bus.Retry(t.Context(), eventlog.LetterFilter{}); n != want || err != nil {
					t.Errorf("second Retry = %d, %v; want %d", n, err, want)
				}
				w.run()
				defer func() { w.stop() }()
				synctest.Wait()
				w.want("a")
				if n := len(w.dead()) + w.pending(); n != 0 {
					t.Errorf("%d dead or pending; want none", n)
				}
			})
		})
	}
}
