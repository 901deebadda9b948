package bus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/bus"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
)

// newReplayWorld is a world with three rules on the same events, whose targets note the
// rule, the event and its replay: "jobs" and "once", which wants no replays, and "pings".
func newReplayWorld(t testing.TB) *world {
	w := newWorld(t)
	w.config.Targets = map[string]bus.Target{}
	w.config.Rules = nil
	for name, pattern := range map[string]string{
		"jobs": `{"detail-type": ["workflow_job"]}`, "pings": `{"detail-type": ["ping"]}`,
		"once": `{"detail-type": ["workflow_job"], "replay-name": [{"exists": false}]}`,
	} {
		w.config.Rules = append(w.config.Rules, bus.Rule{Name: name, Pattern: parse(t, pattern), Target: name})
		w.config.Targets[name] = func(_ context.Context, e event.Event) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.got = append(w.got, strings.TrimSpace(name+" "+e.ID+" "+e.ReplayName))
			if w.answer != nil {
				return w.answer(e)
			}
			return nil
		}
	}
	return w
}

func (w *world) replay(name string, s eventlog.Selection) {
	w.t.Helper()
	if err := w.bus.Replay(w.t.Context(), name, s); err != nil {
		w.t.Fatal(err)
	}
}

// replayed returns what is known of the replay of that name.
func (w *world) replayed(name string) eventlog.Replay {
	w.t.Helper()
	all, err := bus.Replays(w.t.Context(), w.db)
	if err != nil {
		w.t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(r eventlog.Replay) bool { return r.Name == name })
	if i < 0 {
		w.t.Fatalf("replay %s is not there", name)
	}
	return all[i]
}

func TestReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newReplayWorld(t)
		w.open()
		defer func() { w.stop() }()
		w.run()
		times := []time.Time{time.Now()}
		for _, id := range []string{"a", "b", "c"} {
			w.publish(id)
			time.Sleep(time.Hour)
			times = append(times, time.Now())
		}
		ping := job("p")
		ping.DetailType = "ping"
		if _, err := w.bus.Publish(t.Context(), ping); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		w.got = nil
		for i, test := range []struct {
			selection eventlog.Selection
			want      []string
		}{
			{eventlog.Selection{}, []string{"jobs a", "jobs b", "jobs c", "pings p"}},
			{eventlog.Selection{Rules: []string{"jobs"}}, []string{"jobs a", "jobs b", "jobs c"}},
			{eventlog.Selection{Rules: []string{"once"}}, nil},
			{eventlog.Selection{Rules: []string{"once"}, Launch: true}, []string{"once a", "once b", "once c"}},
			{eventlog.Selection{From: times[1]}, []string{"jobs b", "jobs c", "pings p"}},
			{eventlog.Selection{To: times[2]}, []string{"jobs a", "jobs b"}},
			{eventlog.Selection{From: times[1].Add(1), To: times[2].Add(time.Millisecond)}, []string{"jobs b", "jobs c"}},
			{eventlog.Selection{From: times[3].Add(time.Hour)}, nil},
			{eventlog.Selection{To: times[0]}, nil},
			{eventlog.Selection{Pattern: parse(t, `{"id": ["b", "p"]}`)}, []string{"jobs b", "pings p"}},
			{eventlog.Selection{Pattern: parse(t, `{"replay-name": [{"exists": true}]}`)}, nil},
		} {
			name := fmt.Sprint("r", i)
			preview, err := bus.PreviewReplay(t.Context(), w.db, test.selection, w.config.Rules)
			if err != nil {
				t.Fatal(err)
			}
			w.replay(name, test.selection)
			synctest.Wait()
			var want []string
			for _, line := range test.want {
				want = append(want, line+" "+name)
			}
			slices.Sort(w.got) // between rules there is no order
			w.want(want...)
			r, deliveries := w.replayed(name), 0
			for _, n := range preview.Deliveries {
				deliveries += n
			}
			if r.State != eventlog.ReplayCompleted || r.Ended.IsZero() || r.Deliveries != len(want) || r.Pending != 0 || deliveries != len(want) || preview.Events != r.Events {
				t.Errorf("%+v: %+v; previewed %+v; want %d deliveries", test.selection, r, preview, len(want))
			}
		}
		if ids := w.stored(); len(ids) != 4 {
			t.Errorf("events %v; want no more than were published", ids)
		}
	})
}

