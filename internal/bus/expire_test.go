package bus_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/bus"
	"github.com/mayfly-ci/mayfly/internal/disk"
)

// stored returns the ids of all events, in the order of publishing.
func (w *world) stored() (ids []string) {
	w.t.Helper()
	all, err := bus.Events(w.t.Context(), w.db, bus.Filter{})
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
