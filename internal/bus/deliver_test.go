package bus_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/bus"
	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/event"
)

var errTarget = errors.New("no such luck")

// fails makes the target fail n times for each event of the ids.
func (w *world) fails(n int, err error, ids ...string) {
	left := map[string]int{}
	for _, id := range ids {
		left[id] = n
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer = func(e event.Event) error {
		if left[e.ID]--; left[e.ID] >= 0 {
			return err
		}
		return nil
	}
}

// TestBackoff follows one event that fails four times, and one after it that does not.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.config.Rules[0].Backoff = bus.Backoff{First: time.Second, Max: 4 * time.Second}
		w.config.Rand = func() float64 { return 0.5 } // takes a quarter off each pause
		w.open()
		defer func() { w.stop() }()
		w.fails(4, errTarget, "a")
		w.publish("a", "b")
		w.run()
		synctest.Wait()
		w.want("a", "b")
		for _, pause := range []time.Duration{750, 1500, 3000, 3000} {
			time.Sleep(pause*time.Millisecond - time.Millisecond)
			synctest.Wait()
			w.want()
			time.Sleep(time.Millisecond)
			synctest.Wait()
			w.want("a")
		}
		if n := w.pending(); n != 0 {
			t.Errorf("%d deliveries pending; want none", n)
		}
		if n := w.bus.Counters.Retried.Load(); n != 4 {
			t.Errorf("%d retries counted; want 4", n)
		}
	})
}

func TestDeadLetters(t *testing.T) {
	tests := []struct {
		name string
		rule bus.Rule
		err  error
		want string
	}{
		{"attempts", bus.Rule{MaxAttempts: 3}, errTarget, "jobs a after 3: 3 attempts: no such luck"},
		{"age", bus.Rule{MaxAge: 5 * time.Second}, errTarget, "jobs a after 3: older than 5s: no such luck"},
		{"permanent", bus.Rule{}, fmt.Errorf("asking: %w", bus.Permanent(errTarget)), "jobs a after 1: permanent error: asking: no such luck"},
		{"defaults", bus.Rule{}, errTarget, "jobs a after 153: older than 24h0m0s: no such luck"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.config.Rules[0].MaxAge, w.config.Rules[0].MaxAttempts = tt.rule.MaxAge, tt.rule.MaxAttempts
				w.open()
				defer func() { w.stop() }()
				w.fails(1000, tt.err, "a")
				w.publish("a", "b")
				w.run()
				time.Sleep(25 * time.Hour)
				synctest.Wait()
				if diff := cmp.Diff([]string{tt.want}, w.dead()); diff != "" {
					t.Errorf("dead letters (-want +got):\n%s", diff)
				}
				if n := w.pending(); n != 0 {
					t.Errorf("%d deliveries pending; want none", n)
				}
			})
		})
	}
}

func TestPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.config.Targets["note"] = func(_ context.Context, e event.Event) error {
			if e.ID == "a" {
				panic("at the disco")
			}
			return w.note(t.Context(), e)
		}
		w.config.Rules[0].MaxAttempts = 1
		w.open()
		defer func() { w.stop() }()
		w.publish("a", "b")
		w.run()
		synctest.Wait()
		w.want("b")
		if diff := cmp.Diff([]string{"jobs a after 1: 1 attempts: panic: at the disco"}, w.dead()); diff != "" {
			t.Errorf("dead letters (-want +got):\n%s", diff)
		}
	})
}

// TestBacklog publishes more than memory holds, with some of it failing, and
// expects each event once more than it failed, those that do not fail in order.
func TestBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.open()
		defer func() { w.stop() }()
		var inOrder, failing []string
		for i := range 1100 {
			inOrder = append(inOrder, fmt.Sprintf("%04d", i))
			if i%2 == 0 {
				failing = append(failing, inOrder[i])
			}
		}
		err := w.db.Write(t.Context(), func(tx *disk.Tx) error {
			for _, id := range inOrder {
				if _, err := w.bus.PublishTx(tx, job(id)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		w.fails(1, errTarget, failing...)
		w.run()
		synctest.Wait()
		if n := w.pending(); n != len(failing) {
			t.Errorf("%d deliveries pending after the first attempts; want %d", n, len(failing))
		}
		w.publish("late") // though more is postponed than memory holds
		synctest.Wait()
		w.want(append(inOrder, "late")...)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		w.want(failing...)
		if n := w.pending(); n != 0 {
			t.Errorf("%d deliveries pending; want none", n)
		}
	})
}

func TestWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var busy, most atomic.Int64
		w.config.Rules[0].Workers = 3
		w.config.Targets["note"] = func(context.Context, event.Event) error {
			most.Store(max(most.Load(), busy.Add(1)))
			defer busy.Add(-1)
			time.Sleep(time.Second)
			return nil
		}
		w.open()
		defer func() { w.stop() }()
		w.publish("a", "b", "c", "d", "e")
		w.run()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if n := most.Load(); n != 3 || w.pending() != 0 {
			t.Errorf("%d calls at once, %d pending; want 3 and none", n, w.pending())
		}
	})
}

// TestStop ends a bus in the middle of a call: that attempt does not count.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		note := w.config.Targets["note"]
		w.config.Targets["note"] = func(ctx context.Context, e event.Event) error {
			<-ctx.Done()
			return ctx.Err()
		}
		w.open()
		w.publish("a", "b")
		w.run()
		synctest.Wait()
		w.stop()
		w.config.Targets["note"] = note
		w.open()
		defer func() { w.stop() }()
		pending, err := bus.PendingDeliveries(t.Context(), w.db, 10)
		if err != nil {
			t.Fatal(err)
		}
		if len(pending) != 2 || pending[0].Attempts != 0 {
			t.Errorf("pending after the stop: %+v; want both, without an attempt", pending)
		}
		w.run()
		synctest.Wait()
		w.want("a", "b")
	})
}

// TestRemovedRule opens a bus without the rule that has something pending.
func TestRemovedRule(t *testing.T) {
	w := newWorld(t)
	w.open()
	w.publish("a")
	w.stop()
	rules := w.config.Rules
	w.config.Rules = nil
	w.open()
	if diff := cmp.Diff([]string{"jobs a after 0: rule is no longer configured"}, w.dead()); diff != "" {
		t.Errorf("dead letters (-want +got):\n%s", diff)
	}
	w.stop()
	w.config.Rules = rules
	w.open()
	defer w.stop()
	if n := w.pending(); n != 0 {
		t.Errorf("%d deliveries pending; want none", n)
	}
}

// TestRetryAfter holds the pause that a target asks for against the rule's own.
func TestRetryAfter(t *testing.T) {
	for asked, want := range map[time.Duration]time.Duration{0: time.Second, 30 * time.Second: 30 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.open()
			defer func() { w.stop() }()
			w.fails(1, fmt.Errorf("asking: %w", bus.RetryAfter(errTarget, asked)), "a")
			w.publish("a")
			w.run()
			time.Sleep(want - time.Millisecond)
			synctest.Wait()
			w.want("a")
			time.Sleep(time.Millisecond)
			synctest.Wait()
			w.want("a")
		})
	}
}
