package bus_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/bus"
	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/event/pattern"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
)

// A world is a bus with one target that notes what it gets, on a file that can
// be opened again.
type world struct {
	t      testing.TB
	path   string
	config bus.Config
	commit func(commit func() error) error // see disk.Options

	db   *disk.DB
	bus  *bus.Bus
	stop func() // ends Run and closes db

	mu     sync.Mutex
	got    []string                  // guarded by mu; ids in the order of delivery
	answer func(e event.Event) error // guarded by mu; what the target returns
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, path: filepath.Join(t.TempDir(), "db")}
	w.config = bus.Config{
		Rules:   []bus.Rule{{Name: "jobs", Pattern: parse(t, `{"detail-type": ["workflow_job"]}`), Target: "note"}},
		Targets: map[string]bus.Target{"note": w.note},
		Log:     slog.New(slog.DiscardHandler),
		Rand:    func() float64 { return 0 },
	}
	return w
}

func (w *world) note(_ context.Context, e event.Event) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.got = append(w.got, e.ID)
	if w.answer != nil {
		return w.answer(e)
	}
	return nil
}

// open opens the bus without delivering.
func (w *world) open() {
	w.t.Helper()
	if err := w.tryOpen(); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) tryOpen() error {
	db, err := disk.Open(w.path, disk.Options{Commit: w.commit})
	if err != nil {
		return err
	}
	b, err := bus.Open(context.Background(), db, w.config)
	if err != nil {
		return errors.Join(err, db.Close())
	}
	w.db, w.bus, w.stop = db, b, func() { db.Close() }
	return nil
}

// run delivers until stop is called.
func (w *world) run() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := w.bus.Run(ctx); err != nil {
			w.t.Errorf("Run: %v", err)
		}
	}()
	db := w.db
	w.stop = func() {
		cancel()
		<-ended
		db.Close()
	}
}

func (w *world) publish(ids ...string) {
	w.t.Helper()
	for _, id := range ids {
		if fresh, err := w.bus.Publish(context.Background(), job(id)); err != nil || !fresh {
			w.t.Fatalf("Publish(%s) = %v, %v; want fresh", id, fresh, err)
		}
	}
}

// want compares what the target got so far, and forgets it.
func (w *world) want(ids ...string) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if diff := cmp.Diff(ids, w.got); diff != "" {
		w.t.Errorf("delivered (-want +got):\n%s", diff)
	}
	w.got = nil
}

// dead returns the dead letters as text.
func (w *world) dead() (all []string) {
	w.t.Helper()
	letters, err := bus.DeadLetters(context.Background(), w.db, eventlog.LetterFilter{}, 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, l := range letters {
		all = append(all, fmt.Sprintf("%s %s after %d: %s", l.Rule, l.Event.ID, l.Attempts, l.Reason))
	}
	return all
}

func (w *world) pending() int {
	w.t.Helper()
	pending, err := bus.PendingDeliveries(context.Background(), w.db, 1<<30)
	if err != nil {
		w.t.Fatal(err)
	}
	return len(pending)
}

func parse(t testing.TB, src string) *pattern.Pattern {
	t.Helper()
	p, err := pattern.Parse([]byte(src))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func job(id string) event.Event {
	return event.Event{
		ID: id, Source: event.SourceGitHub, DetailType: event.TypeWorkflowJob,
		Time: time.Date(2026, 1, 31, 12, 0, 0, 123e6, time.UTC), Resources: []string{"acme/web"}, Detail: []byte(`{"action":"queued"}`),
	}
}

func TestPublishAndDeliver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.open()
		defer func() { w.stop() }()
		w.publish("a", "b")
		other := job("c")
		other.DetailType = "ping"
		if _, err := w.bus.Publish(t.Context(), other); err != nil {
			t.Fatal(err)
		}
		if fresh, err := w.bus.Publish(t.Context(), job("a")); err != nil || fresh {
			t.Errorf("Publish of a known id = %v, %v; want not fresh", fresh, err)
		}
		if n := w.pending(); n != 2 {
			t.Errorf("%d deliveries pending; want 2", n)
		}
		w.run()
		w.publish("d")
		synctest.Wait()
		w.want("a", "b", "d")
		if n := w.pending(); n != 0 {
			t.Errorf("%d deliveries pending after they were made; want none", n)
		}

		all, err := bus.Events(t.Context(), w.db, eventlog.Filter{DetailType: "workflow_job", Limit: 2})
		if err != nil {
			t.Fatal(err)
		}
		want := []eventlog.Stored{{Seq: 4, Published: time.Now().UTC(), Event: job("d")}, {Seq: 2, Published: time.Now().UTC(), Event: job("b")}}
		if diff := cmp.Diff(want, all); diff != "" {
			t.Errorf("Events (-want +got):\n%s", diff)
		}
	})
}

