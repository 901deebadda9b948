package bus_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/bus"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
)

// quarantine puts events aside.
func (w *world) quarantine(ids ...string) {
	w.t.Helper()
	for _, id := range ids {
		if fresh, err := w.bus.Quarantine(w.t.Context(), job(id), "odd"); err != nil || !fresh {
			w.t.Fatalf("Quarantine(%s) = %v, %v; want fresh", id, fresh, err)
		}
	}
}

// held returns what is in quarantine as text, the newest first.
func (w *world) held() (all []string) {
	w.t.Helper()
	list, err := bus.InQuarantine(w.t.Context(), w.db, eventlog.QuarantineFilter{}, 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, q := range list {
		all = append(all, q.Event.ID+": "+q.Reason)
	}
	return all
}

// mend completes events, but those of the ids.
func mend(refused ...string) func(event.Event) (event.Event, error) {
	return func(e event.Event) (event.Event, error) {
		for _, id := range refused {
			if e.ID == id {
				return e, errors.New("odd still")
			}
		}
		e.Detail = []byte(`{"action":"mended"}`)
		return e, nil
	}
}

func TestQuarantine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.open()
		defer func() { w.stop() }()
		w.run()
		w.publish("known")
		synctest.Wait()
		w.want("known")
		for _, id := range []string{"a", "b", "c", "d"} {
			w.quarantine(id)
			time.Sleep(time.Second)
		}
		for _, id := range []string{"a", "known"} {
			if fresh, err := w.bus.Quarantine(t.Context(), job(id), "again"); fresh || err != nil {
				t.Errorf("Quarantine(%s) = %v, %v; want not fresh", id, fresh, err)
			}
		}
		if _, err := w.bus.Quarantine(t.Context(), event.Event{ID: "x"}, "odd"); err == nil {
			t.Error("an invalid event was taken")
		}
		if diff := cmp.Diff([]string{"d: odd", "c: odd", "b: odd", "a: odd"}, w.held()); diff != "" {
			t.Errorf("in quarantine (-want +got):\n%s", diff)
		}
		list, err := bus.InQuarantine(t.Context(), w.db, eventlog.QuarantineFilter{Events: []string{"b"}}, 10)
		if err != nil || len(list) != 1 || list[0].At != time.Date(2000, 1, 1, 0, 0, 1, 0, time.UTC) {
			t.Fatalf("%+v, %v", list, err)
		}
		if diff := cmp.Diff(job("b"), list[0].Event); diff != "" {
			t.Errorf("b in quarantine (-want +got):\n%s", diff)
		}

		w.publish("c") // as it is redelivered, now that it can be routed
		r, err := w.bus.Release(t.Context(), eventlog.QuarantineFilter{Events: []string{"a", "b", "c", "none"}}, mend("b"))
		if diff := cmp.Diff(eventlog.Release{Released: 2, Held: 1}, r); diff != "" || err != nil {
			t.Errorf("Release (-want +got), %v:\n%s", err, diff)
		}
		synctest.Wait()
		w.want("c", "a")
		if diff := cmp.Diff([]string{"d: odd", "b: odd still"}, w.held()); diff != "" {
			t.Errorf("in quarantine (-want +got):\n%s", diff)
		}
		all, err := bus.Events(t.Context(), w.db, eventlog.Filter{Limit: 1})
		if err != nil || string(all[0].Event.Detail) != `{"action":"mended"}` {
			t.Errorf("released %+v, %v; want it mended", all, err)
		}
		if n, err := w.bus.DropQuarantined(t.Context(), eventlog.QuarantineFilter{Events: []string{"b"}}); n != 1 || err != nil {
			t.Errorf("DropQuarantined = %d, %v; want 1", n, err)
		}
		if n, err := bus.CountQuarantined(t.Context(), w.db); n != 1 || err != nil {
			t.Errorf("CountQuarantined = %d, %v; want 1", n, err)
		}
		time.Sleep(15 * 24 * time.Hour)
		synctest.Wait()
		if held := w.held(); len(held) != 0 {
			t.Errorf("in quarantine after the retention: %v", held)
		}
	})
}

// TestQuarantineFaults fails each commit that puts an event aside and releases it. Who
// asked asks again, and in the end it is delivered, once.
func TestQuarantineFaults(t *testing.T) {
	for _, f := range []fault{{}, {reopen: true}, {stored: true, reopen: true}} {
		for f.commit = 1; f.commit <= 2; f.commit++ {
			t.Run(fmt.Sprintf("%+v", f), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { liveQuarantine(t, f) })
			})
		}
	}
}

func liveQuarantine(t *testing.T, f fault) {
	w := newWorld(t)
	commits, armed := 0, false
	w.commit = func(commit func() error) error {
		if !armed {
			return commit()
		}
		if commits++; commits != f.commit {
			return commit()
		}
		if f.stored {
			return errors.Join(commit(), errFault)
		}
		return errFault
	}
	insist := func(do func() error) {
		t.Helper()
		armed = true
		err := do()
		armed = false
		switch {
		case err == nil:
			return
		case !errors.Is(err, errFault):
			t.Fatal(err)
		case f.reopen:
			w.stop()
			w.open()
		}
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
	w.open() // without Run: nothing but what is tested is committed
	insist(func() error { _, err := w.bus.Quarantine(t.Context(), job("a"), "odd"); return err })
	if held := strings.Join(w.held(), " "); held != "a: odd" {
		t.Errorf("in quarantine: %s", held)
	}
	insist(func() error { _, err := w.bus.Release(t.Context(), eventlog.QuarantineFilter{}, mend()); return err })
	if commits < 2 {
		t.Errorf("%d commits; want 2, or this tests nothing", commits)
	}
	w.run()
	defer func() { w.stop() }()
	synctest.Wait()
	w.want("a")
	if held := w.held(); len(held) != 0 {
		t.Errorf("in quarantine: %v", held)
	}
}
