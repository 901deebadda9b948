package bus_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/bus"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
)

// kills is how many times each test below kills.
func kills() int {
	if testing.Short() {
		return 5
	}
	return 20
}

// until waits for what another goroutine does.
func until(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 30 s", what)
		}
	}
}

// answers has the target of the world be f.
func (w *world) answers(f func(e event.Event) error) {
	w.config.Targets["note"] = func(_ context.Context, e event.Event) error { return f(e) }
}

// forever makes the world that of a process to be killed, and reports whether this is one.
func (w *world) forever() bool {
	path := os.Getenv("RUN_FOREVER")
	if path == "" {
		return false
	}
	w.path = path
	w.open()
	w.run()
	return true
}

// publishNumbers publishes so many events and has them settled.
func (w *world) publishNumbers(n int) {
	w.t.Helper()
	w.open()
	w.run()
	for i := range n {
		w.publish(fmt.Sprint(i))
	}
	until(w.t, "delivering", func() bool { return w.pending() == 0 })
	w.stop()
}

// A replayBook notes what processes said of replays.
type replayBook struct {
	t       *testing.T
	brought map[string]map[string]int // by replay and event: the last process that brought it
}

func (b replayBook) note(process int, what, rest string) {
	name, id, _ := strings.Cut(rest, " ")
	if b.brought[name] == nil {
		b.brought[name] = map[string]int{}
	}
	if what == "begun" {
		return
	}
	if last, again := b.brought[name][id]; again && last == process {
		b.t.Errorf("process %d brought event %s of replay %s twice", process, id, name)
	}
	b.brought[name][id] = process
}

// TestKillReplay kills processes in the middle of replays. In the end each replay has
// brought each event, and no process has brought one twice.
func TestKillReplay(t *testing.T) {
	const events = 150 // more than one step of a replay takes
	w := newWorld(t)
	w.answers(func(e event.Event) error {
		if e.ReplayName != "" {
			fmt.Println("replayed", e.ReplayName, e.ID)
		}
		return nil
	})
	if w.forever() {
		replayForever(t, w)
	}
	w.publishNumbers(events)
	book := replayBook{t, map[string]map[string]int{}}
	w.killRounds(kills(), book.note)
	w.answers(func(e event.Event) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		book.note(-1, "replayed", e.ReplayName+" "+e.ID)
		return nil
	})
	w.open()
	w.run()
	defer func() { w.stop() }()
	for name, brought := range book.brought {
		until(t, "replay "+name, func() bool { return w.replayed(name).State == eventlog.ReplayCompleted })
		if r := w.replayed(name); len(brought) != events || r.Deliveries != events || r.Events != events {
			t.Errorf("replay %s brought %d events, want %d: %+v", name, len(brought), events, r)
		}
	}
	if len(book.brought) < 2 {
		t.Errorf("%d replays in all; want more, or this tests nothing", len(book.brought))
	}
}

// replayForever begins a replay whenever none runs.
func replayForever(t *testing.T, w *world) {
	for n := 0; ; n++ {
		until(t, "the replay before", func() bool {
			all, err := bus.Replays(t.Context(), w.db)
			return err == nil && (len(all) == 0 || all[0].State != eventlog.ReplayRunning)
		})
		name := fmt.Sprintf("r%d-%d", os.Getpid(), n)
		if err := w.bus.Replay(t.Context(), name, eventlog.Selection{}); err != nil {
			panic(err)
		}
		fmt.Println("begun", name)
	}
}

// TestKillRetry kills processes in the middle of retrying dead letters, of which every
// third dies again each time. After each kill a delivery is dead, pending or made, and
// none is lost or two of these.
func TestKillRetry(t *testing.T) {
	const events = 300
	w := newWorld(t)
	w.answers(func(e event.Event) error {
		if n, err := strconv.Atoi(e.ID); err != nil || n%3 == 0 {
			fmt.Println("died", e.ID)
			return bus.Permanent(errTarget)
		}
		fmt.Println("made", e.ID)
		return nil
	})
	if w.forever() {
		for {
			if _, err := w.bus.Retry(t.Context(), eventlog.LetterFilter{}); err != nil {
				panic(err)
			}
		}
	}
	w.answers(func(event.Event) error { return bus.Permanent(errTarget) })
	w.publishNumbers(events)
	made := map[string]bool{}
	for range kills() {
		w.killRounds(1, func(_ int, what, id string) {
			if what == "made" {
				made[id] = true
			}
		})
		w.open()
		w.onePlaceEach(events, made)
		w.stop()
	}
	w.answers(func(e event.Event) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		made[e.ID] = true
		return nil
	})
	w.open()
	w.run()
	defer func() { w.stop() }()
	if _, err := w.bus.Retry(t.Context(), eventlog.LetterFilter{}); err != nil {
		t.Fatal(err)
	}
	until(t, "the last retry", func() bool { return w.pending() == 0 })
	if dead := len(w.dead()); len(made) != events || dead != 0 {
		t.Errorf("%d deliveries made and %d dead; want all %d made", len(made), dead, events)
	}
}