func TestInvalidEvent(t *testing.T) {
	w := newWorld(t)
	w.open()
	defer w.stop()
	e := job("a")
	e.Detail = []byte(`[]`)
	if fresh, err := w.bus.Publish(t.Context(), e); fresh || err == nil {
		t.Errorf("Publish of a list = %v, %v; want an error", fresh, err)
	}
}

func TestPublishTx(t *testing.T) {
	w := newWorld(t)
	w.open()
	defer w.stop()
	undo := errors.New("undo")
	for _, outcome := range []error{undo, nil} {
		err := w.db.Write(t.Context(), func(tx *disk.Tx) error {
			if fresh, err := w.bus.PublishTx(tx, job("a")); err != nil || !fresh {
				t.Errorf("PublishTx = %v, %v; want fresh, also after it was undone", fresh, err)
			}
			return outcome
		})
		if !errors.Is(err, outcome) {
			t.Fatal(err)
		}
		want := 1
		if outcome != nil {
			want = 0
		}
		if n := w.pending(); n != want {
			t.Errorf("%d deliveries pending after outcome %v; want %d", n, outcome, want)
		}
	}
}

func TestConfig(t *testing.T) {
	tests := map[string]func(*bus.Config){
		`retention 71h0m0s: want 72h0m0s or more, as long as GitHub redelivers`: func(c *bus.Config) { c.Retention = 71 * time.Hour },
		`size -1: want a number of bytes, or 0 for no limit`:                    func(c *bus.Config) { c.MaxSize = -1 },
		`rule without a name`:                                            func(c *bus.Config) { c.Rules[0].Name = "" },
		`duplicate rule name "jobs"`:                                     func(c *bus.Config) { c.Rules = append(c.Rules, c.Rules[0]) },
		`rule "jobs": pattern is missing`:                                func(c *bus.Config) { c.Rules[0].Pattern = nil },
		`rule "jobs": target "x" is not configured`:                      func(c *bus.Config) { c.Rules[0].Target = "x" },
		`rule "jobs": attempts -1: want 1 or more, or 0 for the default`: func(c *bus.Config) { c.Rules[0].MaxAttempts = -1 },
	}
	for want, spoil := range tests {
		w := newWorld(t)
		spoil(&w.config)
		if err := w.tryOpen(); err == nil || err.Error() != want {
			t.Errorf("Open: %v; want %s", err, want)
		}
	}
}

// TestReading reads what a bus has left, beside it and without it.
func TestReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.open()
		w.fails(1, errTarget, "b")
		start := time.Now().UTC()
		w.publish("a", "b")
		w.run()
		synctest.Wait()
		w.stop()
		w.open()
		time.Sleep(time.Minute)
		w.publish("c")
		w.stop()

		db, err := disk.OpenReader(w.path)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		pending, err := bus.PendingDeliveries(t.Context(), db, 10)
		want := []bus.Pending{
			{Rule: "jobs", Seq: 3, EventID: "c", Published: start.Add(time.Minute)},
			{Rule: "jobs", Seq: 2, EventID: "b", Published: start, Attempts: 1, Due: start.Add(time.Second), LastError: errTarget.Error()},
		}
		if diff := cmp.Diff(want, pending); diff != "" || err != nil {
			t.Errorf("PendingDeliveries (-want +got), %v:\n%s", err, diff)
		}
		backlogs, err := bus.Backlogs(t.Context(), db)
		if diff := cmp.Diff([]eventlog.Backlog{{Rule: "jobs", Pending: 2, Failing: 1, Oldest: start}}, backlogs); diff != "" || err != nil {
			t.Errorf("Backlogs (-want +got), %v:\n%s", err, diff)
		}
		for want, f := range map[string]eventlog.Filter{
			"c b a":  {},
			"c":      {Since: start.Add(time.Second)},
			"c b":    {After: 1},
			"c b a ": {Source: "github.com", Limit: 4},
			"":       {DetailType: "ping"},
			"b":      {Pattern: parse(t, `{"id": ["b"]}`), Limit: 1},
			"b a":    {Pattern: parse(t, `{"id": ["a", "b"], "source": ["github.com"]}`)},
		} {
			all, err := bus.Events(t.Context(), db, f)
			var got []string
			for _, s := range all {
				got = append(got, s.Event.ID)
			}
			if strings.Join(got, " ") != strings.TrimSpace(want) || err != nil {
				t.Errorf("Events(%+v) = %v, %v; want %s", f, got, err, want)
			}
		}
	})
}
