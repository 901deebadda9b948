package bus_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/bus"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
)

// noting returns a target that notes events under a name.
func (w *world) noting(name string) bus.Target {
	return func(_ context.Context, e event.Event) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.got = append(w.got, name+" "+e.ID)
		return nil
	}
}

func (w *world) setRules(rules []bus.Rule, targets map[string]bus.Target) {
	w.t.Helper()
	if err := w.bus.SetRules(w.t.Context(), rules, targets); err != nil {
		w.t.Fatal(err)
	}
}

func TestSetRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.open()
		defer func() { w.stop() }()
		w.run()
		jobs := w.config.Rules[0]
		w.fails(1, errTarget, "failing")
		w.publish("a", "failing")
		synctest.Wait()
		w.want("a", "failing")

		// The rule gets another target, which gets what is pending, too; another rule comes.
		more := bus.Rule{Name: "more", Pattern: parse(t, `{"source": ["github.com"]}`), Target: "note"}
		w.setRules([]bus.Rule{jobs, more}, map[string]bus.Target{"note": w.noting("new")})
		time.Sleep(time.Second)
		synctest.Wait()
		w.want("new failing")
		w.setRules([]bus.Rule{jobs, more}, map[string]bus.Target{"note": func(context.Context, event.Event) error { return errTarget }})
		w.publish("b")
		synctest.Wait()

		// A rule goes, and takes what is pending along.
		w.setRules([]bus.Rule{jobs}, map[string]bus.Target{"note": w.noting("last")})
		time.Sleep(time.Minute)
		w.publish("c")
		synctest.Wait()
		w.want("last b", "last c")
		if diff := cmp.Diff([]string{"more b after 1: rule is no longer configured"}, w.dead()); diff != "" {
			t.Errorf("dead letters (-want +got):\n%s", diff)
		}
		if n := w.pending(); n != 0 {
			t.Errorf("%d deliveries pending; want none", n)
		}

		// It comes again, and so does its letter.
		w.setRules([]bus.Rule{jobs, more}, map[string]bus.Target{"note": w.noting("back")})
		if n, err := w.bus.Retry(t.Context(), eventlog.LetterFilter{}); n != 1 || err != nil {
			t.Errorf("Retry = %d, %v; want 1", n, err)
		}
		synctest.Wait()
		w.want("back b")
	})
}

// TestSetRulesWaits changes a rule and removes another while their targets are at work.
func TestSetRulesWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		slow := func(ctx context.Context, e event.Event) error {
			select {
			case <-time.After(time.Minute):
			case <-ctx.Done():
				return ctx.Err()
			}
			return w.note(ctx, e)
		}
		pattern := w.config.Rules[0].Pattern
		w.config.Rules = append(w.config.Rules, bus.Rule{Name: "slow", Pattern: pattern, Target: "slow"})
		w.config.Targets["slow"] = slow
		w.open()
		defer func() { w.stop() }()
		w.run()
		w.publish("a", "b")
		synctest.Wait()
		w.want("a", "b")
		start := time.Now()
		w.setRules(w.config.Rules[:1], w.config.Targets)
		if took := time.Since(start); took != time.Minute {
			t.Errorf("SetRules took %v; want a minute, as the target does", took)
		}
		w.want("a")
		if diff := cmp.Diff([]string{"slow b after 0: rule is no longer configured"}, w.dead()); diff != "" {
			t.Errorf("dead letters (-want +got):\n%s", diff)
		}
	})
}

// TestSetRulesWorkers has more calls of a target made at once, and fewer again.
func TestSetRulesWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var mu sync.Mutex
		now, most := 0, 0
		w.config.Targets["note"] = func(context.Context, event.Event) error {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			now--
			mu.Unlock()
			return nil
		}
		w.open()
		defer func() { w.stop() }()
		w.run()
		for round, workers := range []int{1, 3, 1} {
			rule := w.config.Rules[0]
			rule.Workers = workers
			w.setRules([]bus.Rule{rule}, w.config.Targets)
			most = 0
			for i := range 9 {
				w.publish(fmt.Sprint(round, i))
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			if most != workers || w.pending() > 0 {
				t.Errorf("%d calls at once and %d pending; want %d calls", most, w.pending(), workers)
			}
		}
	})
}

// TestSetRulesLosesNothing changes rules again and again while events are published:
// each event goes to the rule that stays, once, and to just one of those that change.
func TestSetRulesLosesNothing(t *testing.T) {
	w := newWorld(t)
	w.open()
	defer func() { w.stop() }()
	w.run()
	stays := w.config.Rules[0]
	targets := map[string]bus.Target{"note": w.noting("stays"), "one": w.noting("one")}
	set := func(round int) {
		w.setRules([]bus.Rule{stays, {Name: fmt.Sprint("rule", round), Pattern: stays.Pattern, Target: "one"}}, targets)
	}
	set(0)
	var publishers sync.WaitGroup
	for g := range 4 {
		publishers.Go(func() {
			for i := range 100 {
				w.publish(fmt.Sprint(g, "-", i))
			}
		})
	}
	done := make(chan struct{})
	go func() { publishers.Wait(); close(done) }()
	for round, going := 1, true; going; round++ {
		set(round)
		select {
		case <-done:
			going = false
		default:
		}
	}
	w.setRules([]bus.Rule{stays}, targets) // returns when nothing is under way to the other
	for w.pending() > 0 {
	}
	counts := map[string]int{}
	for _, l := range w.dead() {
		counts["one "+strings.Fields(l)[1]]++
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, got := range w.got {
		counts[got]++
	}
	for g := range 4 {
		for i := range 100 {
			for _, rule := range []string{"stays", "one"} {
				if n := counts[fmt.Sprint(rule, " ", g, "-", i)]; n != 1 {
					t.Errorf("event %d-%d: %d times by the rule %q; want once", g, i, n, rule)
				}
			}
		}
	}
}

func TestSetRulesRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.open()
		rules := w.config.Rules
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := w.bus.SetRules(ctx, rules, w.config.Targets); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("before Run: %v; want that it waits", err)
		}
		w.run()
		if err := w.bus.SetRules(t.Context(), rules, nil); err == nil || !strings.Contains(err.Error(), `target "note"`) {
			t.Errorf("without the target: %v", err)
		}
		w.publish("a") // the old rules are still in force
		synctest.Wait()
		w.want("a")
		w.stop()
		rules = append(rules, bus.Rule{Name: "more", Pattern: rules[0].Pattern, Target: "note"})
		if err := w.bus.SetRules(t.Context(), rules, w.config.Targets); err == nil {
			t.Error("rules were set after the end")
		}
	})
}

// TestSetRulesOvertakes publishes an event after rules were set and before they are
// in force: it goes by the new ones.
func TestSetRulesOvertakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var gate chan struct{}
		w.commit = func(commit func() error) error {
			if gate != nil {
				<-gate
			}
			return commit()
		}
		w.open()
		defer func() { w.stop() }()
		w.run()
		synctest.Wait()
		gate = make(chan struct{})
		go w.publish("first") // keeps the disk at work
		synctest.Wait()
		rule := w.config.Rules[0]
		rule.Name = "renamed"
		set := make(chan error)
		go func() {
			set <- w.bus.SetRules(t.Context(), []bus.Rule{rule}, map[string]bus.Target{"note": w.noting("new")})
		}()
		synctest.Wait()
		go w.publish("second")
		synctest.Wait()
		close(gate)
		if err := <-set; err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		w.want("first", "new second")
		if len(w.dead()) > 0 {
			t.Errorf("dead letters: %v", w.dead())
		}
	})
}
