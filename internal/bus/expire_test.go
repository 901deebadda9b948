package bus_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/bus"
	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
)

// stored returns the ids of all events, in the order of publishing.
func (w *world) stored() (ids []string) {
	w.t.Helper()
	all, err := bus.Events(w.t.Context(), w.db, eventlog.Filter{})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, s := range all {
		ids = append([]string{s.Event.ID}, ids...)
	}
	return ids
}

// TestRetention keeps ids for as long as it says, events with a delivery that is
// pending for as long as it is, and events of dead letters for as long as these.
func TestRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.config.Rules[0].MaxAge, w.config.Rules[0].MaxAttempts = 100*time.Hour, 1000
		w.open()
		defer func() { w.stop() }()
		w.run()
		w.fails(1, bus.Permanent(errTarget), "dead")
		publishMany(t, w, 250) // more than are removed at once
		w.publish("dead")
		time.Sleep(24 * time.Hour)
		w.publish("young")
		time.Sleep(71 * time.Hour)
		if fresh, err := w.bus.Publish(t.Context(), job("dead")); err != nil || fresh {
			t.Errorf("Publish of an id within the retention = %v, %v; want not fresh", fresh, err)
		}
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if diff := cmp.Diff([]string{"dead", "young"}, w.stored()); diff != "" {
			t.Errorf("events after 98 hours (-want +got):\n%s", diff)
		}

		w.fails(1000, errTarget, "stuck")
		w.publish("stuck")
		w.publish("behind")
		time.Sleep(99 * time.Hour)
		synctest.Wait()
		if diff := cmp.Diff([]string{"dead", "stuck", "behind"}, w.stored()); diff != "" {
			t.Errorf("events with one that is pending (-want +got):\n%s", diff)
		}
		time.Sleep(15 * 24 * time.Hour)
		synctest.Wait()
		if diff := cmp.Diff([]string(nil), w.stored()); diff != "" {
			t.Errorf("events after all retentions (-want +got):\n%s", diff)
		}
		w.publish("dead") // fresh again
	})
}

func publishMany(t *testing.T, w *world, n int) {
	t.Helper()
	err := w.db.Write(t.Context(), func(tx *disk.Tx) error {
		for i := range n {
			if _, err := w.bus.PublishTx(tx, job(string(rune('一'+i)))); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestMaxSize keeps the details of the newest events, of those that are pending, ahead of
// a replay or dead letters, and all ids.
func TestMaxSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.config.MaxSize = 100_000
		w.open()
		defer func() { w.stop() }()
		w.run()
		large := func(id string) event.Event {
			e := job(id)
			e.Detail = fmt.Appendf(nil, `{"padding":%q}`, strings.Repeat("x", 1000))
			return e
		}
		whole := func() (first string, n int) {
			t.Helper()
			all, err := bus.Events(t.Context(), w.db, eventlog.Filter{})
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range all {
				if len(s.Event.Detail) > 0 {
					first, n = s.Event.ID, n+1
				}
			}
			return first, n
		}
		publish := func(from, to int) {
			t.Helper()
			for i := from; i < to; i++ {
				if fresh, err := w.bus.Publish(t.Context(), large(fmt.Sprint(i))); err != nil || !fresh {
					t.Fatalf("Publish = %v, %v", fresh, err)
				}
				if i%7 == 0 {
					synctest.Wait() // as fast as it comes, but with its turn for the one that cleans
				}
			}
			synctest.Wait()
		}
		w.fails(1, bus.Permanent(errTarget), "20")
		publish(0, 400)
		first, n := whole()
		if first != "20" || n < 80 || n > 100 {
			t.Errorf("%d events of 1 KB have their details, the first is %s; want 80 to 100 and the dead letter", n, first)
		}
		if fresh, err := w.bus.Publish(t.Context(), large("5")); fresh || err != nil {
			t.Errorf("Publish of an id without details = %v, %v; want not fresh", fresh, err)
		}
		p, err := bus.PreviewReplay(t.Context(), w.db, eventlog.Selection{}, w.config.Rules)
		if err != nil || p.Events != n || p.Dropped != 400-n {
			t.Errorf("preview %+v, %v; want %d events", p, err, n)
		}
		w.got = nil
		w.replay("r", eventlog.Selection{})
		synctest.Wait()
		if r := w.replayed("r"); r.State != eventlog.ReplayCompleted || r.Events != n || len(w.got) != n {
			t.Errorf("%+v; want %d events", r, n)
		}

		// What is needed stays, and goes when it is needed no more; a restart goes on.
		w.fails(1, bus.RetryAfter(errTarget, time.Minute), "400")
		publish(400, 800)
		if first, n := whole(); first != "20" || n < 400 {
			t.Errorf("%d events have their details, the first is %s; want the 400 from the pending one on", n, first)
		}
		time.Sleep(2 * time.Minute)
		w.stop()
		w.open()
		w.run()
		publish(800, 820)
		if _, n := whole(); n < 80 || n > 101 {
			t.Errorf("%d events have their details once nothing is pending; want 80 to 100 and the dead letter", n)
		}
		if n := len(w.stored()); n != 820 {
			t.Errorf("%d ids are known; want 820", n)
		}
	})
}

// TestRetentionFaults fails each commit that takes off details and removes events, in each
// way: what has to go goes all the same, and what a dead letter needs stays whole.
func TestRetentionFaults(t *testing.T) {
	eachFault(t, 6, liveRetention, fault{}, fault{stored: true})
}

// liveRetention cleans a log of more than one batch, and reports whether f happened.
func liveRetention(t *testing.T, f fault) bool {
	w := newWorld(t)
	w.open()
	w.run()
	w.die("dead")
	publishMany(t, w, 150)
	synctest.Wait()
	w.stop()
	happened := w.inject(f)
	reopen := func() {
		if w.tryOpen() != nil {
			w.open()
		}
	}
	w.config.MaxSize = 100 // of 19 bytes each
	for _, left := range []int{151, 1} {
		reopen()
		w.run()
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		w.stop()
		reopen()
		all, err := bus.Events(t.Context(), w.db, eventlog.Filter{})
		if err != nil || len(all) != left || len(all[left-1].Event.Detail) == 0 {
			t.Errorf("%d events, %v; want %d, and the one of the dead letter whole", len(all), err, left)
		}
		if p, err := bus.PreviewReplay(t.Context(), w.db, eventlog.Selection{}, w.config.Rules); err != nil || p.Events > 6 {
			t.Errorf("%d events have their details, %v; want 5 and that of the dead letter", p.Events, err)
		}
		w.stop()
		time.Sleep(100 * time.Hour)
	}
	return happened()
}

// TestNumbersGoOn publishes after all events have gone and the bus was opened again: who
// follows the log by numbers passes none over.
func TestNumbersGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.open()
		w.run()
		w.publish("a", "b", "c")
		time.Sleep(100 * time.Hour)
		synctest.Wait()
		w.stop()
		w.open()
		defer func() { w.stop() }()
		w.publish("d")
		if all, err := bus.EventsAfter(t.Context(), w.db, 3, 10); err != nil || len(all) != 1 {
			t.Errorf("events after number 3: %v, %v; want one", all, err)
		}
	})
}
