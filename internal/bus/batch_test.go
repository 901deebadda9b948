package bus_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/bus"
	"github.com/mayfly-ci/mayfly/internal/event"
)

// TestBatch: events that wait are given together, in order. One that fails comes again by itself, and one that makes the
// target panic takes no other along.
func TestBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.config.Rules[0].Target = "together"
		w.config.Rules[0].Backoff = bus.Backoff{First: time.Second}
		var mu sync.Mutex
		var calls [][]string // under mu
		called := func() [][]string { mu.Lock(); defer mu.Unlock(); return slices.Clone(calls) }
		failed := map[string]bool{}
		w.config.Batches = map[string]bus.Batch{"together": func(_ context.Context, events []event.Event) (errs []error) {
			var ids []string
			for _, e := range events {
				ids = append(ids, e.ID)
			}
			mu.Lock()
			calls = append(calls, ids)
			mu.Unlock()
			for _, e := range events {
				var err error
				switch {
				case e.ID == "panics":
					panic("at " + e.ID)
				case e.ID == "fails" && !failed[e.ID]:
					failed[e.ID], err = true, errTarget
				case e.ID == "useless":
					err = bus.Permanent(errTarget)
				}
				errs = append(errs, err)
			}
			return errs
		}}
		w.open()
		defer func() { w.stop() }()
		w.publish("a", "fails", "useless", "b")
		w.run()
		synctest.Wait()
		if diff := cmp.Diff([][]string{{"a", "fails", "useless", "b"}}, called()); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"jobs useless after 1: permanent error: no such luck"}, w.dead()); diff != "" {
			t.Errorf("dead letters (-want +got):\n%s", diff)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if diff := cmp.Diff([][]string{{"fails"}}, called()[1:]); diff != "" {
			t.Errorf("calls after the pause (-want +got):\n%s", diff)
		}
		if n := w.pending(); n != 0 {
			t.Errorf("%d deliveries pending: want none", n)
		}
	})
}

// TestBatchThatPanics: each event of it is given alone.
func TestBatchThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.config.Rules[0].Target = "together"
		taken := map[string]int{}
		w.config.Batches = map[string]bus.Batch{"together": func(_ context.Context, events []event.Event) []error {
			for _, e := range events {
				if e.ID == "e-7" {
					panic("at " + e.ID)
				}
			}
			for _, e := range events {
				taken[e.ID]++
			}
			return make([]error, len(events))
		}}
		w.open()
		defer func() { w.stop() }()
		for i := range bus.MaxBatch + 20 {
			w.publish(fmt.Sprintf("e-%d", i))
		}
		w.run()
		synctest.Wait()
		if len(taken) != bus.MaxBatch+19 || taken["e-7"] != 0 || w.pending() != 1 {
			t.Errorf("%d events taken, %d pending: want all but one", len(taken), w.pending())
		}
	})
}