func TestReplayRefused(t *testing.T) {
	w := newReplayWorld(t)
	w.open()
	defer func() { w.stop() }()
	w.replay("a.B-9_", eventlog.Selection{})
	for want, f := range map[string]func() error{
		`name "a b"`:                       func() error { return w.bus.Replay(t.Context(), "a b", eventlog.Selection{}) },
		`name "": want`:                    func() error { return w.bus.Replay(t.Context(), "", eventlog.Selection{}) },
		`of that name exists`:              func() error { return w.bus.Replay(t.Context(), "a.B-9_", eventlog.Selection{}) },
		`rule "x" is not configured`:       func() error { return w.bus.Replay(t.Context(), "b", eventlog.Selection{Rules: []string{"x"}}) },
		`"b": no replay of that name runs`: func() error { return w.bus.CancelReplay(t.Context(), "b") },
	} {
		if err := f(); !errors.Is(err, eventlog.ErrReplay) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %s", err, want)
		}
	}
}

// TestReplayInOrder replays more than is pending at once, while what is new goes first.
func TestReplayInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newReplayWorld(t)
		w.open()
		defer func() { w.stop() }()
		w.run()
		publishMany(t, w, 1000)
		synctest.Wait()
		var ids []string
		for _, line := range w.got {
			if id, ok := strings.CutPrefix(line, "jobs "); ok {
				ids = append(ids, id)
			}
		}
		w.got = nil
		pending, published := 0, false
		w.answer = func(e event.Event) error {
			if e.ReplayName == "" {
				return nil
			}
			pending = max(pending, w.pending())
			if !published && e.ID == ids[500] {
				published = true
				w.bus.Publish(context.Background(), job("new"))
			}
			return nil
		}
		w.replay("r", eventlog.Selection{Rules: []string{"jobs"}})
		synctest.Wait()
		var got []string
		at := 0
		for i, line := range w.got {
			if line == "jobs new" {
				at = i
			}
			if id, ok := strings.CutPrefix(line, "jobs "); ok && id != "new" {
				got = append(got, strings.TrimSuffix(id, " r"))
			}
		}
		if diff := cmp.Diff(ids, got); diff != "" {
			t.Errorf("replayed (-want +got):\n%s", diff)
		}
		if at < 500 || at > 503 {
			t.Errorf("what was new at place 500 was delivered at %d", at)
		}
		if pending > 400 {
			t.Errorf("%d deliveries pending at once", pending)
		}
	})
}

// TestReplayFails has deliveries of a replay of old events fail: they are tried again as
// new ones are, and die with the replay's name.
func TestReplayFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newReplayWorld(t)
		w.open()
		defer func() { w.stop() }()
		w.run()
		w.publish("a", "b")
		time.Sleep(48 * time.Hour)
		synctest.Wait()
		w.got = nil
		w.fails(2, errTarget, "a")
		w.replay("r", eventlog.Selection{})
		time.Sleep(10 * time.Second)
		synctest.Wait()
		w.want("jobs a r", "jobs b r", "jobs a r", "jobs a r")

		w.fails(1, bus.Permanent(errTarget), "b")
		w.replay("r2", eventlog.Selection{})
		synctest.Wait()
		letters, err := bus.DeadLetters(t.Context(), w.db, eventlog.LetterFilter{}, 10)
		if err != nil || len(letters) != 1 || letters[0].Event.ReplayName != "r2" || letters[0].Event.ID != "b" {
			t.Fatalf("dead letters %+v, %v", letters, err)
		}
		if r := w.replayed("r2"); r.Dead != 1 || r.State != eventlog.ReplayCompleted {
			t.Errorf("%+v; want a dead letter", r)
		}
		w.want("jobs a r2", "jobs b r2")
		if n, err := w.bus.Retry(t.Context(), eventlog.LetterFilter{}); n != 1 || err != nil {
			t.Fatalf("Retry = %d, %v", n, err)
		}
		synctest.Wait()
		w.want("jobs b r2")
	})
}

