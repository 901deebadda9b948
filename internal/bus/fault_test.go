package bus_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/bus"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
)

var errFault = errors.New("fault")

// A fault makes one commit fail.
type fault struct {
	commit int  // which one, counting from 1
	stored bool // it fails after it was stored, not before
	reopen bool // the process ends after it, and another goes on
	late   bool // but first it has time to try again
}

// TestFaults fails each commit in the life of a few events, in each way, and
// expects every event to come to its end all the same. A commit that failed and
// was stored all the same is seen after opening again only, as with SQLite's own.
func TestFaults(t *testing.T) {
	eachFault(t, 8, live, everyFault...)
}

// everyFault is each way in which a commit can fail, and what can follow.
var everyFault = []fault{
	{}, {reopen: true}, {reopen: true, late: true}, {stored: true, reopen: true}, {stored: true, reopen: true, late: true},
}

// eachFault has live meet each of faults in each commit that it makes, which are least or
// more; live reports whether the fault happened.
func eachFault(t *testing.T, least int, live func(*testing.T, fault) bool, faults ...fault) {
	for _, f := range faults {
		for reached := true; reached; {
			f.commit++
			t.Run(fmt.Sprintf("%+v", f), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { reached = live(t, f) })
			})
		}
		if f.commit < least {
			t.Errorf("%d commits; want %d or more, or this tests nothing", f.commit, least)
		}
	}
}

// inject has f happen to the commits that follow, and returns what reports whether it has.
func (w *world) inject(f fault) (happened func() bool) {
	commits := 0
	w.commit = func(commit func() error) error {
		if commits++; commits != f.commit {
			return commit()
		}
		if f.stored {
			return errors.Join(commit(), errFault)
		}
		return errFault
	}
	return func() bool { return commits >= f.commit }
}

// outlive runs the bus until nothing is left to do, through what follows f.
func (w *world) outlive(f fault) {
	w.run()
	synctest.Wait()
	if f.reopen {
		if f.late {
			time.Sleep(10 * time.Second)
		}
		w.stop()
		if w.tryOpen() != nil {
			w.open()
		}
		w.run()
	}
	time.Sleep(10 * time.Second)
	synctest.Wait()
}

// live publishes "done", which the target takes at once, "again", which it takes
// the second time, and "never", which it refuses, and reports whether f happened.
func live(t *testing.T, f fault) bool {
	w := newWorld(t)
	var log bytes.Buffer
	w.config.Log = slog.New(slog.NewTextHandler(&log, nil))
	happened := w.inject(f)
	calls := map[string]int{}
	w.answer = func(e event.Event) error {
		calls[e.ID]++
		switch {
		case e.ID == "never":
			return bus.Permanent(errTarget)
		case e.ID == "again" && calls[e.ID] == 1:
			return errTarget
		}
		return nil
	}
	if w.tryOpen() != nil {
		w.open()
	}
	for _, id := range []string{"done", "again", "never"} {
		for known := false; !known; { // as GitHub, or who looks after it, delivers again
			_, err := w.bus.Publish(t.Context(), job(id))
			known = err == nil
		}
	}
	w.outlive(f)

	if diff := cmp.Diff([]string{"jobs never after 1: permanent error: no such luck"}, w.dead()); diff != "" {
		t.Errorf("dead letters (-want +got):\n%s", diff)
	}
	if n := w.pending(); n != 0 {
		t.Errorf("%d deliveries pending; want none", n)
	}
	for id, least := range map[string]int{"done": 1, "again": 2, "never": 1} {
		if n := calls[id]; n < least || !f.reopen && n > least {
			t.Errorf("%d deliveries of %q; want %d, and more only after a restart", n, id, least)
		}
	}
	if all, err := bus.Events(t.Context(), w.db, eventlog.Filter{}); err != nil || len(all) != 3 {
		t.Errorf("%d events, %v; want 3", len(all), err)
	}
	w.stop()
	if strings.Contains(log.String(), "constraint") {
		t.Errorf("a step cannot be made twice:\n%s", log.String())
	}
	return happened()
}