// onePlaceEach checks that each of the first events is pending, dead or was made. One that
// was made may be pending still: that is what at least once means.
func (w *world) onePlaceEach(events int, made map[string]bool) {
	w.t.Helper()
	pending, err1 := bus.PendingDeliveries(w.t.Context(), w.db, 1<<30)
	letters, err2 := bus.DeadLetters(w.t.Context(), w.db, eventlog.LetterFilter{}, 1<<30)
	if err := errors.Join(err1, err2); err != nil {
		w.t.Fatal(err)
	}
	place := map[string]string{}
	for _, p := range pending {
		place[p.EventID] += "pending "
	}
	for _, l := range letters {
		place[l.Event.ID] += "dead "
	}
	for i := range events {
		id := fmt.Sprint(i)
		where := strings.TrimSpace(place[id])
		if where == "" && !made[id] || where == "dead" && made[id] || strings.Contains(where, " ") {
			w.t.Errorf("event %s is in %q, made: %v; want one place", id, where, made[id])
		}
	}
}

// fastClock is a clock of which 72 hours take a quarter of a second, and which goes on in the
// processes that this one starts.
func fastClock(t *testing.T) func() time.Time {
	const fast, variable = 1_000_000, "RUN_BEGUN"
	begun := time.Now().Truncate(time.Millisecond)
	if ms, err := strconv.ParseInt(os.Getenv(variable), 10, 64); err == nil {
		begun = time.UnixMilli(ms)
	}
	t.Setenv(variable, fmt.Sprint(begun.UnixMilli()))
	return func() time.Time { return begun.Add(time.Since(begun) * fast) }
}

// TestKillRetention kills processes whose log is cleaned all the time, by size and by age.
// What is pending or dead keeps its detail, and every id of the last 72 hours is known.
func TestKillRetention(t *testing.T) {
	w := newWorld(t)
	w.config.Now = fastClock(t)
	w.config.MaxSize, w.config.Retention = 20_000, bus.MinRetention
	w.config.Rules[0].MaxAge = 1 << 60
	w.answers(func(e event.Event) error {
		switch young := w.config.Now().Sub(e.Time) < 60*time.Hour; { // which are 0.2 s
		case strings.HasSuffix(e.ID, "3"):
			return bus.Permanent(errTarget)
		case strings.HasSuffix(e.ID, "7") && young:
			return bus.RetryAfter(errTarget, 10*time.Hour)
		}
		return nil
	})
	if w.forever() {
		publishForever(t, w)
	}
	published := map[string]time.Time{}
	w.killRounds(kills(), func(_ int, what, rest string) {
		id, at, _ := strings.Cut(rest, " ")
		ms, err := strconv.ParseInt(at, 10, 64)
		if err != nil || what != "published" {
			t.Fatalf("a process says %s %s", what, rest)
		}
		published[id] = time.UnixMilli(ms)
	})
	w.open()
	defer func() { w.stop() }()
	w.wantKept(published)
}

// publishForever publishes events of half a kilobyte.
func publishForever(t *testing.T, w *world) {
	for n := 0; ; n++ {
		e := job(fmt.Sprintf("%d-%d", os.Getpid(), n))
		e.Detail = fmt.Appendf(nil, `{"padding":%q}`, strings.Repeat("x", 500))
		e.Time = w.config.Now()
		if _, err := w.bus.Publish(t.Context(), e); err != nil {
			panic(err)
		}
		fmt.Println("published", e.ID, e.Time.UnixMilli())
	}
}

// wantKept checks what is there of the events that were published.
func (w *world) wantKept(published map[string]time.Time) {
	w.t.Helper()
	now := w.config.Now()
	pending, err1 := bus.PendingDeliveries(w.t.Context(), w.db, 1<<30)
	letters, err2 := bus.DeadLetters(w.t.Context(), w.db, eventlog.LetterFilter{}, 1<<30)
	all, err3 := bus.Events(w.t.Context(), w.db, eventlog.Filter{})
	if err := errors.Join(err1, err2, err3); err != nil {
		w.t.Fatal(err)
	}
	size := map[string]int{}
	for _, s := range all {
		size[s.Event.ID] = len(s.Event.Detail)
	}
	for _, p := range pending {
		if size[p.EventID] == 0 {
			w.t.Errorf("pending event %s has no detail", p.EventID)
		}
	}
	for _, l := range letters {
		if size[l.Event.ID] == 0 {
			w.t.Errorf("event %s of a dead letter has no detail", l.Event.ID)
		}
	}
	cut := 0
	for id, at := range published {
		bytes, known := size[id]
		if age := now.Sub(at); !known && age < bus.MinRetention {
			w.t.Errorf("event %s, published %v ago, is not known any more", id, age)
		}
		if known && bytes == 0 {
			cut++
		}
	}
	if len(letters) == 0 || len(pending) == 0 || cut == 0 || len(all) >= len(published) {
		w.t.Errorf("%d letters, %d pending, %d events without detail, %d of %d events kept; want some of each, or this tests nothing",
			len(letters), len(pending), cut, len(all), len(published))
	}
}