// TestCancelReplay ends a replay with deliveries that wait, that are under way, and that
// have failed.
func TestCancelReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newReplayWorld(t)
		w.open()
		defer func() { w.stop() }()
		w.run()
		publishMany(t, w, 500)
		synctest.Wait()
		w.got = nil
		cancelled := false
		w.answer = func(event.Event) error {
			if len(w.got) == 10 {
				if err := w.bus.CancelReplay(context.Background(), "r"); err != nil {
					t.Error(err)
				}
				cancelled = true
			}
			return errTarget
		}
		w.replay("r", eventlog.Selection{})
		time.Sleep(time.Hour)
		synctest.Wait()
		if !cancelled || len(w.got) != 10 || w.pending() != 0 || len(w.dead()) != 0 {
			t.Errorf("%d deliveries, %d pending, %d dead after the 10th cancelled all", len(w.got), w.pending(), len(w.dead()))
		}
		if r := w.replayed("r"); r.State != eventlog.ReplayCancelled || r.Pending != 0 {
			t.Errorf("%+v; want it cancelled", r)
		}
		w.answer = nil
		w.got = nil
		w.publish("after")
		synctest.Wait()
		slices.Sort(w.got)
		w.want("jobs after", "once after")
	})
}

// TestReplayKeepsEvents begins a replay while nothing is delivered: what is ahead of it
// outlives its retention.
func TestReplayKeepsEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newReplayWorld(t)
		w.open()
		defer func() { w.stop() }()
		w.run()
		publishMany(t, w, 600)
		synctest.Wait()
		w.stop()
		w.got = nil
		w.open()
		w.replay("r", eventlog.Selection{Rules: []string{"jobs"}})
		w.stop()
		time.Sleep(200 * time.Hour)
		w.open()
		w.run()
		synctest.Wait()
		if n := len(w.got); n != 600 {
			t.Errorf("%d deliveries; want 600", n)
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if n := len(w.stored()); n != 0 {
			t.Errorf("%d events after the replay; want none", n)
		}
		time.Sleep(15 * 24 * time.Hour)
		if all, err := bus.Replays(t.Context(), w.db); err != nil || len(all) != 0 {
			t.Errorf("replays %v, %v; want none after their retention", all, err)
		}
	})
}

// TestReplayFaults fails each commit in the life of a replay, in each way. Nothing is
// lost, and without a restart nothing comes twice.
func TestReplayFaults(t *testing.T) {
	faults := everyFault
	if testing.Short() {
		faults = slices.DeleteFunc(slices.Clone(faults), func(f fault) bool { return f.late })
	}
	eachFault(t, 5, liveReplay, faults...)
}

// liveReplay replays events of which one fails once, and reports whether f happened.
func liveReplay(t *testing.T, f fault) bool {
	w := newReplayWorld(t)
	var log bytes.Buffer
	w.config.Log = slog.New(slog.NewTextHandler(&log, nil))
	w.open()
	w.run()
	publishMany(t, w, 110) // more than one step of the replay takes
	synctest.Wait()
	w.stop()
	ids := map[string]int{}
	for _, line := range w.got {
		if _, id, _ := strings.Cut(line, " "); strings.HasPrefix(line, "jobs ") {
			ids[id] = 0
		}
	}
	w.got = nil

	happened := w.inject(f)
	failed := false
	w.answer = func(event.Event) error {
		if !failed {
			failed = true
			return errTarget
		}
		return nil
	}
	if w.tryOpen() != nil {
		w.open()
	}
	for begun := false; !begun; { // as who gave the order asks again, of the same name
		err := w.bus.Replay(t.Context(), "r", eventlog.Selection{Rules: []string{"jobs"}})
		begun = err == nil || errors.Is(err, eventlog.ErrReplay)
	}
	w.outlive(f)
	for _, line := range w.got {
		_, id, _ := strings.Cut(strings.TrimSuffix(line, " r"), " ")
		ids[id]++
	}
	twice := 0
	for id, n := range ids {
		switch {
		case n == 0:
			t.Errorf("event %s was not delivered", id)
		case n > 1:
			twice++
		}
	}
	if twice > 1 && !f.reopen {
		t.Errorf("%d events were delivered twice; want that of the one that failed only", twice)
	}
	if r := w.replayed("r"); r.State != eventlog.ReplayCompleted || r.Deliveries != 110 || w.pending() != 0 || len(w.dead()) != 0 {
		t.Errorf("%+v, %d pending, %d dead; want it completed with 110 deliveries", r, w.pending(), len(w.dead()))
	}
	w.stop()
	if strings.Contains(log.String(), "constraint") {
		t.Errorf("a step cannot be made twice:\n%s", log.String())
	}
	return happened()
}
